/*
 * fuzz_http.c: what is parsed of a request besides pictures: the wire, target, form, JSON document,
 * base64, and text that is echoed. The first byte chooses; results are checked against each other.
 *
 * The tests build it with replay.c. For libFuzzer:
 *   clang -g -O1 -D_GNU_SOURCE -DFUZZER -fsanitize=fuzzer,address,undefined -Iinclude -Iserver \
 *     -Itests tests/fuzz/fuzz_http.c server/http/{guard,head,multipart,target}.c \
 *     server/common/{buffer,names,utf8}.c \
 *     server/json/{base64,classify_body,float_text,image_text,writer}.c -ljansson -o fuzz_http
 */
#include "common/utf8.h"
#include "fuzz/replay.h"
#include "http/guard.h"
#include "http/http.h"
#include "http/multipart.h"
#include "json/base64.h"
#include "json/classify_body.h"
#include "json/writer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void ignore_refusal(void *arg, const head_refusal *why, const char *line, size_t size) {
    (void)arg, (void)line, (void)size;
    expect(why->why != NULL);
}

/* Sends the bytes in pieces, and collects what the guard lets through. */
static void collect(const uint8_t *data, size_t size, size_t piece, buffer *out) {
    int pair[2];
    char got[1000];
    guards *all = guards_create();
    expect(all && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    guard *g = guard_add(all, pair[0], ignore_refusal, NULL);
    expect(g != NULL);
    for (size_t at = 0; at < size; at += piece) {
        if (send(pair[1], data + at, size - at < piece ? size - at : piece, MSG_NOSIGNAL) < 0)
            break;
        ssize_t count;
        while ((count = recv(pair[0], got, 1 + piece % sizeof got, 0)) > 0)
            buffer_append(out, got, (size_t)count);
        while (guard_expects_request(g))
            guard_request_ended(g);
    }
    guard_remove(g);
    guards_free(all);
    close(pair[0]);
    close(pair[1]);
}

/* What is let through does not depend on how it arrives. */
static void fuzz_wire(const uint8_t *data, size_t size) {
    buffer whole, pieces;
    size_t piece = size ? 1 + data[0] % 32 : 1;
    if (size == 0) return;
    buffer_init(&whole, 1 << 20);
    buffer_init(&pieces, 1 << 20);
    collect(data + 1, size - 1, size, &whole);
    collect(data + 1, size - 1, piece, &pieces);
    expect(whole.size == pieces.size && whole.size <= size);
    expect(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
    buffer_free(&whole);
    buffer_free(&pieces);
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
        fuzz_target, fuzz_form, fuzz_document, fuzz_base64, fuzz_text, fuzz_wire};
    if (size > 0) parsers[data[0] % 6](data + 1, size - 1);
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
    SEED("\5\1\r\nPOST /a?b HTTP/1.1\r\nHost: [::1]:80 \r\nCookie: a=b\r\nContent-Length: "
         "3\r\n\r\nabc"
         "GET / HTTP/1.0\r\n\r\nHEAD / HTTP/1.1\r\nhost:\r\n\r\n"),
    SEED("\5\7PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
         "chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nX: "
         "y\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n"),
    SEED("\4n\xc3\xa4me \"\\\n\x7f\xf0\x9f\x98\x80\xed\xa0\x80"),
};

const replay_plan replay = {
    .seeds = seeds,
    .seed_count = sizeof seeds / sizeof seeds[0],
    .mutations = 50000,
};
#endif
