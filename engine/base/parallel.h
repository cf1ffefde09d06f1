/* Loops over threads of their own; see parallel.c. */
#ifndef BASE_PARALLEL_H
#define BASE_PARALLEL_H

#include <cnn.h>

/* Calls `fn(arg, i)` once for each i in [0, count) on up to `threads` threads, of which the calling
 * one is the first and the others are started for it. */
void cnn_parallel_for(int threads, size_t count, cnn_range_fn *fn, void *arg);

#endif
