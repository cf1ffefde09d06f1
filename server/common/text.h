/* text.h: text files in the encodings that editors and shells write, as UTF-8. */
#ifndef CNNSERVE_TEXT_H
#define CNNSERVE_TEXT_H

#include <stddef.h>

/* Text without a byte order mark. */
typedef struct decoded_text {
    const char *bytes;
    size_t size;
    char *memory; /* where `bytes` are the caller's to free(); NULL: they are part of the input */
} decoded_text;

/*
 * UTF-8 with a byte order mark loses it; UTF-16 of either byte order becomes UTF-8, told by its
 * mark, or without one by a first character of ASCII. What is neither stays as it is. NULL, or what
 * is wrong, to follow the name of the file: "is UTF-32 text, ..."; *out is then not written.
 */
const char *text_decode(const char *bytes, size_t size, decoded_text *out);

#endif
