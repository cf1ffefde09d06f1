/* text.c: see text.h. Windows' tools, PowerShell's > among them, write UTF-16. */
#include "common/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct utf16 {
    const unsigned char *bytes, *end;
    bool big; /* the high byte comes first */
} utf16;

static uint32_t take_unit(utf16 *in) {
    const unsigned char *p = in->bytes;
    in->bytes += 2;
    return in->big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

/* The next character; 0 for half of a surrogate pair, and for the character 0, which no text has.
 */
static uint32_t take_character(utf16 *in) {
    uint32_t first = take_unit(in);
    if (first < 0xd800 || first >= 0xe000) return first;
    if (first >= 0xdc00 || in->bytes == in->end) return 0;
    uint32_t second = take_unit(in);
    if (second < 0xdc00 || second >= 0xe000) return 0;
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

static char *put_utf8(char *out, uint32_t code) {
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (char)(lead[more] | code >> (6 * more));
    while (more-- > 0)
        *out++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return out;
}

static const char *decode_utf16(utf16 in, decoded_text *out) {
    size_t units = (size_t)(in.end - in.bytes) / 2;
    if ((in.end - in.bytes) % 2) return "is UTF-16 text that breaks off within a character";
    char *memory = malloc(units * 3 + 1), *at = memory;
    if (!memory) return "does not fit into memory";
    while (in.bytes < in.end) {
        uint32_t code = take_character(&in);
        if (code == 0) {
            free(memory);
            return "is UTF-16 text with a character that is none";
        }
        at = put_utf8(at, code);
    }
    *out = (decoded_text){.bytes = memory, .size = (size_t)(at - memory), .memory = memory};
    return NULL;
}

const char *text_decode(const char *bytes, size_t size, decoded_text *out) {
    const unsigned char *b = (const unsigned char *)bytes, *end = b + size;
    bool utf32 =
        size >= 4 && (memcmp(b, "\xff\xfe\0\0", 4) == 0 || memcmp(b, "\0\0\xfe\xff", 4) == 0);
    if (utf32) return "is UTF-32 text; UTF-8 and UTF-16 are read";
    if (size >= 2 && b[0] == 0xff && b[1] == 0xfe)
        return decode_utf16((utf16){.bytes = b + 2, .end = end}, out);
    if (size >= 2 && b[0] == 0xfe && b[1] == 0xff)
        return decode_utf16((utf16){.bytes = b + 2, .end = end, .big = true}, out);
    if (size >= 2 && (b[0] == 0) != (b[1] == 0))
        return decode_utf16((utf16){.bytes = b, .end = end, .big = b[0] == 0}, out);
    size_t mark = size >= 3 && memcmp(b, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    *out = (decoded_text){.bytes = bytes + mark, .size = size - mark};
    return NULL;
}
