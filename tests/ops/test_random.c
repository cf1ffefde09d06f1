/*
 * Random nodes of every definition: whatever infer accepts, eval must compute without touching
 * memory that is not its own and in bounded time; whatever infer refuses, it must refuse with a
 * sentence that names the operator. Numbers are not looked at. Meant to be run with sanitizers.
 * CNN_TEST_OP and CNN_TEST_ROUNDS narrow and widen the search, CNN_TEST_VERBOSE shows its yield.
 */
#include "node.h"
#include "ops/families.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_PER_DEFINITION 400
#define MIN_ACCEPTED          2 /* of these; an infer that refuses everything would pass else */
#define MAX_OUTPUT_BYTES      (1 << 20)
#define MAX_INPUTS            9
#define MAX_SECONDS           2.0

#define TYPE_IS_REAL(t)                                                                            \
    ((t) == CNN_FLOAT32 || (t) == CNN_FLOAT64 || (t) == CNN_FLOAT16 || (t) == CNN_BFLOAT16)
#define TYPE_IS_NATURAL(t)                                                                         \
    ((t) == CNN_BOOL || (t) == CNN_UINT8 || (t) == CNN_UINT16 || (t) == CNN_UINT32 ||              \
     (t) == CNN_UINT64)

static uint64_t state;

static uint64_t random_bits(void) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(0x2545F4914F6CDD1D) >> 16;
}

static int64_t random_in(int64_t low, int64_t high) {
    return low + (int64_t)(random_bits() % (uint64_t)(high - low + 1));
}

static bool one_in(int n) {
    return random_bits() % (uint64_t)n == 0;
}

/* Mostly small, sometimes extreme. */
static int64_t random_int(void) {
    static const int64_t extremes[] = {INT64_MIN,        INT64_MAX, INT32_MIN, INT32_MAX,
                                       INT64_C(1) << 31, -100,      100,       1 << 20};
    if (one_in(40)) return extremes[random_bits() % 8];
    return random_in(one_in(6) ? -3 : 0, one_in(2) ? 1 : 4);
}

static double random_real(void) {
    static const double extremes[] = {NAN, INFINITY, -INFINITY, 1e30, -1e30, 1e-30, 0.5, 1};
    if (one_in(10)) return extremes[random_bits() % 8];
    return (double)random_in(-40, 40) / 8;
}

static const char *random_string(void) {
    static const char *const strings[] = {"NOTSET",
                                          "SAME_UPPER",
                                          "SAME_LOWER",
                                          "VALID",
                                          "constant",
                                          "reflect",
                                          "edge",
                                          "wrap",
                                          "nearest",
                                          "linear",
                                          "cubic",
                                          "floor",
                                          "ceil",
                                          "round_prefer_ceil",
                                          "align_corners",
                                          "asymmetric",
                                          "tf_crop_and_resize",
                                          "pytorch_half_pixel",
                                          "half_pixel_symmetric",
                                          "output_half_pixel",
                                          "half_pixel",
                                          "not_larger",
                                          "not_smaller",
                                          "DCR",
                                          "CRD",
                                          "add",
                                          "mul",
                                          "max",
                                          "min",
                                          "avg",
                                          "none",
                                          "tanh",
                                          "LEFT",
                                          "RIGHT",
                                          "bilinear",
                                          "zeros",
                                          "border",
                                          "reflection",
                                          "ij,jk->ik",
                                          "ij,jk",
                                          "...i,i...->...",
                                          "ij,jk->kij",
                                          "nonsense",
                                          ""};
    return strings[random_bits() % (sizeof strings / sizeof strings[0])];
}

/* ---- attributes ---- */

static void add_list(node_test *t, const char *name, int64_t rank) {
    int64_t ints[16];
    bool spatial = strcmp(name, "kernel_shape") == 0 || strcmp(name, "strides") == 0 ||
                   strcmp(name, "dilations") == 0 || strncmp(name, "output_", 7) == 0;
    int64_t axes = MAX(rank - 2, 0);
    size_t count = (size_t)(spatial ? axes : strcmp(name, "pads") == 0 ? 2 * axes : rank);
    if (strcmp(name, "pooled_shape") == 0) count = 2;
    if (strcmp(name, "pads") == 0 && one_in(3)) count = (size_t)(2 * rank);
    if (strcmp(name, "axes") == 0 && one_in(2)) count = (size_t)random_in(0, 2);
    if (one_in(20)) count = (size_t)random_in(0, 16);
    for (size_t i = 0; i < count && i < 16; i++)
        ints[i] = strcmp(name, "perm") == 0        ? (int64_t)(count - 1 - i)
                  : strchr("ksd", name[0]) != NULL ? MAX(random_int(), 1) /* mostly extents */
                                                   : random_int();
    node_attr_ints(t, name, MIN(count, 16), ints);
}

/* Mostly what sizes can be multiplied by. */
static void add_scales(node_test *t, const char *name, int64_t rank) {
    double floats[16];
    for (int64_t i = 0; i < rank; i++)
        floats[i] = one_in(40) ? random_real() : (double)random_in(2, 6) / 2;
    node_attr_floats(t, name, (size_t)(one_in(20) ? random_in(0, 16) : rank), floats);
}

static void add_attribute(node_test *t, const char *name, const char *kind, int64_t rank) {
    if (strncmp(kind, "ints", 4) == 0)
        add_list(t, name, rank);
    else if (strncmp(kind, "int", 3) == 0)
        node_attr_int(t, name, strcmp(name, "to") == 0 ? random_in(0, 17) : random_int());
    else if (strncmp(kind, "float", 5) == 0 && kind[5] != 's')
        node_attr_float(t, name, random_real());
    else if (strncmp(kind, "floats", 6) == 0)
        add_scales(t, name, rank);
    else if (strncmp(kind, "string", 6) == 0 && kind[6] != 's')
        node_attr_string(t, name, random_string());
    else if (strncmp(kind, "tensor", 6) == 0)
        node_attr_tensor(t, name, CNN_FLOAT32, DIMS(1), NUMBERS(2));
}

static void add_attributes(node_test *t, int64_t rank) {
    const char *text = t->node->op->attrs;
    for (; text && *text; text += strcspn(text, " "), text += *text == ' ') {
        char name[64];
        const char *colon = strchr(text, ':');
        bool required = text[strcspn(text, "! ")] == '!';
        snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
        if (required ? !one_in(30) : one_in(2)) add_attribute(t, name, colon + 1, rank);
    }
}

/* ---- inputs ---- */

static cnn_shape random_shape(const node_test *t) {
    cnn_shape shape = {.rank = (int)random_in(0, 5)};
    const cnn_shape *first = t->ins > 0 && t->in[0] ? &t->in[0]->shape : NULL;
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i] = one_in(15) ? 0 : random_in(1, 4);
    if (!first || one_in(4)) {
        if (one_in(2)) shape.rank = (int)random_in(3, 5);
        for (int i = 0; i < shape.rank; i++)
            if (shape.dims[i] == 0 && !one_in(4)) shape.dims[i] = random_in(1, 4);
        return shape;
    }
    if (one_in(3)) return *first;
    if (one_in(3)) return DIMS(first->rank > 1 ? first->dims[1] : random_in(1, 5));
    if (one_in(3)) return DIMS(one_in(2) ? first->rank : 2 * first->rank);
    if (one_in(3)) return SCALAR;
    if (one_in(2) && first->rank > 0) { /* a weight: the same rank, other extents */
        shape = *first;
        for (int i = 0; i < shape.rank; i++)
            if (i != 1) shape.dims[i] = random_in(1, 3);
    }
    return shape;
}

static cnn_dtype random_type(const node_test *t) {
    static const cnn_dtype all[] = {CNN_FLOAT32, CNN_UINT8,  CNN_INT8,    CNN_UINT16,  CNN_INT16,
                                    CNN_INT32,   CNN_INT64,  CNN_BOOL,    CNN_FLOAT16, CNN_FLOAT64,
                                    CNN_UINT32,  CNN_UINT64, CNN_BFLOAT16};
    if (one_in(6)) return all[random_bits() % 13];
    if (t->ins > 0 && one_in(2)) return CNN_INT64;
    if (t->ins > 0 && t->in[0]) return t->in[0]->dtype;
    return one_in(4) ? CNN_INT64 : CNN_FLOAT32;
}

/* Fills an input with numbers that suit its type. */
static void fill_input(node_test *t, cnn_dtype type, cnn_shape shape, bool constant) {
    double numbers[4096];
    bool real = TYPE_IS_REAL(type), natural = TYPE_IS_NATURAL(type);
    size_t count = 0;
    cnn_shape_elements(&shape, &count);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = real ? random_real() : (double)random_in(one_in(3) ? -2 : 0, 3);
        if (type == CNN_INT64 && one_in(40)) numbers[i] = one_in(2) ? -0x1p63 : 0x1p62;
        if (natural) numbers[i] = type == CNN_BOOL ? numbers[i] > 0 : fabs(numbers[i]);
    }
    if (constant)
        node_constant(t, type, shape, count, numbers);
    else
        node_in(t, type, shape, count, numbers);
}

static void add_input(node_test *t) {
    cnn_shape shape = random_shape(t);
    fill_input(t, random_type(t), shape, !one_in(3));
}

/*
 * Inputs that stand a chance, a shape and a type each: x 3 to 5 axes, 4 four axes, a any, = as the
 * first, w and u a weight of Conv and ConvTranspose, c one for each channel, m for each output
 * channel, s a scalar, 1 and 2 as many, y the first without its first axis, v one for each axis, p
 * two, d at most two axes, A and B matrices to be multiplied, r and R regions, n one for each of
 * these; f float32, b uint8, l bool, i int64, I, L and F constants.
 */
static const struct {
    const char *op, *inputs;
} recipes[] = {
    {"Conv", "xf wf mf"},
    {"ConvTranspose", "xf uf"},
    {"ConvInteger", "xb wb sb mb"},
    {"QLinearConv", "xb sf sb wb sf sb sf sb"},
    {"MaxPool", "xf"},
    {"AveragePool", "xf"},
    {"LpPool", "xf"},
    {"SumPool", "xf"},
    {"StochasticPool", "xf"},
    {"MixedPool", "xf cf"},
    {"GammaPool", "xf"},
    {"WeibullPool", "xf"},
    {"AdaptiveAveragePool", "xf"},
    {"AdaptiveMaxPool", "xf"},
    {"SpatialPyramidPool", "xf"},
    {"WaveletPool", "xf"},
    {"MaxUnpool", "xf =i"},
    {"BatchNormalization", "xf cf cf cf cf"},
    {"InstanceNormalization", "xf cf cf"},
    {"GroupNormalization", "xf cf cf"},
    {"Where", "al =f =f"},
    {"And", "al =l"},
    {"Or", "al =l"},
    {"Xor", "al =l"},
    {"Not", "al"},
    {"BitShift", "ab =b"},
    {"Gemm", "Af Bf sf"},
    {"MatMulInteger", "Ab Bb sb sb"},
    {"QLinearMatMul", "Ab sf sb Bb sf sb sf sb"},
    {"RoiAlign", "4f rf ni"},
    {"MaxRoiPool", "4f Rf"},
    {"Range", "sI sI sI"},
    {"Pad", "af pI sf"},
    {"Resize", "af vF vF vI"},
    {"Upsample", "af vF"},
    {"Slice", "af vI vI vI vI"},
    {"Expand", "af vI"},
    {"Tile", "af vI"},
    {"Reshape", "af vI"},
    {"Unsqueeze", "af dI"},
    {"ConstantOfShape", "dI"},
    {"OneHot", "ai sI 2f"},
    {"TopK", "af sI"},
    {"CumSum", "af sI"},
    {"CumProd", "af sI"},
    {"GatherND", "xf ai"},
    {"Scatter", "af =i =f"},
    {"ScatterElements", "af =i =f"},
    {"ScatterND", "xf 1i yf"},
    {"QuantizeLinear", "xf cf cb"},
    {"DequantizeLinear", "xb cf cb"},
    {"Einsum", "Af Bf"},
    {"GridSample", "4f gf"},
    {"AffineGrid", "tf eI"},
    {"Attention", "hf hf hf sf"},
    {"Trilu", "xf sI"},
    {"CenterCropPad", "af vI"},
    {"Compress", "af 2L"},
};

static cnn_shape small_shape(int rank) {
    cnn_shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dims[i] = one_in(20) ? 0 : random_in(1, 4);
    return shape;
}

static cnn_shape behind_first_axis(cnn_shape shape) {
    shape.rank = MAX(shape.rank - 1, 0);
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i] = shape.dims[i + 1];
    return shape;
}

static cnn_shape recipe_shape(const node_test *t, char kind) {
    cnn_shape first = t->ins > 0 && t->in[0] ? t->in[0]->shape : SCALAR, shape = first;
    int64_t channels = first.rank > 1 ? first.dims[1] : 1;
    for (int i = 2; i < shape.rank; i++)
        shape.dims[i] = random_in(1, 3);
    switch (kind) {
    case 'x':
        return small_shape((int)random_in(3, 5));
    case '4':
        return small_shape(4);
    case 'a':
        return small_shape((int)random_in(0, 4));
    case 'w':
        shape.dims[0] = random_in(1, 4);
        return shape;
    case 'u':
        shape.dims[0] = channels;
        shape.dims[1] = random_in(1, 4);
        return shape;
    case 'c':
        return DIMS(channels);
    case 'm':
        return DIMS(t->ins > 1 && t->in[1]->shape.rank > 0 ? t->in[1]->shape.dims[0] : 1);
    case 'v':
        return DIMS(first.rank);
    case 'p':
        return DIMS(2 * first.rank);
    case 'd':
        return DIMS(random_in(0, 2));
    case '1':
        return DIMS(1);
    case '2':
        return DIMS(2);
    case 'A':
        return DIMS(2, 3);
    case 'B':
        return DIMS(3, 2);
    case 'g':
        return DIMS(first.rank > 0 ? first.dims[0] : 1, 2, 3, 2);
    case 't':
        return DIMS(1, 2, 3);
    case 'e':
        return DIMS(4);
    case 'h':
        return DIMS(1, 2, 3, 4);
    case 'r':
        return DIMS(3, 4);
    case 'R':
        return DIMS(3, 5);
    case 'n':
        return DIMS(3);
    case 'y':
        return behind_first_axis(first);
    case '=':
        return first;
    default:
        return SCALAR;
    }
}

/* False if there is no recipe for the operator. */
static bool add_recipe(node_test *t, size_t inputs) {
    const char *text = NULL;
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++)
        if (strcmp(recipes[i].op, t->node->op->name) == 0) text = recipes[i].inputs;
    if (!text) return false;
    for (; *text && t->ins < inputs; text += text[2] ? 3 : 2) {
        cnn_dtype type = strchr("fF", text[1])   ? CNN_FLOAT32
                         : text[1] == 'b'        ? CNN_UINT8
                         : strchr("lL", text[1]) ? CNN_BOOL
                                                 : CNN_INT64;
        if ((int)t->ins >= t->node->op->min_inputs && one_in(3))
            node_absent(t);
        else
            fill_input(t, type, recipe_shape(t, text[0]), text[1] < 'a');
    }
    return true;
}

/* ---- one node ---- */

static bool outputs_are_small(const node_test *t) {
    size_t total = 0;
    for (size_t i = 0; i < t->outs; i++) {
        const graph_value *v = &t->g->values[t->node->outputs[i]];
        size_t elements;
        cr_assert(v->has_shape, "%s: output %zu has no shape", t->node->op->name, i);
        cr_assert(cnn_shape_elements(&v->shape, &elements));
        total += elements * cnn_dtype_size(v->dtype);
    }
    return total <= MAX_OUTPUT_BYTES;
}

/* Whether infer accepted the node. */
static bool try_node(const op_def *op, uint64_t seed) {
    state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    node_test *t = node_begin(op->name, op->since);
    size_t inputs = (size_t)random_in(op->min_inputs, MIN(op->max_inputs, MAX_INPUTS));
    bool made = !one_in(4) && add_recipe(t, inputs);
    for (size_t i = 0; i < inputs && !made; i++)
        if (i > 0 && one_in(12))
            node_absent(t);
        else
            add_input(t);
    node_outputs(t, (size_t)random_in(op->min_outputs, MIN(op->max_outputs, 3)));
    add_attributes(t, t->in[0] ? t->in[0]->shape.rank : 3);
    cnn_error err = {0};
    cnn_status status = op->infer(t->g, t->node, &err);
    if (status != CNN_OK) {
        cr_assert_eq(strncmp(err.message, op->name, strlen(op->name)), 0, "%s", err.message);
    } else if (outputs_are_small(t)) {
        uint64_t before = cnn_now_ns();
        node_run(t);
        double seconds = (double)(cnn_now_ns() - before) * 1e-9;
        cr_assert_lt(seconds, MAX_SECONDS, "%s took %.1f s with seed %llu", op->name, seconds,
                     (unsigned long long)seed);
        if (op->macs) op->macs(t->g, t->node);
    }
    node_end(t);
    return status == CNN_OK;
}

/* How many of `count` random nodes are accepted. */
static uint64_t try_definition(const op_def *op, uint64_t first, uint64_t count) {
    uint64_t accepted = 0;
    for (uint64_t seed = first; seed < first + count; seed++)
        accepted += try_node(op, seed);
    if (getenv("CNN_TEST_VERBOSE"))
        fprintf(stderr, "%-28s %3d: %llu of %llu accepted\n", op->name, op->since,
                (unsigned long long)accepted, (unsigned long long)count);
    return accepted;
}

Test(random, every_definition, .timeout = 600) {
    const char *wanted = getenv("CNN_TEST_OP"), *rounds = getenv("CNN_TEST_ROUNDS");
    uint64_t count = rounds ? strtoull(rounds, NULL, 10) : ROUNDS_PER_DEFINITION, seed = 0;
    for (const op_def *const *family = op_families; *family; family++)
        for (const op_def *op = *family; op->name; op++, seed += 1000003) {
            if (wanted && strcmp(wanted, op->name) != 0) continue;
            uint64_t accepted = try_definition(op, seed, count);
            cr_assert(count < ROUNDS_PER_DEFINITION || accepted >= MIN_ACCEPTED,
                      "of %s, version %d, only %llu are accepted", op->name, op->since,
                      (unsigned long long)accepted);
        }
}
