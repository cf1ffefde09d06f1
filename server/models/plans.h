/*
 * plans.h: the plans of one served model, and the idle sessions of each.
 *
 * A plan is compiled once for an input size and a set of wanted tensors, when first asked for. The
 * cache holds at most PLANS_MAX of them and drops the least recently used; the default plan stays.
 * Whoever holds an entry keeps it alive, dropped or not.
 */
#ifndef CNNSERVE_PLANS_H
#define CNNSERVE_PLANS_H

#include "models/models.h"

#include <pthread.h>

#define PLANS_MAX 16
/* Bytes of activations that idle sessions of all plans but the default one may hold together. */
#define PLANS_IDLE_BYTES ((size_t)256 << 20)
/* Activations of one run where the image decides the input size. */
#define PLANS_ARENA_MAX ((size_t)1 << 30)

typedef struct plan_entry plan_entry;
typedef struct plan_session plan_session;

/* Embedded in the model. */
typedef struct plan_cache {
    pthread_mutex_t lock;    /* guards all below, and the entries' mutable fields */
    pthread_mutex_t compile; /* held while compiling, so that nothing is compiled twice */
    plan_entry *entries;     /* most recently used first */
    size_t count;
    size_t idle_bytes;    /* of idle sessions of entries that are not pinned */
    size_t session_bytes; /* of all sessions */
    size_t sessions;
} plan_cache;

/* What a plan is asked for. */
typedef struct plan_key {
    int height, width;    /* of the input */
    const size_t *wanted; /* indices of tensors, ascending, each once */
    size_t wanted_count;
} plan_key;

bool plan_cache_init(plan_cache *cache);
/* No entry may be held any more. */
void plan_cache_destroy(plan_cache *cache);

/* *out is held until plan_release. `pin`: it stays in the cache. */
model_code plan_acquire(served_model *model, const plan_key *key, bool pin, plan_entry **out,
                        model_error *err);
void plan_release(served_model *model, plan_entry *entry); /* accepts NULL */
/* Outputs are in the order of the key's `wanted`. */
cnn_plan *plan_of(const plan_entry *entry);

/* The memory of one run; for one thread at a time. */
struct plan_session {
    cnn_session *session;
    image_scratch scratch;
    plan_session *next; /* in the list of idle ones */
};

model_code plan_session_acquire(served_model *model, plan_entry *entry, plan_session **out,
                                model_error *err);
/*
 * Makes the first session of the default plan before it is needed, so that the first picture does
 * not wait for its memory. Nothing is done where the picture decides the input size.
 */
model_code plan_session_prepare(served_model *model, model_error *err);
/* Keeps it for the next run, or frees it if there are enough. */
void plan_session_release(served_model *model, plan_entry *entry, plan_session *session);

#endif
