/*
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear on 8, 16 and 32-bit integers (the 2, 4
 * and 8-bit floating-point and sub-byte types are refused).
 *
 * Scale and zero point are one for the tensor, one for each position on an axis, or one for each
 * block of positions on an axis; that is the only difference between the forms.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

#define TYPES_QUANTIZED (TYPE(CNN_INT8) | TYPE(CNN_UINT8) | TYPE(CNN_INT16) | TYPE(CNN_UINT16))

/* Which scale belongs to an element. */
typedef struct granularity {
    size_t step, length; /* x is (outer, length, step) around the axis */
    size_t block;        /* positions on the axis that share a scale */
    size_t scales;       /* along the axis; 1: one for the tensor */
    bool blocked;        /* the scales have the axes of x, too */
} granularity;

static cnn_status fail_scale(const graph_node *node, const cnn_shape *scale, const cnn_shape *x,
                             cnn_error *err) {
    char a[128], b[128];
    return op_fail(node, err, CNN_INVALID_MODEL,
                   "a scale of shape %s fits the input's shape %s neither per tensor, per axis nor "
                   "per block",
                   cnn_shape_text(scale, a, sizeof a), cnn_shape_text(x, b, sizeof b));
}

static cnn_status read_granularity(const graph_node *node, const cnn_shape *x,
                                   const cnn_shape *scale, granularity *out, cnn_error *err) {
    *out = (granularity){1, 1, 1, 1, false};
    int64_t block = graph_attr_int(node, "block_size", 0);
    if (scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1 && block == 0)) return CNN_OK;
    int axis;
    TRY(op_read_axis(node, 1, x->rank == 1 ? 2 : x->rank, &axis, err));
    if (x->rank == 1) axis = 0;
    out->length = (size_t)x->dims[axis];
    out->step = (size_t)op_product(x, axis + 1, x->rank);
    out->blocked = block > 0;
    if (!out->blocked) {
        if (scale->rank != 1 || scale->dims[0] != x->dims[axis])
            return fail_scale(node, scale, x, err);
        out->scales = (size_t)scale->dims[0];
        return CNN_OK;
    }
    bool fits = scale->rank == x->rank && block <= GRAPH_MAX_EXTENT;
    for (int i = 0; fits && i < x->rank; i++)
        fits =
            i == axis ? scale->dims[i] == DIV_UP(x->dims[i], block) : scale->dims[i] == x->dims[i];
    if (!fits) return fail_scale(node, scale, x, err);
    out->block = (size_t)block;
    out->scales = (size_t)scale->dims[axis];
    return CNN_OK;
}

static size_t scale_index(const granularity *p, size_t at) {
    if (!p->blocked) return p->scales == 1 ? 0 : at / p->step % p->length;
    size_t outer = at / p->step / p->length, position = at / p->step % p->length;
    return (outer * p->scales + position / p->block) * p->step + at % p->step;
}

/* How many elements from a multiple of that number on share a scale. */
static size_t scale_run(const granularity *p, size_t elements) {
    if (p->blocked) return 1;
    return p->scales == 1 ? elements : p->step;
}

/* Types and shapes of x, scale and zero point. */
static cnn_status check_inputs(const graph *g, const graph_node *node, cnn_error *err) {
    TRY(op_expect_type(g, node, 1, TYPES_REAL, err));
    const graph_value *x = op_input(g, node, 0), *scale = op_input(g, node, 1);
    const graph_value *zero = op_input(g, node, 2);
    granularity p;
    size_t a = 0, b = 0;
    TRY(read_granularity(node, &x->shape, &scale->shape, &p, err));
    if (!zero || cnn_shape_equal(&zero->shape, &scale->shape)) return CNN_OK;
    if (cnn_shape_elements(&zero->shape, &a) && cnn_shape_elements(&scale->shape, &b) && a == 1 &&
        b == 1)
        return CNN_OK;
    return op_fail(node, err, CNN_INVALID_MODEL, "scale and zero point differ in shape");
}

/* ---- QuantizeLinear: y = saturate(round(x / scale) + zero point) ---- */

static cnn_status quantize_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_REAL | TYPE(CNN_INT32), err));
    TRY(op_expect_type(g, node, 2, TYPES_QUANTIZED, err));
    TRY(check_inputs(g, node, err));
    const graph_value *zero = op_input(g, node, 2);
    int64_t wanted = graph_attr_int(node, "output_dtype", 0);
    if (wanted == 0) wanted = zero ? (int64_t)zero->dtype : CNN_UINT8;
    if (wanted < 1 || wanted > 31 || !(TYPES_QUANTIZED & TYPE(wanted)))
        return op_fail(node, err, CNN_UNSUPPORTED, "output type %lld is not supported",
                       (long long)wanted);
    if (zero && (int64_t)zero->dtype != wanted)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "output_dtype and the zero point's type differ");
    cnn_shape shape = op_input(g, node, 0)->shape;
    return op_set_output(g, node, 0, (cnn_dtype)wanted, &shape, err);
}

/* `x` as a value of the type. */
static double rounded(cnn_dtype type, double x) {
    uint64_t space = 0;
    real_put(type, &space, 0, x);
    return real_at(type, &space, 0);
}

static void put_saturated(tensor *y, size_t at, double x) {
    bool is_signed = number_class_of(y->dtype) == NUMBER_SIGNED;
    int64_t range = INT64_C(1) << (8 * cnn_dtype_size(y->dtype) - is_signed);
    double low = is_signed ? (double)-range : 0, high = (double)(range - 1);
    int_put(y->dtype, y->data, at, int_of_double(MIN(MAX(x, low), high)));
}

static void quantize_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *x = in[0], *scale = in[1], *zero = eval_in(node, in, 2);
    int64_t precision = graph_attr_int(node, "precision", 0);
    cnn_dtype type = scale->dtype;
    if (precision > 0 && precision < 32 && (TYPES_REAL & TYPE(precision)))
        type = (cnn_dtype)precision;
    granularity p;
    if (read_granularity(node, &x->shape, &scale->shape, &p, NULL) != CNN_OK) return;
    for (size_t at = 0; at < x->elements; at++) {
        size_t s = scale_index(&p, at);
        double q = rint(rounded(type, tensor_number(x, at) / tensor_number(scale, s)));
        put_saturated(out[0], at, q + (zero ? tensor_number(zero, s) : 0));
    }
}

/* ---- DequantizeLinear: y = (x - zero point) scale ---- */

static cnn_status dequantize_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPES_QUANTIZED | TYPE(CNN_INT32), err));
    TRY(op_expect_type(g, node, 2, TYPE(op_input(g, node, 0)->dtype), err));
    TRY(check_inputs(g, node, err));
    int64_t wanted = graph_attr_int(node, "output_dtype", 0);
    if (wanted == 0) wanted = (int64_t)op_input(g, node, 1)->dtype;
    if (wanted < 1 || wanted > 31 || !(TYPES_REAL & TYPE(wanted)))
        return op_fail(node, err, CNN_UNSUPPORTED, "output type %lld is not supported",
                       (long long)wanted);
    cnn_shape shape = op_input(g, node, 0)->shape;
    return op_set_output(g, node, 0, (cnn_dtype)wanted, &shape, err);
}

/*
 * Elements at, ..., at + n - 1 share a scale. An integer of up to 16 bits less another one is exact
 * in single precision, so that its product with a scale of that precision is rounded once there,
 * too.
 */
#define DEQUANTIZE_TO_FLOAT(T)                                                                     \
    for (size_t i = 0; i < n; i++)                                                                 \
    y[i] = ((float)((const T *)x->data)[at + i] - (float)zero) * (float)scale

static void dequantize_run(const tensor *x, size_t at, size_t n, double zero, double scale,
                           tensor *out) {
    bool single = out->dtype == CNN_FLOAT32 && (double)(float)scale == scale;
    float *y = single ? (float *)out->data + at : NULL;
    if (single && x->dtype == CNN_INT8)
        DEQUANTIZE_TO_FLOAT(int8_t);
    else if (single && x->dtype == CNN_UINT8)
        DEQUANTIZE_TO_FLOAT(uint8_t);
    else if (single && x->dtype == CNN_INT16)
        DEQUANTIZE_TO_FLOAT(int16_t);
    else if (single && x->dtype == CNN_UINT16)
        DEQUANTIZE_TO_FLOAT(uint16_t);
    else
        for (size_t i = at; i < at + n; i++)
            number_put(out, i, (tensor_number(x, i) - zero) * scale);
}

static void dequantize_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    const tensor *x = in[0], *scale = in[1], *zero = eval_in(node, in, 2);
    granularity p;
    if (read_granularity(node, &x->shape, &scale->shape, &p, NULL) != CNN_OK) return;
    size_t run = scale_run(&p, x->elements);
    for (size_t at = 0; at < x->elements; at += run) {
        size_t s = scale_index(&p, at);
        dequantize_run(x, at, run, zero ? tensor_number(zero, s) : 0, tensor_number(scale, s),
                       out[0]);
    }
}

/* ---- DynamicQuantizeLinear: uint8 over the range of the data, which always includes 0 ---- */

static cnn_status dynamic_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 0, TYPE(CNN_FLOAT32), err));
    cnn_shape shape = op_input(g, node, 0)->shape, scalar = {.rank = 0};
    TRY(op_set_output(g, node, 0, CNN_UINT8, &shape, err));
    TRY(op_set_output(g, node, 1, CNN_FLOAT32, &scalar, err));
    return op_set_output(g, node, 2, CNN_UINT8, &scalar, err);
}

static void dynamic_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    const float *x = in[0]->data;
    float low = 0, high = 0;
    for (size_t i = 0; i < in[0]->elements; i++) {
        low = MIN(low, x[i]);
        high = MAX(high, x[i]);
    }
    float scale = (high == low ? 1.0f : high - low) / 255.0f;
    float zero = rintf(MIN(MAX(0 - low / scale, 0.0f), 255.0f));
    for (size_t i = 0; i < in[0]->elements && out[0]; i++)
        put_saturated(out[0], i, (double)rintf(x[i] / scale) + (double)zero);
    if (out[1]) number_put(out[1], 0, (double)scale);
    if (out[2]) number_put(out[2], 0, (double)zero);
}

#define QUANTIZE(first, last, declared)                                                            \
    OP("QuantizeLinear", first, last, 2, 3, 1, 1), .attrs = declared, .infer = quantize_infer,     \
                                                   .eval = quantize_eval
#define DEQUANTIZE(first, last, declared)                                                          \
    OP("DequantizeLinear", first, last, 2, 3, 1, 1), .attrs = declared, .infer = dequantize_infer, \
                                                     .eval = dequantize_eval

const op_def ops_quantize[] = {
    {QUANTIZE(10, 12, NULL)},
    {QUANTIZE(13, 18, "axis:int")},
    {QUANTIZE(19, 20, "axis:int saturate:int")},
    {QUANTIZE(21, 22, "axis:int saturate:int block_size:int output_dtype:int")},
    {QUANTIZE(23, 0, "axis:int saturate:int block_size:int output_dtype:int precision:int")},
    {DEQUANTIZE(10, 12, NULL)},
    {DEQUANTIZE(13, 20, "axis:int")},
    {DEQUANTIZE(21, 22, "axis:int block_size:int")},
    {DEQUANTIZE(23, 0, "axis:int block_size:int output_dtype:int")},
    {
        OP("DynamicQuantizeLinear", 11, 0, 1, 1, 3, 3),
        .infer = dynamic_infer,
        .eval = dynamic_eval,
    },
    {.name = NULL},
};
