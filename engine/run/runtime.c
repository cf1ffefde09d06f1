/* The public runtime: thread pool and kernel table. */
#include "run/runtime.h"

#include "run/cpus.h"

#include <stdlib.h>

#define DEFAULT_QUEUE 1024

/* Without memory for it the workers stay where they are. */
static bool bind_workers(pool *p, const cpu_limits *c) {
    int workers = pool_threads(p);
    if (workers == 1) return false; /* there is none to keep off */
    cpu_set_t *shares = malloc((size_t)workers * sizeof(*shares));
    bool bound = shares && cpus_deal("", c, workers, shares) && pool_bind(p, shares);
    free(shares);
    return bound;
}

cnn_status cnn_runtime_create(const cnn_runtime_options *options, cnn_runtime **out,
                              cnn_error *err) {
    cnn_runtime_options o = options ? *options : (cnn_runtime_options){0};
    if (!out) return cnn_fail(err, CNN_INVALID_ARGUMENT, "out must be given");
    if (o.threads < 0 || o.queue < 0)
        return cnn_fail(err, CNN_INVALID_ARGUMENT, "threads and queue must not be negative");
    if (!cnn_reserved_is_zero(o.reserved))
        return cnn_fail(err, CNN_INVALID_ARGUMENT, CNN_RESERVED_MESSAGE);
    cnn_runtime *rt = calloc(1, sizeof(*rt));
    if (!rt) return cnn_fail_memory(err, sizeof(*rt));
    const char *isa = o.isa ? o.isa : getenv("CNN_CPU");
    cpu_limits available = cpus_find("");
    int threads = o.threads ? o.threads : available.usable;
    rt->threads_origin = o.threads ? "given" : available.origin;
    cnn_status status = kernels_select(isa && *isa ? isa : NULL, &rt->kernels, err);
    if (status == CNN_OK) status = without_read(getenv("CNN_WITHOUT"), &rt->without, err);
    if (status == CNN_OK && (o.tune || o.tuning_file))
        status = tuning_create(o.tuning_file, &rt->tuning, err);
    if (status == CNN_OK)
        status = pool_create(threads, o.queue ? (size_t)o.queue : DEFAULT_QUEUE, &rt->pool, err);
    if (status != CNN_OK) {
        tuning_free(rt->tuning);
        free(rt);
        return status;
    }
    rt->bound = o.bind && bind_workers(rt->pool, &available);
    *out = rt;
    return CNN_OK;
}

void cnn_runtime_free(cnn_runtime *rt) {
    if (!rt) return;
    pool_free(rt->pool);
    tuning_free(rt->tuning);
    free(rt);
}

int cnn_runtime_threads(const cnn_runtime *rt) {
    return pool_threads(rt->pool);
}

const char *cnn_runtime_threads_origin(const cnn_runtime *rt) {
    return rt->threads_origin;
}

bool cnn_runtime_bound(const cnn_runtime *rt) {
    return rt->bound;
}

const char *cnn_runtime_isa(const cnn_runtime *rt) {
    return rt->kernels->isa;
}

cnn_status cnn_runtime_tuning_status(const cnn_runtime *rt, cnn_error *err) {
    return rt->tuning ? tuning_status(rt->tuning, err) : CNN_OK;
}

cnn_status cnn_runtime_submit(cnn_runtime *rt, cnn_task_fn *fn, void *arg, cnn_error *err) {
    if (!pool_submit(rt->pool, fn, arg))
        return cnn_fail(err, CNN_OVERLOADED, "the queue is full: %zu tasks wait",
                        pool_queued(rt->pool));
    return CNN_OK;
}

void cnn_runtime_run(cnn_runtime *rt, cnn_task_fn *fn, void *arg) {
    pool_run(rt->pool, fn, arg);
}

size_t cnn_runtime_queued(const cnn_runtime *rt) {
    return pool_queued(rt->pool);
}

void cnn_runtime_parallel_for(cnn_runtime *rt, size_t count, cnn_range_fn *fn, void *arg) {
    pool_parallel_for(rt->pool, count, fn, arg);
}
