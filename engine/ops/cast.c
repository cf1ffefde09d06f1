/*
 * Cast and CastLike between all numeric types and bool.
 *
 * To integers: truncation, then the low bits (what is out of range is undefined in ONNX, and this
 * is what C compilers give). To bool: whether it is not zero. To the narrow floating-point types:
 * one rounding, to nearest, ties to even.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

static cnn_status cast_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    int64_t to = graph_attr_int(node, "to", 0);
    if (to < 1 || to > 31 || !(TYPES_ANY & TYPE(to)))
        return op_fail(node, err, CNN_UNSUPPORTED, "a cast to type %s (%lld) is not supported",
                       to > 0 && to < 32 ? cnn_dtype_name((cnn_dtype)to) : "unknown",
                       (long long)to);
    cnn_shape shape = op_input(g, node, 0)->shape;
    return op_set_output(g, node, 0, (cnn_dtype)to, &shape, err);
}

static cnn_status cast_like_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    cnn_shape shape = op_input(g, node, 0)->shape;
    return op_set_output(g, node, 0, op_input(g, node, 1)->dtype, &shape, err);
}

static void real_to_any(const tensor *x, tensor *y) {
    for (size_t i = 0; i < y->elements; i++) {
        double value = real_at(x->dtype, x->data, i);
        if (y->dtype == CNN_BOOL)
            int_put(CNN_BOOL, y->data, i, value != 0);
        else
            number_put(y, i, value);
    }
}

static void int_to_real(const tensor *x, tensor *y) {
    bool is_signed = number_class_of(x->dtype) == NUMBER_SIGNED;
    for (size_t i = 0; i < y->elements; i++) {
        int64_t value = int_at(x->dtype, x->data, i);
        if (y->dtype == CNN_FLOAT32) /* from 64 bits at once: over double it would round twice */
            ((float *)y->data)[i] = is_signed ? (float)value : (float)(uint64_t)value;
        else
            real_put(y->dtype, y->data, i, is_signed ? (double)value : (double)(uint64_t)value);
    }
}

static void cast_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    const tensor *x = in[0];
    tensor *y = out[0];
    if (number_class_of(x->dtype) == NUMBER_REAL)
        real_to_any(x, y);
    else if (number_class_of(y->dtype) == NUMBER_REAL)
        int_to_real(x, y);
    else
        for (size_t i = 0; i < y->elements; i++)
            int_put(y->dtype, y->data, i, int_at(x->dtype, x->data, i));
}

#define CAST(first, last, extra)                                                                   \
    OP("Cast", first, last, 1, 1, 1, 1), .attrs = "to:int!" extra, .infer = cast_infer,            \
                                         .eval = cast_eval

/* saturate and round_mode concern the 8-bit floating-point types only, which are not supported. */
const op_def ops_cast[] = {
    {CAST(6, 18, "")},
    {CAST(19, 23, " saturate:int")},
    {CAST(24, 0, " saturate:int round_mode:string")},
    {
        OP("CastLike", 15, 18, 2, 2, 1, 1),
        .infer = cast_like_infer,
        .eval = cast_eval,
    },
    {
        OP("CastLike", 19, 0, 2, 2, 1, 1),
        .attrs = "saturate:int round_mode:string",
        .infer = cast_like_infer,
        .eval = cast_eval,
    },
    {.name = NULL},
};
