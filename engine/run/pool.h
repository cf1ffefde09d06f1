/* The thread pool: queued tasks, and tiles of the running ones. See pool.c. */
#ifndef RUN_POOL_H
#define RUN_POOL_H

#include "base/base.h"

#include <sched.h>

#define POOL_MAX_THREADS 1024
#define POOL_MAX_QUEUE   (1 << 20)

typedef struct pool pool;

/* `queue`: tasks that may wait. */
cnn_status pool_create(int threads, size_t queue, pool **out, cnn_error *err);
/* Runs what is queued, then joins the workers. Accepts NULL. */
void pool_free(pool *p);
/* Worker i runs on shares[i] only, from now on. False if the system refuses that for some. */
bool pool_bind(pool *p, const cpu_set_t *shares);
int pool_threads(const pool *p);
size_t pool_queued(const pool *p);
/* False if the queue is full. */
bool pool_submit(pool *p, cnn_task_fn *fn, void *arg);
/* Runs on a worker and waits; called on a worker, runs at once. */
void pool_run(pool *p, cnn_task_fn *fn, void *arg);
/* See cnn_runtime_parallel_for. A call from within `fn` runs its range on its own thread. */
void pool_parallel_for(pool *p, size_t count, cnn_range_fn *fn, void *arg);

/* Memory of the worker that calls, for the tile that it is in: POOL_SCRATCH_BYTES, aligned to
 * CNN_ALIGN. Pages that no tile has touched take no memory. */
#define POOL_SCRATCH_BYTES ((size_t)4 << 20)
void *pool_scratch(void);

#endif
