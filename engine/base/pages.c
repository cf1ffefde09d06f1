/*
 * Memory of its own pages, which goes back to the system when it is freed, whatever malloc would
 * have kept. What is small is malloc's, and everything where AddressSanitizer watches malloc.
 *
 * Huge pages are not asked for: a virtual machine whose host has yet to find the memory takes
 * longer for them at start than all small ones take.
 */
#include "base/pages.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OWN_PAGES ((size_t)128 << 10)

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED true
#endif
#endif
#ifndef WATCHED
#define WATCHED false
#endif

static bool has_own_pages(size_t bytes) {
    return !WATCHED && bytes >= OWN_PAGES;
}

void *cnn_alloc_zeroed(size_t bytes) {
    void *p;
    if (has_own_pages(bytes)) {
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? NULL : p;
    }
    p = cnn_alloc_aligned(bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void cnn_free_zeroed(void *memory, size_t bytes) {
    if (!memory || !has_own_pages(bytes))
        free(memory);
    else
        munmap(memory, bytes);
}
