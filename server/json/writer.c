/*
 * writer.c: see writer.h.
 *
 * Rows of floats, of which large answers consist, reserve their worst case once and are then
 * printed without looking at the buffer again; everything else appends piece by piece.
 */
#include "json/writer.h"

#include "common/utf8.h"
#include "json/base64.h"
#include "json/float_text.h"

#include <inttypes.h>
#include <string.h>

/* Floats printed between two looks at the buffer's capacity. */
#define FLOATS_AT_ONCE 1024

static void separate(json_writer *w) {
    if (w->comma) buffer_append_char(w->out, ',');
    w->comma = true;
}

static void begin(json_writer *w, char bracket) {
    separate(w);
    buffer_append_char(w->out, bracket);
    w->comma = false;
}

static void end(json_writer *w, char bracket) {
    buffer_append_char(w->out, bracket);
    w->comma = true;
}

void json_write_begin_object(json_writer *w) {
    begin(w, '{');
}

void json_write_end_object(json_writer *w) {
    end(w, '}');
}

void json_write_begin_array(json_writer *w) {
    begin(w, '[');
}

void json_write_end_array(json_writer *w) {
    end(w, ']');
}

void json_write_key(json_writer *w, const char *key) {
    json_write_text(w, key);
    buffer_append_char(w->out, ':');
    w->comma = false;
}

static void escape_control(buffer *out, unsigned char c) {
    switch (c) {
    case '\b':
        buffer_append_text(out, "\\b");
        break;
    case '\f':
        buffer_append_text(out, "\\f");
        break;
    case '\n':
        buffer_append_text(out, "\\n");
        break;
    case '\r':
        buffer_append_text(out, "\\r");
        break;
    case '\t':
        buffer_append_text(out, "\\t");
        break;
    default:
        buffer_printf(out, "\\u%04x", c);
    }
}

/* Writes one character, escaped if need be; returns how many bytes it took. */
static size_t put_character(buffer *out, const unsigned char *text, size_t size) {
    if (*text == '"' || *text == '\\') {
        buffer_append_char(out, '\\');
        buffer_append_char(out, (char)*text);
        return 1;
    }
    if (*text < 0x20 || *text == 0x7f) {
        escape_control(out, *text);
        return 1;
    }
    size_t length = utf8_length(text, size);
    if (length == 2 && text[0] == 0xc2 && text[1] < 0xa0) { /* C1: a terminal may obey these, too */
        escape_control(out, text[1]);
        return 2;
    }
    if (length == 0) {
        buffer_append_text(out, "\xef\xbf\xbd");
        return 1;
    }
    buffer_append(out, text, length);
    return length;
}

static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void json_write_bytes(json_writer *w, const char *text, size_t size) {
    const unsigned char *bytes = (const unsigned char *)text;
    separate(w);
    buffer_append_char(w->out, '"');
    for (size_t i = 0; i < size;) {
        size_t run = i;
        while (run < size && is_plain(bytes[run]))
            run++;
        buffer_append(w->out, bytes + i, run - i);
        i = run;
        if (i < size) i += put_character(w->out, bytes + i, size - i);
    }
    buffer_append_char(w->out, '"');
}

void json_write_text(json_writer *w, const char *text) {
    json_write_bytes(w, text, strlen(text));
}

void json_write_raw(json_writer *w, const char *json, size_t size) {
    separate(w);
    buffer_append(w->out, json, size);
}

void json_write_int(json_writer *w, int64_t value) {
    separate(w);
    buffer_printf(w->out, "%" PRId64, value);
}

void json_write_uint(json_writer *w, uint64_t value) {
    separate(w);
    buffer_printf(w->out, "%" PRIu64, value);
}

void json_write_bool(json_writer *w, bool value) {
    separate(w);
    buffer_append_text(w->out, value ? "true" : "false");
}

void json_write_null(json_writer *w) {
    json_write_raw(w, "null", 4);
}

void json_write_float(json_writer *w, float value) {
    char text[FLOAT_TEXT_ROOM];
    json_write_raw(w, text, float_text(text, value));
}

void json_write_member_text(json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_text(w, text);
}

void json_write_member_int(json_writer *w, const char *key, int64_t value) {
    json_write_key(w, key);
    json_write_int(w, value);
}

void json_write_member_uint(json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_uint(w, value);
}

void json_write_member_float(json_writer *w, const char *key, float value) {
    json_write_key(w, key);
    json_write_float(w, value);
}

/* At most FLOATS_AT_ONCE numbers, each with a comma behind it. */
static bool put_floats(buffer *out, const float *data, size_t count) {
    char *start = buffer_reserve(out, count * (FLOAT_TEXT_MAX + 1) + FLOAT_TEXT_ROOM);
    if (!start) return false;
    char *p = start;
    for (size_t i = 0; i < count; i++) {
        p += float_text(p, data[i]);
        *p++ = ',';
    }
    buffer_commit(out, (size_t)(p - start));
    return true;
}

void json_write_floats(json_writer *w, const float *data, size_t count) {
    json_write_begin_array(w);
    for (size_t done = 0; done < count;) {
        size_t step = count - done < FLOATS_AT_ONCE ? count - done : FLOATS_AT_ONCE;
        if (!put_floats(w->out, data + done, step)) return;
        done += step;
    }
    if (count) buffer_uncommit(w->out, 1); /* the last comma */
    json_write_end_array(w);
}

/* Recursion is as deep as a tensor's rank. */
void json_write_tensor(json_writer *w, const float *data, const int64_t *dims, int rank) {
    if (rank == 0) {
        json_write_float(w, *data);
        return;
    }
    if (rank == 1) {
        json_write_floats(w, data, (size_t)dims[0]);
        return;
    }
    size_t stride = 1;
    for (int i = 1; i < rank; i++)
        stride *= (size_t)dims[i];
    json_write_begin_array(w);
    for (int64_t i = 0; i < dims[0] && !buffer_failed(w->out); i++)
        json_write_tensor(w, data + (size_t)i * stride, dims + 1, rank - 1);
    json_write_end_array(w);
}

static void append_base64(json_writer *w, const void *bytes, size_t size) {
    char *to = buffer_reserve(w->out, base64_encoded_size(size));
    if (!to) return;
    base64_encode(bytes, size, to);
    buffer_commit(w->out, base64_encoded_size(size));
}

void json_write_base64(json_writer *w, const void *bytes, size_t size) {
    separate(w);
    buffer_append_char(w->out, '"');
    append_base64(w, bytes, size);
    buffer_append_char(w->out, '"');
}

void json_write_data_url(json_writer *w, const char *type, const void *bytes, size_t size) {
    separate(w);
    buffer_printf(w->out, "\"data:%s;base64,", type);
    append_base64(w, bytes, size);
    buffer_append_char(w->out, '"');
}
