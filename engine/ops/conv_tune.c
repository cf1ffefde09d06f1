/*
 * Measures the ways in which a 3x3 convolution can be computed, on one image and one core, with
 * zeros in memory of its own. Their speed depends on no number, but on how cores, caches and memory
 * of this machine compare.
 */
#include "ops/conv_plan.h"
#include "run/pool.h"
#include "run/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 4 /* the first one warms up */
/* What else is found must be faster by that factor: what is equally fast stays as it is. */
#define MARGIN 1.05

typedef struct trial {
    const kernel_table *kernels;
    conv_args a;
    float *in, *out, *weights, *bias, *scratch;
} trial;

static void trial_free(trial *t) {
    free(t->in);
    free(t->out);
    free(t->weights);
    free(t->bias);
    free(t->scratch);
}

static float *zeros(size_t floats) {
    float *memory = cnn_alloc_aligned(floats * sizeof(float));
    if (memory) memset(memory, 0, floats * sizeof(float));
    return memory;
}

/* One image with its halo. */
static float *image(blocked *b) {
    float *memory = zeros((size_t)b->blocks * b->block_pitch);
    b->n = 1;
    if (memory) b->data = memory + (size_t)b->top * b->row_pitch + (size_t)b->left * b->lanes;
    return memory;
}

static bool trial_init(trial *t, plan_builder *b, const graph_node *node, const conv_form *f,
                       const conv_io *io) {
    *t = (trial){.kernels = b->kernels, .a = conv_dense_args(node, f, io, 1)};
    size_t floats = 0;
    t->a.ob_group = b->kernels->conv_tiling(LANES, t->a.out.blocks, t->a.out.w).ob_group;
    for (int m = 2; m <= 4; m += 2)
        floats = MAX(floats, winograd_packed_floats(f->oc, f->icg, m));
    t->in = image(&t->a.in);
    t->out = image(&t->a.out);
    t->weights = zeros(floats);
    t->bias = zeros((size_t)t->a.out.blocks * LANES);
    t->scratch = cnn_alloc_aligned(POOL_SCRATCH_BYTES);
    t->a.weights = t->weights;
    t->a.bias = t->bias;
    if (io->has_residual) {
        t->a.residual = t->a.out.data;
        t->a.residual_row_pitch = t->a.out.row_pitch;
        t->a.residual_block_pitch = t->a.out.block_pitch;
    }
    return t->in && t->out && t->weights && t->bias && t->scratch;
}

static void run_once(const trial *t, int m) {
    const blocked *out = &t->a.out;
    if (m == 0) {
        t->kernels->conv(&t->a, &(conv_tile){.ob1 = out->blocks, .y1 = out->h});
        return;
    }
    int all = DIV_UP(out->h, m) * DIV_UP(out->w, m);
    int chunk = winograd_tiles(&t->a, m, POOL_SCRATCH_BYTES);
    for (int i = 0; i < all; i += chunk) {
        winograd_tile tile = {.ob1 = out->blocks, .t0 = i, .t1 = MIN(i + chunk, all)};
        t->kernels->winograd(&t->a, m, &tile, t->scratch);
    }
}

/* The fastest run, in ns. */
static double measure(const trial *t, int m) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < RUNS; i++) {
        uint64_t begun = cnn_now_ns();
        run_once(t, m);
        least = MIN(least, cnn_now_ns() - begun);
    }
    return (double)least;
}

static int fastest(const trial *t, const conv_io *io, int guess) {
    double least = measure(t, guess) / MARGIN;
    int choice = guess;
    for (int m = 0; m <= 4; m += 2) {
        if (m == guess || (m > 0 && !winograd_fits(io, m))) continue;
        double time = measure(t, m);
        if (time >= least) continue;
        least = time;
        choice = m;
    }
    return choice;
}

int conv_tune(plan_builder *b, const graph_node *node, const conv_form *f, const conv_io *io,
              int guess) {
    tuning *known = b->plan->runtime->tuning;
    char layer[TUNING_MAX_LAYER];
    snprintf(layer, sizeof layer, "conv3x3:%dx%dx%d:%d", f->c, io->out.geometry.h,
             io->out.geometry.w, f->oc);
    int choice = tuning_find(known, b->kernels->isa, layer);
    if (choice == 0 || ((choice == 2 || choice == 4) && winograd_fits(io, choice))) return choice;
    trial t;
    if (trial_init(&t, b, node, f, io)) {
        guess = fastest(&t, io, guess);
        tuning_add(known, b->kernels->isa, layer, guess);
    }
    trial_free(&t);
    return guess;
}
