/*
 * fuzz_http.c: what is parsed of a request besides pictures: target, form, JSON document, base64,
 * and text that is echoed. The first byte chooses; results are checked against each other.
 *
 * The tests build it with replay.c. For libFuzzer:
 *   clang -g -O1 -D_GNU_SOURCE -DFUZZER -fsanitize=fuzzer,address,undefined -Iinclude -Iserver \
 *     -Itests tests/fuzz/fuzz_http.c server/http/target.c server/http/multipart.c \
 *     server/common/{buffer,names,utf8}.c \
 *     server/json/{base64,classify_body,float_text,writer}.c -ljansson -o fuzz_http
 */
#include "common/utf8.h"
#include "fuzz/replay.h"
#include "http/http.h"
#include "http/multipart.h"
#include "json/base64.h"
#include "json/classify_body.h"
#include "json/writer.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TYPE 64 /* bytes of a Content-Type's parameters */

static void expect(bool holds) {
    if (!holds) abort();
}

/* A copy of exact size, so that a sanitizer sees a read beyond it. */
static char *copy_of(const uint8_t *data, size_t size) {
    char *copy = malloc(size ? size : 1);
    expect(copy != NULL);
    return memcpy(copy, data, size);
}

static void fuzz_target(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    http_target target;
    const char *why;
    expect(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (http_target_parse(text, &target, &why)) {
        size_t count = target.segment_count;
        for (size_t i = 0; i < count && count <= HTTP_MAX_SEGMENTS; i++)
            expect(utf8_valid(target.segments[i], strlen(target.segments[i])));
        http_target_free(&target);
    }
    free(text);
}

/* The second byte is the length of the parameters of the Content-Type, which follow. */
static void fuzz_form(const uint8_t *data, size_t size) {
    char type[32 + MAX_TYPE] = "multipart/form-data; ";
    size_t length = size ? data[0] % MAX_TYPE : 0;
    if (length + 1 > size) return;
    memcpy(type + strlen(type), data + 1, length);
    size_t body_size = size - 1 - length;
    char *body = copy_of(data + 1 + length, body_size);
    multipart form;
    const char *why;
    if (multipart_parse(type, body, body_size, &form, &why)) {
        for (size_t i = 0; i < form.count; i++) {
            const multipart_part *part = &form.parts[i];
            expect(part->data >= body && part->data + part->size <= body + body_size);
        }
        multipart_free(&form);
    }
    free(body);
}

static void fuzz_document(const uint8_t *data, size_t size) {
    char *text = copy_of(data, size), message[300];
    classify_body body;
    if (classify_body_parse(text, size, 4, &body, message, sizeof message) == CLASSIFY_BODY_OK) {
        expect(body.image_count <= 4);
        classify_body_free(&body);
    }
    free(text);
}

/* The digits of a base64 text, in the alphabet that is written; returns how many there are. */
static size_t digits_of(char *text, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        if (!strchr("\t\n\f\r =", text[i]))
            text[count++] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    return count;
}

/* What can be decoded encodes to the same digits. */
static void fuzz_base64(const uint8_t *data, size_t size) {
    char *text = copy_of(data, size), *bytes = malloc(base64_decoded_max(size));
    size_t decoded, bad;
    expect(bytes != NULL);
    if (base64_decode(text, size, bytes, &decoded, &bad)) {
        char *again = malloc(base64_encoded_size(decoded) + 1);
        expect(again != NULL);
        base64_encode(bytes, decoded, again);
        expect(memcmp(again, text, digits_of(text, size)) == 0);
        free(again);
    } else {
        expect(bad <= size);
    }
    free(bytes);
    free(text);
}

/* Any bytes become a JSON string: valid UTF-8 without control characters. */
static void fuzz_text(const uint8_t *data, size_t size) {
    char *text = copy_of(data, size);
    buffer out;
    buffer_init(&out, 16 * size + 16);
    json_writer w = {.out = &out};
    json_write_bytes(&w, text, size);
    expect(!buffer_failed(&out) && utf8_valid(out.data, out.size));
    for (size_t i = 0; i < out.size; i++)
        expect((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
    buffer_free(&out);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const parsers[])(const uint8_t *, size_t) = {
        fuzz_target, fuzz_form, fuzz_document, fuzz_base64, fuzz_text};
    if (size > 0) parsers[data[0] % 5](data + 1, size - 1);
    return 0;
}

#ifndef FUZZER
#define SEED(text)                                                                                 \
    { text, sizeof(text) - 1 }
#define PART "\r\nContent-Disposition: form-data; name="

static const replay_seed seeds[] = {
    SEED("\0/v1/models/digits/versions/1/classify?top=3&features=conv1%2Cpool*&x=%C3%A4+b"),
    SEED("\0http://host:80/livez?a&b=&=c&%3D=%26"),
    SEED("\1\012boundary=B--B" PART "\"image\"; filename=\"a \\\"b\\\".png\"\r\n"
         "Content-Type: image/png\r\n\r\n\x89PNG\r\n--Bx\r\n--B" PART "top\r\n\r\n3\r\n--B  " PART
         "\"i%22\"; filename*=iso-8859-1''na%EFve%00.png\r\n\r\n\r\n--B--\r\n"),
    SEED("\1\024boundary=\"--a b\"; x=\"y\"----a b" PART "x\r\n\r\n\r\n----a b--"),
    SEED("\2{\"images\": [\"Zm9v\", \"data:image/png;base64,Zm8=\", {\"b64\": \"Zg\", \"name\": "
         "\"n\\u00e4\\\"me\"}], \"top\": 3, \"features\": [\"a*\", \"b\"], \"feature_format\": "
         "\"stats\", \"timings\": true}"),
    SEED("\2{\"images\": [{}, 1, null, [1e3, -0.5]], \"features\": \"a,b\", \"timings\": 1}"),
    SEED("\2\xef\xbb\xbf{\"images\": [\" DATA:a;b=\\\"c,d\\\" ; base64,%5Am9%76\", "
         "\"data:,%00%zz%\", "
         "\"//x.y\", {\"url\": \"s3://a\"}]}"),
    SEED("\3Zm9vYmFyIQ=="),
    SEED("\3Zm9\r\nv YmF-_yIQ= =\n"),
    SEED("\3AAAAAAAAAAAAAAAA+/+/"),
    SEED("\4n\xc3\xa4me \"\\\n\x7f\xf0\x9f\x98\x80\xed\xa0\x80"),
};

const replay_plan replay = {
    .seeds = seeds,
    .seed_count = sizeof seeds / sizeof seeds[0],
    .mutations = 50000,
};
#endif
