/* base64.c: see base64.h. Three bytes or four characters at a time, through one table; what stands
 * between the characters is looked at only where such a group of four is broken. */
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

/* What is no digit of either alphabet. */
#define NO 64
#define WS 65 /* white space, skipped */
#define PD 66 /* '=' */

static const uint8_t values[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, WS, WS, NO, WS, WS, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, WS, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, 62, NO, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, PD, NO, NO, NO, 0,  1,  2,  3,  4,  5,  6,
    7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, 63,
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

/* Decodes whole groups of four digits from *p on, up to one with anything else in it. */
static unsigned char *decode_groups(const unsigned char **p, const unsigned char *end,
                                    unsigned char *to) {
    const unsigned char *from = *p;
    for (; end - from >= 4; from += 4, to += 3) {
        uint8_t a = values[from[0]], b = values[from[1]], c = values[from[2]], d = values[from[3]];
        if ((a | b | c | d) & NO) break;
        uint32_t group = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
        to[0] = (unsigned char)(group >> 16);
        to[1] = (unsigned char)(group >> 8);
        to[2] = (unsigned char)group;
    }
    *p = from;
    return to;
}

/* A group of four digits or fewer, between which there may be white space. */
typedef struct group {
    uint32_t bits;
    size_t digits;
    const unsigned char *last; /* digit, if there is one */
} group;

static group read_group(const unsigned char **p, const unsigned char *end) {
    group g = {0};
    const unsigned char *from = *p;
    for (; from < end && g.digits < 4; from++) {
        uint8_t value = values[*from];
        if (value == WS) continue;
        if (value & NO) break;
        g.bits = g.bits << 6 | value;
        g.last = from;
        g.digits++;
    }
    *p = from;
    return g;
}

/* What may follow the digits: white space and up to `most` characters of padding. */
static const unsigned char *skip_padding(const unsigned char *p, const unsigned char *end,
                                         size_t most) {
    for (; p < end; p++) {
        if (values[*p] == PD && most > 0)
            most--;
        else if (values[*p] != WS)
            break;
    }
    return p;
}

/* The last two or three digits, of which the bits past the last whole byte have to be 0. */
static bool put_tail(group g, unsigned char *to) {
    size_t spare = g.digits == 2 ? 4 : 2;
    if (g.bits & ((1U << spare) - 1)) return false;
    g.bits >>= spare;
    if (g.digits == 3) *to++ = (unsigned char)(g.bits >> 8);
    *to = (unsigned char)g.bits;
    return true;
}

bool base64_decode(const char *text, size_t size, void *out, size_t *out_size, size_t *bad) {
    const unsigned char *start = (const unsigned char *)text, *p = start, *end = start + size;
    unsigned char *to = out;
    group g;
    for (;;) {
        to = decode_groups(&p, end, to);
        g = read_group(&p, end);
        if (g.digits < 4) break;
        *to++ = (unsigned char)(g.bits >> 16);
        *to++ = (unsigned char)(g.bits >> 8);
        *to++ = (unsigned char)g.bits;
    }
    p = skip_padding(p, end, g.digits >= 2 ? 4 - g.digits : 0);
    *bad = (size_t)(p - start);
    if (p < end || g.digits == 1) return false;
    if (g.digits >= 2 && !put_tail(g, to)) {
        *bad = (size_t)(g.last - start);
        return false;
    }
    *out_size = (size_t)(to - (unsigned char *)out) + (g.digits ? g.digits - 1 : 0);
    return true;
}
