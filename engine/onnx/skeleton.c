/*
 * A model file without its weights.
 *
 * protobuf-c copies every byte string, and weights are nearly all of a file. So the raw_data of
 * large initializers is cut out before it sees the file, and where they were is noted: the skeleton
 * is the same message, in which those strings are empty. A length that shrinks keeps as many bytes
 * as it had, which protobuf's variable-length numbers allow; everything else is copied as it is.
 * What is damaged has no skeleton: protobuf-c gets it whole, and says so.
 */
#include "onnx/internal.h"

#include <stdlib.h>
#include <string.h>

/* Field numbers on the way: ModelProto.graph, GraphProto.initializer, TensorProto.raw_data. */
static const unsigned path[] = {7, 5, 9};

/* Wire types of the fields of a message. */
enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

/* protobuf-c reads no longer numbers as tags and lengths. */
#define MAX_NUMBER_BYTES 5

typedef struct cutter {
    const unsigned char *in;
    onnx_skeleton *out;
} cutter;

/* A field at `start`: its content is [content, end). */
typedef struct field {
    size_t start, content, end;
    size_t length_at; /* WIRE_BYTES: where its length stands, up to `content` */
    unsigned number;
    bool is_bytes;
} field;

static bool read_field(const unsigned char *in, size_t at, size_t end, field *f) {
    uint64_t tag, value = 0;
    f->start = at;
    if (!onnx_read_varint(in, end, &at, &tag) || tag > UINT32_MAX) return false;
    unsigned wire = tag & 7;
    f->number = (unsigned)(tag >> 3);
    f->is_bytes = wire == WIRE_BYTES;
    f->length_at = at;
    if ((wire == WIRE_VARINT || f->is_bytes) && !onnx_read_varint(in, end, &at, &value))
        return false;
    if (wire == WIRE_64 || wire == WIRE_32) value = wire == WIRE_64 ? 8 : 4;
    if (wire == WIRE_VARINT) value = 0;
    if (wire > WIRE_32 || wire == 3 || wire == 4 || value > end - at ||
        (f->is_bytes && at - f->length_at > MAX_NUMBER_BYTES))
        return false;
    f->content = at;
    f->end = at + (size_t)value;
    return true;
}

/* False when out of memory. */
static bool copy(cutter *c, size_t from, size_t to) {
    onnx_skeleton *s = c->out;
    if (!cnn_grow((void **)&s->bytes, &s->capacity, s->size + (to - from), 1)) return false;
    if (to > from) memcpy(s->bytes + s->size, c->in + from, to - from);
    s->size += to - from;
    return true;
}

/* Writes `value` in as many bytes as stand at `to`. */
static void write_number(unsigned char *to, size_t bytes, size_t value) {
    for (size_t i = 0; i < bytes; i++, value >>= 7)
        to[i] = (unsigned char)((value & 0x7F) | (i + 1 < bytes ? 0x80 : 0));
}

/* The last raw_data of a tensor counts, as in protobuf. */
static bool cut_raw_data(cutter *c, const field *f) {
    onnx_payload *payload = &c->out->payloads[c->out->count - 1];
    bool large = f->end - f->content >= ONNX_PAYLOAD_MIN;
    *payload = large ? (onnx_payload){f->content, f->end - f->content} : (onnx_payload){0, 0};
    return large || copy(c, f->content, f->end);
}

static bool add_payload(onnx_skeleton *s) {
    if (!cnn_grow((void **)&s->payloads, &s->payload_capacity, s->count + 1, sizeof(*s->payloads)))
        return false;
    s->payloads[s->count++] = (onnx_payload){0, 0};
    return true;
}

static bool cut(cutter *c, size_t at, size_t end, size_t depth);

/* A field on the way, with what is left of its content. */
static bool cut_field(cutter *c, const field *f, size_t depth) {
    size_t before, width = f->content - f->length_at;
    if (!copy(c, f->start, f->content)) return false;
    before = c->out->size;
    if (depth == 1 && !add_payload(c->out)) return false;
    if (!(depth == 2 ? cut_raw_data(c, f) : cut(c, f->content, f->end, depth + 1))) return false;
    write_number(c->out->bytes + before - width, width, c->out->size - before);
    return true;
}

/* Copies the message [at, end), which is `depth` fields along `path`. */
static bool cut(cutter *c, size_t at, size_t end, size_t depth) {
    for (field f; at < end; at = f.end) {
        if (!read_field(c->in, at, end, &f)) return false;
        bool on_path = f.is_bytes && f.number == path[depth];
        if (!(on_path ? cut_field(c, &f, depth) : copy(c, f.start, f.end))) return false;
    }
    return true;
}

bool onnx_skeleton_make(const void *bytes, size_t size, onnx_skeleton *out) {
    onnx_skeleton s = {0};
    if (!cut(&(cutter){bytes, &s}, 0, size, 0)) {
        onnx_skeleton_free(&s);
        return false;
    }
    *out = s;
    return true;
}

void onnx_skeleton_free(onnx_skeleton *s) {
    free(s->bytes);
    free(s->payloads);
    *s = (onnx_skeleton){0};
}
