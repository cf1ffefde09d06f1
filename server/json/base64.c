/* base64.c: see base64.h. Three bytes or four characters at a time, through one table. */
#include "json/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_size(size_t size) {
    return size / 3 * 4 + (size % 3 ? 4 : 0);
}

void base64_encode(const void *bytes, size_t size, char *out) {
    const unsigned char *p = bytes;
    for (; size >= 3; size -= 3, p += 3, out += 4) {
        uint32_t group = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        out[0] = alphabet[group >> 18];
        out[1] = alphabet[group >> 12 & 63];
        out[2] = alphabet[group >> 6 & 63];
        out[3] = alphabet[group & 63];
    }
    if (size == 0) return;
    uint32_t group = (uint32_t)p[0] << 16 | (size == 2 ? (uint32_t)p[1] << 8 : 0);
    out[0] = alphabet[group >> 18];
    out[1] = alphabet[group >> 12 & 63];
    out[2] = size == 2 ? alphabet[group >> 6 & 63] : '=';
    out[3] = '=';
}

#define NO 64 /* no character of the alphabet */

static const uint8_t values[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO, NO, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO, NO, 0,  1,  2,  3,  4,  5,  6,
    7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, NO,
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
    49, 50, 51, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
};

size_t base64_decoded_max(size_t size) {
    return size / 4 * 3 + 3;
}

/* Characters before the padding. Padding that does not fill a group of four is left in, so that it
 * is found as a character outside the alphabet. */
static size_t without_padding(const unsigned char *text, size_t size) {
    if (size % 4 != 0 || size == 0 || text[size - 1] != '=') return size;
    return text[size - 2] == '=' ? size - 2 : size - 1;
}

static size_t first_bad(const unsigned char *text, size_t size) {
    size_t i = 0;
    while (i < size && values[text[i]] != NO)
        i++;
    return i;
}

/* The last two or three characters, of which the bits past the last whole byte have to be 0. */
static bool decode_tail(const unsigned char *p, size_t count, unsigned char *to) {
    uint32_t group = (uint32_t)values[p[0]] << 18 | (uint32_t)values[p[1]] << 12;
    if (count == 3) group |= (uint32_t)values[p[2]] << 6;
    if (group & (count == 3 ? 0xff : 0xffff)) return false;
    to[0] = (unsigned char)(group >> 16);
    if (count == 3) to[1] = (unsigned char)(group >> 8);
    return true;
}

bool base64_decode(const char *text, size_t size, void *out, size_t *out_size, size_t *bad) {
    const unsigned char *p = (const unsigned char *)text;
    unsigned char *to = out;
    size_t count = without_padding(p, size), i = 0;
    for (; i + 4 <= count; i += 4, to += 3) {
        uint8_t a = values[p[i]], b = values[p[i + 1]], c = values[p[i + 2]], d = values[p[i + 3]];
        if ((a | b | c | d) & NO) {
            *bad = i + first_bad(p + i, 4);
            return false;
        }
        uint32_t group = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
        to[0] = (unsigned char)(group >> 16);
        to[1] = (unsigned char)(group >> 8);
        to[2] = (unsigned char)group;
    }
    size_t rest = count - i;
    *bad = i + first_bad(p + i, rest);
    if (*bad < count || rest == 1) return false;
    if (rest && !decode_tail(p + i, rest, to)) {
        *bad = count - 1;
        return false;
    }
    *out_size = i / 4 * 3 + (rest ? rest - 1 : 0);
    return true;
}
