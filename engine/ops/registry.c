/* The table of operators: every family, and the search by domain, name and operator set version. */
#include "ops/families.h"

#include <string.h>

const op_def *const op_families[] = {
    ops_conv,
    ops_pool,
    ops_global_pool,
    ops_adaptive_pool,
    ops_likelihood_pool,
    ops_wavelet_pool,
    ops_unpool,
    ops_activation,
    ops_elementwise,
    ops_math,
    ops_gemm,
    ops_shape,
    ops_movement,
    ops_gather,
    ops_pad,
    ops_normalization,
    ops_cast,
    ops_constant,
    ops_softmax,
    ops_reduce,
    ops_resize,
    ops_roi,
    ops_quantize,
    ops_integer,
    ops_einsum,
    ops_sample,
    ops_attention,
    NULL,
};

const op_def *op_find(const char *domain, const char *name, int opset) {
    if (strcmp(domain, "ai.onnx") == 0) domain = "";
    for (const op_def *const *family = op_families; *family; family++)
        for (const op_def *op = *family; op->name; op++)
            if (strcmp(op->name, name) == 0 && strcmp(op->domain, domain) == 0 &&
                opset >= op->since && (op->until == 0 || opset <= op->until))
                return op;
    return NULL;
}

#define NAME_MAX_LENGTH 63

/* Levenshtein distance; names longer than NAME_MAX_LENGTH are infinitely far. */
static size_t edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[NAME_MAX_LENGTH + 1];
    if (n > NAME_MAX_LENGTH || m > NAME_MAX_LENGTH) return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = MIN(replaced, 1 + MIN(row[j], row[j - 1]));
        }
    }
    return row[m];
}

const op_def *op_nearest(const char *name) {
    const op_def *nearest = NULL;
    size_t best = MAX(strlen(name) / 3, 1) + 1; /* beyond a third of the letters none is near */
    for (const op_def *const *family = op_families; *family; family++)
        for (const op_def *op = *family; op->name; op++) {
            size_t distance = edit_distance(name, op->name);
            if (distance < best) {
                best = distance;
                nearest = op;
            }
        }
    return nearest;
}

void op_versions(const op_def *op, int *first, int *last) {
    *first = op->since;
    *last = op->until;
    for (const op_def *const *family = op_families; *family; family++)
        for (const op_def *other = *family; other->name; other++) {
            if (strcmp(other->name, op->name) != 0 || strcmp(other->domain, op->domain) != 0)
                continue;
            *first = MIN(*first, other->since);
            *last = *last && other->until ? MAX(*last, other->until) : 0;
        }
}
