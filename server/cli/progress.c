/* The progress bar: "[#########---------------------] 60/200  30%  41.2/s  3s left". */
#include "cli/progress.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH     30
#define REDRAW_NS     100000000u
#define NS_PER_SECOND 1e9
#define ERASE_LINE    "\r\033[K"

const char *progress_text(size_t done, size_t total, double seconds, char *buffer, size_t size) {
    char bar[BAR_WIDTH + 1];
    size_t filled = total ? done * BAR_WIDTH / total : BAR_WIDTH;
    memset(bar, '#', filled);
    memset(bar + filled, '-', BAR_WIDTH - filled);
    bar[BAR_WIDTH] = '\0';
    double rate = seconds > 0 ? (double)done / seconds : 0;
    int used = snprintf(buffer, size, "[%s] %zu/%zu %3.0f%%  %.1f/s", bar, done, total,
                        total ? 100.0 * (double)done / (double)total : 100.0, rate);
    if (rate > 0 && used > 0 && (size_t)used < size)
        snprintf(buffer + used, size - (size_t)used, "  %.0fs left", (double)(total - done) / rate);
    return buffer;
}

void progress_begin(progress *p, size_t total) {
    *p = (progress){.total = total, .begun_ns = clock_ns()};
    p->shown = total > 1 && isatty(STDERR_FILENO);
}

void progress_update(progress *p, size_t done) {
    uint64_t now = clock_ns();
    char line[160];
    if (!p->shown || (p->drawn_ns && now - p->drawn_ns < REDRAW_NS)) return;
    p->drawn_ns = now;
    p->visible = true;
    fprintf(stderr, ERASE_LINE "%s",
            progress_text(done, p->total, (double)(now - p->begun_ns) / NS_PER_SECOND, line,
                          sizeof line));
    fflush(stderr);
}

void progress_hide(progress *p) {
    if (!p->visible) return;
    fputs(ERASE_LINE, stderr);
    fflush(stderr);
    p->visible = false;
    p->drawn_ns = 0;
}
