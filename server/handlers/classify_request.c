/*
 * classify_request.c: see classify_request.h.
 *
 * Parameters come from the query, from text parts of a form, or from a JSON document; wherever they
 * come from, the same setters check them, and each may be given once. What is not known is refused
 * with the nearest known name: a mistyped parameter that had no effect would be worse.
 */
#include "handlers/classify_request.h"

#include "common/array.h"
#include "common/names.h"
#include "json/image_text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

__attribute__((format(printf, 4, 5))) static bool
refuse(classify_refusal *why, int status, const char *code, const char *format, ...) {
    va_list args;
    why->status = status;
    why->code = code;
    va_start(args, format);
    vsnprintf(why->message, sizeof why->message, format, args);
    va_end(args);
    return false;
}

static bool refuse_memory(classify_refusal *why) {
    return refuse(why, 500, "internal", "there is no memory left for the request");
}

static bool refuse_count(classify_refusal *why, size_t count, size_t max_images) {
    return refuse(why, 413, "payload_too_large", "the request holds %zu images, the limit is %zu",
                  count, max_images);
}

/* ---- parameters --------------------------------------------------------------------------- */

typedef enum parameter { TOP, FEATURES, FEATURE_FORMAT, TIMINGS, EXPLAIN, EXPLAIN_CLASS } parameter;

static const char *const parameter_names[CLASSIFY_PARAMETERS] = {
    "top", "features", "feature_format", "timings", "explain", "explain_class"};

static bool mark_given(classify_request *r, parameter p, classify_refusal *why) {
    if (r->given[p])
        return refuse(why, 400, "bad_request", "the parameter '%s' is given twice",
                      parameter_names[p]);
    r->given[p] = true;
    return true;
}

static bool set_top(classify_request *r, int64_t top, classify_refusal *why) {
    if (top < 0 || top > CLASSIFY_MAX_TOP)
        return refuse(why, 400, "bad_request", "'top' has to be a whole number from 0 to %d",
                      CLASSIFY_MAX_TOP);
    r->top = (size_t)top;
    return true;
}

/* Numbers of more than nine digits are INT64_MAX. */
static bool read_whole_number(parameter p, const char *text, int64_t *out, classify_refusal *why) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits])
        return refuse(why, 400, "bad_request",
                      "'%s' has to be a whole number, 0 or greater, not '%.64s'",
                      parameter_names[p], text);
    *out = digits > 9 ? INT64_MAX : strtoll(text, NULL, 10);
    return true;
}

static bool set_top_text(classify_request *r, const char *text, classify_refusal *why) {
    int64_t top = -1;
    return read_whole_number(TOP, text, &top, why) && set_top(r, top, why);
}

static bool set_features_text(classify_request *r, const char *text, classify_refusal *why) {
    assert(!r->features); /* it has been given once */
    r->features = calloc(1, sizeof *r->features);
    if (!r->features || !(r->features[0] = strdup(text))) return refuse_memory(why);
    r->feature_count = 1;
    return true;
}

static bool set_format(classify_request *r, const char *text, classify_refusal *why) {
    const feature_format *format = feature_format_find(text);
    if (!format)
        return refuse(why, 400, "bad_request",
                      "'feature_format' has to be one of " FEATURE_FORMATS ", not '%.64s'", text);
    r->format = format;
    return true;
}

static bool set_timings_text(classify_request *r, const char *text, classify_refusal *why) {
    bool on = strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
    if (!on && strcmp(text, "0") != 0 && strcmp(text, "false") != 0)
        return refuse(why, 400, "bad_request", "'timings' has to be 0 or 1, not '%.64s'", text);
    r->timings = on;
    return true;
}

static bool set_explain(classify_request *r, const char *text, classify_refusal *why) {
    if (strcmp(text, "cam") != 0)
        return refuse(why, 400, "bad_request", "'explain' has to be cam, not '%.64s'", text);
    r->explain = true;
    return true;
}

static bool set_explain_class(classify_request *r, int64_t index, classify_refusal *why) {
    if (index < 0)
        return refuse(why, 400, "bad_request",
                      "'explain_class' has to be a whole number, 0 or greater");
    r->explained_class = (size_t)index;
    return true;
}

static bool set_explain_class_text(classify_request *r, const char *text, classify_refusal *why) {
    int64_t index = -1;
    return read_whole_number(EXPLAIN_CLASS, text, &index, why) && set_explain_class(r, index, why);
}

static bool find_parameter(const char *name, parameter *out) {
    for (size_t p = 0; p < ARRAY_LENGTH(parameter_names); p++)
        if (strcmp(parameter_names[p], name) == 0) {
            *out = (parameter)p;
            return true;
        }
    return false;
}

/* `what` says what the name is not. */
static bool refuse_unknown(const char *name, const char *what, classify_refusal *why) {
    char near[300];
    names_suggest(name, parameter_names, ARRAY_LENGTH(parameter_names), name_at_array, near,
                  sizeof near);
    return refuse(why, 400, "bad_request", "'%.64s' is %s%s", name, what, near);
}

static bool set_parameter(classify_request *r, parameter p, const char *text,
                          classify_refusal *why) {
    static bool (*const setters[])(classify_request *, const char *, classify_refusal *) = {
        set_top_text,     set_features_text, set_format,
        set_timings_text, set_explain,       set_explain_class_text};
    return mark_given(r, p, why) && setters[p](r, text, why);
}

static bool read_query(classify_request *r, const http_target *target, classify_refusal *why) {
    for (size_t i = 0; i < target->query_count; i++) {
        const http_pair *pair = &target->query[i];
        parameter p;
        if (!find_parameter(pair->name, &p)) return refuse_unknown(pair->name, "no parameter", why);
        if (!set_parameter(r, p, pair->value, why)) return false;
    }
    return true;
}

/* ---- bodies ------------------------------------------------------------------------------- */

static bool allocate_images(classify_request *r, size_t count, classify_refusal *why) {
    r->images = calloc(count, sizeof *r->images);
    return r->images || refuse_memory(why);
}

/* "name=value": how HTML forms are sent without enctype, and by curl -d. */
static const char *find_form_value(const char *text, size_t size) {
    static const char name[] =
        "-_.[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t length = 0;
    while (length < size && length <= 64 && text[length] && strchr(name, text[length]))
        length++;
    return length > 0 && length < size && text[length] == '=' ? text + length + 1 : NULL;
}

static bool is_form_data(const char *text, size_t size) {
    static const char disposition[] = "Content-Disposition:";
    return size > 2 && memcmp(text, "--", 2) == 0 &&
           memmem(text, size < 1024 ? size : 1024, disposition, sizeof disposition - 1);
}

#define AS_IMAGE                                                                                   \
    "send the picture's bytes as they are (curl --data-binary @FILE) or as a form (curl -F "       \
    "image=@FILE)"
#define AS_BASE64 AS_IMAGE ", or in JSON with the header Content-Type: application/json"

/* What a body is that is text in place of a picture, and what to do; NULL: nothing known. */
static const char *explain_text(const char *text, size_t size) {
    while (size > 0 && strchr("\xef\xbb\xbf \t\r\n", *text) && *text) {
        text++;
        size--;
    }
    if (size == 0) return "the body is empty but for white space: send an image";
    if (*text == '{' || *text == '[')
        return "the body is no image but begins like JSON, which needs the header "
               "Content-Type: application/json";
    if (is_form_data(text, size))
        return "the body is no image but begins like a form, which needs the header Content-Type: "
               "multipart/form-data with its boundary; clients set it if they are left to";
    if (size >= 5 && strncasecmp(text, "data:", 5) == 0)
        return "the body is a data URL, not an image: " AS_BASE64;
    if (image_text_is_url(text, size)) return IMAGE_TEXT_NO_URLS;
    if (image_text_is_base64(text, size)) return "the body is base64, not an image: " AS_BASE64;
    const char *value = find_form_value(text, size);
    if (!value) return NULL;
    return image_text_is_base64(value, size - (size_t)(value - text))
               ? "the body is base64 in an urlencoded form, not an image: " AS_BASE64
               : "the body is an urlencoded form, not an image: " AS_IMAGE;
}

static bool read_raw(classify_request *r, const http_request *request, classify_refusal *why) {
    const char *text = explain_text(request->body, request->body_size);
    if (text) return refuse(why, 415, "unsupported_media_type", "%s", text);
    if (!allocate_images(r, 1, why)) return false;
    r->images[r->image_count++] =
        (classify_image){.bytes = request->body, .size = request->body_size};
    return true;
}

/* A part that is a picture, whether or not the client has named a file. */
static bool is_image_part(const multipart_part *part) {
    return part->filename ||
           (part->content_type && strncasecmp(part->content_type, "image/", 6) == 0);
}

/* What browsers send for a file field in which no file was chosen. */
static bool is_empty_choice(const multipart_part *part) {
    return part->size == 0 && part->filename && !*part->filename;
}

static bool read_text_part(classify_request *r, const multipart_part *part, classify_refusal *why) {
    parameter p;
    if (!find_parameter(part->name, &p))
        return refuse_unknown(part->name, "neither a file (-F image=@FILE) nor a parameter", why);
    char *text = malloc(part->size + 1); /* a body has no NUL at its end */
    if (!text) return refuse_memory(why);
    memcpy(text, part->data, part->size);
    text[part->size] = '\0';
    bool good =
        strlen(text) == part->size
            ? set_parameter(r, p, text, why)
            : refuse(why, 400, "bad_request", "the form field '%.64s' is no text", part->name);
    free(text);
    return good;
}

static bool read_form(classify_request *r, const http_request *request, size_t max_images,
                      classify_refusal *why) {
    const char *problem;
    if (!multipart_parse(http_request_header(request, "Content-Type"), request->body,
                         request->body_size, &r->form, &problem))
        return refuse(why, 400, "bad_request", "%s", problem);
    if (!allocate_images(r, r->form.count + 1, why)) return false;
    for (size_t i = 0; i < r->form.count; i++) {
        const multipart_part *part = &r->form.parts[i];
        if (is_empty_choice(part)) continue;
        if (is_image_part(part))
            r->images[r->image_count++] = (classify_image){part->filename, part->data, part->size,
                                                           part->size ? NULL : "the file is empty"};
        else if (!read_text_part(r, part, why))
            return false;
    }
    if (r->image_count == 0)
        return refuse(why, 400, "bad_request",
                      "the form holds no file: send one as -F image=@FILE");
    return r->image_count <= max_images || refuse_count(why, r->image_count, max_images);
}

/* Moves what the document says about parameters into `r`. */
static bool take_parameters(classify_request *r, classify_body *document, classify_refusal *why) {
    if (document->has_top && !(mark_given(r, TOP, why) && set_top(r, document->top, why)))
        return false;
    if (document->feature_format &&
        !(mark_given(r, FEATURE_FORMAT, why) && set_format(r, document->feature_format, why)))
        return false;
    if (document->explain &&
        !(mark_given(r, EXPLAIN, why) && set_explain(r, document->explain, why)))
        return false;
    if (document->has_explain_class &&
        !(mark_given(r, EXPLAIN_CLASS, why) && set_explain_class(r, document->explain_class, why)))
        return false;
    if (document->has_timings) {
        if (!mark_given(r, TIMINGS, why)) return false;
        r->timings = document->timings;
    }
    if (document->features) {
        if (!mark_given(r, FEATURES, why)) return false;
        r->features = document->features;
        r->feature_count = document->feature_count;
        document->features = NULL;
        document->feature_count = 0;
    }
    return true;
}

/* What a body is that its Content-Type calls JSON; NULL: perhaps that. */
static const char *explain_no_json(const char *text, size_t size) {
    static const char *const pictures[] = {"\xff\xd8\xff", "\x89PNG", "RIFF", "GIF8"};
    if (is_form_data(text, size))
        return "the Content-Type says JSON, but the body begins like a form: leave the header to "
               "the client, which knows the boundary";
    for (size_t i = 0; i < ARRAY_LENGTH(pictures); i++)
        if (size > 4 && memcmp(text, pictures[i], strlen(pictures[i])) == 0)
            return "the Content-Type says JSON, but the body is a picture: send it with its own "
                   "Content-Type, or its base64 as {\"images\": [\"...\"]}";
    return NULL;
}

static bool read_document(classify_request *r, const http_request *request, size_t max_images,
                          classify_refusal *why) {
    classify_body *document = &r->document;
    const char *other = explain_no_json(request->body, request->body_size);
    if (other) return refuse(why, 400, "bad_request", "%s", other);
    switch (classify_body_parse(request->body, request->body_size, max_images, document,
                                why->message, sizeof why->message)) {
    case CLASSIFY_BODY_OK:
        break;
    case CLASSIFY_BODY_BAD:
        why->status = 400;
        why->code = "bad_request";
        return false;
    case CLASSIFY_BODY_TOO_MANY:
        why->status = 413;
        why->code = "payload_too_large";
        return false;
    case CLASSIFY_BODY_NO_MEMORY:
        return refuse_memory(why);
    }
    if (document->image_count == 0)
        return refuse(why, 400, "bad_request",
                      document->images ? "\"images\" is empty: it has to hold at least one picture"
                                       : "the request holds no \"images\"");
    if (!take_parameters(r, document, why) || !allocate_images(r, document->image_count, why))
        return false;
    for (size_t i = 0; i < document->image_count; i++) {
        const classify_body_image *sent = &document->images[i];
        r->images[r->image_count++] =
            (classify_image){sent->name, sent->bytes, sent->size, sent->problem};
    }
    return true;
}

static bool read_body(classify_request *r, const http_request *request, size_t max_images,
                      classify_refusal *why) {
    const char *type = http_request_header(request, "Content-Type");
    if (request->body_size == 0)
        return refuse(why, 400, "bad_request", "the body is empty: send an image");
    if (media_type_is(type, "multipart/form-data")) return read_form(r, request, max_images, why);
    if (type && strncasecmp(type, "multipart/", 10) == 0)
        return refuse(why, 415, "unsupported_media_type",
                      "%.64s is not taken: send multipart/form-data (curl -F image=@FILE)", type);
    if (media_type_is(type, "application/json")) return read_document(r, request, max_images, why);
    return read_raw(r, request, why);
}

static bool check_explain(const classify_request *r, classify_refusal *why) {
    if (r->explain || r->explained_class == MODEL_BEST_CLASS) return true;
    return refuse(why, 400, "bad_request", "'explain_class' needs explain=cam");
}

bool classify_request_read(const http_request *request, size_t max_images, classify_request *out,
                           classify_refusal *why) {
    classify_request r = {.top = CLASSIFY_DEFAULT_TOP,
                          .explained_class = MODEL_BEST_CLASS,
                          .format = feature_format_find(FEATURE_FORMAT_DEFAULT)};
    bool read = read_query(&r, &request->target, why) && read_body(&r, request, max_images, why) &&
                check_explain(&r, why);
    if (read)
        *out = r;
    else
        classify_request_free(&r);
    return read;
}

void classify_request_free(classify_request *r) {
    for (size_t i = 0; i < r->feature_count; i++)
        free(r->features[i]);
    free((void *)r->features);
    free(r->images);
    multipart_free(&r->form);
    classify_body_free(&r->document);
    *r = (classify_request){0};
}
