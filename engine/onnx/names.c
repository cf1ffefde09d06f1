/* A hash table with open addressing (FNV-1a, linear probing, at most half full). */
#include "onnx/internal.h"

#include <stdlib.h>
#include <string.h>

static size_t hash(const char *name) {
    uint64_t h = 14695981039346656037u;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        h = (h ^ *p) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds `name`, or the free one where it belongs. */
static names_slot *slot_of(const names *n, const char *name) {
    size_t mask = n->capacity - 1;
    for (size_t i = hash(name) & mask;; i = (i + 1) & mask)
        if (!n->slots[i].name || strcmp(n->slots[i].name, name) == 0) return &n->slots[i];
}

static bool grow(names *n) {
    names bigger = {.capacity = n->capacity ? n->capacity * 2 : 16, .used = n->used};
    if (!(bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots))) return false;
    for (size_t i = 0; i < n->capacity; i++)
        if (n->slots[i].name) *slot_of(&bigger, n->slots[i].name) = n->slots[i];
    free(n->slots);
    *n = bigger;
    return true;
}

bool names_find(const names *n, const char *name, int *number) {
    const names_slot *slot = n->capacity ? slot_of(n, name) : NULL;
    if (!slot || !slot->name) return false;
    *number = slot->number;
    return true;
}

bool names_add(names *n, const char *name, int number) {
    if (n->used >= n->capacity / 2 && !grow(n)) return false;
    *slot_of(n, name) = (names_slot){name, number};
    n->used++;
    return true;
}

void names_free(names *n) {
    free(n->slots);
    *n = (names){0};
}
