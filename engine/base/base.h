/* Errors, checked arithmetic and allocation that every part of the engine uses. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <cnn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))
#define DIV_UP(a, b)    ((a) / (b) + ((a) % (b) != 0)) /* neither negative */

/* Alignment of every buffer that kernels touch: a cache line, and a vector of any instruction set.
 */
#define CNN_ALIGN 64

/* Makes of text that may hold anything out of a file printable UTF-8 of the same length. */
void cnn_scrub(char *text);

/* Fills `err` (may be NULL) and returns `status`, so that `return cnn_fail(...)` reads well.
 * In the message control characters and what is no UTF-8 become '?'. */
cnn_status cnn_fail(cnn_error *err, cnn_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline cnn_status cnn_failed(cnn_status status) {
    return status;
}
/* The same, but compilers and analysers see that the result is `status`, which is no success. */
#define cnn_fail(err, status, ...) (cnn_fail((err), (status), __VA_ARGS__), cnn_failed(status))
/* The failure of an allocation of `bytes`. */
static inline cnn_status cnn_fail_memory(cnn_error *err, size_t bytes) {
    return cnn_fail(err, CNN_OUT_OF_MEMORY, "out of memory: %zu bytes could not be allocated",
                    bytes);
}

/* True, with `*out` set, when the result fits; false on overflow, `*out` then being untouched. */
bool cnn_mul_size(size_t a, size_t b, size_t *out);
bool cnn_add_size(size_t a, size_t b, size_t *out);

/* Elements of a shape whose extents are all known; false on overflow or a symbolic extent. */
bool cnn_shape_elements(const cnn_shape *shape, size_t *out);
bool cnn_shape_equal(const cnn_shape *a, const cnn_shape *b);
/* "1x3x224x224" (symbolic extents as "?"); returns `buffer`. A scalar is "scalar". */
const char *cnn_shape_text(const cnn_shape *shape, char *buffer, size_t size);

/* Aligned to CNN_ALIGN, at least one byte; NULL when out of memory. Freed with free(). */
void *cnn_alloc_aligned(size_t bytes);
/* Grows `*items` (elements of `item_size` bytes, from malloc or NULL) to hold at least `wanted`;
 * false: out of memory, nothing changed. */
bool cnn_grow(void **items, size_t *capacity, size_t wanted, size_t item_size);

/* Bytes of the UTF-8 sequence at the start of `text`: 1 to 4; 0 if it is none (RFC 3629). */
size_t cnn_utf8_sequence(const char *text, size_t size);
bool cnn_utf8_valid(const char *text, size_t size);

/* IEEE half precision and bfloat16, as bits; to them rounding to nearest, ties to even. */
float cnn_half_to_float(uint16_t bits);
uint16_t cnn_half_from_float(float value);
float cnn_bfloat16_to_float(uint16_t bits);
uint16_t cnn_bfloat16_from_float(float value);

/* True if the options that later versions may have are 0, see CNN_RESERVED_OPTIONS. */
static inline bool cnn_reserved_is_zero(const uintptr_t reserved[8]) {
    uintptr_t all = 0;
    for (size_t i = 0; i < 8; i++)
        all |= reserved[i];
    return all == 0;
}
#define CNN_RESERVED_MESSAGE                                                                       \
    "the options hold something that version " CNN_VERSION " does not know; zero-initialise them"

/* Nanoseconds of a clock that only goes forward. */
uint64_t cnn_now_ns(void);

#endif
