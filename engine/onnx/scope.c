/*
 * Scopes: names, and what stands behind them.
 *
 * Values of the root keep their names. Those within a function get its call's name before theirs,
 * and wherever a name is taken already, a number behind it.
 */
#include "onnx/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a node and a value of an inner scope take, names and lists aside. */
#define NODE_BYTES  (sizeof(part) + sizeof(graph_node) + 8 * sizeof(void *))
#define VALUE_BYTES (sizeof(graph_value) + sizeof(maker) + 8 * sizeof(void *))

const char *loader_label(onnx_label label, const char *what, const char *name) {
    snprintf(label, sizeof(onnx_label), "%s '%.100s'", what, name);
    return label;
}

cnn_status loader_charge(loader *l, size_t bytes, cnn_error *err) {
    if (bytes > l->budget)
        return cnn_fail(err, CNN_LIMIT,
                        "functions and branches, written out, take more memory than the file may "
                        "take");
    l->budget -= bytes;
    return CNN_OK;
}

/* ---- scopes ---- */

/* What a scope takes over from the one in which it is opened. */
static void inherit(scope *s, const scope *caller) {
    s->depth = caller->depth + 1;
    s->function = caller->function;
    s->bindings = caller->bindings;
    s->binding_count = caller->binding_count;
}

static cnn_status check_limits(loader *l, const scope *caller, size_t count, cnn_error *err) {
    if (!caller) return CNN_OK; /* the root's nodes have been counted */
    if (caller->depth >= LOADER_MAX_DEPTH)
        return cnn_fail(err, CNN_LIMIT, "functions and branches are nested more than %d deep",
                        LOADER_MAX_DEPTH);
    l->inner += count;
    if (l->inner + l->proto->n_node > GRAPH_MAX_NODES) {
        l->inner -= count;
        return cnn_fail(err, CNN_LIMIT,
                        "with functions and branches written out there are more than %d nodes",
                        GRAPH_MAX_NODES);
    }
    return loader_charge(l, sizeof(scope) + count * NODE_BYTES, err);
}

cnn_status scope_create(loader *l, const scope *caller, Onnx__NodeProto **nodes, size_t count,
                        scope **out, cnn_error *err) {
    cnn_status status = check_limits(l, caller, count, err);
    if (status != CNN_OK) return status;
    scope *s = calloc(1, sizeof *s);
    if (s) s->parts = calloc(count + 1, sizeof *s->parts);
    if (s && caller && caller->prefix) s->prefix = strdup(caller->prefix);
    if (!s || !s->parts || (caller && caller->prefix && !s->prefix) ||
        !cnn_grow((void **)&l->scopes, &l->scope_capacity, l->scope_count + 1, sizeof s)) {
        scope_free(s);
        return cnn_fail_memory(err, sizeof *s + count * sizeof *s->parts);
    }
    s->caller = caller;
    s->nodes = nodes;
    s->node_count = count;
    for (size_t i = 0; i < count; i++)
        s->parts[i].refused[0] = s->parts[i].refused[1] = -1;
    if (caller) inherit(s, caller);
    l->scopes[l->scope_count++] = s;
    *out = s;
    return CNN_OK;
}

void scope_free(scope *s) {
    if (!s) return;
    for (size_t i = 0; i < s->node_count; i++) {
        for (size_t j = 0; j < s->parts[i].made_count; j++)
            graph_node_free(s->parts[i].made[j]);
        free(s->parts[i].made);
    }
    free(s->parts);
    names_free(&s->values);
    if (s->owns_bindings) free(s->bindings);
    free(s->prefix);
    free(s);
}

/* ---- values ---- */

cnn_status loader_check_name(const char *what, const char *name, cnn_error *err) {
    size_t length = strlen(name);
    onnx_label label;
    if (length > GRAPH_MAX_NAME_BYTES)
        return cnn_fail(err, CNN_LIMIT, "%s: a name of %zu bytes, at most %d are supported",
                        loader_label(label, what, name), length, GRAPH_MAX_NAME_BYTES);
    if (!cnn_utf8_valid(name, length))
        return cnn_fail(err, CNN_INVALID_MODEL, "%s: the name is not UTF-8",
                        loader_label(label, what, name));
    return CNN_OK;
}

typedef char value_name[GRAPH_MAX_NAME_BYTES + 32];

/* A name that no value of the graph has. */
static const char *free_name(loader *l, const scope *s, const char *name, value_name out) {
    int other;
    const char *prefix = s->prefix ? s->prefix : "";
    if (strlen(prefix) + strlen(name) > GRAPH_MAX_NAME_BYTES) prefix = "";
    snprintf(out, sizeof(value_name), "%s%s", prefix, name);
    size_t length = strlen(out);
    while (names_find(&l->taken, out, &other))
        snprintf(out + length, sizeof(value_name) - length, "~%zu", ++l->renamed);
    return out;
}

/* Adds a value to the graph, not to the scope. */
static cnn_status add_value(loader *l, scope *s, const char *name, int *out, cnn_error *err) {
    value_name unique;
    cnn_status status = CNN_OK;
    free_name(l, s, name, unique);
    if (s->caller) status = loader_charge(l, VALUE_BYTES + 2 * strlen(unique), err);
    if (status != CNN_OK) return status;
    int value = graph_add_value(l->g, unique);
    if (value < 0 || !names_add(&l->taken, l->g->values[value].name, value) ||
        !cnn_grow((void **)&l->makers, &l->maker_capacity, l->g->value_count, sizeof *l->makers))
        return cnn_fail_memory(err, strlen(unique) + sizeof(graph_value));
    l->makers[value] = (maker){.scope = s, .node = -1, .initializer = -1};
    *out = value;
    return CNN_OK;
}

cnn_status scope_declare(loader *l, scope *s, const char *what, const char *name, int *out,
                         cnn_error *err) {
    int other;
    cnn_status status = loader_check_name(what, name, err);
    if (status != CNN_OK) return status;
    if (name[0] == '\0')
        return cnn_fail(err, CNN_INVALID_MODEL, "the graph has an %s without a name", what);
    if (names_find(&s->values, name, &other))
        return cnn_fail(err, CNN_INVALID_MODEL, "%s '%.100s': the name is taken already", what,
                        name);
    status = add_value(l, s, name, out, err);
    if (status == CNN_OK && !names_add(&s->values, name, *out))
        status = cnn_fail_memory(err, sizeof(names_slot));
    return status;
}

/* An output of a function's body has a value already: that of the call. */
static bool is_awaited(const loader *l, const scope *s, const char *name, int *value) {
    if (!names_find(&s->values, name, value) || *value < 0) return false;
    const maker *m = &l->makers[*value];
    return m->scope == s && m->node < 0 && m->initializer < 0 && s != l->scopes[0];
}

cnn_status scope_declare_nodes(loader *l, scope *s, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < s->node_count; i++)
        for (size_t j = 0; status == CNN_OK && j < s->nodes[i]->n_output; j++) {
            const char *name = onnx_text(s->nodes[i]->output[j]);
            int value;
            if (name[0] == '\0') continue;
            if (!is_awaited(l, s, name, &value))
                status = scope_declare(l, s, "output", name, &value, err);
            if (status == CNN_OK) l->makers[value].node = (int)i;
        }
    return status;
}

static cnn_status declare_sparse(loader *l, scope *s, const Onnx__SparseTensorProto *p,
                                 cnn_error *err) {
    int value;
    cnn_error why;
    const char *name = onnx_text(p->values ? p->values->name : NULL);
    if (name[0] == '\0') return CNN_OK; /* nobody can name it */
    cnn_status status = scope_declare(l, s, "sparse initializer", name, &value, err);
    if (status != CNN_OK) return status;
    (void)cnn_fail(&why, CNN_UNSUPPORTED, "initializer '%.100s': sparse ones are not supported",
                   name);
    return graph_refuse(l->g, value, &why, err);
}

cnn_status scope_declare_initializers(loader *l, scope *s, cnn_error *err) {
    const Onnx__GraphProto *g = s->graph;
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < g->n_initializer; i++) {
        int value;
        status =
            scope_declare(l, s, "initializer", onnx_text(g->initializer[i]->name), &value, err);
        if (status == CNN_OK) l->makers[value].initializer = (int)i;
    }
    for (size_t i = 0; status == CNN_OK && i < g->n_sparse_initializer; i++)
        status = declare_sparse(l, s, g->sparse_initializer[i], err);
    return status;
}

bool scope_find(const scope *s, const char *name, int *value) {
    for (; s; s = s->outer)
        if (names_find(&s->values, name, value)) return true;
    return false;
}

cnn_status scope_add_refused(loader *l, scope *s, const cnn_error *why, int *out, cnn_error *err) {
    int value = -1;
    cnn_error refused = *why; /* `err` may be the same */
    cnn_status status = add_value(l, s, "refused", &value, err);
    if (status == CNN_OK) status = graph_refuse(l->g, value, &refused, err);
    if (status == CNN_OK) *out = value;
    return status;
}

/* ---- nodes ---- */

const char *scope_node_name(const scope *s, const Onnx__NodeProto *p,
                            char name[GRAPH_MAX_NAME_BYTES + 1]) {
    const char *own = onnx_text(p->name), *prefix = s->prefix && *own ? s->prefix : "";
    if (strlen(prefix) + strlen(own) > GRAPH_MAX_NAME_BYTES) prefix = "";
    snprintf(name, GRAPH_MAX_NAME_BYTES + 1, "%s%s", prefix, own);
    return name;
}

const char *scope_node_label(onnx_label label, const scope *s, size_t index) {
    char name[GRAPH_MAX_NAME_BYTES + 1];
    const Onnx__NodeProto *p = s->nodes[index];
    const char *first = p->n_output ? onnx_text(p->output[0]) : "";
    if (scope_node_name(s, p, name)[0] != '\0') return loader_label(label, "node", name);
    if (first[0] != '\0') return loader_label(label, "node of output", first);
    snprintf(label, sizeof(onnx_label), "node %zu", index);
    return label;
}

bool scope_attribute(const scope *s, const Onnx__AttributeProto *p, Onnx__AttributeProto *out) {
    const char *wanted = onnx_text(p->ref_attr_name);
    *out = *p;
    if (wanted[0] == '\0' || !s->function) return true;
    for (size_t i = 0; i < s->binding_count; i++) {
        if (strcmp(onnx_text(s->bindings[i].name), wanted) != 0) continue;
        *out = s->bindings[i];
        out->name = p->name;
        return true;
    }
    return false;
}

bool scope_find_attribute(const scope *s, const Onnx__NodeProto *p, const char *name,
                          Onnx__AttributeProto *out) {
    for (size_t i = 0; i < p->n_attribute; i++)
        if (strcmp(onnx_text(p->attribute[i]->name), name) == 0)
            return scope_attribute(s, p->attribute[i], out);
    return false;
}
