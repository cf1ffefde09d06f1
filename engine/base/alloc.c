/* Allocation. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

void *cnn_alloc_aligned(size_t bytes) {
    if (bytes > SIZE_MAX - CNN_ALIGN) return NULL;
    size_t rounded = DIV_UP(MAX(bytes, 1), CNN_ALIGN) * CNN_ALIGN;
    return aligned_alloc(CNN_ALIGN, rounded);
}

bool cnn_grow(void **items, size_t *capacity, size_t wanted, size_t item_size) {
    if (wanted <= *capacity) return true;
    size_t bytes, target = MAX(wanted, 16);
    if (*capacity <= SIZE_MAX / 2) target = MAX(target, *capacity * 2);
    if (!cnn_mul_size(target, item_size, &bytes)) return false;
    void *grown = realloc(*items, bytes);
    if (!grown) return false;
    *items = grown;
    *capacity = target;
    return true;
}
