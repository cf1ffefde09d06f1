/* resample_loops.h: the inner loops of preprocessing, for each instruction set. */
#ifndef CNNSERVE_IMAGE_RESAMPLE_LOOPS_H
#define CNNSERVE_IMAGE_RESAMPLE_LOOPS_H

#include "internal.h"

enum {
    PRECISION_BITS = 32 - 8 - 2, /* the sign and Lanczos' overshoot take the other two */
    SPLIT_BITS = 11,             /* of a coefficient that are in its low half */
    ROW3_GROUP = 4,              /* outputs row3 makes at once */
    COLUMN_BLOCK = 32            /* bytes column makes at once */
};

/* The same results whatever the instruction set. */
struct resample_loops {
    /* in: a source row of 3 channels, RESAMPLER_OVERREAD bytes behind which may be read; out: three
     * planes, `plane` bytes apart, of axis->count samples each, rounded up to ROW3_GROUP. */
    void (*row3)(const resample_axis *axis, const uint8_t *in, uint8_t *out, size_t plane);
    /* The same with one channel, not rounded up. */
    void (*row1)(const resample_axis *axis, const uint8_t *in, uint8_t *out);
    /* out[i] = sum over t of rows[t][i] * k[t]; size is a multiple of COLUMN_BLOCK. */
    void (*column)(const uint8_t *const *rows, const int32_t *k, int taps, uint8_t *restrict out,
                   size_t size);
    /* out[i * step] = in[i] * scale + offset */
    void (*normalise)(const uint8_t *in, size_t count, float scale, float offset,
                      float *restrict out, size_t step);
};

extern const struct resample_loops resample_loops_baseline;

/* The best for this CPU, or as CNN_CPU says. */
const struct resample_loops *resample_loops_choose(void);

#endif
