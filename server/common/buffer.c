/* buffer.c: see buffer.h. */
#include "common/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

void buffer_init(buffer *b, size_t limit) {
    *b = (buffer){.limit = limit};
}

void buffer_free(buffer *b) {
    if (!b) return;
    free(b->data);
    *b = (buffer){0};
}

void buffer_clear(buffer *b) {
    b->size = 0;
    b->state = BUFFER_GOOD;
}

bool buffer_failed(const buffer *b) {
    return b->state != BUFFER_GOOD;
}

void buffer_fail(buffer *b, buffer_state state) {
    if (b->state == BUFFER_GOOD) b->state = state;
}

static bool fail(buffer *b, buffer_state state) {
    buffer_fail(b, state);
    return false;
}

/* Half as much again, so that a realloc can reuse what earlier ones left; never past the limit. */
static bool grow(buffer *b, size_t wanted) {
    size_t capacity = b->capacity + b->capacity / 2;
    if (capacity < FIRST_CAPACITY) capacity = FIRST_CAPACITY;
    if (capacity < wanted) capacity = wanted;
    if (capacity > b->limit) capacity = b->limit;
    char *data = realloc(b->data, capacity);
    if (!data) return fail(b, BUFFER_NO_MEMORY);
    b->data = data;
    b->capacity = capacity;
    return true;
}

char *buffer_reserve(buffer *b, size_t room) {
    if (b->state != BUFFER_GOOD) return NULL;
    if (room > b->limit - b->size) {
        fail(b, BUFFER_PAST_LIMIT);
        return NULL;
    }
    if (room > b->capacity - b->size && !grow(b, b->size + room)) return NULL;
    return b->data + b->size;
}

void buffer_commit(buffer *b, size_t size) {
    b->size += size;
}

void buffer_uncommit(buffer *b, size_t size) {
    b->size -= size;
}

bool buffer_append(buffer *b, const void *bytes, size_t size) {
    if (size == 0) return !buffer_failed(b);
    char *to = buffer_reserve(b, size);
    if (!to) return false;
    memcpy(to, bytes, size);
    b->size += size;
    return true;
}

bool buffer_append_text(buffer *b, const char *text) {
    return buffer_append(b, text, strlen(text));
}

bool buffer_append_char(buffer *b, char c) {
    return buffer_append(b, &c, 1);
}

bool buffer_printf(buffer *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) return fail(b, BUFFER_NO_MEMORY);

    char *text = malloc((size_t)length + 1);
    if (!text) return fail(b, BUFFER_NO_MEMORY);
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    bool appended = buffer_append(b, text, (size_t)length);
    free(text);
    return appended;
}

char *buffer_take(buffer *b, size_t *size) {
    char *data = b->data;
    *size = b->size;
    *b = (buffer){.limit = b->limit};
    return data;
}
