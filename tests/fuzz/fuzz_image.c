/* fuzz_image.c: libimage fed with bytes of unknown origin: decode, then to a tensor.
 *
 * Two ways to build it:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -DFUZZER ...   libFuzzer; seed it with real
 * images cc -g -O1 -fsanitize=address,undefined ...                      replays the files and
 * folders given, for a corpus in CI The pixel limit is low, so that a finding is a fault and not a
 * slow picture.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A tensor of some spec that the input's own bytes choose, so that runs can be repeated. */
static void make_tensor(const image *img, uint32_t choice) {
    image_spec spec = image_spec_default(24, 20);
    spec.color = (image_color)(choice % 3);
    spec.resize = (image_resize)(choice / 3 % 3);
    spec.filter = (image_filter)(choice / 9 % 4);
    spec.layout = (image_layout)(choice / 36 % 2);
    spec.size_h = spec.size_w = 1 + (int)(choice / 72 % 50);
    int h, w;
    if (image_tensor_size(&spec, img->width, img->height, &h, &w, NULL) != IMAGE_OK) abort();
    float *out = malloc((size_t)h * (size_t)w * 3 * sizeof(float));
    if (out && image_to_tensor(img, &spec, h, w, out, NULL, NULL) != IMAGE_OK) abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    image_limits limits = {.max_pixels = 1 << 20};
    image img = {0};
    image_info info = {0};
    image_error err = {0};
    image_code code = image_decode(data, size, &limits, &img, &info, &err);
    if ((code == IMAGE_OK) != (img.pixels != NULL)) abort();
    if (code == IMAGE_OK && (info.width != img.width || info.height != img.height)) abort();
    if (code != IMAGE_OK && (err.code != code || !err.message[0])) abort();
    if (code == IMAGE_OK) {
        uint32_t choice = 2166136261u;
        for (size_t i = 0; i < size; i++)
            choice = (choice ^ data[i]) * 16777619u;
        make_tensor(&img, choice >> 8);
    }
    image_free(&img);
    return 0;
}

#ifndef FUZZER
#include <ftw.h>

static int replayed;

static int replay(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st;
    (void)where;
    if (type != FTW_F) return 0;
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        return 1;
    }
    long size = ftell(file);
    rewind(file);
    /* exactly as large as the file, so that a read past the end is seen */
    uint8_t *bytes = size > 0 ? malloc((size_t)size) : NULL;
    size_t got = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, got);
    free(bytes);
    replayed++;
    return 0;
}

static void replay_all(const char *path) {
    if (nftw(path, replay, 16, 0) == 0) return;
    fprintf(stderr, "cannot replay %s\n", path);
    exit(1);
}

/* Without arguments the damaged images of the test data; status 77 if there are none. */
int main(int argc, char **argv) {
    char path[4096];
    const char *data = getenv("CNNSERVE_TEST_DATA");
    if (argc < 2 && !(data && *data)) {
        printf("skipped: CNNSERVE_TEST_DATA is not set\n");
        return 77;
    }
    if (argc < 2) {
        snprintf(path, sizeof(path), "%s/images/malformed", data);
        replay_all(path);
    }
    for (int i = 1; i < argc; i++)
        replay_all(argv[i]);
    printf("%d files replayed\n", replayed);
    return replayed > 0 ? 0 : 1;
}
#endif
