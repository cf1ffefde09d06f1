/* bench.h: the arithmetic behind `cnnserve bench`, for its test. */
#ifndef CNNSERVE_BENCH_H
#define CNNSERVE_BENCH_H

#include <stddef.h>
#include <stdint.h>

/* Percentile of ascending values, between neighbours interpolated; count is at least 1. */
double bench_percentile(const uint64_t *sorted, size_t count, double percent);

#endif
