/* deadline.c: see deadline.h. One mutex guards everything; the thread looks twice a second, and
 * sleeps while there are no connections. */
#include "http/deadline.h"

#include "common/clock.h"

#include <errno.h>
#include <netinet/in.h>
/* glibc's netinet/tcp.h lacks what the kernel has added to tcp_info. */
#include <linux/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define SECOND      1000000000ULL
#define MILLISECOND 1000000ULL
#define TICK_MS     500

/* Bytes that the kernel takes of a reply beyond what it has sent. It would take megabytes, and
 * libmicrohttpd, which sees only that, would find nothing moving while a slow client takes those.
 */
#define UNSENT_BYTES (64 << 10)

/* Fields guarded by the lock of `all`. */
struct deadline {
    deadlines *all;
    deadline *next, *previous;
    int socket;
    deadline_phase phase;
    uint64_t since_ns; /* when the phase began */
    uint64_t received; /* bytes of body in this phase */
    uint64_t taken;    /* of replies, by the client, before `since_ns` */
    bool passed;
};

struct deadlines {
    uint64_t idle_ns;
    pthread_t thread;
    pthread_mutex_t lock;   /* guards the rest */
    pthread_cond_t changed; /* there is a first connection, or `stopping` */
    deadline *first;
    bool stopping;
};

static uint64_t allowed_ns(const deadline *d) {
    if (d->phase == DEADLINE_NONE) return UINT64_MAX;
    /* libmicrohttpd closes a silent connection itself; a second later it is our turn. */
    if (d->phase == DEADLINE_WAITING) return d->all->idle_ns + SECOND;
    if (d->phase == DEADLINE_REPLY) return d->all->idle_ns;
    return d->all->idle_ns + d->received * (SECOND / DEADLINE_MIN_RATE);
}

/* Bytes that the connection's peer has acknowledged. */
static uint64_t taken_bytes(const deadline *d) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(d->socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_acked
                                                                           : 0;
}

/* A client that has taken enough of a reply has as much time again. */
static void renew(deadline *d, uint64_t now) {
    if (d->phase != DEADLINE_REPLY) return;
    uint64_t taken = taken_bytes(d);
    if (taken - d->taken < d->all->idle_ns / SECOND * DEADLINE_MIN_RATE) return;
    d->taken = taken;
    d->since_ns = now;
}

static bool takes_input(const deadline *d) {
    return d->phase == DEADLINE_WAITING || d->phase == DEADLINE_BODY;
}

/* The end of a connection's input can escape libmicrohttpd (edge-triggered epoll) if it comes while
 * the connection is suspended, or together with data. It would then keep a half-closed connection,
 * or wait for the rest of a body, until that times out. */
static bool peer_has_ended(const deadline *d, uint64_t now) {
    char byte;
    return takes_input(d) && now - d->since_ns > TICK_MS * MILLISECOND &&
           recv(d->socket, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Called with the lock held, so that no phase begins after `now`. */
static void end_overdue(deadlines *all) {
    uint64_t now = clock_ns();
    for (deadline *d = all->first; d; d = d->next) {
        if (peer_has_ended(d, now)) shutdown(d->socket, SHUT_RD);
        renew(d, now);
        if (d->passed || now - d->since_ns <= allowed_ns(d)) continue;
        d->passed = true;
        shutdown(d->socket, takes_input(d) ? SHUT_RD : SHUT_RDWR);
    }
}

/* False if something has changed before a tick was over; called with the lock held. */
static bool wait_tick(deadlines *all) {
    uint64_t until = clock_ns() + TICK_MS * MILLISECOND;
    const struct timespec at = {.tv_sec = (time_t)(until / SECOND),
                                .tv_nsec = (long)(until % SECOND)};
    return pthread_cond_timedwait(&all->changed, &all->lock, &at) == ETIMEDOUT;
}

static void *watch(void *arg) {
    deadlines *all = arg;
    pthread_mutex_lock(&all->lock);
    while (!all->stopping) {
        if (!all->first)
            pthread_cond_wait(&all->changed, &all->lock);
        else if (wait_tick(all))
            end_overdue(all);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

static void destroy(deadlines *all) {
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

deadlines *deadlines_create(unsigned idle_seconds) {
    deadlines *all = calloc(1, sizeof *all);
    if (!all) return NULL;
    all->idle_ns = idle_seconds * SECOND;
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&all->thread, NULL, watch, all) == 0) return all;
    destroy(all);
    return NULL;
}

void deadlines_free(deadlines *all) {
    if (!all) return;
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    pthread_cond_signal(&all->changed);
    pthread_mutex_unlock(&all->lock);
    pthread_join(all->thread, NULL);
    destroy(all);
}

deadline *deadline_add(deadlines *all, int socket) {
    deadline *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    *d = (deadline){.all = all, .socket = socket, .since_ns = clock_ns()};
    setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_BYTES}, sizeof(int));
    pthread_mutex_lock(&all->lock);
    d->next = all->first;
    if (d->next)
        d->next->previous = d;
    else
        pthread_cond_signal(&all->changed);
    all->first = d;
    pthread_mutex_unlock(&all->lock);
    return d;
}

void deadline_remove(deadline *d) {
    if (!d) return;
    pthread_mutex_lock(&d->all->lock);
    if (d->next) d->next->previous = d->previous;
    if (d->previous)
        d->previous->next = d->next;
    else
        d->all->first = d->next;
    pthread_mutex_unlock(&d->all->lock);
    free(d);
}

void deadline_enter(deadline *d, deadline_phase phase) {
    if (!d) return;
    pthread_mutex_lock(&d->all->lock);
    d->phase = phase;
    d->since_ns = clock_ns();
    d->received = 0;
    if (phase == DEADLINE_REPLY) d->taken = taken_bytes(d);
    pthread_mutex_unlock(&d->all->lock);
}

void deadline_received(deadline *d, size_t bytes) {
    if (!d) return;
    pthread_mutex_lock(&d->all->lock);
    d->received += bytes;
    pthread_mutex_unlock(&d->all->lock);
}

bool deadline_passed(deadline *d) {
    if (!d) return false;
    pthread_mutex_lock(&d->all->lock);
    bool passed = d->passed;
    pthread_mutex_unlock(&d->all->lock);
    return passed;
}
