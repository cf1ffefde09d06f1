/* resample.c: Image.resize of Pillow up to version 12, bit for bit, as a stream of rows.
 *
 * Method: separable convolution with a filter stretched by the reduction factor (antialiasing),
 * first along the rows, rounded to 8 bits, then along the columns; coefficients are normalised in
 * double precision and applied in 22-bit fixed point. This is what libImaging/Resample.c of Pillow
 * computes, and the order of rounding is kept, so that results are equal and not just close. An
 * axis whose size does not change is not filtered; nearest neighbour copies, with source positions
 * summed up step by step because Pillow sums them.
 *
 * Pillow 13 takes the columns first if a picture loses over twice as many rows as columns
 * (python-pillow/Pillow#9549). That is for speed, and not followed here: measured against the
 * filter without rounding in between, the photos that it concerns are then off by 0.280 levels in
 * the mean, with the rows first by 0.267 (bilinear). The two ways are 1 level apart at most;
 * bicubic and Lanczos, whose overshoot is clipped in between, up to 28 at single pixels. And
 * networks have been trained with the older way.
 *
 * Design: source rows come in one by one, and the rows of the window wanted (the crop) go out as
 * soon as they can be made. An output row needs at most y.taps consecutive source rows; each of
 * them is filtered horizontally once, into a ring of y.taps rows. So the working memory is a few
 * rows, whatever the size of the picture, stays in the cache, and only those source pixels are read
 * that the window shows. From the horizontal pass on, each channel is a plane of its own, which the
 * vector loops, and the tensor, like better than pixels.
 *
 * The inner loops are in resample_loops.c. Floating-point contraction must be off for this file
 * (see CMakeLists.txt), or coefficients would differ from Pillow's on some machines.
 */
#include "resample_loops.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

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
    return range->filter == IMAGE_NEAREST || range->length == range->full;
}

static double stretch(const resample_range *range) {
    double scale = range->length / range->full;
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
    bool same = range->length == range->full;
    double step = same ? 1.0 : range->length / range->full;
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
    double scale = range->length / range->full;
    double wide = stretch(range), narrow = 1.0 / wide;
    double support = k.support * wide;
    double center = (output + 0.5) * scale + range->offset;
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

/* The coefficients of a row once more, as loops->row3 takes them; it makes whole groups of outputs,
 * beyond the last one of which it repeats that. */
static void split_coefficients(resample_axis *axis) {
    int groups = (axis->count + ROW3_GROUP - 1) / ROW3_GROUP;
    int16_t *to = axis->split;
    for (int i = 0; i < groups * ROW3_GROUP; i++) {
        int output = i < axis->count ? i : axis->count - 1;
        const int32_t *k = axis->coefficient + (size_t)output * (size_t)axis->taps;
        axis->start[i] = axis->start[output];
        for (int t = 0; t < axis->taps; t += 4, to += 8)
            for (int j = 0; j < 4; j++) {
                int32_t value = t + j < axis->taps ? k[t + j] : 0;
                to[j] = (int16_t)(value & ((1 << SPLIT_BITS) - 1));
                to[4 + j] = (int16_t)(value >> SPLIT_BITS);
            }
    }
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
    size_t count = ((size_t)range->count + ROW3_GROUP - 1) / ROW3_GROUP * ROW3_GROUP;
    axis->count = range->count;
    axis->taps = taps_for(range);
    axis->start = take(from, count, sizeof(int32_t));
    if (copies(range)) return;
    axis->coefficient = take(from, count * (size_t)axis->taps, sizeof(int32_t));
}

static void take_split(pieces *from, resample_axis *axis, const resample_range *range) {
    size_t groups = ((size_t)range->count + ROW3_GROUP - 1) / ROW3_GROUP;
    size_t quads = ((size_t)axis->taps + 3) / 4;
    axis->split = take(from, groups * ROW3_GROUP * quads * 8, sizeof(int16_t));
}

/* Lays r out in the memory of *from; returns room for the weights of one output. */
static double *take_all(pieces *from, resampler *r, const resample_range *x,
                        const resample_range *y, int channels) {
    take_axis(from, &r->x, x);
    take_axis(from, &r->y, y);
    if (channels == 3 && !copies(x)) take_split(from, &r->x, x);
    size_t window = (size_t)r->y.taps;
    r->plane = ((size_t)x->count + COLUMN_BLOCK - 1) / COLUMN_BLOCK * COLUMN_BLOCK;
    r->rows = take(from, window, sizeof(*r->rows));
    r->window = take(from, window, sizeof(*r->window));
    r->ring = take(from, window, r->plane * (size_t)channels);
    r->output = take(from, 1, r->plane * (size_t)channels);
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

void resampler_init(resampler *r, const resample_range *x, const resample_range *y, int channels,
                    void *memory) {
    assert(channels == 1 || channels == 3);
    assert(x->first >= 0 && x->count > 0 && x->first + x->count <= x->full);
    assert(y->first >= 0 && y->count > 0 && y->first + y->count <= y->full);
    *r = (resampler){.channels = channels, .loops = resample_loops_choose()};
    pieces block = {(uint8_t *)(((uintptr_t)memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT), 0};
    double *weights = take_all(&block, r, x, y, channels);
    init_axis(&r->x, x, weights);
    init_axis(&r->y, y, weights);
    if (r->x.split) split_coefficients(&r->x);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Rec. 601 luma as Pillow's convert("L") has it, 16-bit fixed point. */
static void make_grey(const uint8_t *rgb, uint8_t *grey, size_t count) {
    for (size_t i = 0; i < count; i++, rgb += 3)
        grey[i] = (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

/* Of the source row, the part that the horizontal pass reads, made grey. */
static const uint8_t *grey_row(resampler *r, const uint8_t *rgb) {
    int last = r->x.count - 1;
    size_t from = (size_t)r->x.start[0];
    size_t to = (size_t)r->x.start[last] + (size_t)r->x.taps;
    make_grey(rgb + from * 3, r->line + from, to - from);
    return r->line;
}

static void copy_samples(const resample_axis *axis, const uint8_t *in, uint8_t *out, size_t plane,
                         int channels) {
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < axis->count; i++)
            out[(size_t)c * plane + (size_t)i] = in[axis->start[i] * channels + c];
}

void resampler_put(resampler *r, int y, const uint8_t *rgb, bool padded) {
    if (r->done == r->y.count || y < r->y.start[r->done]) return; /* not in the window */
    int slot = y % r->y.taps;
    uint8_t *out = r->ring + (size_t)slot * r->plane * (size_t)r->channels;
    const uint8_t *in = r->channels == 3 ? rgb : grey_row(r, rgb);
    if (!r->x.coefficient)
        copy_samples(&r->x, in, out, r->plane, r->channels);
    else if (r->channels == 3)
        (padded ? r->loops : &resample_loops_baseline)->row3(&r->x, in, out, r->plane);
    else
        r->loops->row1(&r->x, in, out);
    r->rows[slot] = out;
    r->next = y + 1;
}

const uint8_t *resampler_take(resampler *r) {
    if (r->done == r->y.count) return NULL;
    int y = r->done, start = r->y.start[y], taps = r->y.taps;
    if (r->next < start + taps) return NULL;
    r->done++;
    if (!r->y.coefficient) return r->rows[start % taps];
    for (int t = 0; t < taps; t++)
        r->window[t] = r->rows[(start + t) % taps];
    r->loops->column(r->window, r->y.coefficient + (size_t)y * (size_t)taps, taps, r->output,
                     r->plane * (size_t)r->channels);
    return r->output;
}
