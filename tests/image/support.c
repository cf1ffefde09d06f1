#include "support.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

blob blob_read(const char *path) {
    blob b = {0};
    FILE *file = fopen(path, "rb");
    cr_assert(file, "cannot open %s", path);
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    cr_assert(size >= 0);
    rewind(file);
    b.size = (size_t)size;
    b.bytes = malloc(b.size ? b.size : 1);
    cr_assert(b.bytes && fread(b.bytes, 1, b.size, file) == b.size, "cannot read %s", path);
    fclose(file);
    return b;
}

void blob_free(blob *b) {
    free(b->bytes);
    *b = (blob){0};
}

const char *data_folder(const char *below) {
    static char path[4096];
    struct stat st;
    const char *data = getenv("CNNSERVE_TEST_DATA");
    if (!data || !*data) cr_skip_test("CNNSERVE_TEST_DATA is not set");
    snprintf(path, sizeof(path), "%s/%s", data, below);
    if (stat(path, &st) != 0) cr_skip_test("there is no %s", path);
    return path;
}

FILE *reference_open(const char *name) {
    char path[4096];
    const char *folder = getenv("CNNSERVE_IMAGE_REFERENCE");
    if (!folder || !*folder)
        cr_skip_test("CNNSERVE_IMAGE_REFERENCE is not set: no Python with Pillow was found");
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    cr_assert(file, "there is no %s: make_reference.py has not run", path);
    return file;
}

blob reference_read(const char *name) {
    char path[4096];
    fclose(reference_open(name));
    snprintf(path, sizeof(path), "%s/%s", getenv("CNNSERVE_IMAGE_REFERENCE"), name);
    return blob_read(path);
}

/* nftw has no argument for its callback; one test process walks one folder at a time. */
static char **found;
static size_t found_count;

static int keep_file(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st;
    (void)where;
    if (type != FTW_F) return 0;
    found = realloc(found, (found_count + 1) * sizeof(*found));
    found[found_count++] = strdup(path);
    return 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **paths_below(const char *folder, size_t *count) {
    found = NULL;
    found_count = 0;
    cr_assert_eq(nftw(folder, keep_file, 16, 0), 0, "cannot walk %s", folder);
    cr_assert(found_count > 0, "%s is empty", folder);
    qsort(found, found_count, sizeof(*found), by_name);
    *count = found_count;
    return found;
}

void paths_free(char **paths, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}

image_code decode_file(const char *path, image *out, image_info *info, image_error *err) {
    blob file = blob_read(path);
    image_code code = image_decode(file.bytes, file.size, NULL, out, info, err);
    blob_free(&file);
    return code;
}

difference compare(const uint8_t *a, const uint8_t *b, size_t count) {
    difference d = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        int apart = abs(a[i] - b[i]);
        sum += (uint64_t)apart;
        if (apart > d.worst) d.worst = apart;
    }
    d.mean = count ? (double)sum / (double)count : 0.0;
    return d;
}
