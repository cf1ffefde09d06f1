/*
 * Element-wise kernels. Elements behind the last whole vector take part in a padded one, so that an
 * element's result does not depend on where a caller cuts the range.
 */
#include "kernels/act.h"

/* Elements between two passes of an activation that does not fit into registers; they stay in the
 * first-level cache. */
#define ELEMENTWISE_STRIP 2048

INLINE vec binary_vector(vec a, vec b, binary_op op) {
    switch (op) {
    case BINARY_ADD:
        return a + b;
    case BINARY_SUB:
        return a - b;
    case BINARY_MUL:
        return a * b;
    case BINARY_DIV:
        return a / b;
    }
    return a;
}

/* What one operand is: the other array, a scalar, or 16 lanes. */
typedef enum operand_kind { OPERAND_ARRAY, OPERAND_SCALAR, OPERAND_LANES } operand_kind;

typedef struct binary_work {
    const float *a, *b; /* b: array, one scalar, or 16 lanes */
    float *out;
    vec low, high;
} binary_work;

INLINE vec binary_operand(const binary_work *w, size_t i, operand_kind kind) {
    switch (kind) {
    case OPERAND_ARRAY:
        return vec_loadu(w->b + i);
    case OPERAND_SCALAR:
        return vec_set(*w->b);
    case OPERAND_LANES:
        return vec_loadu(w->b + i % LANES);
    }
    return (vec){0};
}

INLINE void binary_loop(const binary_work *w, size_t count, const binary_op op,
                        const operand_kind kind, const bool swapped) {
    size_t i = 0;
    for (; i + SIMD_WIDTH <= count; i += SIMD_WIDTH) {
        vec a = vec_loadu(w->a + i), b = binary_operand(w, i, kind);
        vec y = swapped ? binary_vector(b, a, op) : binary_vector(a, b, op);
        vec_storeu(w->out + i, vec_bound(y, w->low, w->high));
    }
    if (i == count) return;
    vec a = vec_load_part(w->a + i, count - i);
    vec b = kind == OPERAND_ARRAY ? vec_load_part(w->b + i, count - i) : binary_operand(w, i, kind);
    vec y = swapped ? binary_vector(b, a, op) : binary_vector(a, b, op);
    vec_store_part(w->out + i, vec_bound(y, w->low, w->high), count - i);
}

INLINE void binary_op_loop(const binary_work *w, size_t count, binary_op op,
                           const operand_kind kind, const bool swapped) {
    switch (op) {
    case BINARY_ADD:
        binary_loop(w, count, BINARY_ADD, kind, swapped);
        return;
    case BINARY_SUB:
        binary_loop(w, count, BINARY_SUB, kind, swapped);
        return;
    case BINARY_MUL:
        binary_loop(w, count, BINARY_MUL, kind, swapped);
        return;
    case BINARY_DIV:
        binary_loop(w, count, BINARY_DIV, kind, swapped);
        return;
    }
}

INLINE void binary_strips(const float *a, const float *b, float *out, size_t count, binary_op op,
                          const operand_kind kind, bool swapped, act_params act) {
    act_range bounds = act_bounds(act);
    binary_work w = {.low = vec_set(bounds.low), .high = vec_set(bounds.high)};
    for (size_t i = 0; i < count; i += ELEMENTWISE_STRIP) {
        size_t strip = MIN(ELEMENTWISE_STRIP, count - i);
        w.a = a + i;
        w.b = kind == OPERAND_ARRAY ? b + i : b;
        w.out = out + i;
        if (swapped)
            binary_op_loop(&w, strip, op, kind, true);
        else
            binary_op_loop(&w, strip, op, kind, false);
        act_finish(out + i, strip, act);
    }
}

static void kernel_binary(const float *a, const float *b, float *out, size_t count, binary_op op,
                          act_params act) {
    binary_strips(a, b, out, count, op, OPERAND_ARRAY, false, act);
}

static void kernel_binary_scalar(const float *a, float s, float *out, size_t count, binary_op op,
                                 bool swapped, act_params act) {
    binary_strips(a, &s, out, count, op, OPERAND_SCALAR, swapped, act);
}

static void kernel_binary_lanes(const float *a, const float *v, float *out, size_t count,
                                binary_op op, bool swapped, act_params act) {
    binary_strips(a, v, out, count, op, OPERAND_LANES, swapped, act);
}

static void kernel_affine_lanes(const float *in, const float *scale, const float *shift, float *out,
                                size_t count, act_params act) {
    act_range bounds = act_bounds(act);
    vec low = vec_set(bounds.low), high = vec_set(bounds.high);
    for (size_t i = 0; i < count; i += ELEMENTWISE_STRIP) {
        size_t end = MIN(i + ELEMENTWISE_STRIP, count);
        for (size_t j = i; j < end; j += SIMD_WIDTH) {
            vec a = vec_loadu(scale + j % LANES), b = vec_loadu(shift + j % LANES);
            vec_storeu(out + j, vec_bound(vec_fma(vec_loadu(in + j), a, b), low, high));
        }
        act_finish(out + i, end - i, act);
    }
}
