/* log.h: one line per event on stderr, as text or as JSON. Each line is one write, so that lines of
 * several threads do not mix. */
#ifndef CNNSERVE_LOG_H
#define CNNSERVE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum log_level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG } log_level;

#define LOG_LEVELS     "error|warn|info|debug"
#define LOG_MAX_TARGET 512 /* bytes of a request target that are logged */

/* To be called before other threads start; without it, text from info on. */
void log_setup(log_level level, bool json);
/* "warn" -> LEVEL_WARN; anything unknown is LEVEL_INFO. */
log_level log_level_of(const char *name);
bool log_wants(log_level level);

void log_line(log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One request that has ended. */
typedef struct log_access {
    const char *client, *method, *target, *id;
    int status; /* 499: the client went away before it was answered */
    uint64_t bytes_in, bytes_out;
    uint64_t duration_ns;
} log_access;

/* At level info. */
void log_request(const log_access *access);

#endif
