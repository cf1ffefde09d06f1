/* The thread pool: every tile once, order and limit of tasks, waiting, stopping. */
#include <criterion/criterion.h>

#include "run/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static pool *make_pool(int threads, size_t queue) {
    pool *p;
    cnn_error err;
    cr_assert_eq(pool_create(threads, queue, &p, &err), CNN_OK, "%s", err.message);
    return p;
}

typedef struct marks {
    atomic_int seen[5000];
    pool *pool;
    pthread_t caller;
    atomic_int elsewhere;
} marks;

static void mark(void *arg, size_t i) {
    marks *m = arg;
    atomic_fetch_add(&m->seen[i], 1);
}

Test(pool, each_index_of_a_range_is_called_once) {
    static marks m;
    for (int threads = 1; threads <= 4; threads++) {
        pool *p = make_pool(threads, 8);
        for (size_t count = 0; count <= 5000; count = count * 3 + 1) {
            for (int i = 0; i < 5000; i++)
                atomic_store(&m.seen[i], 0);
            pool_parallel_for(p, count, mark, &m);
            for (size_t i = 0; i < 5000; i++)
                cr_assert_eq(atomic_load(&m.seen[i]), i < count, "index %zu of %zu", i, count);
        }
        pool_free(p);
    }
}

static void nested_inner(void *arg, size_t i) {
    (void)i;
    atomic_fetch_add((atomic_int *)arg, 1);
}

typedef struct nested {
    pool *pool;
    atomic_int inner;
} nested;

static void nested_outer(void *arg, size_t i) {
    (void)i;
    nested *n = arg;
    pool_parallel_for(n->pool, 7, nested_inner, &n->inner);
}

Test(pool, ranges_within_ranges_run_on_their_own_thread) {
    pool *p = make_pool(3, 8);
    nested n = {.pool = p};
    for (int i = 0; i < 200; i++)
        pool_parallel_for(p, 11, nested_outer, &n);
    cr_assert_eq(atomic_load(&n.inner), 200 * 11 * 7);
    pool_free(p);
}

static void add_one(void *arg) {
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void *submitter(void *arg) {
    void **a = arg;
    for (int i = 0; i < 2000; i++)
        while (!pool_submit(a[0], add_one, a[1]))
            usleep(1);
    return NULL;
}

Test(pool, tasks_of_many_submitters_all_run) {
    atomic_int ran = 0;
    pool *p = make_pool(3, 64);
    pthread_t threads[4];
    void *arg[] = {p, &ran};
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, submitter, arg);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    pool_free(p);
    cr_assert_eq(atomic_load(&ran), 8000);
}

static void wait_for(void *arg) {
    while (!atomic_load((atomic_bool *)arg))
        usleep(100);
}

typedef struct order {
    int at[4], count;
} order;

typedef struct note {
    order *order;
    int number;
} note;

static void write_down(void *arg) {
    note *n = arg;
    n->order->at[n->order->count++] = n->number;
}

Test(pool, a_full_queue_refuses_and_order_is_kept) {
    atomic_bool go = false;
    order o = {0};
    note notes[] = {{&o, 1}, {&o, 2}, {&o, 3}};
    pool *p = make_pool(1, 3);
    cr_assert(pool_submit(p, wait_for, &go));
    while (pool_queued(p) > 0)
        usleep(100);
    for (int i = 0; i < 3; i++)
        cr_assert(pool_submit(p, write_down, &notes[i]));
    cr_assert_eq(pool_queued(p), 3);
    cr_assert_not(pool_submit(p, write_down, &notes[0]));
    atomic_store(&go, true);
    pool_free(p);
    cr_assert_eq(o.count, 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(o.at[i], i + 1);
}

static void is_elsewhere(void *arg) {
    marks *m = arg;
    atomic_store(&m->elsewhere, !pthread_equal(m->caller, pthread_self()));
}

Test(pool, run_waits_and_uses_a_worker) {
    static marks m;
    pool *p = make_pool(2, 4);
    m.caller = pthread_self();
    pool_run(p, is_elsewhere, &m);
    cr_assert(atomic_load(&m.elsewhere));
    pool_free(p);
}

typedef struct lonely {
    pool *pool;
    pthread_t first;
    atomic_bool helped;
} lonely;

static void slow_tile(void *arg, size_t i) {
    (void)i;
    lonely *l = arg;
    if (!pthread_equal(l->first, pthread_self())) atomic_store(&l->helped, true);
    usleep(1000);
}

static void lonely_task(void *arg) {
    lonely *l = arg;
    l->first = pthread_self();
    pool_parallel_for(l->pool, 64, slow_tile, l);
}

Test(pool, an_idle_worker_helps_a_lonely_task) {
    lonely l = {.pool = make_pool(2, 4)};
    pool_run(l.pool, lonely_task, &l);
    cr_assert(atomic_load(&l.helped));
    pool_free(l.pool);
}

Test(pool, bad_sizes_are_refused) {
    pool *p;
    cnn_error err;
    cr_assert_eq(pool_create(0, 1, &p, &err), CNN_INVALID_ARGUMENT);
    cr_assert_eq(pool_create(100000, 1, &p, &err), CNN_INVALID_ARGUMENT);
    cr_assert_eq(pool_create(1, 0, &p, &err), CNN_INVALID_ARGUMENT);
}
