/*
 * Loops over threads that live as long as the loop.
 *
 * For work while a model is loaded and compiled: that may happen within a task of the runtime's
 * pool or outside, and under locks that tasks wait for, so it must not wait for the pool.
 */
#include "base/parallel.h"

#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>

#define MAX_HELPERS 63

typedef struct loop {
    atomic_size_t next;
    size_t count;
    cnn_range_fn *fn;
    void *arg;
} loop;

static void *take_turns(void *arg) {
    loop *l = arg;
    for (size_t i; (i = atomic_fetch_add(&l->next, 1)) < l->count;)
        l->fn(l->arg, i);
    return NULL;
}

void cnn_parallel_for(int threads, size_t count, cnn_range_fn *fn, void *arg) {
    pthread_t helpers[MAX_HELPERS];
    loop l = {.count = count, .fn = fn, .arg = arg};
    size_t started = 0, wanted = MIN((size_t)MAX(threads, 1), count);
    while (started + 1 < wanted && started < MAX_HELPERS &&
           pthread_create(&helpers[started], NULL, take_turns, &l) == 0)
        started++;
    take_turns(&l);
    while (started > 0)
        pthread_join(helpers[--started], NULL);
}
