/*
 * Two steps as one: one that writes an activation, and the only one that reads it, channel by
 * channel in windows that slide over rows. A tile computes some rows of the first in memory that
 * stays in the second-level cache, from them rows of the second, and so on downwards; the
 * activation as a whole is nowhere. Each element is computed as by two steps, to the same bits.
 */
#ifndef PLAN_STRIPS_H
#define PLAN_STRIPS_H

#include "kernels/kernels.h"
#include "plan/cut.h"

typedef struct plan_builder plan_builder;

typedef enum strip_role { STRIP_NONE, STRIP_WRITER, STRIP_READER } strip_role;

/* What a step can be in such a pair, and how a part of it is computed. */
typedef struct strip_part {
    strip_role role;
    void (*run)(const void *args, const conv_tile *t); /* of a reader `ob` counts blocks, too */
    size_t in, out; /* where in the arguments these `blocked` stand, in bytes */
    /* writer */
    int panel;           /* blocks that it computes together */
    plan_cut_cost *cost; /* of rows and panels of one image, by the arguments */
    size_t scratch;      /* bytes that it uses at the end of the worker's memory */
    /* reader: row y reads rows [y * stride - pad, y * stride - pad + extent) */
    int extent, stride, pad;
} strip_part;

/* Joins the two newest steps, the last of which the current node has added, if they are such a pair
 * and it pays. */
void plan_join_strips(plan_builder *b);

#endif
