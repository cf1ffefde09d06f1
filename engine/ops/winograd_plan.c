/*
 * Conv on the winograd kernel, where a model of its cost says that it is faster.
 *
 * The model looks at the layer's shape alone: not at batch, threads or instruction set, so that
 * none of them changes a result by a bit. Tuning (conv_tune.c) may find otherwise.
 */
#include "ops/conv_plan.h"
#include "plan/cut.h"
#include "run/pool.h"
#include "run/runtime.h"

typedef struct winograd_step {
    conv_args a;
    const kernel_table *kernels;
    int m;
    plan_cut cut; /* tiles of an image; panels of output blocks */
} winograd_step;

/* ---- cost, in cycles of a core that does two vector multiply-adds in each ---- */

/* Transforming a block of a tile to or from the points, measured. */
#define CYCLES_TRANSFORM(m) ((m) == 2 ? 60.0 : 170.0)
/* Per byte of weights that do not stay in the second-level cache. */
#define CYCLES_STREAM_BYTE 0.1
#define CACHED_BYTES       (512.0 * 1024)
/* Per byte of weights that a call reads while another thread's call reads others: most of it goes
 * on beside the arithmetic (measured with two threads). */
#define CYCLES_READ_BYTE 0.04

static double stream_cost(double weights) {
    double bytes = weights * sizeof(float);
    return bytes > CACHED_BYTES ? bytes * CYCLES_STREAM_BYTE : 0;
}

static double direct_cost(const blocked *in, const blocked *out) {
    double weights = 9.0 * in->blocks * out->blocks * LANES * LANES;
    return weights * out->h * out->w / (2 * LANES) + stream_cost(weights) / 2;
}

static double winograd_weights(int in_blocks, int out_blocks, int m) {
    return (double)(m + 2) * (m + 2) * in_blocks * out_blocks * LANES * LANES;
}

/* Of a call for `tiles` tiles and `out_blocks` blocks of the output. */
static double winograd_arithmetic(int in_blocks, int out_blocks, int tiles, int m) {
    return tiles * winograd_weights(in_blocks, out_blocks, m) / (2 * LANES) +
           tiles * (in_blocks + out_blocks) * CYCLES_TRANSFORM(m);
}

static double winograd_cost(int in_blocks, int out_blocks, int tiles, int m) {
    return winograd_arithmetic(in_blocks, out_blocks, tiles, m) +
           stream_cost(winograd_weights(in_blocks, out_blocks, m));
}

bool winograd_fits(const conv_io *io, int m) {
    conv_args a = {.in = io->in.geometry, .out = io->out.geometry};
    return winograd_tiles(&a, m, POOL_SCRATCH_BYTES) > 0;
}

/* What the model of the cost says. */
static int cheapest(const conv_io *io) {
    const blocked *in = &io->in.geometry, *out = &io->out.geometry;
    double best = direct_cost(in, out);
    int choice = 0;
    for (int m = 2; m <= 4; m += 2) {
        int tiles = DIV_UP(out->h, m) * DIV_UP(out->w, m);
        double cost = winograd_cost(in->blocks, out->blocks, tiles, m);
        if (cost >= best || !winograd_fits(io, m)) continue;
        best = cost;
        choice = m;
    }
    return choice;
}

int winograd_choose(plan_builder *b, const graph_node *node, const conv_form *f,
                    const conv_io *io) {
    const op_window *w = &f->window;
    if (b->plan->runtime->without & WITHOUT_WINOGRAD) return 0;
    if (f->kh != 3 || f->kw != 3 || f->groups != 1 || io->in.geometry.lanes != LANES) return 0;
    for (int i = 0; i < 2; i++)
        if (w->stride[i] != 1 || w->dilation[i] != 1) return 0;
    int choice = cheapest(io);
    return b->plan->runtime->tuning ? conv_tune(b, node, f, io, choice) : choice;
}

/* ---- weights ---- */

typedef struct winograd_packing {
    const float *weights;
    int oc, ic, m, ob_group;
} winograd_packing;

static void pack(const void *arg, float *out) {
    const winograd_packing *p = arg;
    winograd_pack(p->weights, p->oc, p->ic, p->m, p->ob_group, out);
}

static cnn_status pack_weights(plan_builder *b, const conv_form *f, int m, int ob_group,
                               const float **out, cnn_error *err) {
    winograd_packing p = {f->weights->data, f->oc, f->icg, m, ob_group};
    int geometry[] = {f->oc, f->icg, m, ob_group};
    weight_key key = weight_key_begin("winograd");
    weight_key_add(&key, geometry, sizeof(geometry));
    weight_key_add_tensor(&key, f->weights);
    return plan_pack(b, &key, winograd_packed_floats(f->oc, f->icg, m), pack, &p, sizeof(p), out,
                     err);
}

/* ---- cutting into calls ---- */

static double call_cost(const void *arg, int tiles, int panels) {
    const winograd_step *s = arg;
    int blocks = panels * s->a.ob_group;
    return winograd_arithmetic(s->a.in.blocks, blocks, tiles, s->m) +
           winograd_weights(s->a.in.blocks, blocks, s->m) * sizeof(float) * CYCLES_READ_BYTE;
}

static void run_call(void *args, size_t index) {
    const winograd_step *s = args;
    const plan_cut *c = &s->cut;
    int panels = (int)(index % (size_t)c->column_chunks);
    index /= (size_t)c->column_chunks;
    int tiles = (int)(index % (size_t)c->row_chunks) * c->row_chunk;
    int all = DIV_UP(s->a.out.h, s->m) * DIV_UP(s->a.out.w, s->m);
    int blocks = c->column_chunk * s->a.ob_group;
    winograd_tile t = {.n = (int)(index / (size_t)c->row_chunks),
                       .ob0 = panels * blocks,
                       .ob1 = MIN((panels + 1) * blocks, s->a.out.blocks),
                       .t0 = tiles,
                       .t1 = MIN(tiles + c->row_chunk, all)};
    s->kernels->winograd(&s->a, s->m, &t, pool_scratch());
}

cnn_status winograd_lower(plan_builder *b, const graph_node *node, const conv_form *f,
                          const conv_io *io, int m, cnn_error *err) {
    const blocked *out = &io->out.geometry;
    winograd_step s = {.kernels = b->kernels, .m = m, .a = conv_dense_args(node, f, io, 1)};
    int tiles = DIV_UP(out->h, m) * DIV_UP(out->w, m);
    s.a.ob_group = b->kernels->conv_tiling(LANES, out->blocks, tiles).ob_group;
    cnn_status status = pack_weights(b, f, m, s.a.ob_group, &s.a.weights, err);
    if (status == CNN_OK)
        status = plan_pack_vector(b, f->bias, 1, (size_t)f->oc, LANES, &s.a.bias, err);
    if (status != CNN_OK) return status;
    s.cut = plan_cut_best(tiles, DIV_UP(out->blocks, s.a.ob_group),
                          winograd_tiles(&s.a, m, POOL_SCRATCH_BYTES), (size_t)out->n, b->threads,
                          call_cost, &s);
    size_t calls = (size_t)out->n * (size_t)s.cut.row_chunks * (size_t)s.cut.column_chunks;
    const char *kernel = m == 2 ? "winograd_2x2" : "winograd_4x4";
    if (!plan_add_step(b, kernel, run_call, calls, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    conv_connect(b, io, offsetof(winograd_step, a.in), offsetof(winograd_step, a.out),
                 offsetof(winograd_step, a.residual));
    return CNN_OK;
}
