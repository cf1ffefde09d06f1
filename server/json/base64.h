/* base64.h: base64 (RFC 4648). */
#ifndef CNNSERVE_BASE64_H
#define CNNSERVE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Characters of the encoding of `size` bytes, padding included, no NUL. */
size_t base64_encoded_size(size_t size);
void base64_encode(const void *bytes, size_t size, char *out);

/* Most bytes that `size` characters decode to. */
size_t base64_decoded_max(size_t size);
/*
 * Decodes into `out` of base64_decoded_max(size) bytes, which may be `text` itself. Takes what
 * clients send and what can mean one thing only: the alphabets of sections 4 and 5, also mixed;
 * white space anywhere; padding that is left out. Refuses any other character, more padding than is
 * due or anything behind it, and bits that no byte takes up, as of a text that has been cut. False:
 * *bad is the offset of the first character that does not fit (`size` if the end comes too early).
 */
bool base64_decode(const char *text, size_t size, void *out, size_t *out_size, size_t *bad);

#endif
