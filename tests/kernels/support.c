#include "support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MARK 0x7fbadbad /* a NaN of its own */

rng rng_seed(uint64_t seed) {
    return (rng){seed * UINT64_C(0x9e3779b97f4a7c15) | 1};
}

static uint64_t rng_next(rng *r) {
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

int rng_int(rng *r, int low, int high) {
    return low + (int)((rng_next(r) >> 33) % (uint64_t)(high - low + 1));
}

bool rng_chance(rng *r, int percent) {
    return rng_int(r, 1, 100) <= percent;
}

float rng_float(rng *r) {
    return (float)((double)(rng_next(r) >> 40) / (1 << 23) - 1);
}

void rng_fill(rng *r, float *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = rng_float(r);
}

guarded guarded_create(size_t count, bool at_end) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = count * sizeof(float);
    size_t body = (bytes + page - 1) / page * page;
    guarded g = {.count = count, .mapped = body + 2 * page};
    g.mapping = mmap(NULL, g.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(g.mapping, MAP_FAILED);
    char *first = (char *)g.mapping + page;
    cr_assert_eq(mprotect(g.mapping, page, PROT_NONE), 0);
    cr_assert_eq(mprotect(first + body, page, PROT_NONE), 0);
    g.data = (float *)(void *)(at_end ? first + body - bytes : first);
    return g;
}

void guarded_free(guarded *g) {
    munmap(g->mapping, g->mapped);
    *g = (guarded){0};
}

tensor_memory tensor_memory_create(int n, int c, int h, int w, int lanes, halo pad, bool at_end) {
    blocked b = {.n = n, .c = c, .h = h, .w = w, .lanes = lanes};
    b.blocks = (c + lanes - 1) / lanes;
    b.top = pad.top;
    b.left = pad.left;
    b.bottom = pad.bottom;
    b.right = pad.right;
    b.row_pitch = (size_t)(pad.left + w + pad.right) * lanes;
    b.block_pitch = (size_t)(pad.top + h + pad.bottom) * b.row_pitch;
    b.image_pitch = b.blocks * b.block_pitch;
    tensor_memory t = {.view = b, .memory = guarded_create(n * b.image_pitch, at_end)};
    t.view.data = t.memory.data + pad.top * b.row_pitch + (size_t)pad.left * lanes;
    return t;
}

tensor_memory tensor_memory_like(const tensor_memory *t) {
    const blocked *v = &t->view;
    halo h = {v->top, v->left, v->bottom, v->right};
    return tensor_memory_create(v->n, v->c, v->h, v->w, v->lanes, h, true);
}

void tensor_memory_free(tensor_memory *t) {
    guarded_free(&t->memory);
}

float *tensor_memory_pixel(const tensor_memory *t, int n, int b, int y, int x) {
    const blocked *v = &t->view;
    return v->data + n * v->image_pitch + b * v->block_pitch + y * v->row_pitch +
           (size_t)x * v->lanes;
}

#define FOR_EACH_PIXEL(t)                                                                          \
    for (int n = 0; n < (t)->view.n; n++)                                                          \
        for (int b = 0; b < (t)->view.blocks; b++)                                                 \
            for (int y = 0; y < (t)->view.h; y++)                                                  \
                for (int x = 0; x < (t)->view.w; x++)

void tensor_memory_randomise(tensor_memory *t, rng *r) {
    memset(t->memory.data, 0, t->memory.count * sizeof(float));
    FOR_EACH_PIXEL(t) {
        int lanes = t->view.lanes, count = MIN(lanes, t->view.c - b * lanes);
        rng_fill(r, tensor_memory_pixel(t, n, b, y, x), count);
    }
}

void tensor_memory_mark(tensor_memory *t) {
    uint32_t mark = MARK;
    for (size_t i = 0; i < t->memory.count; i++)
        memcpy(t->memory.data + i, &mark, sizeof mark);
}

bool is_marked(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == MARK;
}

void tensor_memory_copy(tensor_memory *to, const tensor_memory *from) {
    cr_assert_eq(to->memory.count, from->memory.count);
    memcpy(to->memory.data, from->memory.data, from->memory.count * sizeof(float));
}

void tensor_memory_check_halo(const tensor_memory *t, const char *what) {
    const blocked *v = &t->view;
    for (int n = 0; n < v->n; n++)
        for (int b = 0; b < v->blocks; b++)
            for (int y = -v->top; y < v->h + v->bottom; y++)
                for (int x = -v->left; x < v->w + v->right; x++) {
                    if (y >= 0 && y < v->h && x >= 0 && x < v->w) continue;
                    const float *p = v->data + n * v->image_pitch + b * v->block_pitch +
                                     (ptrdiff_t)y * (ptrdiff_t)v->row_pitch +
                                     (ptrdiff_t)x * v->lanes;
                    for (int l = 0; l < v->lanes; l++)
                        cr_assert(is_marked(p[l]), "%s: wrote halo (%d, %d, %d, %d)", what, n, b, y,
                                  x);
                }
}

void tensor_memory_check_same(const tensor_memory *a, const tensor_memory *b, const char *what) {
    cr_assert_eq(memcmp(a->memory.data, b->memory.data, a->memory.count * sizeof(float)), 0,
                 "%s: bits differ between tilings", what);
}

bool close_enough(float got, float want, double tolerance) {
    if (isnan(want)) return isnan(got);
    if (isinf(want)) return got == want;
    return fabs((double)got - want) <= tolerance;
}

void tensor_memory_check_close(const tensor_memory *got, const tensor_memory *want,
                               const tensor_memory *scale, double relative, double absolute,
                               const char *what) {
    FOR_EACH_PIXEL(got) {
        const float *g = tensor_memory_pixel(got, n, b, y, x);
        const float *w = tensor_memory_pixel(want, n, b, y, x);
        const float *s = tensor_memory_pixel(scale ? scale : want, n, b, y, x);
        for (int l = 0; l < got->view.lanes && b * got->view.lanes + l < got->view.c; l++)
            cr_assert(close_enough(g[l], w[l], relative * fabs((double)s[l]) + absolute),
                      "%s: (%d, %d, %d, %d) lane %d: got %.9g, want %.9g (scale %g)", what, n, b, y,
                      x, l, g[l], w[l], s[l]);
    }
}

act_params random_act(rng *r) {
    act_params act = {.act = (activation)rng_int(r, ACT_NONE, ACT_GELU)};
    switch (act.act) {
    case ACT_LEAKY_RELU:
        act.alpha = 0.1f;
        break;
    case ACT_CLIP:
        act.alpha = rng_chance(r, 50) ? 0 : -0.5f;
        act.beta = rng_chance(r, 50) ? 6 : 0.5f;
        break;
    case ACT_HARD_SIGMOID:
        act.alpha = 0.2f;
        act.beta = 0.5f;
        break;
    default:
        break;
    }
    return act;
}

size_t tables(const kernel_table *out[4]) {
    return kernels_available(out, 4);
}
