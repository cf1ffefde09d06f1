/*
 * What the operators' eval functions share: access to many elements as numbers, and strided views.
 *
 * One computation serves every type: see element.h for how numbers are kept. Types are looked at
 * once per block of elements, or once per call where the loop is specialised (see FOR_REAL_TYPE).
 * Only files of this folder include it.
 */
#ifndef OPS_EVAL_H
#define OPS_EVAL_H

#include "base/element.h"
#include "ops/op.h"

#include <math.h>
#include <string.h>

#define EVAL_BLOCK 256

/* ---- single elements, see also base/element.h ---- */

/* Element `i` of any tensor becomes `x`, truncated for integers; see tensor_number. */
void number_put(tensor *t, size_t i, double x);

/* ---- blocks of elements ---- */

/* `out[i]` is element `offsets[i]` of `t`. */
void load_reals(const tensor *t, const size_t *offsets, size_t n, double *out);
void load_ints(const tensor *t, const size_t *offsets, size_t n, int64_t *out);
/* Elements start, start + 1, ... of `t` become `x`. */
void store_reals(tensor *t, size_t start, size_t n, const double *x);
void store_ints(tensor *t, size_t start, size_t n, const int64_t *x);
/* Element `offsets[i]` of `t` becomes `x[i]`. */
void scatter_reals(tensor *t, const size_t *offsets, size_t n, const double *x);
/* Elements start, ... of `out` become those at `offsets` of `in`, which has the same type. */
void copy_elements(tensor *out, size_t start, const tensor *in, const size_t *offsets, size_t n);
/* The whole content of a tensor with as many elements of the same type. */
void copy_tensor(tensor *out, const tensor *in);
void fill_zero(tensor *out);
/* Every element becomes that of `one`, which has the same type. */
void fill_with(tensor *out, const tensor *one);

/* ---- views ---- */

/* Elements of a dense tensor in another order: element (i0, i1, ...) is at offset + sum i*stride.
 */
typedef struct view {
    int rank;
    size_t count; /* product of the extents */
    int64_t offset;
    int64_t dims[CNN_MAX_RANK];
    int64_t strides[CNN_MAX_RANK];
} view;

/* The tensor as it is. */
view view_of(const cnn_shape *shape);
/* The part of the tensor from its beginning that has the shape `part`. */
view view_part(const cnn_shape *shape, const cnn_shape *part);
/* Stretched to `out` by NumPy's rule, which must hold. */
view view_broadcast(const cnn_shape *shape, const cnn_shape *out);
/* Axis i of the view is axis axes[i] of the tensor. */
view view_axes(const cnn_shape *shape, const int *axes, int count);
/* The axes in `set` (bit a for axis a), in order; of none, a view of one element. */
view view_select(const cnn_shape *shape, unsigned set);
/* The axes in `set` of a view; its offset is kept. */
view view_pick(const view *v, unsigned set);
/* Offsets of the view's elements start, ..., start + n - 1 in row-major order. */
void view_offsets(const view *v, size_t start, size_t n, size_t *offsets);
/* out is the view's content, dense. */
void view_copy(const view *v, const tensor *in, tensor *out);

/* ---- arguments ---- */

/* Positions of a window's three extents. */
static inline size_t eval_volume(const int64_t extents[3]) {
    return (size_t)extents[0] * (size_t)extents[1] * (size_t)extents[2];
}

/* Optional arguments: NULL if left out. */
static inline const tensor *eval_in(const graph_node *node, const tensor *const *in, size_t i) {
    return i < node->input_count ? in[i] : NULL;
}

static inline tensor *eval_out(const graph_node *node, tensor *const *out, size_t i) {
    return i < node->output_count ? out[i] : NULL;
}

/*
 * The kernel positions [lo, hi) of window position `o` on axis `i` that lie inside the input, and
 * (lo_pad = 0) those inside the padded input, hi_pad: windows that ceil_mode adds may go beyond.
 */
typedef struct window_range {
    int64_t first; /* input position of kernel position 0 */
    int64_t lo, hi, hi_pad;
} window_range;
window_range eval_window_range(const op_window *w, int i, int64_t o);

/* Output 0 becomes f(input 0), element by element, of the same floating-point type. */
typedef double real_fn(double x, const double *params);
void eval_real_map(const tensor *in, tensor *out, real_fn *f, const double *params);
typedef int64_t int_fn(int64_t x, const int64_t *params);
void eval_int_map(const tensor *in, tensor *out, int_fn *f, const int64_t *params);

#endif
