/* What a graph does without: parts of a file that its outputs do not need, or that cannot be read.
 */
#include "onnx/proto.h"
#include "ops/op.h"

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

/* What is listed under a name; NULL: nothing. */
static const graph_left_out *left_out(const graph *g, const char *kind, const char *name) {
    for (size_t i = 0; i < g->left_out_count; i++)
        if (strcmp(g->left_out[i].kind, kind) == 0 && strcmp(g->left_out[i].name, name) == 0)
            return &g->left_out[i];
    return NULL;
}

static void expect_left_out(const graph *g, const char *kind, const char *name, const char *op,
                            const char *reason) {
    const graph_left_out *part = left_out(g, kind, name);
    cr_assert_not_null(part, "%s %s is not listed", kind, name);
    cr_expect_str_eq(part->op, op);
    cr_expect(strstr(part->reason, reason), "%s %s: '%s' lacks '%s'", kind, name, part->reason,
              reason);
    char quoted[100];
    snprintf(quoted, sizeof quoted, "'%s': ", name);
    cr_expect(!strstr(part->reason, quoted), "%s: '%s' says again what it is", name, part->reason);
}

/* Loads, expects that only small_model's own nodes are left, binds. */
static graph *load_small(file f) {
    graph *g = load(f);
    cr_assert_eq(g->node_count, 2);
    cr_assert_str_eq(g->nodes[0]->op->name, "Conv");
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    return g;
}

/* ---- what no output needs ---- */

Test(parts, nodes_that_nobody_needs_are_not_checked) {
    file f = small_model();
    add_node(&f, "Frobnicate", "y", "a")->name = text("unknown");
    add_node(&f, "Conv", "y", "e")->name = text("lacks its weights");
    add_node(&f, "Relu", "nowhere", "g")->name = text("dangles");
    add_attribute(add_node(&f, "Relu", "y", "d"), "body", 5);
    add_node(&f, "Add", "y q", "p");
    add_node(&f, "Relu", "p", "q"); /* a cycle */
    add_node(&f, "Loop", "y", "");
    graph *g = load_small(f);
    cr_assert_eq(g->left_out_count, 7);
    expect_left_out(g, "node", "unknown", "Frobnicate", "no output that can be computed needs it");
    expect_left_out(g, "node", "dangles", "Relu", "no output that can be computed needs it");
    expect_left_out(g, "node", "d", "Relu", "no output that can be computed needs it");
    expect_left_out(g, "node", "", "Loop", "no output that can be computed needs it");
    graph_free(g);
}

Test(parts, initializers_that_nobody_needs_are_not_read) {
    file f = small_model();
    add_initializer(&f, "texts", CNN_STRING, 1, (int64_t[]){4});
    add_initializer(&f, "short", CNN_FLOAT32, 1, (int64_t[]){4});
    set_external(add_initializer(&f, "gone", CNN_FLOAT32, 1, (int64_t[]){4}), "location", "gone");
    graph *g = load_small(f);
    cr_assert_eq(g->left_out_count, 3);
    expect_left_out(g, "initializer", "texts", "", "no output that can be computed needs it");
    expect_left_out(g, "initializer", "short", "", "no output that can be computed needs it");
    expect_left_out(g, "initializer", "gone", "", "no output that can be computed needs it");
    graph_free(g);
}

Test(parts, what_is_needed_is_not_listed) {
    file f = small_model();
    add_node(&f, "Shape", "w", "s"); /* folded */
    add_node(&f, "Cast", "s", "t");
    add_attribute(f.graph->node[3], "to", 2)->has_i = 1;
    f.graph->node[3]->attribute[0]->i = CNN_FLOAT32;
    add_node(&f, "Dropout", "y", "z mask");
    add_output(&f, "t", 0, NULL);
    add_output(&f, "z", 0, NULL);
    graph *g = load(f);
    cr_assert_eq(g->left_out_count, 0, "%s", g->left_out[0].name);
    cr_assert_eq(tensor_number(g->values[g->outputs[1]].constant, 3), 2);
    graph_free(g);
}

/* ---- what cannot be read ---- */

/* As sklearn-onnx and Azure's exporter write it: labels and a list of maps beside the scores. */
static file with_labels(void) {
    file f = small_model();
    add_opset(&f, "ai.onnx.ml", 1);
    add_input(&f, "threshold", 0, NULL);
    add_initializer(&f, "k", CNN_INT64, 1, (int64_t[]){1})->n_int64_data = 1;
    f.graph->initializer[2]->int64_data = copy_of((int64_t[]){1}, 8);
    add_node(&f, "ArgMax", "y", "best")->name = text("best");
    add_node(&f, "Expand", "best k", "more")->name = text("more");
    add_node(&f, "LabelEncoder", "more threshold", "label")->domain = text("ai.onnx.ml");
    add_node(&f, "ZipMap", "y", "map")->domain = text("ai.onnx.ml");
    add_node(&f, "Upper", "label", "shout")->name = text("shout");
    add_output(&f, "shout", 0, NULL)->type->tensor_type->elem_type = CNN_STRING;
    Onnx__ValueInfoProto *map = add_output(&f, "map", 0, NULL);
    protobuf_c_message_free_unpacked(&map->type->tensor_type->base, NULL);
    map->type->tensor_type = NULL;
    return f;
}

Test(parts, operators_beside_the_scores_do_no_harm) {
    graph *g = load(with_labels());
    cr_assert_eq(g->node_count, 2);
    cr_assert_eq(g->output_count, 3, "outputs keep their numbers");
    cr_assert_eq(graph_check_value(g, g->outputs[0], &err), CNN_OK);
    cr_assert_eq(graph_check_value(g, g->outputs[1], &err), CNN_UNSUPPORTED);
    cr_expect(strstr(err.message, "string"), "%s", err.message);
    cr_assert_eq(graph_check_value(g, g->outputs[2], &err), CNN_UNSUPPORTED);
    cr_expect(strstr(err.message, "node of output 'map': operator ZipMap of domain ai.onnx.ml"),
              "%s", err.message);
    expect_left_out(g, "output", "map", "", "ZipMap");
    expect_left_out(g, "node", "map", "ZipMap", "not supported in version 1");
    expect_left_out(g, "node", "shout", "Upper", "element type string is not supported");
    expect_left_out(g, "node", "label", "LabelEncoder", "no output that can be computed");
    expect_left_out(g, "node", "best", "ArgMax", "no output that can be computed needs it");
    expect_left_out(g, "node", "more", "Expand", "no output that can be computed needs it");
    expect_left_out(g, "initializer", "k", "", "no output that can be computed needs it");
    expect_left_out(g, "input", "threshold", "", "no output that can be computed needs it");
    cr_assert_eq(g->input_count, 1);
    graph_free(g);
}

Test(parts, bind_refuses_what_cannot_be_computed) {
    graph *g = load(with_labels());
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_UNSUPPORTED);
    graph_free(g);
    g = load(with_labels());
    cr_assert_eq(graph_bind_what_can(g, NULL, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(g->output_count, 1);
    cr_assert_str_eq(g->values[g->outputs[0]].name, "y");
    graph_free(g);
}

/* Only with the shapes it shows that an output cannot be computed. */
Test(parts, bind_leaves_out_what_breaks_a_rule) {
    file f = small_model();
    add_node(&f, "NonZero", "y", "found")->name = text("nz");
    add_node(&f, "Relu", "y", "z");
    add_output(&f, "found", 0, NULL);
    add_output(&f, "z", 0, NULL);
    graph *g = load(f), *copy = NULL;
    cr_assert_eq(graph_clone(g, &copy, &err), CNN_OK);
    cr_assert_neq(graph_bind(copy, NULL, &err), CNN_OK);
    cr_assert(strstr(err.message, "NonZero 'nz'"), "%s", err.message);
    graph_free(copy);
    cr_assert_eq(graph_bind_what_can(g, NULL, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(g->output_count, 2);
    cr_assert_str_eq(g->values[g->outputs[1]].name, "z");
    cr_assert_eq(g->node_count, 3);
    graph_free(g);
}

Test(parts, a_bad_initializer_harms_what_needs_it) {
    file f = small_model();
    add_initializer(&f, "texts", CNN_STRING, 1, (int64_t[]){4});
    add_node(&f, "Add", "y texts", "z")->name = text("adds");
    add_output(&f, "z", 0, NULL);
    graph *g = load(f);
    cr_assert_eq(graph_check_value(g, g->outputs[1], &err), CNN_UNSUPPORTED);
    cr_assert_str_eq(err.message, "initializer 'texts': element type string is not supported");
    expect_left_out(g, "node", "adds", "Add", "element type string");
    graph_free(g);
}

Test(parts, without_any_output_the_first_reason_is_the_error) {
    file f = small_model();
    f.graph->node[0]->op_type[3] = 'q';
    add_node(&f, "Other", "y", "z");
    add_output(&f, "z", 0, NULL);
    cr_assert_eq(load_file(&f, NULL, NULL, &err), CNN_UNSUPPORTED);
    cr_assert(strstr(err.message, "node 'conv': operator Conq of domain ai.onnx"), "%s",
              err.message);
}

/* Names are the frame of the file: those that are wrong are an error wherever they stand. */
Test(parts, names_are_checked_everywhere) {
    file f = small_model();
    add_node(&f, "Relu", "y", "z");
    add_node(&f, "Relu", "y", "z");
    cr_assert_eq(load_file(&f, NULL, NULL, &err), CNN_INVALID_MODEL);
    cr_assert(strstr(err.message, "output 'z': the name is taken already"), "%s", err.message);
}

Test(parts, an_input_that_nothing_names_is_fed_all_the_same) {
    file f = small_model();
    add_input(&f, "spare", 1, (int64_t[]){3});
    add_input(&f, "dead", 1, (int64_t[]){3});
    add_node(&f, "Relu", "dead", "z");
    graph *g = load(f);
    cr_assert_eq(g->input_count, 2);
    cr_assert_str_eq(g->values[g->inputs[1]].name, "spare");
    expect_left_out(g, "input", "dead", "", "no output that can be computed needs it");
    graph_free(g);
}
