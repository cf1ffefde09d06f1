/* Zeroed memory for what may be large; see pages.c. */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H

#include <stddef.h>

/* Aligned to CNN_ALIGN, at least one byte; NULL when out of memory. */
void *cnn_alloc_zeroed(size_t bytes);
/* Accepts NULL; `bytes` is what it was allocated with. */
void cnn_free_zeroed(void *memory, size_t bytes);

#endif
