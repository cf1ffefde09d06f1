/* Whole networks: random ones, and real ones from the test data. */
#include "graph/make.h"
#include "onnx/onnx.h"
#include "passes/passes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cnn_error err;

/* Largest difference of an output, relative to that output's largest number. */
static double difference(const graph *a, tensor **before, const graph *b, tensor **after) {
    double worst = 0;
    for (size_t i = 0; i < a->output_count; i++) {
        const tensor *x = before[a->outputs[i]], *y = after[b->outputs[i]];
        double scale = 1e-3, most = 0;
        cr_assert_str_eq(a->values[a->outputs[i]].name, b->values[b->outputs[i]].name);
        cr_assert(cnn_shape_equal(&x->shape, &y->shape));
        for (size_t j = 0; j < x->elements; j++) {
            double want = tensor_number(x, j), got = tensor_number(y, j);
            cr_assert(isfinite(want) && isfinite(got), "%g became %g", want, got);
            scale = fmax(scale, fabs(want));
            most = fmax(most, fabs(want - got));
        }
        worst = fmax(worst, most / scale);
    }
    return worst;
}

/* Binds, rewrites a copy, compares both; consumes g. Returns the nodes that are left. */
static size_t check_rewrites(graph *g, const cnn_shape *shapes) {
    graph *copy = NULL;
    cr_assert_eq(graph_bind(g, shapes, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(graph_clone(g, &copy, &err), CNN_OK);
    cr_assert_eq(passes_run(copy, 0, &err), CNN_OK, "%s", err.message);
    check_graph(copy);
    tensor **before = evaluate(g), **after = evaluate(copy);
    double worst = difference(g, before, copy, after);
    cr_assert_leq(worst, 1e-4, "differs by %g", worst);
    size_t left = copy->node_count;
    free_values(g, before);
    free_values(copy, after);
    graph_free(copy);
    graph_free(g);
    return left;
}

/* ---- random networks ---- */

typedef struct builder {
    graph *g;
    uint64_t state;
    int values[64]; /* candidates of one shape: (1, 4, 6, 6) */
    int count;
    int names;
} builder;

static uint32_t below(builder *b, uint32_t limit) {
    return (uint32_t)((random_number(&b->state) + 1) * 0.5f * (float)limit) % limit;
}

static const char *new_name(builder *b, char *name, size_t size) {
    snprintf(name, size, "n%d", b->names++);
    return name;
}

/* Recent values are likelier, so that chains grow. */
static int pick(builder *b) {
    int back = (int)below(b, below(b, 3) ? 2 : (uint32_t)b->count);
    return b->values[MAX(b->count - 1 - back, 0)];
}

static int constant(builder *b, cnn_shape shape) {
    char name[16];
    return make_random(b->g, new_name(b, name, sizeof name), shape);
}

static int add_conv(builder *b, const char *name) {
    int64_t group = (int64_t[]){1, 2, 4}[below(b, 3)];
    int in = pick(b), w = constant(b, SHAPE(4, 4 / group, 3, 3));
    int bias = below(b, 2) ? constant(b, SHAPE(4)) : -1;
    int y = make(b->g, "Conv", name, bias < 0 ? 2 : 3, in, w, bias);
    cr_assert(graph_add_attr_ints(made(b->g), "pads", (int64_t[]){1, 1, 1, 1}, 4));
    cr_assert(graph_add_attr_int(made(b->g), "group", group));
    return y;
}

static int add_norm(builder *b, const char *name) {
    int in = pick(b), s = constant(b, SHAPE(4)), o = constant(b, SHAPE(4));
    float variance[] = {0.5f, 1, 2, 0.25f};
    char own[16];
    int m = constant(b, SHAPE(4));
    int v = make_floats(b->g, new_name(b, own, sizeof own), SHAPE(4), variance);
    return make(b->g, "BatchNormalization", name, 5, in, s, o, m, v);
}

static int add_binary(builder *b, const char *name) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Add"};
    const char *op = ops[below(b, 4)];
    int a = pick(b), other = pick(b);
    switch (below(b, 4)) {
    case 0:
        other = constant(b, SHAPE(4, 1, 1));
        break;
    case 1:
        other = constant(b, SHAPE0);
        break;
    default:
        break;
    }
    return below(b, 2) ? make(b->g, op, name, 2, a, other) : make(b->g, op, name, 2, other, a);
}

static int add_unary(builder *b, const char *name) {
    static const char *const ops[] = {"Relu",      "LeakyRelu", "Sigmoid", "HardSigmoid",
                                      "HardSwish", "Identity",  "Neg",     "Dropout"};
    return make(b->g, ops[below(b, ARRAY_LENGTH(ops))], name, 1, pick(b));
}

static int add_silu(builder *b, const char *name) {
    char own[16];
    int x = pick(b), s = make(b->g, "Sigmoid", new_name(b, own, sizeof own), 1, x);
    return make(b->g, "Mul", name, 2, x, s);
}

/* Keeps numbers of all depths of similar size. */
static int add_scaled(builder *b, const char *name) {
    char own[16];
    return make(b->g, "Div", name, 2, pick(b), make_number(b->g, new_name(b, own, sizeof own), 4));
}

static graph *random_network(uint64_t seed) {
    static int (*const kinds[])(builder *, const char *) = {add_conv,   add_conv,   add_norm,
                                                            add_binary, add_binary, add_unary,
                                                            add_unary,  add_silu,   add_scaled};
    builder b = {.g = make_graph(14), .state = seed};
    b.values[b.count++] = make_input(b.g, "x", SHAPE(1, 4, 6, 6));
    int nodes = 4 + (int)below(&b, 40);
    for (int i = 0; i < nodes; i++) {
        char name[16];
        new_name(&b, name, sizeof name);
        b.values[b.count++] = kinds[below(&b, ARRAY_LENGTH(kinds))](&b, name);
        if (below(&b, 8) == 0) cr_assert(graph_add_output(b.g, b.values[b.count - 1]));
    }
    cr_assert(graph_add_output(b.g, b.values[b.count - 1]));
    return b.g;
}

Test(models, random_networks_keep_their_numbers) {
    for (uint64_t seed = 1; seed <= 400; seed++)
        check_rewrites(random_network(seed * 7919), NULL);
}

/* ---- real ones ---- */

static graph *load_model(const char *name) {
    const char *data = getenv("CNNSERVE_TEST_DATA");
    char path[1024];
    if (!data || !*data) cr_skip_test("CNNSERVE_TEST_DATA is not set");
    snprintf(path, sizeof path, "%s/%s/model.onnx", data, name);
    FILE *in = fopen(path, "rb");
    if (!in) cr_skip_test("%s is not there", path);
    fseek(in, 0, SEEK_END);
    long size = ftell(in);
    rewind(in);
    char *bytes = malloc((size_t)size);
    cr_assert_eq(fread(bytes, 1, (size_t)size, in), (size_t)size);
    fclose(in);
    graph *g = NULL;
    cr_assert_eq(onnx_load(bytes, (size_t)size, NULL, NULL, &g, &err), CNN_OK, "%s", err.message);
    free(bytes);
    return g;
}

Test(models, mnist) {
    /* Conv, MaxPool, Conv, MaxPool, Reshape, Gemm */
    cr_assert_eq(check_rewrites(load_model("models/mnist-cntk"), NULL), 6);
}

Test(models, first_layers_of_squeezenet) {
    graph *g = load_model("models/squeezenet1.1");
    g->outputs[0] = g->nodes[9]->outputs[0]; /* binding drops what lies behind it */
    check_rewrites(g, NULL);
}

/* Nodes that are left of an architecture; its numbers are left out, they would take long. */
static void expect_nodes(const char *name, size_t nodes) {
    graph *g = load_model(name);
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(graph_load_constants(g, 1, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(passes_run(g, 0, &err), CNN_OK, "%s", err.message);
    check_graph(g);
    cr_assert_eq(g->node_count, nodes, "%zu nodes", g->node_count);
    graph_free(g);
}

Test(models, squeezenet) {
    /* 26 Conv with Relu, 3 MaxPool, 8 Concat, GlobalAveragePool, Softmax */
    expect_nodes("models/squeezenet1.1", 39);
}

Test(models, resnet50) {
    /* 53 Conv, MaxPool, GlobalAveragePool or AveragePool, Reshape, Gemm, Softmax */
    expect_nodes("onnx-conformance/light/resnet50", 58);
}

Test(models, densenet121) {
    /* Conv and MaxPool at the beginning; in each dense layer BatchNormalization, two Conv, Concat;
     * in each of three transitions BatchNormalization, Conv, AveragePool; at the end
     * BatchNormalization, GlobalAveragePool, Conv */
    expect_nodes("onnx-conformance/light/densenet121", 2 + (6 + 12 + 24 + 16) * 4 + 3 * 3 + 3);
}
