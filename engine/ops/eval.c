/*
 * Element access and strided views for the reference computations (see eval.h).
 *
 * Everything works on blocks of up to EVAL_BLOCK offsets: a view says where the elements are, a
 * load turns them into numbers, a store rounds them back. Nothing here allocates.
 */
#include "ops/eval.h"

void number_put(tensor *t, size_t i, double x) {
    switch (number_class_of(t->dtype)) {
    case NUMBER_REAL:
        real_put(t->dtype, t->data, i, x);
        break;
    case NUMBER_SIGNED:
        int_put(t->dtype, t->data, i, int_of_double(x));
        break;
    default:
        int_put(t->dtype, t->data, i, (int64_t)uint_of_double(x));
    }
}

/* ---- blocks ---- */

ALWAYS_INLINE void load_reals_of(cnn_dtype type, const void *data, const size_t *offsets, size_t n,
                                 double *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = real_at(type, data, offsets[i]);
}

void load_reals(const tensor *t, const size_t *offsets, size_t n, double *out) {
    FOR_REAL_TYPE(t->dtype, load_reals_of, t->data, offsets, n, out);
}

ALWAYS_INLINE void store_reals_of(cnn_dtype type, void *data, size_t start, size_t n,
                                  const double *x) {
    for (size_t i = 0; i < n; i++)
        real_put(type, data, start + i, x[i]);
}

void store_reals(tensor *t, size_t start, size_t n, const double *x) {
    FOR_REAL_TYPE(t->dtype, store_reals_of, t->data, start, n, x);
}

ALWAYS_INLINE void scatter_reals_of(cnn_dtype type, void *data, const size_t *offsets, size_t n,
                                    const double *x) {
    for (size_t i = 0; i < n; i++)
        real_put(type, data, offsets[i], x[i]);
}

void scatter_reals(tensor *t, const size_t *offsets, size_t n, const double *x) {
    FOR_REAL_TYPE(t->dtype, scatter_reals_of, t->data, offsets, n, x);
}

void load_ints(const tensor *t, const size_t *offsets, size_t n, int64_t *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = int_at(t->dtype, t->data, offsets[i]);
}

void store_ints(tensor *t, size_t start, size_t n, const int64_t *x) {
    for (size_t i = 0; i < n; i++)
        int_put(t->dtype, t->data, start + i, x[i]);
}

/* ALWAYS_INLINE, so that memcpy of a literal size becomes one load and one store. */
ALWAYS_INLINE void copy_items(size_t size, char *out, const char *in, const size_t *offsets,
                              size_t n) {
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * size, in + offsets[i] * size, size);
}

void copy_elements(tensor *out, size_t start, const tensor *in, const size_t *offsets, size_t n) {
    size_t size = cnn_dtype_size(in->dtype);
    char *to = (char *)out->data + start * size;
    switch (size) {
    case 1:
        copy_items(1, to, in->data, offsets, n);
        break;
    case 2:
        copy_items(2, to, in->data, offsets, n);
        break;
    case 4:
        copy_items(4, to, in->data, offsets, n);
        break;
    default:
        copy_items(8, to, in->data, offsets, n);
    }
}

void copy_tensor(tensor *out, const tensor *in) {
    if (out->bytes > 0 && out->data != in->data) memcpy(out->data, in->data, out->bytes);
}

#define FILL_BYTES ((size_t)16 << 10) /* that are copied at a time: they stay in the cache */

void fill_with(tensor *out, const tensor *one) {
    char *to = out->data;
    size_t done = MIN(cnn_dtype_size(one->dtype), out->bytes);
    if (done > 0) memcpy(to, one->data, done);
    for (size_t n; done < out->bytes; done += n) {
        n = MIN(MIN(done, FILL_BYTES), out->bytes - done);
        memcpy(to + done, to, n);
    }
}

void fill_zero(tensor *out) {
    if (out->bytes > 0) memset(out->data, 0, out->bytes);
}

/* ---- views ---- */

view view_of(const cnn_shape *shape) {
    return view_broadcast(shape, shape);
}

view view_part(const cnn_shape *shape, const cnn_shape *part) {
    view v = view_of(shape);
    v.count = 1;
    for (int i = 0; i < v.rank; i++) {
        v.dims[i] = part->dims[i];
        v.count *= (size_t)part->dims[i];
    }
    return v;
}

view view_broadcast(const cnn_shape *shape, const cnn_shape *out) {
    view v = {.rank = out->rank, .count = 1};
    uint64_t stride = 1; /* overflows in tensors without elements only */
    for (int i = out->rank - 1; i >= 0; i--) {
        int own = i - (out->rank - shape->rank);
        int64_t extent = own >= 0 ? shape->dims[own] : 1;
        v.dims[i] = out->dims[i];
        v.strides[i] = extent == 1 ? 0 : (int64_t)stride;
        v.count *= (size_t)out->dims[i];
        stride *= (uint64_t)extent;
    }
    return v;
}

view view_axes(const cnn_shape *shape, const int *axes, int count) {
    view all = view_of(shape), v = {.rank = count, .count = 1};
    for (int i = 0; i < count; i++) {
        v.dims[i] = all.dims[axes[i]];
        v.strides[i] = all.strides[axes[i]];
        v.count *= (size_t)v.dims[i];
    }
    return v;
}

view view_pick(const view *v, unsigned set) {
    view picked = {.count = 1, .offset = v->offset};
    for (int i = 0; i < v->rank; i++) {
        if (!(set >> i & 1)) continue;
        picked.dims[picked.rank] = v->dims[i];
        picked.strides[picked.rank++] = v->strides[i];
        picked.count *= (size_t)v->dims[i];
    }
    return picked;
}

view view_select(const cnn_shape *shape, unsigned set) {
    view all = view_of(shape);
    return view_pick(&all, set);
}

void view_offsets(const view *v, size_t start, size_t n, size_t *offsets) {
    int64_t index[CNN_MAX_RANK] = {0}, offset = v->offset;
    for (int a = v->rank - 1; a >= 0 && v->count > 0; a--) {
        index[a] = (int64_t)(start % (size_t)v->dims[a]);
        start /= (size_t)v->dims[a];
        offset += index[a] * v->strides[a];
    }
    for (size_t i = 0; i < n; i++) {
        offsets[i] = (size_t)offset;
        for (int a = v->rank - 1; a >= 0; a--) { /* the next position, as an odometer counts */
            offset += v->strides[a];
            if (++index[a] < v->dims[a]) break;
            offset -= v->dims[a] * v->strides[a];
            index[a] = 0;
        }
    }
}

void view_copy(const view *v, const tensor *in, tensor *out) {
    size_t offsets[EVAL_BLOCK];
    for (size_t start = 0; start < v->count; start += EVAL_BLOCK) {
        size_t n = MIN(v->count - start, (size_t)EVAL_BLOCK);
        view_offsets(v, start, n, offsets);
        copy_elements(out, start, in, offsets, n);
    }
}

/* ---- windows ---- */

/* How many kernel positions, each `dilation` apart, lie before a point `distance` ahead. */
static int64_t positions_before(int64_t distance, int64_t dilation) {
    return distance <= 0 ? 0 : DIV_UP(distance, dilation);
}

window_range eval_window_range(const op_window *w, int i, int64_t o) {
    window_range r = {.first = o * w->stride[i] - w->pad_begin[i]};
    r.lo = MIN(w->kernel[i], positions_before(-r.first, w->dilation[i]));
    r.hi = MIN(w->kernel[i], positions_before(w->in[i] - r.first, w->dilation[i]));
    r.hi_pad =
        MIN(w->kernel[i], positions_before(w->in[i] + w->pad_end[i] - r.first, w->dilation[i]));
    return r;
}

/* ---- maps ---- */

static void count_up(size_t start, size_t n, size_t *offsets) {
    for (size_t i = 0; i < n; i++)
        offsets[i] = start + i;
}

void eval_real_map(const tensor *in, tensor *out, real_fn *f, const double *params) {
    size_t offsets[EVAL_BLOCK];
    double x[EVAL_BLOCK];
    for (size_t start = 0; start < out->elements; start += EVAL_BLOCK) {
        size_t n = MIN(out->elements - start, (size_t)EVAL_BLOCK);
        count_up(start, n, offsets);
        load_reals(in, offsets, n, x);
        for (size_t i = 0; i < n; i++)
            x[i] = f(x[i], params);
        store_reals(out, start, n, x);
    }
}

void eval_int_map(const tensor *in, tensor *out, int_fn *f, const int64_t *params) {
    for (size_t i = 0; i < out->elements; i++)
        int_put(out->dtype, out->data, i, f(int_at(in->dtype, in->data, i), params));
}
