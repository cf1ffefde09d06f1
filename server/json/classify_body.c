/*
 * classify_body.c: see classify_body.h.
 *
 * Each key has a reader that checks the type of its value, so that the table of readers is also the
 * list of known keys. Images are decoded into memory of their own and the document is freed: after
 * parsing, a request holds its pictures once, not also as text.
 *
 * jansson makes a hundred bytes and more of each value, though "{}," may be all there is of it, so
 * values are counted before it sees the text.
 */
#include "json/classify_body.h"

#include "common/array.h"
#include "common/names.h"
#include "json/image_text.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Values in a document: an image may be an object of two; the rest is for parameters. */
#define VALUES_PER_IMAGE 3
#define OTHER_VALUES     1000

typedef struct reader {
    classify_body body;
    size_t max_images;
    char *message;
    size_t message_size;
} reader;

typedef struct key_def {
    const char *name;
    classify_body_code (*read)(reader *r, const json_t *value);
} key_def;

__attribute__((format(printf, 2, 3))) static classify_body_code bad(reader *r, const char *format,
                                                                    ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(r->message, r->message_size, format, args);
    va_end(args);
    return CLASSIFY_BODY_BAD;
}

/* "a string", for messages. */
static const char *kind_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a fraction";
    case JSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

static classify_body_code wrong_type(reader *r, const char *key, const char *expected,
                                     const json_t *value) {
    return bad(r, "\"%s\" has to be %s, not %s", key, expected, kind_of(value));
}

static const char *key_at(const void *list, size_t index) {
    return ((const key_def *)list)[index].name;
}

/* ---- images ------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static classify_body_code spoil(classify_body_image *image,
                                                                      const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vasprintf(&image->problem, format, args);
    va_end(args);
    free(image->bytes);
    image->bytes = NULL;
    image->size = 0;
    if (length < 0) image->problem = NULL;
    return image->problem ? CLASSIFY_BODY_OK : CLASSIFY_BODY_NO_MEMORY;
}

static classify_body_code decode_image(classify_body_image *image, size_t index,
                                       const json_t *value) {
    char why[200];
    switch (image_text_decode(json_string_value(value), json_string_length(value), &image->bytes,
                              &image->size, why, sizeof why)) {
    case IMAGE_TEXT_OK:
        return CLASSIFY_BODY_OK;
    case IMAGE_TEXT_BAD:
        return spoil(image, "\"images\"[%zu] %s", index, why);
    default:
        return CLASSIFY_BODY_NO_MEMORY;
    }
}

/* Keys under which other services take the address of a picture. */
static bool means_url(const char *key) {
    static const char *const names[] = {"url", "urls", "uri", "href", "src", "link", "image_url"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcasecmp(key, names[i]) == 0) return true;
    return false;
}

/* {"b64": "...", "name": "..."} */
static classify_body_code read_image_object(reader *r, classify_body_image *image, size_t index,
                                            const json_t *object) {
    static const char *const keys[] = {"b64", "name"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        char near[200];
        if (means_url(key))
            return bad(r, "\"images\"[%zu].\"%s\": " IMAGE_TEXT_NO_URLS, index, key);
        if (strcmp(key, "b64") != 0 && strcmp(key, "name") != 0)
            return bad(r, "\"images\"[%zu] has an unknown key '%.64s'%s", index, key,
                       names_suggest(key, keys, 2, name_at_array, near, sizeof near));
        if (!json_is_string(value))
            return bad(r, "\"images\"[%zu].\"%s\" has to be a string, not %s", index, key,
                       kind_of(value));
    }
    const json_t *name = json_object_get(object, "name"), *b64 = json_object_get(object, "b64");
    if (!b64) return bad(r, "\"images\"[%zu] has no \"b64\"", index);
    if (name && !(image->name = strdup(json_string_value(name)))) return CLASSIFY_BODY_NO_MEMORY;
    return decode_image(image, index, b64);
}

static classify_body_code read_images(reader *r, const json_t *value) {
    size_t count = json_array_size(value);
    if (!json_is_array(value)) return wrong_type(r, "images", "an array", value);
    if (count > r->max_images) {
        bad(r, "the request holds %zu images, the limit is %zu", count, r->max_images);
        return CLASSIFY_BODY_TOO_MANY;
    }
    r->body.images = calloc(count ? count : 1, sizeof *r->body.images);
    if (!r->body.images) return CLASSIFY_BODY_NO_MEMORY;
    classify_body_code code = CLASSIFY_BODY_OK;
    for (size_t i = 0; i < count && code == CLASSIFY_BODY_OK; i++) {
        const json_t *item = json_array_get(value, i);
        classify_body_image *image = &r->body.images[r->body.image_count++];
        if (json_is_string(item))
            code = decode_image(image, i, item);
        else if (json_is_object(item))
            code = read_image_object(r, image, i, item);
        else
            code =
                bad(r, "\"images\"[%zu] has to be a string or an object, not %s", i, kind_of(item));
    }
    return code;
}

/* ---- parameters --------------------------------------------------------------------------- */

static classify_body_code read_integer(reader *r, const char *key, const json_t *value, bool *has,
                                       int64_t *out) {
    if (!json_is_integer(value)) return wrong_type(r, key, "an integer", value);
    *has = true;
    *out = json_integer_value(value);
    return CLASSIFY_BODY_OK;
}

static classify_body_code read_string(reader *r, const char *key, const json_t *value, char **out) {
    if (!json_is_string(value)) return wrong_type(r, key, "a string", value);
    *out = strdup(json_string_value(value));
    return *out ? CLASSIFY_BODY_OK : CLASSIFY_BODY_NO_MEMORY;
}

static classify_body_code read_top(reader *r, const json_t *value) {
    return read_integer(r, "top", value, &r->body.has_top, &r->body.top);
}

static classify_body_code read_explain(reader *r, const json_t *value) {
    return read_string(r, "explain", value, &r->body.explain);
}

static classify_body_code read_explain_class(reader *r, const json_t *value) {
    return read_integer(r, "explain_class", value, &r->body.has_explain_class,
                        &r->body.explain_class);
}

static classify_body_code add_feature(reader *r, const json_t *value) {
    if (!json_is_string(value))
        return wrong_type(r, "features", "an array of strings, or a string", value);
    char *copy = strdup(json_string_value(value));
    if (!copy) return CLASSIFY_BODY_NO_MEMORY;
    r->body.features[r->body.feature_count++] = copy;
    return CLASSIFY_BODY_OK;
}

static classify_body_code read_features(reader *r, const json_t *value) {
    bool array = json_is_array(value);
    size_t count = array ? json_array_size(value) : 1;
    r->body.features = calloc(count ? count : 1, sizeof *r->body.features);
    if (!r->body.features) return CLASSIFY_BODY_NO_MEMORY;
    classify_body_code code = CLASSIFY_BODY_OK;
    for (size_t i = 0; i < count && code == CLASSIFY_BODY_OK; i++)
        code = add_feature(r, array ? json_array_get(value, i) : value);
    return code;
}

static classify_body_code read_feature_format(reader *r, const json_t *value) {
    return read_string(r, "feature_format", value, &r->body.feature_format);
}

/* 0 and 1 are taken too, as they are in a query. */
static classify_body_code read_timings(reader *r, const json_t *value) {
    json_int_t number = json_integer_value(value);
    bool numeric = json_is_integer(value) && (number == 0 || number == 1);
    if (!json_is_boolean(value) && !numeric) return wrong_type(r, "timings", "a boolean", value);
    r->body.has_timings = true;
    r->body.timings = json_is_true(value) || number == 1;
    return CLASSIFY_BODY_OK;
}

static const key_def keys[] = {
    {"images", read_images},
    {"top", read_top},
    {"features", read_features},
    {"feature_format", read_feature_format},
    {"timings", read_timings},
    {"explain", read_explain},
    {"explain_class", read_explain_class},
};

static classify_body_code read_key(reader *r, const char *key, const json_t *value) {
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (strcmp(keys[i].name, key) == 0) return keys[i].read(r, value);
    if (means_url(key)) return bad(r, "\"%s\": " IMAGE_TEXT_NO_URLS, key);
    char near[300];
    return bad(r, "the request has an unknown key '%.64s'%s", key,
               names_suggest(key, keys, ARRAY_LENGTH(keys), key_at, near, sizeof near));
}

static classify_body_code read_document(reader *r, const json_t *root) {
    const char *key;
    json_t *value;
    if (!json_is_object(root))
        return bad(r, "the request has to be a JSON object, not %s", kind_of(root));
    json_object_foreach((json_t *)root, key, value) {
        classify_body_code code = read_key(r, key, value);
        if (code != CLASSIFY_BODY_OK) return code;
    }
    return CLASSIFY_BODY_OK;
}

/* Behind the string whose opening quote is at `quote`; `end` if it is not closed. */
static const char *skip_string(const char *quote, const char *end) {
    while ((quote = memchr(quote + 1, '"', (size_t)(end - quote - 1)))) {
        const char *escapes = quote;
        while (escapes[-1] == '\\')
            escapes--;
        if ((quote - escapes) % 2 == 0) return quote + 1;
    }
    return end;
}

/* Every value but the first one follows a bracket or a comma. */
static bool has_more_values(const char *text, size_t size, size_t limit) {
    size_t values = 1;
    for (const char *p = text, *end = text + size; p < end && values <= limit;) {
        values += *p == '[' || *p == '{' || *p == ',';
        p = *p == '"' ? skip_string(p, end) : p + 1;
    }
    return values > limit;
}

/* Of a document, the first character is one of ASCII (RFC 8259). */
static bool has_wide_characters(const char *text, size_t size) {
    static const char orders[][2] = {{'\xfe', '\xff'}, {'\xff', '\xfe'}};
    if (size < 2) return false;
    return memcmp(text, orders[0], 2) == 0 || memcmp(text, orders[1], 2) == 0 || !text[0] ||
           !text[1];
}

/* Behind a byte order mark, which section 8.1 allows to be ignored. */
static size_t skip_mark(const char *text, size_t size) {
    return size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

classify_body_code classify_body_parse(const char *text, size_t size, size_t max_images,
                                       classify_body *out, char *message, size_t message_size) {
    reader r = {.max_images = max_images, .message = message, .message_size = message_size};
    if (has_wide_characters(text, size))
        return bad(&r, "the request is JSON in UTF-16 or UTF-32, or none: send it in UTF-8");
    size_t mark = skip_mark(text, size);
    text += mark;
    size -= mark;
    size_t max_values = OTHER_VALUES + VALUES_PER_IMAGE * max_images;
    if (has_more_values(text, size, max_values)) {
        bad(&r, "the request holds more than %zu JSON values", max_values);
        return CLASSIFY_BODY_TOO_MANY;
    }
    json_error_t error;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    classify_body_code code = root
                                  ? read_document(&r, root)
                                  : bad(&r, "the request is no valid JSON: %s (line %d, column %d)",
                                        error.text, error.line, error.column);
    json_decref(root);
    if (code == CLASSIFY_BODY_OK)
        *out = r.body;
    else
        classify_body_free(&r.body);
    return code;
}

void classify_body_free(classify_body *body) {
    for (size_t i = 0; i < body->image_count; i++) {
        free(body->images[i].name);
        free(body->images[i].problem);
        free(body->images[i].bytes);
    }
    for (size_t i = 0; i < body->feature_count; i++)
        free(body->features[i]);
    free(body->images);
    free((void *)body->features);
    free(body->feature_format);
    free(body->explain);
    *body = (classify_body){0};
}
