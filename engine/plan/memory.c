/*
 * Places buffers in the arena.
 *
 * Each root buffer lives from its first to its last step. Largest first, each gets the lowest
 * offset at which it meets no placed buffer that lives at the same time (greedy by size: Pisarchyk
 * and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
 */
#include "plan/plan.h"

#include <stdlib.h>

typedef struct placing {
    const cnn_plan *plan;
    int *order;  /* root buffers, largest first */
    int *placed; /* by offset */
    size_t count, placed_count;
} placing;

static size_t aligned(size_t bytes) {
    return DIV_UP(bytes, CNN_ALIGN) * CNN_ALIGN;
}

static int by_size(const void *a, const void *b, void *buffers) {
    const plan_buffer *all = buffers;
    const plan_buffer *x = &all[*(const int *)a], *y = &all[*(const int *)b];
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first - y->first;
}

static bool alive_together(const plan_buffer *a, const plan_buffer *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `buffer` fits; `placed` is in order of offsets. */
static size_t lowest_fit(const placing *p, const plan_buffer *buffer) {
    size_t offset = 0, bytes = aligned(buffer->bytes);
    for (size_t i = 0; i < p->placed_count; i++) {
        const plan_buffer *other = &p->plan->buffers[p->placed[i]];
        if (!alive_together(buffer, other)) continue;
        if (offset + bytes <= other->offset) break;
        offset = MAX(offset, other->offset + aligned(other->bytes));
    }
    return offset;
}

static void insert_placed(placing *p, int buffer) {
    size_t at = p->placed_count++;
    size_t offset = p->plan->buffers[buffer].offset;
    for (; at > 0 && p->plan->buffers[p->placed[at - 1]].offset > offset; at--)
        p->placed[at] = p->placed[at - 1];
    p->placed[at] = buffer;
}

/* Sets live_bytes from how the sum of live buffers changes from step to step. */
static bool measure_live(cnn_plan *plan) {
    ptrdiff_t *changes = calloc(plan->step_count + 2, sizeof(*changes)), live = 0;
    if (!changes) return false;
    for (size_t i = 0; i < plan->buffer_count; i++) {
        const plan_buffer *b = &plan->buffers[i];
        if (b->parent >= 0 || b->last < b->first) continue;
        changes[b->first] += (ptrdiff_t)aligned(b->bytes);
        changes[b->last + 1] -= (ptrdiff_t)aligned(b->bytes);
    }
    for (size_t s = 0; s <= plan->step_count; s++) {
        live += changes[s];
        plan->live_bytes = MAX(plan->live_bytes, (size_t)live);
    }
    free(changes);
    return true;
}

static bool place(placing *p, cnn_plan *plan) {
    p->order = calloc(plan->buffer_count + 1, sizeof(int));
    p->placed = calloc(plan->buffer_count + 1, sizeof(int));
    if (!p->order || !p->placed) return false;
    for (size_t i = 0; i < plan->buffer_count; i++)
        if (plan->buffers[i].parent < 0) p->order[p->count++] = (int)i;
    qsort_r(p->order, p->count, sizeof(int), by_size, plan->buffers);
    for (size_t i = 0; i < p->count; i++) {
        plan_buffer *b = &plan->buffers[p->order[i]];
        b->offset = lowest_fit(p, b);
        insert_placed(p, p->order[i]);
        plan->arena_bytes = MAX(plan->arena_bytes, b->offset + aligned(b->bytes));
    }
    return true;
}

bool plan_place_memory(cnn_plan *plan) {
    placing p = {.plan = plan};
    bool ok = place(&p, plan) && measure_live(plan);
    free(p.order);
    free(p.placed);
    return ok;
}
