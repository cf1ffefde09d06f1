#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *text(const char *string) {
    char *copy = strdup(string);
    cr_assert_not_null(copy);
    return copy;
}

void *copy_of(const void *items, size_t bytes) {
    void *copy = malloc(bytes + 1);
    cr_assert_not_null(copy);
    if (bytes > 0) memcpy(copy, items, bytes);
    return copy;
}

/* Room for one element more in a list of `count`; capacities are powers of two. */
static void *grown(void *list, size_t count, size_t item_size) {
    if (count & (count - 1)) return list;
    list = realloc(list, (count ? 2 * count : 1) * item_size);
    cr_assert_not_null(list);
    return list;
}

/* A new element at the end of a repeated field of messages. */
#define APPEND(type, Type, message, field)                                                         \
    ((message)->field = grown((message)->field, (message)->n_##field, sizeof *(message)->field),   \
     (message)->field[(message)->n_##field] = calloc(1, sizeof(Onnx__##Type)),                     \
     onnx__##type##__init((message)->field[(message)->n_##field]),                                 \
     (message)->field[(message)->n_##field++])

file file_begin(int opset) {
    file f = {.model = calloc(1, sizeof *f.model), .graph = calloc(1, sizeof *f.graph)};
    onnx__model_proto__init(f.model);
    onnx__graph_proto__init(f.graph);
    f.model->graph = f.graph;
    f.model->has_ir_version = 1;
    f.model->ir_version = 8;
    add_opset(&f, "", opset);
    return f;
}

void file_free(file *f) {
    protobuf_c_message_free_unpacked(&f->model->base, NULL);
    *f = (file){0};
}

size_t file_pack(const file *f, uint8_t **bytes) {
    size_t size = protobuf_c_message_get_packed_size(&f->model->base);
    *bytes = malloc(size + 1);
    cr_assert_not_null(*bytes);
    return protobuf_c_message_pack(&f->model->base, *bytes);
}

Onnx__OperatorSetIdProto *add_opset(file *f, const char *domain, int64_t version) {
    Onnx__OperatorSetIdProto *set =
        APPEND(operator_set_id_proto, OperatorSetIdProto, f->model, opset_import);
    set->domain = text(domain);
    set->has_version = 1;
    set->version = version;
    return set;
}

static void set_type(Onnx__ValueInfoProto *info, const char *name, size_t rank,
                     const int64_t *dims) {
    info->name = text(name);
    info->type = calloc(1, sizeof *info->type);
    onnx__type_proto__init(info->type);
    Onnx__TypeProto__TensorTypeProto *type = info->type->tensor_type = calloc(1, sizeof *type);
    onnx__type_proto__tensor_type_proto__init(type);
    type->has_elem_type = 1;
    type->elem_type = CNN_FLOAT32;
    Onnx__TensorShapeProto *shape = type->shape = calloc(1, sizeof *shape);
    onnx__tensor_shape_proto__init(shape);
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim =
            APPEND(tensor_shape_proto__dimension, TensorShapeProto__Dimension, shape, dim);
        dim->has_dim_value = dims[i] >= 0;
        dim->dim_value = dims[i];
        if (dims[i] < 0) dim->dim_param = text("N");
    }
}

Onnx__ValueInfoProto *add_input(file *f, const char *name, size_t rank, const int64_t *dims) {
    Onnx__ValueInfoProto *info = APPEND(value_info_proto, ValueInfoProto, f->graph, input);
    set_type(info, name, rank, dims);
    return info;
}

Onnx__ValueInfoProto *add_output(file *f, const char *name, size_t rank, const int64_t *dims) {
    Onnx__ValueInfoProto *info = APPEND(value_info_proto, ValueInfoProto, f->graph, output);
    set_type(info, name, rank, dims);
    return info;
}

Onnx__TensorProto *add_initializer(file *f, const char *name, int type, size_t rank,
                                   const int64_t *dims) {
    Onnx__TensorProto *t = APPEND(tensor_proto, TensorProto, f->graph, initializer);
    t->name = text(name);
    t->has_data_type = 1;
    t->data_type = type;
    t->n_dims = rank;
    t->dims = copy_of(dims, rank * sizeof *dims);
    return t;
}

void set_raw(Onnx__TensorProto *t, const void *bytes, size_t size) {
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){size, copy_of(bytes, size)};
}

void set_external(Onnx__TensorProto *t, const char *key, const char *value) {
    Onnx__StringStringEntryProto *entry =
        APPEND(string_string_entry_proto, StringStringEntryProto, t, external_data);
    entry->key = text(key);
    entry->value = text(value);
    t->has_data_location = 1;
    t->data_location = 1;
}

static char **split(const char *names, size_t *count) {
    char *copy = text(names), **list = NULL, *rest = copy;
    *count = 0;
    for (char *name; (name = strtok_r(rest, " ", &rest));) {
        list = realloc(list, (*count + 1) * sizeof *list);
        list[(*count)++] = text(strcmp(name, "-") == 0 ? "" : name);
    }
    free(copy);
    return list;
}

Onnx__NodeProto *add_node(file *f, const char *op, const char *inputs, const char *outputs) {
    Onnx__NodeProto *node = APPEND(node_proto, NodeProto, f->graph, node);
    node->op_type = text(op);
    node->input = split(inputs, &node->n_input);
    node->output = split(outputs, &node->n_output);
    return node;
}

Onnx__AttributeProto *add_attribute(Onnx__NodeProto *node, const char *name, int type) {
    Onnx__AttributeProto *a = APPEND(attribute_proto, AttributeProto, node, attribute);
    a->name = text(name);
    a->has_type = 1;
    a->type = type;
    return a;
}

void set_graph(Onnx__AttributeProto *a, file from) {
    size_t size = protobuf_c_message_get_packed_size(&from.graph->base);
    a->g.data = malloc(size + 1);
    cr_assert_not_null(a->g.data);
    a->g.len = protobuf_c_message_pack(&from.graph->base, a->g.data);
    a->has_g = 1;
    file_free(&from);
}

Onnx__FunctionProto *add_function(file *f, const char *domain, const char *name, const char *inputs,
                                  const char *outputs, file body) {
    Onnx__FunctionProto *function = APPEND(function_proto, FunctionProto, f->model, functions);
    function->domain = text(domain);
    function->name = text(name);
    function->input = split(inputs, &function->n_input);
    function->output = split(outputs, &function->n_output);
    function->node = body.graph->node;
    function->n_node = body.graph->n_node;
    function->opset_import = body.model->opset_import;
    function->n_opset_import = body.model->n_opset_import;
    body.graph->node = NULL;
    body.graph->n_node = 0;
    body.model->opset_import = NULL;
    body.model->n_opset_import = 0;
    file_free(&body);
    return function;
}

file small_model(void) {
    file f = file_begin(13);
    add_input(&f, "x", 4, (int64_t[]){-1, 1, 3, 3});
    add_output(&f, "y", 4, (int64_t[]){-1, 2, 2, 2});
    Onnx__TensorProto *w = add_initializer(&f, "w", CNN_FLOAT32, 4, (int64_t[]){2, 1, 2, 2});
    set_raw(w, (float[]){1, 2, 3, 4, 5, 6, 7, 8}, 32);
    Onnx__TensorProto *b = add_initializer(&f, "b", CNN_FLOAT32, 1, (int64_t[]){2});
    b->n_float_data = 2;
    b->float_data = copy_of((float[]){0.5f, -0.5f}, 8);
    Onnx__NodeProto *conv = add_node(&f, "Conv", "x w b", "c");
    conv->name = text("conv");
    Onnx__AttributeProto *strides = add_attribute(conv, "strides", 7);
    strides->n_ints = 2;
    strides->ints = copy_of((int64_t[]){1, 1}, 16);
    add_node(&f, "Relu", "c", "y");
    return f;
}

cnn_status load_file(file *f, const char *directory, graph **out, cnn_error *err) {
    uint8_t *bytes;
    graph *g = NULL;
    size_t size = file_pack(f, &bytes);
    *err = (cnn_error){0};
    cnn_status status = onnx_load(bytes, size, NULL, directory, &g, err);
    free(bytes);
    file_free(f);
    cr_assert_eq(status == CNN_OK, g != NULL);
    cr_assert_eq(status, err->status);
    if (out)
        *out = g;
    else
        graph_free(g);
    return status;
}

void add_shapeless_output(file *f, const char *name) {
    Onnx__TypeProto__TensorTypeProto *type = add_output(f, name, 0, NULL)->type->tensor_type;
    protobuf_c_message_free_unpacked(&type->shape->base, NULL);
    type->shape = NULL;
}

/* "axis=1": an integer; "perm=1,0": several; "alpha=.5": a float. */
static void add_attribute_text(Onnx__NodeProto *node, char *text) {
    char *value = strchr(text, '=');
    *value++ = '\0';
    if (strchr(value, '.')) {
        Onnx__AttributeProto *a = add_attribute(node, text, 1);
        a->has_f = 1;
        a->f = strtof(value, NULL);
        return;
    }
    bool list = strchr(value, ',') || strcmp(text, "axes") == 0;
    Onnx__AttributeProto *a = add_attribute(node, text, list ? 7 : 2);
    a->has_i = !list;
    a->i = atol(value);
    if (!list) return;
    int64_t ints[8];
    for (char *item; (item = strsep(&value, ","));)
        ints[a->n_ints++] = atol(item);
    a->ints = copy_of(ints, a->n_ints * sizeof *ints);
}

void add_nodes(file *f, const char *line) {
    char *copy = strdup(line), *rest = copy;
    for (char *part; (part = strsep(&rest, ";"));) {
        part += strspn(part, " ");
        const char *op = strsep(&part, " ");
        char *inputs = strsep(&part, " "), *outputs = strsep(&part, " ");
        for (char *plus = inputs; *plus; plus++)
            if (*plus == '+') *plus = ' ';
        for (char *plus = outputs; *plus; plus++)
            if (*plus == '+') *plus = ' ';
        Onnx__NodeProto *node = add_node(f, op, inputs, outputs);
        for (char *attribute; (attribute = strsep(&part, " "));)
            add_attribute_text(node, attribute);
    }
    free(copy);
}
