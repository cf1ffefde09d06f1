/*
 * The thread pool.
 *
 * Workers do two kinds of work. A task is a whole request; tasks wait in a bounded first-in
 * first-out ring. A range is one layer of a running task, cut into tiles: pool_parallel_for()
 * publishes it in the caller's own worker slot, and whoever is idle takes tiles from there until
 * none is left. A worker looks for a task first and helps with ranges only when none waits, so that
 * a full queue gives each core a request of its own and a lonely request gets every core.
 *
 * A range is described by one atomic word, `open` = end | begin of what nobody has taken yet. A
 * tile is taken with compare-and-swap, by the owner from the front and by others from the back: the
 * parts of an activation so tend to stay in the cache of the core that wrote them. Whoever succeeds
 * owns that tile of the range then published, and only then reads `fn`, `arg` and `count`. They
 * stay put while any tile is out, because the owner publishes its next range after `done` has
 * reached the count.
 *
 * Idle workers spin for SPIN_NS, which spans the gaps between the layers of a network, then sleep.
 * The pool does not steal, does not nest, and does not time out: tasks are expected to end.
 */
#include "run/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SPIN_NS   50000
#define MAX_TILES UINT32_MAX
#define BEGIN(t)  ((t)&UINT32_MAX)
#define END(t)    ((t) >> 32)

typedef struct worker {
    _Alignas(CNN_ALIGN) _Atomic uint64_t open;
    cnn_range_fn *fn; /* of the range in progress */
    void *arg;
    size_t count;
    size_t base; /* index of tile 0: ranges longer than MAX_TILES are published in parts */
    _Alignas(CNN_ALIGN) atomic_size_t done;
    atomic_bool waiting;  /* the owner sleeps on `finished` */
    pthread_mutex_t lock; /* guards the sleep on `finished` only */
    pthread_cond_t finished;
    void *scratch;
    bool in_range; /* owner or helper is inside a tile; touched by its own thread only */
    pthread_t thread;
    struct pool *pool;
} worker;

typedef struct task {
    cnn_task_fn *fn;
    void *arg;
} task;

/* A task whose submitter waits; lives on the submitter's stack. */
typedef struct sync_task {
    task task;
    bool finished; /* guarded by pool.lock */
    pthread_cond_t ended;
    struct sync_task *next;
} sync_task;

struct pool {
    int threads;
    worker *workers;
    pthread_mutex_t lock; /* guards all below but the atomics' reads */
    pthread_cond_t work;  /* something to do, or stopping */
    task *ring;
    size_t capacity, head;
    sync_task *sync_head, **sync_tail;
    atomic_size_t queued;  /* in the ring; written under the lock */
    atomic_size_t pending; /* ring and sync list; written under the lock */
    atomic_int sleepers;   /* written under the lock */
    atomic_bool stopping;
};

static _Thread_local worker *self;

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- ranges ---- */

static bool take_tile(worker *w, size_t *index) {
    uint64_t t = atomic_load_explicit(&w->open, memory_order_acquire);
    while (BEGIN(t) < END(t)) {
        uint64_t rest = w == self ? t + 1 : t - ((uint64_t)1 << 32);
        if (atomic_compare_exchange_weak_explicit(&w->open, &t, rest, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            *index = w == self ? BEGIN(t) : END(t) - 1;
            return true;
        }
    }
    return false;
}

static void run_tile(worker *w, size_t index) {
    size_t count = w->count;
    w->fn(w->arg, w->base + index);
    if (atomic_fetch_add(&w->done, 1) + 1 == count && atomic_load(&w->waiting)) {
        pthread_mutex_lock(&w->lock);
        pthread_cond_signal(&w->finished);
        pthread_mutex_unlock(&w->lock);
    }
}

/* Takes one tile of anybody's range. */
static bool help(pool *p) {
    size_t index;
    for (int i = 0; i < p->threads; i++) {
        worker *w = &p->workers[i];
        if (take_tile(w, &index)) {
            self->in_range = true;
            run_tile(w, index);
            self->in_range = false;
            return true;
        }
    }
    return false;
}

static void wake(pool *p, size_t wanted) {
    if (atomic_load(&p->sleepers) == 0) return;
    pthread_mutex_lock(&p->lock);
    if (wanted > 1)
        pthread_cond_broadcast(&p->work);
    else
        pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void wait_for_helpers(worker *w, size_t count) {
    uint64_t deadline = 0;
    for (unsigned spins = 0; atomic_load_explicit(&w->done, memory_order_acquire) != count;
         spins++) {
        relax();
        if (spins % 64 != 63) continue;
        uint64_t now = cnn_now_ns();
        if (deadline == 0) deadline = now + SPIN_NS;
        if (now < deadline) continue;
        pthread_mutex_lock(&w->lock);
        atomic_store(&w->waiting, true);
        while (atomic_load(&w->done) != count)
            pthread_cond_wait(&w->finished, &w->lock);
        atomic_store(&w->waiting, false);
        pthread_mutex_unlock(&w->lock);
        return;
    }
}

static void run_range(worker *w, size_t base, size_t count, cnn_range_fn *fn, void *arg) {
    w->fn = fn;
    w->arg = arg;
    w->base = base;
    w->count = count;
    atomic_store_explicit(&w->done, 0, memory_order_relaxed);
    atomic_store(&w->open, (uint64_t)count << 32);
    wake(w->pool, count - 1);

    size_t index;
    w->in_range = true;
    while (take_tile(w, &index))
        run_tile(w, index);
    w->in_range = false;
    wait_for_helpers(w, count);
}

typedef struct outside_range {
    pool *pool;
    size_t count;
    cnn_range_fn *fn;
    void *arg;
} outside_range;

static void run_outside_range(void *arg) {
    outside_range *r = arg;
    pool_parallel_for(r->pool, r->count, r->fn, r->arg);
}

void pool_parallel_for(pool *p, size_t count, cnn_range_fn *fn, void *arg) {
    if (!self || self->pool != p) {
        outside_range r = {p, count, fn, arg};
        pool_run(p, run_outside_range, &r);
        return;
    }
    if (count <= 1 || p->threads == 1 || self->in_range) {
        for (size_t i = 0; i < count; i++)
            fn(arg, i);
        return;
    }
    for (size_t base = 0; base < count; base += MAX_TILES)
        run_range(self, base, MIN(count - base, MAX_TILES), fn, arg);
}

/* ---- tasks ---- */

/* Called with the lock held. */
static sync_task *pop_sync(pool *p) {
    sync_task *s = p->sync_head;
    if (s) {
        p->sync_head = s->next;
        if (!p->sync_head) p->sync_tail = &p->sync_head;
        atomic_fetch_sub(&p->pending, 1);
    }
    return s;
}

/* Called with the lock held and a task in the ring. */
static task pop_ring(pool *p) {
    task t = p->ring[p->head];
    p->head = (p->head + 1) % p->capacity;
    atomic_fetch_sub(&p->queued, 1);
    atomic_fetch_sub(&p->pending, 1);
    return t;
}

static bool run_next_task(pool *p) {
    if (atomic_load_explicit(&p->pending, memory_order_relaxed) == 0) return false;
    pthread_mutex_lock(&p->lock);
    sync_task *s = pop_sync(p);
    bool have = s || atomic_load(&p->queued) > 0;
    task t = s ? s->task : have ? pop_ring(p) : (task){0};
    pthread_mutex_unlock(&p->lock);
    if (!have) return false;
    t.fn(t.arg);
    if (s) {
        pthread_mutex_lock(&p->lock);
        s->finished = true;
        pthread_cond_signal(&s->ended);
        pthread_mutex_unlock(&p->lock);
    }
    return true;
}

bool pool_submit(pool *p, cnn_task_fn *fn, void *arg) {
    pthread_mutex_lock(&p->lock);
    size_t queued = atomic_load(&p->queued);
    bool fits = queued < p->capacity;
    if (fits) {
        p->ring[(p->head + queued) % p->capacity] = (task){fn, arg};
        atomic_fetch_add(&p->queued, 1);
        atomic_fetch_add(&p->pending, 1);
    }
    pthread_mutex_unlock(&p->lock);
    if (fits) pthread_cond_signal(&p->work); /* unlocked: whom it wakes wants the lock */
    return fits;
}

void pool_run(pool *p, cnn_task_fn *fn, void *arg) {
    if (self && self->pool == p) {
        fn(arg);
        return;
    }
    sync_task s = {.task = {fn, arg}, .ended = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&p->lock);
    *p->sync_tail = &s;
    p->sync_tail = &s.next;
    atomic_fetch_add(&p->pending, 1);
    pthread_cond_signal(&p->work);
    while (!s.finished)
        pthread_cond_wait(&s.ended, &p->lock);
    pthread_mutex_unlock(&p->lock);
    pthread_cond_destroy(&s.ended);
}

/* ---- workers ---- */

static bool any_tile(const pool *p) {
    for (int i = 0; i < p->threads; i++) {
        uint64_t t = atomic_load(&p->workers[i].open);
        if (BEGIN(t) < END(t)) return true;
    }
    return false;
}

/* Registers as a sleeper before the last look for work, so that no wake-up can fall in between. */
static void sleep_until_work(pool *p) {
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->pending) == 0 && !any_tile(p) && !atomic_load(&p->stopping))
        pthread_cond_wait(&p->work, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

/* True if work turned up within SPIN_NS. */
static bool spin_for_work(pool *p) {
    uint64_t deadline = cnn_now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(&p->pending, memory_order_relaxed) > 0 || any_tile(p))
                return true;
            relax();
        }
    } while (cnn_now_ns() < deadline);
    return false;
}

static void *worker_main(void *arg) {
    self = arg;
    pool *p = self->pool;
    for (;;) {
        if (run_next_task(p) || help(p) || spin_for_work(p)) continue;
        if (atomic_load(&p->stopping) && atomic_load(&p->pending) == 0) return NULL;
        sleep_until_work(p);
    }
}

static bool worker_init(worker *w, pool *p) {
    w->pool = p;
    w->scratch = cnn_alloc_aligned(POOL_SCRATCH_BYTES);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->finished, NULL);
    return w->scratch != NULL;
}

/* Stops and joins the first `started` workers. */
static void stop_workers(pool *p, int started) {
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stopping, true);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < started; i++)
        pthread_join(p->workers[i].thread, NULL);
}

static void destroy(pool *p) {
    for (int i = 0; i < p->threads; i++) {
        pthread_mutex_destroy(&p->workers[i].lock);
        pthread_cond_destroy(&p->workers[i].finished);
        free(p->workers[i].scratch);
    }
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    free(p->workers);
    free(p->ring);
    free(p);
}

cnn_status pool_create(int threads, size_t queue, pool **out, cnn_error *err) {
    if (threads < 1 || threads > POOL_MAX_THREADS)
        return cnn_fail(err, CNN_INVALID_ARGUMENT, "the number of threads is %d, not 1 to %d",
                        threads, POOL_MAX_THREADS);
    if (queue < 1 || queue > POOL_MAX_QUEUE)
        return cnn_fail(err, CNN_INVALID_ARGUMENT, "the queue length is %zu, not 1 to %d", queue,
                        POOL_MAX_QUEUE);
    pool *p = calloc(1, sizeof(*p));
    if (!p) return cnn_fail_memory(err, sizeof(*p));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    p->capacity = queue;
    p->sync_tail = &p->sync_head;
    p->ring = calloc(queue, sizeof(*p->ring));
    p->workers = cnn_alloc_aligned((size_t)threads * sizeof(*p->workers));
    if (!p->ring || !p->workers) {
        destroy(p);
        return cnn_fail_memory(err, (size_t)threads * sizeof(*p->workers));
    }
    for (; p->threads < threads; p->threads++) {
        p->workers[p->threads] = (worker){0};
        if (worker_init(&p->workers[p->threads], p)) continue;
        p->threads++;
        destroy(p);
        return cnn_fail_memory(err, POOL_SCRATCH_BYTES);
    }
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&p->workers[i].thread, NULL, worker_main, &p->workers[i]) != 0) {
            stop_workers(p, i);
            destroy(p);
            return cnn_fail(err, CNN_OUT_OF_MEMORY, "thread %d of %d could not be started", i + 1,
                            threads);
        }
    }
    *out = p;
    return CNN_OK;
}

void pool_free(pool *p) {
    if (!p) return;
    stop_workers(p, p->threads);
    destroy(p);
}

bool pool_bind(pool *p, const cpu_set_t *shares) {
    bool bound = true;
    for (int i = 0; i < p->threads; i++)
        bound &= pthread_setaffinity_np(p->workers[i].thread, sizeof(shares[i]), &shares[i]) == 0;
    return bound;
}

int pool_threads(const pool *p) {
    return p->threads;
}

void *pool_scratch(void) {
    return self->scratch;
}

size_t pool_queued(const pool *p) {
    return atomic_load(&p->queued);
}
