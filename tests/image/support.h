/* support.h: what the tests of the image library share. */
#ifndef CNNSERVE_TESTS_IMAGE_SUPPORT_H
#define CNNSERVE_TESTS_IMAGE_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "image.h"

typedef struct {
    uint8_t *bytes;
    size_t size;
} blob;

/* The whole file; aborts the test if it cannot be read. Free with blob_free. */
blob blob_read(const char *path);
void blob_free(blob *b);

/* DATA/below, or skips the test if CNNSERVE_TEST_DATA is not set or has no such folder. Static
 * memory. */
const char *data_folder(const char *below);

/* A file that make_reference.py wrote; skips the test if there is none (no Pillow). */
FILE *reference_open(const char *name);

/* The bytes of such a file. */
blob reference_read(const char *name);

/* The paths of the files below a folder, sorted; *count of them. Free with paths_free. */
char **paths_below(const char *folder, size_t *count);
void paths_free(char **paths, size_t count);

/* Decodes a file under the default limits. */
image_code decode_file(const char *path, image *out, image_info *info, image_error *err);

typedef struct {
    int worst;
    double mean;
} difference;

difference compare(const uint8_t *a, const uint8_t *b, size_t count);

#endif
