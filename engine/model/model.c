/* The public model: a loaded graph, and the store of packed weights that its plans share. */
#include "model/model.h"

#include "onnx/onnx.h"
#include "ops/op.h"
#include "run/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

cnn_model *model_ref(cnn_model *model) {
    atomic_fetch_add(&model->refs, 1);
    return model;
}

void cnn_model_free(cnn_model *model) {
    if (!model || atomic_fetch_sub(&model->refs, 1) != 1) return;
    weight_store_destroy(&model->weights);
    graph_free(model->graph);
    free(model->tensors);
    free(model);
}

/* ---- loading ---- */

static bool makes_marked(const graph_node *node, const bool *marked) {
    bool makes = false;
    for (size_t i = 0; i < node->output_count; i++)
        makes |= node->outputs[i] >= 0 && marked[node->outputs[i]];
    return makes;
}

static bool can_be_had(const graph *g, int value) {
    cnn_error why;
    return graph_check_value(g, value, &why) == CNN_OK;
}

/* Marks the values that the outputs need if each choice falls on that branch (0: then, 1: else), or
 * on the other one where that is not to be had. */
static void mark_needed(const graph *g, size_t branch, bool *marked) {
    for (size_t i = 0; i < g->output_count; i++)
        marked[g->outputs[i]] = true;
    for (size_t i = g->node_count; i-- > 0;) {
        const graph_node *node = g->nodes[i];
        if (!makes_marked(node, marked)) continue;
        size_t skipped = SIZE_MAX;
        if (node->op == &op_choice)
            skipped = can_be_had(g, node->inputs[1 + branch]) ? 2 - branch : 1 + branch;
        for (size_t j = 0; j < node->input_count; j++)
            if (node->inputs[j] >= 0 && j != skipped) marked[node->inputs[j]] = true;
    }
}

/* Marks what is needed on either side of the choices, so nothing that stands in a branch. */
static bool mark_certain(const graph *g, bool *marked) {
    bool *other = calloc(g->value_count + 1, sizeof(*other));
    if (!other) return false;
    mark_needed(g, 0, marked);
    mark_needed(g, 1, other);
    for (size_t i = 0; i < g->value_count; i++)
        marked[i] &= other[i];
    free(other);
    return true;
}

/* Constant nodes are left out: they are weights written in another way. */
static bool add_outputs(cnn_model *m, size_t *capacity, const graph_node *node) {
    if (strcmp(node->op->name, "Constant") == 0) return true;
    if (!cnn_grow((void **)&m->tensors, capacity, m->tensor_count + node->output_count,
                  sizeof(int)))
        return false;
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0) m->tensors[m->tensor_count++] = node->outputs[i];
    return true;
}

static bool list_tensors(cnn_model *m) {
    const graph *g = m->graph;
    size_t capacity = 0;
    bool *marked = calloc(g->value_count + 1, sizeof(*marked));
    bool ok = marked && cnn_grow((void **)&m->tensors, &capacity, g->input_count, sizeof(int));
    for (size_t i = 0; ok && i < g->input_count; i++)
        m->tensors[m->tensor_count++] = g->inputs[i];
    ok = ok && mark_certain(g, marked);
    for (size_t i = 0; ok && i < g->node_count; i++)
        if (makes_marked(g->nodes[i], marked)) ok = add_outputs(m, &capacity, g->nodes[i]);
    free(marked);
    return ok;
}

static cnn_status load(cnn_runtime *rt, const void *bytes, size_t size, stored_file *file,
                       const char *directory, cnn_model **out, cnn_error *err) {
    if (!rt || !out || (!bytes && size))
        return cnn_fail(err, CNN_INVALID_ARGUMENT, "runtime, bytes and out must be given");
    cnn_model *m = calloc(1, sizeof(*m));
    if (!m) return cnn_fail_memory(err, sizeof(*m));
    atomic_init(&m->refs, 1);
    m->runtime = rt;
    weight_store_init(&m->weights);
    cnn_status status = onnx_load(bytes, size, file, directory, &m->graph, err);
    if (status == CNN_OK && !list_tensors(m))
        status = cnn_fail_memory(err, m->graph->value_count * sizeof(int));
    if (status != CNN_OK) {
        cnn_model_free(m);
        return status;
    }
    *out = m;
    return CNN_OK;
}

cnn_status cnn_model_load_static(cnn_runtime *rt, const void *bytes, size_t size, cnn_model **out,
                                 cnn_error *err) {
    stored_file *file = NULL;
    cnn_status status = stored_file_of_memory(bytes, size, &file, err);
    if (status == CNN_OK) status = load(rt, bytes, size, file, NULL, out, err);
    stored_file_unref(file);
    return status;
}

cnn_status cnn_model_load_memory(cnn_runtime *rt, const void *bytes, size_t size, cnn_model **out,
                                 cnn_error *err) {
    return load(rt, bytes, size, NULL, NULL, out, err);
}

static cnn_status open_file(const char *path, stored_file **out, cnn_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO does not hang us */
    if (fd < 0)
        return cnn_fail(err, errno == ENOENT ? CNN_NOT_FOUND : CNN_IO, "%s: %s", path,
                        strerror(errno));
    return stored_file_create(fd, path, out, err);
}

/* The folder of a path; freed by the caller; NULL when out of memory. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* The file is mapped only here, and little of it looked at: what is large is left in it. */
static cnn_status load_stored(cnn_runtime *rt, stored_file *file, const char *path, cnn_model **out,
                              cnn_error *err) {
    size_t size = stored_file_size(file);
    char *folder = folder_of(path);
    if (!folder) return cnn_fail_memory(err, strlen(path));
    void *bytes = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, stored_file_fd(file), 0) : NULL;
    cnn_status status = bytes == MAP_FAILED ? cnn_fail(err, CNN_IO, "%s: %s", path, strerror(errno))
                                            : load(rt, bytes, size, file, folder, out, err);
    if (bytes && bytes != MAP_FAILED) munmap(bytes, size);
    free(folder);
    return status;
}

cnn_status cnn_model_load_file(cnn_runtime *rt, const char *path, cnn_model **out, cnn_error *err) {
    if (!path) return cnn_fail(err, CNN_INVALID_ARGUMENT, "path must be given");
    stored_file *file = NULL;
    cnn_status status = open_file(path, &file, err);
    if (status == CNN_OK) status = load_stored(rt, file, path, out, err);
    stored_file_unref(file);
    return status;
}

/* ---- questions ---- */

static cnn_tensor_info info_of(const graph_value *v) {
    cnn_tensor_info info = {.name = v->name, .dtype = v->dtype, .shape = v->shape};
    if (!v->has_shape) info.shape.rank = -1;
    return info;
}

size_t cnn_model_input_count(const cnn_model *model) {
    return model->graph->input_count;
}

cnn_tensor_info cnn_model_input(const cnn_model *model, size_t index) {
    return info_of(&model->graph->values[model->graph->inputs[index]]);
}

size_t cnn_model_output_count(const cnn_model *model) {
    return model->graph->output_count;
}

cnn_tensor_info cnn_model_output(const cnn_model *model, size_t index) {
    return info_of(&model->graph->values[model->graph->outputs[index]]);
}

static cnn_status check_output(const cnn_model *model, size_t output, cnn_error *err) {
    if (!model) return cnn_fail(err, CNN_INVALID_ARGUMENT, "model must be given");
    if (output < model->graph->output_count) return CNN_OK;
    return cnn_fail(err, CNN_INVALID_ARGUMENT, "there is no output %zu, the model has %zu", output,
                    model->graph->output_count);
}

cnn_status cnn_model_output_check(const cnn_model *model, size_t index, cnn_error *err) {
    cnn_status status = check_output(model, index, err);
    return status != CNN_OK ? status
                            : graph_check_value(model->graph, model->graph->outputs[index], err);
}

size_t cnn_model_left_out_count(const cnn_model *model) {
    return model->graph->left_out_count;
}

cnn_left_out cnn_model_left_out(const cnn_model *model, size_t index) {
    const graph_left_out *part = &model->graph->left_out[index];
    return (cnn_left_out){part->kind, part->name, part->op, part->reason};
}

int cnn_model_opset(const cnn_model *model) {
    return model->graph->opset;
}

size_t cnn_model_weights_bytes(const cnn_model *model) {
    return weight_store_bytes((weight_store *)&model->weights);
}

static const graph_node *maker(const graph *g, int value) {
    int producer = g->values[value].producer;
    return producer < 0 ? NULL : g->nodes[producer];
}

size_t cnn_model_tensor_count(const cnn_model *model) {
    return model->tensor_count;
}

const char *cnn_model_tensor(const cnn_model *model, size_t index, const char **node,
                             const char **op) {
    int value = model->tensors[index];
    const graph_node *made_by = maker(model->graph, value);
    if (node) *node = made_by ? made_by->name : "";
    if (op) *op = made_by ? made_by->op->name : "Input";
    return model->graph->values[value].name;
}

/* ---- binding ---- */

static cnn_status set_outputs(graph *g, const char *const *names, size_t count, cnn_error *err) {
    int *outputs = calloc(count + 1, sizeof(*outputs));
    if (!outputs) return cnn_fail_memory(err, count * sizeof(*outputs));
    for (size_t i = 0; i < count; i++) {
        outputs[i] = graph_find_value(g, names[i]);
        if (outputs[i] < 0) {
            free(outputs);
            return cnn_fail(err, CNN_NOT_FOUND, "the model has no tensor '%s'", names[i]);
        }
    }
    free(g->outputs);
    g->outputs = outputs;
    g->output_count = count;
    graph_drop_dead_nodes(g);
    graph_drop_unused_constants(g);
    return CNN_OK;
}

static cnn_status fix_inputs(graph *g, const cnn_tensor *const *values, cnn_error *err) {
    cnn_status status = CNN_OK;
    for (size_t i = 0; status == CNN_OK && i < g->input_count; i++)
        if (values[i]) status = graph_fix_input(g, i, values[i]->content, err);
    return status;
}

typedef cnn_status bind_fn(graph *g, const cnn_shape *input_shapes, cnn_error *err);

/* `load`: large constants, too, which may else stay in their files. */
static cnn_status bind_with(bind_fn *bind, bool load, const cnn_model *model,
                            const cnn_plan_options *options, graph **out, cnn_error *err) {
    graph *g;
    cnn_status status = graph_clone(model->graph, &g, err);
    if (status != CNN_OK) return status;
    if (options->outputs) status = set_outputs(g, options->outputs, options->output_count, err);
    if (status == CNN_OK && options->input_values)
        status = fix_inputs(g, options->input_values, err);
    if (status == CNN_OK && load)
        status = graph_load_constants(g, pool_threads(model->runtime->pool), err);
    if (status == CNN_OK) status = bind(g, options->input_shapes, err);
    if (status != CNN_OK) {
        graph_free(g);
        return status;
    }
    *out = g;
    return CNN_OK;
}

cnn_status model_bind(const cnn_model *model, const cnn_plan_options *options, graph **out,
                      cnn_error *err) {
    return bind_with(graph_bind, true, model, options, out, err);
}

cnn_status model_bind_output(const cnn_model *model, size_t output, const cnn_shape *input_shapes,
                             bool load, graph **out, cnn_error *err) {
    cnn_status status = check_output(model, output, err);
    if (status != CNN_OK) return status;
    const char *name = cnn_model_output(model, output).name;
    cnn_plan_options options = {.input_shapes = input_shapes, .outputs = &name, .output_count = 1};
    return bind_with(graph_bind, load, model, &options, out, err);
}

cnn_status model_bind_what_can(const cnn_model *model, const cnn_plan_options *options, graph **out,
                               cnn_error *err) {
    return bind_with(graph_bind_what_can, true, model, options, out, err);
}
