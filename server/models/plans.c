/*
 * The cache of plans of one model, and their idle sessions.
 *
 * A linear list, most recently used first: it is short, and its order is the eviction order. One
 * lock guards list, counts and idle lists, and is held for a few pointer moves only; compiling and
 * allocating happen outside it, compiling under a lock of its own, so that a plan that several
 * requests want at once is compiled once. It does not limit how many sessions run at a time: that
 * the number of workers does.
 */
#include "models/plans.h"

#include "models/internal.h"

#include <stdlib.h>
#include <string.h>

struct plan_entry {
    int height, width;
    size_t *wanted;
    size_t wanted_count;
    cnn_plan *plan;
    size_t arena_bytes;
    /* The rest is guarded by the cache's lock. */
    plan_entry *next; /* in the cache */
    size_t holders;
    bool cached, pinned;
    plan_session *idle;
    size_t idle_count;
};

cnn_plan *plan_of(const plan_entry *entry) {
    return entry->plan;
}

bool plan_cache_init(plan_cache *cache) {
    if (pthread_mutex_init(&cache->lock, NULL) != 0) return false;
    if (pthread_mutex_init(&cache->compile, NULL) != 0) {
        pthread_mutex_destroy(&cache->lock);
        return false;
    }
    return true;
}

static void session_free(plan_session *session) {
    if (!session) return;
    cnn_session_free(session->session);
    image_scratch_free(&session->scratch);
    free(session);
}

static void entry_free(plan_entry *entry) {
    if (!entry) return;
    for (plan_session *session = entry->idle, *next; session; session = next) {
        next = session->next;
        session_free(session);
    }
    cnn_plan_free(entry->plan);
    free(entry->wanted);
    free(entry);
}

void plan_cache_destroy(plan_cache *cache) {
    for (plan_entry *entry = cache->entries, *next; entry; entry = next) {
        next = entry->next;
        entry_free(entry);
    }
    pthread_mutex_destroy(&cache->lock);
    pthread_mutex_destroy(&cache->compile);
}

/* ---- entries; callers hold the lock ------------------------------------------------------- */

static bool matches(const plan_entry *entry, const plan_key *key) {
    return entry->height == key->height && entry->width == key->width &&
           entry->wanted_count == key->wanted_count &&
           memcmp(entry->wanted, key->wanted, key->wanted_count * sizeof *key->wanted) == 0;
}

/* Finds an entry, moves it to the front and holds it; NULL if there is none. */
static plan_entry *find_entry(plan_cache *cache, const plan_key *key) {
    for (plan_entry **link = &cache->entries; *link; link = &(*link)->next) {
        plan_entry *entry = *link;
        if (!matches(entry, key)) continue;
        *link = entry->next;
        entry->next = cache->entries;
        cache->entries = entry;
        entry->holders++;
        return entry;
    }
    return NULL;
}

/* The idle sessions of an entry that leaves the cache no longer count. */
static void forget_idle(plan_cache *cache, const plan_entry *entry) {
    if (!entry->pinned) cache->idle_bytes -= entry->idle_count * entry->arena_bytes;
    cache->session_bytes -= entry->idle_count * entry->arena_bytes;
    cache->sessions -= entry->idle_count;
}

/* Takes the least recently used entry that is not pinned out; returns it if nobody holds it. */
static plan_entry *evict(plan_cache *cache) {
    plan_entry **victim = NULL;
    for (plan_entry **link = &cache->entries; *link; link = &(*link)->next)
        if (!(*link)->pinned) victim = link;
    if (!victim) return NULL;
    plan_entry *entry = *victim;
    *victim = entry->next;
    entry->cached = false;
    cache->count--;
    if (entry->holders > 0) return NULL; /* plan_release frees it */
    forget_idle(cache, entry);
    return entry;
}

/* ---- plans -------------------------------------------------------------------------------- */

static model_code refuse_plan(const served_model *model, const plan_key *key, const cnn_error *why,
                              model_error *err) {
    if (why->status == CNN_OUT_OF_MEMORY) return model_fail_memory(err);
    if (why->status == CNN_IO) return model_fail(err, MODEL_INTERNAL, "%s", why->message);
    if (model->fixed) return model_fail(err, MODEL_BAD_REQUEST, "%s", why->message);
    return model_fail(err, MODEL_BAD_REQUEST, "the model cannot run on an input of %dx%d: %s",
                      key->width, key->height, why->message);
}

static model_code check_arena(const served_model *model, const plan_entry *entry,
                              model_error *err) {
    if (model->fixed || entry->arena_bytes <= PLANS_ARENA_MAX) return MODEL_OK;
    model_fail(err, MODEL_IMAGE,
               "an input of %dx%d would take %zu MiB of activations, more than the %zu MiB a run "
               "may take",
               entry->width, entry->height, entry->arena_bytes >> 20, PLANS_ARENA_MAX >> 20);
    if (err) err->image = IMAGE_TOO_LARGE;
    return MODEL_IMAGE;
}

static model_code compile(served_model *model, const plan_key *key, plan_entry **out,
                          model_error *err) {
    model_code code = MODEL_OK;
    plan_entry *entry = calloc(1, sizeof *entry);
    const char **names = calloc(key->wanted_count, sizeof *names);
    size_t *wanted = calloc(key->wanted_count, sizeof *wanted);
    if (!entry || !names || !wanted) {
        code = model_fail_memory(err);
        goto exit;
    }
    for (size_t i = 0; i < key->wanted_count; i++) {
        wanted[i] = key->wanted[i];
        names[i] = model->tensors[wanted[i]].name;
    }
    cnn_shape input = model_input_shape(model, key->height, key->width);
    cnn_plan_options options = {
        .input_shapes = &input, .outputs = names, .output_count = key->wanted_count};
    cnn_error why = {0};
    if (cnn_plan_create(model->cnn, &options, &entry->plan, &why) != CNN_OK) {
        code = refuse_plan(model, key, &why, err);
        goto exit;
    }
    entry->height = key->height;
    entry->width = key->width;
    entry->arena_bytes = cnn_plan_arena_bytes(entry->plan);
    entry->wanted_count = key->wanted_count;
    entry->holders = 1;
    code = check_arena(model, entry, err);
    if (code != MODEL_OK) goto exit;
    entry->wanted = wanted;
    wanted = NULL;
    *out = entry;
    entry = NULL;
exit:
    free(wanted);
    free(names);
    entry_free(entry);
    return code;
}

static void insert(plan_cache *cache, plan_entry *entry, bool pin) {
    plan_entry *dropped = NULL;
    pthread_mutex_lock(&cache->lock);
    if (cache->count >= PLANS_MAX) dropped = evict(cache);
    entry->pinned = pin;
    entry->cached = true;
    entry->next = cache->entries;
    cache->entries = entry;
    cache->count++;
    pthread_mutex_unlock(&cache->lock);
    entry_free(dropped);
}

model_code plan_acquire(served_model *model, const plan_key *key, bool pin, plan_entry **out,
                        model_error *err) {
    plan_cache *cache = &model->plans;
    pthread_mutex_lock(&cache->lock);
    plan_entry *entry = find_entry(cache, key);
    pthread_mutex_unlock(&cache->lock);
    model_code code = MODEL_OK;
    if (!entry) {
        pthread_mutex_lock(&cache->compile);
        pthread_mutex_lock(&cache->lock);
        entry = find_entry(cache, key); /* somebody else may have compiled it by now */
        pthread_mutex_unlock(&cache->lock);
        if (!entry) {
            code = compile(model, key, &entry, err);
            if (code == MODEL_OK) insert(cache, entry, pin);
        }
        pthread_mutex_unlock(&cache->compile);
    }
    if (code == MODEL_OK) *out = entry;
    return code;
}

void plan_release(served_model *model, plan_entry *entry) {
    if (!entry) return;
    plan_cache *cache = &model->plans;
    pthread_mutex_lock(&cache->lock);
    bool last = --entry->holders == 0 && !entry->cached;
    if (last) forget_idle(cache, entry);
    pthread_mutex_unlock(&cache->lock);
    if (last) entry_free(entry);
}

/* ---- sessions ----------------------------------------------------------------------------- */

model_code plan_session_acquire(served_model *model, plan_entry *entry, plan_session **out,
                                model_error *err) {
    plan_cache *cache = &model->plans;
    pthread_mutex_lock(&cache->lock);
    plan_session *session = entry->idle;
    if (session) {
        entry->idle = session->next;
        entry->idle_count--;
        cache->idle_bytes -= entry->pinned ? 0 : entry->arena_bytes;
    } else {
        cache->sessions++;
        cache->session_bytes += entry->arena_bytes;
    }
    pthread_mutex_unlock(&cache->lock);
    if (!session) {
        session = calloc(1, sizeof *session);
        if (!session || cnn_session_create(entry->plan, &session->session, NULL) != CNN_OK) {
            free(session);
            pthread_mutex_lock(&cache->lock);
            cache->sessions--;
            cache->session_bytes -= entry->arena_bytes;
            pthread_mutex_unlock(&cache->lock);
            return model_fail_memory(err);
        }
    }
    *out = session;
    return MODEL_OK;
}

void plan_session_release(served_model *model, plan_entry *entry, plan_session *session) {
    if (!session) return;
    plan_cache *cache = &model->plans;
    size_t bytes = entry->arena_bytes, most = (size_t)cnn_runtime_threads(model->rt);
    pthread_mutex_lock(&cache->lock);
    bool keep = entry->cached && entry->idle_count < most &&
                (entry->pinned || cache->idle_bytes + bytes <= PLANS_IDLE_BYTES);
    if (keep) {
        session->next = entry->idle;
        entry->idle = session;
        entry->idle_count++;
        cache->idle_bytes += entry->pinned ? 0 : bytes;
    } else {
        cache->sessions--;
        cache->session_bytes -= bytes;
    }
    pthread_mutex_unlock(&cache->lock);
    if (!keep) session_free(session);
}

model_code plan_session_prepare(served_model *model, model_error *err) {
    if (!model->fixed) return MODEL_OK;
    const plan_key key = {model->nominal_h, model->nominal_w, &model->output_tensor, 1};
    plan_entry *entry = NULL;
    plan_session *session = NULL;
    model_code code = plan_acquire(model, &key, true, &entry, err);
    if (code == MODEL_OK) code = plan_session_acquire(model, entry, &session, err);
    if (code == MODEL_OK) plan_session_release(model, entry, session);
    plan_release(model, entry);
    return code;
}

model_memory served_model_memory(served_model *model) {
    plan_cache *cache = &model->plans;
    model_memory memory = {.weights_bytes = cnn_model_weights_bytes(model->cnn)};
    pthread_mutex_lock(&cache->lock);
    for (const plan_entry *entry = cache->entries; entry; entry = entry->next)
        if (entry->pinned) memory.arena_bytes = entry->arena_bytes;
    memory.session_bytes = cache->session_bytes;
    memory.plans = cache->count;
    memory.sessions = cache->sessions;
    pthread_mutex_unlock(&cache->lock);
    return memory;
}
