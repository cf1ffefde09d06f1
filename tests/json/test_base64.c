/* RFC 4648: the vectors of its section 10, what else clients send, and what is refused. */
#include "json/base64.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_encoding(const char *plain, const char *encoded) {
    char out[64] = {0};
    cr_assert_eq(base64_encoded_size(strlen(plain)), strlen(encoded));
    base64_encode(plain, strlen(plain), out);
    cr_expect_str_eq(out, encoded);
}

static void expect_decoding(const char *encoded, const char *plain) {
    char out[64];
    size_t size = 0, bad;
    cr_assert(base64_decode(encoded, strlen(encoded), out, &size, &bad), "%s at %zu", encoded, bad);
    cr_assert_eq(size, strlen(plain));
    cr_expect_arr_eq(out, plain, size);
}

static void expect_refusal(const char *encoded, size_t at) {
    char out[64];
    size_t size = 77, bad = 99;
    cr_assert_not(base64_decode(encoded, strlen(encoded), out, &size, &bad), "%s", encoded);
    cr_expect_eq(bad, at, "%s: %zu", encoded, bad);
    cr_expect_eq(size, 77, "written only on success");
}

Test(base64, vectors_of_the_rfc) {
    const char *pairs[][2] = {{"", ""},
                              {"f", "Zg=="},
                              {"fo", "Zm8="},
                              {"foo", "Zm9v"},
                              {"foob", "Zm9vYg=="},
                              {"fooba", "Zm9vYmE="},
                              {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        expect_encoding(pairs[i][0], pairs[i][1]);
        expect_decoding(pairs[i][1], pairs[i][0]);
    }
}

Test(base64, padding_may_be_left_out) {
    expect_decoding("Zg", "f");
    expect_decoding("Zm8", "fo");
}

Test(base64, what_clients_send) {
    expect_decoding("Zm9v\nYg==", "foob");
    expect_decoding("Z\r\nm 9\tv\fYg\n=\n=\n", "foob");
    expect_decoding(" \n", "");
    expect_decoding("Zg=", "f"); /* what there is of padding is right */
    expect_decoding("-_8", "\xfb\xff");
    expect_decoding("+/8=", "\xfb\xff");
    expect_decoding("+_8", "\xfb\xff");
}

Test(base64, line_breaks_of_every_width) {
    char plain[100], encoded[200], broken[500], out[600];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (char)(i * 37);
    base64_encode(plain, sizeof plain, encoded);
    size_t length = base64_encoded_size(sizeof plain);
    for (size_t width = 1; width <= length; width++) {
        size_t used = 0, size = 0, bad = 0;
        for (size_t i = 0; i < length; i++) {
            broken[used++] = encoded[i];
            if ((i + 1) % width == 0) used += (size_t)sprintf(broken + used, "\r\n");
        }
        cr_assert(base64_decode(broken, used, out, &size, &bad), "width %zu at %zu", width, bad);
        cr_assert_eq(size, sizeof plain);
        cr_expect_arr_eq(out, plain, size);
    }
}

Test(base64, refusals_say_where) {
    expect_refusal("Zm9vZ", 5);    /* six bits are no byte */
    expect_refusal("Zh==", 1);     /* bits of no byte are set */
    expect_refusal("Zm9=", 2);     /* likewise */
    expect_refusal("Z===", 1);     /* too much padding */
    expect_refusal("Zg===", 4);    /* likewise */
    expect_refusal("Zg==Zg==", 4); /* padding in the middle */
    expect_refusal("Zm9v=", 4);    /* none is due */
    expect_refusal("Z\nh = =", 2); /* bits of no byte are set */
    expect_refusal("====", 0);
    expect_refusal("Zm9v\vZg", 4);
    expect_refusal("Zm9%3D", 3);
    expect_refusal("\xc3\xa4==", 0);
}

Test(base64, every_length_and_byte_round_trips_in_place) {
    for (size_t size = 0; size <= 300; size++) {
        unsigned char bytes[300];
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)(i * 7 + size);
        size_t encoded_size = base64_encoded_size(size);
        /* Exactly as large as documented, so that a sanitizer sees a byte too many. */
        char *text = malloc(base64_decoded_max(encoded_size) + encoded_size);
        cr_assert(text);
        base64_encode(bytes, size, text);
        size_t decoded_size, bad;
        cr_assert(base64_decode(text, encoded_size, text, &decoded_size, &bad));
        cr_assert_eq(decoded_size, size);
        cr_assert(memcmp(text, bytes, size) == 0);
        free(text);
    }
}
