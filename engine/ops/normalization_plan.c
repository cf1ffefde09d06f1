/*
 * Normalisations of a pixel by other channels of it, on blocked tensors: LRN and LayerNorm2d. A
 * tile is some rows of an image, all channels.
 */
#include "ops/lower.h"
#include "plan/builder.h"

#define TILE_FLOATS 8192

/* Rows of a tile, and tiles of an image. */
typedef struct pixel_rows {
    int h, rows, chunks;
} pixel_rows;

static pixel_rows cut_rows(const blocked *out) {
    size_t row = (size_t)out->w * LANES * (size_t)out->blocks;
    int rows = (int)MIN(MAX(TILE_FLOATS / row, 1), (size_t)out->h);
    return (pixel_rows){out->h, rows, DIV_UP(out->h, rows)};
}

static size_t count_tiles(const pixel_rows *p, int images) {
    return (size_t)images * (size_t)p->chunks;
}

typedef struct pixel_tile {
    int n, y0, y1;
} pixel_tile;

static pixel_tile tile_at(const pixel_rows *p, size_t index) {
    int y0 = (int)(index % (size_t)p->chunks) * p->rows;
    return (pixel_tile){(int)(index / (size_t)p->chunks), y0, MIN(y0 + p->rows, p->h)};
}

/* ---- local response normalisation ---- */

typedef struct lrn_step {
    lrn_args a;
    const kernel_table *kernels;
    pixel_rows rows;
} lrn_step;

static void lrn_run(void *args, size_t index) {
    const lrn_step *s = args;
    pixel_tile t = tile_at(&s->rows, index);
    s->kernels->lrn(&s->a, t.n, t.y0, t.y1);
}

bool lrn_takes(const graph *g, const graph_node *node) {
    return plan_can_block(g, node->inputs[0]) && graph_attr_int(node, "size", 1) <= LRN_MAX_SIZE;
}

cnn_status lrn_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked in, out;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    lrn_step s = {.kernels = b->kernels,
                  .rows = cut_rows(&out.geometry),
                  .a = {.size = (int)graph_attr_int(node, "size", 1),
                        .alpha = graph_attr_float(node, "alpha", 0.0001f),
                        .beta = graph_attr_float(node, "beta", 0.75f),
                        .bias = graph_attr_float(node, "bias", 1.0f)}};
    size_t tiles = count_tiles(&s.rows, out.geometry.n);
    if (!plan_add_step(b, "lrn", lrn_run, tiles, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(lrn_step, a.in), &in);
    plan_connect_write_blocked(b, offsetof(lrn_step, a.out), &out);
    return CNN_OK;
}

/* ---- layer normalisation of pixels ---- */

typedef struct layer_2d_step {
    layer_norm_2d_args a;
    const kernel_table *kernels;
    pixel_rows rows;
} layer_2d_step;

static void layer_2d_run(void *args, size_t index) {
    const layer_2d_step *s = args;
    pixel_tile t = tile_at(&s->rows, index);
    s->kernels->layer_norm_2d(&s->a, t.n, t.y0, t.y1);
}

/* With constant scale and bias. */
bool layer_norm_2d_takes(const graph *g, const graph_node *node) {
    return plan_can_block(g, node->inputs[0]) && op_constant(g, node, 1) &&
           (!op_input(g, node, 2) || op_constant(g, node, 2));
}

cnn_status layer_norm_2d_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    plan_blocked in, out;
    cnn_status status = plan_read_blocked(b, node->inputs[0], &in, err);
    if (status == CNN_OK) status = plan_write_blocked(b, node->outputs[0], &out, err);
    if (status != CNN_OK) return status;
    size_t channels = (size_t)out.geometry.c;
    layer_2d_step s = {.kernels = b->kernels,
                       .rows = cut_rows(&out.geometry),
                       .a = {.epsilon = graph_attr_float(node, "epsilon", 1e-5f)}};
    status = plan_pack_vector(b, op_constant(b->g, node, 1), 1, channels, LANES, &s.a.scale, err);
    if (status == CNN_OK)
        status =
            plan_pack_vector(b, op_constant(b->g, node, 2), 1, channels, LANES, &s.a.bias, err);
    if (status != CNN_OK) return status;
    size_t tiles = count_tiles(&s.rows, out.geometry.n);
    if (!plan_add_step(b, "layer_norm_2d", layer_2d_run, tiles, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(layer_2d_step, a.in), &in);
    plan_connect_write_blocked(b, offsetof(layer_2d_step, a.out), &out);
    if (plan_same_pitches(&in.geometry, &out.geometry))
        plan_may_overwrite(b, &in.place, &out.place);
    return CNN_OK;
}
