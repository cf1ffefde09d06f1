/*
 * Protobuf messages under a budget.
 *
 * protobuf-c turns every two bytes of a hostile file into a struct of a hundred, so its allocator
 * here counts: all that one call allocates, freed or not, stays within an allowance plus a multiple
 * of the input (onnx.h). That also bounds the time. Nesting is bounded by the schema, which is not
 * recursive.
 */
#include "onnx/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* From here on buffers are aligned, so that tensors can take them over. */
#define ALIGN_FROM 1024

typedef struct budget {
    size_t left;
    bool exhausted, out_of_memory;
} budget;

static void *budget_alloc(void *data, size_t size) {
    budget *b = data;
    if (size > b->left) {
        b->exhausted = true;
        return NULL;
    }
    void *memory = size >= ALIGN_FROM ? cnn_alloc_aligned(size) : malloc(MAX(size, 1));
    if (memory)
        b->left -= size;
    else
        b->out_of_memory = true;
    return memory;
}

static void budget_free(void *data, void *memory) {
    (void)data;
    free(memory);
}

size_t onnx_budget(size_t size) {
    size_t multiple;
    if (!cnn_mul_size(size, ONNX_PARSE_MULTIPLE, &multiple) ||
        !cnn_add_size(multiple, ONNX_PARSE_ALLOWANCE, &multiple))
        return SIZE_MAX;
    return multiple;
}

/* ---- what is wrong with bytes that do not parse ---- */

bool onnx_read_varint(const unsigned char *bytes, size_t size, size_t *at, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < size; shift += 7) {
        unsigned char byte = bytes[(*at)++];
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* Finds the field at the top level that reaches beyond the end. */
static bool find_cut(const unsigned char *bytes, size_t size, size_t *offset, uint64_t *length) {
    for (size_t at = 0; at < size;) {
        uint64_t tag, skip = 0;
        *offset = at;
        if (!onnx_read_varint(bytes, size, &at, &tag)) return false;
        unsigned wire = tag & 7;
        if (wire == 0 || wire == 2) {
            if (!onnx_read_varint(bytes, size, &at, &skip)) return false;
        } else if (wire != 1 && wire != 5) {
            return false;
        }
        *length = wire == 0 ? 0 : wire == 1 ? 8 : wire == 5 ? 4 : skip;
        if (*length > size - at) return true;
        at += (size_t)*length;
    }
    return false;
}

static cnn_status fail_parse(const void *bytes, size_t size, cnn_error *err) {
    static const char lfs[] = "version https://git-lfs";
    size_t offset;
    uint64_t length;
    if (size >= sizeof lfs - 1 && memcmp(bytes, lfs, sizeof lfs - 1) == 0)
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "the file is a Git LFS pointer, not the model; fetch it with git lfs pull");
    if (find_cut(bytes, size, &offset, &length))
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "the file is cut short or damaged: %" PRIu64 " bytes at offset %zu reach "
                        "beyond its %zu bytes",
                        length, offset, size);
    return cnn_fail(err, CNN_INVALID_MODEL, "the file is not in ONNX format, or damaged");
}

cnn_status onnx_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t size,
                       size_t *left, ProtobufCMessage **out, cnn_error *err) {
    if (size == 0) return cnn_fail(err, CNN_INVALID_MODEL, "the file is empty");
    budget b = {.left = *left};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &b};
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, size, bytes);
    size_t allowed = *left;
    *left = b.left;
    if (!message && b.out_of_memory)
        return cnn_fail(err, CNN_OUT_OF_MEMORY, "out of memory while reading a file of %zu bytes",
                        size);
    if (!message && b.exhausted)
        return cnn_fail(err, CNN_LIMIT,
                        "reading the file's %zu bytes would take more than %zu bytes of memory",
                        size, allowed);
    if (!message) return fail_parse(bytes, size, err);
    *out = message;
    return CNN_OK;
}

void onnx_unpack_free(ProtobufCMessage *message) {
    ProtobufCAllocator allocator = {budget_alloc, budget_free, NULL};
    if (message) protobuf_c_message_free_unpacked(message, &allocator);
}
