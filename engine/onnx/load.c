/*
 * ModelProto -> graph.
 *
 * In this order, because each step looks up what the one before declared: operator set versions,
 * the names of initializers, inputs and what nodes make, the graph's outputs; then what the outputs
 * need, from them back (need.c), so that nodes may stand in any order; the sort. What cannot be
 * read is an error only if no output can be computed without it, see loader.h; parts that the graph
 * does without are listed in it (graph_left_out).
 *
 * An initializer that is also a graph input (usual before IR version 4) counts as an initializer:
 * it cannot be fed. Nodes that depend on constants alone are computed right away; their results are
 * constants of the graph, and choices that follow from them are made. Types of intermediate values
 * are not read; graph_bind infers them. Not read at all: metadata, training information,
 * quantisation annotations. Refused where an output needs them: sparse tensors, loops, graphs as
 * attributes of anything but If, tensors of strings, sequences.
 */
#include "onnx/loader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the file as a whole ---- */

/* The version of ONNX' own operator set in a list, or `version` if that is higher. */
static int64_t highest_version(Onnx__OperatorSetIdProto *const *sets, size_t count,
                               int64_t version) {
    for (size_t i = 0; i < count; i++)
        if (loader_is_default_domain(onnx_text(sets[i]->domain)))
            version = MAX(version, sets[i]->version);
    return version;
}

/* A model that only calls functions may leave the import to them. */
static int64_t opset_of(const Onnx__ModelProto *m) {
    int64_t version = 0;
    /* Before IR version 3 there were no imports: version 1. */
    if (m->n_opset_import == 0) return 1;
    for (size_t i = 0; i < m->n_opset_import; i++)
        if (loader_is_default_domain(onnx_text(m->opset_import[i]->domain)))
            return m->opset_import[i]->version;
    for (size_t i = 0; i < m->n_functions; i++)
        version = highest_version(m->functions[i]->opset_import, m->functions[i]->n_opset_import,
                                  version);
    return version;
}

static cnn_status check_opset(loader *l) {
    int64_t version = opset_of(l->model);
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
    if (l->skeleton.bytes && l->skeleton.count != l->proto->n_initializer)
        return cnn_fail(l->err, CNN_INVALID_MODEL, "the file is damaged: %zu initializers are %zu",
                        l->skeleton.count, l->proto->n_initializer);
    return check_opset(l);
}

static cnn_status open_root(loader *l) {
    scope *root = NULL;
    cnn_status status = functions_index(l);
    if (status == CNN_OK)
        status = scope_create(l, NULL, l->proto->node, l->proto->n_node, &root, l->err);
    if (status != CNN_OK) return status;
    root->graph = l->proto;
    return scope_declare_initializers(l, root, l->err);
}

static scope *root_of(const loader *l) {
    return l->scopes[0];
}

/* ---- inputs and outputs ---- */

/* An extent of a declared shape: -1 where it is symbolic, which some exporters write so. */
static int64_t extent_of(const Onnx__TensorShapeProto__Dimension *dim) {
    return dim->has_dim_value && dim->dim_value >= 0 ? dim->dim_value : -1;
}

/* Type and shape as far as the file declares them. */
static cnn_status read_type(const Onnx__ValueInfoProto *info, const char *label, graph_value *v,
                            cnn_error *err) {
    const Onnx__TypeProto__TensorTypeProto *type = info->type ? info->type->tensor_type : NULL;
    if (!type) return CNN_OK;
    cnn_status status = onnx_dtype(type->elem_type, label, &v->dtype, err);
    if (status != CNN_OK || !type->shape) return status;
    if (type->shape->n_dim > CNN_MAX_RANK)
        return cnn_fail(err, CNN_LIMIT, "%s: %zu dimensions, at most %d are supported", label,
                        type->shape->n_dim, CNN_MAX_RANK);
    cnn_shape shape = {.rank = (int)type->shape->n_dim};
    for (int i = 0; i < shape.rank; i++) {
        shape.dims[i] = extent_of(type->shape->dim[i]);
        if (shape.dims[i] > GRAPH_MAX_EXTENT)
            return cnn_fail(err, CNN_LIMIT, "%s: extent %" PRId64 " of axis %d is above %lld",
                            label, shape.dims[i], i, (long long)GRAPH_MAX_EXTENT);
    }
    v->shape = shape;
    v->has_shape = true;
    return CNN_OK;
}

static cnn_status add_input(loader *l, const Onnx__ValueInfoProto *info) {
    const char *name = onnx_text(info->name);
    onnx_label label;
    cnn_error why;
    int value;
    if (names_find(&root_of(l)->values, name, &value) && l->makers[value].initializer >= 0)
        return CNN_OK; /* an initializer's default, which is taken as final */
    cnn_status status = scope_declare(l, root_of(l), "input", name, &value, l->err);
    if (status != CNN_OK) return status;
    loader_label(label, "input", name);
    graph_value *v = &l->g->values[value];
    status = read_type(info, label, v, &why);
    if (status == CNN_OK && v->dtype == 0)
        status = cnn_fail(&why, CNN_UNSUPPORTED, "%s: it is no tensor", label);
    if (status != CNN_OK) status = graph_refuse(l->g, value, &why, l->err);
    if (status == CNN_OK && !graph_add_input(l->g, value))
        status = cnn_fail_memory(l->err, sizeof(int));
    return status;
}

static cnn_status add_inputs(loader *l) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < l->proto->n_input; i++)
        status = add_input(l, l->proto->input[i]);
    return status == CNN_OK ? scope_declare_nodes(l, root_of(l), l->err) : status;
}

static cnn_status add_output(loader *l, const Onnx__ValueInfoProto *info) {
    const char *name = onnx_text(info->name);
    onnx_label label;
    cnn_error why;
    int value;
    loader_label(label, "output", name);
    if (!names_find(&root_of(l)->values, name, &value))
        return cnn_fail(l->err, CNN_INVALID_MODEL, "%s: no node makes it", label);
    cnn_status status = CNN_OK;
    if (l->makers[value].node >= 0 && read_type(info, label, &l->g->values[value], &why) != CNN_OK)
        status = graph_refuse(l->g, value, &why, l->err);
    if (status == CNN_OK) status = loader_need(l, value, l->err);
    if (status == CNN_OK && !graph_add_output(l->g, value))
        status = cnn_fail_memory(l->err, sizeof(int));
    return status;
}

static cnn_status add_outputs(loader *l) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < l->proto->n_output; i++)
        status = add_output(l, l->proto->output[i]);
    return status;
}

/* ---- nodes ---- */

/* Moves what has been made to the graph, in the order of the file; what is within a node comes
 * before it. */
static cnn_status emit(loader *l, scope *s) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < s->node_count; i++) {
        part *p = &s->parts[i];
        for (int j = 0; status == CNN_OK && j < 2; j++)
            if (p->inner[j]) status = emit(l, p->inner[j]);
        for (size_t j = 0; status == CNN_OK && j < p->made_count; j++) {
            if (!graph_add_node(l->g, p->made[j])) status = cnn_fail_memory(l->err, sizeof(p));
            if (status == CNN_OK) p->made[j] = NULL;
        }
    }
    return status;
}

static cnn_status read_nodes(loader *l) {
    cnn_status status = loader_supply(l);
    if (status == CNN_OK) status = emit(l, root_of(l));
    return status == CNN_OK ? graph_sort(l->g, l->err) : status;
}

/* ---- what is left out ---- */

static const char *const unneeded = "no output that can be computed needs it";

/* Drops what only outputs need that cannot be computed; an error if that is all of them. */
static cnn_status drop_refused(loader *l) {
    graph *g = l->g;
    size_t left = 0;
    graph_drop_refused_nodes(g);
    for (size_t i = 0; i < g->output_count; i++)
        left += g->values[g->outputs[i]].refusal < 0;
    if (left == 0) return graph_check_value(g, g->outputs[0], l->err);
    for (size_t i = 0; i < g->value_count; i++)
        l->makers[i].dropped |= g->values[i].producer >= 0;
    graph_drop_dead_nodes(g);
    for (size_t i = 0; i < g->value_count; i++)
        l->makers[i].dropped &= g->values[i].producer < 0;
    return CNN_OK;
}

/* Why a value is not in the graph; NULL: it is, or was until it was folded. */
static const char *reason_of(const loader *l, int value) {
    int refusal = l->g->values[value].refusal;
    if (refusal >= 0) return l->g->refusals[refusal].message;
    return !l->makers[value].needed || l->makers[value].dropped ? unneeded : NULL;
}

/* `reason` without "node 'x': " and the like at its beginning if x is `name`, which is listed with
 * it. */
static const char *without_name(const char *reason, const char *name) {
    onnx_label quoted;
    snprintf(quoted, sizeof quoted, "'%.100s': ", name);
    const char *quote = strchr(reason, '\'');
    size_t length = strlen(quoted);
    return quote && strncmp(quote, quoted, length) == 0 ? quote + length : reason;
}

static cnn_status leave_out(loader *l, const char *kind, const char *name, const char *op,
                            const char *reason) {
    reason = reason ? without_name(reason, name) : unneeded;
    return graph_leave_out(l->g, kind, name, op, reason, l->err);
}

/* Of what is left out names have not been checked. */
static const char *printable(const char *name) {
    size_t length = strlen(name);
    return length <= GRAPH_MAX_NAME_BYTES && cnn_utf8_valid(name, length) ? name : "?";
}

static cnn_status list_node(loader *l, size_t index) {
    const scope *s = root_of(l);
    const Onnx__NodeProto *p = s->nodes[index];
    const char *reason = NULL, *first = "";
    for (size_t i = 0; i < p->n_output; i++) {
        int value;
        if (!names_find(&s->values, onnx_text(p->output[i]), &value)) continue;
        const char *why = reason_of(l, value);
        if (!why) return CNN_OK;
        if (!reason || reason == unneeded) reason = why;
        if (*first == '\0') first = p->output[i];
    }
    const char *name = onnx_text(p->name);
    return leave_out(l, "node", printable(*name ? name : first), printable(onnx_text(p->op_type)),
                     reason);
}

/* Before constants are folded and released. */
static cnn_status list_initializers(loader *l) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < l->g->value_count; i++) {
        const graph_value *v = &l->g->values[i];
        const maker *m = &l->makers[i];
        if (m->initializer < 0 || m->scope != root_of(l) || v->uses > 0) continue;
        status = leave_out(l, "initializer", v->name, "", reason_of(l, (int)i));
    }
    return status;
}

/* Values that some node of the file names as its input. */
static bool *mark_named(const loader *l) {
    const scope *s = root_of(l);
    bool *named = calloc(l->g->value_count + 1, sizeof *named);
    for (size_t i = 0; named && i < s->node_count; i++)
        for (size_t j = 0; j < s->nodes[i]->n_input; j++) {
            int value;
            if (names_find(&s->values, onnx_text(s->nodes[i]->input[j]), &value))
                named[value] = true;
        }
    return named;
}

/* An input stays that nothing takes, as callers feed what the file declares; but not one that is
 * taken only by what is left out. */
static cnn_status drop_inputs(loader *l) {
    graph *g = l->g;
    bool *named = mark_named(l);
    cnn_status status = named ? CNN_OK : cnn_fail_memory(l->err, g->value_count);
    size_t kept = 0;
    for (size_t i = 0; status == CNN_OK && i < g->input_count; i++) {
        const graph_value *v = &g->values[g->inputs[i]];
        if (v->refusal < 0 && (v->uses > 0 || !named[g->inputs[i]])) {
            g->inputs[kept++] = g->inputs[i];
            continue;
        }
        status = leave_out(l, "input", v->name, "", reason_of(l, g->inputs[i]));
    }
    if (status == CNN_OK) g->input_count = kept;
    free(named);
    return status;
}

static cnn_status list_left_out(loader *l) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < l->g->output_count; i++) {
        const graph_value *v = &l->g->values[l->g->outputs[i]];
        if (v->refusal >= 0)
            status = leave_out(l, "output", v->name, "", l->g->refusals[v->refusal].message);
    }
    for (size_t i = 0; status == CNN_OK && i < root_of(l)->node_count; i++)
        status = list_node(l, i);
    return status;
}

/* ---- */

static cnn_status finish(loader *l) {
    graph *g = l->g;
    cnn_status status = drop_refused(l);
    if (status == CNN_OK) status = list_initializers(l);
    if (status != CNN_OK) return status;
    graph_drop_unused_constants(g);
    /* Plans then find casts of weights and the like as constants, and fewer choices. */
    status = graph_fold_constants(g, l->err);
    if (status == CNN_OK) status = drop_refused(l);
    if (status == CNN_OK) status = drop_inputs(l);
    if (status == CNN_OK) status = list_left_out(l);
    for (size_t i = 0; i < g->node_count; i++)
        g->nodes[i]->origin = (int)i;
    graph_update_uses(g);
    graph_drop_unused_constants(g);
    return status;
}

/* The message, without what the skeleton leaves out. */
static cnn_status unpack(loader *l, size_t size, ProtobufCMessage **out) {
    const void *bytes = l->source.bytes;
    if (onnx_skeleton_make(bytes, size, &l->skeleton)) {
        bytes = l->skeleton.bytes;
        size = l->skeleton.size;
    }
    l->budget = onnx_budget(size);
    return onnx_unpack(&onnx__model_proto__descriptor, bytes, size, &l->budget, out, l->err);
}

static void release(loader *l) {
    for (size_t i = 0; i < l->scope_count; i++)
        scope_free(l->scopes[i]);
    for (size_t i = 0; i < l->message_count; i++)
        onnx_unpack_free(l->messages[i]);
    for (size_t i = 0; l->keys && i < l->model->n_functions; i++)
        free(l->keys[i]);
    free(l->scopes);
    free(l->messages);
    free(l->keys);
    free(l->makers);
    free(l->needed);
    names_free(&l->taken);
    names_free(&l->functions);
    onnx_external_close(&l->source);
    onnx_skeleton_free(&l->skeleton);
    onnx_unpack_free(l->model ? &l->model->base : NULL);
}

cnn_status onnx_load(const void *bytes, size_t size, stored_file *file, const char *directory,
                     graph **out, cnn_error *err) {
    static cnn_status (*const steps[])(loader *) = {check_file,  open_root,  add_inputs,
                                                    add_outputs, read_nodes, finish};
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
    release(&l);
    if (status != CNN_OK) {
        graph_free(l.g);
        return status;
    }
    *out = l.g;
    return CNN_OK;
}
