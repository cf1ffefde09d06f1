/*
 * multipart.c: see multipart.h.
 *
 * Parts point into the body, so that a large picture is neither copied nor scanned byte by byte:
 * the delimiter is looked for with memmem. libmicrohttpd's own post processor is not used because
 * it needs a live connection (here bodies are read by workers, and by tests without a socket),
 * takes whatever follows "boundary=" for the boundary, and knows neither filename* nor escaped
 * quotes.
 *
 * Lines end in CR LF, as the standard says; folded headers, nested multipart/mixed and transfer
 * encodings, which RFC 7578 and its predecessors have abolished, are refused by their names.
 */
#include "http/multipart.h"

#include "common/percent.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BROKEN  "the multipart body is broken: "
#define BARE_LF BROKEN "its lines end in LF alone, and have to end in CR LF"

static const char no_memory[] = "there is no memory left";

bool media_type_is(const char *content_type, const char *type) {
    if (!content_type) return false;
    content_type += strspn(content_type, " \t");
    size_t length = strlen(type);
    if (strncasecmp(content_type, type, length) != 0) return false;
    char next = content_type[length];
    return next == '\0' || next == ';' || next == ' ' || next == '\t';
}

/* Not strndup, which may look for a NUL, and a body has none. */
static char *copy_text(const char *text, size_t length) {
    char *copy = malloc(length + 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

/* ---- parameters of a header: ; name=value; name="value" ----------------------------------- */

/* Copies a token or a quoted string from *p on, which then stands behind it. In a quoted string a
 * backslash escapes a quote or a backslash only: some clients send file paths as they are. */
static char *read_value(const char **p) {
    const char *s = *p;
    if (*s != '"') {
        size_t length = strcspn(s, "; \t");
        *p = s + length;
        return copy_text(s, length);
    }
    char *value = malloc(strlen(s)), *to = value;
    if (!value) return NULL;
    for (s++; *s && *s != '"'; s++) {
        if (*s == '\\' && (s[1] == '"' || s[1] == '\\')) s++;
        *to++ = *s;
    }
    *to = '\0';
    *p = *s ? s + 1 : s;
    return value;
}

/* The value of one parameter of a header, to be freed; NULL if there is none (or no memory). */
static char *find_parameter(const char *header, const char *name) {
    size_t length = strlen(name);
    const char *p = header + strcspn(header, ";");
    while (*p) {
        p += strspn(p, "; \t");
        size_t name_length = strcspn(p, "=;");
        bool found = name_length == length && strncasecmp(p, name, length) == 0;
        p += name_length;
        if (*p != '=') continue;
        p++;
        char *value = read_value(&p);
        if (found || !value) return value;
        free(value);
        p += strcspn(p, ";");
    }
    return NULL;
}

/* A copy in UTF-8 of a text in Latin-1. */
static char *from_latin1(const char *text) {
    char *copy = malloc(2 * strlen(text) + 1), *to = copy;
    if (!copy) return NULL;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p >= 0x80) *to++ = (char)(0xc0 | *p >> 6);
        *to++ = (char)(*p >= 0x80 ? 0x80 | (*p & 0x3f) : *p);
    }
    *to = '\0';
    return copy;
}

/* UTF-8''na%C3%AFve.png or iso-8859-1'en'na%EFve.png (RFC 8187); a broken escape is left as it is.
 * Takes `value`; NULL: no memory. */
static char *decode_extended(char *value) {
    char *quote = strchr(value, '\'');
    quote = quote ? strchr(quote + 1, '\'') : NULL;
    bool latin1 = quote && strncasecmp(value, "iso-8859-1'", 11) == 0;
    const char *from = quote ? quote + 1 : value;
    char *to = value;
    for (; *from; from++) {
        int byte = *from == '%' ? percent_byte(from + 1) : -1;
        *to++ = byte < 0 ? *from : (char)byte;
        if (byte >= 0) from += 2;
    }
    *to = '\0';
    if (!latin1) return value;
    char *copy = from_latin1(value);
    free(value);
    return copy;
}

/* Decodes in place what browsers escape in names
 * (https://html.spec.whatwg.org/#multipart-form-data): quotes and line breaks, nothing else. */
static void decode_browser_escapes(char *value) {
    if (!value) return;
    char *to = value;
    for (const char *from = value; *from; from++) {
        int byte = *from == '%' ? percent_byte(from + 1) : -1;
        bool escaped = byte == '"' || byte == '\r' || byte == '\n';
        *to++ = escaped ? (char)byte : *from;
        if (escaped) from += 2;
    }
    *to = '\0';
}

/* ---- headers of a part -------------------------------------------------------------------- */

static void read_disposition(multipart_part *part, const char *value) {
    char *extended = find_parameter(value, "filename*");
    if (extended) extended = decode_extended(extended);
    part->name = find_parameter(value, "name");
    part->filename = extended ? extended : find_parameter(value, "filename");
    decode_browser_escapes(part->name);
    if (!extended) decode_browser_escapes(part->filename);
}

/* Of an encoding that leaves the bytes as they are. */
static bool is_identity(const char *encoding) {
    return media_type_is(encoding, "binary") || media_type_is(encoding, "8bit") ||
           media_type_is(encoding, "7bit");
}

/* The value of a header line of that name; NULL if it has another. */
static const char *header_value(const char *line, const char *name) {
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':') return NULL;
    return line + length + 1 + strspn(line + length + 1, " \t");
}

/* NULL, or what is wrong. */
static const char *read_header(multipart_part *part, const char *line, size_t length) {
    if (*line == ' ' || *line == '\t')
        return BROKEN "a part's header is folded; send it on one line";
    if (memchr(line, '\n', length)) return BARE_LF;
    char *copy = copy_text(line, length);
    if (!copy) return no_memory;
    const char *disposition = header_value(copy, "Content-Disposition");
    const char *type = header_value(copy, "Content-Type");
    const char *encoding = header_value(copy, "Content-Transfer-Encoding"), *why = NULL;
    if (disposition && !part->name && !part->filename) {
        read_disposition(part, disposition);
    } else if (type && strncasecmp(type, "multipart/", 10) == 0) {
        why = "a part of the form is multipart itself (multipart/mixed), which is not looked into: "
              "send each file as a part of its own";
    } else if (type && !part->content_type) {
        part->content_type = strdup(type);
        if (!part->content_type) why = no_memory;
    } else if (encoding && !is_identity(encoding)) {
        why =
            "a part of the form has a Content-Transfer-Encoding (base64, quoted-printable), which "
            "is not undone: send its bytes as they are";
    }
    free(copy);
    return why;
}

/* From the first header to behind the empty line; *p is moved there. */
static const char *read_headers(multipart_part *part, const char **p, const char *end) {
    const char *limit =
        (size_t)(end - *p) < MULTIPART_MAX_HEADERS ? end : *p + MULTIPART_MAX_HEADERS;
    for (;;) {
        const char *line = *p;
        const char *stop = memmem(line, (size_t)(limit - line), "\r\n", 2);
        if (!stop)
            return memmem(line, (size_t)(limit - line), "\n\n", 2) ? BARE_LF
                                                                   : BROKEN
                       "a part's headers do not end, or are too long";
        *p = stop + 2;
        if (stop == line) break;
        const char *why = read_header(part, line, (size_t)(stop - line));
        if (why) return why;
    }
    return part->name ? NULL : BROKEN "a part has no Content-Disposition with a name";
}

/* ---- parts -------------------------------------------------------------------------------- */

typedef struct delimiter {
    char text[MULTIPART_MAX_BOUNDARY + 5]; /* CR LF - - boundary */
    size_t length;
} delimiter;

static const char *read_boundary(const char *content_type, delimiter *d) {
    char *boundary = find_parameter(content_type, "boundary");
    size_t length = boundary ? strlen(boundary) : 0;
    bool good = length > 0 && length <= MULTIPART_MAX_BOUNDARY;
    if (good) {
        memcpy(d->text, "\r\n--", 4);
        memcpy(d->text + 4, boundary, length);
        d->length = length + 4;
    }
    free(boundary);
    return good ? NULL
                : "the Content-Type has no usable boundary: clients set this header themselves if "
                  "they are left to";
}

/* What follows a delimiter: "--" for the last one, or blanks and CR LF. NULL if it is neither,
 * which makes it content. */
static const char *behind_delimiter(const char *p, const char *end, bool *last) {
    *last = end - p >= 2 && memcmp(p, "--", 2) == 0;
    if (*last) return p + 2;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return end - p >= 2 && memcmp(p, "\r\n", 2) == 0 ? p + 2 : NULL;
}

/* The next delimiter from `p` on; *next is behind it. NULL: there is none. */
static const char *find_delimiter(const delimiter *d, const char *p, const char *end,
                                  const char **next, bool *last) {
    while ((p = memmem(p, (size_t)(end - p), d->text, d->length))) {
        *next = behind_delimiter(p + d->length, end, last);
        if (*next) return p;
        p++;
    }
    return NULL;
}

/* As find_delimiter; the first one may stand at the very start, without its line break. */
static const char *find_first(const delimiter *d, const char *body, const char *end,
                              const char **next, bool *last) {
    size_t length = d->length - 2;
    if ((size_t)(end - body) >= length && memcmp(body, d->text + 2, length) == 0) {
        *next = behind_delimiter(body + length, end, last);
        if (*next) return body;
    }
    return find_delimiter(d, body, end, next, last);
}

/* The delimiter occurs at the start of a line, but not behind CR LF. */
static bool has_bare_delimiter(const delimiter *d, const char *p, const char *end) {
    size_t length = d->length - 1;
    for (; (p = memmem(p, (size_t)(end - p), d->text + 1, length)); p++) {
        const char *behind = p + length;
        if (behind < end && (*behind == '\n' || *behind == '-')) return true;
    }
    return false;
}

/* The body begins with the delimiter and a bare LF. */
static bool begins_bare(const delimiter *d, const char *body, const char *end) {
    size_t length = d->length - 2;
    return (size_t)(end - body) > length && memcmp(body, d->text + 2, length) == 0 &&
           body[length] == '\n';
}

static void free_part(multipart_part *part) {
    free(part->name);
    free(part->filename);
    free(part->content_type);
}

static const char *add_part(multipart *m, const multipart_part *part) {
    if (m->count == MULTIPART_MAX_PARTS) return "the multipart body has too many parts";
    if ((m->count & (m->count - 1)) == 0) { /* full at every power of two */
        size_t capacity = m->count ? 2 * m->count : 1;
        multipart_part *parts = realloc(m->parts, capacity * sizeof *parts);
        if (!parts) return no_memory;
        m->parts = parts;
    }
    m->parts[m->count++] = *part;
    return NULL;
}

static const char *parse(multipart *m, const delimiter *d, const char *body, const char *end) {
    const char *p;
    bool last;
    if (!find_first(d, body, end, &p, &last))
        return begins_bare(d, body, end) || has_bare_delimiter(d, body, end) ? BARE_LF
                                                                             : BROKEN
                   "its boundary does not occur in it";
    while (!last) {
        multipart_part part = {0};
        const char *why = read_headers(&part, &p, end), *next = NULL;
        part.data = p;
        const char *stop = why ? NULL : find_delimiter(d, p, end, &next, &last);
        if (!why && !stop)
            why = has_bare_delimiter(d, p, end) ? BARE_LF : BROKEN "its last boundary is missing";
        if (!why) {
            part.size = (size_t)(stop - p);
            why = add_part(m, &part);
        }
        if (why) {
            free_part(&part);
            return why;
        }
        p = next;
    }
    return NULL;
}

bool multipart_parse(const char *content_type, const char *body, size_t size, multipart *out,
                     const char **why) {
    multipart m = {0};
    delimiter d;
    *why = read_boundary(content_type, &d);
    if (!*why) *why = parse(&m, &d, body, body + size);
    if (*why) {
        multipart_free(&m);
        return false;
    }
    *out = m;
    return true;
}

void multipart_free(multipart *m) {
    for (size_t i = 0; i < m->count; i++)
        free_part(&m->parts[i]);
    free(m->parts);
    *m = (multipart){0};
}
