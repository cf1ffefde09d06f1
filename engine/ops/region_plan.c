/* Wavelet pooling, unpooling and the poolings over regions of interest on their kernels. */
#include "ops/infer.h"
#include "ops/lower.h"
#include "ops/roi.h"
#include "ops/unpool.h"
#include "ops/wavelet_pool.h"
#include "plan/builder.h"

#include <string.h>

#define REGION_FLOATS 4096 /* of output per tile */

/* ---- wavelets ---- */

typedef struct wavelet_step {
    wavelet_args a;
    void (*kernel)(const wavelet_args *a, const rows_tile *t);
    rows_grid grid;
} wavelet_step;

static void wavelet_tile_run(void *args, size_t index) {
    const wavelet_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernel(&s->a, &t);
}

bool wavelet_takes(const graph *g, const graph_node *node) {
    return plan_can_block(g, node->inputs[0]) && plan_can_block(g, node->outputs[0]);
}

cnn_status wavelet_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    wavelet_step s = {.a.filters = wavelet_pool_filters(node), .kernel = b->kernels->wavelet};
    plan_blocked in, out[WAVELET_BANDS];
    TRY(plan_read_blocked(b, node->inputs[0], &in, err));
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0) TRY(plan_write_blocked(b, node->outputs[i], &out[i], err));
    s.grid = plan_rows_grid(&out[0].geometry, REGION_FLOATS);
    size_t tiles = plan_rows_tiles(&s.grid, in.geometry.n);
    if (!plan_add_step(b, "wavelet", wavelet_tile_run, tiles, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(wavelet_step, a.in), &in);
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] >= 0)
            plan_connect_write_blocked(b, offsetof(wavelet_step, a.out) + i * sizeof(blocked),
                                       &out[i]);
    return CNN_OK;
}

/* ---- unpooling ---- */

typedef struct unpool_step {
    unpool_args a;
    void (*kernel)(const unpool_args *a, int n, int b);
} unpool_step;

static void unpool_tile_run(void *args, size_t index) {
    const unpool_step *s = args;
    size_t blocks = (size_t)s->a.in.blocks;
    s->kernel(&s->a, (int)(index / blocks), (int)(index % blocks));
}

/* True if output_shape, which may be larger than what was pooled, adds neither images nor channels.
 */
bool unpool_takes(const graph *g, const graph_node *node) {
    cnn_shape pooled, out = g->values[node->outputs[0]].shape;
    return plan_can_block(g, node->inputs[0]) && plan_can_block(g, node->outputs[0]) &&
           unpool_pooled(node, &op_input(g, node, 0)->shape, &pooled, NULL) == CNN_OK &&
           pooled.dims[0] == out.dims[0] && pooled.dims[1] == out.dims[1] && pooled.dims[2] > 0 &&
           pooled.dims[3] > 0;
}

cnn_status unpool_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    unpool_step s = {.kernel = b->kernels->unpool};
    plan_blocked in, out;
    plan_place indices;
    cnn_shape pooled;
    TRY(unpool_pooled(node, &op_input(b->g, node, 0)->shape, &pooled, err));
    s.a.pooled_h = pooled.dims[2];
    s.a.pooled_w = pooled.dims[3];
    TRY(plan_read_blocked(b, node->inputs[0], &in, err));
    TRY(plan_read_plain(b, node->inputs[1], &indices, err));
    TRY(plan_write_blocked(b, node->outputs[0], &out, err));
    size_t tiles = (size_t)in.geometry.n * (size_t)in.geometry.blocks;
    if (!plan_add_step(b, "unpool", unpool_tile_run, tiles, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(unpool_step, a.in), &in);
    plan_connect_read(b, offsetof(unpool_step, a.indices), &indices);
    plan_connect_write_blocked(b, offsetof(unpool_step, a.out), &out);
    return CNN_OK;
}

/* ---- regions of interest ---- */

typedef struct roi_step {
    roi_args a;
    void (*kernel)(const roi_args *a, const rows_tile *t);
    rows_grid grid;
} roi_step;

static void roi_tile_run(void *args, size_t index) {
    const roi_step *s = args;
    rows_tile t = plan_rows_tile(&s->grid, index);
    s->kernel(&s->a, &t);
}

bool roi_takes(const graph *g, const graph_node *node) {
    return plan_can_block(g, node->inputs[0]) && plan_can_block(g, node->outputs[0]);
}

cnn_status roi_lower(plan_builder *b, const graph_node *node, cnn_error *err) {
    bool align = strcmp(node->op->name, "RoiAlign") == 0;
    roi_step s = {.a = {.spatial_scale = graph_attr_float(node, "spatial_scale", 1),
                        .sampling_ratio = (int)graph_attr_int(node, "sampling_ratio", 0),
                        .half_pixel = roi_half_pixel(node),
                        .largest = strcmp(graph_attr_string(node, "mode", "avg"), "max") == 0},
                  .kernel = align ? b->kernels->roi_align : b->kernels->roi_max};
    plan_blocked in, out;
    plan_place rois, images;
    TRY(plan_read_blocked(b, node->inputs[0], &in, err));
    TRY(plan_read_plain(b, node->inputs[1], &rois, err));
    if (align) TRY(plan_read_plain(b, node->inputs[2], &images, err));
    TRY(plan_write_blocked(b, node->outputs[0], &out, err));
    s.grid = plan_rows_grid(&out.geometry, REGION_FLOATS);
    size_t tiles = plan_rows_tiles(&s.grid, out.geometry.n);
    if (!plan_add_step(b, align ? "roi_align" : "roi_max", roi_tile_run, tiles, &s, sizeof(s)))
        return cnn_fail_memory(err, sizeof(s));
    plan_connect_read_blocked(b, offsetof(roi_step, a.in), &in);
    plan_connect_read(b, offsetof(roi_step, a.rois), &rois);
    if (align) plan_connect_read(b, offsetof(roi_step, a.images), &images);
    plan_connect_write_blocked(b, offsetof(roi_step, a.out), &out);
    return CNN_OK;
}
