/*
 * Plans against plain evaluation: hundreds of random networks, with random tensors asked for, must
 * give what the original graph gives node by node, at every instruction set and number of threads.
 */
#include "networks.h"

#include "../graph/attrs.h"
#include "kernels/kernels.h"
#include "plan/plan.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- random networks ---- */

#define MAX_VALUES 40

typedef struct growing {
    network n;
    int values[MAX_VALUES]; /* of rank 4 */
    cnn_shape shapes[MAX_VALUES];
    int count;
} growing;

static uint32_t below(growing *g, uint32_t limit) {
    return random_below(&g->n.random, limit);
}

static void grow(growing *g, int value, const cnn_shape *shape) {
    g->values[g->count] = value;
    g->shapes[g->count++] = *shape;
}

static void grow_conv(growing *g, int from) {
    static const int channels[] = {1, 3, 8, 16, 17, 32, 48};
    cnn_shape in = g->shapes[from];
    int64_t c = in.dims[1], group = 1, oc = channels[below(g, 7)];
    if (below(g, 3) == 0) {
        group = c % 4 == 0 && below(g, 2) ? 4 : c;
        oc = group == c && below(g, 2) ? c : group * (1 + below(g, 8));
    }
    int64_t k = 1 + below(g, 3), d = 1 + below(g, 2), s = 1 + below(g, 2), pad = below(g, 3);
    int64_t h = in.dims[2] + 2 * pad - d * (k - 1) - 1, w = in.dims[3] + 2 * pad - d * (k - 1) - 1;
    if (h < 0 || w < 0) return;
    int64_t fan_in = c / group * k * k;
    float scale = 1.7f / sqrtf((float)fan_in);
    int weights = network_weights(&g->n, &SHAPE(oc, c / group, k, k), scale);
    int bias = below(g, 2) ? network_weights(&g->n, &SHAPE(oc), 0.5f) : -1;
    graph_node *node;
    int out = network_node(&g->n, "Conv", &node, 3, g->values[from], weights, bias);
    graph_add_attr_int(node, "group", group);
    graph_add_attr_ints(node, "strides", (int64_t[]){s, s}, 2);
    graph_add_attr_ints(node, "dilations", (int64_t[]){d, d}, 2);
    graph_add_attr_ints(node, "pads", (int64_t[]){pad, pad, pad, pad}, 4);
    grow(g, out, &SHAPE(in.dims[0], oc, h / s + 1, w / s + 1));
}

static void grow_activation(growing *g, int from) {
    static const char *const ops[] = {"Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "Clip"};
    const char *op = ops[below(g, 5)];
    if (strcmp(op, "Clip") == 0) {
        int low = network_weights(&g->n, &(cnn_shape){0}, 0.1f);
        *(float *)g->n.g->values[low].constant->data = -0.4f;
        grow(g, network_node(&g->n, op, NULL, 2, g->values[from], low), &g->shapes[from]);
        return;
    }
    grow(g, network_node(&g->n, op, NULL, 1, g->values[from]), &g->shapes[from]);
}

static void grow_batch_normalization(growing *g, int from) {
    int64_t c = g->shapes[from].dims[1];
    int p[4];
    for (int i = 0; i < 4; i++)
        p[i] = network_weights(&g->n, &SHAPE(c), 1);
    float *variance = g->n.g->values[p[3]].constant->data;
    for (int64_t i = 0; i < c; i++)
        variance[i] = 0.5f + fabsf(variance[i]);
    grow(
        g,
        network_node(&g->n, "BatchNormalization", NULL, 5, g->values[from], p[0], p[1], p[2], p[3]),
        &g->shapes[from]);
}

static void grow_pool(growing *g, int from) {
    cnn_shape s = g->shapes[from];
    int64_t k = 2 + below(g, 2), pad = below(g, 2);
    if (s.dims[2] + 2 * pad < k || s.dims[3] + 2 * pad < k) return;
    graph_node *node;
    bool max = below(g, 2);
    int out = network_node(&g->n, max ? "MaxPool" : "AveragePool", &node, 1, g->values[from]);
    graph_add_attr_ints(node, "kernel_shape", (int64_t[]){k, k}, 2);
    graph_add_attr_ints(node, "strides", (int64_t[]){2, 1}, 2);
    graph_add_attr_ints(node, "pads", (int64_t[]){pad, pad, pad, pad}, 4);
    if (!max) graph_add_attr_int(node, "count_include_pad", below(g, 2));
    s.dims[2] = (s.dims[2] + 2 * pad - k) / 2 + 1;
    s.dims[3] = s.dims[3] + 2 * pad - k + 1;
    grow(g, out, &s);
}

static void grow_global_pool(growing *g, int from) {
    cnn_shape s = g->shapes[from];
    const char *op = below(g, 2) ? "GlobalMaxPool" : "GlobalAveragePool";
    s.dims[2] = s.dims[3] = 1;
    grow(g, network_node(&g->n, op, NULL, 1, g->values[from]), &s);
}

static bool broadcasts_to(const cnn_shape *small, const cnn_shape *large) {
    for (int i = 0; i < 4; i++)
        if (small->dims[i] != large->dims[i] && small->dims[i] != 1) return false;
    return true;
}

/* A binary operator of `from` with any other value that fits, or with a constant. */
static void grow_binary(growing *g, int from) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    const cnn_shape *s = &g->shapes[from];
    const char *op = ops[below(g, 3)];
    int other = -1, start = (int)below(g, (uint32_t)g->count);
    for (int i = 0; i < g->count && other < 0; i++)
        if (broadcasts_to(&g->shapes[(start + i) % g->count], s))
            other = g->values[(start + i) % g->count];
    if (below(g, 4) == 0) {
        op = ops[below(g, 4)];
        cnn_shape shapes[] = {{0}, SHAPE(s->dims[1], 1, 1), SHAPE(s->dims[0], s->dims[1], 1, 1)};
        other = network_weights(&g->n, &shapes[below(g, 3)], 1);
        tensor *t = g->n.g->values[other].constant;
        for (size_t i = 0; i < t->elements; i++)
            ((float *)t->data)[i] += 2;
    }
    bool swap = below(g, 2) && strcmp(op, "Div") != 0;
    int a = swap ? other : g->values[from], b = swap ? g->values[from] : other;
    grow(g, network_node(&g->n, op, NULL, 2, a, b), s);
}

static void grow_concat(growing *g, int from) {
    int inputs[4] = {from}, count = 1;
    cnn_shape s = g->shapes[from];
    for (int i = g->count - 1; i >= 0 && count < 4; i--) {
        const cnn_shape *o = &g->shapes[i];
        if (i == from || o->dims[2] != s.dims[2] || o->dims[3] != s.dims[3] ||
            s.dims[1] + o->dims[1] > 200)
            continue;
        inputs[count++] = i;
        s.dims[1] += o->dims[1];
    }
    int v[4];
    for (int i = 0; i < 4; i++)
        v[i] = g->values[inputs[i % count]];
    graph_node *node;
    int out = network_node(&g->n, "Concat", &node, count, v[0], v[1], v[2], v[3]);
    graph_add_attr_int(node, "axis", 1);
    grow(g, out, &s);
}

static void grow_lrn(growing *g, int from) {
    graph_node *node;
    int out = network_node(&g->n, "LRN", &node, 1, g->values[from]);
    graph_add_attr_int(node, "size", 3 + (int64_t)below(g, 3));
    graph_add_attr_float(node, "alpha", 0.5f);
    grow(g, out, &g->shapes[from]);
}

static void grow_transpose(growing *g, int from) {
    graph_node *node;
    int there = network_node(&g->n, "Transpose", &node, 1, g->values[from]);
    graph_add_attr_ints(node, "perm", (int64_t[]){0, 2, 3, 1}, 4);
    int active = network_node(&g->n, "Relu", NULL, 1, there);
    int back = network_node(&g->n, "Transpose", &node, 1, active);
    graph_add_attr_ints(node, "perm", (int64_t[]){0, 3, 1, 2}, 4);
    grow(g, back, &g->shapes[from]);
}

static void grow_squeeze_excite(growing *g, int from) {
    const cnn_shape *s = &g->shapes[from];
    int64_t hidden = 1 + below(g, 40);
    grow(g, network_squeeze_excite(&g->n, g->values[from], s->dims[1], hidden, below(g, 2)), s);
}

/* Ends the network with Flatten, Gemm and Softmax. */
static int grow_classifier(growing *g, int from) {
    const cnn_shape *s = &g->shapes[from];
    int64_t k = s->dims[1] * s->dims[2] * s->dims[3], classes = 1 + below(g, 70);
    int flat = network_node(&g->n, "Flatten", NULL, 1, g->values[from]);
    int weights = network_weights(&g->n, &SHAPE(classes, k), 1 / sqrtf((float)k));
    int bias = network_weights(&g->n, &SHAPE(classes), 1);
    graph_node *node;
    int logits = network_node(&g->n, "Gemm", &node, 3, flat, weights, bias);
    graph_add_attr_int(node, "transB", 1);
    graph_add_attr_float(node, "alpha", 0.5f);
    return network_node(&g->n, "Softmax", NULL, 1, logits);
}

static void grow_one(growing *g) {
    /* Mostly from the newest value, so that chains form; else from any, so that branches do. */
    int from = below(g, 3) ? g->count - 1 : (int)below(g, (uint32_t)g->count);
    switch (below(g, 15)) {
    case 0:
    case 1:
    case 2:
    case 3:
        grow_conv(g, from);
        break;
    case 4:
    case 5:
        grow_activation(g, from);
        break;
    case 6:
        grow_batch_normalization(g, from);
        break;
    case 7:
        grow_pool(g, from);
        break;
    case 8:
    case 9:
        grow_binary(g, from);
        break;
    case 10:
    case 11:
        grow_concat(g, from);
        break;
    case 12:
        below(g, 2) ? grow_lrn(g, from) : grow_transpose(g, from);
        break;
    case 13:
        grow_squeeze_excite(g, from);
        break;
    default:
        if (below(g, 3) == 0) grow_global_pool(g, from);
    }
}

typedef struct wanted {
    const char *names[MAX_VALUES];
    size_t count;
} wanted;

static wanted choose_outputs(growing *g, int last) {
    wanted w = {.names = {g->n.g->values[last].name}, .count = 1};
    for (int i = 1; i < g->count; i++)
        if (below(g, 5) == 0 && g->values[i] != last)
            w.names[w.count++] = g->n.g->values[g->values[i]].name;
    return w;
}

/* The network of that number, with some of its tensors asked for. */
static trial random_network(cnn_runtime *rt, uint64_t seed) {
    static const int channels[] = {1, 2, 3, 4, 5, 16, 20, 32};
    growing g = {0};
    network_begin(&g.n, seed);
    cnn_shape shape =
        SHAPE(1 + below(&g, 3), channels[below(&g, 8)], 4 + below(&g, 14), 4 + below(&g, 14));
    grow(&g, network_input(&g.n, &shape), &shape);
    uint32_t length = 3 + below(&g, 20);
    for (uint32_t i = 0; i < length; i++)
        grow_one(&g);
    int last = grow_classifier(&g, g.count - 1);
    network_output(&g.n, last);
    wanted w = choose_outputs(&g, last);
    return trial_create(&g.n, rt, &shape, w.names, w.count);
}

/* ---- checks ---- */

/*
 * Each session runs twice, since its memory must serve again; every run must give the same bits,
 * whatever the number of threads.
 */
static void check_network(cnn_runtime *one, cnn_runtime *three, uint64_t seed) {
    char what[64];
    snprintf(what, sizeof(what), "network %llu", (unsigned long long)seed);
    trial t = random_network(one, seed), threaded = random_network(three, seed);
    trial_run(&t);
    trial_run(&t);
    trial_check(&t, what);
    for (int run = 0; run < 2; run++) {
        trial_run(&threaded);
        trial_check_same(&t, &threaded, what);
    }
    trial_free(&t);
    trial_free(&threaded);
}

Test(plan, random_networks_at_every_instruction_set) {
    const kernel_table *tables[8];
    size_t count = kernels_available(tables, 8);
    for (size_t i = 0; i < count; i++) {
        cnn_runtime *one = make_runtime(tables[i]->isa, 1),
                    *three = make_runtime(tables[i]->isa, 3);
        for (uint64_t seed = 1000 * (i + 1); seed < 1000 * (i + 1) + 150; seed++)
            check_network(one, three, seed);
        cnn_runtime_free(one);
        cnn_runtime_free(three);
    }
}

/* For measuring what they bring; see docs/performance.md. */
Test(plan, techniques_can_be_left_out) {
    static const char *const lists[] = {"channels",  "fold",   "fuse",    "grouped",
                                        "overwrite", "planar", "squeeze", "placement,winograd"};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        setenv("CNN_WITHOUT", lists[i], 1);
        cnn_runtime *one = make_runtime(NULL, 1), *three = make_runtime(NULL, 3);
        for (uint64_t seed = 9000 + 30 * i; seed < 9030 + 30 * i; seed++)
            check_network(one, three, seed);
        cnn_runtime_free(one);
        cnn_runtime_free(three);
    }
    unsetenv("CNN_WITHOUT");
}

static void check_kernel_without(const char *list, const char *kernel) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(1, 64, 28, 28);
    setenv("CNN_WITHOUT", list, 1);
    cnn_runtime *rt = make_runtime(NULL, 1);
    network_begin(&n, 5);
    int x = network_input(&n, &shape), w = network_weights(&n, &SHAPE(64, 64, 3, 3), 0.05f);
    network_output(&n, network_node(&n, "Conv", &node, 2, x, w));
    graph_add_attr_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    trial t = trial_create(&n, rt, &shape, NULL, 0);
    cr_assert_str_eq(trial_kernel(&t, "Conv"), kernel, "without %s", list);
    trial_free(&t);
    cnn_runtime_free(rt);
}

Test(plan, a_technique_left_out_is_not_used) {
    cnn_error err;
    cnn_runtime *rt = NULL;
    check_kernel_without("", "winograd_4x4");
    check_kernel_without("fold,winograd", "conv");
    setenv("CNN_WITHOUT", "fold,magic", 1);
    cr_assert_eq(cnn_runtime_create(NULL, &rt, &err), CNN_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.message, "'magic'"), "%s", err.message);
    unsetenv("CNN_WITHOUT");
}

/* x + conv(x): the sum must not take over x's memory while other tiles still read it. */
Test(plan, a_residual_that_is_also_convolved_stays_intact) {
    network n;
    cnn_runtime *rt = make_runtime(NULL, 2);
    cnn_shape shape = SHAPE(1, 64, 9, 9);
    network_begin(&n, 11);
    int x = network_node(&n, "Relu", NULL, 1, network_input(&n, &shape));
    int c = network_node(&n, "Conv", NULL, 2, x, network_weights(&n, &SHAPE(64, 64, 1, 1), 0.2f));
    network_output(&n, network_node(&n, "Add", NULL, 2, c, x));
    trial t = trial_create(&n, rt, &shape, NULL, 0);
    trial_run(&t);
    trial_check(&t, "x + conv(x)");
    trial_free(&t);
    cnn_runtime_free(rt);
}

/* ---- memory and sharing ---- */

/* Six convolutions with activations. */
static void chain(network *n, cnn_shape *shape) {
    network_begin(n, 7);
    *shape = SHAPE(1, 16, 32, 32);
    int v = network_input(n, shape);
    for (int i = 0; i < 6; i++) {
        int w = network_weights(n, &SHAPE(16, 16, 3, 3), 0.1f);
        graph_node *node;
        v = network_node(n, "Conv", &node, 2, v, w);
        graph_add_attr_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4);
        v = network_node(n, "Relu", NULL, 1, v);
    }
    network_output(n, v);
}

static cnn_model *chain_model(cnn_runtime *rt) {
    network n;
    cnn_shape shape;
    chain(&n, &shape);
    return network_model(&n, rt);
}

/* A buffer that lives from step `first` to `last`. */
static plan_buffer alive(int first, int last, size_t bytes) {
    return (plan_buffer){.bytes = bytes, .parent = -1, .first = first, .last = last};
}

/* 7 are alive at step 2. Largest first, each at the lowest offset, they would take 9. */
Test(plan, placement_meets_the_lower_bound_where_one_order_does_not) {
    plan_buffer buffers[] = {alive(2, 3, 64 * 2), alive(1, 2, 64 * 3), alive(3, 4, 64 * 2),
                             alive(4, 5, 64 * 3), alive(0, 3, 64 * 2)};
    cnn_plan plan = {.buffers = buffers, .buffer_count = ARRAY_LENGTH(buffers), .step_count = 6};
    cr_assert(plan_place_memory(&plan));
    cr_assert_eq(plan.live_bytes, 64 * 7);
    cr_assert_eq(plan.arena_bytes, 64 * 7);
    for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
        for (size_t j = 0; j < i; j++) {
            const plan_buffer *a = &buffers[i], *b = &buffers[j];
            bool together = a->first <= b->last && b->first <= a->last;
            bool apart = a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset;
            cr_assert(apart || !together, "%zu and %zu overlap", i, j);
        }
}

Test(plan, a_chain_needs_the_memory_of_its_largest_pair) {
    cnn_plan *plan;
    cnn_error err;
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = chain_model(rt);
    cr_assert_eq(cnn_plan_create(model, NULL, &plan, &err), CNN_OK, "%s", err.message);
    size_t live = cnn_plan_live_bytes(plan);
    cr_assert_leq(cnn_plan_arena_bytes(plan), live + live / 10);
    cr_assert_leq(live, 2 * 34 * 34 * 16 * sizeof(float) + 128);
    cr_assert_geq(live, 2 * 32 * 32 * 16 * sizeof(float));
    cnn_plan_free(plan);
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

Test(plan, plans_of_a_model_share_packed_weights) {
    cnn_plan *first, *second;
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = chain_model(rt);
    cr_assert_eq(cnn_plan_create(model, NULL, &first, NULL), CNN_OK);
    size_t bytes = cnn_model_weights_bytes(model);
    cr_assert_geq(bytes, 6 * 16 * 16 * 9 * sizeof(float));
    const char *output = "Relu6";
    cnn_plan_options o = {.outputs = &output, .output_count = 1};
    cr_assert_eq(cnn_plan_create(model, &o, &second, NULL), CNN_OK);
    cr_assert_eq(cnn_model_weights_bytes(model), bytes);
    cr_assert_lt(cnn_plan_step_count(second), cnn_plan_step_count(first));
    cnn_plan_free(first);
    cr_assert_lt(cnn_model_weights_bytes(model), bytes);
    cnn_plan_free(second);
    cr_assert_eq(cnn_model_weights_bytes(model), 0);
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

/* ---- layers ---- */

static cnn_summary *planned_summary(network *n) {
    cnn_plan *plan;
    cnn_summary *summary;
    cnn_error err;
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = network_model(n, rt);
    cr_assert_eq(cnn_plan_create(model, NULL, &plan, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(cnn_summary_create(model, NULL, &summary, &err), CNN_OK, "%s", err.message);
    cr_assert_not(summary->planned);
    cnn_summary_add_plan(summary, plan);
    cr_assert(summary->planned);
    cnn_plan_free(plan);
    cnn_model_free(model);
    cnn_runtime_free(rt);
    return summary;
}

/* What is fused has no kernel of its own, and each but the last writes a halo of 1. */
Test(plan, layers_get_kernels_and_memory) {
    network n;
    cnn_shape shape;
    chain(&n, &shape);
    cnn_summary *summary = planned_summary(&n);
    cr_assert_eq(summary->layer_count, 12);
    for (size_t i = 0; i < 12; i++) {
        const cnn_layer *l = &summary->layers[i];
        size_t side = i == 10 ? 32 : 34;
        cr_assert_eq(l->node, (int)i);
        if (i % 2)
            cr_assert(!l->kernel && l->bytes == 0);
        else
            cr_assert(l->kernel && l->bytes >= side * side * 16 * sizeof(float));
    }
    cnn_summary_free(summary);
}

static void expect_window(const cnn_layer *l, const cnn_window *want) {
    cr_assert_eq(l->window.spatial, want->spatial, "%s", l->op);
    cr_assert_eq(l->window.group, want->group, "%s", l->op);
    for (int i = 0; i < want->spatial; i++)
        cr_assert(l->window.kernel[i] == want->kernel[i] &&
                      l->window.strides[i] == want->strides[i] &&
                      l->window.dilations[i] == want->dilations[i] &&
                      l->window.pads_begin[i] == want->pads_begin[i] &&
                      l->window.pads_end[i] == want->pads_end[i],
                  "%s, axis %d", l->op, i);
}

static void add_ints(graph_node *node, const char *name, int count, const int64_t *ints) {
    cr_assert(graph_add_attr_ints(node, name, ints, (size_t)count));
}

/* Conv of 10 to 5 rows needs (5 - 1) * 2 + 3 - 10 = 1 row of padding, which SAME_UPPER puts last.
 */
Test(plan, layers_tell_their_windows_and_inputs) {
    network n;
    graph_node *node;
    cnn_summary *summary;
    cnn_error err;
    network_begin(&n, 5);
    int x = network_input(&n, &SHAPE(1, 4, 10, 10));
    int conv = network_node(&n, "Conv", &node, 2, x, network_weights(&n, &SHAPE(8, 2, 3, 3), 1));
    cr_assert(graph_add_attr_int(node, "group", 2));
    add_attr_string(node, "auto_pad", "SAME_UPPER");
    add_ints(node, "strides", 2, (int64_t[]){2, 2});
    int up = network_node(&n, "ConvTranspose", &node, 2, conv,
                          network_weights(&n, &SHAPE(8, 3, 2, 2), 1));
    add_ints(node, "strides", 2, (int64_t[]){2, 2});
    int pool = network_node(&n, "MaxPool", &node, 1, up);
    add_ints(node, "kernel_shape", 2, (int64_t[]){2, 3});
    add_ints(node, "dilations", 2, (int64_t[]){1, 2});
    add_ints(node, "pads", 4, (int64_t[]){0, 2, 1, 2});
    network_output(&n, network_node(&n, "Add", NULL, 2, pool, up));
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = network_model(&n, rt);
    cr_assert_eq(cnn_summary_create(model, NULL, &summary, &err), CNN_OK, "%s", err.message);
    const cnn_layer *l = summary->layers;
    expect_window(&l[0], &(cnn_window){2, {3, 3}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, 2});
    expect_window(&l[1], &(cnn_window){2, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, 1});
    expect_window(&l[2], &(cnn_window){2, {2, 3}, {1, 1}, {1, 2}, {0, 2}, {1, 2}, 0});
    expect_window(&l[3], &(cnn_window){0});
    cr_assert_eq(l[0].input_count, 1, "the weight is a constant");
    cr_assert_str_eq(l[0].inputs[0], cnn_model_input(model, 0).name);
    cr_assert_eq(l[3].input_count, 2);
    cr_assert_str_eq(l[3].inputs[0], l[2].output.name);
    cr_assert_str_eq(l[3].inputs[1], l[1].output.name);
    cnn_summary_free(summary);
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

/* Options of later versions are not passed over in silence. */
Test(plan, reserved_options_are_zero) {
    cnn_plan *plan = NULL;
    cnn_error err;
    network n;
    network_begin(&n, 5);
    int x = network_input(&n, &SHAPE(2, 8));
    network_output(&n, network_node(&n, "Relu", NULL, 1, x));
    cnn_runtime *rt = make_runtime(NULL, 1), *none = NULL;
    cnn_model *model = network_model(&n, rt);
    cnn_runtime_options runtime = {.reserved = {[7] = 1}};
    cnn_plan_options options = {.reserved = {1}};
    cr_assert_eq(cnn_plan_create(model, &options, &plan, &err), CNN_INVALID_ARGUMENT);
    cr_assert(!plan && strstr(err.message, "zero"), "%s", err.message);
    cr_assert_eq(cnn_runtime_create(&runtime, &none, &err), CNN_INVALID_ARGUMENT);
    cr_assert(!none && strstr(err.message, "zero"), "%s", err.message);
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

/* The layer with the parameters, not the sum behind it. */
Test(plan, a_rewritten_layer_keeps_its_place) {
    network n;
    network_begin(&n, 5);
    int x = network_input(&n, &SHAPE(2, 8));
    int product = network_node(&n, "MatMul", NULL, 2, x, network_weights(&n, &SHAPE(8, 3), 1));
    int sum = network_node(&n, "Add", NULL, 2, product, network_weights(&n, &SHAPE(3), 1));
    network_output(&n, network_node(&n, "Relu", NULL, 1, sum));
    cnn_summary *summary = planned_summary(&n);
    cr_assert_str_eq(summary->layers[0].kernel, "gemm");
    cr_assert_eq(summary->layers[0].bytes, 2 * 3 * sizeof(float));
    cr_assert_null(summary->layers[1].kernel);
    cr_assert_null(summary->layers[2].kernel);
    cnn_summary_free(summary);
}

/* A copy made piece by piece counts once. */
Test(plan, a_concat_writes_its_output_once) {
    network n;
    graph_node *node;
    network_begin(&n, 5);
    int a = network_input(&n, &SHAPE(2, 3)), b = network_input(&n, &SHAPE(2, 5));
    network_output(&n, network_node(&n, "Concat", &node, 2, a, b));
    cr_assert(graph_add_attr_int(node, "axis", 1));
    cnn_summary *summary = planned_summary(&n);
    cr_assert_str_eq(summary->layers[0].kernel, "concat");
    cr_assert_eq(summary->layers[0].bytes, 2 * 8 * sizeof(float));
    cnn_summary_free(summary);
}

/* ---- values given ---- */

/* in0 and in1 are (2, 6); the output is Reshape(in0 + in1, shape), shape being -in2 */
static cnn_model *reshaping(cnn_runtime *rt) {
    network n;
    network_begin(&n, 3);
    int a = network_input(&n, &SHAPE(2, 6)), b = network_input(&n, &SHAPE(2, 6));
    int shape = network_input(&n, &SHAPE(-1));
    n.g->values[shape].dtype = CNN_INT64;
    int negated = network_node(&n, "Neg", NULL, 1, shape);
    int sum = network_node(&n, "Add", NULL, 2, a, b);
    network_output(&n, network_node(&n, "Reshape", NULL, 2, sum, negated));
    return network_model(&n, rt);
}

static cnn_tensor *make_tensor(cnn_dtype dtype, cnn_shape shape, const void *data) {
    cnn_tensor *t;
    cnn_error err;
    cr_assert_eq(cnn_tensor_create(dtype, &shape, data, &t, &err), CNN_OK, "%s", err.message);
    return t;
}

Test(plan, values_of_inputs_can_be_given) {
    cnn_plan *plan;
    cnn_session *session;
    cnn_error err;
    float tens[12];
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = reshaping(rt);
    cnn_shape shapes[] = {SHAPE(2, 6), SHAPE(2, 6), SHAPE(7)}; /* the last is not looked at */
    for (int i = 0; i < 12; i++)
        tens[i] = 10 * (float)i;
    cnn_tensor *values[] = {make_tensor(CNN_FLOAT32, SHAPE(2, 6), tens), NULL,
                            make_tensor(CNN_INT64, SHAPE(2), (int64_t[]){-3, -4})};
    cnn_plan_options o = {.input_shapes = shapes,
                          .input_values = (const cnn_tensor *const *)values};
    cr_assert_eq(cnn_plan_create(model, &o, &plan, &err), CNN_OK, "%s", err.message);
    cnn_tensor_free(values[0]);
    cnn_tensor_free(values[2]);
    cnn_model_free(model);
    cr_assert_eq(cnn_plan_input_count(plan), 1);
    cr_assert_str_eq(cnn_plan_input(plan, 0).name, "in1");
    cnn_shape got = cnn_plan_output(plan, 0).shape;
    cr_assert(cnn_shape_equal(&got, &SHAPE(3, 4)));
    cr_assert_eq(cnn_session_create(plan, &session, &err), CNN_OK, "%s", err.message);
    for (int run = 0; run < 2; run++) {
        for (int i = 0; i < 12; i++)
            ((float *)cnn_session_input(session, 0))[i] = (float)(run + i);
        cnn_session_run(session);
        for (int i = 0; i < 12; i++)
            cr_assert_eq(((const float *)cnn_session_output(session, 0))[i], (float)(11 * i + run));
    }
    cnn_session_free(session);
    cnn_plan_free(plan);
    cnn_runtime_free(rt);
}

Test(plan, needs_no_input_at_all) {
    cnn_plan *plan;
    cnn_session *session;
    cnn_error err;
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = reshaping(rt);
    float ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    cnn_tensor *t = make_tensor(CNN_FLOAT32, SHAPE(2, 6), ones);
    cnn_tensor *shape = make_tensor(CNN_INT64, SHAPE(1), (int64_t[]){-12});
    cnn_plan_options o = {.input_values = (const cnn_tensor *const[]){t, t, shape}};
    cr_assert_eq(cnn_plan_create(model, &o, &plan, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(cnn_plan_input_count(plan), 0);
    cr_assert_eq(cnn_session_create(plan, &session, &err), CNN_OK, "%s", err.message);
    cnn_session_run(session);
    for (int i = 0; i < 12; i++)
        cr_assert_eq(((const float *)cnn_session_output(session, 0))[i], 2);
    cnn_session_free(session);
    cnn_plan_free(plan);
    cnn_tensor_free(t);
    cnn_tensor_free(shape);
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

/* By way of the nodes between; the other inputs have no part in it. */
Test(plan, an_input_whose_value_is_needed_is_named) {
    cnn_plan *plan;
    cnn_error err;
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = reshaping(rt);
    cnn_shape shapes[] = {SHAPE(2, 6), SHAPE(2, 6), SHAPE(2)};
    cnn_plan_options o = {.input_shapes = shapes};
    cr_assert_eq(cnn_plan_create(model, &o, &plan, &err), CNN_VALUE_NEEDED);
    cr_assert_str_eq(err.message, "Reshape: shape must be known before the run, but depends on the "
                                  "value of input 'in2': give it in input_values");
    float number = 0;
    cnn_tensor *wrong = make_tensor(CNN_FLOAT32, SHAPE(1, 1), &number);
    o.input_values = (const cnn_tensor *const[]){wrong, NULL, NULL};
    cr_assert_eq(cnn_plan_create(model, &o, &plan, &err), CNN_INVALID_ARGUMENT);
    cr_assert_str_eq(err.message, "input 'in0': shape 1x1 does not fit the model's 2x6");
    cnn_tensor_free(wrong);
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

Test(plan, unknown_tensors_are_named) {
    cnn_plan *plan;
    cnn_error err;
    cnn_runtime *rt = make_runtime(NULL, 1);
    cnn_model *model = chain_model(rt);
    const char *output = "pool9";
    cnn_plan_options o = {.outputs = &output, .output_count = 1};
    cr_assert_eq(cnn_plan_create(model, &o, &plan, &err), CNN_NOT_FOUND);
    cr_assert_str_eq(err.message, "the model has no tensor 'pool9'");
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

Test(plan, results_do_not_depend_on_threads) {
    network n;
    cnn_shape shape;
    trial trials[4];
    cnn_runtime *runtimes[4];
    for (int i = 0; i < 4; i++) {
        runtimes[i] = make_runtime(NULL, i + 1);
        chain(&n, &shape);
        trials[i] = trial_create(&n, runtimes[i], &shape, NULL, 0);
        trial_run(&trials[i]);
        trial_check_same(&trials[0], &trials[i], "chain");
    }
    for (int i = 0; i < 4; i++) {
        trial_free(&trials[i]);
        cnn_runtime_free(runtimes[i]);
    }
}
