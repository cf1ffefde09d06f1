/* The poolings with windows on their kernel: sliding, adaptive, global, and pyramids. */
#include "ops/infer.h"
#include "ops/lower.h"
#include "ops/pool_window.h"
#include "plan/builder.h"

#include <assert.h>
#include <string.h>

#define POOL_FLOATS 8192 /* of output per tile */

typedef struct pool_step {
    pool_args a;
    void (*kernel)(const pool_args *a, const rows_tile *t);
    rows_grid grid;
} pool_step;

static void pool_tile_run(void *args, size_t index) {
    const pool_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernel(&s->a, &t);
}

static void pool_rows_run(const void *args, const conv_tile *t) {
    const pool_step *s = args;
    for (int b = t->ob0; b < t->ob1; b++)
        s->kernel(&s->a, &(rows_tile){t->n, b, t->y0, t->y1});
}

/* ---- operators ---- */

static const struct {
    const char *op;
    pool_kind kind;
    bool bins;
} pools[] = {
    {"AdaptiveAveragePool", POOL_AVERAGE, true},
    {"AdaptiveMaxPool", POOL_MAX, true},
    {"AveragePool", POOL_AVERAGE, false},
    {"GammaPool", POOL_GAMMA, false},
    {"GlobalAveragePool", POOL_AVERAGE, true},
    {"GlobalEntropyPool", POOL_ENTROPY, true},
    {"GlobalLpPool", POOL_LP, true},
    {"GlobalMaxPool", POOL_MAX, true},
    {"LpPool", POOL_LP, false},
    {"MaxPool", POOL_MAX, false},
    {"MixedPool", POOL_MIXED, false},
    {"StochasticPool", POOL_STOCHASTIC, false},
    {"SumPool", POOL_SUM, false},
    {"WeibullPool", POOL_WEIBULL, false},
};

static const char *const kind_names[] = {
    [POOL_MAX] = "pool_max",
    [POOL_SUM] = "pool_sum",
    [POOL_AVERAGE] = "pool_average",
    [POOL_LP] = "pool_lp",
    [POOL_MIXED] = "pool_mixed",
    [POOL_ENTROPY] = "pool_entropy",
    [POOL_GAMMA] = "pool_gamma",
    [POOL_WEIBULL] = "pool_weibull",
    [POOL_STOCHASTIC] = "pool_stochastic",
};

/* False for windows that are larger than the kernel takes. */
static bool read_window(const graph *g, const graph_node *node, pool_args *a) {
    op_window w;
    if (op_window_read(node, &op_input(g, node, 0)->shape, NULL, &w, NULL) != CNN_OK ||
        !plan_window_fits(&w))
        return false;
    a->kernel_h = (int)w.kernel[0];
    a->kernel_w = (int)w.kernel[1];
    a->stride_h = (int)w.stride[0];
    a->stride_w = (int)w.stride[1];
    a->dilation_h = (int)w.dilation[0];
    a->dilation_w = (int)w.dilation[1];
    a->pad_top = (int)w.pad_begin[0];
    a->pad_left = (int)w.pad_begin[1];
    a->pad_bottom = (int)w.pad_end[0];
    a->pad_right = (int)w.pad_end[1];
    return true;
}

static bool read_pool(const graph *g, const graph_node *node, pool_args *a) {
    size_t i = 0;
    while (i < ARRAY_LENGTH(pools) && strcmp(pools[i].op, node->op->name) != 0)
        i++;
    assert(i < ARRAY_LENGTH(pools));
    int64_t p = graph_attr_int(node, "p", 2);
    *a = (pool_args){.kind = pools[i].kind,
                     .bins = pools[i].bins,
                     .count_include_pad = graph_attr_int(node, "count_include_pad", 0) != 0,
                     .p = (int)MIN(p, INT32_MAX),
                     .column_major = graph_attr_int(node, "storage_order", 0) != 0};
    return a->bins || read_window(g, node, a);
}

static bool has_output(const graph_node *node, size_t i) {
    return i < node->output_count && node->outputs[i] >= 0;
}

bool pool_takes(const graph *g, const graph_node *node) {
    pool_args a;
    return plan_can_block(g, node->inputs[0]) && plan_can_block(g, node->outputs[0]) &&
           read_pool(g, node, &a) && (a.kind != POOL_MIXED || op_constant(g, node, 1));
}

static cnn_status read_alpha(plan_builder *b, const graph_node *node, pool_args *a,
                             cnn_error *err) {
    size_t channels = (size_t)op_input(b->g, node, 0)->shape.dims[1];
    return plan_pack_vector(b, op_constant(b->g, node, 1), 1, channels, LANES, &a->alpha, err);
}

cnn_status pool_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    pool_step s = {.kernel = b->kernels->pool};
    plan_blocked in, out, scale;
    plan_place indices;
    bool taken = read_pool(b->g, node, &s.a), second = has_output(node, 1);
    bool indexed = second && s.a.kind == POOL_MAX, scaled = second && !indexed;
    assert(taken);
    (void)taken;
    TRY(plan_read_blocked(b, node->inputs[0], &in, err));
    TRY(plan_write_blocked(b, node->outputs[0], &out, err));
    if (indexed) TRY(plan_write_plain(b, node->outputs[1], &indices, err));
    if (scaled) TRY(plan_write_blocked(b, node->outputs[1], &scale, err));
    if (s.a.kind == POOL_MIXED) TRY(read_alpha(b, node, &s.a, err));
    s.grid = plan_rows_grid(&out.geometry, POOL_FLOATS);
    size_t tiles = plan_rows_tiles(&s.grid, out.geometry.n);
    plan_step *step = plan_add_step(b, kind_names[s.a.kind], pool_tile_run, tiles, &s, sizeof(s));
    if (!step) return cnn_fail_memory(err, sizeof(s));
    if (!s.a.bins)
        step->strip = (strip_part){.role = STRIP_READER,
                                   .run = pool_rows_run,
                                   .in = offsetof(pool_step, a.in),
                                   .out = offsetof(pool_step, a.out),
                                   .extent = (s.a.kernel_h - 1) * s.a.dilation_h + 1,
                                   .stride = s.a.stride_h,
                                   .pad = s.a.pad_top};
    plan_connect_read_blocked(b, offsetof(pool_step, a.in), &in);
    plan_connect_write_blocked(b, offsetof(pool_step, a.out), &out);
    if (indexed) plan_connect_write(b, offsetof(pool_step, a.indices), &indices);
    if (scaled) plan_connect_write_blocked(b, offsetof(pool_step, a.scale), &scale);
    return CNN_OK;
}

/* ---- pyramids ---- */

/* Adaptive maxima of several levels into one plain (N, C * bins): a tile is a block at a level. */
typedef struct pyramid_step {
    pool_args a; /* the level is set by the tile */
    float *out;
    const kernel_table *kernels;
    size_t image;               /* floats of `out` */
    int sides[OP_LIST_MAX];     /* bins on an axis of each level */
    size_t firsts[OP_LIST_MAX]; /* where the level begins in an image */
    int levels;
} pyramid_step;

static void pyramid_tile_run(void *args, size_t index) {
    const pyramid_step *s = args;
    float row[POOL_MAX_LEVEL * LANES] __attribute__((aligned(CNN_ALIGN)));
    size_t level = index % (size_t)s->levels, plane = index / (size_t)s->levels;
    int n = (int)(plane / (size_t)s->a.in.blocks), block = (int)(plane % (size_t)s->a.in.blocks);
    pool_args a = s->a;
    /* without pitches each row of bins takes the place of the last */
    a.out = (blocked){.data = row, .n = a.in.n, .c = a.in.c, .lanes = LANES, .blocks = a.in.blocks};
    a.out.h = a.out.w = s->sides[level];
    float *out = s->out + (size_t)n * s->image + s->firsts[level];
    for (int y = 0; y < a.out.h; y++) {
        s->kernels->pool(&a, &(rows_tile){n, block, y, y + 1});
        s->kernels->unblock(&a.out, out, false, &(rows_tile){0, block, y, y + 1});
    }
}

bool pyramid_takes(const graph *g, const graph_node *node) {
    return plan_can_block(g, node->inputs[0]);
}

cnn_status pyramid_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    op_list levels = op_read_list(node, "levels", NULL);
    pyramid_step s = {.a = {.kind = POOL_MAX, .bins = true}, .kernels = b->kernels};
    plan_blocked in;
    plan_place out;
    TRY(plan_read_blocked(b, node->inputs[0], &in, err));
    TRY(plan_write_plain(b, node->outputs[0], &out, err));
    for (size_t i = 0; i < levels.count; i++) {
        s.sides[i] = (int)levels.values[i];
        s.firsts[i] = s.image;
        s.image += (size_t)in.geometry.c * (size_t)(levels.values[i] * levels.values[i]);
    }
    s.levels = (int)levels.count;
    size_t tiles = (size_t)in.geometry.n * (size_t)in.geometry.blocks * levels.count;
    if (!plan_add_step(b, "pool_max", pyramid_tile_run, tiles, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(pyramid_step, a.in), &in);
    plan_connect_write(b, offsetof(pyramid_step, out), &out);
    return CNN_OK;
}
