/*
 * Packed weights, shared by content: two plans of a model that need the same weights in the same
 * packing get the same memory.
 */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "graph/graph.h"

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
    bool done;   /* packed; guarded by the store's lock */
    struct packed *next;
} packed;

typedef struct weight_store {
    pthread_mutex_t lock;    /* guards all below */
    pthread_cond_t finished; /* some packing is done */
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
/* Its elements; of a tensor of the model's files, instead of them, where they stand. */
void weight_key_add_tensor(weight_key *key, const tensor *t);

/*
 * The packing of that key and size; a reference. If it is not there yet, it is zeros, `*owed` is
 * true, and the caller packs it and says weight_store_done, come what may: others may wait.
 */
cnn_status weight_store_get(weight_store *s, const weight_key *key, size_t floats, packed **out,
                            bool *owed, cnn_error *err);
void weight_store_done(weight_store *s, packed *p);
/* Until it is done. Who owes packings does them first. */
void weight_store_wait(weight_store *s, const packed *p);
void weight_store_release(weight_store *s, packed *p);

#endif
