/* watch.c: see watch.h. One mutex guards everything; the watcher wakes up twice a
 * second, and also for bytes to be dropped. */
#include "http/watch.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND  1000000000ULL
#define TICK_MS 500

/* Fields guarded by the lock of `all`. */
struct watched {
    watcher *all;
    watched *next, *previous;
    int socket;
    watched_phase phase;
    uint64_t since_ns; /* when the phase began */
    uint64_t received; /* bytes of body in this phase */
    bool timed_out;
};

typedef struct drained {
    int socket; /* a duplicate, owned */
    uint64_t until_ns;
} drained;

struct watcher {
    uint64_t idle_ns;
    pthread_t watcher;
    int wake; /* eventfd: look again */
    pthread_mutex_t lock;
    /* Guarded by the lock. */
    watched *first;
    drained drains[WATCH_DRAINED];
    size_t drain_count;
    bool stopping;
};

static uint64_t allowed_ns(const watcher *all, const watched *c) {
    if (c->phase == WATCHED_BUSY) return UINT64_MAX;
    /* libmicrohttpd closes a silent connection itself; a second later it is our turn. */
    if (c->phase == WATCHED_WAITING) return all->idle_ns + SECOND;
    return all->idle_ns + c->received * (SECOND / WATCH_MIN_RATE);
}

/* With the lock held. */
static void end_overdue(watcher *all, uint64_t now) {
    for (watched *c = all->first; c; c = c->next) {
        if (c->timed_out || now - c->since_ns <= allowed_ns(all, c)) continue;
        c->timed_out = true;
        shutdown(c->socket, SHUT_RD);
    }
}

/* True when the client has closed its side. */
static bool drop_input(int socket) {
    static char sink[1 << 16]; /* the watcher's only */
    for (int i = 0; i < 4; i++) {
        ssize_t got = recv(socket, sink, sizeof sink, MSG_DONTWAIT);
        if (got < 0) return errno != EAGAIN && errno != EINTR;
        if (got == 0) return true;
    }
    return false;
}

/* With the lock held. */
static void drop_all_input(watcher *all, uint64_t now) {
    for (size_t i = 0; i < all->drain_count;) {
        drained *d = &all->drains[i];
        if (drop_input(d->socket) || now > d->until_ns) {
            close(d->socket);
            *d = all->drains[--all->drain_count];
        } else {
            i++;
        }
    }
}

/* With the lock held. */
static nfds_t list_polled(const watcher *all, struct pollfd *polled) {
    nfds_t count = 0;
    polled[count++] = (struct pollfd){.fd = all->wake, .events = POLLIN};
    for (size_t i = 0; i < all->drain_count; i++)
        polled[count++] = (struct pollfd){.fd = all->drains[i].socket, .events = POLLIN};
    return count;
}

static void *watch(void *arg) {
    watcher *all = arg;
    struct pollfd polled[1 + WATCH_DRAINED];
    pthread_mutex_lock(&all->lock);
    while (!all->stopping) {
        uint64_t now = clock_ns(), woken;
        end_overdue(all, now);
        drop_all_input(all, now);
        nfds_t count = list_polled(all, polled);
        pthread_mutex_unlock(&all->lock);
        poll(polled, count, TICK_MS);
        if (polled[0].revents & POLLIN && read(all->wake, &woken, sizeof woken) < 0) woken = 0;
        pthread_mutex_lock(&all->lock);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

static void wake(watcher *all) {
    uint64_t one = 1;
    if (write(all->wake, &one, sizeof one) < 0) return; /* full: it is awake */
}

watcher *watcher_create(unsigned idle_seconds) {
    watcher *all = calloc(1, sizeof *all);
    if (!all) return NULL;
    all->idle_ns = idle_seconds * SECOND;
    pthread_mutex_init(&all->lock, NULL);
    all->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (all->wake >= 0 && pthread_create(&all->watcher, NULL, watch, all) == 0) return all;
    if (all->wake >= 0) close(all->wake);
    pthread_mutex_destroy(&all->lock);
    free(all);
    return NULL;
}

void watcher_free(watcher *all) {
    if (!all) return;
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    pthread_mutex_unlock(&all->lock);
    wake(all);
    pthread_join(all->watcher, NULL);
    for (size_t i = 0; i < all->drain_count; i++)
        close(all->drains[i].socket);
    close(all->wake);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

watched *watcher_add(watcher *all, int socket) {
    watched *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    *c = (watched){.all = all, .socket = socket, .since_ns = clock_ns()};
    pthread_mutex_lock(&all->lock);
    c->next = all->first;
    if (c->next) c->next->previous = c;
    all->first = c;
    pthread_mutex_unlock(&all->lock);
    return c;
}

void watcher_remove(watcher *all, watched *c) {
    if (!c) return;
    pthread_mutex_lock(&all->lock);
    if (c->next) c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        all->first = c->next;
    pthread_mutex_unlock(&all->lock);
    free(c);
}

void watched_enter(watched *c, watched_phase phase) {
    if (!c) return;
    pthread_mutex_lock(&c->all->lock);
    c->phase = phase;
    c->since_ns = clock_ns();
    c->received = 0;
    pthread_mutex_unlock(&c->all->lock);
}

void watched_received(watched *c, size_t bytes) {
    if (!c) return;
    pthread_mutex_lock(&c->all->lock);
    c->received += bytes;
    pthread_mutex_unlock(&c->all->lock);
}

bool watched_timed_out(watched *c) {
    if (!c) return false;
    pthread_mutex_lock(&c->all->lock);
    bool timed_out = c->timed_out;
    pthread_mutex_unlock(&c->all->lock);
    return timed_out;
}

void watcher_drain(watcher *all, int socket) {
    int copy = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    pthread_mutex_lock(&all->lock);
    bool room = all->drain_count < WATCH_DRAINED;
    uint64_t until = clock_ns() + WATCH_DRAIN_SECONDS * SECOND;
    if (room) all->drains[all->drain_count++] = (drained){copy, until};
    pthread_mutex_unlock(&all->lock);
    if (room)
        wake(all);
    else
        close(copy);
}
