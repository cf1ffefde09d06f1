/*
 * float_text.c: shortest round-trip text of a float32.
 *
 * The method is Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2020/2022),
 * in its single-precision form. A float is v = c * 2^q, and every real number between its rounding
 * borders reads back as v. With k the largest integer for which 10^k is not wider than that
 * interval, the interval holds at least one multiple of 10^k and at most one of 10^(k+1): if there
 * is one of the latter it is the shortest text, otherwise the multiple of 10^k nearest to v is.
 * Both candidates come from v * 10^-k and the borders, each computed with one 64x64-bit product
 * that is rounded to odd, which keeps comparisons exact.
 *
 * Measured on activations, branches that depend on the digits cost more than the arithmetic, so
 * digits are split in one register and laid out with copies of fixed size into a buffer with slack.
 * Zero, frequent after ReLU, takes a short way. No locale, no allocation, no state.
 */
#include "json/float_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* powers[e + 31] = ceil(10^e * 2^(63 - floor(log2(10^e)))) for e in -31...45. */
#define POWERS_MIN (-31)
static const uint64_t powers[] = {
    0x81ceb32c4b43fcf5, 0xa2425ff75e14fc32, 0xcad2f7f5359a3b3f, 0xfd87b5f28300ca0e,
    0x9e74d1b791e07e49, 0xc612062576589ddb, 0xf79687aed3eec552, 0x9abe14cd44753b53,
    0xc16d9a0095928a28, 0xf1c90080baf72cb2, 0x971da05074da7bef, 0xbce5086492111aeb,
    0xec1e4a7db69561a6, 0x9392ee8e921d5d08, 0xb877aa3236a4b44a, 0xe69594bec44de15c,
    0x901d7cf73ab0acda, 0xb424dc35095cd810, 0xe12e13424bb40e14, 0x8cbccc096f5088cc,
    0xafebff0bcb24aaff, 0xdbe6fecebdedd5bf, 0x89705f4136b4a598, 0xabcc77118461cefd,
    0xd6bf94d5e57a42bd, 0x8637bd05af6c69b6, 0xa7c5ac471b478424, 0xd1b71758e219652c,
    0x83126e978d4fdf3c, 0xa3d70a3d70a3d70b, 0xcccccccccccccccd, 0x8000000000000000,
    0xa000000000000000, 0xc800000000000000, 0xfa00000000000000, 0x9c40000000000000,
    0xc350000000000000, 0xf424000000000000, 0x9896800000000000, 0xbebc200000000000,
    0xee6b280000000000, 0x9502f90000000000, 0xba43b74000000000, 0xe8d4a51000000000,
    0x9184e72a00000000, 0xb5e620f480000000, 0xe35fa931a0000000, 0x8e1bc9bf04000000,
    0xb1a2bc2ec5000000, 0xde0b6b3a76400000, 0x8ac7230489e80000, 0xad78ebc5ac620000,
    0xd8d726b7177a8000, 0x878678326eac9000, 0xa968163f0a57b400, 0xd3c21bcecceda100,
    0x84595161401484a0, 0xa56fa5b99019a5c8, 0xcecb8f27f4200f3a, 0x813f3978f8940985,
    0xa18f07d736b90be6, 0xc9f2c9cd04674edf, 0xfc6f7c4045812297, 0x9dc5ada82b70b59e,
    0xc5371912364ce306, 0xf684df56c3e01bc7, 0x9a130b963a6c115d, 0xc097ce7bc90715b4,
    0xf0bdc21abb48db21, 0x96769950b50d88f5, 0xbc143fa4e250eb32, 0xeb194f8e1ae525fe,
    0x92efd1b8d0cf37bf, 0xb7abc627050305ae, 0xe596b7b0c643c71a, 0x8f7e32ce7bea5c70,
    0xb35dbf821ae4f38c,
};

/* The value digits * 10^exponent. */
typedef struct decimal {
    uint32_t digits;
    int exponent;
} decimal;

/* floor(log10(2^q)), and floor(log10(3/4 * 2^q)); exact for |q| < 1500. */
static int floor_log10_pow2(int q, bool three_quarters) {
    return (q * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

/* floor(log2(10^e)), exact for |e| < 1234. */
static int floor_log2_pow10(int e) {
    return (e * 1741647) >> 19;
}

/* g * x / 2^64, rounded to odd: the last bit is set if anything was cut off. */
static uint32_t multiply_round_odd(uint64_t g, uint32_t x) {
    uint64_t high = (uint64_t)(((unsigned __int128)g * x) >> 32);
    return (uint32_t)(high >> 32) | ((uint32_t)high > 1);
}

/* `fraction` and `exponent` are the fields of a finite float that is not zero. */
static decimal shortest(uint32_t fraction, uint32_t exponent) {
    uint32_t c = exponent ? fraction | 0x800000 : fraction;
    int q = exponent ? (int)exponent - 150 : -149;
    /* Below a power of two the neighbour is half as far. */
    bool closer_below = fraction == 0 && exponent > 1;
    uint32_t odd = c & 1; /* the borders read back as v only if c is even */

    int k = floor_log10_pow2(q, closer_below);
    int shift = q + floor_log2_pow10(-k) + 1;
    uint64_t g = powers[-k - POWERS_MIN];
    /* Four times v / 10^k and its borders. */
    uint32_t lower = multiply_round_odd(g, (4 * c - 2 + closer_below) << shift) + odd;
    uint32_t middle = multiply_round_odd(g, (4 * c) << shift);
    uint32_t upper = multiply_round_odd(g, (4 * c + 2) << shift) - odd;

    /* Both candidates are worked out and one selected: a branch here could not be predicted. */
    uint32_t s = middle / 4, tens = s / 10;
    bool tens_below = lower <= 40 * tens, tens_above = 40 * tens + 40 <= upper;
    bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
    uint32_t half = 4 * s + 2;
    uint32_t nearest = s + (below != above ? above : middle > half || (middle == half && (s & 1)));
    bool shorter = s >= 10 && tens_below != tens_above;
    return (decimal){shorter ? tens + tens_above : nearest, k + shorter};
}

static int count_digits(uint32_t x) {
    static const uint32_t powers_of_ten[] = {1,      10,      100,      1000,      10000,
                                             100000, 1000000, 10000000, 100000000, 1000000000};
    int guess = ((32 - __builtin_clz(x | 1)) * 1233) >> 12; /* log10(2) = 0.30103 */
    return guess + (x >= powers_of_ten[guess]);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digits are made in one register");

/*
 * The eight digits of x < 10^8, the first in the lowest byte: halves, then quarters, then single
 * digits are split off in parallel, dividing by multiplication.
 */
static uint64_t spread_digits(uint32_t x) {
    uint64_t halves = x / 10000 | (uint64_t)(x % 10000) << 32;
    uint64_t hundreds = (halves * 10486 >> 20) & 0x0000007f0000007f;
    uint64_t quarters = hundreds | (halves - 100 * hundreds) << 16;
    uint64_t tens = (quarters * 103 >> 10) & 0x000f000f000f000f;
    return tens | (quarters - 10 * tens) << 8;
}

/* Digits of a number below 10^9, without leading and trailing zeros; zeros follow in `text`. */
typedef struct digit_text {
    char text[32]; /* starts at `first` */
    int first;
    int count;
    int stripped; /* zeros left out at the end */
} digit_text;

/* x is not 0. */
static void digits_of(digit_text *d, uint32_t x) {
    uint64_t low = spread_digits(x % 100000000);
    uint64_t ascii = low | 0x3030303030303030;
    int count = count_digits(x);
    d->stripped = low ? __builtin_clzll(low) / 8 : 8;
    d->first = 9 - count;
    d->count = count - d->stripped;
    memset(d->text, '0', sizeof d->text);
    d->text[0] = (char)('0' + x / 100000000);
    memcpy(d->text + 1, &ascii, sizeof ascii);
}

/* d.ddde+XX */
static size_t put_scientific(char *out, const char *digits, int count, int exponent) {
    char *p = out;
    *p++ = digits[0];
    if (count > 1) {
        *p++ = '.';
        memcpy(p, digits + 1, 8);
        p += count - 1;
    }
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    *p++ = (char)('0' + magnitude / 10);
    *p++ = (char)('0' + magnitude % 10);
    return (size_t)(p - out);
}

/* 0.000ddd, ddd.ddd or ddd000.0; `point` digits stand before the point. */
static size_t put_fixed(char *out, const char *digits, int count, int point) {
    if (point <= 0) {
        memcpy(out, "0.000", 5);
        memcpy(out + 2 - point, digits, 16);
        return (size_t)(2 - point + count);
    }
    memcpy(out, digits, 16);
    if (point < count) {
        memcpy(out + point + 1, digits + point, 16);
        out[point] = '.';
        return (size_t)(count + 1);
    }
    memcpy(out + point, ".0", 2);
    return (size_t)(point + 2);
}

static size_t put_decimal(char *out, decimal value) {
    digit_text d;
    digits_of(&d, value.digits);
    const char *digits = d.text + d.first;
    int point = d.count + d.stripped + value.exponent;
    if (point < -3 || point > 16) return put_scientific(out, digits, d.count, point - 1);
    return put_fixed(out, digits, d.count, point);
}

size_t float_text(char *out, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t exponent = bits >> 23 & 0xff, fraction = bits & 0x7fffff;
    if (exponent == 0xff) {
        memcpy(out, "null", 4);
        return 4;
    }
    size_t sign = bits >> 31;
    *out = '-';
    out += sign;
    if (!(bits << 1)) {
        memcpy(out, "0.0", 3);
        return sign + 3;
    }
    return sign + put_decimal(out, shortest(fraction, exponent));
}
