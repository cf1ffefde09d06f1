/* image_text.h: a picture that is written as text, as JSON holds it. */
#ifndef CNNSERVE_IMAGE_TEXT_H
#define CNNSERVE_IMAGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define IMAGE_TEXT_NO_URLS                                                                         \
    "URLs are not fetched; send the picture itself, its bytes in base64 or as a data URL"

typedef enum image_text_code {
    IMAGE_TEXT_OK,
    IMAGE_TEXT_BAD, /* `why` is a sentence without its subject, "is empty" */
    IMAGE_TEXT_NO_MEMORY
} image_text_code;

/* Decodes base64, also percent-encoded, or a data URL (RFC 2397, with or without ;base64). *bytes
 * is to be freed; it and *out_size are written on success only. */
image_text_code image_text_decode(const char *text, size_t size, void **bytes, size_t *out_size,
                                  char *why, size_t why_size);
/* `text` is a URL, of whatever scheme, or the address of one without its scheme. */
bool image_text_is_url(const char *text, size_t size);
/* `text` begins as the base64 of a picture does, or its percent-encoding. */
bool image_text_is_base64(const char *text, size_t size);

#endif
