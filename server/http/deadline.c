/* deadline.c: see deadline.h. One mutex guards everything; the thread looks twice a second. */
#include "http/deadline.h"

#include "common/clock.h"

#include <netinet/in.h>
/* glibc's netinet/tcp.h lacks what the kernel has added to tcp_info. */
#include <linux/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

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
    int stop; /* eventfd */
    pthread_mutex_t lock;
    deadline *first; /* guarded by the lock */
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

static void end_overdue(deadlines *all) {
    pthread_mutex_lock(&all->lock);
    uint64_t now = clock_ns(); /* not before the lock: no phase began later */
    for (deadline *d = all->first; d; d = d->next) {
        if (peer_has_ended(d, now)) shutdown(d->socket, SHUT_RD);
        renew(d, now);
        if (d->passed || now - d->since_ns <= allowed_ns(d)) continue;
        d->passed = true;
        shutdown(d->socket, takes_input(d) ? SHUT_RD : SHUT_RDWR);
    }
    pthread_mutex_unlock(&all->lock);
}

static void *watch(void *arg) {
    deadlines *all = arg;
    struct pollfd stop = {.fd = all->stop, .events = POLLIN};
    while (poll(&stop, 1, TICK_MS) <= 0)
        end_overdue(all);
    return NULL;
}

deadlines *deadlines_create(unsigned idle_seconds) {
    deadlines *all = calloc(1, sizeof *all);
    if (!all) return NULL;
    all->idle_ns = idle_seconds * SECOND;
    pthread_mutex_init(&all->lock, NULL);
    all->stop = eventfd(0, EFD_CLOEXEC);
    if (all->stop >= 0 && pthread_create(&all->thread, NULL, watch, all) == 0) return all;
    if (all->stop >= 0) close(all->stop);
    pthread_mutex_destroy(&all->lock);
    free(all);
    return NULL;
}

void deadlines_free(deadlines *all) {
    if (!all) return;
    eventfd_write(all->stop, 1);
    pthread_join(all->thread, NULL);
    close(all->stop);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

deadline *deadline_add(deadlines *all, int socket) {
    deadline *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    *d = (deadline){.all = all, .socket = socket, .since_ns = clock_ns()};
    setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_BYTES}, sizeof(int));
    pthread_mutex_lock(&all->lock);
    d->next = all->first;
    if (d->next) d->next->previous = d;
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
