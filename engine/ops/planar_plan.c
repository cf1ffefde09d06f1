/*
 * Conv on the conv_planar kernel: a first layer with a kernel 3 wide, stride 2 and so few output
 * channels that copying the picture step by step pays: with more, what is stored is the limit.
 */
#include "kernels/planar.h"
#include "ops/conv_plan.h"
#include "plan/cut.h"
#include "run/pool.h"
#include "run/runtime.h"

#define PLANAR_MAX_CHANNELS     4
#define PLANAR_MAX_OUT_CHANNELS 24
#define PLANAR_MIN_WIDTH        8 /* of the output: rows are copied and computed one by one */
/* Cycles for a float of the band, read from beyond the second-level cache and stored. */
#define CYCLES_COPY 0.3

typedef struct planar_step {
    conv_args a;
    const kernel_table *kernels;
    plan_cut cut; /* rows of an image; panels of output blocks */
} planar_step;

static size_t scratch_bytes(const conv_args *a) {
    return DIV_UP(planar_scratch_floats(a) * sizeof(float), CNN_ALIGN) * CNN_ALIGN;
}

/* Only of an input of the graph: which layouts another value has depends on its other readers. */
bool planar_takes(const plan_builder *b, const graph_node *node, const conv_form *f) {
    const op_window *w = &f->window;
    if (f->groups > 1 || f->c > PLANAR_MAX_CHANNELS || f->oc > PLANAR_MAX_OUT_CHANNELS ||
        f->kw != 3 || w->stride[1] != 2 || w->dilation[0] != 1 || w->dilation[1] != 1 ||
        b->g->values[node->inputs[0]].producer >= 0 || b->plan->runtime->without & WITHOUT_PLANAR)
        return false;
    conv_io io = {.in.geometry.c = f->c};
    io.out.geometry.w = (int)b->g->values[node->outputs[0]].shape.dims[3];
    conv_args a = conv_dense_args(node, f, &io, 1);
    return a.out.w >= PLANAR_MIN_WIDTH && scratch_bytes(&a) <= POOL_SCRATCH_BYTES / 2;
}

static double call_cost(const void *arg, int rows, int panels) {
    const conv_args *a = &((const planar_step *)arg)->a;
    double weights = (double)panels * a->ob_group * LANES * a->in.c * a->kernel_h * a->kernel_w;
    double band = (double)planar_rows(a, rows) * (double)planar_width(a) * a->in.c;
    return weights * rows * a->out.w / (2 * LANES) + band * CYCLES_COPY;
}

static void run_rows(const void *args, const conv_tile *t) {
    const planar_step *s = args;
    char *end = (char *)pool_scratch() + POOL_SCRATCH_BYTES;
    s->kernels->conv_planar(&s->a, t, (float *)(void *)(end - scratch_bytes(&s->a)));
}

static void run_call(void *args, size_t index) {
    const planar_step *s = args;
    conv_tile t = conv_cut_tile(&s->a, &s->cut, s->a.out.blocks, index);
    run_rows(s, &t);
}

cnn_status planar_lower(plan_builder *b, const graph_node *node, const conv_form *f,
                        cnn_error *err) {
    conv_io io = {0};
    cnn_status status = plan_read_planar(b, node->inputs[0], &io.in, err);
    if (status == CNN_OK) status = conv_place_output(b, node, &io, err);
    if (status != CNN_OK) return status;
    const blocked *out = &io.out.geometry;
    planar_step s = {.kernels = b->kernels, .a = conv_dense_args(node, f, &io, 1)};
    s.a.ob_group = b->kernels->conv_tiling(1, out->blocks, out->w).ob_group;
    status = conv_pack_weights(b, f, 1, 1, s.a.ob_group, &s.a.weights, err);
    if (status == CNN_OK)
        status = plan_pack_vector(b, f->bias, 1, (size_t)f->oc, LANES, &s.a.bias, err);
    if (status != CNN_OK) return status;
    s.cut = plan_cut_best(out->h, DIV_UP(out->blocks, s.a.ob_group), out->h, (size_t)out->n,
                          b->threads, call_cost, &s);
    size_t calls = (size_t)out->n * (size_t)s.cut.row_chunks * (size_t)s.cut.column_chunks;
    plan_step *step = plan_add_step(b, "conv_planar", run_call, calls, &s, sizeof(s));
    if (!step) return cnn_fail_memory(err, sizeof(s));
    step->strip = (strip_part){.role = STRIP_WRITER,
                               .run = run_rows,
                               .cost = call_cost,
                               .scratch = scratch_bytes(&s.a),
                               .in = offsetof(planar_step, a.in),
                               .out = offsetof(planar_step, a.out),
                               .panel = s.a.ob_group};
    conv_connect(b, &io, offsetof(planar_step, a.in), offsetof(planar_step, a.out),
                 offsetof(planar_step, a.residual));
    return CNN_OK;
}
