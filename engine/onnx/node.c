/*
 * NodeProto -> graph_node: operator, counts, attributes, inputs. What it needs is noted as needed.
 */
#include "onnx/loader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- operators ---- */

/* Version of a domain's operator set in a list of imports; 0 if it is not there. */
static int64_t version_in(Onnx__OperatorSetIdProto *const *sets, size_t count, const char *domain) {
    for (size_t i = 0; i < count; i++) {
        const char *name = onnx_text(sets[i]->domain);
        if (strcmp(name, domain) == 0 ||
            (loader_is_default_domain(name) && loader_is_default_domain(domain)))
            return sets[i]->version;
    }
    return 0;
}

/* A function has its own imports; what it lacks is that of the model. */
static int64_t version_of(const loader *l, const scope *s, const char *domain) {
    int64_t version =
        s->function ? version_in(s->function->opset_import, s->function->n_opset_import, domain)
                    : 0;
    if (version == 0 && loader_is_default_domain(domain)) return l->g->opset;
    return version ? version : version_in(l->model->opset_import, l->model->n_opset_import, domain);
}

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

static cnn_status fail_unknown_operator(const Onnx__NodeProto *p, const char *label,
                                        int64_t version, cnn_error *err) {
    const char *op = onnx_text(p->op_type), *domain = onnx_text(p->domain);
    bool own = loader_is_default_domain(domain);
    if (version == 0 && !own)
        return cnn_fail(err, CNN_INVALID_MODEL,
                        "%s: operator %.60s is of domain %.60s, which the model does not import",
                        label, op, domain);
    char nearest[120];
    return cnn_fail(err, CNN_UNSUPPORTED,
                    "%s: operator %.60s of domain %.60s is not supported in version %" PRId64
                    " of its operator set%s",
                    label, op, own ? "ai.onnx" : domain, version,
                    nearest_text(own ? "" : domain, op, nearest, sizeof(nearest)));
}

static cnn_status find_operator(const loader *l, const scope *s, const Onnx__NodeProto *p,
                                const char *label, const op_def **out, cnn_error *err) {
    const char *domain = onnx_text(p->domain);
    int64_t version = version_of(l, s, domain);
    bool sane = version >= 0 && version <= INT32_MAX;
    const op_def *op = sane ? op_find(domain, onnx_text(p->op_type), (int)version) : NULL;
    if (!op) return fail_unknown_operator(p, label, version, err);
    *out = op;
    return CNN_OK;
}

/* ---- inputs and outputs ---- */

size_t loader_trimmed(char *const *list, size_t count) {
    while (count > 0 && onnx_text(list[count - 1])[0] == '\0')
        count--;
    return count;
}

/* Whether a list has `min` to `max` entries, the first `min` of them present. */
static cnn_status check_count(const char *label, const op_def *op, const char *what,
                              char *const *list, size_t count, int min, int max, cnn_error *err) {
    max = MIN(max, GRAPH_MAX_NODE_ARGS);
    if (count > GRAPH_MAX_NODE_ARGS)
        return cnn_fail(err, CNN_LIMIT, "%s: %zu %ss, at most %d are supported", label, count, what,
                        GRAPH_MAX_NODE_ARGS);
    if (count < (size_t)min || count > (size_t)max)
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: %s takes %d to %d %ss, the node has %zu",
                        label, op->name, min, max, what, count);
    for (int i = 0; i < min; i++)
        if (onnx_text(list[i])[0] == '\0')
            return cnn_fail(err, CNN_INVALID_MODEL, "%s: %s needs its %s %d", label, op->name, what,
                            i);
    return CNN_OK;
}

static cnn_status check_counts(const Onnx__NodeProto *p, const char *label, const op_def *op,
                               size_t inputs, size_t outputs, cnn_error *err) {
    cnn_status status =
        check_count(label, op, "input", p->input, inputs, op->min_inputs, op->max_inputs, err);
    return status != CNN_OK ? status
                            : check_count(label, op, "output", p->output, outputs, op->min_outputs,
                                          op->max_outputs, err);
}

cnn_status node_input(const scope *s, size_t index, const char *name, int *out, cnn_error *err) {
    onnx_label label;
    *out = -1;
    if (name[0] == '\0' || scope_find(s, name, out)) return CNN_OK;
    return cnn_fail(err, CNN_INVALID_MODEL,
                    "%s: input '%.100s' is no initializer, graph input or output of a node",
                    scope_node_label(label, s, index), name);
}

static cnn_status connect(loader *l, const scope *s, size_t index, graph_node *node,
                          cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < node->input_count; i++)
        status = node_input(s, index, onnx_text(p->input[i]), &node->inputs[i], err);
    for (size_t i = 0; status == CNN_OK && i < node->input_count; i++)
        status = loader_need(l, node->inputs[i], err);
    for (size_t i = 0; i < node->output_count; i++)
        if (onnx_text(p->output[i])[0] != '\0')
            (void)names_find(&s->values, p->output[i], &node->outputs[i]);
    return status;
}

/* ---- attributes ---- */

/* Within a function, what has been copied for this call of it counts. */
static cnn_status charge_attribute(loader *l, const scope *s, const attr *a, cnn_error *err) {
    size_t bytes = sizeof *a + 8 * a->count + (a->tensor ? a->tensor->bytes : 0);
    return s->caller ? loader_charge(l, bytes, err) : CNN_OK;
}

static cnn_status add_attributes(loader *l, const scope *s, const Onnx__NodeProto *p,
                                 const char *label, graph_node *node, cnn_error *err) {
    if (p->n_attribute > GRAPH_MAX_NODE_ATTRS)
        return cnn_fail(err, CNN_LIMIT, "%s: %zu attributes, at most %d are supported", label,
                        p->n_attribute, GRAPH_MAX_NODE_ATTRS);
    node->attrs = calloc(MAX(p->n_attribute, 1), sizeof *node->attrs);
    if (!node->attrs) return cnn_fail_memory(err, p->n_attribute * sizeof *node->attrs);
    l->source.shared = s->function != NULL;
    for (size_t i = 0; i < p->n_attribute; i++) {
        Onnx__AttributeProto given;
        attr *a = &node->attrs[node->attr_count];
        const char *name = onnx_text(p->attribute[i]->name);
        if (graph_attr(node, name))
            return cnn_fail(err, CNN_INVALID_MODEL, "%s: attribute %.100s stands there twice",
                            label, name);
        if (!scope_attribute(s, p->attribute[i], &given)) continue;
        cnn_status status = onnx_attribute(&l->source, &given, label, a, err);
        if (status != CNN_OK) return status;
        node->attr_count++;
        if ((status = charge_attribute(l, s, a, err)) != CNN_OK) return status;
    }
    return CNN_OK;
}

/* In ONNX' own test cases Resize has lengths that are no whole numbers, see resize.c. */
static cnn_status mark_fractional(const loader *l, graph_node *node, cnn_error *err) {
    if (strcmp(onnx_text(l->model->producer_name), "backend-test") != 0 ||
        strcmp(node->op->name, "Resize") != 0 || graph_attr(node, OP_FRACTIONAL_LENGTH))
        return CNN_OK;
    return graph_add_attr_int(node, OP_FRACTIONAL_LENGTH, 1) ? CNN_OK
                                                             : cnn_fail_memory(err, sizeof(attr));
}

/* ---- */

cnn_status node_keep(part *p, graph_node *node, cnn_error *err) {
    graph_node **grown = realloc(p->made, (p->made_count + 1) * sizeof *grown);
    if (!grown) {
        graph_node_free(node);
        return cnn_fail_memory(err, sizeof *grown);
    }
    p->made = grown;
    p->made[p->made_count++] = node;
    return CNN_OK;
}

cnn_status node_read(loader *l, scope *s, size_t index, cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    char name[GRAPH_MAX_NAME_BYTES + 1];
    onnx_label label;
    const op_def *op = NULL;
    size_t inputs = loader_trimmed(p->input, p->n_input);
    size_t outputs = loader_trimmed(p->output, p->n_output);
    scope_node_label(label, s, index);
    cnn_status status = find_operator(l, s, p, label, &op, err);
    if (status == CNN_OK) status = check_counts(p, label, op, inputs, outputs, err);
    if (status != CNN_OK) return status;
    graph_node *node = graph_node_create(op, scope_node_name(s, p, name), inputs, outputs);
    if (!node) return cnn_fail_memory(err, sizeof *node);
    status = add_attributes(l, s, p, label, node, err);
    if (status == CNN_OK) status = mark_fractional(l, node, err);
    if (status == CNN_OK) status = connect(l, s, index, node, err);
    if (status == CNN_OK) return node_keep(&s->parts[index], node, err);
    graph_node_free(node);
    return status;
}
