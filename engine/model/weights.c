/* The store of packed weights: a list guarded by one lock, looked through when a plan is built. */
#include "model/weights.h"

#include "base/pages.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void weight_store_init(weight_store *s) {
    *s = (weight_store){0};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->finished, NULL);
}

void weight_store_destroy(weight_store *s) {
    pthread_cond_destroy(&s->finished);
    pthread_mutex_destroy(&s->lock);
}

size_t weight_store_bytes(weight_store *s) {
    pthread_mutex_lock(&s->lock);
    size_t bytes = s->bytes;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

weight_key weight_key_begin(const char *tag) {
    weight_key key = {0, 0};
    weight_key_add(&key, tag, strlen(tag));
    return key;
}

void weight_key_add(weight_key *key, const void *data, size_t bytes) {
    XXH128_hash_t part = XXH3_128bits(data, bytes);
    uint64_t chain[] = {key->a, key->b, part.low64, part.high64, bytes};
    XXH128_hash_t whole = XXH3_128bits(chain, sizeof(chain));
    *key = (weight_key){whole.low64, whole.high64};
}

void weight_key_add_tensor(weight_key *key, const tensor *t) {
    /* A model keeps the files of its tensors open as long as it lives: an address is an identity.
     */
    uint64_t place[] = {(uintptr_t)t->file, t->offset, t->bytes};
    if (t->file)
        weight_key_add(key, place, sizeof(place));
    else
        weight_key_add(key, t->data, t->bytes);
}

/* Called with the lock held. */
static packed *find(const weight_store *s, const weight_key *key, size_t bytes) {
    for (packed *p = s->first; p; p = p->next)
        if (p->key.a == key->a && p->key.b == key->b && p->bytes == bytes) return p;
    return NULL;
}

/* Called with the lock held. */
static packed *add(weight_store *s, const weight_key *key, size_t bytes) {
    packed *p = calloc(1, sizeof(*p));
    if (!p) return NULL;
    p->data = cnn_alloc_zeroed(bytes);
    if (!p->data) {
        free(p);
        return NULL;
    }
    p->key = *key;
    p->bytes = bytes;
    p->next = s->first;
    s->first = p;
    s->bytes += bytes;
    return p;
}

cnn_status weight_store_get(weight_store *s, const weight_key *key, size_t floats, packed **out,
                            bool *owed, cnn_error *err) {
    size_t bytes;
    if (!cnn_mul_size(floats, sizeof(float), &bytes))
        return cnn_fail(err, CNN_LIMIT, "a packed weight of %zu elements is too large", floats);
    pthread_mutex_lock(&s->lock);
    packed *p = find(s, key, bytes);
    *owed = !p;
    if (!p) p = add(s, key, bytes);
    if (p) p->refs++;
    pthread_mutex_unlock(&s->lock);
    if (!p) return cnn_fail_memory(err, bytes);
    *out = p;
    return CNN_OK;
}

void weight_store_done(weight_store *s, packed *p) {
    pthread_mutex_lock(&s->lock);
    p->done = true;
    pthread_cond_broadcast(&s->finished);
    pthread_mutex_unlock(&s->lock);
}

void weight_store_wait(weight_store *s, const packed *p) {
    pthread_mutex_lock(&s->lock);
    while (!p->done)
        pthread_cond_wait(&s->finished, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void weight_store_release(weight_store *s, packed *p) {
    pthread_mutex_lock(&s->lock);
    if (--p->refs == 0) {
        for (packed **link = &s->first; *link; link = &(*link)->next) {
            if (*link == p) {
                *link = p->next;
                break;
            }
        }
        s->bytes -= p->bytes;
        cnn_free_zeroed(p->data, p->bytes);
        free(p);
    }
    pthread_mutex_unlock(&s->lock);
}
