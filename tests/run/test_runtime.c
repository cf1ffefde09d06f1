/* Which CPUs the threads of a runtime may run on. */
#include <criterion/criterion.h>

#include "cnn.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define MOST 64 /* CPUs that these tests look at */

static cpu_set_t mask(void) {
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
    return set;
}

/* Leaves the calling thread the first `count` of its CPUs; skips the test if it has fewer. */
static cpu_set_t keep(int count) {
    cpu_set_t all = mask(), kept;
    if (CPU_COUNT(&all) < count) cr_skip_test("needs %d CPUs", count);
    CPU_ZERO(&kept);
    for (int cpu = 0; CPU_COUNT(&kept) < count; cpu++)
        if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &kept);
    cr_assert_eq(sched_setaffinity(0, sizeof(kept), &kept), 0);
    return kept;
}

static cnn_runtime *start(int threads, bool bind) {
    const cnn_runtime_options options = {.threads = threads, .bind = bind};
    cnn_runtime *rt;
    cnn_error err;
    cr_assert_eq(cnn_runtime_create(&options, &rt, &err), CNN_OK, "%s", err.message);
    return rt;
}

typedef struct meeting {
    int threads;
    atomic_int arrived;
    cpu_set_t masks[MOST];
} meeting;

/* No thread leaves before all are here, so each comes once. */
static void attend(void *arg, size_t index) {
    meeting *m = arg;
    m->masks[index] = mask();
    atomic_fetch_add(&m->arrived, 1);
    while (atomic_load(&m->arrived) < m->threads)
        sched_yield();
}

static void ask_each_thread(cnn_runtime *rt, meeting *m) {
    memset(m, 0, sizeof(*m));
    m->threads = cnn_runtime_threads(rt);
    cr_assert_leq(m->threads, MOST);
    cnn_runtime_parallel_for(rt, (size_t)m->threads, attend, m);
}

static void expect_all_free(cnn_runtime *rt, const cpu_set_t *allowed) {
    static meeting m;
    cr_assert_not(cnn_runtime_bound(rt));
    ask_each_thread(rt, &m);
    for (int i = 0; i < m.threads; i++)
        cr_assert(CPU_EQUAL(&m.masks[i], allowed), "thread %d", i);
    cnn_runtime_free(rt);
}

Test(runtime, as_many_threads_as_cpus_have_one_each) {
    static meeting m;
    cpu_set_t allowed = keep(2), met;
    cnn_runtime *rt = start(0, true);
    if (strcmp(cnn_runtime_threads_origin(rt), "affinity") != 0) cr_skip_test("there is a quota");
    cr_assert(cnn_runtime_bound(rt));
    ask_each_thread(rt, &m);
    cr_assert_eq(m.threads, 2);
    CPU_ZERO(&met);
    for (int i = 0; i < m.threads; i++) {
        cr_assert_eq(CPU_COUNT(&m.masks[i]), 1);
        CPU_OR(&met, &met, &m.masks[i]);
    }
    cr_assert(CPU_EQUAL(&met, &allowed));
    cnn_runtime_free(rt);
}

Test(runtime, the_caller_stays_free) {
    cpu_set_t allowed = keep(2), after;
    cnn_runtime *rt = start(2, true);
    after = mask();
    cr_assert(CPU_EQUAL(&after, &allowed));
    cnn_runtime_free(rt);
}

Test(runtime, more_threads_than_cpus_are_free) {
    cpu_set_t allowed = keep(1);
    expect_all_free(start(2, true), &allowed);
}

Test(runtime, a_single_thread_is_free) {
    cpu_set_t allowed = mask();
    expect_all_free(start(1, true), &allowed);
}

Test(runtime, threads_are_free_unless_asked_for) {
    cpu_set_t allowed = keep(2);
    expect_all_free(start(2, false), &allowed);
    cnn_runtime *rt;
    cr_assert_eq(cnn_runtime_create(NULL, &rt, NULL), CNN_OK);
    expect_all_free(rt, &allowed);
}
