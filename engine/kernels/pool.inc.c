/*
 * Pooling of every kind: one walk over windows (pool.h), and for each kind what it keeps of the
 * cells it has seen. Pixels whose whole window lies inside the image go POOL_PIXELS at a time
 * without checks; of a single window four chains of cells run side by side, so that additions do
 * not wait for each other. Maxima ignore NaN (they are chains of comparisons). The fits of
 * pool_fit.h and indices of maxima go one window at a time.
 */
#include "kernels/pool_fit.h"

#define POOL_PIXELS (SIMD_REGISTERS / 4)
#define POOL_CHAINS 4

/* ---- kinds ---- */

/* What is the same for all windows of a vector of lanes. */
typedef struct pool_lanes {
    vec lowest; /* -infinity; 0 beyond the last channel, where everything stays finite */
    vec alpha;
} pool_lanes;

static pool_lanes pool_lanes_of(const pool_args *a, int b, int lane) {
    pool_lanes l = {.alpha = {0}};
    for (int i = 0; i < SIMD_WIDTH; i++)
        l.lowest[i] = b * LANES + lane + i < a->in.c ? -INFINITY : 0;
    if (a->kind == POOL_MIXED) l.alpha = vec_loadu(a->alpha + (size_t)b * LANES + lane);
    return l;
}

/* What is kept of a window's cells: their sum, of maxima the maximum, and what else a kind needs.
 */
INLINE void pool_begin(const pool_lanes *l, vec *sum, vec *more, const pool_kind kind) {
    *sum = kind == POOL_MAX ? l->lowest : (vec){0};
    *more = kind == POOL_MIXED ? vec_set(-INFINITY) : (vec){0};
}

INLINE void pool_add(vec *sum, vec *more, vec x, const pool_kind kind, const int p) {
    const vec zero = {0};
    if (kind == POOL_LP && p == 1) x = vec_abs(x);
    if (kind == POOL_MIXED) *more = vec_max(x, *more);
    if (kind == POOL_STOCHASTIC) {
        x = vec_max(x, zero); /* also for NaN */
        *more = vec_fma(x, x, *more);
    }
    if (kind == POOL_ENTROPY) {
        vec_int counts = x >= POOL_LEAST;
        x = vec_select(counts, x, zero);
        *more = vec_fma(x, vec_log(vec_select(counts, x, vec_set(1))), *more);
    }
    if (kind == POOL_MAX)
        *sum = vec_max(x, *sum);
    else
        *sum = kind == POOL_LP && p == 2 ? vec_fma(x, x, *sum) : *sum + x;
}

/* `cells` counts those of the window; for averages perhaps with padding. */
INLINE vec pool_finish(vec sum, vec more, const pool_lanes *l, int cells, const pool_kind kind,
                       const int p) {
    const vec zero = {0}, divisor = vec_set((float)MAX(cells, 1));
    switch (kind) {
    case POOL_AVERAGE:
        return sum / divisor;
    case POOL_LP:
        return p == 1 ? sum : vec_sqrt(sum);
    case POOL_MIXED:
        return cells > 0 ? vec_fma(l->alpha, more, (1.0f - l->alpha) * (sum / divisor)) : zero;
    case POOL_STOCHASTIC:
        return vec_select(sum > 0, more / sum, zero);
    case POOL_ENTROPY:
        sum = vec_select(sum > 0, sum, vec_set(1));
        return vec_max(zero, vec_log(sum) - more / sum); /* NaN stays */
    default:
        return sum;
    }
}

/* ---- windows ---- */

/* Of POOL_PIXELS windows, `pixel` floats apart. */
INLINE void pool_reduce_many(const pool_window *w, size_t pixel, const pool_lanes *l, vec *sum,
                             vec *more, const pool_kind kind, const int p) {
    UNROLL for (int i = 0; i < POOL_PIXELS; i++) pool_begin(l, &sum[i], &more[i], kind);
    FOR_EACH_TAP(w) {
        const float *in = pool_tap(w, ky, kx);
        UNROLL for (int i = 0; i < POOL_PIXELS; i++)
            pool_add(&sum[i], &more[i], vec_load(in + i * pixel), kind, p);
    }
}

INLINE void pool_reduce(const pool_window *w, const pool_lanes *l, vec *sum, vec *more,
                        const pool_kind kind, const int p) {
    UNROLL for (int i = 0; i < POOL_CHAINS; i++) pool_begin(l, &sum[i], &more[i], kind);
    for (int ky = w->y.first; ky < w->y.last; ky++) {
        int kx = w->x.first;
        for (; kx + POOL_CHAINS <= w->x.last; kx += POOL_CHAINS)
            UNROLL for (int i = 0; i < POOL_CHAINS; i++)
                pool_add(&sum[i], &more[i], vec_load(pool_tap(w, ky, kx + i)), kind, p);
        for (; kx < w->x.last; kx++)
            pool_add(&sum[0], &more[0], vec_load(pool_tap(w, ky, kx)), kind, p);
    }
    if (w->x.last - w->x.first < POOL_CHAINS) return;
    UNROLL for (int i = 1; i < POOL_CHAINS; i++) {
        sum[0] = kind == POOL_MAX ? vec_max(sum[i], sum[0]) : sum[0] + sum[i];
        more[0] = kind == POOL_MIXED ? vec_max(more[i], more[0]) : more[0] + more[i];
    }
}

/* `count` pixels, 1 or POOL_PIXELS, of one vector of lanes. */
INLINE void pool_pixels(const pool_args *a, const pool_window *w, const pool_lanes *l, float *out,
                        const int count, const pool_kind kind, const int p) {
    int cells = pool_cells(w);
    if (kind == POOL_AVERAGE && a->count_include_pad) cells = w->y.padded * w->x.padded;
    vec sum[POOL_PIXELS], more[POOL_PIXELS];
    if (count == 1)
        pool_reduce(w, l, sum, more, kind, p);
    else
        pool_reduce_many(w, (size_t)a->stride_w * LANES, l, sum, more, kind, p);
    UNROLL for (int i = 0; i < count; i++)
        vec_store(out + i * LANES, pool_finish(sum[i], more[i], l, cells, kind, p));
}

INLINE const float *pool_plane(const blocked *in, int n, int b) {
    return in->data + n * in->image_pitch + b * in->block_pitch;
}

INLINE float *pool_out_row(const blocked *out, const rows_tile *t, int y) {
    return out->data + t->n * out->image_pitch + t->b * out->block_pitch + y * out->row_pitch;
}

/* Output pixels [x0, x1) of a row whose windows lie inside the image in x; bins are never alike. */
static void pool_inside(const pool_args *a, int *x0, int *x1) {
    *x0 = *x1 = 0;
    if (a->bins) return;
    int extent = (a->kernel_w - 1) * a->dilation_w + 1;
    int last = a->in.w + a->pad_left - extent; /* start of the last window, in padded cells */
    *x0 = MIN((a->pad_left + a->stride_w - 1) / a->stride_w, a->out.w);
    *x1 = last < 0 ? 0 : MIN(last / a->stride_w + 1, a->out.w);
    if (*x1 < *x0) *x1 = *x0;
}

/* Pixels [x, x + count), 1 or POOL_PIXELS. */
INLINE void pool_blocks(const pool_args *a, const float *plane, float *out, pool_taps rows,
                        pool_taps columns, const pool_lanes *lanes, const int count,
                        const pool_kind kind, const int p) {
    pool_window w = pool_window_at(a, plane, rows, columns);
    for (int i = 0; i < BLOCK_VECTORS; i++, w.in += SIMD_WIDTH, out += SIMD_WIDTH)
        pool_pixels(a, &w, &lanes[i], out, count, kind, p);
}

/* Twice: pixels one by one up to the inside, the inside, and one by one to the end. The last pixels
 * of the inside are computed again rather than one by one. */
INLINE void pool_row(const pool_args *a, const rows_tile *t, int y, const pool_lanes *lanes,
                     const pool_kind kind, const int p) {
    const float *plane = pool_plane(&a->in, t->n, t->b);
    float *out = pool_out_row(&a->out, t, y);
    pool_taps rows = pool_rows(a, y), whole = {0, 0, a->kernel_w, a->kernel_w};
    int inside, end;
    pool_inside(a, &inside, &end);
    for (int pass = 0, x = 0; pass < 2; pass++) {
        for (int stop = pass == 0 ? inside : a->out.w; x < stop; x++)
            pool_blocks(a, plane, out + (size_t)x * LANES, rows, pool_columns(a, x), lanes, 1, kind,
                        p);
        for (; x >= inside && x < end && end - inside >= POOL_PIXELS; x += POOL_PIXELS) {
            x = MIN(x, end - POOL_PIXELS);
            whole.start = x * a->stride_w - a->pad_left;
            pool_blocks(a, plane, out + (size_t)x * LANES, rows, whole, lanes, POOL_PIXELS, kind,
                        p);
        }
    }
}

/* ---- one window at a time ---- */

/* Of equal elements the first wins, and of -infinity alone that. */
INLINE vec pool_first_max(const pool_args *a, const pool_window *w, vec lowest, vec_int *index) {
    int down = a->column_major ? 1 : a->in.w, right = a->column_major ? a->in.h : 1;
    int dilation_h = a->bins ? 1 : a->dilation_h, dilation_w = a->bins ? 1 : a->dilation_w;
    vec most = lowest;
    *index = (vec_int){0} - 1;
    FOR_EACH_TAP(w) {
        vec x = vec_load(pool_tap(w, ky, kx));
        vec_int at = (vec_int){0} + ((w->y.start + ky * dilation_h) * down +
                                     (w->x.start + kx * dilation_w) * right);
        vec_int takes = (x > most) | ((x >= -INFINITY) & (*index < 0));
        most = vec_select(takes, x, most);
        *index = (takes & at) | (~takes & *index);
    }
    return most;
}

static void pool_put_indices(const pool_args *a, const rows_tile *t, int y, int x, int lane,
                             vec_int index) {
    size_t in_plane = (size_t)a->in.h * (size_t)a->in.w, out_plane = (size_t)a->out.h * a->out.w;
    for (int i = 0; i < SIMD_WIDTH; i++) {
        int c = t->b * LANES + lane + i;
        if (c >= a->out.c) return;
        size_t plane = (size_t)t->n * a->out.c + c;
        a->indices[plane * out_plane + (size_t)y * a->out.w + x] =
            index[i] < 0 ? -1 : (int64_t)(plane * in_plane) + index[i];
    }
}

INLINE void pool_fit(const pool_args *a, const rows_tile *t, int y, int x, int lane,
                     const pool_window *w, const pool_lanes *l, const pool_kind kind) {
    vec fit, scale;
    vec_int index;
    size_t at = (size_t)x * LANES + lane;
    switch (kind) {
    case POOL_MAX:
        fit = pool_first_max(a, w, l->lowest, &index);
        pool_put_indices(a, t, y, x, lane, index);
        break;
    case POOL_LP:
        fit = pool_fit_norm(w, (float)a->p);
        break;
    default:
        fit = kind == POOL_GAMMA ? pool_fit_gamma(w, &scale) : pool_fit_weibull(w, &scale);
        if (a->scale.data) vec_store(pool_out_row(&a->scale, t, y) + at, scale);
    }
    vec_store(pool_out_row(&a->out, t, y) + at, fit);
}

INLINE void pool_fit_row(const pool_args *a, const rows_tile *t, int y, const pool_lanes *lanes,
                         const pool_kind kind) {
    const float *plane = pool_plane(&a->in, t->n, t->b);
    pool_taps rows = pool_rows(a, y);
    for (int x = 0; x < a->out.w; x++) {
        pool_window w = pool_window_at(a, plane, rows, pool_columns(a, x));
        for (int lane = 0; lane < LANES; lane += SIMD_WIDTH, w.in += SIMD_WIDTH)
            pool_fit(a, t, y, x, lane, &w, &lanes[lane / SIMD_WIDTH], kind);
    }
}

/* ---- a function for each kind ---- */

typedef void pool_fn(const pool_args *a, const rows_tile *t, const pool_lanes *lanes);

#define POOL_DEFINE(name, row, ...)                                                                \
    static void pool_##name(const pool_args *a, const rows_tile *t, const pool_lanes *lanes) {     \
        for (int y = t->y0; y < t->y1; y++)                                                        \
            row(a, t, y, lanes, __VA_ARGS__);                                                      \
    }
POOL_DEFINE(max, pool_row, POOL_MAX, 0)
POOL_DEFINE(max_indices, pool_fit_row, POOL_MAX)
POOL_DEFINE(sum, pool_row, POOL_SUM, 0)
POOL_DEFINE(average, pool_row, POOL_AVERAGE, 0)
POOL_DEFINE(l1, pool_row, POOL_LP, 1)
POOL_DEFINE(l2, pool_row, POOL_LP, 2)
POOL_DEFINE(lp, pool_fit_row, POOL_LP)
POOL_DEFINE(mixed, pool_row, POOL_MIXED, 0)
POOL_DEFINE(stochastic, pool_row, POOL_STOCHASTIC, 0)
POOL_DEFINE(entropy, pool_row, POOL_ENTROPY, 0)
POOL_DEFINE(gamma, pool_fit_row, POOL_GAMMA)
POOL_DEFINE(weibull, pool_fit_row, POOL_WEIBULL)
#undef POOL_DEFINE

static pool_fn *pool_of(const pool_args *a) {
    static pool_fn *const kinds[] = {
        [POOL_MAX] = pool_max,         [POOL_SUM] = pool_sum,
        [POOL_AVERAGE] = pool_average, [POOL_LP] = pool_lp,
        [POOL_MIXED] = pool_mixed,     [POOL_STOCHASTIC] = pool_stochastic,
        [POOL_ENTROPY] = pool_entropy, [POOL_GAMMA] = pool_gamma,
        [POOL_WEIBULL] = pool_weibull,
    };
    if (a->kind == POOL_LP && a->p <= 2) return a->p == 1 ? pool_l1 : pool_l2;
    return a->kind == POOL_MAX && a->indices ? pool_max_indices : kinds[a->kind];
}

static void kernel_pool(const pool_args *a, const rows_tile *t) {
    pool_lanes lanes[BLOCK_VECTORS];
    for (int i = 0; i < BLOCK_VECTORS; i++)
        lanes[i] = pool_lanes_of(a, t->b, i * SIMD_WIDTH);
    pool_of(a)(a, t, lanes);
}

/* ---- back ---- */

/* Lane `lane` of the block: its values in order, so that of equal positions the last wins. */
static void unpool_lane(const unpool_args *a, const float *in, float *out, size_t plane, int lane) {
    size_t cells = (size_t)a->in.h * (size_t)a->in.w;
    int64_t pooled = a->pooled_h * a->pooled_w, first = (int64_t)plane * pooled;
    const int64_t *indices = a->indices + plane * cells;
    for (int y = 0; y < a->in.h; y++)
        for (int x = 0; x < a->in.w; x++) {
            int64_t index = *indices++;
            if (index < first || index - first >= pooled) continue; /* of another plane */
            uint32_t at = (uint32_t)(index - first), pooled_w = (uint32_t)a->pooled_w;
            uint32_t row = at / pooled_w, column = at % pooled_w;
            out[row * a->out.row_pitch + (size_t)column * LANES + lane] =
                in[y * a->in.row_pitch + (size_t)x * LANES + lane];
        }
}

static void kernel_unpool(const unpool_args *a, int n, int b) {
    const float *in = pool_plane(&a->in, n, b);
    float *out = a->out.data + n * a->out.image_pitch + b * a->out.block_pitch;
    for (int y = 0; y < a->out.h; y++)
        memset(out + y * a->out.row_pitch, 0, (size_t)a->out.w * LANES * sizeof *out);
    for (int lane = 0; lane < MIN(LANES, a->in.c - b * LANES); lane++)
        unpool_lane(a, in, out, (size_t)n * a->in.c + b * LANES + lane, lane);
}
