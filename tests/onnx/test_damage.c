/*
 * Damaged files: every truncation, and bit flips. Whatever comes out must be a graph that binds or
 * fails properly, or one sentence; the sanitizers watch the rest.
 */
#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From a copy of exactly that size, so that reading past the end is seen. Returns if it loaded. */
static bool try_bytes(const uint8_t *bytes, size_t size) {
    uint8_t *copy = copy_of(bytes, size);
    uint8_t *exact = size ? realloc(copy, size) : copy;
    graph *g = NULL;
    cnn_error err = {0};
    cnn_status status = onnx_load(exact, size, NULL, NULL, &g, &err);
    free(exact);
    cr_assert_eq(status == CNN_OK, g != NULL);
    if (status != CNN_OK) {
        cr_assert(err.status == status && err.message[0] && !strchr(err.message, '\n'));
        cr_assert(cnn_utf8_valid(err.message, strlen(err.message)));
        return false;
    }
    if (graph_bind(g, NULL, &err) != CNN_OK) cr_assert(err.message[0]);
    graph_free(g);
    return true;
}

Test(damage, every_truncation) {
    file f = small_model();
    uint8_t *bytes;
    size_t size = file_pack(&f, &bytes), loaded = 0;
    file_free(&f);
    cr_assert(try_bytes(bytes, size));
    for (size_t cut = 0; cut < size; cut++)
        loaded += try_bytes(bytes, cut);
    cr_assert_leq(loaded, 1, "the opset alone may stand last");
    free(bytes);
}

Test(damage, every_bit) {
    file f = small_model();
    uint8_t *bytes;
    size_t size = file_pack(&f, &bytes);
    file_free(&f);
    for (size_t i = 0; i < 8 * size; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        try_bytes(bytes, size);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    free(bytes);
}

Test(damage, every_byte_at_its_extremes) {
    file f = small_model();
    uint8_t *bytes;
    size_t size = file_pack(&f, &bytes);
    file_free(&f);
    for (size_t i = 0; i < size; i++) {
        uint8_t was = bytes[i];
        for (int value = 0; value < 256; value += value < 2 ? 1 : 125) {
            bytes[i] = (uint8_t)value;
            try_bytes(bytes, size);
        }
        bytes[i] = was;
    }
    free(bytes);
}

Test(damage, random_noise_in_a_real_model) {
    const char *data = getenv("CNNSERVE_TEST_DATA");
    char path[1024];
    if (!data || !*data) cr_skip_test("CNNSERVE_TEST_DATA is not set");
    snprintf(path, sizeof path, "%s/models/mnist-cntk/model.onnx", data);
    FILE *in = fopen(path, "rb");
    if (!in) cr_skip_test("%s is not there", path);
    static uint8_t original[1 << 16], noisy[sizeof original];
    size_t size = fread(original, 1, sizeof original, in);
    fclose(in);
    cr_assert(try_bytes(original, size));
    uint64_t state = 1;
    for (int round = 0; round < 2000; round++) {
        memcpy(noisy, original, size);
        for (int flips = 0; flips < 1 + round % 8; flips++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            noisy[(state >> 33) % size] ^= (uint8_t)(1u << (state >> 20) % 8);
        }
        try_bytes(noisy, round % 3 ? size : size - (state >> 40) % size);
    }
}
