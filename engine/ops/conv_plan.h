/* What the lowerings of convolutions share: conv_plan.c, planar_plan.c and winograd_plan.c. */
#ifndef OPS_CONV_PLAN_H
#define OPS_CONV_PLAN_H

#include "plan/builder.h"
#include "plan/cut.h"

/* A Conv node that kernels take. */
typedef struct conv_form {
    int c, oc, icg, groups, kh, kw;
    op_window window;
    bool depthwise; /* or in groups of fewer channels than a block, as many in as out */
    const tensor *weights, *bias;
} conv_form;

typedef struct conv_io {
    plan_blocked in, out, residual;
    bool has_residual;
} conv_io;

/* Of `io` the residual and the output. */
cnn_status conv_place_output(plan_builder *b, const graph_node *node, conv_io *io, cnn_error *err);
/* For an input with `lanes`, and groups of which `joined` have been made one; see conv_pack. */
cnn_status conv_pack_weights(plan_builder *b, const conv_form *f, int joined, int lanes,
                             int ob_group, const float **out, cnn_error *err);
/* The rows and blocks of call `index` of the calls for all images, groups and chunks of the cut. */
conv_tile conv_cut_tile(const conv_args *a, const plan_cut *c, int blocks_per_group, size_t index);
/* Connects input, output and residual at these bytes of the newest step's arguments. */
void conv_connect(plan_builder *b, const conv_io *io, size_t in, size_t out, size_t residual);
/* Without pointers and panels, for groups of which `joined` have been made one. */
conv_args conv_dense_args(const graph_node *node, const conv_form *f, const conv_io *io,
                          int joined);

/* True if the convolution reads the picture as it is; see planar_plan.c. */
bool planar_takes(const plan_builder *b, const graph_node *node, const conv_form *f);
cnn_status planar_lower(plan_builder *b, const graph_node *node, const conv_form *f,
                        cnn_error *err);

/*
 * The side of the tiles with which Winograd's algorithm is the fastest, 0: direct convolution is,
 * by what the tuning (see cnn_runtime_options) has found, or else by a model of the cost.
 */
int winograd_choose(plan_builder *b, const graph_node *node, const conv_form *f, const conv_io *io);
/* True if tiles of side `m` find room in a worker's scratch memory. */
bool winograd_fits(const conv_io *io, int m);
/* What has been measured, now or before; `guess` is tried first. */
int conv_tune(plan_builder *b, const graph_node *node, const conv_form *f, const conv_io *io,
              int guess);
cnn_status winograd_lower(plan_builder *b, const graph_node *node, const conv_form *f,
                          const conv_io *io, int m, cnn_error *err);

#endif
