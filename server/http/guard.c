/*
 * guard.c: see guard.h.
 *
 * libmicrohttpd 0.9.75 unfolds headers, stops at a NUL, takes bare line feeds, and answers what it
 * refuses in HTML, sometimes twice; 1.0.1 differs in each of these. Its callbacks come after it has
 * read, and it offers no hook before. What it does have is one place where bytes come in: recv().
 * The program therefore defines recv(), which the linker gives to the library as well, and this is
 * the whole of the seam: whatever the library does with a request, it has seen only requests that
 * can be read in one way, and the answers to all others are ours. A second process or thread before
 * the library would do, too, but costs each request two switches and a copy of its body.
 *
 *   phases   head -> (body | chunk size -> chunk -> its end -> ... -> trailers) -> head
 *
 * Heads, chunk sizes and trailers are read into `held` and are checked there; bodies go from the
 * socket straight to where the library wants them. Nothing is changed on the way but that empty
 * lines before a request, blanks behind headers, headers that nobody reads, and extensions of
 * chunks are left out.
 *
 * The library polls edge-triggered and takes a read of less than it asked for to mean that there is
 * no more. So guard_receive stops early only if the socket is empty or the client is refused. In
 * the latter case the library may not ask again, and is woken by an end of input.
 *
 * A request is refused when all before it have ended: for a wrong head, when none is under way; for
 * a wrong body, when its own is the only one.
 */
#include "http/guard.h"

/* Before the C library's, which is an inline function where that checks sizes (_FORTIFY_SOURCE);
 * Clang heeds no attribute after it, and what is hidden would not be the library's recv(). */
__attribute__((visibility("default"))) ssize_t recv(int socket, void *out, size_t size, int flags);

#include "http/http.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HELD            HTTP_MAX_HEADER_BYTES
#define MAX_EMPTY_LINES 4 /* before a request line */
#define TLS_HANDSHAKE   0x16

typedef enum phase { HEAD, BODY, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILERS, REFUSED } phase;

struct guard {
    guards *all;
    int socket;
    guard_refuse *refuse;
    void *arg;
    phase phase;
    head head;        /* as far as it has been scanned */
    uint64_t left;    /* bytes of a body or chunk that have not been let through */
    size_t trailers;  /* bytes */
    unsigned empty;   /* lines before this head */
    size_t dropped;   /* bytes of it that have been left out */
    size_t seen;      /* bytes of a line that has not ended, which have been checked */
    size_t open;      /* requests let through that have not ended */
    head_refusal why; /* in phase REFUSED; status 0: without an answer */
    bool in_body;     /* the refused request is one of `open` */
    bool told;        /* it has been refused */
    /* held[start, checked) is to be let through; [checked, scanned) are good lines of a head that
     * has not ended; [scanned, end) is yet to be looked at. */
    size_t start, checked, scanned, end;
    char held[HELD];
};

/* Guards by socket; entries are NULL where there is none. */
struct guards {
    guard **items;
    size_t count;
};

/* Those of this thread, if it is an HTTP thread: recv() knows no more than a socket. */
static _Thread_local const guards *here;

/* ---- requests ----------------------------------------------------------------------------- */

static void stop(guard *g, head_refusal why) {
    g->why = why;
    g->in_body = g->phase != HEAD;
    g->phase = REFUSED;
}

static void begin_head(guard *g) {
    g->phase = HEAD;
    g->head = (head){0};
    g->empty = 0;
    g->dropped = 0;
    g->scanned = g->checked;
}

static void end_head(guard *g) {
    head_refusal r = head_end(&g->head);
    if (r.why) {
        stop(g, r);
        return;
    }
    g->checked = g->scanned;
    g->open++;
    g->left = g->head.length;
    g->phase = g->head.codings ? CHUNK_SIZE : BODY;
    if (g->phase == BODY && g->left == 0) begin_head(g);
}

/* Takes `size` bytes at `at` out of what is held. */
static void leave_out(guard *g, size_t at, size_t size) {
    memmove(g->held + at, g->held + at + size, g->end - at - size);
    g->end -= size;
}

static head_refusal too_large(const guard *g) {
    if (g->head.lines == 0)
        return (head_refusal){414, "uri_too_long", "the request line is longer than 31.5 KiB"};
    return (head_refusal){431, "headers_too_large",
                          "the request line and the headers are larger than 31.5 KiB"};
}

/* A line of a head, CR LF included. */
static void scan_line(guard *g, size_t size) {
    if (size == 2 && g->head.lines == 0) {
        leave_out(g, g->scanned, size);
        if (++g->empty > MAX_EMPTY_LINES)
            stop(g, (head_refusal){400, "bad_request", "there is no request, but empty lines"});
    } else if (size == 2) {
        g->scanned += size;
        end_head(g);
    } else {
        head_refusal r = head_line(&g->head, g->held + g->scanned, size - 2);
        if (r.why) {
            stop(g, r);
        } else if (g->head.unused) {
            leave_out(g, g->scanned, size);
            g->dropped += size;
        } else {
            size -= g->head.blank;
            leave_out(g, g->scanned + size - 2, g->head.blank);
            g->dropped += g->head.blank;
            g->scanned += size;
        }
    }
}

/* A line from `at` on, its bytes checked; its size, or 0: it has not ended, or the client has been
 * refused. */
static size_t find_line(guard *g, size_t at, size_t longest, head_refusal too_long) {
    const char *line = g->held + at;
    size_t available = g->end - at;
    const char *last = memchr(line, '\n', available);
    size_t size = last ? (size_t)(last - line) + 1 : available;
    head_refusal r = head_check_bytes(line, g->seen, size);
    g->seen = last ? 0 : size;
    if (!r.why && (last ? size > longest : size >= longest)) r = too_long;
    if (r.why) stop(g, r);
    return r.why || !last ? 0 : size;
}

/* ---- steps: each returns whether there may be more to be checked -------------------------- */

static bool scan_head(guard *g) {
    if (g->head.lines == 0 && g->end > g->scanned && g->held[g->scanned] == TLS_HANDSHAKE) {
        stop(g, (head_refusal){0, "", "the client speaks TLS"});
        return false;
    }
    size_t room = HELD - g->dropped - (g->scanned - g->checked);
    size_t size = find_line(g, g->scanned, room, too_large(g));
    if (size) scan_line(g, size);
    return size > 0 && g->phase != REFUSED;
}

/* "1a;name=value"; *digits are before the extensions. */
static head_refusal read_chunk_size(const char *line, size_t size, size_t *digits, uint64_t *out) {
    static const char hexadecimal[] = "0123456789abcdef0123456789ABCDEF";
    size_t i = 0;
    *out = 0;
    for (const char *digit; i < size && (digit = memchr(hexadecimal, line[i], 32)); i++)
        *out = *out << 4 | (uint64_t)((digit - hexadecimal) % 16);
    *digits = i;
    if (i > 0 && i < 16 && (i == size || line[i] == ';')) return (head_refusal){0};
    return (head_refusal){400, "bad_request", "the size of a chunk is no hexadecimal number"};
}

static bool scan_chunk_size(guard *g) {
    static const head_refusal too_long = {
        400, "bad_request", "the size of a chunk and its extensions take over 256 bytes"};
    size_t size = find_line(g, g->checked, GUARD_MAX_CHUNK_LINE, too_long), digits;
    if (size == 0) return false;
    head_refusal r = read_chunk_size(g->held + g->checked, size - 2, &digits, &g->left);
    if (r.why) {
        stop(g, r);
        return false;
    }
    leave_out(g, g->checked + digits, size - 2 - digits); /* 1.0.1 takes them for an error */
    g->checked += digits + 2;
    g->trailers = 0;
    g->phase = g->left ? CHUNK : TRAILERS;
    return true;
}

static bool pass_chunk_end(guard *g) {
    size_t size = g->end - g->checked < 2 ? g->end - g->checked : 2;
    if (memcmp(g->held + g->checked, "\r\n", size) != 0) {
        stop(g, (head_refusal){400, "bad_request", "a chunk is longer than its size says"});
        return false;
    }
    if (size < 2) return false;
    g->checked += 2;
    g->phase = CHUNK_SIZE;
    return true;
}

static bool scan_trailer(guard *g) {
    static const head_refusal too_large_trailers = {
        431, "headers_too_large", "the headers behind the body are larger than 4 KiB"};
    size_t size = find_line(g, g->checked, GUARD_MAX_TRAILERS - g->trailers, too_large_trailers);
    if (size == 0) return false;
    head_refusal r = {0};
    if (size > 2) r = head_trailer(g->held + g->checked, size - 2);
    if (r.why) {
        stop(g, r);
        return false;
    }
    g->checked += size;
    g->trailers += size;
    if (size == 2) begin_head(g);
    return true;
}

/* `size` bytes of a body have been let through. */
static void count(guard *g, uint64_t size) {
    g->left -= size;
    if (g->left > 0) return;
    if (g->phase == CHUNK)
        g->phase = CHUNK_END;
    else
        begin_head(g);
}

static bool pass_body(guard *g) {
    uint64_t held = g->end - g->checked, size = held < g->left ? held : g->left;
    g->checked += size;
    count(g, size);
    return true;
}

static bool step(guard *g) {
    switch (g->phase) {
    case HEAD:
        return scan_head(g);
    case CHUNK_SIZE:
        return scan_chunk_size(g);
    case CHUNK_END:
        return pass_chunk_end(g);
    case TRAILERS:
        return scan_trailer(g);
    case REFUSED:
        return false;
    default:
        return pass_body(g);
    }
}

/* Lets through what it can of what is held. */
static void check(guard *g) {
    bool more = true;
    while (more && (g->phase == HEAD ? g->scanned : g->checked) < g->end)
        more = step(g);
}

/* ---- the socket --------------------------------------------------------------------------- */

static size_t release(guard *g, char *out, size_t size) {
    size_t ready = g->checked - g->start, n = ready < size ? ready : size;
    memcpy(out, g->held + g->start, n);
    g->start += n;
    return n;
}

/* Moves what is held to its beginning. */
static void compact(guard *g) {
    if (g->start == 0) return;
    memmove(g->held, g->held + g->start, g->end - g->start);
    g->checked -= g->start;
    g->scanned = g->phase == HEAD ? g->scanned - g->start : 0;
    g->end -= g->start;
    g->start = 0;
}

/* Not recv, which is ours. */
static ssize_t read_socket(const guard *g, char *out, size_t size) {
    return recvfrom(g->socket, out, size, 0, NULL, NULL);
}

/* Reads what there is and lets through what it can; *drained: that was all. The result is that of
 * recv; *direct of the bytes are at `out`. To be called when nothing is held that could be let
 * through. */
static ssize_t receive_more(guard *g, char *out, size_t size, size_t *direct, bool *drained) {
    bool body = g->phase == BODY || g->phase == CHUNK;
    if (!body) {
        compact(g);
        out = g->held + g->end;
        size = HELD - g->end;
    } else if (size > g->left) {
        size = (size_t)g->left;
    }
    ssize_t got = read_socket(g, out, size);
    *drained = got < (ssize_t)size;
    *direct = body && got > 0 ? (size_t)got : 0;
    if (got <= 0) return got;
    if (body) {
        count(g, *direct);
    } else {
        g->end += (size_t)got;
        check(g);
    }
    return got;
}

/* Refuses the request under way, if its turn has come. */
static void refuse_in_turn(guard *g) {
    if (g->told || g->open != g->in_body) return;
    g->told = true;
    const char *line = g->in_body ? NULL : g->held + g->checked;
    g->refuse(g->arg, &g->why, line, line ? g->end - g->checked : 0);
}

/* For a refusal that is due, the library has to ask again; it may believe that the socket is empty.
 */
static void wake_library(const guard *g) {
    if (g->phase == REFUSED && !g->told && g->open == g->in_body) shutdown(g->socket, SHUT_RD);
}

/* As recv without flags. */
static ssize_t receive(guard *g, char *out, size_t size) {
    size_t total = 0, direct;
    bool drained = false;
    ssize_t got = 1;
    for (;;) {
        total += release(g, out + total, size - total);
        if (total == size || drained || g->phase == REFUSED) break;
        got = receive_more(g, out + total, size - total, &direct, &drained);
        if (got <= 0) break;
        total += direct;
    }
    if (total > 0) {
        wake_library(g);
        return (ssize_t)total;
    }
    if (g->phase == REFUSED) refuse_in_turn(g);
    if (g->told) return 0;
    if (got <= 0) return got;
    errno = EAGAIN;
    return -1;
}

static guard *find(const guards *all, int socket) {
    return socket >= 0 && (size_t)socket < all->count ? all->items[socket] : NULL;
}

/* In place of the C library's, for libmicrohttpd. On its thread there are no other sockets than
 * those of guards, and one for which there was no memory has nothing to say. */
ssize_t recv(int socket, void *out, size_t size, int flags) {
    if (!here || flags != 0) return recvfrom(socket, out, size, flags, NULL, NULL);
    guard *g = find(here, socket);
    if (g) return receive(g, out, size);
    errno = ECONNRESET;
    return -1;
}

/* ---- guards ------------------------------------------------------------------------------- */

guards *guards_create(void) {
    return calloc(1, sizeof(guards));
}

void guards_free(guards *all) {
    if (!all) return;
    if (here == all) here = NULL;
    free(all->items);
    free(all);
}

static bool make_room(guards *all, int socket) {
    size_t needed = (size_t)socket + 1, count = all->count ? all->count : 64;
    while (count < needed)
        count *= 2;
    if (count == all->count) return true;
    guard **items = realloc(all->items, count * sizeof *items);
    if (!items) return false;
    memset(items + all->count, 0, (count - all->count) * sizeof *items);
    all->items = items;
    all->count = count;
    return true;
}

guard *guard_add(guards *all, int socket, guard_refuse *refuse, void *arg) {
    here = all;
    if (socket < 0 || !make_room(all, socket)) return NULL;
    guard *g = malloc(sizeof *g); /* what is held is not touched before there is something */
    if (!g) return NULL;
    memset(g, 0, offsetof(guard, held));
    g->all = all;
    g->socket = socket;
    g->refuse = refuse;
    g->arg = arg;
    return all->items[socket] = g;
}

void guard_remove(guard *g) {
    if (!g) return;
    g->all->items[g->socket] = NULL;
    free(g);
}

bool guard_expects_request(const guard *g) {
    return g && g->open > 0;
}

void guard_request_ended(guard *g) {
    if (!g || g->open == 0) return;
    g->open--;
    wake_library(g);
}
