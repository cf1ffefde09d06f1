/* Cutting a step into tiles for several threads. */
#ifndef PLAN_CUT_H
#define PLAN_CUT_H

#include <stddef.h>

/* Work of rows x columns units, cut into tiles of row_chunk x column_chunk of them. */
typedef struct plan_cut {
    int row_chunk, row_chunks, column_chunk, column_chunks;
} plan_cut;

/* What a tile of so many rows and columns takes, in cycles. */
typedef double plan_cut_cost(const void *arg, int rows, int columns);

/*
 * The cut of each of `copies` equal pieces of work with which `threads` are soonest done, if each
 * takes the next tile when it is free. No tile has more than `most_rows` rows. The results of a
 * step do not depend on it.
 */
plan_cut plan_cut_best(int rows, int columns, int most_rows, size_t copies, int threads,
                       plan_cut_cost *cost, const void *arg);

#endif
