/* progress.h: a progress bar on stderr. */
#ifndef CNNSERVE_PROGRESS_H
#define CNNSERVE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct progress {
    bool shown; /* only on a terminal */
    size_t total;
    uint64_t begun_ns, drawn_ns;
    bool visible; /* a bar stands on the current line */
} progress;

/* Shown if stderr is a terminal and there is more than one step. */
void progress_begin(progress *p, size_t total);
/* Draws the bar again, at most ten times a second. */
void progress_update(progress *p, size_t done);
/* Takes the bar away, so that lines can be printed. */
void progress_hide(progress *p);

/* One line without its end, as progress_update draws it; returns `buffer`. */
const char *progress_text(size_t done, size_t total, double seconds, char *buffer, size_t size);

#endif
