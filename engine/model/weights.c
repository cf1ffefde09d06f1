/* The store of packed weights: a list guarded by one lock, looked through when a plan is built. */
#include "model/weights.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void weight_store_init(weight_store *s) {
    *s = (weight_store){0};
    pthread_mutex_init(&s->lock, NULL);
}

void weight_store_destroy(weight_store *s) {
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
    p->data = cnn_alloc_aligned(bytes);
    if (!p->data) {
        free(p);
        return NULL;
    }
    memset(p->data, 0, bytes);
    p->key = *key;
    p->bytes = bytes;
    p->next = s->first;
    s->first = p;
    s->bytes += bytes;
    return p;
}

cnn_status weight_store_get(weight_store *s, const weight_key *key, size_t floats,
                            weight_pack_fn *pack, const void *arg, packed **out, cnn_error *err) {
    size_t bytes;
    if (!cnn_mul_size(floats, sizeof(float), &bytes))
        return cnn_fail(err, CNN_LIMIT, "a packed weight of %zu elements is too large", floats);
    pthread_mutex_lock(&s->lock);
    packed *p = find(s, key, bytes);
    if (!p) {
        p = add(s, key, bytes);
        if (p) pack(arg, p->data);
    }
    if (p) p->refs++;
    pthread_mutex_unlock(&s->lock);
    if (!p) return cnn_fail_memory(err, bytes);
    *out = p;
    return CNN_OK;
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
        free(p->data);
        free(p);
    }
    pthread_mutex_unlock(&s->lock);
}
