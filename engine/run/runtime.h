/* The runtime's parts, for the engine's own use. */
#ifndef RUN_RUNTIME_H
#define RUN_RUNTIME_H

#include "kernels/kernels.h"
#include "run/pool.h"
#include "run/tuning.h"
#include "run/without.h"

struct cnn_runtime {
    pool *pool;
    const kernel_table *kernels;
    const char *threads_origin;
    bool bound;       /* no two workers share a CPU */
    unsigned without; /* see without.h */
    tuning *tuning;   /* NULL: what a layer runs on is not measured */
};

#endif
