/* multipart.h: bodies of type multipart/form-data (RFC 7578, RFC 2046 section 5.1). */
#ifndef CNNSERVE_MULTIPART_H
#define CNNSERVE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#define MULTIPART_MAX_PARTS    1024
#define MULTIPART_MAX_BOUNDARY 200
#define MULTIPART_MAX_HEADERS  ((size_t)8 << 10) /* bytes of one part's headers */

typedef struct multipart_part {
    char *name;         /* of the form field; never NULL; owned */
    char *filename;     /* NULL if the part is not a file; owned */
    char *content_type; /* NULL if the part has none; owned */
    const char *data;   /* into the body */
    size_t size;
} multipart_part;

typedef struct multipart {
    multipart_part *parts; /* owned */
    size_t count;
} multipart;

/* The media type of a Content-Type header ("multipart/form-data; boundary=x") is `type`; letters'
 * case does not matter. `content_type` may be NULL. */
bool media_type_is(const char *content_type, const char *type);

/* Splits a whole body, which has to outlive the parts. `content_type` is that of the request.
 * False: *why is a sentence, and nothing is to be freed. */
bool multipart_parse(const char *content_type, const char *body, size_t size, multipart *out,
                     const char **why);
void multipart_free(multipart *m);

#endif
