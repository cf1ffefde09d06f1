/*
 * buffer.h: a growable byte buffer with a named maximum.
 *
 * Appending never fails visibly: the first append that would pass the limit, or finds no memory,
 * marks the buffer as failed and is dropped whole, as is everything after it. So a writer appends
 * a document without looking, and its caller asks buffer_failed once at the end. Not thread-safe.
 */
#ifndef CNNSERVE_BUFFER_H
#define CNNSERVE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum buffer_state { BUFFER_GOOD = 0, BUFFER_PAST_LIMIT, BUFFER_NO_MEMORY } buffer_state;

/* Start from buffer_init or a zeroed struct with `limit` set. Read the fields, write none. */
typedef struct buffer {
    char *data; /* owned; NULL while capacity is 0 */
    size_t size;
    size_t capacity;
    size_t limit; /* of `size` */
    buffer_state state;
} buffer;

void buffer_init(buffer *b, size_t limit);
/* Frees and zeroes; accepts NULL. */
void buffer_free(buffer *b);
/* Empty again, memory and limit kept, failure forgotten. */
void buffer_clear(buffer *b);

bool buffer_append(buffer *b, const void *bytes, size_t size);
bool buffer_append_text(buffer *b, const char *text);
bool buffer_append_char(buffer *b, char c);
bool buffer_printf(buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for at least `room` more bytes, to be filled and then told of; NULL: failed. */
char *buffer_reserve(buffer *b, size_t room);
/* `size` of the bytes last reserved have been written. */
void buffer_commit(buffer *b, size_t size);
/* Takes the last `size` bytes away; there are as many. */
void buffer_uncommit(buffer *b, size_t size);

bool buffer_failed(const buffer *b);
/* Marks it as failed, for a failure elsewhere that its content depends on. */
void buffer_fail(buffer *b, buffer_state state);

/* The bytes, now the caller's to free(), and the buffer is empty; NULL if there are none. */
char *buffer_take(buffer *b, size_t *size);

#endif
