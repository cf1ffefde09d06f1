/*
 * image_text.c: see image_text.h.
 *
 * Data URLs are read as browsers do (https://fetch.spec.whatwg.org/#data-url-processor): the data
 * are percent-decoded whether or not they are base64, and broken escapes stand for themselves. In
 * one thing this reads more: a comma within quotes is part of a parameter, as RFC 2397 has it.
 */
#include "json/image_text.h"

#include "common/array.h"
#include "common/percent.h"
#include "json/base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LONGEST_NAME 1024 /* of a file; pictures take more characters */

static bool begins_with(const char *text, size_t size, const char *prefix) {
    size_t length = strlen(prefix);
    return size >= length && strncasecmp(text, prefix, length) == 0;
}

static bool ends_with(const char *text, size_t size, const char *suffix) {
    size_t length = strlen(suffix);
    return size >= length && strncasecmp(text + size - length, suffix, length) == 0;
}

static size_t skip_blanks(const char *text, size_t size) {
    size_t i = 0;
    while (i < size && strchr(" \t\r\n\f", text[i]) && text[i])
        i++;
    return i;
}

/* ---- what is no picture ------------------------------------------------------------------- */

bool image_text_is_url(const char *text, size_t size) {
    static const char *const opaque[] = {"blob:", "file:", "cid:", "//", "www."};
    size_t blanks = skip_blanks(text, size), scheme = 0;
    text += blanks;
    size -= blanks;
    for (size_t i = 0; i < ARRAY_LENGTH(opaque); i++)
        if (begins_with(text, size, opaque[i])) return true;
    while (scheme < size && scheme < 32 && text[scheme] != ':')
        scheme++;
    return scheme >= 2 && begins_with(text + scheme, size - scheme, "://");
}

static bool is_file_name(const char *text, size_t size) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png",  ".webp", ".gif",
                                          ".bmp", ".tif",  ".tiff", ".heic", ".avif"};
    for (size_t i = 0; size <= LONGEST_NAME && i < ARRAY_LENGTH(endings); i++)
        if (ends_with(text, size, endings[i])) return true;
    return false;
}

bool image_text_is_base64(const char *text, size_t size) {
    /* JPEG (also with its first slash escaped), PNG, WebP, GIF. */
    static const char *const magic[] = {"/9j/", "_9j_", "%2F9j", "iVBORw0KG", "UklGR", "R0lGOD"};
    for (size_t i = 0; i < ARRAY_LENGTH(magic); i++)
        if (begins_with(text, size, magic[i])) return true;
    return false;
}

/* ---- decoding ----------------------------------------------------------------------------- */

/* Decodes in place; returns the size. */
static size_t decode_percents(char *text, size_t size) {
    char *from = memchr(text, '%', size), *to = from, *end = text + size;
    if (!from) return size;
    while (from < end) {
        int high = *from == '%' && end - from > 2 ? percent_digit(from[1]) : -1;
        int low = high < 0 ? -1 : percent_digit(from[2]);
        *to++ = low < 0 ? *from : (char)(high << 4 | low);
        from += low < 0 ? 1 : 3;
    }
    return (size_t)(to - text);
}

/* The comma between the head of a data URL and its data; NULL if there is none. */
static const char *find_comma(const char *head, size_t size) {
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (head[i] == '"') quoted = !quoted;
        if (head[i] == ',' && !quoted) return head + i;
    }
    return memchr(head, ',', size); /* a quote that is never closed is none */
}

/* "image/png;base64" */
static bool says_base64(const char *head, size_t size) {
    while (size > 0 && head[size - 1] == ' ')
        size--;
    if (!ends_with(head, size, "base64")) return false;
    size -= strlen("base64");
    while (size > 0 && head[size - 1] == ' ')
        size--;
    return size > 0 && head[size - 1] == ';';
}

static void explain_bad(const char *text, size_t size, size_t at, char *why, size_t why_size) {
    if (image_text_is_url(text, size))
        snprintf(why, why_size, "is a URL: " IMAGE_TEXT_NO_URLS);
    else if (is_file_name(text, size))
        snprintf(why, why_size, "is the name of a file: send its bytes in base64");
    else
        snprintf(why, why_size, "is no base64: it breaks off at character %zu", at);
}

/* Where the data begin, *length of them; *base64 is whether they are. NULL: a data URL without any.
 * A URL's fragment is no part of them. */
static const char *find_data(const char *text, size_t size, size_t *length, bool *base64) {
    size_t blanks = skip_blanks(text, size);
    const char *head = text + blanks, *end = text + size;
    *base64 = true;
    *length = size;
    if (!begins_with(head, size - blanks, "data:")) return text;
    const char *comma = find_comma(head, size - blanks);
    if (!comma) return NULL;
    const char *fragment = memchr(comma, '#', (size_t)(end - comma));
    *base64 = says_base64(head, (size_t)(comma - head));
    *length = (size_t)((fragment ? fragment : end) - comma - 1);
    return comma + 1;
}

/* A copy without percent escapes, with room for base64_decode; NULL: no memory. */
static char *copy_data(const char *data, size_t *size) {
    char *copy = malloc(*size + base64_decoded_max(0));
    if (!copy) return NULL;
    memcpy(copy, data, *size);
    *size = decode_percents(copy, *size);
    return copy;
}

image_text_code image_text_decode(const char *text, size_t size, void **bytes, size_t *out_size,
                                  char *why, size_t why_size) {
    bool base64;
    size_t length, decoded, at = 0;
    const char *data = find_data(text, size, &length, &base64);
    if (!data) {
        snprintf(why, why_size, "is a data URL without a comma before its data");
        return IMAGE_TEXT_BAD;
    }
    char *copy = copy_data(data, &length);
    if (!copy) return IMAGE_TEXT_NO_MEMORY;
    bool good = !base64 || base64_decode(copy, length, copy, &decoded, &at);
    if (!base64) decoded = length;
    if (good && decoded > 0) {
        *bytes = copy;
        *out_size = decoded;
        return IMAGE_TEXT_OK;
    }
    free(copy);
    if (good)
        snprintf(why, why_size, "is empty");
    else
        explain_bad(text, size, at, why, why_size);
    return IMAGE_TEXT_BAD;
}
