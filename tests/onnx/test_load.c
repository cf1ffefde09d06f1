#include "onnx/proto.h"
#include "ops/op.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cnn_error err;

/* Makes `name` the only output. */
static file only(file f, const char *name) {
    free(f.graph->output[0]->name);
    f.graph->output[0]->name = text(name);
    return f;
}

/* The only output is an input, passed on. */
static file pass_on(file f, const char *input) {
    add_node(&f, "Identity", input, "passed");
    return only(f, "passed");
}

/* Expects a status and a sentence that contains `part`. */
static void expect(file f, cnn_status status, const char *part) {
    cnn_status got = load_file(&f, NULL, NULL, &err);
    cr_assert_eq(got, status, "status %d: %s", (int)got, err.message);
    if (part) cr_assert(strstr(err.message, part), "'%s' lacks '%s'", err.message, part);
    cr_assert_null(strchr(err.message, '\n'));
}

static graph *load(file f) {
    graph *g = NULL;
    cr_assert_eq(load_file(&f, NULL, &g, &err), CNN_OK, "%s", err.message);
    return g;
}

Test(load, small_model) {
    graph *g = load(small_model());
    cr_assert_eq(g->opset, 13);
    cr_assert_eq(g->ir_version, 8);
    cr_assert_eq(g->node_count, 2);
    cr_assert_eq(g->input_count, 1);
    cr_assert_eq(g->output_count, 1);
    const graph_value *x = &g->values[g->inputs[0]], *y = &g->values[g->outputs[0]];
    cr_assert_str_eq(x->name, "x");
    cr_assert_eq(x->dtype, CNN_FLOAT32);
    cr_assert(x->has_shape && x->shape.rank == 4 && x->shape.dims[0] == -1 &&
              x->shape.dims[3] == 3);
    cr_assert(y->has_shape && y->shape.dims[1] == 2);
    const graph_node *conv = g->nodes[0];
    cr_assert_str_eq(conv->name, "conv");
    cr_assert_str_eq(conv->op->name, "Conv");
    cr_assert_eq(graph_attr(conv, "strides")->count, 2);
    cr_assert_eq(g->nodes[1]->origin, 1);
    const tensor *w = g->values[conv->inputs[1]].constant;
    cr_assert_eq(((const float *)w->data)[7], 8);
    cr_assert_eq((uintptr_t)w->data % CNN_ALIGN, 0);
    cr_assert_eq(((const float *)g->values[conv->inputs[2]].constant->data)[1], -0.5f);
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(g->values[g->outputs[0]].shape.dims[2], 2);
    graph_free(g);
}

/* ---- the file ---- */

Test(load, says_what_is_no_model) {
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        {"", 0, "empty"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", 61, "Git LFS"},
        {"<!DOCTYPE html><html></html>", 28, "not in ONNX format"},
        {"\x08\x08", 2, "no graph"},
        {"\x3a\x64\x0a", 3, "cut short or damaged: 100 bytes at offset 0"},
        {"\x08", 1, "not in ONNX format"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        graph *g = NULL;
        cr_assert_eq(onnx_load(cases[i].bytes, cases[i].size, NULL, NULL, &g, &err),
                     CNN_INVALID_MODEL);
        cr_assert(strstr(err.message, cases[i].part), "case %zu: %s", i, err.message);
        cr_assert_null(g);
    }
}

Test(load, opset_versions) {
    static const struct {
        int version;
        cnn_status status;
    } cases[] = {
        {ONNX_MIN_OPSET - 1, CNN_UNSUPPORTED}, {7, CNN_OK},          {13, CNN_OK}, {21, CNN_OK},
        {ONNX_MAX_OPSET + 1, CNN_UNSUPPORTED}, {-1, CNN_UNSUPPORTED}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        file f = small_model();
        f.model->opset_import[0]->version = cases[i].version;
        expect(f, cases[i].status, cases[i].status == CNN_OK ? NULL : "operator set");
    }
    file f = small_model();
    free(f.model->opset_import[0]->domain);
    f.model->opset_import[0]->domain = text("ai.onnx");
    expect(f, CNN_OK, NULL);
    f = small_model();
    free(f.model->opset_import[0]->domain);
    f.model->opset_import[0]->domain = text("ai.onnx.ml");
    expect(f, CNN_INVALID_MODEL, "imports no operator set");
}

/* ---- names ---- */

Test(load, unknown_operator_is_named) {
    file f = small_model();
    add_node(&f, "Convv", "y", "z")->name = text("layer 3");
    expect(only(f, "z"), CNN_UNSUPPORTED, "node 'layer 3': operator Convv of domain ai.onnx");
    cr_assert(strstr(err.message, "there is Conv"), "%s", err.message);
    cr_assert(strstr(err.message, "version 13"));
    f = small_model(); /* other versions have it */
    add_node(&f, "Upsample", "y", "z");
    expect(only(f, "z"), CNN_UNSUPPORTED,
           "Upsample of domain ai.onnx is not supported in version 13");
    cr_assert(strstr(err.message, "of its operator set; versions 7 to 10 are"), "%s", err.message);
    f = small_model();
    add_node(&f, "Gelu", "y", "z");
    expect(only(f, "z"), CNN_UNSUPPORTED,
           "in version 13 of its operator set; version 20 and later ones are");
    f = small_model();
    add_opset(&f, "com.example", 2);
    add_node(&f, "Frobnicate", "y", "z")->domain = text("com.example");
    expect(only(f, "z"), CNN_UNSUPPORTED, "domain com.example is not supported in version 2");
    f = small_model();
    add_node(&f, "MaxPoll", "y", "z")->domain = text("com.example");
    expect(only(f, "z"), CNN_INVALID_MODEL,
           "of domain com.example, which the model does not import");
}

Test(load, operators_of_our_own_domain) {
    file f = small_model();
    add_opset(&f, OP_OWN_DOMAIN, 1);
    add_node(&f, "GlobalEntropyPool", "y", "z")->domain = text(OP_OWN_DOMAIN);
    expect(only(f, "z"), CNN_OK, NULL);
    f = small_model();
    add_node(&f, "GlobalEntropyPool", "y", "z");
    expect(only(f, "z"), CNN_UNSUPPORTED, "there is GlobalEntropyPool of domain ai.cnnserve");
    f = small_model();
    add_opset(&f, OP_OWN_DOMAIN, 1);
    add_node(&f, "MaxPool", "y", "z")->domain = text(OP_OWN_DOMAIN);
    expect(only(f, "z"), CNN_UNSUPPORTED, "there is MaxPool of domain ai.onnx");
}

Test(load, names_must_be_sound) {
    file f = small_model();
    add_node(&f, "Relu", "c", "y");
    expect(f, CNN_INVALID_MODEL, "output 'y': the name is taken");
    f = small_model();
    add_input(&f, "x", 1, (int64_t[]){1});
    expect(f, CNN_INVALID_MODEL, "input 'x': the name is taken");
    f = small_model();
    add_initializer(&f, "w", CNN_FLOAT32, 1, (int64_t[]){0});
    expect(f, CNN_INVALID_MODEL, "initializer 'w': the name is taken");
    f = small_model();
    add_node(&f, "Relu", "nowhere", "z");
    expect(only(f, "z"), CNN_INVALID_MODEL, "input 'nowhere' is no initializer");
    f = small_model();
    add_output(&f, "nobody", 0, NULL);
    expect(f, CNN_INVALID_MODEL, "output 'nobody': no node makes it");
    f = small_model();
    add_node(&f, "Relu", "y", "\xff\xfe");
    expect(f, CNN_INVALID_MODEL, "not UTF-8");
    f = small_model();
    add_input(&f, "", 1, (int64_t[]){1});
    expect(f, CNN_INVALID_MODEL, "without a name");
    char name[GRAPH_MAX_NAME_BYTES + 2];
    memset(name, 'n', sizeof name);
    name[GRAPH_MAX_NAME_BYTES + 1] = '\0';
    f = small_model();
    add_node(&f, "Relu", "y", name);
    expect(f, CNN_LIMIT, "a name of 1001 bytes");
    name[GRAPH_MAX_NAME_BYTES] = '\0';
    f = small_model();
    add_node(&f, "Relu", "y", name);
    expect(f, CNN_OK, NULL);
}

Test(load, cycles_are_found) {
    file f = small_model();
    add_node(&f, "Add", "y q", "p");
    add_node(&f, "Relu", "p", "q");
    add_output(&f, "q", 0, NULL);
    expect(f, CNN_INVALID_MODEL, "depends on its own result");
}

Test(load, order_of_nodes_does_not_matter) {
    file f = small_model();
    Onnx__NodeProto *first = f.graph->node[0];
    f.graph->node[0] = f.graph->node[1];
    f.graph->node[1] = first;
    graph *g = load(f);
    cr_assert_str_eq(g->nodes[0]->op->name, "Conv");
    cr_assert_eq(g->nodes[0]->origin, 0);
    graph_free(g);
}

/* ---- structure ---- */

Test(load, initializers_are_not_fed) {
    file f = small_model();
    add_input(&f, "w", 4, (int64_t[]){2, 1, 2, 2});
    graph *g = load(f);
    cr_assert_eq(g->input_count, 1);
    cr_assert_not_null(g->values[graph_find_value(g, "w")].constant);
    graph_free(g);
}

Test(load, unused_initializers_are_released) {
    file f = small_model();
    set_raw(add_initializer(&f, "unused", CNN_UINT8, 1, (int64_t[]){4}), "abcd", 4);
    graph *g = load(f);
    cr_assert_null(g->values[graph_find_value(g, "unused")].constant);
    graph_free(g);
}

/* A float16 weight behind a Cast, as converters to half precision write it. */
Test(load, casts_of_weights_are_done) {
    file f = small_model();
    set_raw(add_initializer(&f, "h", CNN_FLOAT16, 1, (int64_t[]){1}), (uint16_t[]){0x4000}, 2);
    Onnx__AttributeProto *to = add_attribute(add_node(&f, "Cast", "h", "s"), "to", 2);
    to->has_i = 1;
    to->i = CNN_FLOAT32;
    add_node(&f, "Mul", "y s", "z");
    add_output(&f, "z", 0, NULL);
    graph *g = load(f);
    cr_assert_eq(g->node_count, 3);
    cr_assert_str_eq(g->nodes[2]->op->name, "Mul");
    cr_assert_eq(g->nodes[2]->origin, 2);
    cr_assert_eq(tensor_number(g->values[graph_find_value(g, "s")].constant, 0), 2);
    cr_assert_null(g->values[graph_find_value(g, "h")].constant);
    graph_free(g);
}

/* An int8 weight with a scale for each output channel, as the built-in models store them. */
Test(load, weights_are_dequantized) {
    file f = small_model();
    set_raw(add_initializer(&f, "q", CNN_INT8, 2, (int64_t[]){2, 2}), (int8_t[]){127, -127, 1, -2},
            4);
    set_raw(add_initializer(&f, "scale", CNN_FLOAT32, 1, (int64_t[]){2}), (float[]){0.5f, 2}, 8);
    Onnx__AttributeProto *axis =
        add_attribute(add_node(&f, "DequantizeLinear", "q scale", "w2"), "axis", 2);
    axis->has_i = 1;
    axis->i = 0;
    add_node(&f, "Mul", "y w2", "z");
    add_output(&f, "z", 0, NULL);
    graph *g = load(f);
    cr_assert_eq(g->node_count, 3);
    const tensor *w = g->values[graph_find_value(g, "w2")].constant;
    static const double expected[] = {63.5, -63.5, 2, -4};
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(tensor_number(w, i), expected[i]);
    cr_assert_null(g->values[graph_find_value(g, "q")].constant);
    graph_free(g);
}

Test(load, absent_arguments) {
    file f = small_model();
    add_node(&f, "Clip", "y - -", "z");
    add_node(&f, "Dropout", "z", "d -");
    add_output(&f, "d", 0, NULL);
    graph *g = load(f);
    cr_assert_eq(g->nodes[2]->input_count, 1, "trailing ones are dropped");
    cr_assert_eq(g->nodes[3]->output_count, 1);
    graph_free(g);
    f = small_model();
    add_node(&f, "Clip", "y - y", "z");
    g = load(only(f, "z"));
    cr_assert_eq(g->nodes[2]->inputs[1], -1);
    graph_free(g);
    f = small_model();
    add_node(&f, "Conv", "- y", "z");
    expect(only(f, "z"), CNN_INVALID_MODEL, "needs its input 0");
    f = small_model();
    add_node(&f, "Dropout", "y", "- z");
    expect(only(f, "z"), CNN_INVALID_MODEL, "needs its output 0");
    f = small_model();
    add_node(&f, "Relu", "y y", "z");
    expect(only(f, "z"), CNN_INVALID_MODEL, "takes 1 to 1 inputs, the node has 2");
}

Test(load, graphs_without_outputs_or_tensors) {
    file f = file_begin(13);
    expect(f, CNN_INVALID_MODEL, "no outputs");
    f = small_model();
    Onnx__ValueInfoProto *info = add_input(&f, "sequence", 0, NULL);
    protobuf_c_message_free_unpacked(&info->type->tensor_type->base, NULL);
    info->type->tensor_type = NULL;
    expect(pass_on(f, "sequence"), CNN_UNSUPPORTED, "input 'sequence': it is no tensor");
    f = small_model();
    add_input(&f, "s", 0, NULL)->type->tensor_type->elem_type = CNN_STRING;
    expect(pass_on(f, "s"), CNN_UNSUPPORTED, "element type string");
    f = small_model();
    add_input(&f, "s", 0, NULL)->type->tensor_type->elem_type = 17;
    expect(pass_on(f, "s"), CNN_UNSUPPORTED, "float8e4m3fn");
    f = small_model();
    add_input(&f, "s", 0, NULL)->type->tensor_type->elem_type = 9999;
    expect(pass_on(f, "s"), CNN_INVALID_MODEL, "9999 is no element type");
}

Test(load, extents) {
    file f = small_model();
    add_input(&f, "big", 1, (int64_t[]){INT64_MAX});
    expect(pass_on(f, "big"), CNN_LIMIT, "input 'big': extent 9223372036854775807 of axis 0");
    f = small_model();
    add_input(&f, "deep", 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1});
    expect(pass_on(f, "deep"), CNN_LIMIT, "9 dimensions");
    f = small_model();
    Onnx__ValueInfoProto *info = add_input(&f, "minus", 1, (int64_t[]){5});
    info->type->tensor_type->shape->dim[0]->dim_value = -5;
    graph *g = load(f);
    cr_assert_eq(g->values[g->inputs[1]].shape.dims[0], -1, "as some exporters write it");
    graph_free(g);
    f = small_model();
    info = add_input(&f, "any", 0, NULL);
    protobuf_c_message_free_unpacked(&info->type->tensor_type->shape->base, NULL);
    info->type->tensor_type->shape = NULL;
    g = load(f);
    cr_assert_not(g->values[g->inputs[1]].has_shape);
    graph_free(g);
}

Test(load, sparse_initializers_are_refused) {
    file f = small_model();
    f.graph->n_sparse_initializer = 1;
    f.graph->sparse_initializer = calloc(1, sizeof *f.graph->sparse_initializer);
    Onnx__SparseTensorProto *s = f.graph->sparse_initializer[0] = calloc(1, sizeof *s);
    onnx__sparse_tensor_proto__init(s);
    s->values = calloc(1, sizeof *s->values);
    onnx__tensor_proto__init(s->values);
    s->values->name = text("s");
    expect(pass_on(f, "s"), CNN_UNSUPPORTED, "initializer 's': sparse ones are not supported");
}

/* ---- attributes ---- */

Test(load, attributes_of_every_kind) {
    file f = small_model();
    Onnx__NodeProto *node = add_node(&f, "Relu", "y", "z");
    Onnx__AttributeProto *a = add_attribute(node, "float", 1);
    a->has_f = 1;
    a->f = 1.5f;
    a = add_attribute(node, "int", 2);
    a->has_i = 1;
    a->i = -7;
    a = add_attribute(node, "string", 3);
    a->has_s = 1;
    a->s = (ProtobufCBinaryData){5, copy_of("hello", 5)};
    a = add_attribute(node, "tensor", 4);
    a->t = calloc(1, sizeof *a->t);
    onnx__tensor_proto__init(a->t);
    a->t->has_data_type = 1;
    a->t->data_type = CNN_INT64;
    a->t->n_int64_data = 1;
    a->t->int64_data = copy_of((int64_t[]){42}, 8);
    a = add_attribute(node, "floats", 6);
    a->n_floats = 2;
    a->floats = copy_of((float[]){1, 2}, 8);
    a = add_attribute(node, "strings", 8);
    a->n_strings = 2;
    a->strings = calloc(2, sizeof *a->strings);
    a->strings[1] = (ProtobufCBinaryData){1, copy_of("b", 1)};
    a = add_attribute(node, "old", 0); /* before IR version 2 */
    a->n_ints = 1;
    a->ints = copy_of((int64_t[]){3}, 8);
    add_attribute(node, "none", 7);
    graph *g = load(only(f, "z"));
    const graph_node *n = g->nodes[2];
    cr_assert_eq(graph_attr_float(n, "float", 0), 1.5f);
    cr_assert_eq(graph_attr_int(n, "int", 0), -7);
    cr_assert_str_eq(graph_attr_string(n, "string", ""), "hello");
    cr_assert_eq(tensor_int(graph_attr(n, "tensor")->tensor, 0), 42);
    cr_assert_eq(graph_attr(n, "tensor")->tensor->shape.rank, 0);
    cr_assert_eq(graph_attr(n, "floats")->floats[1], 2);
    cr_assert_str_eq(graph_attr(n, "strings")->strings[0], "");
    cr_assert_str_eq(graph_attr(n, "strings")->strings[1], "b");
    cr_assert_eq(graph_attr(n, "old")->kind, ATTR_INTS);
    cr_assert_eq(graph_attr(n, "none")->count, 0);
    graph_free(g);
}

Test(load, attributes_that_are_refused) {
    static const struct {
        int type;
        cnn_status status;
        const char *part;
    } cases[] = {
        {5, CNN_UNSUPPORTED, "attribute body holds a graph"},
        {10, CNN_UNSUPPORTED, "a list of graphs"},
        {11, CNN_UNSUPPORTED, "a sparse tensor"},
        {13, CNN_UNSUPPORTED, "a type"},
        {99, CNN_INVALID_MODEL, "has no value"},
        {0, CNN_INVALID_MODEL, "has no value"},
        {4, CNN_INVALID_MODEL, "tensor is missing"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        file f = small_model();
        add_attribute(f.graph->node[1], "body", cases[i].type);
        expect(f, cases[i].status, cases[i].part);
    }
    file f = small_model();
    add_attribute(f.graph->node[0], "strides", 2);
    expect(f, CNN_INVALID_MODEL, "attribute strides stands there twice");
    f = small_model();
    for (int i = 0; i <= GRAPH_MAX_NODE_ATTRS; i++)
        add_attribute(f.graph->node[1], "a", 2);
    expect(f, CNN_LIMIT, "257 attributes");
    f = small_model();
    add_attribute(f.graph->node[1], "a", 2)->ref_attr_name = text("outer");
    expect(f, CNN_UNSUPPORTED, "refers to a function's");
    f = small_model();
    Onnx__AttributeProto *a = add_attribute(f.graph->node[1], "s", 3);
    a->has_s = 1;
    a->s = (ProtobufCBinaryData){3, copy_of("a\0b", 3)};
    expect(f, CNN_INVALID_MODEL, "zero byte");
}

/* ---- limits ---- */

Test(load, too_many_nodes) {
    file f = small_model();
    for (int i = 0; i < GRAPH_MAX_NODES; i++)
        add_node(&f, "R", "", "");
    expect(f, CNN_LIMIT, "100002 nodes");
}

Test(load, too_many_inputs) {
    file f = small_model();
    Onnx__NodeProto *node = add_node(&f, "Concat", "", "z");
    node->n_input = GRAPH_MAX_NODE_ARGS + 1;
    node->input = calloc(node->n_input, sizeof *node->input);
    for (size_t i = 0; i < node->n_input; i++)
        node->input[i] = text("y");
    expect(only(f, "z"), CNN_LIMIT, "4097 inputs");
}

Test(load, many_nodes_load_in_linear_time) {
    enum { NODES = 40000 };
    file f = small_model();
    char from[16] = "y", to[16];
    for (int i = 0; i < NODES; i++) {
        snprintf(to, sizeof to, "v%d", i);
        add_node(&f, "Relu", from, to);
        strcpy(from, to);
    }
    graph *g = load(only(f, from));
    cr_assert_eq(g->node_count, NODES + 2);
    cr_assert_eq(graph_bind(g, NULL, &err), CNN_OK, "%s", err.message);
    graph_free(g);
}

/* Two bytes of file each make protobuf-c allocate a message. */
Test(load, memory_is_bounded_by_the_file) {
    size_t size = (size_t)4 << 20, payload = size - 5;
    uint8_t *bytes = malloc(size);
    bytes[0] = 0x3a; /* graph */
    bytes[1] = (uint8_t)(payload & 0x7F) | 0x80;
    bytes[2] = (uint8_t)(payload >> 7 & 0x7F) | 0x80;
    bytes[3] = (uint8_t)(payload >> 14 & 0x7F) | 0x80;
    bytes[4] = (uint8_t)(payload >> 21);
    for (size_t i = 5; i < size; i++)
        bytes[i] = i % 2 ? 0x0a : 0; /* node, of length 0 */
    bytes[size - 1] = 0;
    if (bytes[size - 2] != 0x0a) bytes[size - 2] = 0;
    graph *g = NULL;
    cnn_status status = onnx_load(bytes, size, NULL, NULL, &g, &err);
    cr_assert(status == CNN_LIMIT || status == CNN_INVALID_MODEL, "%s", err.message);
    cr_assert_null(g);
    free(bytes);
}

/* ---- weights that are cut out of the file, see skeleton.c ---- */

/* Appends a field of bytes to a message. */
static size_t append(uint8_t *to, size_t at, unsigned number, const void *bytes, size_t size) {
    to[at++] = (uint8_t)(number << 3 | 2);
    size_t rest = size;
    for (; rest >= 0x80; rest >>= 7)
        to[at++] = (uint8_t)(rest | 0x80);
    to[at++] = (uint8_t)rest;
    memcpy(to + at, bytes, size);
    return at + size;
}

/* small_model without "w" but with "v" (1500 floats, raw), then a second piece of its graph with
 * "w", whose raw_data stands there twice: `first`, then `second`. */
static cnn_status load_pieces(size_t first, size_t second, graph **out) {
    static uint8_t file_bytes[64 << 10], tensor_bytes[32 << 10], piece[32 << 10], many[8192];
    file f = small_model();
    f.graph->initializer[0]->n_dims = 1;
    f.graph->initializer[0]->dims[0] = 1500;
    strcpy(f.graph->initializer[0]->name, "v");
    free(f.graph->initializer[0]->raw_data.data);
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = (uint8_t)(i * 7);
    set_raw(f.graph->initializer[0], many, 6000);
    uint8_t *bytes;
    size_t size = file_pack(&f, &bytes);
    file_free(&f);
    memcpy(file_bytes, bytes, size);
    free(bytes);

    static const uint8_t head[] = {8, 64, 8, 1, 8, 5, 8, 5, 16, 1, 66, 1, 'w'}; /* (64, 1, 5, 5) */
    size_t length = sizeof head;
    memcpy(tensor_bytes, head, sizeof head);
    length = append(tensor_bytes, length, 9, many, first);
    length = append(tensor_bytes, length, 9, many + 1, second);
    length = append(piece, 0, 5, tensor_bytes, length);
    size = append(file_bytes, size, 7, piece, length);
    err = (cnn_error){0};
    return onnx_load(file_bytes, size, NULL, NULL, out, &err);
}

Test(load, the_last_raw_data_counts) {
    static const size_t firsts[] = {6400, 10, 8000, 4096};
    for (size_t i = 0; i < ARRAY_LENGTH(firsts); i++) {
        graph *g = NULL;
        cr_assert_eq(load_pieces(firsts[i], 6400, &g), CNN_OK, "%s", err.message);
        const tensor *w = g->values[graph_find_value(g, "w")].constant;
        cr_assert_eq(w->elements, 1600);
        for (size_t j = 0; j < w->bytes; j++)
            cr_assert_eq(((const uint8_t *)w->data)[j], (uint8_t)((j + 1) * 7));
        graph_free(g);
    }
}

Test(load, counts_the_bytes_of_what_it_cuts_out) {
    static const size_t wrong[][2] = {{6400, 6399}, {6400, 10}, {6400, 6401}, {10, 8000}};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        graph *g = NULL;
        cr_assert_eq(load_pieces(wrong[i][0], wrong[i][1], &g), CNN_INVALID_MODEL);
        cr_assert(strstr(err.message, "initializer 'w': its shape needs 6400 bytes"), "%s",
                  err.message);
        cr_assert_null(g);
    }
}
