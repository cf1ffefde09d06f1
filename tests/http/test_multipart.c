#include "http/multipart.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE "multipart/form-data; boundary=XX"

static multipart m;
static const char *why;

static bool parse_bytes(const char *type, const char *body, size_t size) {
    /* Exactly as large as told, so that a sanitizer sees a read beyond it. */
    static char *copy;
    free(copy);
    copy = malloc(size ? size : 1);
    memcpy(copy, body, size);
    return multipart_parse(type, copy, size, &m, &why);
}

static bool parse(const char *type, const char *body) {
    return parse_bytes(type, body, strlen(body));
}

static void expect_refusal(const char *type, const char *body, const char *sentence) {
    cr_expect_not(parse(type, body), "%s", body);
    cr_expect(strstr(why, sentence), "%s: %s", body, why);
}

static void expect_data(size_t index, const char *data) {
    cr_assert_lt(index, m.count);
    cr_expect_eq(m.parts[index].size, strlen(data));
    cr_expect_arr_eq(m.parts[index].data, data, strlen(data));
}

Test(multipart, media_types) {
    cr_expect(media_type_is("multipart/form-data; boundary=x", "multipart/form-data"));
    cr_expect(media_type_is(" Application/JSON;charset=utf-8", "application/json"));
    cr_expect(media_type_is("application/json", "application/json"));
    cr_expect_not(media_type_is("application/jsonl", "application/json"));
    cr_expect_not(media_type_is("application/jso", "application/json"));
    cr_expect_not(media_type_is("", "application/json"));
    cr_expect_not(media_type_is(NULL, "application/json"));
}

Test(multipart, files_and_fields) {
    cr_assert(parse(TYPE,
                    "--XX\r\nContent-Disposition: form-data; name=\"top\"\r\n\r\n3\r\n"
                    "--XX\r\nContent-Disposition: form-data; name=\"image\"; "
                    "filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\nDATA\r\n--XX--\r\n"),
              "%s", why);
    cr_assert_eq(m.count, 2);
    cr_expect_str_eq(m.parts[0].name, "top");
    cr_expect_null(m.parts[0].filename);
    expect_data(0, "3");
    cr_expect_str_eq(m.parts[1].name, "image");
    cr_expect_str_eq(m.parts[1].filename, "a.jpg");
    cr_expect_str_eq(m.parts[1].content_type, "image/jpeg");
    expect_data(1, "DATA");
    multipart_free(&m);
}

Test(multipart, data_may_hold_anything_but_the_delimiter) {
    const char data[] = "\r\n--X\r\n--XXY\r\n--XX-\0\r\r\n\n--XX--\r\n";
    char body[512];
    int length = snprintf(body, sizeof body,
                          "preamble\r\n--XX  \r\nContent-Disposition: form-data; name=a\r\n\r\n");
    memcpy(body + length, data, sizeof data);
    size_t size = (size_t)length + sizeof data;
    memcpy(body + size, "\r\n--XX--epilogue", 16);
    cr_assert(parse_bytes(TYPE, body, size + 16), "%s", why);
    cr_assert_eq(m.count, 1);
    cr_assert_eq(m.parts[0].size, sizeof data);
    cr_expect(memcmp(m.parts[0].data, data, sizeof data) == 0);
    multipart_free(&m);
}

Test(multipart, empty_parts_and_no_parts) {
    cr_assert(parse(TYPE, "--XX\r\ncontent-disposition:form-data;name=\"a\"\r\n\r\n\r\n--XX--"));
    cr_assert_eq(m.count, 1);
    cr_expect_eq(m.parts[0].size, 0);
    multipart_free(&m);
    cr_assert(parse(TYPE, "--XX--"));
    cr_expect_eq(m.count, 0);
    multipart_free(&m);
}

static void expect_names(const char *parameters, const char *name, const char *filename) {
    char body[512];
    snprintf(body, sizeof body, "--XX\r\nContent-Disposition: form-data; %s\r\n\r\n\r\n--XX--",
             parameters);
    cr_assert(parse(TYPE, body), "%s: %s", parameters, why);
    cr_expect_str_eq(m.parts[0].name, name);
    if (filename)
        cr_expect_str_eq(m.parts[0].filename, filename);
    else
        cr_expect_null(m.parts[0].filename);
    multipart_free(&m);
}

Test(multipart, names_as_clients_write_them) {
    expect_names("name=\"a;b\"; filename=\"c;d=e\"", "a;b", "c;d=e");
    expect_names("filename=\"f\"; name=\"n\"", "n", "f");
    expect_names("name=n; filename=f", "n", "f");
    expect_names("NAME=\"n\"; FileName=\"f\"", "n", "f");
    expect_names("name=\"a\\\"b\"; filename=\"C:\\dir\\\\x.png\"", "a\"b", "C:\\dir\\x.png");
    expect_names("name=\"n\"; filename=\"\"", "n", "");
    expect_names("name=\"n\"; filename*=UTF-8''caf%C3%A9%zz.png", "n", "caf\xc3\xa9%zz.png");
    expect_names("name=\"n\"; filename=\"plain\"; filename*=utf-8'en'better", "n", "better");
    expect_names("name=\"n\"; filename*=iso-8859-1'en'na%EFve%A9.png", "n",
                 "na\xc3\xafve\xc2\xa9.png");
    /* As browsers escape them, and nothing else: 50%25 is a name that holds %25. */
    expect_names("name=\"a%22b\"; filename=\"c%0D%0a%22d%20%2250%25\"", "a\"b",
                 "c\r\n\"d%20\"50%25");
    expect_names("name=\"\"", "", NULL);
    expect_names("name=\"never closed", "never closed", NULL);
    expect_names("xname=\"x\"; name=\"n\"", "n", NULL);
}

Test(multipart, boundaries_as_clients_write_them) {
    const char body[] = "--a b?\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n1\r\n--a b?--";
    cr_expect(parse("multipart/form-data; boundary=\"a b?\"; charset=utf-8", body), "%s", why);
    multipart_free(&m);
    cr_expect(parse("multipart/form-data; charset=utf-8; Boundary=\"a b?\"", body), "%s", why);
    multipart_free(&m);
}

Test(multipart, broken_bodies_are_refused) {
    const char part[] = "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n1";
    expect_refusal("multipart/form-data", part, "boundary");
    expect_refusal("multipart/form-data; boundary=", part, "boundary");
    expect_refusal("multipart/form-data; boundary=\"\"", part, "boundary");
    expect_refusal(TYPE, "", "does not occur");
    expect_refusal(TYPE, "hello", "does not occur");
    expect_refusal(TYPE, "--X", "does not occur");
    expect_refusal(TYPE, "--XX", "does not occur");
    expect_refusal(TYPE, "--XX\r\n", "headers do not end");
    expect_refusal(TYPE, "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n", "do not end");
    expect_refusal(TYPE, part, "last boundary is missing");
    expect_refusal(TYPE, "--XX\r\n\r\n1\r\n--XX--", "no Content-Disposition");
    expect_refusal(TYPE, "--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--",
                   "no Content-Disposition");
    expect_refusal(TYPE,
                   "--XX\r\nContent-Disposition: form-data; filename=\"f\"\r\n"
                   "Content-Disposition: form-data; name=\"n\"; filename=\"g\"\r\n\r\n1\r\n--XX--",
                   "no Content-Disposition");
#define DISPOSITION "Content-Disposition: form-data; name=\"n\""
    expect_refusal(TYPE, "--XX\n" DISPOSITION "\n\n1\n--XX--\n", "LF alone");
    expect_refusal(TYPE, "preamble\n--XX\n" DISPOSITION "\n\n1\n--XX--\n", "LF alone");
    expect_refusal(TYPE, "--XX\r\n" DISPOSITION "\n\n1\r\n--XX--\r\n", "LF alone");
    expect_refusal(TYPE, "--XX\r\n" DISPOSITION "\nX: y\r\n\r\n1\r\n--XX--\r\n", "LF alone");
    expect_refusal(TYPE, "--XX\r\n" DISPOSITION "\r\n\r\n1\n--XX--\n", "LF alone");
    expect_refusal(TYPE,
                   "--XX\r\nContent-Disposition: form-data;\r\n name=\"n\"\r\n\r\n1\r\n--XX--",
                   "folded");
    expect_refusal(
        TYPE, "--XX\r\n" DISPOSITION "\r\nContent-Transfer-Encoding: BASE64\r\n\r\nMQ==\r\n--XX--",
        "Content-Transfer-Encoding");
    expect_refusal(TYPE,
                   "--XX\r\n" DISPOSITION
                   "\r\nContent-Type: multipart/mixed; boundary=Y\r\n\r\n1\r\n--XX--",
                   "multipart itself");
    cr_expect(parse(TYPE, "--XX\r\n" DISPOSITION
                          "\r\nContent-Transfer-Encoding: binary\r\n\r\n1\r\n--XX--"),
              "%s", why);
    multipart_free(&m);
}

Test(multipart, every_cut_of_a_body_is_refused) {
    const char body[] = "--XX\r\nContent-Disposition: form-data; name=\"n\"; filename=\"f\"\r\n"
                        "Content-Type: image/png\r\n\r\nDATA\r\n--XX--";
    size_t size = sizeof body - 1;
    for (size_t cut = 0; cut < size; cut++)
        cr_expect_not(parse_bytes(TYPE, body, cut), "cut at %zu", cut);
    cr_expect(parse_bytes(TYPE, body, size));
    multipart_free(&m);
}

Test(multipart, limits) {
    size_t size = MULTIPART_MAX_HEADERS + 200;
    char *body = calloc(1, size + 1);
    size_t length = (size_t)sprintf(body, "--XX\r\nX: ");
    memset(body + length, 'x', size - length);
    strcpy(body + size - 20, "\r\n\r\n--XX--");
    expect_refusal(TYPE, body, "too long");
    free(body);

    char boundary[MULTIPART_MAX_BOUNDARY + 2] = "";
    memset(boundary, 'b', sizeof boundary - 1);
    char type[512];
    snprintf(type, sizeof type, "multipart/form-data; boundary=%s", boundary);
    expect_refusal(type, "--", "no usable boundary");

    const char part[] = "--XX\r\nContent-Disposition: form-data; name=n\r\n\r\n\r\n";
    char *many = calloc(MULTIPART_MAX_PARTS + 2, sizeof part);
    for (int i = 0; i < MULTIPART_MAX_PARTS; i++)
        memcpy(many + (size_t)i * (sizeof part - 1), part, sizeof part - 1);
    char *end = many + strlen(many);
    strcpy(end, "--XX--");
    cr_expect(parse(TYPE, many), "%s", why);
    cr_expect_eq(m.count, MULTIPART_MAX_PARTS);
    multipart_free(&m);
    strcpy(end, part);
    strcat(end, "--XX--");
    expect_refusal(TYPE, many, "too many parts");
    free(many);
}
