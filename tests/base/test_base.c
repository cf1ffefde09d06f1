#include "base/base.h"
#include "base/pages.h"
#include "base/parallel.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */

Test(error, fills_and_returns_the_status) {
    cnn_error err = {0};
    cr_assert_eq(cnn_fail(&err, CNN_LIMIT, "%d is above %d", 3, 2), CNN_LIMIT);
    cr_assert_eq(err.status, CNN_LIMIT);
    cr_assert_str_eq(err.message, "3 is above 2");
    cr_assert_eq(cnn_fail(NULL, CNN_IO, "nobody listens"), CNN_IO);
}

Test(error, says_what_memory_was_missing) {
    cnn_error err = {0};
    cr_assert_eq(cnn_fail_memory(&err, 4096), CNN_OUT_OF_MEMORY);
    cr_assert(strstr(err.message, "4096"));
}

Test(error, has_no_control_characters) {
    cnn_error err;
    cnn_fail(&err, CNN_INVALID_MODEL, "node '%s'", "a\nb\x1b[31m\x7f");
    cr_assert_str_eq(err.message, "node 'a?b?[31m?'");
}

Test(error, stays_utf8_wherever_it_is_cut) {
    char name[1200];
    for (size_t shift = 0; shift < 4; shift++) {
        cnn_error err;
        memset(name, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof name - 1; i += 3)
            memcpy(name + i, "\xe2\x82\xac", 4); /* euro sign */
        cnn_fail(&err, CNN_LIMIT, "'%s'", name);
        cr_assert(cnn_utf8_valid(err.message, strlen(err.message)));
        cnn_fail(&err, CNN_LIMIT, "'%.10s' is too long", name);
        cr_assert(cnn_utf8_valid(err.message, strlen(err.message)));
        cr_assert(strstr(err.message, "too long"));
    }
    cnn_error err;
    cnn_fail(&err, CNN_LIMIT, "%s", "\xff\xfe");
    cr_assert_str_eq(err.message, "??");
}

/* ---- UTF-8 ---- */

Test(utf8, follows_rfc_3629) {
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\x80", 0},             /* continuation without a lead */
        {"\xc0\x80", 0},         /* overlong NUL */
        {"\xe0\x80\x80", 0},     /* overlong */
        {"\xf0\x80\x80\x80", 0}, /* overlong */
        {"\xed\xa0\x80", 0},     /* surrogate */
        {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"\xe2\x82", 0}, /* cut */
        {"\xe2\x28\xa1", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        cr_assert_eq(cnn_utf8_sequence(cases[i].text, strlen(cases[i].text)), cases[i].length,
                     "case %zu", i);
    cr_assert_eq(cnn_utf8_sequence("", 0), 0);
    cr_assert(cnn_utf8_valid("", 0));
    cr_assert(cnn_utf8_valid("na\xc3\xafve", 6));
    cr_assert_not(cnn_utf8_valid("na\xc3", 3));
}

/* ---- arithmetic ---- */

Test(arithmetic, refuses_overflow) {
    size_t out = 7;
    cr_assert(cnn_mul_size(6, 7, &out));
    cr_assert_eq(out, 42);
    cr_assert_not(cnn_mul_size(SIZE_MAX, 2, &out));
    cr_assert_eq(out, 42, "untouched on overflow");
    cr_assert(cnn_add_size(SIZE_MAX - 1, 1, &out));
    cr_assert_eq(out, SIZE_MAX);
    cr_assert_not(cnn_add_size(SIZE_MAX, 1, &out));
}

Test(shape, counts_elements) {
    size_t n;
    cr_assert(cnn_shape_elements(&(cnn_shape){0}, &n));
    cr_assert_eq(n, 1);
    cr_assert(cnn_shape_elements(&(cnn_shape){3, {2, 3, 4}}, &n));
    cr_assert_eq(n, 24);
    cr_assert(cnn_shape_elements(&(cnn_shape){2, {0, 5}}, &n));
    cr_assert_eq(n, 0);
    cr_assert_not(cnn_shape_elements(&(cnn_shape){2, {-1, 5}}, &n));
    cr_assert_not(cnn_shape_elements(&(cnn_shape){3, {INT64_MAX, INT64_MAX, 2}}, &n));
    cr_assert_not(cnn_shape_elements(&(cnn_shape){-1, {0}}, &n));
}

Test(shape, compares_rank_and_extents) {
    cnn_shape a = {2, {1, 2}}, b = {2, {1, 3}}, c = {3, {1, 2, 1}}, d = {2, {1, 2, 99}};
    cr_assert(cnn_shape_equal(&a, &a));
    cr_assert_not(cnn_shape_equal(&a, &b));
    cr_assert_not(cnn_shape_equal(&a, &c));
    cr_assert(cnn_shape_equal(&a, &d), "extents beyond the rank do not count");
}

Test(shape, prints) {
    char text[64];
    cr_assert_str_eq(cnn_shape_text(&(cnn_shape){4, {1, 3, 224, 224}}, text, sizeof text),
                     "1x3x224x224");
    cr_assert_str_eq(cnn_shape_text(&(cnn_shape){2, {-1, 10}}, text, sizeof text), "?x10");
    cr_assert_str_eq(cnn_shape_text(&(cnn_shape){0}, text, sizeof text), "scalar");
    cr_assert_str_eq(cnn_shape_text(&(cnn_shape){4, {1, 3, 224, 224}}, text, 6), "1x3x2");
}

/* ---- memory ---- */

Test(alloc, is_aligned) {
    for (size_t bytes = 0; bytes < 300; bytes += 37) {
        char *p = cnn_alloc_aligned(bytes);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % CNN_ALIGN, 0);
        memset(p, 1, bytes);
        free(p);
    }
    cr_assert_null(cnn_alloc_aligned(SIZE_MAX));
}

Test(alloc, grows_in_steps) {
    int *items = NULL;
    size_t capacity = 0, moves = 0;
    for (size_t i = 0; i < 1000; i++) {
        size_t before = capacity;
        cr_assert(cnn_grow((void **)&items, &capacity, i + 1, sizeof *items));
        moves += capacity != before;
        items[i] = (int)i;
    }
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(items[i], (int)i);
    cr_assert_lt(moves, 10);
    size_t before = capacity;
    cr_assert_not(cnn_grow((void **)&items, &capacity, SIZE_MAX / 2, sizeof *items));
    cr_assert_eq(capacity, before);
    free(items);
}

/* ---- types ---- */

Test(dtype, knows_sizes_and_names) {
    cr_assert_eq(cnn_dtype_size(CNN_FLOAT32), 4);
    cr_assert_eq(cnn_dtype_size(CNN_BFLOAT16), 2);
    cr_assert_eq(cnn_dtype_size(CNN_INT64), 8);
    cr_assert_eq(cnn_dtype_size(CNN_BOOL), 1);
    cr_assert_eq(cnn_dtype_size(CNN_STRING), 0);
    cr_assert_str_eq(cnn_dtype_name(CNN_FLOAT64), "float64");
    int none[] = {0, 14, 15, 17, 1000, -1};
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
        cr_assert_eq(cnn_dtype_size((cnn_dtype)none[i]), 0);
    cr_assert_not_null(cnn_dtype_name((cnn_dtype)-1));
}

Test(half, known_values) {
    static const struct {
        uint16_t bits;
        float value;
    } cases[] = {
        {0x0000, 0.0f},     {0x3C00, 1.0f},         {0xC000, -2.0f},    {0x7BFF, 65504.0f},
        {0x0001, 0x1p-24f}, {0x03FF, 0x1.FF8p-15f}, {0x0400, 0x1p-14f}, {0x3555, 0x1.554p-2f},
        {0x7C00, INFINITY}, {0xFC00, -INFINITY},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        cr_assert_eq(cnn_half_to_float(cases[i].bits), cases[i].value, "case %zu", i);
        cr_assert_eq(cnn_half_from_float(cases[i].value), cases[i].bits, "case %zu", i);
    }
    cr_assert(isnan(cnn_half_to_float(0x7E00)));
    cr_assert(isnan(cnn_half_to_float(cnn_half_from_float(NAN))));
    cr_assert(signbit(cnn_half_to_float(0x8000)));
}

Test(half, every_number_survives) {
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float value = cnn_half_to_float((uint16_t)bits);
        if (!isnan(value)) cr_assert_eq(cnn_half_from_float(value), bits);
    }
}

Test(half, rounds_to_nearest_even) {
    cr_assert_eq(cnn_half_from_float(1.0f + 0x1p-11f), 0x3C00);     /* tie, down to even */
    cr_assert_eq(cnn_half_from_float(1.0f + 3 * 0x1p-11f), 0x3C02); /* tie, up to even */
    cr_assert_eq(cnn_half_from_float(1.0f + 0x1p-11f + 0x1p-20f), 0x3C01);
    cr_assert_eq(cnn_half_from_float(65519.0f), 0x7BFF);
    cr_assert_eq(cnn_half_from_float(65520.0f), 0x7C00, "rounds up to infinity");
    cr_assert_eq(cnn_half_from_float(0x1p-25f), 0, "tie, down to zero");
    cr_assert_eq(cnn_half_from_float(0x1.8p-25f), 1);
}

Test(bfloat16, cuts_and_rounds) {
    cr_assert_eq(cnn_bfloat16_to_float(0x3F80), 1.0f);
    cr_assert_eq(cnn_bfloat16_from_float(-1.0f), 0xBF80);
    cr_assert_eq(cnn_bfloat16_from_float(1.0f + 0x1p-8f), 0x3F80);     /* tie, down to even */
    cr_assert_eq(cnn_bfloat16_from_float(1.0f + 3 * 0x1p-8f), 0x3F82); /* tie, up to even */
    cr_assert(isnan(cnn_bfloat16_to_float(cnn_bfloat16_from_float(NAN))));
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float value = cnn_bfloat16_to_float((uint16_t)bits);
        if (!isnan(value)) cr_assert_eq(cnn_bfloat16_from_float(value), bits);
    }
}

Test(clock, does_not_go_back) {
    uint64_t before = cnn_now_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = cnn_now_ns();
        cr_assert_geq(now, before);
        before = now;
    }
}

Test(pages, are_zeros_of_any_size) {
    static const size_t sizes[] = {0, 1, 100, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, 5 << 20};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        unsigned char *p = cnn_alloc_zeroed(sizes[i]);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % CNN_ALIGN, 0);
        for (size_t j = 0; j < sizes[i]; j++)
            cr_assert_eq(p[j], 0);
        memset(p, 1, sizes[i]);
        cnn_free_zeroed(p, sizes[i]);
    }
    cr_assert_null(cnn_alloc_zeroed(SIZE_MAX));
    cnn_free_zeroed(NULL, 1 << 20);
}

static void count_up(void *arg, size_t index) {
    __atomic_fetch_add((int *)arg + index, 1, __ATOMIC_RELAXED);
}

Test(parallel, calls_once_for_each_index) {
    static const int threads[] = {-1, 0, 1, 2, 7, 1000};
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        for (size_t count = 0; count <= 200; count += 100) {
            int calls[201] = {0};
            cnn_parallel_for(threads[i], count, count_up, calls);
            for (size_t j = 0; j <= 200; j++)
                cr_assert_eq(calls[j], j < count);
        }
}
