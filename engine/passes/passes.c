/* The table of rewrites, in the order in which they run. */
#include "passes/rewrite.h"
#include "run/without.h"

static const struct {
    cnn_status (*run)(graph *, cnn_error *);
    unsigned technique; /* see without.h; 0: always runs */
} passes[] = {
    {pass_drop_no_ops, 0},                   /* first: no-ops hide neighbours from each other */
    {pass_gelu, 0},                          /* before its factors go into neighbours */
    {pass_layer_norm, 0},                    /* likewise */
    {pass_matmul_to_gemm, 0},                /* makes what fold_affine takes */
    {pass_channels_first, WITHOUT_CHANNELS}, /* takes what the last two make */
    {pass_drop_no_ops, 0},                   /* the transposes of before */
    {pass_fold_pad, WITHOUT_FOLD},           /* Pad into the window behind it */
    {pass_fold_affine,
     WITHOUT_FOLD}, /* BatchNormalization and per-channel arithmetic into Conv and Gemm */
    {pass_fold_input, WITHOUT_FOLD}, /* what is left of it, into the Conv behind */
    {pass_channel_shuffle, 0},       /* three nodes that blocked layout has no form for */
    {pass_global_pool, 0},           /* means over whole planes */
    {pass_hard_swish, 0},            /* makes nodes that fuse_activation takes */
    {pass_fuse_silu, WITHOUT_FUSE},  /* before fuse_activation, which would take its Sigmoid */
    {pass_fuse_residual,
     WITHOUT_FUSE}, /* before fuse_activation: the sum comes before the activation */
    {pass_fuse_activation, WITHOUT_FUSE},   /* into whatever makes its input */
    {pass_squeeze_excite, WITHOUT_SQUEEZE}, /* last: knows its activations as epilogues */
};

cnn_status passes_run(graph *g, unsigned without, cnn_error *err) {
    cnn_status status = CNN_OK;
    graph_drop_dead_nodes(g);
    for (size_t i = 0; status == CNN_OK && i < ARRAY_LENGTH(passes); i++) {
        if (passes[i].technique & without) continue;
        status = passes[i].run(g, err);
        graph_drop_dead_nodes(g);
        graph_drop_unused_constants(g);
    }
    return status;
}
