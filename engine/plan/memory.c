/*
 * Places buffers in the arena.
 *
 * Each root buffer lives from its first to its last step, and must not meet another one that lives
 * at the same time. They are placed one by one, in one of two orders, each in one of two gaps: the
 * lowest one that is large enough, or the smallest. All four ways are tried until one takes no more
 * than the most that is alive at one step. The orders, by size and by breadth (buffers of the
 * fullest steps first), are those of Pisarchyk and Lee, "Efficient Memory Management for Deep
 * Neural Net Inference", 2020.
 */
#include "plan/plan.h"

#include <stdlib.h>

/* Of more, only the first way is tried: each takes time that grows with their square. */
#define MANY_BUFFERS 4096

typedef struct placing {
    cnn_plan *plan;
    size_t *live;    /* bytes alive at each step */
    size_t *breadth; /* of each buffer: the most that is alive while it is */
    size_t *best;    /* offset of each buffer in the best placement so far, of plan->arena_bytes */
    int *order;      /* root buffers, as they are placed */
    int *placed;     /* by offset */
    size_t count, placed_count;
} placing;

static size_t aligned(size_t bytes) {
    return DIV_UP(bytes, CNN_ALIGN) * CNN_ALIGN;
}

/* ---- orders ---- */

static int by_size(const void *a, const void *b, void *p) {
    const plan_buffer *all = ((const placing *)p)->plan->buffers;
    const plan_buffer *x = &all[*(const int *)a], *y = &all[*(const int *)b];
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first - y->first;
}

static int by_breadth(const void *a, const void *b, void *p) {
    const size_t *breadth = ((const placing *)p)->breadth;
    size_t x = breadth[*(const int *)a], y = breadth[*(const int *)b];
    return x == y ? by_size(a, b, p) : x < y ? 1 : -1;
}

/* ---- gaps ---- */

static bool alive_together(const plan_buffer *a, const plan_buffer *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `buffer` fits, or that of the smallest gap between others. */
static size_t find_gap(const placing *p, const plan_buffer *buffer, bool smallest) {
    size_t end = 0, bytes = aligned(buffer->bytes), found = SIZE_MAX, size = SIZE_MAX;
    for (size_t i = 0; i < p->placed_count; i++) {
        const plan_buffer *other = &p->plan->buffers[p->placed[i]];
        if (!alive_together(buffer, other)) continue;
        if (end + bytes <= other->offset && other->offset - end < size) {
            found = end;
            size = smallest ? other->offset - end : 0;
        }
        end = MAX(end, other->offset + aligned(other->bytes));
    }
    return found < SIZE_MAX ? found : end;
}

static void insert_placed(placing *p, int buffer) {
    size_t at = p->placed_count++;
    size_t offset = p->plan->buffers[buffer].offset;
    for (; at > 0 && p->plan->buffers[p->placed[at - 1]].offset > offset; at--)
        p->placed[at] = p->placed[at - 1];
    p->placed[at] = buffer;
}

/* ---- placements ---- */

/* Gives every buffer its offset; keeps them if the arena becomes smaller so. */
static void try_placement(placing *p, int (*order)(const void *, const void *, void *),
                          bool smallest) {
    plan_buffer *buffers = p->plan->buffers;
    size_t arena = 0;
    p->placed_count = 0;
    qsort_r(p->order, p->count, sizeof(int), order, p);
    for (size_t i = 0; i < p->count; i++) {
        plan_buffer *b = &buffers[p->order[i]];
        b->offset = find_gap(p, b, smallest);
        insert_placed(p, p->order[i]);
        arena = MAX(arena, b->offset + aligned(b->bytes));
    }
    if (arena >= p->plan->arena_bytes) return;
    p->plan->arena_bytes = arena;
    for (size_t i = 0; i < p->count; i++)
        p->best[p->order[i]] = buffers[p->order[i]].offset;
}

/* Sets `live` and live_bytes from how the sum of live buffers changes from step to step. */
static void measure_live(placing *p) {
    cnn_plan *plan = p->plan;
    for (size_t i = 0; i < p->count; i++) {
        const plan_buffer *b = &plan->buffers[p->order[i]];
        if (b->last < b->first) continue;
        p->live[b->first] += aligned(b->bytes);
        p->live[b->last + 1] -= aligned(b->bytes); /* below zero and back, in all */
    }
    for (size_t s = 0; s <= plan->step_count; s++) {
        p->live[s] += s > 0 ? p->live[s - 1] : 0;
        plan->live_bytes = MAX(plan->live_bytes, p->live[s]);
    }
}

static void measure_breadth(placing *p) {
    for (size_t i = 0; i < p->count; i++) {
        const plan_buffer *b = &p->plan->buffers[p->order[i]];
        size_t *breadth = &p->breadth[p->order[i]];
        for (int s = b->first; s <= b->last; s++)
            *breadth = MAX(*breadth, p->live[s]);
    }
}

static void place(placing *p) {
    static const struct {
        int (*order)(const void *, const void *, void *);
        bool smallest;
    } ways[] = {{by_size, false}, {by_size, true}, {by_breadth, false}, {by_breadth, true}};
    cnn_plan *plan = p->plan;
    size_t tried = p->count <= MANY_BUFFERS ? ARRAY_LENGTH(ways) : 1;
    if (tried > 1) measure_breadth(p);
    plan->arena_bytes = SIZE_MAX;
    for (size_t i = 0; i < tried && plan->arena_bytes > plan->live_bytes; i++)
        try_placement(p, ways[i].order, ways[i].smallest);
    for (size_t i = 0; i < p->count; i++)
        plan->buffers[p->order[i]].offset = p->best[p->order[i]];
}

bool plan_place_memory(cnn_plan *plan) {
    size_t buffers = plan->buffer_count + 1;
    placing p = {.plan = plan,
                 .live = calloc(plan->step_count + 2, sizeof(size_t)),
                 .breadth = calloc(buffers, sizeof(size_t)),
                 .best = calloc(buffers, sizeof(size_t)),
                 .order = calloc(buffers, sizeof(int)),
                 .placed = calloc(buffers, sizeof(int))};
    bool ok = p.live && p.breadth && p.best && p.order && p.placed;
    for (size_t i = 0; ok && i < plan->buffer_count; i++)
        if (plan->buffers[i].parent < 0) p.order[p.count++] = (int)i;
    if (ok) {
        measure_live(&p);
        place(&p);
    }
    free(p.live);
    free(p.breadth);
    free(p.best);
    free(p.order);
    free(p.placed);
    return ok;
}
