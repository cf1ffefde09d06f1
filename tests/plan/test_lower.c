/* Which nodes kernels take: those that they can, and no others. */
#include "networks.h"

#include "graph/attrs.h"

#include "ops/lower.h"
#include "plan/builder.h"
#include "run/tuning.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Ends the network with `value`, made by a node `op`, which must run on that kernel (NULL: without
 * a step), and holds its plan against the evaluation.
 */
static void check(network *n, int value, const cnn_shape *shape, const char *op,
                  const char *kernel) {
    cnn_runtime *rt = make_runtime(NULL, 2);
    network_output(n, value);
    trial t = trial_create(n, rt, shape, NULL, 0);
    const char *got = trial_kernel(&t, op);
    cr_assert_str_eq(got ? got : "", kernel ? kernel : "", "%s runs on '%s'", op, got);
    trial_run(&t);
    trial_check(&t, op);
    trial_free(&t);
    cnn_runtime_free(rt);
}

/* ---- a node for each entry of the table ---- */

typedef int add_fn(network *n, const char *op, int x);

static int add_unary(network *n, const char *op, int x) {
    if (strcmp(op, "HardSwish") == 0) n->g->opset = 14;
    return network_node(n, op, NULL, 1, x);
}

static int add_binary(network *n, const char *op, int x) {
    int other = network_weights(n, &SHAPE(2, 16, 6, 7), 1);
    tensor *t = n->g->values[other].constant;
    for (size_t i = 0; i < t->elements; i++)
        ((float *)t->data)[i] += 2; /* a divisor */
    return network_node(n, op, NULL, 2, x, other);
}

static int add_product(network *n, const char *op, int x) {
    int flat = network_node(n, "Flatten", NULL, 1, x);
    return network_node(n, op, NULL, 2, flat, network_weights(n, &SHAPE(16 * 6 * 7, 9), 0.1f));
}

static int add_conv(network *n, const char *op, int x) {
    return network_node(n, op, NULL, 2, x, network_weights(n, &SHAPE(20, 16, 3, 2), 0.2f));
}

static int add_norm(network *n, const char *op, const cnn_shape *shape, graph_node **node, int x) {
    int p[4];
    for (int i = 0; i < 4; i++)
        p[i] = network_weights(n, shape, 1);
    tensor *variance = n->g->values[p[3]].constant;
    for (size_t i = 0; i < variance->elements; i++)
        ((float *)variance->data)[i] += 2;
    return network_node(n, op, node, 5, x, p[0], p[1], p[2], p[3]);
}

static int add_channel_norm(network *n, const char *op, int x) {
    return add_norm(n, op, &SHAPE(16), NULL, x);
}

static int add_pool(network *n, const char *op, int x) {
    graph_node *node;
    int y = network_node(n, op, &node, 1, x);
    graph_add_attr_ints(node, "kernel_shape", (int64_t[]){2, 2}, 2);
    return y;
}

static int add_lrn(network *n, const char *op, int x) {
    graph_node *node;
    int y = network_node(n, op, &node, 1, x);
    graph_add_attr_int(node, "size", 5);
    return y;
}

static int add_concat(network *n, const char *op, int x) {
    graph_node *node;
    int y = network_node(n, op, &node, 2, x, x);
    graph_add_attr_int(node, "axis", 1);
    return y;
}

static int add_transpose(network *n, const char *op, int x) {
    graph_node *node;
    int y = network_node(n, op, &node, 1, x);
    graph_add_attr_ints(node, "perm", (int64_t[]){0, 2, 3, 1}, 4);
    return y;
}

static int add_pad(network *n, const char *op, int x) {
    return network_node(n, op, NULL, 2, x,
                        network_ints(n, 8, (int64_t[]){1, 0, 2, -1, 0, 3, 0, 4}));
}

static int add_resize(network *n, const char *op, int x) {
    return network_node(n, op, NULL, 4, x, -1, -1, network_ints(n, 4, (int64_t[]){2, 16, 12, 28}));
}

static int add_upsample(network *n, const char *op, int x) {
    graph_node *node;
    n->g->opset = 7;
    int y = network_node(n, op, &node, 1, x);
    add_attr_floats(node, "scales", 4, (float[]){1, 1, 2, 2});
    return y;
}

static int add_reduction(network *n, const char *op, int x) {
    graph_node *node;
    if (strcmp(op, "ReduceSum") == 0)
        return network_node(n, op, NULL, 2, x, network_ints(n, 2, (int64_t[]){2, -1}));
    int y = network_node(n, op, &node, 1, x);
    graph_add_attr_ints(node, "axes", (int64_t[]){1, 2}, 2);
    return y;
}

static int add_layer_norm(network *n, const char *op, int x) {
    graph_node *node;
    n->g->opset = 17;
    int scale = network_weights(n, &SHAPE(6, 7), 1), bias = network_weights(n, &SHAPE(6, 7), 1);
    int y = network_node(n, op, &node, 3, x, scale, bias);
    graph_add_attr_int(node, "axis", 2);
    return y;
}

static int add_layer_norm_2d(network *n, const char *op, int x) {
    int scale = network_weights(n, &SHAPE(16), 1);
    return network_node(n, op, NULL, 2, x, scale);
}

static int add_gelu(network *n, const char *op, int x) {
    n->g->opset = 20;
    return network_node(n, op, NULL, 1, x);
}

static int add_reshape(network *n, const char *op, int x) {
    return network_node(n, op, NULL, 2, x, network_ints(n, 2, (int64_t[]){2, -1}));
}

static int add_block_size(network *n, const char *op, int x) {
    graph_node *node;
    bool depth = strcmp(op, "DepthToSpace") == 0;
    int part = depth ? x
                     : network_node(n, "Slice", NULL, 3, x, network_ints(n, 1, (int64_t[]){0}),
                                    network_ints(n, 1, (int64_t[]){1}));
    int even = network_node(n, "Concat", &node, 2, part, part);
    graph_add_attr_int(node, "axis", 3);
    int y = network_node(n, op, &node, 1, even);
    graph_add_attr_int(node, "blocksize", 2);
    return y;
}

static int add_expand(network *n, const char *op, int x) {
    return network_node(n, op, NULL, 2, x, network_ints(n, 5, (int64_t[]){3, 1, 1, 1, 1}));
}

static int add_gather(network *n, const char *op, int x) {
    graph_node *node;
    int y = network_node(n, op, &node, 2, x, network_ints(n, 3, (int64_t[]){5, 3, 1}));
    graph_add_attr_int(node, "axis", 2);
    return y;
}

/* Elements 5, 3 and 1 of the third axis. */
static int add_slice(network *n, const char *op, int x) {
    return network_node(n, op, NULL, 5, x, network_ints(n, 1, (int64_t[]){-1}),
                        network_ints(n, 1, (int64_t[]){-10}), network_ints(n, 1, (int64_t[]){2}),
                        network_ints(n, 1, (int64_t[]){-2}));
}

/* Channels 5 to 15 with channels 0 to 4 behind them. */
static int add_split(network *n, const char *op, int x) {
    graph_node *node, *concat;
    int first = network_node(n, op, &node, 2, x, network_ints(n, 2, (int64_t[]){5, 11}));
    graph_add_attr_int(node, "axis", 1);
    int second = graph_add_value(n->g, "second");
    n->g->values[second].producer = n->g->values[first].producer;
    node->outputs = realloc(node->outputs, 2 * sizeof(*node->outputs));
    node->outputs[node->output_count++] = second;
    int y = network_node(n, "Concat", &concat, 2, second, first);
    graph_add_attr_int(concat, "axis", 1);
    return y;
}

static int add_perm(network *n, int x, const int64_t *perm, size_t rank) {
    graph_node *node;
    int y = network_node(n, "Transpose", &node, 1, x);
    graph_add_attr_ints(node, "perm", perm, rank);
    return y;
}

static int add_unsqueeze(network *n, const char *op, int x) {
    return network_node(n, op, NULL, 2, x, network_ints(n, 1, (int64_t[]){0}));
}

static int add_squeeze(network *n, const char *op, int x) {
    return network_node(n, op, NULL, 2, add_unsqueeze(n, "Unsqueeze", x),
                        network_ints(n, 1, (int64_t[]){0}));
}

/* Windows that are clipped, with padding; positive and negative numbers. */
static int add_own_pool(network *n, const char *op, int x) {
    graph_node *node;
    bool mixed = strcmp(op, "MixedPool") == 0;
    int y = network_node(n, op, &node, mixed ? 2 : 1, x, network_weights(n, &SHAPE(16), 1));
    graph_add_attr_ints(node, "kernel_shape", (int64_t[]){3, 2}, 2);
    graph_add_attr_ints(node, "pads", (int64_t[]){1, 0, 1, 1}, 4);
    return y;
}

static int add_adaptive_pool(network *n, const char *op, int x) {
    graph_node *node;
    int y = network_node(n, op, &node, 1, x);
    graph_add_attr_ints(node, "output_size", (int64_t[]){4, 3}, 2);
    return y;
}

static int add_pyramid_pool(network *n, const char *op, int x) {
    graph_node *node;
    int y = network_node(n, op, &node, 1, x);
    graph_add_attr_ints(node, "levels", (int64_t[]){1, 2, 9}, 3);
    return y;
}

/* Positions of maxima of 2x2 windows, which two images and all channels have. */
static int add_unpool(network *n, const char *op, int x) {
    graph_node *node;
    n->outputs = 2;
    int y = network_node(n, "MaxPool", &node, 1, x), indices = y + 1;
    graph_add_attr_ints(node, "kernel_shape", (int64_t[]){2, 3}, 2);
    graph_add_attr_ints(node, "strides", (int64_t[]){2, 2}, 2);
    y = network_node(n, op, &node, 2, y, indices);
    graph_add_attr_ints(node, "kernel_shape", (int64_t[]){2, 3}, 2);
    graph_add_attr_ints(node, "strides", (int64_t[]){2, 2}, 2);
    return y;
}

static int add_regions(network *n, const cnn_shape *shape) {
    int rois = network_weights(n, shape, 1);
    tensor *t = n->g->values[rois].constant;
    for (size_t i = 0; i < t->elements; i++)
        ((float *)t->data)[i] = (float)(i % 5) * 1.3f;
    return rois;
}

static int add_roi_pool(network *n, const char *op, int x) {
    graph_node *node;
    int y = network_node(n, op, &node, 2, x, add_regions(n, &SHAPE(3, 5)));
    graph_add_attr_ints(node, "pooled_shape", (int64_t[]){2, 3}, 2);
    return y;
}

static int add_roi_align(network *n, const char *op, int x) {
    graph_node *node;
    n->g->opset = 16;
    int images = network_ints(n, 3, (int64_t[]){1, 0, 2});
    int y = network_node(n, op, &node, 3, x, add_regions(n, &SHAPE(3, 4)), images);
    graph_add_attr_int(node, "output_height", 3);
    graph_add_attr_int(node, "output_width", 2);
    return y;
}

static int add_squeeze_excite(network *n, const char *op, int x) {
    (void)op;
    return network_squeeze_excite(n, x, 16, 5, false);
}

/* The kernel that runs it; NULL: no step, a view costs nothing. */
static const struct {
    const char *op;
    add_fn *add;
    const char *kernel;
} examples[] = {
    {"AdaptiveAveragePool", add_adaptive_pool, "pool_average"},
    {"AdaptiveMaxPool", add_adaptive_pool, "pool_max"},
    {"Add", add_binary, "binary"},
    {"AveragePool", add_pool, "pool_average"},
    {"BatchNormalization", add_channel_norm, "affine"},
    {"Clip", add_unary, "unary"},
    {"Concat", add_concat, "concat"},
    {"Conv", add_conv, "conv"},
    {"DepthToSpace", add_block_size, "copy"},
    {"Div", add_binary, "binary"},
    {"Dropout", add_unary, NULL},
    {"Expand", add_expand, "copy"},
    {"Flatten", add_unary, NULL},
    {"GammaPool", add_own_pool, "pool_gamma"},
    {"Gather", add_gather, "copy"},
    {"Gelu", add_gelu, "unary"},
    {"Gemm", add_product, "gemm"},
    {"GlobalAveragePool", add_unary, "pool_average"},
    {"GlobalEntropyPool", add_unary, "pool_entropy"},
    {"GlobalLpPool", add_unary, "pool_lp"},
    {"GlobalMaxPool", add_unary, "pool_max"},
    {"HardSigmoid", add_unary, "unary"},
    {"HardSwish", add_unary, "unary"},
    {"Identity", add_unary, NULL},
    {"LRN", add_lrn, "lrn"},
    {"LayerNorm2d", add_layer_norm_2d, "layer_norm_2d"},
    {"LayerNormalization", add_layer_norm, "layer_norm"},
    {"LeakyRelu", add_unary, "unary"},
    {"LogSoftmax", add_unary, "softmax"},
    {"LpPool", add_pool, "pool_lp"},
    {"MatMul", add_product, "gemm"},
    {"MaxPool", add_pool, "pool_max"},
    {"MaxRoiPool", add_roi_pool, "roi_max"},
    {"MaxUnpool", add_unpool, "unpool"},
    {"MixedPool", add_own_pool, "pool_mixed"},
    {"Mul", add_binary, "binary"},
    {"Pad", add_pad, "pad"},
    {"ReduceL2", add_reduction, "reduce"},
    {"ReduceMax", add_reduction, "reduce"},
    {"ReduceMean", add_reduction, "reduce"},
    {"ReduceMin", add_reduction, "reduce"},
    {"ReduceSum", add_reduction, "reduce"},
    {"ReduceSumSquare", add_reduction, "reduce"},
    {"Relu", add_unary, "unary"},
    {"Reshape", add_reshape, NULL},
    {"Resize", add_resize, "resize"},
    {"RoiAlign", add_roi_align, "roi_align"},
    {"Sigmoid", add_unary, "unary"},
    {"Slice", add_slice, "copy"},
    {"Softmax", add_unary, "softmax"},
    {"SpaceToDepth", add_block_size, "copy"},
    {"SpatialPyramidPool", add_pyramid_pool, "pool_max"},
    {"Split", add_split, "copy"},
    {"Squeeze", add_squeeze, NULL},
    {"SqueezeExcite", add_squeeze_excite, "excite"},
    {"StochasticPool", add_own_pool, "pool_stochastic"},
    {"Sub", add_binary, "binary"},
    {"Sum", add_binary, "binary"},
    {"SumPool", add_own_pool, "pool_sum"},
    {"Transpose", add_transpose, "unblock"},
    {"Unsqueeze", add_unsqueeze, NULL},
    {"Upsample", add_upsample, "resize"},
    {"WaveletPool", add_unary, "wavelet"},
    {"WeibullPool", add_own_pool, "pool_weibull"},
};

static void check_example(size_t i) {
    network n;
    cnn_shape shape = SHAPE(2, 16, 6, 7);
    network_begin(&n, 20 + i);
    int y = examples[i].add(&n, examples[i].op, network_input(&n, &shape));
    check(&n, y, &shape, examples[i].op, examples[i].kernel);
}

Test(lower, every_entry_of_the_table_takes_a_node) {
    for (const lowering *l = lowerings; l->op; l++) {
        size_t i = 0;
        while (i < ARRAY_LENGTH(examples) && strcmp(examples[i].op, l->op) != 0)
            i++;
        cr_assert_lt(i, ARRAY_LENGTH(examples), "there is no example of %s", l->op);
        check_example(i);
    }
}

/* What most networks are made of: what can be fused is, and the rest has kernels. */
Test(lower, a_block_of_a_network) {
    network n;
    cnn_runtime *rt = make_runtime(NULL, 2);
    cnn_shape shape = SHAPE(1, 16, 6, 7);
    network_begin(&n, 19);
    int x = network_input(&n, &shape);
    int w = network_weights(&n, &SHAPE(16, 16, 1, 1), 0.2f);
    int c = network_node(&n, "Conv", NULL, 2, x, w);
    int active = network_node(&n, "Relu", NULL, 1, add_channel_norm(&n, "BatchNormalization", c));
    int sum = network_node(&n, "Add", NULL, 2, active, x);
    network_output(&n, add_pool(&n, "MaxPool", sum));
    trial t = trial_create(&n, rt, &shape, NULL, 0);
    static const char *const steps[][2] = {{"Reorder", "block"},
                                           {"Conv", "conv"},
                                           {"Add", "binary"},
                                           {"MaxPool", "pool_max"},
                                           {"Reorder", "unblock"}};
    cr_assert_eq(cnn_plan_step_count(t.plan), ARRAY_LENGTH(steps));
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        cr_assert_str_eq(cnn_plan_step(t.plan, i).op, steps[i][0]);
        cr_assert_str_eq(cnn_plan_step(t.plan, i).kernel, steps[i][1]);
    }
    trial_run(&t);
    trial_check(&t, "block of a network");
    trial_free(&t);
    cnn_runtime_free(rt);
}

/* ---- which kernel a convolution gets ---- */

typedef struct conv_layer {
    int64_t c, oc, size, kernel, stride, dilation, group;
    const char *name;
} conv_layer;

static void check_conv_layer(const conv_layer *l) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(1, l->c, l->size, l->size);
    network_begin(&n, 23);
    int weights = network_weights(&n, &SHAPE(l->oc, l->c / l->group, l->kernel, l->kernel), 0.05f);
    int y = network_node(&n, "Conv", &node, 2, network_input(&n, &shape), weights);
    graph_add_attr_int(node, "group", l->group);
    graph_add_attr_ints(node, "strides", (int64_t[]){l->stride, l->stride}, 2);
    graph_add_attr_ints(node, "dilations", (int64_t[]){l->dilation, l->dilation}, 2);
    graph_add_attr_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    check(&n, y, &shape, "Conv", l->name);
}

/* Large tiles where a map is large, small ones where much of a large tile would be unused and its
 * weights would be many. */
Test(lower, convolution_by_winograd_where_it_is_faster) {
    static const conv_layer layers[] = {
        {64, 64, 28, 3, 1, 1, 1, "winograd_4x4"},  {40, 24, 21, 3, 1, 1, 1, "winograd_4x4"},
        {256, 256, 7, 3, 1, 1, 1, "winograd_2x2"}, {64, 64, 1, 3, 1, 1, 1, "conv"},
        {64, 64, 28, 3, 2, 1, 1, "conv"},          {64, 64, 28, 3, 1, 2, 1, "conv"},
        {64, 64, 28, 3, 1, 1, 2, "conv"},          {64, 64, 28, 5, 1, 1, 1, "conv"},
        {3, 64, 28, 3, 1, 1, 1, "conv"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(layers); i++)
        check_conv_layer(&layers[i]);
}

/* Few channels in and out, kernels 3 wide, stride 2: the picture is read as it is. */
Test(lower, first_convolution_without_a_reorder) {
    static const conv_layer layers[] = {
        {3, 24, 28, 3, 2, 1, 1, "conv_planar"}, {1, 16, 15, 3, 2, 1, 1, "conv_planar"},
        {3, 25, 28, 3, 2, 1, 1, "conv"},        {5, 24, 28, 3, 2, 1, 1, "conv"},
        {3, 24, 28, 3, 1, 1, 1, "conv"},        {3, 24, 28, 5, 2, 1, 1, "conv"},
        {3, 24, 28, 3, 2, 2, 1, "conv"},        {3, 24, 14, 3, 2, 1, 1, "conv"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(layers); i++)
        check_conv_layer(&layers[i]);
}

static int add_stride_2(network *n, int x, int64_t c, int64_t oc, int64_t row_dilation) {
    graph_node *node;
    int y = network_node(n, "Conv", &node, 2, x, network_weights(n, &SHAPE(oc, c, 3, 3), 0.05f));
    graph_add_attr_ints(node, "strides", (int64_t[]){2, 2}, 2);
    graph_add_attr_ints(node, "dilations", (int64_t[]){row_dilation, 1}, 2);
    return y;
}

/* The kernels of all steps, with a blank behind each; what they compute is checked. */
static void expect_kernels(network *n, const cnn_shape *shape, const char *expected) {
    char kernels[200] = "";
    cnn_runtime *rt = make_runtime(NULL, 2);
    trial t = trial_create(n, rt, shape, NULL, 0);
    for (size_t i = 0; i < cnn_plan_step_count(t.plan); i++) {
        size_t end = strlen(kernels);
        snprintf(kernels + end, sizeof kernels - end, "%s ", cnn_plan_step(t.plan, i).kernel);
    }
    cr_assert_str_eq(kernels, expected);
    trial_run(&t);
    trial_check(&t, expected);
    trial_free(&t);
    cnn_runtime_free(rt);
}

/* Which other layouts a value has depends on who else reads it, and bits must not. */
Test(lower, only_an_input_is_read_as_it_is) {
    network n;
    cnn_shape shape = SHAPE(1, 4, 20, 20);
    network_begin(&n, 31);
    network_output(&n, add_stride_2(&n, network_input(&n, &shape), 4, 8, 1));
    expect_kernels(&n, &shape, "conv_planar unblock ");
    network_begin(&n, 32);
    int w = network_weights(&n, &SHAPE(4, 4, 1, 1), 0.2f);
    int x = network_node(&n, "Conv", NULL, 2, network_input(&n, &shape), w);
    network_output(&n, network_node(&n, "Flatten", NULL, 1, x));
    network_output(&n, add_stride_2(&n, x, 4, 8, 1));
    expect_kernels(&n, &shape, "block conv unblock conv unblock ");
}

Test(lower, first_convolution_with_dilated_rows) {
    network n;
    cnn_shape shape = SHAPE(1, 3, 20, 20);
    network_begin(&n, 36);
    network_output(&n, add_stride_2(&n, network_input(&n, &shape), 3, 8, 2));
    expect_kernels(&n, &shape, "block conv unblock ");
}

/* Rows share a worker's memory with a strip, or are too long for it. */
Test(lower, first_convolution_of_a_wide_picture) {
    static const int64_t widths[] = {2000, 20000, 140000};
    static const char *const kernels[] = {"conv_planar+pool_max unblock ",
                                          "conv_planar pool_max unblock ",
                                          "block conv pool_max unblock "};
    for (size_t i = 0; i < ARRAY_LENGTH(widths); i++) {
        network n;
        graph_node *node;
        cnn_shape shape = SHAPE(1, 3, 13, widths[i]);
        network_begin(&n, 33 + i);
        int x = add_stride_2(&n, network_input(&n, &shape), 3, 24, 1);
        x = network_node(&n, "MaxPool", &node, 1, x);
        graph_add_attr_ints(node, "kernel_shape", (int64_t[]){3, 3}, 2);
        graph_add_attr_ints(node, "strides", (int64_t[]){2, 2}, 2);
        network_output(&n, x);
        expect_kernels(&n, &shape, kernels[i]);
    }
}

/* Of a convolution to 40 channels, with `choice` for it in a tuning file. */
static const char *tuned_kernel(const char *isa, const char *path, cnn_shape shape, int choice) {
    char layer[TUNING_MAX_LAYER];
    cnn_runtime *rt;
    network n;
    graph_node *node;
    tuning *t;
    cr_assert_eq(tuning_create(path, &t, NULL), CNN_OK);
    snprintf(layer, sizeof layer, "conv3x3:%dx%dx%d:40", (int)shape.dims[1], (int)shape.dims[2],
             (int)shape.dims[3]);
    tuning_add(t, isa, layer, choice);
    tuning_free(t);
    cnn_runtime_options o = {.threads = 2, .isa = isa, .tuning_file = path};
    cr_assert_eq(cnn_runtime_create(&o, &rt, NULL), CNN_OK);
    network_begin(&n, 24);
    int x = network_input(&n, &shape);
    int weights = network_weights(&n, &SHAPE(40, shape.dims[1], 3, 3), 0.05f);
    network_output(&n, network_node(&n, "Conv", &node, 2, x, weights));
    graph_add_attr_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    trial run = trial_create(&n, rt, &shape, NULL, 0);
    trial_run(&run);
    trial_check(&run, isa);
    const char *kernel = trial_kernel(&run, "Conv");
    trial_free(&run);
    cnn_runtime_free(rt);
    return kernel;
}

Test(lower, convolution_as_the_tuning_says) {
    static const char *const expected[] = {"conv", NULL, "winograd_2x2", NULL, "winograd_4x4"};
    const kernel_table *tables[4];
    size_t count = kernels_available(tables, 4);
    char path[] = "/tmp/test_lowerXXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < count; i++)
        for (int choice = 0; choice <= 4; choice += 2)
            cr_assert_str_eq(tuned_kernel(tables[i]->isa, path, SHAPE(1, 24, 19, 20), choice),
                             expected[choice]);
    remove(path);
    cr_assert_not_null(tuned_kernel("baseline", path, SHAPE(1, 24, 19, 20), 5),
                       "measured, as 5 means nothing");
    remove(path);
}

/* The transform of one tile of so many channels is larger than the scratch memory. */
Test(lower, tuning_is_not_followed_where_it_cannot_be) {
    char path[] = "/tmp/test_lowerXXXXXX";
    close(mkstemp(path));
    const char *kernel = tuned_kernel("baseline", path, SHAPE(1, 29300, 1, 1), 4);
    cr_assert(strcmp(kernel, "winograd_4x4") != 0);
    remove(path);
}

Test(lower, convolution_in_groups) {
    static const conv_layer layers[] = {
        {20, 20, 9, 3, 1, 1, 20, "depthwise"},   {20, 20, 9, 3, 1, 1, 10, "grouped"},
        {52, 52, 9, 3, 2, 1, 13, "grouped"},     {56, 56, 9, 5, 1, 2, 7, "grouped"},
        {20, 40, 9, 3, 1, 1, 20, "conv_joined"}, {24, 24, 9, 3, 1, 1, 4, "conv_joined"},
        {48, 48, 9, 3, 1, 1, 3, "conv"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(layers); i++)
        check_conv_layer(&layers[i]);
}

/* ---- operators with several outputs, of channels that fill no block ---- */

static void check_outputs(const char *op, size_t first, size_t count, const char *kernel) {
    static const int64_t window[] = {2, 3}, strides[] = {1, 2};
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(2, 19, 6, 7);
    network_begin(&n, 26);
    int x = network_input(&n, &shape);
    n.outputs = count;
    int y = network_node(&n, op, &node, 1, x);
    if (strcmp(op, "WaveletPool") != 0) {
        graph_add_attr_ints(node, "kernel_shape", window, 2);
        graph_add_attr_ints(node, "strides", strides, 2);
    }
    for (size_t i = first; i + 1 < count; i++)
        network_output(&n, y + (int)i);
    check(&n, y + (int)count - 1, &shape, op, kernel);
}

Test(lower, several_outputs) {
    for (size_t first = 0; first < 2; first++) {
        check_outputs("MaxPool", first, 2, "pool_max");
        check_outputs("GammaPool", first, 2, "pool_gamma");
        check_outputs("WeibullPool", first, 2, "pool_weibull");
        check_outputs("WaveletPool", first, 4, "wavelet");
    }
}

/* The part of the maximum may be known only when the network runs. */
Test(lower, mixed_pool_of_computed_part) {
    network n;
    cnn_shape shape = SHAPE(2, 1, 6, 7);
    graph_node *node;
    network_begin(&n, 27);
    int x = network_input(&n, &shape);
    int part = network_node(&n, "ReduceMax", &node, 1, x);
    int y = network_node(&n, "MixedPool", &node, 2, x, part);
    graph_add_attr_ints(node, "kernel_shape", (int64_t[]){2, 2}, 2);
    check(&n, y, &shape, "MixedPool", "eval");
}

/* ---- what is beyond the kernels ---- */

static void check_lrn(int64_t size, const char *kernel) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(2, 50, 3, 4);
    network_begin(&n, 21);
    int y = network_node(&n, "LRN", &node, 1, network_input(&n, &shape));
    graph_add_attr_int(node, "size", size);
    graph_add_attr_float(node, "alpha", 0.5f);
    check(&n, y, &shape, "LRN", kernel);
}

Test(lower, lrn_as_wide_as_its_kernel) {
    check_lrn(LRN_MAX_SIZE, "lrn");
    check_lrn(LRN_MAX_SIZE + 1, "eval");
    check_lrn(GRAPH_MAX_EXTENT, "eval");
}

typedef struct window {
    int64_t kernel, stride, dilation, pad_begin, pad_end;
} window;

/* Of 3 channels; the other axis has a window of 1. */
static void check_window(const char *op, int64_t group, const window *w, const char *kernel) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(1, 3, 4, 5);
    network_begin(&n, 22);
    n.g->opset = 19; /* since when means may be dilated */
    bool conv = strcmp(op, "Conv") == 0;
    int x = network_input(&n, &shape);
    int weights = network_weights(&n, &SHAPE(3, 3 / group, w->kernel, 1), 1);
    int y = network_node(&n, op, &node, conv ? 2 : 1, x, weights);
    if (conv) graph_add_attr_int(node, "group", group);
    if (!conv) graph_add_attr_ints(node, "kernel_shape", (int64_t[]){w->kernel, 1}, 2);
    if (!conv) graph_add_attr_int(node, "count_include_pad", 1);
    graph_add_attr_ints(node, "strides", (int64_t[]){w->stride, 1}, 2);
    graph_add_attr_ints(node, "dilations", (int64_t[]){w->dilation, 1}, 2);
    graph_add_attr_ints(node, "pads", (int64_t[]){w->pad_begin, 0, w->pad_end, 0}, 4);
    check(&n, y, &shape, op, kernel);
}

static void check_windows(const window *w, size_t count, bool taken) {
    for (size_t i = 0; i < count; i++) {
        check_window("Conv", 1, &w[i], taken ? "conv" : "eval");
        check_window("Conv", 3, &w[i], taken ? "depthwise" : "eval");
        check_window("AveragePool", 1, &w[i], taken ? "pool_average" : "eval");
    }
}

Test(lower, windows_up_to_the_largest) {
    enum { FITS = PLAN_MAX_WINDOW, LEAST = FITS + 1 };
    const int64_t most = GRAPH_MAX_EXTENT;
    const window taken[] = {{2, FITS, 1, 0, 0},
                            {2, FITS, 1, FITS, 0},
                            {2, 1, FITS, FITS, 0},
                            {2, 1, FITS, 0, FITS},
                            {FITS, 1, 1, FITS, 0}};
    const window left[] = {
        {2, LEAST, 1, 0, 0},     {2, LEAST, 1, LEAST, 0}, {2, 1, LEAST, LEAST, 0},
        {2, 1, LEAST, 0, LEAST}, {LEAST, 1, 1, LEAST, 0}, {2, most, 1, 0, 0},
        {2, most, 1, most, 0},   {2, 1, most, most, 0},   {2, 1, most, 0, most}};
    check_windows(taken, ARRAY_LENGTH(taken), true);
    check_windows(left, ARRAY_LENGTH(left), false);
}

/* The maximum of nothing is -infinity: in the 3 channels, which the sums and Relu make 0 again, but
 * nowhere else. */
Test(lower, windows_without_input) {
    const window cases[] = {{2, 1, 1, 3, 0}, {2, 1, 1, 0, 2}, {2, 3, 5, 1, 4}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const window *w = &cases[i];
        network n;
        graph_node *node;
        cnn_shape shape = SHAPE(1, 3, 4, 5);
        network_begin(&n, 23);
        int y = network_node(&n, "MaxPool", &node, 1, network_input(&n, &shape));
        graph_add_attr_ints(node, "kernel_shape", (int64_t[]){w->kernel, 1}, 2);
        graph_add_attr_ints(node, "strides", (int64_t[]){w->stride, 1}, 2);
        graph_add_attr_ints(node, "dilations", (int64_t[]){w->dilation, 1}, 2);
        graph_add_attr_ints(node, "pads", (int64_t[]){w->pad_begin, 0, w->pad_end, 0}, 4);
        int weights = network_weights(&n, &SHAPE(5, 3, 1, 1), 1);
        for (size_t j = 0; j < 15; j++)
            ((float *)n.g->values[weights].constant->data)[j] += 2;
        y = network_node(&n, "Conv", NULL, 2, y, weights);
        check(&n, network_node(&n, "Relu", NULL, 1, y), &shape, "MaxPool", "pool_max");
    }
}

static void check_padded(int64_t pad, const char *kernel) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(1, 64, 4, 5);
    network_begin(&n, 24);
    int x = network_input(&n, &shape), weights = network_weights(&n, &SHAPE(16, 64, 3, 3), 0.1f);
    int y = network_node(&n, "Conv", &node, 2, x, weights);
    graph_add_attr_ints(node, "pads", (int64_t[]){pad, pad, pad, pad}, 4);
    graph_add_attr_ints(node, "strides", (int64_t[]){pad / 2, pad / 2}, 2);
    check(&n, y, &shape, "Conv", kernel);
}

Test(lower, convolutions_padded_beyond_memory) {
    check_padded(8000, "eval");
    check_padded(100, "conv");
}

/* Numbers for each element instead of each channel, and statistics of the data itself. */
Test(lower, other_batch_normalizations) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(2, 3, 4, 5);
    network_begin(&n, 24);
    n.g->opset = 7;
    int y = add_norm(&n, "BatchNormalization", &SHAPE(3, 4, 5), &node, network_input(&n, &shape));
    graph_add_attr_int(node, "spatial", 0);
    check(&n, y, &shape, "BatchNormalization", "eval");
    network_begin(&n, 25);
    n.g->opset = 15;
    y = add_norm(&n, "BatchNormalization", &SHAPE(3), &node, network_input(&n, &shape));
    graph_add_attr_int(node, "training_mode", 1);
    check(&n, y, &shape, "BatchNormalization", "eval");
}

/* ---- broadcasting ---- */

/* A constant (N, C, 1, 1) has other numbers for each image, also where C fills no whole blocks. */
Test(lower, channels_of_every_image) {
    for (int64_t channels = 16; channels < 32; channels += 4) {
        network n;
        cnn_shape shape = SHAPE(3, channels, 4, 5);
        network_begin(&n, 23);
        int x = network_input(&n, &shape);
        int other = network_weights(&n, &SHAPE(3, channels, 1, 1), 1);
        check(&n, network_node(&n, "Mul", NULL, 2, x, other), &shape, "Mul", "binary");
    }
}

/* Operands of other ranks and extents, each in turn the first one. */
Test(lower, every_broadcast) {
    static const cnn_shape shapes[] = {
        {1, {3}},          {2, {7, 3}},       {4, {5, 1, 1, 3}},   {4, {1, 6, 7, 1}},
        {4, {5, 6, 1, 1}}, {4, {1, 1, 7, 1}}, {3, {6, 1, 3}},      {1, {1}},
        {0, {0}},          {4, {1, 6, 1, 1}}, {5, {2, 5, 1, 1, 3}}};
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(shapes); i++) {
        network n;
        cnn_shape shape = SHAPE(5, 6, 7, 3);
        network_begin(&n, 32 + i);
        int x = network_input(&n, &shape);
        int other = network_weights(&n, &shapes[i / 2], 1);
        int y = network_node(&n, "Sub", NULL, 2, i % 2 ? other : x, i % 2 ? x : other);
        check(&n, network_node(&n, "Relu", NULL, 1, y), &shape, "Sub", "binary");
    }
}

/* Both are the input: neither has the output's shape. */
Test(lower, broadcast_of_two_activations) {
    network n;
    cnn_shape shape = SHAPE(4, 9);
    network_begin(&n, 60);
    int x = network_input(&n, &shape);
    int rows = network_node(&n, "Reshape", NULL, 2, x, network_ints(&n, 2, (int64_t[]){36, 1}));
    int columns = network_node(&n, "Reshape", NULL, 2, x, network_ints(&n, 1, (int64_t[]){36}));
    check(&n, network_node(&n, "Mul", NULL, 2, rows, columns), &shape, "Mul", "binary");
}

/* ---- products of two activations ---- */

/* a is made of the input, which is b, by a Transpose of the last axes and a Slice of the first. */
Test(lower, products_of_two_activations) {
    static const int64_t firsts[] = {0, 2}; /* all of the first axis, and its last element */
    for (size_t i = 0; i < 4; i++) {
        network n;
        cnn_shape shape = SHAPE(3, 2, 37, 65);
        network_begin(&n, 90 + i);
        int x = network_input(&n, &shape);
        int turned = add_perm(&n, x, (int64_t[]){0, 1, 3, 2}, 4);
        int part = network_node(&n, "Slice", NULL, 3, turned, network_ints(&n, 1, &firsts[i % 2]),
                                network_ints(&n, 1, (int64_t[]){9}));
        int y = i < 2 ? network_node(&n, "MatMul", NULL, 2, part, x)
                      : network_node(&n, "MatMul", NULL, 2, x, part);
        check(&n, network_node(&n, "Relu", NULL, 1, y), &shape, "MatMul", "gemm");
    }
}

/* One matrix for all, and vectors. */
Test(lower, products_of_other_ranks) {
    network n;
    cnn_shape shape = SHAPE(4, 5, 7), vector = SHAPE(7);
    network_begin(&n, 95);
    int x = network_input(&n, &shape);
    int row = network_node(&n, "Reshape", NULL, 2, network_node(&n, "ReduceMax", NULL, 1, x),
                           network_ints(&n, 1, (int64_t[]){1}));
    int spread = network_node(&n, "Expand", NULL, 2, row, network_ints(&n, 1, vector.dims));
    check(&n, network_node(&n, "MatMul", NULL, 2, x, spread), &shape, "MatMul", "gemm");
}

/* ---- copies ---- */

/* Every order of four axes, of extents that fill no tile. */
Test(lower, every_transpose) {
    cnn_shape shape = SHAPE(5, 19, 3, 21);
    for (int64_t i = 0; i < 256; i++) {
        int64_t perm[] = {i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6};
        int set = 1 << perm[0] | 1 << perm[1] | 1 << perm[2] | 1 << perm[3];
        network n;
        if (set != 15) continue;
        network_begin(&n, 26);
        int y = add_perm(&n, network_input(&n, &shape), perm, 4);
        bool keeps = perm[0] == 0 && perm[1] == 1 && perm[2] == 2;
        bool nhwc = perm[0] == 0 && perm[1] == 2 && perm[2] == 3;
        bool nchw = perm[0] == 0 && perm[1] == 3 && perm[2] == 1;
        check(&n, y, &shape, "Transpose",
              keeps  ? NULL
              : nhwc ? "unblock"
              : nchw ? "block"
                     : "copy");
    }
}

/* One image of several lies within them; one that does not begin at an aligned address is copied.
 */
Test(lower, parts_that_are_no_step) {
    for (int64_t width = 15; width < 17; width++) {
        network n;
        cnn_shape shape = SHAPE(3, 2, 3, width);
        network_begin(&n, 27);
        int index = network_ints(&n, 1, (int64_t[]){-1});
        int y = network_node(&n, "Gather", NULL, 2, network_input(&n, &shape), index);
        check(&n, y, &shape, "Gather", width == 16 ? NULL : "copy");
    }
}

/* Indices that are unlike each other, or not known before the run. */
Test(lower, gathers_that_are_no_views) {
    network n;
    cnn_shape shape = SHAPE(4, 3);
    network_begin(&n, 28);
    int index = network_ints(&n, 3, (int64_t[]){0, 1, 3});
    int y = network_node(&n, "Gather", NULL, 2, network_input(&n, &shape), index);
    check(&n, y, &shape, "Gather", "eval");
}

/* As exporters write a shuffle of channels: the axis is cut in two, which change places. */
Test(lower, a_shuffle_of_channels) {
    network n;
    cnn_shape shape = SHAPE(2, 12, 5, 7);
    network_begin(&n, 29);
    int x = network_input(&n, &shape);
    int cut =
        network_node(&n, "Reshape", NULL, 2, x, network_ints(&n, 5, (int64_t[]){2, 2, 6, 5, 7}));
    int turned = add_perm(&n, cut, (int64_t[]){0, 2, 1, 3, 4}, 5);
    int y =
        network_node(&n, "Reshape", NULL, 2, turned, network_ints(&n, 4, (int64_t[]){2, 12, 5, 7}));
    check(&n, y, &shape, "Gather", "channels");
}

/* Parts of a blocked activation stay blocked where they are whole channels, and join so. */
Test(lower, parts_of_channels) {
    for (int form = 0; form < 4; form++) {
        network n;
        graph_node *node;
        cnn_shape shape = SHAPE(2, 3, 6, 7);
        network_begin(&n, 31);
        int w = network_weights(&n, &SHAPE(23, 3, 3, 3), 0.2f);
        int x = network_node(&n, "Conv", NULL, 2, network_input(&n, &shape), w), y;
        if (form == 0)
            y = network_node(&n, "Slice", NULL, 5, x, network_ints(&n, 1, (int64_t[]){21}),
                             network_ints(&n, 1, (int64_t[]){2}),
                             network_ints(&n, 1, (int64_t[]){1}),
                             network_ints(&n, 1, (int64_t[]){-2}));
        else if (form == 1)
            y = network_node(&n, "Gather", &node, 2, x,
                             network_ints(&n, 4, (int64_t[]){17, 0, -1, 17}));
        else if (form == 2)
            y = network_node(&n, "Concat", &node, 2, x, x);
        else
            y = network_node(&n, "Slice", NULL, 4, x, network_ints(&n, 2, (int64_t[]){3, 1}),
                             network_ints(&n, 2, (int64_t[]){9, 3}),
                             network_ints(&n, 2, (int64_t[]){1, 2}));
        if (form == 1 || form == 2) graph_add_attr_int(node, "axis", 1);
        static const char *const ops[] = {"Slice", "Gather", "Concat", "Slice"};
        check(&n, y, &shape, ops[form], form < 3 ? "channels" : "copy");
    }
}

/* ---- padding ---- */

/* Along height and width a blocked activation stays blocked, also where it is cut. */
Test(lower, pads_of_blocks) {
    static const int64_t amounts[][8] = {
        {0, 0, 1, 1, 0, 0, 1, 1}, {0, 0, -2, 3, 0, 0, 0, -1}, {0, 0, 0, 0, 0, 0, 5, 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(amounts); i++) {
        for (int64_t channels = 14; channels < 20; channels += 2) {
            network n;
            cnn_shape shape = SHAPE(2, 3, 6, 7);
            network_begin(&n, 30);
            int w = network_weights(&n, &SHAPE(channels, 3, 3, 3), 0.2f);
            int c = network_node(&n, "Conv", NULL, 2, network_input(&n, &shape), w);
            int p = network_node(&n, "Pad", NULL, 3, c, network_ints(&n, 8, amounts[i]),
                                 network_weights(&n, &SHAPE(1), 1));
            check(&n, add_pool(&n, "MaxPool", p), &shape, "Pad", "pad");
        }
    }
}

Test(lower, pads_that_are_no_constant) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(2, 3, 6, 7);
    network_begin(&n, 31);
    int y = network_node(&n, "Pad", &node, 2, network_input(&n, &shape),
                         network_ints(&n, 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 1}));
    add_attr_string(node, "mode", "edge");
    check(&n, y, &shape, "Pad", "eval");
}

/* ---- resizing ---- */

static void check_resize(int64_t channels, const char *mode, const char *transform, int64_t h,
                         int64_t w, const char *kernel) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(2, 3, 6, 7);
    network_begin(&n, 32);
    int weights = network_weights(&n, &SHAPE(channels, 3, 3, 3), 0.2f);
    int c = network_node(&n, "Conv", NULL, 2, network_input(&n, &shape), weights);
    int y = network_node(&n, "Resize", &node, 4, c, -1, -1,
                         network_ints(&n, 4, (int64_t[]){2, channels, h, w}));
    add_attr_string(node, "mode", mode);
    add_attr_string(node, "coordinate_transformation_mode", transform);
    check(&n, add_pool(&n, "MaxPool", y), &shape, "Resize", kernel);
}

/* 4x5 to more, fewer and as many rows and columns. */
Test(lower, resizes_of_planes) {
    static const char *const transforms[] = {"half_pixel", "half_pixel_symmetric",
                                             "pytorch_half_pixel", "align_corners", "asymmetric"};
    static const int64_t sizes[][2] = {{8, 10}, {16, 20}, {32, 40}, {4, 10}, {7, 3}, {2, 2}};
    for (size_t i = 0; i < ARRAY_LENGTH(transforms); i++)
        for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
            check_resize(16, "linear", transforms[i], sizes[s][0], sizes[s][1], "resize");
            check_resize(20, "nearest", transforms[i], sizes[s][0], sizes[s][1], "resize");
        }
    check_resize(16, "cubic", "half_pixel", 8, 10, "eval");
}

/* Three channels stay three, but are others than before. */
Test(lower, resizes_of_channels) {
    network n;
    cnn_shape shape = SHAPE(1, 3, 4, 4);
    network_begin(&n, 33);
    int scales = network_weights(&n, &SHAPE(4), 1);
    memcpy(n.g->values[scales].constant->data, (float[]){1, 1.3f, 2, 2}, 4 * sizeof(float));
    int y = network_node(&n, "Resize", NULL, 3, network_input(&n, &shape), -1, scales);
    check(&n, y, &shape, "Resize", "eval");
}

/* ---- reductions ---- */

static void check_reduction(const char *op, size_t count, const int64_t *axes, const char *kernel) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(3, 1, 20, 5, 70);
    network_begin(&n, 80);
    int y = network_node(&n, op, &node, 1, network_input(&n, &shape));
    graph_add_attr_ints(node, "axes", axes, count);
    graph_add_attr_int(node, "keepdims", 0);
    check(&n, y, &shape, op, kernel);
}

/* Neighbours, also beyond extents of 1; and axes that are apart. */
Test(lower, reductions_of_every_place) {
    static const char *const ops[] = {"ReduceMean", "ReduceMax", "ReduceL2"};
    for (size_t i = 0; i < ARRAY_LENGTH(ops); i++) {
        check_reduction(ops[i], 1, (int64_t[]){-1}, "reduce");
        check_reduction(ops[i], 2, (int64_t[]){3, 4}, "reduce");
        check_reduction(ops[i], 2, (int64_t[]){0, 2}, "reduce");
        check_reduction(ops[i], 1, (int64_t[]){0}, "reduce");
        check_reduction(ops[i], 1, (int64_t[]){2}, "reduce");
        check_reduction(ops[i], 5, (int64_t[]){0, 1, 2, 3, 4}, "reduce");
        check_reduction(ops[i], 2, (int64_t[]){2, 4}, "eval");
    }
}
