/* utf8.c: see utf8.h. Overlong forms, surrogates and what lies above U+10FFFF are not accepted. */
#include "common/utf8.h"

#include <stdint.h>

/* Length that the first byte announces, 0 for a byte that starts nothing. */
static size_t announced(unsigned char first) {
    if (first < 0x80) return 1;
    if (first < 0xc2) return 0;
    if (first < 0xe0) return 2;
    if (first < 0xf0) return 3;
    return first < 0xf5 ? 4 : 0;
}

size_t utf8_length(const unsigned char *bytes, size_t size) {
    size_t length = size ? announced(bytes[0]) : 0;
    if (length == 0 || length > size) return 0;
    uint32_t code = length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    if (length == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return 0;
    if (length == 4 && (code < 0x10000 || code > 0x10ffff)) return 0;
    return length;
}

bool utf8_valid(const void *bytes, size_t size) {
    const unsigned char *p = bytes;
    while (size > 0) {
        size_t length = utf8_length(p, size);
        if (length == 0) return false;
        p += length;
        size -= length;
    }
    return true;
}
