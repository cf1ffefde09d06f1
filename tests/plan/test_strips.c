/* Convolutions that are computed together with what reads them, strip by strip. */
#include "networks.h"

#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements between the two: more than need be for them to be joined, so that there are strips. */
#define LARGE (512 * 1024 / 4 + 1)

typedef struct pair {
    network n;
    cnn_shape input, between;
    int value; /* the activation between the two */
    const char *reader;
    const char *writer_kernel, *reader_kernel;
    char kernel[40]; /* of both */
    bool asked_for;  /* the activation, too */
} pair;

static int64_t below(pair *p, uint32_t limit) {
    return random_below(&p->n.random, limit);
}

/* ---- the writer ---- */

/* Tall, so that there are several strips; what Winograd's algorithm takes is not joined. */
static void add_shapes(pair *p, int64_t kernel, int64_t stride) {
    int64_t channels = stride > 1 ? 16 : 20 + below(p, 30), w = 9 + below(p, 40);
    int64_t h = LARGE / (channels * w) + 1 + below(p, 40), n = 1 + below(p, 2);
    p->between = SHAPE(n, channels, h, w);
    p->input = SHAPE(n, 1 + below(p, 12), (h - 1) * stride + kernel, (w - 1) * stride + kernel);
}

static int add_conv(pair *p, int x, int64_t kernel, int64_t stride) {
    graph_node *node;
    cnn_shape weights = SHAPE(p->between.dims[1], p->input.dims[1], kernel, kernel);
    int w = network_weights(&p->n, &weights, 0.3f);
    int bias = network_weights(&p->n, &SHAPE(p->between.dims[1]), 1);
    int y = network_node(&p->n, "Conv", &node, 3, x, w, bias);
    graph_add_attr_ints(node, "strides", (int64_t[]){stride, stride}, 2);
    return y;
}

static void add_writer(pair *p) {
    static const int64_t kernels[][2] = {{1, 1}, {1, 1}, {2, 1}, {3, 2}};
    static const char *const acts[] = {"Relu", "Sigmoid", "HardSwish"};
    const int64_t *k = kernels[below(p, 4)];
    add_shapes(p, k[0], k[1]);
    bool picture = k[1] == 2 && p->input.dims[1] <= 4;
    p->writer_kernel = picture ? "conv_planar" : "conv";
    int x = network_input(&p->n, &p->input);
    int residual = below(p, 3) == 0 ? add_conv(p, x, k[0], k[1]) : -1;
    p->n.g->opset = 14;
    p->value = add_conv(p, x, k[0], k[1]);
    if (residual >= 0) p->value = network_node(&p->n, "Add", NULL, 2, p->value, residual);
    uint32_t act = (uint32_t)below(p, 4);
    if (act < 3) p->value = network_node(&p->n, acts[act], NULL, 1, p->value);
}

/* ---- the reader ---- */

/* Kernel, stride, dilation and padding on both axes, such that each window reaches the input. */
static void add_window(pair *p, graph_node *node, const int64_t *kernel, bool shape) {
    int64_t stride[2], dilation[2], pads[4];
    for (int i = 0; i < 2; i++) {
        stride[i] = 1 + below(p, i == 0 ? 4 : 2);
        dilation[i] = 1 + below(p, 2);
        pads[i] = below(p, (uint32_t)kernel[i]);
        pads[i + 2] = below(p, (uint32_t)kernel[i]);
    }
    if (shape) graph_add_attr_ints(node, "kernel_shape", kernel, 2);
    graph_add_attr_ints(node, "strides", stride, 2);
    graph_add_attr_ints(node, "dilations", dilation, 2);
    graph_add_attr_ints(node, "pads", pads, 4);
}

static int add_depthwise(pair *p, const int64_t *kernel) {
    graph_node *node;
    int64_t c = p->between.dims[1], members = c % 4 == 0 ? 1 << below(p, 3) : 1;
    int w = network_weights(&p->n, &SHAPE(c, members, kernel[0], kernel[1]), 0.3f);
    int y = network_node(&p->n, "Conv", &node, 2, p->value, w);
    graph_add_attr_int(node, "group", c / members);
    add_window(p, node, kernel, false);
    p->reader_kernel = members > 1 ? "grouped" : "depthwise";
    return y;
}

static int add_pool(pair *p, const char *op, const char *kernel, const int64_t *extent) {
    graph_node *node;
    bool average = strcmp(op, "AveragePool") == 0;
    if (average) p->n.g->opset = 19; /* dilations */
    int y = network_node(&p->n, op, &node, 1, p->value);
    add_window(p, node, extent, true);
    graph_add_attr_int(node, "ceil_mode", below(p, 2));
    if (average) graph_add_attr_int(node, "count_include_pad", below(p, 2));
    p->reader_kernel = kernel;
    return y;
}

static void add_reader(pair *p) {
    int64_t kernel[] = {1 + below(p, 5), 1 + below(p, 5)};
    uint32_t kind = (uint32_t)below(p, 6);
    int y;
    if (kind < 3)
        y = add_depthwise(p, kernel);
    else if (kind < 5) {
        p->n.outputs = kind == 3 ? 1 : 2; /* with indices */
        y = add_pool(p, "MaxPool", "pool_max", kernel);
    } else
        y = add_pool(p, "AveragePool", "pool_average", kernel);
    p->reader = p->n.g->values[y].name;
    network_output(&p->n, y);
    if (kind == 4) network_output(&p->n, y + 1);
}

/* ---- trials ---- */

/* The pair of that number. */
static trial make_pair(cnn_runtime *rt, uint64_t seed, pair *p) {
    *p = (pair){0};
    network_begin(&p->n, seed);
    add_writer(p);
    add_reader(p);
    snprintf(p->kernel, sizeof p->kernel, "%s+%s", p->writer_kernel, p->reader_kernel);
    p->asked_for = below(p, 6) == 0;
    if (p->asked_for) network_output(&p->n, p->value);
    return trial_create(&p->n, rt, &p->input, NULL, 0);
}

static bool has_kernel(const trial *t, const char *kernel) {
    for (size_t i = 0; i < cnn_plan_step_count(t->plan); i++)
        if (strcmp(cnn_plan_step(t->plan, i).kernel, kernel) == 0) return true;
    return false;
}

static cnn_runtime *runtime_without(const char *isa, int threads, const char *list) {
    setenv("CNN_WITHOUT", list, 1);
    cnn_runtime *rt = make_runtime(isa, threads);
    unsetenv("CNN_WITHOUT");
    return rt;
}

/* Against the operators' own eval, and bit by bit against two steps; memory must serve again. */
static void check_pair(cnn_runtime *const *runtimes, size_t count, uint64_t seed) {
    char what[64];
    pair p;
    trial apart = make_pair(runtimes[0], seed, &p);
    cr_assert(!has_kernel(&apart, p.kernel));
    trial_run(&apart);
    for (size_t i = 1; i < count; i++) {
        snprintf(what, sizeof(what), "pair %llu, runtime %zu", (unsigned long long)seed, i);
        trial joined = make_pair(runtimes[i], seed, &p);
        cr_assert_eq(has_kernel(&joined, p.kernel), !p.asked_for, "%s, %s", what, p.kernel);
        trial_run(&joined);
        trial_run(&joined);
        if (i == 1) trial_check(&joined, what);
        trial_check_same(&apart, &joined, what);
        trial_free(&joined);
    }
    trial_free(&apart);
}

/* By 2x2 maxima. */
static int halved(network *n, int value) {
    graph_node *node;
    int pooled = network_node(n, "MaxPool", &node, 1, value);
    graph_add_attr_ints(node, "kernel_shape", (int64_t[]){2, 2}, 2);
    graph_add_attr_ints(node, "strides", (int64_t[]){2, 2}, 2);
    return pooled;
}

/* The step of the last `op` is of that kernel only, and all results are right. */
static void check_apart(network *n, const cnn_shape *shape, const char *op, const char *kernel) {
    cnn_runtime *rt = make_runtime(NULL, 1);
    trial t = trial_create(n, rt, shape, NULL, 0);
    const char *got = trial_kernel(&t, op);
    cr_assert_str_eq(got ? got : "", kernel);
    trial_run(&t);
    trial_check(&t, kernel);
    trial_free(&t);
    cnn_runtime_free(rt);
}

Test(strips, random_pairs_at_every_instruction_set) {
    const kernel_table *tables[8];
    size_t count = kernels_available(tables, 8);
    for (size_t i = 0; i < count; i++) {
        const char *isa = tables[i]->isa;
        cnn_runtime *runtimes[] = {runtime_without(isa, 1, "strips"), runtime_without(isa, 1, ""),
                                   runtime_without(isa, 3, "")};
        for (uint64_t seed = 100 * (i + 1); seed < 100 * (i + 1) + 24; seed++)
            check_pair(runtimes, 3, seed);
        for (size_t j = 0; j < 3; j++)
            cnn_runtime_free(runtimes[j]);
    }
}

/* The concatenation takes no step: it must not be mistaken for the only reader of what lies between
 * the newest two. */
Test(strips, a_node_without_steps_joins_nothing) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(1, 3, 64, 64);
    network_begin(&n, 9);
    int x = network_input(&n, &shape);
    int half = network_node(&n, "Conv", &node, 2, x, network_weights(&n, &SHAPE(32, 3, 1, 1), 1));
    graph_add_attr_ints(node, "strides", (int64_t[]){2, 2}, 2);
    int y = network_node(&n, "Conv", NULL, 2, x, network_weights(&n, &SHAPE(32, 3, 1, 1), 1));
    int pooled = halved(&n, y);
    network_output(&n, network_node(&n, "Concat", &node, 2, half, pooled));
    graph_add_attr_int(node, "axis", 1);
    network_output(&n, network_node(&n, "Relu", NULL, 1, y));
    check_apart(&n, &shape, "MaxPool", "pool_max");
}

/* The first blocks of what the pool reads are written last: both steps stay. */
Test(strips, a_part_of_what_is_read) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(2, 3, 90, 80);
    network_begin(&n, 9);
    int x = network_input(&n, &shape), parts[2];
    for (int i = 0; i < 2; i++) {
        int w = network_weights(&n, &SHAPE(32, 3, 1, 1), 1);
        parts[i] = network_node(&n, "Conv", NULL, 2, x, w);
    }
    int all = network_node(&n, "Concat", &node, 2, parts[1], parts[0]);
    graph_add_attr_int(node, "axis", 1);
    network_output(&n, network_node(&n, "MaxPool", &node, 1, all));
    graph_add_attr_ints(node, "kernel_shape", (int64_t[]){2, 2}, 2);
    check_apart(&n, &shape, "MaxPool", "pool_max");
}

/* ---- what is told about it ---- */

/* conv, relu, pool, and the memory of what is between them nowhere. */
Test(strips, layers_tell_where_they_went) {
    network n;
    cnn_plan *plan;
    cnn_summary *summary;
    network_begin(&n, 7);
    int x = network_input(&n, &SHAPE(1, 3, 128, 128));
    int w = network_weights(&n, &SHAPE(16, 3, 1, 1), 1);
    x = network_node(&n, "Relu", NULL, 1, network_node(&n, "Conv", NULL, 2, x, w));
    network_output(&n, halved(&n, x));
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = network_model(&n, rt);
    cr_assert_eq(cnn_plan_create(model, NULL, &plan, NULL), CNN_OK);
    cr_assert_eq(cnn_summary_create(model, NULL, &summary, NULL), CNN_OK);
    cnn_summary_add_plan(summary, plan);
    const cnn_layer *l = summary->layers;
    cr_assert_str_eq(l[0].kernel, "conv+pool_max");
    cr_assert_lt(l[0].bytes, 128 * 128 * 16 * sizeof(float));
    for (int i = 1; i < 3; i++)
        cr_assert(!l[i].kernel && l[i].bytes == 0 && strcmp(l[i].fused_into, l[0].name) == 0);
    cr_assert_lt(cnn_plan_arena_bytes(plan), 128 * 128 * 16 * sizeof(float));
    cnn_summary_free(summary);
    cnn_plan_free(plan);
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

/* Its MACs are those of both layers, its shape is what it writes. */
Test(strips, a_step_for_both_layers) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(1, 4, 64, 64);
    cnn_runtime *rt = make_runtime(NULL, 1);
    network_begin(&n, 8);
    int x = network_input(&n, &shape);
    int w = network_weights(&n, &SHAPE(48, 4, 1, 1), 1),
        d = network_weights(&n, &SHAPE(48, 1, 3, 3), 1);
    network_output(&n,
                   network_node(&n, "Conv", &node, 2, network_node(&n, "Conv", NULL, 2, x, w), d));
    graph_add_attr_int(node, "group", 48);
    trial t = trial_create(&n, rt, &shape, NULL, 0);
    for (size_t i = 0; i < cnn_plan_step_count(t.plan); i++) {
        cnn_step_info step = cnn_plan_step(t.plan, i);
        if (strcmp(step.op, "Conv") != 0) continue;
        cr_assert_str_eq(step.kernel, "conv+depthwise");
        cr_assert_eq(step.macs, 48 * 4 * 64 * 64 + 48 * 9 * 62 * 62);
        cr_assert(cnn_shape_equal(&step.shape, &SHAPE(1, 48, 62, 62)));
    }
    trial_free(&t);
    cnn_runtime_free(rt);
}

/* A view of planes of one pixel has the memory of what it views, but other channels. */
Test(strips, views_are_not_joined) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(64, 8, 1, 1);
    network_begin(&n, 9);
    int x = network_input(&n, &shape), w = network_weights(&n, &SHAPE(1024, 8, 1, 1), 1);
    int view = network_ints(&n, 4, (int64_t[]){32, 2048, 1, 1});
    x = network_node(&n, "Reshape", NULL, 2, network_node(&n, "Conv", NULL, 2, x, w), view);
    int d = network_weights(&n, &SHAPE(2048, 1, 1, 1), 1);
    network_output(&n, network_node(&n, "Conv", &node, 2, x, d));
    graph_add_attr_int(node, "group", 2048);
    check_apart(&n, &shape, "Conv", "depthwise");
}
