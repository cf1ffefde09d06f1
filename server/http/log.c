/* log.c: see log.h. What clients sent is escaped, so that no request can forge a line. */
#include "http/log.h"

#include "common/array.h"
#include "common/utf8.h"
#include "json/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_LINE ((size_t)16 << 10)

/* Written by log_setup only, before there is a second thread. */
static struct {
    log_level level;
    bool json;
} settings = {LEVEL_INFO, false};

static const char *const names[] = {"error", "warn", "info", "debug"};

void log_setup(log_level level, bool json) {
    settings.level = level;
    settings.json = json;
}

log_level log_level_of(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcmp(names[i], name) == 0) return (log_level)i;
    return LEVEL_INFO;
}

bool log_wants(log_level level) {
    return level <= settings.level;
}

/* "2025-01-31T12:00:00.123Z" */
static void put_time(char *out, size_t size) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t length = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

/* A line up to what is particular to it. */
static void begin_line(json_writer *w, log_level level) {
    char now[40];
    put_time(now, sizeof now);
    if (!settings.json) {
        buffer_printf(w->out, "%s %-5s ", now, names[level]);
        return;
    }
    json_write_begin_object(w);
    json_write_member_text(w, "time", now);
    json_write_member_text(w, "level", names[level]);
}

/* Standard error may be anything; that it cannot be written is nothing that could be logged. */
static void end_line(json_writer *w) {
    if (settings.json) json_write_end_object(w);
    buffer_append_char(w->out, '\n');
    for (size_t done = 0; !buffer_failed(w->out) && done < w->out->size;) {
        ssize_t written = write(STDERR_FILENO, w->out->data + done, w->out->size - done);
        if (written <= 0) break;
        done += (size_t)written;
    }
    buffer_free(w->out);
}

/* Escapes what could steer a terminal, or begin a line. */
static void put_plain(buffer *line, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t length = utf8_length(p, strlen((const char *)p));
        unsigned code = length == 2 && *p == 0xc2 ? p[1] : *p;
        if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0 && length <= 2))
            buffer_printf(line, "\\x%02x", code);
        else
            buffer_append(line, p, length);
        p += length ? length : 1;
    }
}

void log_line(log_level level, const char *format, ...) {
    if (!log_wants(level)) return;
    buffer line;
    buffer_init(&line, MAX_LINE);
    json_writer w = {.out = &line};
    begin_line(&w, level);
    char *message = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&message, format, args);
    va_end(args);
    if (length < 0) message = NULL;
    if (settings.json)
        json_write_member_text(&w, "message", message ? message : format);
    else
        put_plain(&line, message ? message : format);
    free(message);
    end_line(&w);
}

static void put_access_json(json_writer *w, const log_access *a) {
    json_write_member_text(w, "message", "request");
    json_write_member_text(w, "client", a->client);
    json_write_member_text(w, "method", a->method);
    json_write_key(w, "target");
    json_write_bytes(w, a->target, strnlen(a->target, LOG_MAX_TARGET));
    json_write_member_uint(w, "status", (uint64_t)a->status);
    json_write_member_uint(w, "bytes_in", a->bytes_in);
    json_write_member_uint(w, "bytes_out", a->bytes_out);
    json_write_member_float(w, "duration_ms", (float)((double)a->duration_ns / 1e6));
    json_write_member_text(w, "request_id", a->id);
}

/* The target and the method stand in quotes, escaped as in JSON. */
static void put_access_text(json_writer *w, const log_access *a) {
    buffer_printf(w->out, "%s %.32s ", a->client, a->method);
    json_write_bytes(w, a->target, strnlen(a->target, LOG_MAX_TARGET));
    buffer_printf(w->out, " %d in=%llu out=%llu %.3fms id=%s", a->status,
                  (unsigned long long)a->bytes_in, (unsigned long long)a->bytes_out,
                  (double)a->duration_ns / 1e6, a->id);
}

void log_request(const log_access *access) {
    if (!log_wants(LEVEL_INFO)) return;
    buffer line;
    buffer_init(&line, MAX_LINE);
    json_writer w = {.out = &line};
    begin_line(&w, LEVEL_INFO);
    if (settings.json)
        put_access_json(&w, access);
    else
        put_access_text(&w, access);
    end_line(&w);
}
