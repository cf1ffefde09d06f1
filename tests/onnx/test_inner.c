/* Functions and branches: what stands within nodes. */
#include "onnx/loader.h"
#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cnn_error err;

static graph *load(file f) {
    graph *g = NULL;
    cr_assert_eq(load_file(&f, NULL, &g, &err), CNN_OK, "%s", err.message);
    return g;
}

static void expect(file f, cnn_status status, const char *says) {
    cnn_status got = load_file(&f, NULL, NULL, &err);
    cr_assert_eq(got, status, "status %d: %s", (int)got, err.message);
    cr_assert(strstr(err.message, says), "'%s' lacks '%s'", err.message, says);
}

/* An input x (n, m) and the output y. */
static file begin(int64_t n, int64_t m) {
    file f = file_begin(15);
    add_input(&f, "x", 2, (int64_t[]){n, m});
    add_output(&f, "y", 0, NULL);
    return f;
}

static void set_int(Onnx__AttributeProto *a, int64_t value) {
    a->has_i = 1;
    a->i = value;
}

/* A Constant of one int64. */
static void add_constant(file *f, const char *name, int64_t value) {
    Onnx__AttributeProto *a = add_attribute(add_node(f, "Constant", "", name), "value_int", 2);
    set_int(a, value);
}

/* The nodes' operators, in order, separated by spaces. */
static const char *ops_of(const graph *g) {
    static char all[500];
    all[0] = '\0';
    for (size_t i = 0; i < g->node_count; i++) {
        strcat(all, i ? " " : "");
        strcat(all, g->nodes[i]->op->name);
    }
    return all;
}

/* Binds and runs by plain evaluation, x being 1, -2, 3, ...; the values of y. */
static const float *run(graph *g, const cnn_shape *shape) {
    static float results[64];
    tensor *x = NULL;
    cr_assert_eq(graph_clone(g, &g, &err), CNN_OK);
    cr_assert_eq(tensor_create(CNN_FLOAT32, shape, &x, &err), CNN_OK);
    for (size_t i = 0; i < x->elements; i++)
        ((float *)x->data)[i] = (float)(i % 2 ? -1 - (int)i : 1 + (int)i);
    cr_assert_eq(graph_fix_input(g, 0, x, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(graph_bind(g, shape, &err), CNN_OK, "%s", err.message);
    const tensor *y = g->values[g->outputs[0]].constant;
    cr_assert_not_null(y);
    for (size_t i = 0; i < y->elements && i < 64; i++)
        results[i] = (float)tensor_number(y, i);
    graph_free(g);
    tensor_unref(x);
    return results;
}

/* ---- functions ---- */

/* relu(a) + b */
static file sum_body(void) {
    file body = file_begin(15);
    add_node(&body, "Relu", "a", "r")->name = text("inner");
    add_node(&body, "Add", "r b", "s");
    return body;
}

Test(functions, are_written_out) {
    file f = begin(1, 2);
    add_opset(&f, "mine", 1);
    add_function(&f, "mine", "Sum", "a b", "s", sum_body());
    Onnx__NodeProto *first = add_node(&f, "Sum", "x x", "h"),
                    *last = add_node(&f, "Sum", "h x", "y");
    first->domain = text("mine");
    first->name = text("call");
    last->domain = text("mine");
    graph *g = load(f);
    cr_assert_str_eq(ops_of(g), "Relu Add Relu Add");
    cr_expect_str_eq(g->nodes[0]->name, "call/inner");
    cr_expect_str_eq(g->nodes[2]->name, "y/inner", "a call without a name has that of its output");
    cr_expect_geq(graph_find_value(g, "call/r"), 0);
    cr_expect_geq(graph_find_value(g, "y/r"), 0);
    const float *y = run(g, &(cnn_shape){2, {1, 2}}); /* x: 1, -2; h: 2, -2 */
    cr_expect(y[0] == 3 && y[1] == -2, "%g %g", (double)y[0], (double)y[1]);
    graph_free(g);
}

/* A function's attribute is given by the call, or has a default, or is left out. */
static file leaky(const char *op, float *given) {
    file f = begin(1, 2), body = file_begin(15);
    add_opset(&f, "mine", 1);
    Onnx__AttributeProto *alpha = add_attribute(add_node(&body, "LeakyRelu", "a", "b"), "alpha", 1);
    alpha->ref_attr_name = text("slope");
    Onnx__FunctionProto *function = add_function(&f, "mine", op, "a", "b", body);
    if (strcmp(op, "WithDefault") == 0) {
        function->attribute_proto = calloc(1, sizeof(*function->attribute_proto));
        Onnx__AttributeProto *a = function->attribute_proto[0] = calloc(1, sizeof *a);
        onnx__attribute_proto__init(a);
        a->name = text("slope");
        a->has_type = a->has_f = 1;
        a->type = 1;
        a->f = 0.25f;
        function->n_attribute_proto = 1;
    }
    Onnx__NodeProto *call = add_node(&f, op, "x", "y");
    call->domain = text("mine");
    if (given) {
        Onnx__AttributeProto *a = add_attribute(call, "slope", 1);
        a->has_f = 1;
        a->f = *given;
    }
    return f;
}

Test(functions, hand_attributes_on) {
    float given = 0.5f;
    static const struct {
        const char *op;
        bool given;
        float y;
    } cases[] = {{"Plain", true, -1},
                 {"Plain", false, -0.02f},
                 {"WithDefault", false, -0.5f},
                 {"WithDefault", true, -1}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        graph *g = load(leaky(cases[i].op, cases[i].given ? &given : NULL));
        cr_expect_float_eq(run(g, &(cnn_shape){2, {1, 2}})[1], cases[i].y, 1e-6, "case %zu", i);
        graph_free(g);
    }
}

/* The tensor of an attribute is used in two calls, and twice in one. */
Test(functions, hand_tensors_on) {
    enum { SIZE = 600 }; /* so large that a tensor could take the message's buffer over */
    file f = begin(1, SIZE), body = file_begin(15);
    float data[SIZE];
    for (int i = 0; i < SIZE; i++)
        data[i] = (float)i;
    add_opset(&f, "mine", 1);
    for (int i = 0; i < 2; i++)
        add_attribute(add_node(&body, "Constant", "", i ? "c2" : "c1"), "value", 4)->ref_attr_name =
            text("table");
    add_node(&body, "Add", "a c1", "t");
    add_node(&body, "Add", "t c2", "b");
    add_function(&f, "mine", "AddTwice", "a", "b", body);
    for (int i = 0; i < 2; i++) {
        Onnx__NodeProto *call = add_node(&f, "AddTwice", i ? "h" : "x", i ? "y" : "h");
        call->domain = text("mine");
        Onnx__AttributeProto *a = add_attribute(call, "table", 4);
        a->t = calloc(1, sizeof *a->t);
        onnx__tensor_proto__init(a->t);
        a->t->has_data_type = 1;
        a->t->data_type = CNN_FLOAT32;
        a->t->n_dims = 1;
        a->t->dims = copy_of((int64_t[]){SIZE}, 8);
        set_raw(a->t, data, sizeof data);
    }
    graph *g = load(f);
    const float *y = run(g, &(cnn_shape){2, {1, SIZE}});
    cr_expect(y[1] == -2 + 4 && y[2] == 3 + 8, "%g %g", (double)y[1], (double)y[2]);
    graph_free(g);
}

Test(functions, pass_on_and_leave_out) {
    file f = begin(1, 2), body = file_begin(15);
    add_opset(&f, "mine", 1);
    add_node(&body, "Clip", "a lo hi", "c");
    add_function(&f, "mine", "Pass", "a lo hi", "a c c unused", body);
    Onnx__NodeProto *call = add_node(&f, "Pass", "x - top", "p q r");
    call->domain = text("mine");
    add_initializer(&f, "top", CNN_FLOAT32, 0, NULL)->n_float_data = 1;
    f.graph->initializer[0]->float_data = copy_of((float[]){0.5f}, 4);
    add_node(&f, "Sum", "p q r", "y");
    graph *g = load(f);
    const float *y = run(g, &(cnn_shape){2, {1, 2}}); /* 1 + 0.5 + 0.5, -2 three times */
    cr_expect(y[0] == 2 && y[1] == -6, "%g %g", (double)y[0], (double)y[1]);
    graph_free(g);
}

/* Softmax before version 13 flattens from its axis on: the body's version counts. */
Test(functions, have_their_own_operator_sets) {
    file f = begin(2, 2), body = file_begin(11);
    add_opset(&f, "mine", 1);
    set_int(add_attribute(add_node(&body, "Softmax", "a", "b"), "axis", 2), 0);
    add_function(&f, "mine", "Old", "a", "b", body);
    add_node(&f, "Old", "x", "y")->domain = text("mine");
    graph *g = load(f);
    const float *y = run(g, &(cnn_shape){2, {2, 2}});
    cr_expect_float_eq(y[0] + y[1] + y[2] + y[3], 1, 1e-6);
    graph_free(g);
}

/* A model may have its own idea of an operator, and several of one name. */
Test(functions, win_over_operators) {
    file f = begin(1, 2), body = file_begin(15);
    add_node(&body, "Neg", "a", "b");
    add_function(&f, "", "Relu", "a", "b", body);
    body = file_begin(15);
    add_node(&body, "Abs", "a", "b");
    add_function(&f, "", "Relu", "a", "b", body)->overload = text("other");
    add_node(&f, "Relu", "x", "h");
    add_node(&f, "Relu", "h", "y")->overload = text("other");
    graph *g = load(f);
    cr_assert_str_eq(ops_of(g), "Neg Abs");
    graph_free(g);
}

Test(functions, are_only_written_out_if_needed) {
    file f = begin(1, 2);
    add_opset(&f, "mine", 1);
    file body = file_begin(15);
    add_node(&body, "Unknown", "a", "u");
    add_node(&body, "Relu", "a", "b");
    add_function(&f, "mine", "Two", "a", "b u", body);
    add_node(&f, "Two", "x", "y z")->domain = text("mine");
    add_output(&f, "z", 0, NULL);
    graph *g = load(f);
    cr_assert_str_eq(ops_of(g), "Relu");
    cr_assert_eq(graph_check_value(g, g->outputs[1], &err), CNN_UNSUPPORTED);
    cr_assert(strstr(err.message, "node of output 'u': operator Unknown"), "%s", err.message);
    graph_free(g);
}

Test(functions, that_are_wrong) {
    file f = begin(1, 2), body = file_begin(15);
    add_opset(&body, "mine", 1);
    add_node(&body, "Self", "a", "b")->domain = text("mine");
    add_function(&f, "mine", "Self", "a", "b", body);
    add_node(&f, "Self", "x", "y")->domain = text("mine");
    expect(f, CNN_INVALID_MODEL, "function 'Self' calls itself");

    f = begin(1, 2);
    add_function(&f, "mine", "Sum", "a b", "s", sum_body());
    add_node(&f, "Sum", "x x x", "y")->domain = text("mine");
    expect(f, CNN_INVALID_MODEL, "has 2 inputs and 1 outputs, the node 3 and 1");

    f = begin(1, 2);
    add_function(&f, "mine", "Sum", "a b", "nowhere", sum_body());
    add_node(&f, "Sum", "x x", "y")->domain = text("mine");
    expect(f, CNN_INVALID_MODEL, "function 'Sum': no node makes its output 'y'");

    f = begin(1, 2);
    add_function(&f, "mine", "Sum", "a a", "s", sum_body());
    add_node(&f, "Sum", "x x", "y")->domain = text("mine");
    expect(f, CNN_INVALID_MODEL, "two inputs are called 'a'");

    f = begin(1, 2);
    body = sum_body();
    body.model->opset_import[0]->version = ONNX_MAX_OPSET + 1;
    add_function(&f, "mine", "Sum", "a b", "s", body);
    add_node(&f, "Sum", "x x", "y")->domain = text("mine");
    expect(f, CNN_UNSUPPORTED, "function 'Sum' uses operator set");

    f = begin(1, 2);
    add_function(&f, "mine", "Sum", "a b", "s", sum_body());
    add_node(&f, "Sum", "x", "y")->domain = text("mine"); /* Add lacks its second input */
    graph *g = load(f);
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_INVALID_MODEL);
    graph_free(g);
}

/* Each function calls the one before twice: 2^n nodes. */
static file doubling(int levels) {
    file f = begin(1, 2);
    add_opset(&f, "mine", 1);
    for (int i = 0; i < levels; i++) {
        char name[8], before[8];
        file body = file_begin(15);
        snprintf(name, sizeof name, "F%d", i);
        snprintf(before, sizeof before, i ? "F%d" : "Neg", i - 1);
        for (int j = 0; j < 2; j++)
            add_node(&body, before, j ? "h" : "a", j ? "b" : "h")->domain = text(i ? "mine" : "");
        add_function(&f, "mine", name, "a", "b", body);
    }
    char last[8];
    snprintf(last, sizeof last, "F%d", levels - 1);
    add_node(&f, last, "x", "y")->domain = text("mine");
    return f;
}

Test(functions, are_bounded) {
    graph *g = load(doubling(10));
    cr_assert_eq(g->node_count, 1024);
    graph_free(g);
    file f = doubling(30);
    cr_assert_eq(load_file(&f, NULL, NULL, &err), CNN_LIMIT, "%s", err.message);
    f = doubling(LOADER_MAX_DEPTH + 2);
    cr_assert_eq(load_file(&f, NULL, NULL, &err), CNN_LIMIT, "%s", err.message);
}

/* ---- If ---- */

static void set_branches(Onnx__NodeProto *node, file then_branch, file else_branch) {
    set_graph(add_attribute(node, "then_branch", 5), then_branch);
    set_graph(add_attribute(node, "else_branch", 5), else_branch);
}

/* A branch of one node over what is around it. */
static file branch(const char *op, const char *inputs, const char *output) {
    file b = file_begin(15);
    add_node(&b, op, inputs, output);
    add_output(&b, output, 0, NULL);
    return b;
}

/* if (extent `axis` of x is `size`) y = then_op(x) else y = else_op(x) */
static file by_extent(int64_t axis, int64_t size, const char *then_op, const char *else_op) {
    file f = begin(-1, -1);
    add_node(&f, "Shape", "x", "shape");
    add_constant(&f, "axis", axis);
    add_node(&f, "Gather", "shape axis", "extent");
    add_constant(&f, "size", size);
    add_node(&f, "Equal", "extent size", "same");
    Onnx__NodeProto *node = add_node(&f, "If", "same", "y");
    node->name = text("choice");
    set_branches(node, branch(then_op, "x", "t"), branch(else_op, "x", "e"));
    return f;
}

Test(branches, are_chosen_by_sizes) {
    graph *g = load(by_extent(1, 3, "Neg", "Abs"));
    cr_assert_eq(run(g, &(cnn_shape){2, {1, 3}})[0], -1);
    cr_assert_eq(run(g, &(cnn_shape){2, {1, 2}})[1], 2);
    graph_free(g);
}

/* Of the tensors around an If, those that either branch reads are there whatever is chosen. */
Test(branches, what_both_read_can_be_asked_for) {
    cnn_runtime *rt;
    cnn_model *model;
    uint8_t *bytes;
    char all[100] = "";
    file f = by_extent(1, 3, "Neg", "Abs");
    add_nodes(&f, "Relu x both; Sin x one");
    Onnx__NodeProto *node = add_node(&f, "If", "same", "z");
    set_branches(node, branch("Add", "both one", "t"), branch("Neg", "both", "e"));
    add_output(&f, "z", 0, NULL);
    size_t size = file_pack(&f, &bytes);
    file_free(&f);
    cr_assert_eq(cnn_runtime_create(&(cnn_runtime_options){.threads = 1}, &rt, &err), CNN_OK);
    cr_assert_eq(cnn_model_load_memory(rt, bytes, size, &model, &err), CNN_OK, "%s", err.message);
    free(bytes);
    for (size_t i = 0; i < cnn_model_tensor_count(model); i++) {
        strcat(all, i ? " " : "");
        strcat(all, cnn_model_tensor(model, i, NULL, NULL));
    }
    cr_expect_str_eq(all, "x shape extent same y both z");
    cnn_model_free(model);
    cnn_runtime_free(rt);
}

/* Only one is right for each size: Squeeze needs an extent of 1. The other is not looked at. */
Test(branches, that_are_not_chosen_are_not_checked) {
    graph *g = load(by_extent(0, 1, "Squeeze", "Unknown"));
    cr_assert_eq(g->left_out_count, 0);
    cr_assert_eq(run(g, &(cnn_shape){2, {1, 3}})[2], 3);
    cnn_shape two = {2, {2, 3}};
    cr_assert_eq(graph_bind(g, &two, &err), CNN_UNSUPPORTED);
    cr_assert(strstr(err.message, "node of output 'e': operator Unknown"), "%s", err.message);
    graph_free(g);
    g = load(by_extent(0, 1, "Unknown", "Relu"));
    cr_assert_eq(run(g, &(cnn_shape){2, {2, 1}})[1], 0);
    graph_free(g);
    expect(by_extent(0, 1, "Unknown", "Strange"), CNN_UNSUPPORTED, "operator Unknown");
}

/* A condition that is a constant of the file: nothing of the If is left when it has been loaded. */
Test(branches, are_chosen_at_load_by_constants) {
    for (uint8_t flag = 0; flag < 2; flag++) {
        file f = begin(1, 2);
        set_raw(add_initializer(&f, "flag", CNN_BOOL, 1, (int64_t[]){1}), &flag, 1);
        add_node(&f, "Not", "flag", "unflag");
        add_node(&f, "Neg", "x", "captured");
        set_branches(add_node(&f, "If", "unflag", "y"), branch("Relu", "captured", "t"),
                     branch("Abs", "x", "e"));
        graph *g = load(f);
        cr_assert_str_eq(ops_of(g), flag ? "Abs Identity" : "Neg Relu Identity");
        cr_assert_eq(g->left_out_count, flag);
        cr_assert_eq(run(g, &(cnn_shape){2, {1, 2}})[1], 2);
        graph_free(g);
    }
}

/* Several outputs, of which one branch gives a value from around and one of its initializers. */
Test(branches, see_what_is_around_them) {
    file f = begin(-1, 2);
    add_node(&f, "Neg", "x", "minus");
    add_node(&f, "Size", "x", "count");
    add_constant(&f, "two", 2);
    add_node(&f, "Equal", "count two", "small");
    add_node(&f, "Not", "small", "large");
    add_node(&f, "Or", "small large", "always");
    add_node(&f, "And", "small always", "cond");
    file then_branch = branch("Add", "minus own", "a");
    set_raw(add_initializer(&then_branch, "own", CNN_FLOAT32, 0, NULL), (float[]){10}, 4);
    add_output(&then_branch, "own", 0, NULL);
    file else_branch = branch("Relu", "minus", "a"); /* the same name in both */
    add_output(&else_branch, "minus", 0, NULL);
    Onnx__NodeProto *node = add_node(&f, "If", "cond", "p q");
    set_branches(node, then_branch, else_branch);
    add_node(&f, "Sub", "p q", "y");
    graph *g = load(f);
    const float *y = run(g, &(cnn_shape){2, {1, 2}}); /* -x + 10 - 10 */
    cr_expect(y[0] == -1 && y[1] == 2, "%g %g", (double)y[0], (double)y[1]);
    y = run(g, &(cnn_shape){2, {2, 2}}); /* relu(-x) + x */
    cr_expect(y[0] == 1 && y[1] == 0, "%g %g", (double)y[0], (double)y[1]);
    graph_free(g);
}

Test(branches, may_hold_branches) {
    file f = begin(-1, -1), inner = file_begin(15);
    add_node(&f, "Shape", "x", "shape");
    add_constant(&f, "zero", 0);
    add_constant(&f, "one", 1);
    add_node(&f, "Gather", "shape zero", "rows");
    add_node(&f, "Equal", "rows one", "c");
    add_node(&inner, "Gather", "shape one", "columns");
    add_node(&inner, "Equal", "columns one", "c2");
    set_branches(add_node(&inner, "If", "c2", "n"), branch("Neg", "x", "r"),
                 branch("Abs", "x", "r"));
    add_output(&inner, "n", 0, NULL);
    set_branches(add_node(&f, "If", "c", "y"), inner, branch("Relu", "x", "r"));
    graph *g = load(f);
    cr_expect_eq(run(g, &(cnn_shape){2, {1, 1}})[0], -1);
    cr_expect_eq(run(g, &(cnn_shape){2, {1, 2}})[1], 2);
    cr_expect_eq(run(g, &(cnn_shape){2, {2, 2}})[1], 0);
    graph_free(g);
}

/* A branch within a function knows the function's attributes. */
Test(branches, within_functions) {
    file f = begin(1, 2), body = file_begin(15), then_branch = file_begin(15);
    add_opset(&f, "mine", 1);
    add_attribute(add_node(&then_branch, "LeakyRelu", "a", "t"), "alpha", 1)->ref_attr_name =
        text("slope");
    add_output(&then_branch, "t", 0, NULL);
    add_node(&body, "Size", "a", "n");
    add_constant(&body, "two", 2);
    add_node(&body, "Equal", "n two", "c");
    set_branches(add_node(&body, "If", "c", "b"), then_branch, branch("Neg", "a", "e"));
    add_function(&f, "mine", "Maybe", "a", "b", body);
    Onnx__NodeProto *call = add_node(&f, "Maybe", "x", "y");
    call->domain = text("mine");
    Onnx__AttributeProto *slope = add_attribute(call, "slope", 1);
    slope->has_f = 1;
    slope->f = 0.5f;
    graph *g = load(f);
    cr_assert_eq(run(g, &(cnn_shape){2, {1, 2}})[1], -1);
    graph_free(g);
}

Test(branches, that_depend_on_the_picture) {
    file f = begin(1, 1);
    add_node(&f, "ReduceMax", "x", "m");
    Onnx__AttributeProto *to = add_attribute(add_node(&f, "Cast", "m", "c"), "to", 2);
    set_int(to, CNN_BOOL);
    Onnx__NodeProto *node = add_node(&f, "If", "c", "y");
    node->name = text("choice");
    set_branches(node, branch("Neg", "x", "t"), branch("Abs", "x", "e"));
    graph *g = load(f);
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_VALUE_NEEDED);
    cr_assert(strstr(err.message, "If 'choice': the condition, which chooses the branch, must be "
                                  "known before the run, but depends on the value of input 'x'"),
              "%s", err.message);
    graph_free(g);
}

Test(branches, that_are_wrong) {
    file f = begin(1, 2);
    add_node(&f, "If", "x", "y")->name = text("bare");
    expect(f, CNN_INVALID_MODEL, "node 'bare': If needs the graph then_branch");

    f = begin(1, 2);
    Onnx__NodeProto *node = add_node(&f, "If", "x", "y z");
    set_branches(node, branch("Neg", "x", "t"), branch("Neg", "x", "t"));
    expect(f, CNN_INVALID_MODEL, "If has 2 outputs, but then_branch gives 1");

    f = begin(1, 2);
    node = add_node(&f, "If", "x x", "y");
    set_branches(node, branch("Neg", "x", "t"), branch("Neg", "x", "t"));
    expect(f, CNN_INVALID_MODEL, "If takes one input");

    f = begin(1, 2);
    for (int i = 0; i < 2; i++) {
        Onnx__AttributeProto *a = i ? add_attribute(node, "else_branch", 5) : NULL;
        if (!a) {
            node = add_node(&f, "If", "x", "y");
            a = add_attribute(node, "then_branch", 5);
        }
        a->has_g = 1;
        a->g = (ProtobufCBinaryData){2, copy_of("\x0a\x7f", 2)};
    }
    expect(f, CNN_INVALID_MODEL, "attribute then_branch holds no graph, or a damaged one");

    f = begin(1, 2); /* a condition that is no bool */
    add_constant(&f, "number", 1);
    set_branches(add_node(&f, "If", "number", "y"), branch("Neg", "x", "t"),
                 branch("Neg", "x", "t"));
    graph *g = load(f);
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_INVALID_MODEL);
    cr_assert(strstr(err.message, "the condition is not one bool"), "%s", err.message);
    graph_free(g);
}

Test(branches, are_bounded_in_depth) {
    file inner = branch("Neg", "x", "r");
    for (int i = 0; i < 100; i++) {
        file outer = file_begin(15);
        set_branches(add_node(&outer, "If", "c", "r"), inner, branch("Abs", "x", "r"));
        add_output(&outer, "r", 0, NULL);
        inner = outer;
    }
    file f = begin(1, 2);
    add_initializer(&f, "c", CNN_BOOL, 0, NULL)->n_int32_data = 1;
    f.graph->initializer[0]->int32_data = copy_of((int32_t[]){1}, 4);
    set_branches(add_node(&f, "If", "c", "y"), inner, branch("Abs", "x", "r"));
    graph *g = NULL;
    cnn_status status = load_file(&f, NULL, &g, &err);
    if (status == CNN_OK) status = graph_bind(g, NULL, &err);
    cr_assert_eq(status, CNN_LIMIT, "%s", err.message);
    cr_assert(strstr(err.message, "nested more than 32 deep"), "%s", err.message);
    graph_free(g);
}
