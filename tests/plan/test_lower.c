/* Which nodes kernels take: those that they can, and no others. */
#include "networks.h"

#include "plan/builder.h"

#include <criterion/criterion.h>
#include <string.h>

/* Ends the network with `value`, and holds its plan against the evaluation. */
static void check(network *n, int value, const cnn_shape *shape, const char *op, bool taken) {
    cnn_runtime *rt = make_runtime(NULL, 2);
    network_output(n, value);
    trial t = trial_create(n, rt, shape, NULL, 0);
    const char *kernel = trial_kernel(&t, op);
    cr_assert_not_null(kernel, "no step runs the %s", op);
    cr_assert_eq(strcmp(kernel, "eval") != 0, taken, "%s runs on %s", op, kernel);
    trial_run(&t);
    trial_check(&t, op);
    trial_free(&t);
    cnn_runtime_free(rt);
}

/* ---- what is beyond the kernels ---- */

static void check_lrn(int64_t size, bool taken) {
    network n;
    graph_node *node;
    cnn_shape shape = SHAPE(2, 50, 3, 4);
    network_begin(&n, 21);
    int y = network_node(&n, "LRN", &node, 1, network_input(&n, &shape));
    graph_add_attr_int(node, "size", size);
    graph_add_attr_float(node, "alpha", 0.5f);
    check(&n, y, &shape, "LRN", taken);
}

Test(lower, lrn_as_wide_as_its_kernel) {
    check_lrn(LRN_MAX_SIZE, true);
    check_lrn(LRN_MAX_SIZE + 1, false);
    check_lrn(GRAPH_MAX_EXTENT, false);
}

typedef struct window {
    int64_t kernel, stride, dilation, pad_begin, pad_end;
} window;

/* Of 3 channels; the other axis has a window of 1. */
static void check_window(const char *op, int64_t group, const window *w, bool taken) {
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
    check(&n, y, &shape, op, taken);
}

static void check_windows(const window *w, size_t count, bool taken) {
    for (size_t i = 0; i < count; i++) {
        check_window("Conv", 1, &w[i], taken);
        check_window("Conv", 3, &w[i], taken);
        check_window("AveragePool", 1, &w[i], taken);
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

/* ---- broadcasting ---- */

/* A constant (N, C, 1, 1) has other numbers for each image, also where C fills no whole blocks. */
Test(lower, channels_of_every_image) {
    for (int64_t channels = 16; channels < 32; channels += 4) {
        network n;
        cnn_shape shape = SHAPE(3, channels, 4, 5);
        network_begin(&n, 23);
        int x = network_input(&n, &shape);
        int other = network_weights(&n, &SHAPE(3, channels, 1, 1), 1);
        check(&n, network_node(&n, "Mul", NULL, 2, x, other), &shape, "Mul", true);
    }
}
