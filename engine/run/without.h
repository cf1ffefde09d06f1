/*
 * Techniques that can be left out, to measure what they bring: $CNN_WITHOUT is a list of their
 * names, separated by commas. Results then differ by what float32 rounds, at most.
 */
#ifndef RUN_WITHOUT_H
#define RUN_WITHOUT_H

#include "base/base.h"

enum {
    WITHOUT_FOLD = 1,      /* "fold": arithmetic per channel and padding into weights and windows */
    WITHOUT_FUSE = 2,      /* "fuse": residuals and activations into the kernels before them */
    WITHOUT_CHANNELS = 4,  /* "channels": what files have channels-last, channels-first */
    WITHOUT_PLACEMENT = 8, /* "placement": operands of Concat written in their place */
    WITHOUT_GROUPED = 16,  /* "grouped": kernels for groups of fewer channels than a block */
    WITHOUT_WINOGRAD = 32, /* "winograd": Winograd's algorithm */
    WITHOUT_OVERWRITE = 64, /* "overwrite": results in the place of operands that end there */
    WITHOUT_STRIPS = 128,   /* "strips": convolution and what pools its result, rows by rows */
    WITHOUT_SQUEEZE = 256,  /* "squeeze": squeeze-and-excite as one operator */
    WITHOUT_PLANAR = 512,   /* "planar": the first convolution on the picture as it is */
};

/* `list` NULL or empty: nothing is left out. CNN_INVALID_ARGUMENT names what is unknown. */
cnn_status without_read(const char *list, unsigned *out, cnn_error *err);

#endif
