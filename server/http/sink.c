/* sink.c: see sink.h. The thread sleeps while there is nothing to drop. */
#include "http/sink.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND  1000000000ULL
#define TICK_MS 500 /* between two looks for sockets whose time is over */

typedef struct drain {
    int socket; /* a duplicate, owned */
    uint64_t until_ns;
} drain;

struct sink {
    pthread_t thread;
    int wake; /* eventfd: look again */
    pthread_mutex_t lock;
    /* Guarded by the lock. */
    drain drains[SINK_MAX];
    size_t count;
    bool stopping;
};

/* True when the client has closed its side. */
static bool drop_input(int socket) {
    static char dropped[1 << 16]; /* the thread's only */
    for (int i = 0; i < 4; i++) {
        ssize_t got = recv(socket, dropped, sizeof dropped, MSG_DONTWAIT);
        if (got < 0) return errno != EAGAIN && errno != EINTR;
        if (got == 0) return true;
    }
    return false;
}

/* With the lock held, as the next. */
static void drop_all(sink *s) {
    uint64_t now = clock_ns();
    for (size_t i = 0; i < s->count;) {
        drain *d = &s->drains[i];
        if (drop_input(d->socket) || now > d->until_ns) {
            close(d->socket);
            *d = s->drains[--s->count];
        } else {
            i++;
        }
    }
}

static nfds_t list_polled(const sink *s, struct pollfd *polled) {
    nfds_t count = 0;
    polled[count++] = (struct pollfd){.fd = s->wake, .events = POLLIN};
    for (size_t i = 0; i < s->count; i++)
        polled[count++] = (struct pollfd){.fd = s->drains[i].socket, .events = POLLIN};
    return count;
}

static void *work(void *arg) {
    sink *s = arg;
    struct pollfd polled[1 + SINK_MAX];
    eventfd_t woken;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        drop_all(s);
        nfds_t count = list_polled(s, polled);
        pthread_mutex_unlock(&s->lock);
        poll(polled, count, count > 1 ? TICK_MS : -1);
        if (polled[0].revents & POLLIN) eventfd_read(s->wake, &woken);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

sink *sink_create(void) {
    sink *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    pthread_mutex_init(&s->lock, NULL);
    s->wake = eventfd(0, EFD_CLOEXEC);
    if (s->wake >= 0 && pthread_create(&s->thread, NULL, work, s) == 0) return s;
    if (s->wake >= 0) close(s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return NULL;
}

void sink_free(sink *s) {
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    eventfd_write(s->wake, 1);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->count; i++)
        close(s->drains[i].socket);
    close(s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void sink_add(sink *s, int socket) {
    int copy = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    pthread_mutex_lock(&s->lock);
    bool room = s->count < SINK_MAX;
    if (room) s->drains[s->count++] = (drain){copy, clock_ns() + SINK_SECONDS * SECOND};
    pthread_mutex_unlock(&s->lock);
    if (room)
        eventfd_write(s->wake, 1);
    else
        close(copy);
}
