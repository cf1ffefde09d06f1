/*
 * What the reference computations of the pooling operators share: the walk over all windows of a
 * tensor, and over the cells of a window.
 *
 * All shapes are taken as (N, C, I0, I1, I2) with neutral trailing axes. A window's cells inside
 * the input are a range on each axis, so that the loops visit no padding, however much of it a file
 * asks for. Windows slide (op_window_read), or are the bins of an adaptive pooling.
 */
#ifndef OPS_POOL_WINDOW_H
#define OPS_POOL_WINDOW_H

#include "kernels/kernels.h" /* limits */
#include "ops/eval.h"
#include "ops/infer.h"

/* The cells of a window at position `o` of output axis `i`. */
typedef window_range range_fn(const op_window *w, int i, int64_t o);

typedef struct pooling {
    op_window w;
    range_fn *range;     /* eval_window_range or pool_bin */
    bool with_padding;   /* average: cells of the padding count */
    double p;            /* Lp */
    const tensor *alpha; /* mixed: the maximum's part, one or one for each channel */
} pooling;

/* The cells of bin `o` of the w->out[i] that the axis is cut into: floor(o in / out) up to
 * ceil((o + 1) in / out), as PyTorch's adaptive pooling and He et al. (2014) have it. */
window_range pool_bin(const op_window *w, int i, int64_t o);

/* Reads a node with kernel_shape and so on. For eval: infer has seen that it is right. */
pooling pool_sliding(const graph_node *node, const cnn_shape *in);
/* `window` of those nodes. */
void pool_window_of(const graph *g, const graph_node *node, op_window *out);
/* Each plane cut into `out` bins. */
pooling pool_bins(const cnn_shape *in, const int64_t *out);
/* One bin: the plane as a whole, of any number of axes. */
pooling pool_global(const cnn_shape *in);

/* The attributes of windows in the newest form. */
#define POOL_ATTRS                                                                                 \
    "auto_pad:string kernel_shape:ints! pads:ints strides:ints dilations:ints ceil_mode:int"

/* Checks types and window, and gives the output's shape. */
cnn_status pool_infer_shape(const graph *g, const graph_node *node, type_set types, cnn_shape *out,
                            cnn_error *err);
/* The infer of a node whose one output has the input's type, floating-point. */
cnn_status pool_infer(graph *g, graph_node *node, cnn_error *err);

#define POOL_MAX_LEVEL 256 /* bins on an axis of a pyramid */

/* Attribute p of an Lp norm is at least 1. */
cnn_status pool_infer_norm(const graph_node *node, cnn_error *err);

/* Poolings that several operators compute. Output element i is at out->data[i]. */
void pool_max(const pooling *p, const tensor *x, tensor *out);
void pool_average(const pooling *p, const tensor *x, tensor *out);
void pool_lp(const pooling *p, const tensor *x, tensor *out);

/* ---- loops ---- */

/* The window of one output element. */
typedef struct spot {
    size_t plane; /* image * channels + channel */
    size_t first; /* element of x at which the plane begins */
    window_range r[3];
} spot;

static inline size_t pool_planes(const tensor *x) {
    return (size_t)(x->shape.dims[0] * x->shape.dims[1]);
}

/* Calls `fn(..., spot, at)` for each output element `at`. */
#define FOR_EACH_WINDOW(p, planes, fn, ...)                                                        \
    do {                                                                                           \
        const op_window *few_w = &(p)->w;                                                          \
        size_t few_at = 0;                                                                         \
        spot few_s = {0};                                                                          \
        for (few_s.plane = 0; few_s.plane < (planes); few_s.plane++) {                             \
            few_s.first = few_s.plane * eval_volume(few_w->in);                                    \
            for (int64_t o0 = 0; o0 < few_w->out[0]; o0++) {                                       \
                few_s.r[0] = (p)->range(few_w, 0, o0);                                             \
                for (int64_t o1 = 0; o1 < few_w->out[1]; o1++) {                                   \
                    few_s.r[1] = (p)->range(few_w, 1, o1);                                         \
                    for (int64_t o2 = 0; o2 < few_w->out[2]; o2++) {                               \
                        few_s.r[2] = (p)->range(few_w, 2, o2);                                     \
                        fn(__VA_ARGS__, &few_s, few_at++);                                         \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static inline int64_t spot_position(const op_window *w, const spot *s, int i, int64_t k) {
    return s->r[i].first + k * w->dilation[i];
}

/* Loops over the positions of a window that lie inside the input: `i0`, `i1`, `i2`. */
#define FOR_EACH_POSITION(w, s)                                                                    \
    for (int64_t k0 = (s)->r[0].lo; k0 < (s)->r[0].hi; k0++)                                       \
        for (int64_t k1 = (s)->r[1].lo, i0 = spot_position(w, s, 0, k0); k1 < (s)->r[1].hi; k1++)  \
            for (int64_t k2 = (s)->r[2].lo, i1 = spot_position(w, s, 1, k1), i2;                   \
                 k2 < (s)->r[2].hi && (i2 = spot_position(w, s, 2, k2), true); k2++)

static inline size_t position_index(const op_window *w, int64_t i0, int64_t i1, int64_t i2) {
    return (size_t)((i0 * w->in[1] + i1) * w->in[2] + i2);
}

ALWAYS_INLINE double spot_value(cnn_dtype type, const pooling *p, const tensor *x, const spot *s,
                                int64_t i0, int64_t i1, int64_t i2) {
    return real_at(type, x->data, s->first + position_index(&p->w, i0, i1, i2));
}

/* Cells that count: those inside the input, or inside the padded input. */
static inline double spot_size(const spot *s, bool with_padding) {
    double size = 1;
    for (int i = 0; i < 3; i++)
        size *= with_padding ? (double)s->r[i].hi_pad : (double)(s->r[i].hi - s->r[i].lo);
    return size;
}

/*
 * Defines `linkage void name(const pooling *p, const tensor *x, tensor *out)`, which computes each
 * output element with `double name_of(cnn_dtype type, const pooling *p, const tensor *x, const spot
 * *s)`.
 */
#define DEFINE_POOLING(linkage, name)                                                              \
    ALWAYS_INLINE void name##_at(cnn_dtype type, const pooling *p, const tensor *x, tensor *out,   \
                                 const spot *s, size_t at) {                                       \
        real_put(type, out->data, at, name##_of(type, p, x, s));                                   \
    }                                                                                              \
    ALWAYS_INLINE void name##_all(cnn_dtype type, const pooling *p, const tensor *x,               \
                                  tensor *out) {                                                   \
        FOR_EACH_WINDOW(p, pool_planes(x), name##_at, type, p, x, out);                            \
    }                                                                                              \
    linkage void name(const pooling *p, const tensor *x, tensor *out) {                            \
        FOR_REAL_TYPE(x->dtype, name##_all, p, x, out);                                            \
    }

#endif
