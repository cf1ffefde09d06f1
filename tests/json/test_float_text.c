/* The printed float reads back as itself, is as short as can be, and nearest among the shortest.
 * The program has been run over all 2^32 values once (with a step of 1); here a sample is. */
#include "json/float_text.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *print(float value) {
    static char text[FLOAT_TEXT_ROOM + 1];
    text[float_text(text, value)] = '\0';
    return text;
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

Test(float_text, known_values) {
    const struct {
        float value;
        const char *text;
    } cases[] = {
        {0.0F, "0.0"},
        {-0.0F, "-0.0"},
        {1.0F, "1.0"},
        {3.0F, "3.0"},
        {0.1F, "0.1"},
        {-0.25F, "-0.25"},
        {1.0F / 3, "0.33333334"},
        {1e-7F, "1e-07"},
        {1e-4F, "0.0001"},
        {1.5e-5F, "1.5e-05"},
        {123456.789F, "123456.79"},
        {16777216.0F, "16777216.0"},
        {9.5e9F, "9500000000.0"},
        {1e15F, "1000000000000000.0"},
        {1e16F, "1e+16"},
        {3.4028235e38F, "3.4028235e+38"},
        {1.17549435e-38F, "1.1754944e-38"},
        {1e-45F, "1e-45"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(print(cases[i].value), cases[i].text);
}

/* Significant digits of a printed number. */
static int digits_in(const char *text) {
    char digits[32];
    int count = 0;
    for (; *text && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (count || *text != '0')) digits[count++] = *text;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/* No text with fewer digits reads back as `value`, and none with as many is nearer to it. */
static void expect_shortest(float value, const char *text) {
    int digits = digits_in(text);
    char other[64];
    if (digits > 1) {
        snprintf(other, sizeof other, "%.*e", digits - 2, (double)value);
        cr_assert_neq(bits_of(strtof(other, NULL)), bits_of(value), "%s is shorter than %s", other,
                      text);
    }
    snprintf(other, sizeof other, "%.*e", digits - 1, (double)value);
    double distance = fabs(strtod(text, NULL) - (double)value);
    if (bits_of(strtof(other, NULL)) == bits_of(value))
        cr_assert_leq(distance, fabs(strtod(other, NULL) - (double)value), "%s is nearer than %s",
                      other, text);
}

Test(float_text, sample_of_all_values) {
    for (uint64_t bits = 0; bits < 0x7f800000; bits += 107) {
        float value = from_bits((uint32_t)bits);
        const char *text = print(value);
        cr_assert_leq(strlen(text), FLOAT_TEXT_MAX);
        cr_assert_eq(bits_of(strtof(text, NULL)), bits, "%08x is printed as %s", (uint32_t)bits,
                     text);
    }
}

Test(float_text, sample_is_shortest_and_nearest) {
    for (uint64_t bits = 1; bits < 0x7f800000; bits += 4099) {
        float value = from_bits((uint32_t)bits);
        expect_shortest(value, print(value));
    }
}

Test(float_text, powers_of_two_and_their_neighbours) {
    for (uint32_t exponent = 1; exponent < 255; exponent++) {
        for (int step = -2; step <= 2; step++) {
            uint32_t bits = (exponent << 23) + (uint32_t)step;
            cr_assert_eq(bits_of(strtof(print(from_bits(bits)), NULL)), bits);
        }
    }
}

Test(float_text, negative_values_differ_by_the_sign_only) {
    for (uint32_t bits = 0; bits < 0x7f800000; bits += 1000003) {
        char positive[FLOAT_TEXT_ROOM + 1];
        strcpy(positive, print(from_bits(bits)));
        const char *negative = print(from_bits(bits | 0x80000000));
        cr_assert_eq(*negative, '-');
        cr_assert_str_eq(negative + 1, positive);
    }
}
