/* classify_body.h: the JSON form of a classify request.
 *
 *   {"images": ["<base64>" | "data:image/png;base64,..." | {"b64": "...", "name": "..."}],
 *    "top": 3, "features": ["pool1"] | "pool1,conv*", "feature_format": "stats", "timings": true,
 *    "explain": "cam", "explain_class": 281}
 */
#ifndef CNNSERVE_CLASSIFY_BODY_H
#define CNNSERVE_CLASSIFY_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string that is no picture spoils its own image only, as a damaged part of a form does. */
typedef struct classify_body_image {
    char *name;    /* NULL if the client gave none; owned */
    char *problem; /* a sentence, and there are no bytes; NULL if there is none; owned */
    void *bytes;   /* decoded; owned */
    size_t size;
} classify_body_image;

/* What the document says, types checked but not ranges. All pointers are owned. */
typedef struct classify_body {
    classify_body_image *images;
    size_t image_count; /* 0 with images NULL: the key is absent */
    char **features;    /* NULL if the key is absent */
    size_t feature_count;
    char *feature_format; /* NULL if the key is absent */
    char *explain;        /* likewise */
    bool has_top, has_timings, has_explain_class;
    bool timings;
    int64_t top, explain_class;
} classify_body;

typedef enum classify_body_code {
    CLASSIFY_BODY_OK,
    CLASSIFY_BODY_BAD,      /* `message` is a sentence that names the key */
    CLASSIFY_BODY_TOO_MANY, /* more than max_images, or far more values than they need */
    CLASSIFY_BODY_NO_MEMORY
} classify_body_code;

/* *out is written on success only. */
classify_body_code classify_body_parse(const char *text, size_t size, size_t max_images,
                                       classify_body *out, char *message, size_t message_size);
void classify_body_free(classify_body *body);

#endif
