/* utf8.h: well-formed UTF-8 (RFC 3629, section 4). */
#ifndef CNNSERVE_UTF8_H
#define CNNSERVE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at the start of `bytes`, 1 to 4; 0 if it is none, or cut short. */
size_t utf8_length(const unsigned char *bytes, size_t size);
/* All of `bytes` is well-formed. */
bool utf8_valid(const void *bytes, size_t size);

#endif
