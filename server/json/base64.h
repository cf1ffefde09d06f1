/* base64.h: base64 of RFC 4648, section 4. */
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
 * Decodes into `out` of base64_decoded_max(size) bytes, which may be `text` itself. Strict, as
 * section 3.3 advises: any character outside the alphabet is refused (also white space), as are
 * bits that no byte takes up; the padding may be left out but not be wrong. False: *bad is the
 * offset of the first character that does not fit (`size` if the end comes too early).
 */
bool base64_decode(const char *text, size_t size, void *out, size_t *out_size, size_t *bad);

#endif
