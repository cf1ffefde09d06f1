/*
 * Nodes that hold or name further nodes: calls of the model's functions, and If.
 *
 * A function is written out for each call: its inputs are other names for the values that the call
 * gives, its outputs are made under the names that the call wants. Of an If both branches are
 * opened, and their nodes see the names around it; each output is a choice between two values
 * (ops/choice.c). Loop, Scan and the like are operators that are not known.
 */
#include "onnx/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- functions ---- */

typedef char function_key[3 * (GRAPH_MAX_NAME_BYTES + 1)];

/* What tells functions apart, as one name; false if it is too long for one. */
static bool make_key(const char *domain, const char *name, const char *overload, function_key key) {
    if (loader_is_default_domain(domain)) domain = "";
    int length = snprintf(key, sizeof(function_key), "%s\n%s\n%s", domain, name, overload);
    return length >= 0 && (size_t)length < sizeof(function_key);
}

cnn_status functions_index(loader *l) {
    l->keys = calloc(l->model->n_functions + 1, sizeof *l->keys);
    if (!l->keys) return cnn_fail_memory(l->err, l->model->n_functions * sizeof *l->keys);
    for (size_t i = 0; i < l->model->n_functions; i++) {
        const Onnx__FunctionProto *f = l->model->functions[i];
        function_key key;
        int other;
        if (!make_key(onnx_text(f->domain), onnx_text(f->name), onnx_text(f->overload), key) ||
            names_find(&l->functions, key, &other))
            continue; /* of two the first one counts */
        if (!(l->keys[i] = strdup(key)) || !names_add(&l->functions, l->keys[i], (int)i))
            return cnn_fail_memory(l->err, strlen(key));
    }
    return CNN_OK;
}

const Onnx__FunctionProto *function_of(const loader *l, const Onnx__NodeProto *p) {
    function_key key;
    int index;
    if (l->model->n_functions == 0 ||
        !make_key(onnx_text(p->domain), onnx_text(p->op_type), onnx_text(p->overload), key) ||
        !names_find(&l->functions, key, &index))
        return NULL;
    return l->model->functions[index];
}

static cnn_status check_call(const scope *s, size_t index, const Onnx__FunctionProto *f,
                             cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    onnx_label label;
    scope_node_label(label, s, index);
    size_t inputs = loader_trimmed(p->input, p->n_input);
    size_t outputs = loader_trimmed(p->output, p->n_output);
    for (const scope *c = s; c; c = c->caller)
        if (c->function == f)
            return cnn_fail(err, CNN_INVALID_MODEL, "%s: function '%.100s' calls itself", label,
                            onnx_text(f->name));
    if (inputs > f->n_input || outputs > f->n_output)
        return cnn_fail(
            err, CNN_INVALID_MODEL,
            "%s: function '%.100s' has %zu inputs and %zu outputs, the node %zu and %zu", label,
            onnx_text(f->name), f->n_input, f->n_output, inputs, outputs);
    for (size_t i = 0; i < f->n_opset_import; i++)
        if (loader_is_default_domain(onnx_text(f->opset_import[i]->domain)) &&
            (f->opset_import[i]->version < 1 || f->opset_import[i]->version > ONNX_MAX_OPSET))
            return cnn_fail(err, CNN_UNSUPPORTED,
                            "%s: function '%.100s' uses operator set %lld; versions up to %d are "
                            "supported",
                            label, onnx_text(f->name), (long long)f->opset_import[i]->version,
                            ONNX_MAX_OPSET);
    return CNN_OK;
}

/* "call/": what stands before the names of a function's body. */
static cnn_status set_prefix(const loader *l, const scope *s, const Onnx__NodeProto *p, scope *body,
                             cnn_error *err) {
    char name[GRAPH_MAX_NAME_BYTES + 1];
    const char *label = scope_node_name(s, p, name);
    int value = -1;
    for (size_t i = 0; *label == '\0' && i < p->n_output; i++)
        if (names_find(&s->values, onnx_text(p->output[i]), &value) && value >= 0)
            label = l->g->values[value].name;
    free(body->prefix);
    body->prefix = NULL;
    if (asprintf(&body->prefix, "%s/", label) >= 0) return CNN_OK;
    body->prefix = NULL;
    return cnn_fail_memory(err, strlen(label) + 2);
}

/* What the call gives comes first, then the function's defaults. */
static cnn_status bind_attributes(const scope *s, const Onnx__NodeProto *p,
                                  const Onnx__FunctionProto *f, scope *body, cnn_error *err) {
    size_t most = p->n_attribute + f->n_attribute_proto, count = 0;
    Onnx__AttributeProto *bindings = calloc(most + 1, sizeof *bindings);
    if (!bindings) return cnn_fail_memory(err, most * sizeof *bindings);
    for (size_t i = 0; i < p->n_attribute; i++)
        count += scope_attribute(s, p->attribute[i], &bindings[count]);
    for (size_t i = 0; i < f->n_attribute_proto; i++)
        bindings[count++] = *f->attribute_proto[i];
    body->bindings = bindings;
    body->binding_count = count;
    body->owns_bindings = true;
    return CNN_OK;
}

static cnn_status bind_inputs(const scope *s, size_t index, const Onnx__FunctionProto *f,
                              scope *body, cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    for (size_t i = 0; i < f->n_input; i++) {
        const char *name = onnx_text(f->input[i]);
        int value = -1, other;
        cnn_status status = CNN_OK;
        if (i < p->n_input) status = node_input(s, index, onnx_text(p->input[i]), &value, err);
        if (status != CNN_OK) return status;
        if (names_find(&body->values, name, &other))
            return cnn_fail(err, CNN_INVALID_MODEL,
                            "function '%.100s': two inputs are called '%.100s'", onnx_text(f->name),
                            name);
        if (!names_add(&body->values, name, value)) return cnn_fail_memory(err, sizeof(names_slot));
    }
    return CNN_OK;
}

/* An output that the function passes on, or gives twice. */
static cnn_status add_identity(loader *l, part *p, int from, int to, cnn_error *err) {
    graph_node *node = graph_node_create(op_find("", "Identity", 1), "", 1, 1);
    if (!node) return cnn_fail_memory(err, sizeof *node);
    node->inputs[0] = from;
    node->outputs[0] = to;
    cnn_status status = node_keep(p, node, err);
    return status == CNN_OK ? loader_need(l, from, err) : status;
}

static cnn_status bind_outputs(loader *l, const scope *s, size_t index,
                               const Onnx__FunctionProto *f, scope *body, cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    for (size_t i = 0; i < p->n_output; i++) {
        int value, from;
        cnn_status status = CNN_OK;
        if (onnx_text(p->output[i])[0] == '\0' || i >= f->n_output ||
            !names_find(&s->values, p->output[i], &value))
            continue;
        if (names_find(&body->values, onnx_text(f->output[i]), &from) && from >= 0)
            status = add_identity(l, &s->parts[index], from, value, err);
        else if (names_add(&body->values, onnx_text(f->output[i]), value))
            l->makers[value].scope = body, l->makers[value].node = -1;
        else
            status = cnn_fail_memory(err, sizeof(names_slot));
        if (status != CNN_OK) return status;
    }
    return CNN_OK;
}

cnn_status function_open(loader *l, scope *s, size_t index, const Onnx__FunctionProto *f,
                         cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    scope *body = NULL;
    size_t names_bytes = (f->n_input + f->n_output) * 4 * sizeof(names_slot) +
                         (p->n_attribute + f->n_attribute_proto) * sizeof(Onnx__AttributeProto);
    cnn_status status = check_call(s, index, f, err);
    if (status == CNN_OK) status = loader_charge(l, names_bytes, err);
    if (status == CNN_OK) status = scope_create(l, s, f->node, f->n_node, &body, err);
    if (status != CNN_OK) return status;
    s->parts[index].inner[0] = body;
    body->function = f;
    status = set_prefix(l, s, p, body, err);
    if (status == CNN_OK) status = bind_attributes(s, p, f, body, err);
    if (status == CNN_OK) status = bind_inputs(s, index, f, body, err);
    if (status == CNN_OK) status = bind_outputs(l, s, index, f, body, err);
    return status == CNN_OK ? scope_declare_nodes(l, body, err) : status;
}

/* ---- If ---- */

bool is_if(const Onnx__NodeProto *p) {
    return strcmp(onnx_text(p->op_type), "If") == 0 &&
           loader_is_default_domain(onnx_text(p->domain));
}

/* Parses a branch; the message belongs to the loader. */
static cnn_status read_branch(loader *l, const scope *s, size_t index, const char *name,
                              const Onnx__GraphProto **out, cnn_error *err) {
    onnx_label label;
    Onnx__AttributeProto a;
    ProtobufCMessage *message = NULL;
    scope_node_label(label, s, index);
    if (!scope_find_attribute(s, s->nodes[index], name, &a) || !a.has_g || a.g.len == 0)
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: If needs the graph %s", label, name);
    if (!cnn_grow((void **)&l->messages, &l->message_capacity, l->message_count + 1,
                  sizeof(*l->messages)))
        return cnn_fail_memory(err, sizeof(*l->messages));
    cnn_status status =
        onnx_unpack(&onnx__graph_proto__descriptor, a.g.data, a.g.len, &l->budget, &message, err);
    if (status == CNN_INVALID_MODEL)
        return cnn_fail(err, status, "%s: attribute %s holds no graph, or a damaged one", label,
                        name);
    if (status != CNN_OK) return status;
    l->messages[l->message_count++] = message;
    *out = (const Onnx__GraphProto *)message;
    return CNN_OK;
}

static cnn_status open_branch(loader *l, scope *s, size_t index, const char *name, scope **out,
                              cnn_error *err) {
    const Onnx__GraphProto *g = NULL;
    onnx_label label;
    scope *inner = NULL;
    cnn_status status = read_branch(l, s, index, name, &g, err);
    if (status != CNN_OK) return status;
    scope_node_label(label, s, index);
    if (g->n_output < loader_trimmed(s->nodes[index]->output, s->nodes[index]->n_output))
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: If has %zu outputs, but %s gives %zu", label,
                        s->nodes[index]->n_output, name, g->n_output);
    if (g->n_input > 0)
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: a branch of If has no inputs, but %s has",
                        label, name);
    status = scope_create(l, s, g->node, g->n_node, &inner, err);
    if (status != CNN_OK) return status;
    inner->outer = s;
    inner->graph = g;
    status = scope_declare_initializers(l, inner, err);
    if (status == CNN_OK) status = scope_declare_nodes(l, inner, err);
    if (status == CNN_OK) *out = inner;
    return status;
}

/* What is wrong with a branch matters only when it is chosen. */
cnn_status if_open(loader *l, scope *s, size_t index, cnn_error *err) {
    static const char *const branches[] = {"then_branch", "else_branch"};
    part *p = &s->parts[index];
    for (int i = 0; i < 2; i++) {
        cnn_error why;
        cnn_status status = open_branch(l, s, index, branches[i], &p->inner[i], &why);
        if (status != CNN_OK && status != CNN_OUT_OF_MEMORY)
            status = scope_add_refused(l, s, &why, &p->refused[i], &why);
        if (status != CNN_OK) {
            if (err) *err = why;
            return status;
        }
    }
    return CNN_OK;
}

/* The value that a branch gives as output `k`. */
static cnn_status branch_output(loader *l, scope *s, size_t index, int branch, size_t k, int *out,
                                cnn_error *err) {
    const part *p = &s->parts[index];
    const scope *inner = p->inner[branch];
    cnn_error why;
    onnx_label label;
    *out = p->refused[branch];
    if (!inner) return CNN_OK;
    const char *name = onnx_text(inner->graph->output[k]->name);
    if (scope_find(inner, name, out) && *out >= 0) return loader_need(l, *out, err);
    (void)cnn_fail(&why, CNN_INVALID_MODEL, "%s: no node of the branch makes its output '%.100s'",
                   scope_node_label(label, s, index), name);
    return scope_add_refused(l, s, &why, out, err);
}

static cnn_status connect_choice(loader *l, scope *s, size_t index, size_t k, graph_node *node,
                                 cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    onnx_label label;
    if (loader_trimmed(p->input, p->n_input) != 1)
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: If takes one input, the condition",
                        scope_node_label(label, s, index));
    cnn_status status = node_input(s, index, onnx_text(p->input[0]), &node->inputs[0], err);
    if (status == CNN_OK) status = loader_need(l, node->inputs[0], err);
    if (status == CNN_OK) status = branch_output(l, s, index, 0, k, &node->inputs[1], err);
    return status == CNN_OK ? branch_output(l, s, index, 1, k, &node->inputs[2], err) : status;
}

cnn_status if_choose(loader *l, scope *s, size_t index, int value, cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    char name[GRAPH_MAX_NAME_BYTES + 1];
    size_t k = 0;
    for (int found = -1; k < p->n_output; k++)
        if (names_find(&s->values, onnx_text(p->output[k]), &found) && found == value) break;
    cnn_status status = CNN_OK;
    if (s->caller) status = loader_charge(l, sizeof(graph_node), err);
    if (status != CNN_OK) return status;
    graph_node *node = graph_node_create(&op_choice, scope_node_name(s, p, name), 3, 1);
    if (!node) return cnn_fail_memory(err, sizeof *node);
    node->outputs[0] = value;
    status = connect_choice(l, s, index, k, node, err);
    if (status == CNN_OK) return node_keep(&s->parts[index], node, err);
    graph_node_free(node);
    return status;
}
