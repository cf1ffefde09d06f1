/* classify_request.h: what a classify request asks for, whatever form its body has. */
#ifndef CNNSERVE_CLASSIFY_REQUEST_H
#define CNNSERVE_CLASSIFY_REQUEST_H

#include "http/http.h"
#include "http/multipart.h"
#include "models/result.h"
#include "json/classify_body.h"

#define CLASSIFY_DEFAULT_TOP 5
#define CLASSIFY_MAX_TOP     1000000
#define CLASSIFY_PARAMETERS  6

typedef struct classify_image {
    const char *name; /* NULL if the client gave none */
    const void *bytes;
    size_t size;
    const char *problem; /* why there are no bytes; NULL: there are */
} classify_image;

typedef struct classify_request {
    classify_image *images; /* at least one; pointers into what follows, or into the HTTP body */
    size_t image_count;
    size_t top;
    char **features;
    size_t feature_count;
    const feature_format *format;
    bool timings;
    bool explain; /* by a class activation map */
    size_t explained_class;

    bool given[CLASSIFY_PARAMETERS]; /* which parameters have been set */
    multipart form;
    classify_body document;
} classify_request;

/* Why a request is refused: an HTTP status, the contract's word and a sentence. */
typedef struct classify_refusal {
    int status;
    const char *code;
    char message[512];
} classify_refusal;

/* Reads query and body. Nothing is copied of an image that is not base64, so that `request` has to
 * outlive *out, which is written on success only. */
bool classify_request_read(const http_request *request, size_t max_images, classify_request *out,
                           classify_refusal *why);
void classify_request_free(classify_request *r);

#endif
