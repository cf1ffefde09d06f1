/*
 * writer.h: writes JSON straight into a buffer, in order, without a tree.
 *
 * Made for results with large float arrays. Commas are placed by the writer; that begin and end
 * match, and that a key stands before each member of an object, is the caller's business (asserted
 * by nothing). Failure shows in the buffer: see buffer_failed.
 */
#ifndef CNNSERVE_WRITER_H
#define CNNSERVE_WRITER_H

#include "common/buffer.h"

#include <stdint.h>

/* Start with {.out = buffer}; one per buffer at a time. */
typedef struct json_writer {
    buffer *out; /* not owned */
    bool comma;  /* a value has been written that the next one is to be separated from */
} json_writer;

void json_write_begin_object(json_writer *w);
void json_write_end_object(json_writer *w);
void json_write_begin_array(json_writer *w);
void json_write_end_array(json_writer *w);
void json_write_key(json_writer *w, const char *key);

/* `size` bytes of any content: what is no UTF-8 becomes U+FFFD, byte by byte. */
void json_write_bytes(json_writer *w, const char *text, size_t size);
void json_write_text(json_writer *w, const char *text);
void json_write_int(json_writer *w, int64_t value);
void json_write_uint(json_writer *w, uint64_t value);
void json_write_bool(json_writer *w, bool value);
void json_write_null(json_writer *w);
/* Reads back as the same float32; NaN and the infinities become null. */
void json_write_float(json_writer *w, float value);
/* A member of an object: key and value. */
void json_write_member_text(json_writer *w, const char *key, const char *text);
void json_write_member_int(json_writer *w, const char *key, int64_t value);
void json_write_member_uint(json_writer *w, const char *key, uint64_t value);
void json_write_member_float(json_writer *w, const char *key, float value);
/* A JSON value that is text already. */
void json_write_raw(json_writer *w, const char *json, size_t size);

/* A flat array, and a nested one: `data` has dims[0] x ... x dims[rank-1] elements, row-major; rank
 * 0 is a number. */
void json_write_floats(json_writer *w, const float *data, size_t count);
void json_write_tensor(json_writer *w, const float *data, const int64_t *dims, int rank);
/* A string with the base64 of `size` bytes. */
void json_write_base64(json_writer *w, const void *bytes, size_t size);
/* The same as a data URL (RFC 2397); `type` such as "image/png". */
void json_write_data_url(json_writer *w, const char *type, const void *bytes, size_t size);

#endif
