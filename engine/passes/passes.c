/* The table of rewrites, in the order in which they run. */
#include "passes/rewrite.h"

static cnn_status (*const passes[])(graph *, cnn_error *) = {
    pass_drop_no_ops,     /* first: no-ops hide neighbours from each other */
    pass_gelu,            /* before its factors go into neighbours */
    pass_layer_norm,      /* likewise */
    pass_matmul_to_gemm,  /* makes what fold_affine takes */
    pass_channels_first,  /* takes what the last two make */
    pass_drop_no_ops,     /* the transposes of before */
    pass_fold_pad,        /* Pad into the window behind it */
    pass_fold_affine,     /* BatchNormalization and per-channel arithmetic into Conv and Gemm */
    pass_fold_input,      /* what is left of it, into the Conv behind */
    pass_channel_shuffle, /* three nodes that blocked layout has no form for */
    pass_global_pool,     /* means over whole planes */
    pass_hard_swish,      /* makes nodes that fuse_activation takes */
    pass_fuse_silu,       /* before fuse_activation, which would take its Sigmoid */
    pass_fuse_residual,   /* before fuse_activation: the sum comes before the activation */
    pass_fuse_activation, /* into whatever makes its input */
};

cnn_status passes_run(graph *g, cnn_error *err) {
    cnn_status status = CNN_OK;
    graph_drop_dead_nodes(g);
    for (size_t i = 0; status == CNN_OK && i < ARRAY_LENGTH(passes); i++) {
        status = passes[i](g, err);
        graph_drop_dead_nodes(g);
        graph_drop_unused_constants(g);
    }
    return status;
}
