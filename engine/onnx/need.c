/* What the outputs need, from them back: see loader.h. */
#include "onnx/loader.h"

#include <assert.h>
#include <stdlib.h>

cnn_status loader_need(loader *l, int value, cnn_error *err) {
    if (value < 0 || l->makers[value].needed) return CNN_OK;
    if (!cnn_grow((void **)&l->needed, &l->needed_capacity, l->needed_count + 1, sizeof(int)))
        return cnn_fail_memory(err, (l->needed_count + 1) * sizeof(int));
    l->makers[value].needed = true;
    l->needed[l->needed_count++] = value;
    return CNN_OK;
}

/* What cannot be read is refused; other failures are those of the loader. */
static cnn_status refuse_value(loader *l, int value, cnn_status status, const cnn_error *why) {
    if (status == CNN_OK) return CNN_OK;
    if (status != CNN_OUT_OF_MEMORY) return graph_refuse(l->g, value, why, l->err);
    if (l->err) *l->err = *why;
    return status;
}

static cnn_status read_initializer(loader *l, const maker *m, int value, cnn_error *err) {
    Onnx__TensorProto *proto = m->scope->graph->initializer[m->initializer];
    const onnx_skeleton *cut = &l->skeleton;
    bool whole = m->scope->caller || !cut->bytes;
    onnx_payload payload = whole ? (onnx_payload){0} : cut->payloads[m->initializer];
    onnx_label label;
    tensor *t = NULL;
    l->source.shared = false; /* each scope has its own initializers */
    cnn_status status =
        onnx_tensor(&l->source, proto, payload,
                    loader_label(label, "initializer", onnx_text(proto->name)), &t, err);
    if (status == CNN_OK) graph_set_constant(l->g, value, t);
    tensor_unref(t);
    return status;
}

static cnn_status open_node(loader *l, scope *s, size_t index, cnn_error *err) {
    const Onnx__NodeProto *p = s->nodes[index];
    cnn_status status = loader_check_name("node", onnx_text(p->name), err);
    if (status != CNN_OK) return status;
    const Onnx__FunctionProto *f = function_of(l, p);
    if (f) return function_open(l, s, index, f, err);
    return is_if(p) ? if_open(l, s, index, err) : node_read(l, s, index, err);
}

/* Refuses whatever a node of the file would make. */
static cnn_status refuse_outputs(loader *l, const scope *s, size_t index, const cnn_error *why) {
    const Onnx__NodeProto *p = s->nodes[index];
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < p->n_output; i++) {
        int value;
        if (names_find(&s->values, onnx_text(p->output[i]), &value) && value >= 0)
            status = graph_refuse(l->g, value, why, l->err);
    }
    return status;
}

static cnn_status open_once(loader *l, scope *s, size_t index) {
    cnn_error why;
    if (s->parts[index].opened) return CNN_OK;
    s->parts[index].opened = true;
    cnn_status status = open_node(l, s, index, &why);
    if (status == CNN_OK) return CNN_OK;
    if (status != CNN_OUT_OF_MEMORY) return refuse_outputs(l, s, index, &why);
    if (l->err) *l->err = why;
    return status;
}

/* A call of a function hands the value on to a node of the body, so it may take several steps. */
static cnn_status supply(loader *l, int value) {
    cnn_error why;
    cnn_status status = CNN_OK;
    maker m = l->makers[value];
    assert(m.scope);
    for (scope *before = NULL; status == CNN_OK && m.node >= 0 && m.scope != before;
         m = l->makers[value]) {
        before = m.scope;
        status = open_once(l, m.scope, (size_t)m.node);
    }
    if (status != CNN_OK || l->g->values[value].refusal >= 0) return status;
    if (m.initializer >= 0)
        return refuse_value(l, value, read_initializer(l, &m, value, &why), &why);
    if (m.node >= 0 && is_if(m.scope->nodes[m.node]) && !function_of(l, m.scope->nodes[m.node]))
        return refuse_value(l, value, if_choose(l, m.scope, (size_t)m.node, value, &why), &why);
    if (m.node >= 0 || !m.scope->caller) return CNN_OK;
    status =
        cnn_fail(&why, CNN_INVALID_MODEL, "function '%.100s': no node makes its output '%.100s'",
                 onnx_text(m.scope->function->name), l->g->values[value].name);
    return refuse_value(l, value, status, &why);
}

cnn_status loader_supply(loader *l) {
    cnn_status status = CNN_OK;
    while (status == CNN_OK && l->needed_count > 0)
        status = supply(l, l->needed[--l->needed_count]);
    return status;
}
