/* What the values of outputs mean. Each graph is a line: its nodes, separated by ";", behind
 * x (1, 3, 4, 4) -> GlobalAveragePool -> p (1, 3, 1, 1) -> Flatten -> f -> MatMul -> z (1, 4), or
 * one (1, 1). */
#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static cnn_error err;
static cnn_runtime *rt;

static void start(void) {
    cr_assert_eq(cnn_runtime_create(&(cnn_runtime_options){.threads = 1}, &rt, &err), CNN_OK);
}

static void stop(void) {
    cnn_runtime_free(rt);
}

TestSuite(meaning, .init = start, .fini = stop);

static void add_number(file *f, const char *name, float number) {
    set_raw(add_initializer(f, name, CNN_FLOAT32, 0, NULL), &number, sizeof number);
}

static void add_ints(file *f, const char *name, size_t count, const int64_t *ints) {
    set_raw(add_initializer(f, name, CNN_INT64, 1, (int64_t[]){(int64_t)count}), ints,
            count * sizeof *ints);
}

static void add_constants(file *f) {
    static const struct {
        const char *name;
        float number;
    } numbers[] = {{"0", 0},
                   {"1", 1},
                   {"-1", -1},
                   {"2", 2},
                   {"3", 3},
                   {"4", 4},
                   {"6", 6},
                   {"100", 100},
                   {"0.5", 0.5f},
                   {"0.2", 0.2f},
                   {"-0.5", -0.5f},
                   {"eps", 1e-7f},
                   {"1-eps", 1 - 1e-7f},
                   {"scale", 1.f / 256}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        add_number(f, numbers[i].name, numbers[i].number);
    add_ints(f, "i0", 1, (int64_t[]){0});
    add_ints(f, "i1", 1, (int64_t[]){1});
    add_ints(f, "i2", 1, (int64_t[]){2});
    add_ints(f, "i3", 1, (int64_t[]){3});
    add_ints(f, "i0,2", 2, (int64_t[]){0, 2});
    add_ints(f, "i1,3", 2, (int64_t[]){1, 3});
    add_ints(f, "i1,4", 2, (int64_t[]){1, 4});
    add_ints(f, "i2,2", 2, (int64_t[]){2, 2});
    add_ints(f, "i1,4,1,1", 4, (int64_t[]){1, 4, 1, 1});
    set_raw(add_initializer(f, "zero", CNN_UINT8, 0, NULL), "", 1);
    set_raw(add_initializer(f, "bias", CNN_FLOAT32, 1, (int64_t[]){4}),
            (float[]){0, .25f, .5f, .75f}, 16);
}

static cnn_output_meaning *find(int opset, int classes, const char *line) {
    float weights[12] = {0};
    uint8_t *bytes;
    cnn_model *model = NULL;
    cnn_output_meaning *meaning = NULL;
    file f = file_begin(opset);
    add_input(&f, "x", 4, (int64_t[]){1, 3, 4, 4});
    set_raw(add_initializer(&f, "w", CNN_FLOAT32, 2, (int64_t[]){3, classes}), weights,
            3 * (size_t)classes * sizeof(float));
    add_constants(&f);
    add_nodes(&f, "GlobalAveragePool x p; Flatten p f; MatMul f+w z");
    add_nodes(&f, line);
    add_shapeless_output(&f, "y");
    size_t size = file_pack(&f, &bytes);
    file_free(&f);
    cr_assert_eq(cnn_model_load_memory(rt, bytes, size, &model, &err), CNN_OK, "%s: %s", line,
                 err.message);
    free(bytes);
    cr_assert_eq(cnn_output_meaning_find(model, 0, NULL, &meaning, &err), CNN_OK, "%s: %s", line,
                 err.message);
    cnn_model_free(model);
    return meaning;
}

static void expect_full(int opset, int classes, cnn_meaning values, double scale,
                        const char *scores, const char *line) {
    cnn_output_meaning *meaning = find(opset, classes, line);
    cr_expect_eq(meaning->values, values, "%s: %d, %s", line, (int)meaning->values,
                 meaning->reason);
    cr_expect(fabs(meaning->scale / scale - 1) < 1e-3, "%s: %g", line, meaning->scale);
    cr_expect_str_eq(meaning->scores.name, scores, "%s", line);
    cnn_output_meaning_free(meaning);
}

#define EXPECT(values, line)      expect_full(13, 4, CNN_MEANING_##values, 1, "y", line)
#define EXPECT_ONE(values, line)  expect_full(13, 1, CNN_MEANING_##values, 1, "y", line)
#define EXPECT_TIMES(scale, line) expect_full(13, 4, CNN_MEANING_PROBABILITY, scale, "y", line)
#define EXPECT_BEHIND(values, scores, line)                                                        \
    expect_full(13, 4, CNN_MEANING_##values, 1, scores, line)

Test(meaning, single_operators) {
    EXPECT(PROBABILITY, "Softmax z y");
    EXPECT(PROBABILITY, "Softmax z y axis=1");
    EXPECT(LOG_PROBABILITY, "LogSoftmax z y");
    EXPECT(PROBABILITY, "Sigmoid z y");
    EXPECT_ONE(PROBABILITY, "Sigmoid z y");
    EXPECT(PROBABILITY, "HardSigmoid z y alpha=.1667");
    EXPECT(UNKNOWN, "Identity z y");
    EXPECT(UNKNOWN, "Tanh z y");
    EXPECT(UNKNOWN, "Relu z y");
    EXPECT(UNKNOWN, "Exp z y");
    EXPECT(UNKNOWN, "Softplus z y");
}

Test(meaning, what_keeps_it) {
    EXPECT(PROBABILITY, "Softmax z s; Identity s y");
    EXPECT(PROBABILITY, "Softmax z s; Dropout s y");
    EXPECT(PROBABILITY, "Softmax z s; Reshape s+i1,4 y");
    EXPECT(PROBABILITY, "Softmax z s; Squeeze s+i0 y");
    EXPECT(PROBABILITY, "Softmax z s; Unsqueeze s+i0 y");
    EXPECT(PROBABILITY, "Reshape z+i1,4,1,1 r; Softmax r s axis=1; Flatten s y");
    EXPECT(PROBABILITY, "Softmax z s; Transpose s y perm=1,0");
    EXPECT(PROBABILITY, "Softmax z s; Cast s y to=10");
    EXPECT(PROBABILITY, "Softmax z s; Cast s d to=11; Cast d y to=1");
    EXPECT(PROBABILITY, "Softmax z s; Clip s+0+1 y");
    EXPECT(PROBABILITY, "Softmax z s; Clip s+eps+1-eps y");
    EXPECT(PROBABILITY, "Softmax z s; Max s+eps m; Min 1-eps+m y");
    EXPECT(PROBABILITY, "Softmax z s; Add s+0 y");
    EXPECT(PROBABILITY, "Softmax z s; Add eps+s y");
    EXPECT(PROBABILITY, "Sigmoid z s; Sub 1+s y");
    EXPECT(PROBABILITY, "Sigmoid z s; Neg s n; Add n+1 y");
    EXPECT(PROBABILITY, "Sigmoid z s; Sub 1+s n; Concat n+s y axis=1");
    EXPECT(PROBABILITY, "Softmax z s; Slice s+i1+i3+i1 y");
    EXPECT(PROBABILITY, "Softmax z s; Gather s+i1,3 y axis=1");
    EXPECT(PROBABILITY, "Softmax z s; Split s a+b axis=1; Concat b+a y axis=1");
    EXPECT(PROBABILITY, "Softmax z s; QuantizeLinear s+scale+zero q; "
                        "DequantizeLinear q+scale+zero y");
    EXPECT(PROBABILITY, "Softmax z s; IsNaN s n; Where n+0+s y");
    EXPECT(LOG_PROBABILITY, "LogSoftmax z s; Flatten s y");
    EXPECT(LOG_PROBABILITY, "Softmax z s; Log s y");
    EXPECT(LOG_PROBABILITY, "Sigmoid z s; Clip s+eps+1 c; Log c y");
    EXPECT(PROBABILITY, "LogSoftmax z s; Exp s y");
}

/* Whole percents are what was there; 0 and 1 only tell what was chosen. */
Test(meaning, rounding) {
    EXPECT_TIMES(100, "Softmax z s; Mul s+100 m; Round m y");
    EXPECT_TIMES(1, "Softmax z s; Mul s+100 m; Floor m r; Div r+100 y");
    EXPECT_BEHIND(PROBABILITY, "s", "Sigmoid z s; Round s y");
    EXPECT(UNKNOWN, "Round z y");
    EXPECT(PROBABILITY, "Softmax z s; Pow s+2 q; ReduceSum q+i1 t; Div q+t y");
    EXPECT(PROBABILITY, "Pow z+2 q; ReduceSum q+i1 t; Div q+t y");
    EXPECT(UNKNOWN, "Pow z+3 q; ReduceSum q+i1 t; Div q+t y");
    EXPECT(UNKNOWN, "Softmax z s; Pow s+2 y");
}

Test(meaning, a_constant_factor) {
    EXPECT_TIMES(100, "Softmax z s; Mul s+100 y");
    EXPECT_TIMES(100, "Softmax z s; Mul 100+s y");
    EXPECT_TIMES(0.25, "Softmax z s; Div s+4 y");
    EXPECT_TIMES(100, "Sigmoid z s; Mul s+100 m; Sub 100+m y");
    EXPECT_TIMES(1, "Softmax z s; Mul s+4 m; Div m+4 y");
    EXPECT_TIMES(2, "Softmax z s; Sigmoid z t; Add s+t y");
    EXPECT(UNKNOWN, "Softmax z s; Mul s+-1 y");
    EXPECT(UNKNOWN, "Softmax z s; Mul s+0 y");
    EXPECT(UNKNOWN, "Sigmoid z s; Mul s+2 m; Sub m+1 y");
    EXPECT(UNKNOWN, "Sigmoid z s; Sub s+0.5 y");
    EXPECT(UNKNOWN, "Softmax z s; Add s+bias y");
    expect_full(13, 4, CNN_MEANING_LOG_PROBABILITY, 2, "y", "LogSoftmax z s; Mul s+2 y");
    expect_full(13, 4, CNN_MEANING_LOG_PROBABILITY, -1, "y", "LogSoftmax z s; Neg s y");
    expect_full(13, 4, CNN_MEANING_LOG_PROBABILITY, -2, "y", "LogSoftmax z s; Div s+-0.5 y");
    EXPECT(PROBABILITY, "LogSoftmax z s; Neg s n; Neg n l; Exp l y");
    EXPECT(UNKNOWN, "LogSoftmax z s; Neg s n; Exp n y");
    EXPECT(UNKNOWN, "LogSoftmax z s; Add s+1 y");
}

Test(meaning, several_together) {
    EXPECT(PROBABILITY, "Softmax z s; Sigmoid z t; Add s+t a; Mul a+0.5 y");
    EXPECT(PROBABILITY, "Softmax z s; Sigmoid z t; Mean s+t y");
    EXPECT(PROBABILITY, "Softmax z s; Unsqueeze s+i0 t; Concat t+t u axis=0; "
                        "ReduceMean u y axes=0 keepdims=0");
    EXPECT(PROBABILITY, "Softmax z s; Sigmoid z t; Mul s+t y");
    EXPECT(PROBABILITY, "Softmax z s; Sigmoid z t; Max s+t y");
    EXPECT(UNKNOWN, "Softmax z s; Sigmoid z t; Sub s+t y");
    EXPECT(UNKNOWN, "Softmax z s; Concat s+z y axis=1");
    EXPECT(UNKNOWN, "Softmax z s; Mul s+100 m; Concat s+m y axis=1");
    EXPECT(UNKNOWN, "Softmax z s; Add s+z y");
}

Test(meaning, softmax_in_pieces) {
    EXPECT(PROBABILITY, "Exp z e; ReduceSum e+i1 s; Div e+s y");
    EXPECT(PROBABILITY, "ReduceMax z m axes=1; Sub z+m d; Exp d e; ReduceSum e+i1 s; Div e+s y");
    EXPECT(PROBABILITY, "Exp z e; ReduceSum e+i1 s keepdims=0; Unsqueeze s+i1 t; Div e+t y");
    EXPECT(PROBABILITY, "Exp z e; ReduceSum e+i1 s; Reciprocal s r; Mul r+e y");
    EXPECT(PROBABILITY, "Exp z e; ReduceSum e+i1 s; Div 1+s r; Mul e+r y");
    EXPECT(PROBABILITY, "Exp z e; ReduceL1 e s axes=1; Clip s+eps t; Expand t+i1,4 u; Div e+u y");
    EXPECT(PROBABILITY, "Exp z e; ReduceSum e+i1 s; Add s+eps t; Div e+t y");
    EXPECT(PROBABILITY, "Sigmoid z e; ReduceSum e+i1 s; Div e+s y");
    EXPECT(PROBABILITY, "Relu z r; Add r+1 e; ReduceSum e+i1 s; Div e+s y");
    EXPECT(PROBABILITY, "Softplus z b; Greater z+6 g; Where g+z+b r; ReduceSum r+i1 s; Div r+s y");
    EXPECT(LOG_PROBABILITY, "ReduceLogSumExp z l axes=1; Sub z+l y");
    EXPECT(LOG_PROBABILITY, "Exp z e; ReduceLogSum e l axes=1; Sub z+l y");
    EXPECT(LOG_PROBABILITY, "Exp z e; ReduceSum e+i1 s; Log s l; Sub z+l y");
    EXPECT(LOG_PROBABILITY, "ReduceMax z m axes=1; Sub z+m d; Exp d e; ReduceSum e+i1 s; "
                            "Log s l; Sub d+l y");
    EXPECT(PROBABILITY, "ReduceMax z m axes=1; Sub z+m d; Exp d e; ReduceSum e+i1 s; "
                        "Log s l; Add l+m n; Sub z+n q; Exp q y");
    EXPECT(UNKNOWN, "Exp z e; ReduceSum z+i1 s; Div e+s y");
    EXPECT(UNKNOWN, "ReduceSum z+i1 s; Div z+s y");
    EXPECT(UNKNOWN, "Exp z e; ReduceMax e s axes=1; Div e+s y");
    EXPECT(UNKNOWN, "ReduceLogSumExp z l axes=1; Mul z+2 m; Sub m+l y");
}

Test(meaning, sigmoid_in_pieces) {
    EXPECT(PROBABILITY, "Neg z n; Exp n e; Add e+1 a; Div 1+a y");
    EXPECT_ONE(PROBABILITY, "Neg z n; Exp n e; Add 1+e a; Reciprocal a y");
    EXPECT(PROBABILITY, "Exp z e; Add e+1 a; Div e+a y");
    EXPECT(PROBABILITY, "Mul z+0.5 h; Tanh h t; Mul t+0.5 m; Add m+0.5 y");
    EXPECT(PROBABILITY, "Tanh z t; Add t+1 a; Div a+2 y");
    EXPECT(PROBABILITY, "Erf z t; Add t+1 a; Mul a+0.5 y");
    EXPECT(PROBABILITY, "Add z+3 a; Clip a+0+6 c; Div c+6 y");
    EXPECT(PROBABILITY, "Add 3+z a; Relu a r; Min r+6 c; Div c+6 y");
    EXPECT(PROBABILITY, "Mul z+0.2 m; Add m+0.5 a; Clip a+0+1 y");
    EXPECT(LOG_PROBABILITY, "Neg z n; Softplus n s; Neg s y");
    EXPECT(UNKNOWN, "Clip z+0+6 y");
    EXPECT(UNKNOWN, "Relu z r; Min r+6 y");
    EXPECT(UNKNOWN, "Add z+1 a; Clip a+0+6 y");
    EXPECT(UNKNOWN, "Neg z n; Exp n e; Add e+0.5 a; Sub a+1 b; Div 1+b y"); /* not bounded */
}

/* They are in nearly every network. */
Test(meaning, gates_are_no_probabilities) {
    EXPECT(UNKNOWN, "Sigmoid z s; Mul z+s y");
    EXPECT(UNKNOWN, "Add z+3 a; Clip a+0+6 c; Div c+6 h; Mul z+h y");
    EXPECT(UNKNOWN, "Erf z t; Add t+1 a; Mul a+z b; Mul b+0.5 y");
    EXPECT(UNKNOWN, "Sigmoid p s; Mul x+s g; GlobalAveragePool g y");
    EXPECT(UNKNOWN, "Softmax x s axis=3; Mul s+x m; ReduceSum m+i2 a; ReduceMean a b axes=3; "
                    "Flatten b y");
    EXPECT(UNKNOWN, "Sigmoid f s; MatMul s+w y");
    EXPECT(UNKNOWN, "Softmax f s; Gemm s+w y");
    EXPECT(UNKNOWN, "Greater z+0 g; Cast g c to=1; Mul z+c y");
}

/* Only along the axis of the classes a softmax tells of them. */
Test(meaning, the_axis_of_the_classes) {
    EXPECT(UNKNOWN, "Reshape z+i2,2 r; Softmax r s; Reshape s+i1,4 y");
    EXPECT(UNKNOWN, "Reshape z+i2,2 r; Exp r e; ReduceSum e+i0 s; Div e+s d; Reshape d+i1,4 y");
    EXPECT(PROBABILITY, "Transpose z t perm=1,0; Softmax t s axis=0; Transpose s y perm=1,0");
    expect_full(9, 4, CNN_MEANING_PROBABILITY, 1, "y", "Softmax z y");
    expect_full(11, 4, CNN_MEANING_PROBABILITY, 1, "y",
                "Reshape z+i1,4,1,1 r; Softmax r s; Flatten s y"); /* over all from axis 1 on */
    expect_full(13, 4, CNN_MEANING_PROBABILITY, 1, "y",
                "Softmax x s axis=1; GlobalAveragePool s y"); /* at each pixel */
    EXPECT(UNKNOWN, "Softmax x s axis=2; GlobalAveragePool s y");
    EXPECT(PROBABILITY, "Softmax z s; Gather s+i1,3 g axis=1; ReduceSum g+i1 y");
    EXPECT(PROBABILITY, "Sigmoid z s; ReduceMean s y axes=1");
    EXPECT_TIMES(4, "Sigmoid z s; ReduceSum s+i1 y");
    EXPECT(UNKNOWN, "Softmax z s; ReduceMean s y axes=1");
}

Test(meaning, scores_behind_a_choice) {
    EXPECT_BEHIND(PROBABILITY, "s", "Softmax z s; TopK s+i3 y+i");
    EXPECT_BEHIND(UNKNOWN, "z", "TopK z+i3 y+i");
    EXPECT_BEHIND(UNKNOWN, "z", "TopK z+i3 v+y");
    EXPECT_BEHIND(UNKNOWN, "z", "TopK z+i3 v+i; Softmax v y");
    EXPECT_BEHIND(LOGIT, "z", "TopK z+i3 v+i; Sigmoid v y");
    EXPECT_BEHIND(UNKNOWN, "z", "TopK z+i3 v+i; Mul v+100 m; Squeeze m+i0 y");
    EXPECT_BEHIND(PROBABILITY, "s", "Softmax z s; ArgMax s y axis=1");
    EXPECT_BEHIND(UNKNOWN, "z", "ArgMax z a axis=1; Cast a c to=1; Add c+1 y");
    EXPECT_BEHIND(PROBABILITY, "s", "Softmax z s; ReduceMax s y axes=1");
    EXPECT_BEHIND(PROBABILITY, "s", "Softmax z s; ArgMax s a axis=1; GatherElements s+a y axis=1");
    EXPECT_BEHIND(PROBABILITY, "s", "Sigmoid z s; Greater s+0.5 y");
    EXPECT_BEHIND(PROBABILITY, "s", "Softmax z s; QuantizeLinear s+scale+zero y");
    expect_full(13, 4, CNN_MEANING_PROBABILITY, 100, "m",
                "Softmax z s; Mul s+100 m; Cast m y to=2");
    EXPECT(UNKNOWN, "TopK f+i3 v+i; MatMul v+w y"); /* chosen on the way to other scores */
}

static void expect_reason(const char *reason, bool chosen, const char *line) {
    cnn_output_meaning *meaning = find(13, 4, line);
    cr_expect_str_eq(meaning->reason, reason);
    cr_expect_eq(meaning->chosen, chosen, "%s", line);
    cnn_output_meaning_free(meaning);
}

Test(meaning, reasons) {
    expect_reason("MatMul 'z' through Identity", false, "Identity z y");
    expect_reason("Softmax 's' through Reshape, Clip", false,
                  "Softmax z s; Reshape s+i1,4 r; Clip r+0+1 y");
    expect_reason("a softmax, made by Div 'y'", false, "Exp z e; ReduceSum e+i1 s; Div e+s y");
    expect_reason("Softmax 's' through Reshape, which is not over the classes", false,
                  "Reshape z+i2,2 r; Softmax r s; Reshape s+i1,4 y");
    expect_reason("Softmax 'y', which is over single elements and so 1 everywhere", false,
                  "Softmax z y axis=0");
    expect_reason("Softmax 's', before TopK 'y'", true, "Softmax z s; TopK s+i3 y+i");
    expect_reason("Softmax 's', before QuantizeLinear 'y'", false,
                  "Softmax z s; QuantizeLinear s+scale+zero y");
    expect_reason("Softmax 's' through ..., Identity, Identity, Identity, Identity, Identity, "
                  "Identity, Identity, Identity",
                  false,
                  "Softmax z s; Identity s a; Identity a b; Identity b c; Identity c d; "
                  "Identity d e; Identity e g; Identity g h; Identity h i; Identity i y");
}

/* The scores' type and shape are those of the bound graph. */
Test(meaning, the_scores) {
    cnn_output_meaning *meaning = find(13, 4, "Softmax z s; Cast s y to=10");
    cr_expect_eq(meaning->scores.dtype, CNN_FLOAT16);
    cr_expect_eq(meaning->scores.shape.rank, 2);
    cr_expect_eq(meaning->scores.shape.dims[1], 4);
    cnn_output_meaning_free(meaning);
}

Test(meaning, what_must_be_given) {
    cnn_output_meaning *meaning = NULL;
    cr_expect_eq(cnn_output_meaning_find(NULL, 0, NULL, &meaning, &err), CNN_INVALID_ARGUMENT);
    cr_expect_null(meaning);
    cnn_output_meaning_free(NULL);
}

/* Long chains and graphs that double at each step take no more than one walk. */
Test(meaning, large_graphs, .timeout = 60) {
    char *line = calloc(1, 400000), *at = line;
    at += sprintf(at, "Softmax z n0");
    for (int i = 0; i < 5000; i++)
        at += sprintf(at, "; Add n%d+n%d a%d; Mul a%d+0.5 n%d", i, i, i, i, i + 1);
    sprintf(at, "; Identity n5000 y");
    EXPECT(PROBABILITY, line);
    free(line);
}

/* float32 keeps the values, other types are rounded to it. */
Test(meaning, reading_floats) {
    float out[3];
    cnn_read_floats(CNN_FLOAT32, (float[]){1, -2.5f, 0}, 3, out);
    cr_expect(out[0] == 1 && out[1] == -2.5f && out[2] == 0);
    cnn_read_floats(CNN_FLOAT64, (double[]){0.1, 1e300, -3}, 3, out);
    cr_expect(out[0] == 0.1f && out[1] > 3e38f && out[2] == -3);
    cnn_read_floats(CNN_FLOAT16, (uint16_t[]){0x3c00, 0xc100, 0x0001}, 3, out);
    cr_expect(out[0] == 1 && out[1] == -2.5f && out[2] == 0x1p-24f);
    cnn_read_floats(CNN_BFLOAT16, (uint16_t[]){0x3f80, 0xc020, 0x7f80}, 3, out);
    cr_expect(out[0] == 1 && out[1] == -2.5f && out[2] > 3e38f);
}
