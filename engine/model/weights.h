/*
 * Packed weights, shared by content: two plans of a model that need the same weights in the same
 * packing get the same memory.
 */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "base/base.h"

#include <pthread.h>

/*
 * A fingerprint of what a packing is made from: XXH3 (Yann Collet), of 128 bits, which are taken
 * for the content. It withstands chance, and who makes two weights for one key harms only the model
 * that holds both.
 */
typedef struct weight_key {
    uint64_t a, b;
} weight_key;

typedef struct packed {
    weight_key key;
    size_t refs; /* guarded by the store's lock */
    size_t bytes;
    float *data; /* CNN_ALIGN-aligned */
    struct packed *next;
} packed;

typedef struct weight_store {
    pthread_mutex_t lock; /* guards all below; held while packing */
    packed *first;
    size_t bytes;
} weight_store;

void weight_store_init(weight_store *s);
/* No packing may be referenced any more. */
void weight_store_destroy(weight_store *s);
size_t weight_store_bytes(weight_store *s);

/* Starts a key; `tag` names the packing. */
weight_key weight_key_begin(const char *tag);
void weight_key_add(weight_key *key, const void *data, size_t bytes);

typedef void weight_pack_fn(const void *arg, float *out);
/*
 * The packing of that key and size, made by `pack` (into zeroed memory) if it is not there yet; a
 * reference.
 */
cnn_status weight_store_get(weight_store *s, const weight_key *key, size_t floats,
                            weight_pack_fn *pack, const void *arg, packed **out, cnn_error *err);
void weight_store_release(weight_store *s, packed *p);

#endif
