/*
 * ModelProto -> graph.
 *
 * In this order, because each step looks up what the one before declared: operator set versions,
 * initializers, inputs, nodes with their outputs, then the nodes' inputs (so that a file whose
 * nodes are not sorted works too), the graph's outputs, the sort.
 *
 * An initializer that is also a graph input (usual before IR version 4) counts as an initializer:
 * it cannot be fed. Nodes that depend on constants alone are computed right away; their results are
 * constants of the graph. Types of intermediate values are not read; graph_bind infers them. Not
 * read at all: metadata, training information, quantisation annotations. Refused where the graph
 * needs them: functions, sparse tensors, graphs as attributes, tensors of strings.
 */
#include "onnx/internal.h"
#include "ops/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct loader {
    Onnx__ModelProto *model;
    Onnx__GraphProto *proto;
    onnx_skeleton skeleton; /* empty: the message holds everything */
    onnx_source source;
    graph *g;
    names names;
    cnn_error *err;
} loader;

/* ---- the file as a whole ---- */

static bool is_default_domain(const char *domain) {
    return domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

/* Version of a domain's operator set; 0 if the model does not import it. */
static int64_t imported_version(const loader *l, const char *domain) {
    for (size_t i = 0; i < l->model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = l->model->opset_import[i];
        const char *name = onnx_text(set->domain);
        if (strcmp(name, domain) == 0 || (is_default_domain(name) && is_default_domain(domain)))
            return set->version;
    }
    return 0;
}

static cnn_status check_opset(loader *l) {
    /* Before IR version 3 there were no imports: version 1. */
    int64_t version = l->model->n_opset_import ? imported_version(l, "") : 1;
    if (version == 0 && l->proto->n_node > 0)
        return cnn_fail(l->err, CNN_INVALID_MODEL,
                        "the model imports no operator set of ONNX' own");
    if (version < ONNX_MIN_OPSET || version > ONNX_MAX_OPSET)
        return cnn_fail(l->err, CNN_UNSUPPORTED,
                        "the model uses operator set %" PRId64 "; versions %d to %d are supported",
                        version, ONNX_MIN_OPSET, ONNX_MAX_OPSET);
    l->g->opset = (int)version;
    l->g->ir_version = l->model->ir_version;
    return CNN_OK;
}

static cnn_status check_file(loader *l) {
    l->proto = l->model->graph;
    if (!l->proto)
        return cnn_fail(l->err, CNN_INVALID_MODEL, "the file holds no graph: it is no ONNX model");
    if (l->proto->n_output == 0)
        return cnn_fail(l->err, CNN_INVALID_MODEL, "the graph has no outputs");
    if (l->proto->n_node > GRAPH_MAX_NODES)
        return cnn_fail(l->err, CNN_LIMIT, "the graph has %zu nodes, at most %d are supported",
                        l->proto->n_node, GRAPH_MAX_NODES);
    if (l->proto->n_output > GRAPH_MAX_PORTS ||
        l->proto->n_input > l->proto->n_initializer + GRAPH_MAX_PORTS)
        return cnn_fail(l->err, CNN_LIMIT,
                        "the graph has %zu inputs and %zu outputs, at most %d are supported",
                        l->proto->n_input, l->proto->n_output, GRAPH_MAX_PORTS);
    if (l->proto->n_sparse_initializer > 0)
        return cnn_fail(l->err, CNN_UNSUPPORTED, "sparse initializers are not supported");
    return check_opset(l);
}

/* ---- names ---- */

/* `what` and `name` in messages. */
static const char *label_of(onnx_label label, const char *what, const char *name) {
    snprintf(label, sizeof(onnx_label), "%s '%.100s'", what, name);
    return label;
}

static cnn_status check_name(loader *l, const char *what, const char *name) {
    size_t length = strlen(name);
    onnx_label label;
    if (length > GRAPH_MAX_NAME_BYTES)
        return cnn_fail(l->err, CNN_LIMIT, "%s: a name of %zu bytes, at most %d are supported",
                        label_of(label, what, name), length, GRAPH_MAX_NAME_BYTES);
    if (!cnn_utf8_valid(name, length))
        return cnn_fail(l->err, CNN_INVALID_MODEL, "%s: the name is not UTF-8",
                        label_of(label, what, name));
    return CNN_OK;
}

/* Adds a value under a name that must be new. */
static cnn_status declare(loader *l, const char *what, const char *name, int *out) {
    cnn_status status = check_name(l, what, name);
    if (status != CNN_OK) return status;
    if (name[0] == '\0')
        return cnn_fail(l->err, CNN_INVALID_MODEL, "the graph has an %s without a name", what);
    if (names_find(&l->names, l->g, name) >= 0)
        return cnn_fail(l->err, CNN_INVALID_MODEL, "%s '%.100s': the name is taken already", what,
                        name);
    int value = graph_add_value(l->g, name);
    if (value < 0 || !names_add(&l->names, l->g, value))
        return cnn_fail_memory(l->err, strlen(name) + sizeof(graph_value));
    *out = value;
    return CNN_OK;
}

/* ---- initializers, inputs, outputs ---- */

static cnn_status add_initializers(loader *l) {
    cnn_status status = CNN_OK;
    const onnx_skeleton *s = &l->skeleton;
    if (s->bytes && s->count != l->proto->n_initializer)
        return cnn_fail(l->err, CNN_INVALID_MODEL, "the file is damaged: %zu initializers are %zu",
                        s->count, l->proto->n_initializer);
    for (size_t i = 0; status == CNN_OK && i < l->proto->n_initializer; i++) {
        Onnx__TensorProto *proto = l->proto->initializer[i];
        const char *name = onnx_text(proto->name);
        onnx_label label;
        onnx_payload cut = s->bytes ? s->payloads[i] : (onnx_payload){0};
        int value = -1;
        tensor *t = NULL;
        status = declare(l, "initializer", name, &value);
        if (status == CNN_OK)
            status = onnx_tensor(&l->source, proto, cut, label_of(label, "initializer", name), &t,
                                 l->err);
        if (status == CNN_OK) graph_set_constant(l->g, value, t);
        tensor_unref(t);
    }
    return status;
}

/* An extent of a declared shape: -1 where it is symbolic, which some exporters write so. */
static int64_t extent_of(const Onnx__TensorShapeProto__Dimension *dim) {
    return dim->has_dim_value && dim->dim_value >= 0 ? dim->dim_value : -1;
}

/* Type and shape as far as the file declares them. */
static cnn_status read_type(loader *l, const Onnx__ValueInfoProto *info, const char *label,
                            graph_value *v) {
    const Onnx__TypeProto__TensorTypeProto *type = info->type ? info->type->tensor_type : NULL;
    if (!type) return CNN_OK;
    cnn_status status = onnx_dtype(type->elem_type, label, &v->dtype, l->err);
    if (status != CNN_OK || !type->shape) return status;
    if (type->shape->n_dim > CNN_MAX_RANK)
        return cnn_fail(l->err, CNN_LIMIT, "%s: %zu dimensions, at most %d are supported", label,
                        type->shape->n_dim, CNN_MAX_RANK);
    cnn_shape shape = {.rank = (int)type->shape->n_dim};
    for (int i = 0; i < shape.rank; i++) {
        shape.dims[i] = extent_of(type->shape->dim[i]);
        if (shape.dims[i] > GRAPH_MAX_EXTENT)
            return cnn_fail(l->err, CNN_LIMIT, "%s: extent %" PRId64 " of axis %d is above %lld",
                            label, shape.dims[i], i, (long long)GRAPH_MAX_EXTENT);
    }
    v->shape = shape;
    v->has_shape = true;
    return CNN_OK;
}

static cnn_status add_input(loader *l, const Onnx__ValueInfoProto *info) {
    const char *name = onnx_text(info->name);
    onnx_label label;
    int value = names_find(&l->names, l->g, name);
    if (value >= 0 && l->g->values[value].constant)
        return CNN_OK; /* an initializer's default, which is taken as final */
    cnn_status status = declare(l, "input", name, &value);
    if (status != CNN_OK) return status;
    label_of(label, "input", name);
    status = read_type(l, info, label, &l->g->values[value]);
    if (status == CNN_OK && l->g->values[value].dtype == 0)
        status = cnn_fail(l->err, CNN_UNSUPPORTED, "%s: it is no tensor", label);
    if (status == CNN_OK && !graph_add_input(l->g, value))
        status = cnn_fail_memory(l->err, sizeof(int));
    return status;
}

static cnn_status add_output(loader *l, const Onnx__ValueInfoProto *info) {
    const char *name = onnx_text(info->name);
    onnx_label label;
    label_of(label, "output", name);
    int value = names_find(&l->names, l->g, name);
    if (value < 0) return cnn_fail(l->err, CNN_INVALID_MODEL, "%s: no node makes it", label);
    graph_value *v = &l->g->values[value];
    cnn_status status = CNN_OK;
    if (v->producer >= 0) status = read_type(l, info, label, v);
    if (status == CNN_OK && !graph_add_output(l->g, value))
        status = cnn_fail_memory(l->err, sizeof(int));
    return status;
}

static cnn_status add_inputs(loader *l) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < l->proto->n_input; i++)
        status = add_input(l, l->proto->input[i]);
    return status;
}

static cnn_status add_outputs(loader *l) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < l->proto->n_output; i++)
        status = add_output(l, l->proto->output[i]);
    return status;
}

/* ---- nodes ---- */

/* What is supported instead, as the end of a sentence; returns `text`. */
static const char *nearest_text(const char *domain, const char *op, char *text, size_t size) {
    const op_def *near = op_nearest(op);
    int first, last;
    text[0] = '\0';
    if (!near) return text;
    bool at_home = strcmp(near->domain, domain) == 0;
    if (!at_home)
        snprintf(text, size, "; there is %s of domain %s", near->name,
                 *near->domain ? near->domain : "ai.onnx");
    else if (strcmp(near->name, op) != 0)
        snprintf(text, size, "; there is %s", near->name);
    else if (op_versions(near, &first, &last), last > 0)
        snprintf(text, size, "; versions %d to %d are", first, last);
    else
        snprintf(text, size, "; version %d and later ones are", first);
    return text;
}

static cnn_status fail_unknown_operator(loader *l, const Onnx__NodeProto *p, const char *label,
                                        int64_t version) {
    const char *op = onnx_text(p->op_type), *domain = onnx_text(p->domain);
    for (size_t i = 0; i < l->model->n_functions; i++)
        if (strcmp(onnx_text(l->model->functions[i]->name), op) == 0 &&
            strcmp(onnx_text(l->model->functions[i]->domain), domain) == 0)
            return cnn_fail(l->err, CNN_UNSUPPORTED,
                            "%s: '%.60s' is a function of the model, which is not supported", label,
                            op);
    bool own = is_default_domain(domain);
    if (version == 0 && !own)
        return cnn_fail(l->err, CNN_INVALID_MODEL,
                        "%s: operator %.60s is of domain %.60s, which the model does not import",
                        label, op, domain);
    char nearest[120];
    return cnn_fail(l->err, CNN_UNSUPPORTED,
                    "%s: operator %.60s of domain %.60s is not supported in version %" PRId64
                    " of its operator set%s",
                    label, op, own ? "ai.onnx" : domain, version,
                    nearest_text(own ? "" : domain, op, nearest, sizeof(nearest)));
}

static cnn_status find_operator(loader *l, const Onnx__NodeProto *p, const char *label,
                                const op_def **out) {
    const char *domain = onnx_text(p->domain);
    int64_t version = is_default_domain(domain) ? l->g->opset : imported_version(l, domain);
    bool sane = version >= 0 && version <= INT32_MAX;
    const op_def *op = sane ? op_find(domain, onnx_text(p->op_type), (int)version) : NULL;
    if (!op) return fail_unknown_operator(l, p, label, version);
    *out = op;
    return CNN_OK;
}

/* Length of a list of names without the absent ones at its end. */
static size_t trimmed(char *const *list, size_t count) {
    while (count > 0 && onnx_text(list[count - 1])[0] == '\0')
        count--;
    return count;
}

/* Whether a list has `min` to `max` entries, the first `min` of them present. */
static cnn_status check_count(loader *l, const char *label, const op_def *op, const char *what,
                              char *const *list, size_t count, int min, int max) {
    max = MIN(max, GRAPH_MAX_NODE_ARGS);
    if (count > GRAPH_MAX_NODE_ARGS)
        return cnn_fail(l->err, CNN_LIMIT, "%s: %zu %ss, at most %d are supported", label, count,
                        what, GRAPH_MAX_NODE_ARGS);
    if (count < (size_t)min || count > (size_t)max)
        return cnn_fail(l->err, CNN_INVALID_MODEL, "%s: %s takes %d to %d %ss, the node has %zu",
                        label, op->name, min, max, what, count);
    for (int i = 0; i < min; i++)
        if (onnx_text(list[i])[0] == '\0')
            return cnn_fail(l->err, CNN_INVALID_MODEL, "%s: %s needs its %s %d", label, op->name,
                            what, i);
    return CNN_OK;
}

static cnn_status add_attributes(loader *l, const Onnx__NodeProto *p, const char *label,
                                 graph_node *node) {
    if (p->n_attribute > GRAPH_MAX_NODE_ATTRS)
        return cnn_fail(l->err, CNN_LIMIT, "%s: %zu attributes, at most %d are supported", label,
                        p->n_attribute, GRAPH_MAX_NODE_ATTRS);
    node->attrs = calloc(MAX(p->n_attribute, 1), sizeof *node->attrs);
    if (!node->attrs) return cnn_fail_memory(l->err, p->n_attribute * sizeof *node->attrs);
    for (size_t i = 0; i < p->n_attribute; i++) {
        const char *name = onnx_text(p->attribute[i]->name);
        if (graph_attr(node, name))
            return cnn_fail(l->err, CNN_INVALID_MODEL, "%s: attribute %.100s stands there twice",
                            label, name);
        cnn_status status =
            onnx_attribute(&l->source, p->attribute[i], label, &node->attrs[i], l->err);
        if (status != CNN_OK) return status;
        node->attr_count++;
    }
    return CNN_OK;
}

static cnn_status add_node_outputs(loader *l, const Onnx__NodeProto *p, graph_node *node) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < node->output_count; i++)
        if (onnx_text(p->output[i])[0] != '\0')
            status = declare(l, "output", p->output[i], &node->outputs[i]);
    return status;
}

/* "node 'conv1'", "node of output 'x'" or "node 17", whatever the file gives. */
static const char *node_label(onnx_label label, const Onnx__NodeProto *p, size_t index) {
    const char *first = p->n_output ? onnx_text(p->output[0]) : "";
    if (onnx_text(p->name)[0] != '\0') return label_of(label, "node", p->name);
    if (first[0] != '\0') return label_of(label, "node of output", first);
    snprintf(label, sizeof(onnx_label), "node %zu", index);
    return label;
}

/* Everything about a node but its inputs' values. */
static cnn_status build_node(loader *l, const Onnx__NodeProto *p, const char *label,
                             graph_node **out) {
    const op_def *op = NULL;
    size_t inputs = trimmed(p->input, p->n_input), outputs = trimmed(p->output, p->n_output);
    graph_node *node = NULL;
    cnn_status status = check_name(l, "node", onnx_text(p->name));
    if (status == CNN_OK) status = find_operator(l, p, label, &op);
    if (status == CNN_OK)
        status =
            check_count(l, label, op, "input", p->input, inputs, op->min_inputs, op->max_inputs);
    if (status == CNN_OK)
        status = check_count(l, label, op, "output", p->output, outputs, op->min_outputs,
                             op->max_outputs);
    if (status != CNN_OK) return status;
    if (!(node = graph_node_create(op, onnx_text(p->name), inputs, outputs)))
        return cnn_fail_memory(l->err, sizeof *node);
    status = add_attributes(l, p, label, node);
    if (status == CNN_OK) status = add_node_outputs(l, p, node);
    if (status != CNN_OK) {
        graph_node_free(node);
        return status;
    }
    *out = node;
    return CNN_OK;
}

static cnn_status add_nodes(loader *l) {
    for (size_t i = 0; i < l->proto->n_node; i++) {
        onnx_label label;
        graph_node *node = NULL;
        cnn_status status =
            build_node(l, l->proto->node[i], node_label(label, l->proto->node[i], i), &node);
        if (status != CNN_OK) return status;
        if (!graph_add_node(l->g, node)) {
            graph_node_free(node);
            return cnn_fail_memory(l->err, sizeof node);
        }
    }
    return CNN_OK;
}

static cnn_status connect_node(loader *l, const Onnx__NodeProto *p, size_t index) {
    graph_node *node = l->g->nodes[index];
    onnx_label label;
    for (size_t i = 0; i < node->input_count; i++) {
        const char *name = onnx_text(p->input[i]);
        if (name[0] == '\0') continue;
        node->inputs[i] = names_find(&l->names, l->g, name);
        if (node->inputs[i] < 0)
            return cnn_fail(l->err, CNN_INVALID_MODEL,
                            "%s: input '%.100s' is no initializer, graph input or output of a node",
                            node_label(label, p, index), name);
    }
    return CNN_OK;
}

static cnn_status connect_nodes(loader *l) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < l->proto->n_node; i++)
        status = connect_node(l, l->proto->node[i], i);
    return status;
}

/* ---- */

static cnn_status finish(loader *l) {
    cnn_status status = graph_sort(l->g, l->err);
    if (status != CNN_OK) return status;
    /* Plans then find casts of weights and the like as constants. */
    status = graph_fold_constants(l->g, l->err);
    if (status != CNN_OK) return status;
    for (size_t i = 0; i < l->g->node_count; i++)
        l->g->nodes[i]->origin = (int)i;
    graph_update_uses(l->g);
    graph_drop_unused_constants(l->g);
    return CNN_OK;
}

/* The message, without what the skeleton leaves out. */
static cnn_status unpack(loader *l, size_t size, ProtobufCMessage **out) {
    const void *bytes = l->source.bytes;
    if (onnx_skeleton_make(bytes, size, &l->skeleton)) {
        bytes = l->skeleton.bytes;
        size = l->skeleton.size;
    }
    return onnx_unpack(&onnx__model_proto__descriptor, bytes, size, out, l->err);
}

cnn_status onnx_load(const void *bytes, size_t size, stored_file *file, const char *directory,
                     graph **out, cnn_error *err) {
    static cnn_status (*const steps[])(loader *) = {
        check_file, add_initializers, add_inputs, add_nodes, connect_nodes, add_outputs, finish};
    loader l = {.source = {.directory = directory,
                           .bytes_left = ONNX_MAX_EXTERNAL_BYTES,
                           .bytes = bytes,
                           .file = file},
                .err = err};
    ProtobufCMessage *message = NULL;
    cnn_status status = unpack(&l, size, &message);
    l.model = (Onnx__ModelProto *)message;
    if (status == CNN_OK && !(l.g = graph_create())) status = cnn_fail_memory(err, sizeof *l.g);
    for (size_t i = 0; status == CNN_OK && i < ARRAY_LENGTH(steps); i++)
        status = steps[i](&l);
    names_free(&l.names);
    onnx_external_close(&l.source);
    onnx_skeleton_free(&l.skeleton);
    onnx_unpack_free(message);
    if (status != CNN_OK) {
        graph_free(l.g);
        return status;
    }
    *out = l.g;
    return CNN_OK;
}
