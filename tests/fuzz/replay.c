/*
 * replay.c: see replay.h. Arguments are files and folders to take instead of the target's own
 * folders. Status 77 means that there are no seeds because CNNSERVE_TEST_DATA is not set.
 */
#include "fuzz/replay.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EDITS  8
#define MAX_NUMBER 10 /* bytes of a varint, the longest number in any of the formats */

/* ---- seeds -------------------------------------------------------------------------------- */

typedef struct seed {
    uint8_t *bytes; /* owned */
    size_t size;
} seed;

static seed *seeds;
static size_t seed_count;

static void *checked(void *memory) {
    if (!memory) {
        fprintf(stderr, "there is no memory left\n");
        exit(1);
    }
    return memory;
}

static uint8_t *copy_of(const void *bytes, size_t size, size_t capacity) {
    uint8_t *copy = checked(malloc(capacity ? capacity : 1));
    if (size) memcpy(copy, bytes, size);
    return copy;
}

static void add_seed(uint8_t *bytes, size_t size) {
    seeds = checked(realloc(seeds, (seed_count + 1) * sizeof *seeds));
    seeds[seed_count++] = (seed){bytes, size};
}

static int add_file(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)where;
    if (type != FTW_F) return 0;
    size_t size = (size_t)st->st_size;
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = copy_of(NULL, 0, size);
    bool read = file && fread(bytes, 1, size, file) == size;
    if (file) fclose(file);
    if (!read) {
        fprintf(stderr, "cannot read %s\n", path);
        free(bytes);
        return 1;
    }
    add_seed(bytes, size);
    return 0;
}

static void add_path(const char *path) {
    if (nftw(path, add_file, 16, 0) == 0) return;
    fprintf(stderr, "cannot replay %s\n", path);
    exit(1);
}

/* False: the data is not there. */
static bool add_folders(void) {
    const char *data = getenv("CNNSERVE_TEST_DATA");
    if (!(data && *data)) return replay.folder_count == 0;
    for (size_t i = 0; i < replay.folder_count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", data, replay.folders[i]);
        add_path(path);
    }
    return true;
}

/* ---- mutations ---------------------------------------------------------------------------- */

static uint32_t random_below(size_t limit) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % limit);
}

/* A size or a count that no sane file has, as little-endian bytes or as a varint. */
static size_t write_number(uint8_t *to) {
    static const uint64_t numbers[] = {0,         1,          0x7F,       0xFFFF,    INT32_MAX,
                                       INT32_MIN, UINT32_MAX, 1ull << 40, INT64_MAX, UINT64_MAX};
    uint64_t number = numbers[random_below(sizeof numbers / sizeof numbers[0])];
    size_t size = 0, bytes = (size_t)1 << random_below(5); /* 16: a varint */
    for (; bytes <= 8 && size < bytes; number >>= 8)
        to[size++] = (uint8_t)number;
    if (bytes <= 8) return size;
    for (; number >= 0x80; number >>= 7)
        to[size++] = (uint8_t)(number | 0x80);
    to[size++] = (uint8_t)number;
    return size;
}

/* Edits near the start are more likely: there are the headers. */
static size_t choose_place(size_t size) {
    size_t near = (size_t)16 << random_below(12);
    return random_below(near < size ? near : size);
}

/* Returns the new size; there is room for MAX_NUMBER bytes more, and at least one byte. */
static size_t edit(uint8_t *bytes, size_t size) {
    uint8_t number[MAX_NUMBER];
    size_t at = choose_place(size), length = write_number(number);
    switch (random_below(8)) {
    case 0: /* cut */
        return at + 1;
    case 1: /* insert */
        memmove(bytes + at + length, bytes + at, size - at);
        memcpy(bytes + at, number, length);
        return size + length;
    case 2: /* overwrite */
        if (length > size - at) length = size - at;
        memcpy(bytes + at, number, length);
        return size;
    case 3: /* copy from elsewhere */
        bytes[at] = bytes[random_below(size)];
        return size;
    default:
        bytes[at] ^= (uint8_t)(1u << random_below(8));
        return size;
    }
}

/* From a copy of exactly that size, so that a sanitizer sees a read beyond it. */
static void run(const uint8_t *bytes, size_t size) {
    uint8_t *exact = copy_of(bytes, size, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void run_mutation(const seed *s) {
    uint8_t *bytes = copy_of(s->bytes, s->size, s->size + (size_t)MAX_EDITS * MAX_NUMBER);
    size_t size = s->size;
    for (unsigned edits = 1 + random_below(MAX_EDITS); edits > 0 && size > 0; edits--)
        size = edit(bytes, size);
    run(bytes, size);
    free(bytes);
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < replay.seed_count; i++)
        add_seed(copy_of(replay.seeds[i].bytes, replay.seeds[i].size, replay.seeds[i].size),
                 replay.seeds[i].size);
    for (int i = 1; i < argc; i++)
        add_path(argv[i]);
    if (argc < 2 && !add_folders()) {
        printf("skipped: CNNSERVE_TEST_DATA is not set\n");
        return 77;
    }
    for (size_t i = 0; i < seed_count; i++)
        run(seeds[i].bytes, seeds[i].size);
    for (unsigned i = 0; i < replay.mutations && seed_count > 0; i++)
        run_mutation(&seeds[random_below(seed_count)]);
    printf("%zu seeds and %u mutations replayed\n", seed_count, replay.mutations);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    free(seeds);
    return seed_count > 0 ? 0 : 1;
}
