/* Checked arithmetic on sizes and shapes. */
#include "base/base.h"

#include <inttypes.h>
#include <stdio.h>

bool cnn_mul_size(size_t a, size_t b, size_t *out) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

bool cnn_add_size(size_t a, size_t b, size_t *out) {
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

bool cnn_shape_elements(const cnn_shape *shape, size_t *out) {
    if (shape->rank < 0 || shape->rank > CNN_MAX_RANK) return false;
    size_t elements = 1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 0 || !cnn_mul_size(elements, (size_t)shape->dims[i], &elements))
            return false;
    *out = elements;
    return true;
}

bool cnn_shape_equal(const cnn_shape *a, const cnn_shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

const char *cnn_shape_text(const cnn_shape *shape, char *buffer, size_t size) {
    if (size == 0) return buffer;
    if (shape->rank <= 0) {
        snprintf(buffer, size, shape->rank == 0 ? "scalar" : "unknown");
        return buffer;
    }
    size_t used = 0;
    buffer[0] = '\0';
    for (int i = 0; i < shape->rank && used < size; i++) {
        const char *cross = i > 0 ? "x" : "";
        int n = shape->dims[i] < 0
                    ? snprintf(buffer + used, size - used, "%s?", cross)
                    : snprintf(buffer + used, size - used, "%s%" PRId64, cross, shape->dims[i]);
        used += (size_t)MAX(n, 0);
    }
    return buffer;
}
