/* The time that a connection has, watched while others use theirs. */
#include "http/deadline.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_SECONDS 60
#define TICKS_US     3000000 /* several looks of the watching thread */

static atomic_bool stop;

static void *begin_phases(void *arg) {
    while (!atomic_load(&stop))
        deadline_enter(arg, DEADLINE_BODY);
    return NULL;
}

/* A phase that begins while the watching thread waits for the lock has not begun in the future. */
Test(deadline, phases_that_have_just_begun_are_not_over) {
    int sockets[2][2];
    deadline *d[2];
    pthread_t threads[2];
    deadlines *all = deadlines_create(IDLE_SECONDS);
    cr_assert_not_null(all);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets[i]), 0);
        cr_assert_not_null(d[i] = deadline_add(all, sockets[i][0]));
        cr_assert_eq(pthread_create(&threads[i], NULL, begin_phases, d[i]), 0);
    }
    usleep(TICKS_US);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_not(deadline_passed(d[i]));
        deadline_remove(d[i]);
        close(sockets[i][0]);
        close(sockets[i][1]);
    }
    deadlines_free(all);
}
