/* resample.c: Pillow's Image.resize, bit for bit, as a stream of rows.
 *
 * Method: separable convolution with a filter stretched by the reduction factor (antialiasing),
 * first along the rows, rounded to 8 bits, then along the columns; coefficients are normalised in
 * double precision and applied in 22-bit fixed point. This is what libImaging/Resample.c of Pillow
 * computes, and the order of rounding is kept, so that results are equal and not just close. An
 * axis whose size does not change is not filtered; nearest neighbour copies, with source positions
 * summed up step by step because Pillow sums them.
 *
 * Design: the window wanted (the crop) is made row by row. An output row needs at most y.taps
 * consecutive source rows; each source row is filtered horizontally once, when first needed, into a
 * ring of y.taps rows. So the working memory is a few rows, whatever the size of the picture, stays
 * in the cache, and only those source pixels are read that the window shows.
 *
 * The two inner loops are compiled twice on x86-64, for AVX2 and for the baseline, and chosen by
 * what the CPU has; they work on integers, so that the results are the same. Floating-point
 * contraction must be off for this file (see CMakeLists.txt), or coefficients would differ from
 * Pillow's on some machines.
 */
#include "internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    PRECISION_BITS = 32 - 8 - 2, /* the sign and Lanczos' overshoot take the other two */
    ALIGNMENT = 64,
};

/* ---- filters (Pillow's constants) --------------------------------------------------------- */

static double box(double x) {
    return -0.5 < x && x <= 0.5 ? 1.0 : 0.0;
}

static double triangle(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5. */
static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= M_PI;
    return sin(x) / x;
}

/* A sinc under a Hamming window; Pillow's constants are floats. */
static double hamming(double x) {
    x = fabs(x);
    return x < 1.0 ? sinc(x) * ((double)0.54f + (double)0.46f * cos(x * M_PI)) : 0.0;
}

static double lanczos3(double x) {
    return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

typedef struct {
    double (*weight)(double x);
    double support; /* weight is 0 beyond it */
} kernel;

static kernel kernel_for(image_filter filter) {
    switch (filter) {
    case IMAGE_BOX:
        return (kernel){box, 0.5};
    case IMAGE_HAMMING:
        return (kernel){hamming, 1.0};
    case IMAGE_BICUBIC:
        return (kernel){cubic, 2.0};
    case IMAGE_LANCZOS:
        return (kernel){lanczos3, 3.0};
    default:
        return (kernel){triangle, 1.0};
    }
}

/* ---- one axis ----------------------------------------------------------------------------- */

static bool copies(const resample_range *range) {
    return range->filter == IMAGE_NEAREST || range->in == range->full;
}

static double stretch(const resample_range *range) {
    double scale = (double)range->in / range->full;
    return scale < 1.0 ? 1.0 : scale;
}

/* As many source samples as the filter can reach, and so as many as init_output looks at. */
static int reach(const resample_range *range) {
    return (int)ceil(kernel_for(range->filter).support * stretch(range)) * 2 + 1;
}

/* Source samples every output is made of: an interval of width d holds at most ceil(d) of them,
 * give or take one on its very edge, where the weight is 0. */
static int taps_for(const resample_range *range) {
    if (copies(range)) return 1;
    int taps = (int)ceil(2.0 * kernel_for(range->filter).support * stretch(range));
    return taps < range->in ? taps : range->in;
}

static void init_copies(resample_axis *axis, const resample_range *range) {
    bool same = range->in == range->full;
    double step = same ? 1.0 : (double)range->in / range->full;
    double at = step * 0.5;
    for (int i = 0; i < range->first; i++)
        at += step;
    for (int i = 0; i < range->count; i++) {
        int source = same ? range->first + i : (int)at;
        axis->start[i] = source < range->in ? source : range->in - 1;
        at += step;
    }
}

/* Pillow's weights of one output: of source samples *low on; returns how many. */
static int window_weights(const resample_range *range, int output, int *low, double *weights) {
    kernel k = kernel_for(range->filter);
    double scale = (double)range->in / range->full;
    double wide = stretch(range), narrow = 1.0 / wide;
    double support = k.support * wide;
    double center = (output + 0.5) * scale;
    int from = (int)(center - support + 0.5), to = (int)(center + support + 0.5);
    if (from < 0) from = 0;
    if (to > range->in) to = range->in;

    double sum = 0.0;
    for (int i = 0; i < to - from; i++) {
        weights[i] = k.weight((i + from - center + 0.5) * narrow);
        sum += weights[i];
    }
    for (int i = 0; i < to - from; i++)
        if (sum != 0.0) weights[i] /= sum;
    *low = from;
    return to - from;
}

static int32_t to_fixed(double weight) {
    return (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * (1 << PRECISION_BITS));
}

/* The weights of one output: fixed[0..taps) from source sample *start on. weights is room for
 * reach(). Pillow's windows differ in length; here all have one, with weight 0 where Pillow's has
 * no sample. */
static void init_output(const resample_range *range, int output, int taps, double *weights,
                        int32_t *start, int32_t *fixed) {
    int low, count = window_weights(range, output, &low, weights);
    for (; count > taps && to_fixed(weights[0]) == 0; count--, low++)
        weights++;
    while (count > taps && to_fixed(weights[count - 1]) == 0)
        count--;
    assert(count <= taps);
    if (count > taps) count = taps;
    int before = low + taps > range->in ? low + taps - range->in : 0;
    memset(fixed, 0, (size_t)taps * sizeof(*fixed));
    for (int i = 0; i < count; i++)
        fixed[before + i] = to_fixed(weights[i]);
    *start = low - before;
}

static void init_axis(resample_axis *axis, const resample_range *range, double *weights) {
    if (copies(range)) {
        init_copies(axis, range);
        return;
    }
    for (int i = 0; i < range->count; i++)
        init_output(range, range->first + i, axis->taps, weights, axis->start + i,
                    axis->coefficient + (size_t)i * (size_t)axis->taps);
}

/* ---- inner loops -------------------------------------------------------------------------- */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE uint8_t clip(int32_t sum) {
    int32_t v = sum >> PRECISION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static const int32_t half = 1 << (PRECISION_BITS - 1);

/* in: a source row of 3 channels; out: (axis->count, 3). */
static void filter_row3(const resample_axis *axis, const uint8_t *in, uint8_t *out) {
    const int32_t *k = axis->coefficient;
    for (int i = 0; i < axis->count; i++, k += axis->taps, out += 3) {
        const uint8_t *p = in + (size_t)axis->start[i] * 3;
        int32_t r = half, g = half, b = half;
        for (int t = 0; t < axis->taps; t++, p += 3) {
            r += p[0] * k[t];
            g += p[1] * k[t];
            b += p[2] * k[t];
        }
        out[0] = clip(r);
        out[1] = clip(g);
        out[2] = clip(b);
    }
}

ALWAYS_INLINE void filter_row1(const resample_axis *axis, const uint8_t *in, uint8_t *out) {
    const int32_t *k = axis->coefficient;
    for (int i = 0; i < axis->count; i++, k += axis->taps) {
        const uint8_t *p = in + axis->start[i];
        int32_t sum = half;
        for (int t = 0; t < axis->taps; t++)
            sum += p[t] * k[t];
        out[i] = clip(sum);
    }
}

enum { BLOCK = 32 };

/* out[i] = sum over t of rows[t][i] * k[t], in blocks whose sums stay in registers. All rows and
 * out have room for whole blocks. */
ALWAYS_INLINE void filter_column(const uint8_t *const *rows, const int32_t *k, int taps,
                                 uint8_t *restrict out, size_t size) {
    for (size_t at = 0; at < size; at += BLOCK) {
        int32_t sum[BLOCK];
        for (int i = 0; i < BLOCK; i++)
            sum[i] = half;
        for (int t = 0; t < taps; t++) {
            const uint8_t *row = rows[t] + at;
            for (int i = 0; i < BLOCK; i++)
                sum[i] += row[i] * k[t];
        }
        for (int i = 0; i < BLOCK; i++)
            out[at + (size_t)i] = clip(sum[i]);
    }
}

#define DEFINE_LOOPS(isa, attributes)                                                              \
    attributes static void row1_##isa(const resample_axis *axis, const uint8_t *in,                \
                                      uint8_t *out) {                                              \
        filter_row1(axis, in, out);                                                                \
    }                                                                                              \
    attributes static void column_##isa(const uint8_t *const *rows, const int32_t *k, int taps,    \
                                        uint8_t *restrict out, size_t size) {                      \
        filter_column(rows, k, taps, out, size);                                                   \
    }

/* The loops for one instruction set. row3 may read OVERREAD bytes past its last pixel, and write as
 * many past out. */
struct resample_loops {
    void (*row3)(const resample_axis *axis, const uint8_t *in, uint8_t *out);
    void (*row1)(const resample_axis *axis, const uint8_t *in, uint8_t *out);
    void (*column)(const uint8_t *const *rows, const int32_t *k, int taps, uint8_t *restrict out,
                   size_t size);
};

enum { OVERREAD = 2 };

DEFINE_LOOPS(baseline, )
static const struct resample_loops loops_baseline = {filter_row3, row1_baseline, column_baseline};

#if defined(__x86_64__)
DEFINE_LOOPS(avx2, __attribute__((target("avx2"))))

/* filter_row3 with the channels of two pixels side by side: intrinsics, because no compiler finds
 * the byte shuffle that widens them. */
__attribute__((target("avx2"))) static void row3_avx2(const resample_axis *axis, const uint8_t *in,
                                                      uint8_t *out) {
    const __m256i widen =
        _mm256_setr_epi8(0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, -1, -1, -1, -1, 3, -1, -1, -1,
                         4, -1, -1, -1, 5, -1, -1, -1, -1, -1, -1, -1);
    const __m256i each = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m128i gather = _mm_setr_epi8(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    const int32_t *k = axis->coefficient;
    for (int i = 0; i < axis->count; i++, k += axis->taps, out += 3) {
        const uint8_t *p = in + (size_t)axis->start[i] * 3;
        __m256i sums = _mm256_setr_epi32(half, half, half, half, 0, 0, 0, 0);
        int t = 0;
        for (; t + 1 < axis->taps; t += 2, p += 6) {
            int64_t pixels, weights;
            memcpy(&pixels, p, sizeof(pixels));
            memcpy(&weights, k + t, sizeof(weights));
            __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi64x(pixels), widen);
            __m256i w = _mm256_permutevar8x32_epi32(_mm256_set1_epi64x(weights), each);
            sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(v, w));
        }
        __m128i sum =
            _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        if (t < axis->taps) {
            int32_t pixel;
            memcpy(&pixel, p, sizeof(pixel));
            __m128i v = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(pixel));
            sum = _mm_add_epi32(sum, _mm_mullo_epi32(v, _mm_set1_epi32(k[t])));
        }
        sum = _mm_srai_epi32(sum, PRECISION_BITS);
        sum = _mm_min_epi32(_mm_max_epi32(sum, _mm_setzero_si128()), _mm_set1_epi32(255));
        int32_t rgb = _mm_cvtsi128_si32(_mm_shuffle_epi8(sum, gather));
        memcpy(out, &rgb, sizeof(rgb));
    }
}

static const struct resample_loops loops_avx2 = {row3_avx2, row1_avx2, column_avx2};
#endif

/* CNN_CPU=baseline keeps to the baseline, as in the engine. */
static const struct resample_loops *choose_loops(void) {
    const char *level = getenv("CNN_CPU");
    if (level && strcmp(level, "baseline") == 0) return &loops_baseline;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return &loops_avx2;
#endif
    return &loops_baseline;
}

/* ---- memory ------------------------------------------------------------------------------- */

/* Hands out aligned pieces of one block, or with base NULL only adds them up. */
typedef struct {
    uint8_t *base;
    size_t used;
} pieces;

static void *take(pieces *from, size_t count, size_t size) {
    void *piece = from->base ? from->base + from->used : NULL;
    from->used += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return piece;
}

static void take_axis(pieces *from, resample_axis *axis, const resample_range *range) {
    size_t count = (size_t)range->count;
    axis->count = range->count;
    axis->taps = taps_for(range);
    axis->start = take(from, count, sizeof(int32_t));
    axis->coefficient =
        copies(range) ? NULL : take(from, count * (size_t)axis->taps, sizeof(int32_t));
}

/* Lays r out in the memory of *from; returns room for the weights of one output. */
static double *take_all(pieces *from, resampler *r, const resample_range *x,
                        const resample_range *y, int channels) {
    take_axis(from, &r->x, x);
    take_axis(from, &r->y, y);
    size_t window = (size_t)r->y.taps;
    size_t row = (size_t)x->count * (size_t)channels + OVERREAD;
    r->row_stride = (row + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    r->rows = take(from, window, sizeof(*r->rows));
    r->window = take(from, window, sizeof(*r->window));
    r->ring = take(from, window, r->row_stride);
    r->output = take(from, 1, r->row_stride);
    r->line = take(from, (size_t)x->in, 1);
    int weights = reach(x) > reach(y) ? reach(x) : reach(y);
    return take(from, (size_t)weights, sizeof(double));
}

size_t resampler_bytes(const resample_range *x, const resample_range *y, int channels) {
    resampler r = {0};
    pieces none = {0};
    take_all(&none, &r, x, y, channels);
    return none.used + ALIGNMENT;
}

void resampler_init(resampler *r, const image *source, const resample_range *x,
                    const resample_range *y, int channels, void *memory) {
    assert(channels == 1 || channels == 3);
    assert(x->in == source->width && y->in == source->height);
    assert(x->first >= 0 && x->count > 0 && x->first + x->count <= x->full);
    assert(y->first >= 0 && y->count > 0 && y->first + y->count <= y->full);
    *r = (resampler){.source = source, .channels = channels, .loops = choose_loops()};
    pieces block = {(uint8_t *)(((uintptr_t)memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT), 0};
    double *weights = take_all(&block, r, x, y, channels);
    init_axis(&r->x, x, weights);
    init_axis(&r->y, y, weights);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Rec. 601 luma as Pillow's convert("L") has it, 16-bit fixed point. */
static void make_grey(const uint8_t *rgb, uint8_t *grey, size_t count) {
    for (size_t i = 0; i < count; i++, rgb += 3)
        grey[i] = (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

static void copy_samples(const resample_axis *axis, const uint8_t *in, uint8_t *out, int channels) {
    for (int i = 0; i < axis->count; i++)
        for (int c = 0; c < channels; c++)
            *out++ = in[(size_t)axis->start[i] * (size_t)channels + (size_t)c];
}

/* The source row as the horizontal pass wants it. Grey is made only where it is read. */
static const uint8_t *source_row(resampler *r, int y) {
    size_t width = (size_t)r->source->width;
    const uint8_t *rgb = r->source->pixels + (size_t)y * width * 3;
    if (r->channels == 3) return rgb;
    int last = r->x.count - 1;
    size_t from = (size_t)r->x.start[0];
    size_t to = (size_t)r->x.start[last] + (size_t)r->x.taps;
    make_grey(rgb + from * 3, r->line + from, to - from);
    return r->line;
}

/* Source row y, horizontally resampled, into its place in the ring. Behind the last row of the
 * source lies nothing that row3 might read. */
static void take_row(resampler *r, int y) {
    int slot = y % r->y.taps;
    uint8_t *out = r->ring + (size_t)slot * r->row_stride;
    const uint8_t *in = source_row(r, y);
    bool last = y == r->source->height - 1;
    if (!r->x.coefficient)
        copy_samples(&r->x, in, out, r->channels);
    else if (r->channels == 3)
        (last ? &loops_baseline : r->loops)->row3(&r->x, in, out);
    else
        r->loops->row1(&r->x, in, out);
    r->rows[slot] = out;
}

const uint8_t *resampler_row(resampler *r, int y) {
    int start = r->y.start[y], taps = r->y.taps;
    assert(r->next <= start + taps); /* no row of the window has been overwritten */
    if (r->next < start) r->next = start;
    for (; r->next < start + taps; r->next++)
        take_row(r, r->next);
    if (!r->y.coefficient) return r->rows[start % taps];
    for (int t = 0; t < taps; t++)
        r->window[t] = r->rows[(start + t) % taps];
    r->loops->column(r->window, r->y.coefficient + (size_t)y * (size_t)taps, taps, r->output,
                     (size_t)r->x.count * (size_t)r->channels);
    return r->output;
}
