/* Convolution, dense, grouped, by Winograd and depthwise, and its packers, against plain loops. */
#include "support.h"

#include "kernels/planar.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A random convolution. Extents with _h and _w. */
typedef struct shape {
    int n, ic, oc, groups, in_lanes;
    int h, w, kh, kw, sh, sw, dh, dw, pad_top, pad_left, pad_bottom, pad_right;
    int oh, ow;
    bool residual;
    act_params act;
} shape;

static int out_extent(int in, int before, int after, int kernel, int stride, int dilation) {
    return (in + before + after - (kernel - 1) * dilation - 1) / stride + 1;
}

/* Sizes the output; false if it has none. */
static bool shape_finish(shape *s) {
    if (s->h + s->pad_top + s->pad_bottom < (s->kh - 1) * s->dh + 1) return false;
    if (s->w + s->pad_left + s->pad_right < (s->kw - 1) * s->dw + 1) return false;
    s->oh = out_extent(s->h, s->pad_top, s->pad_bottom, s->kh, s->sh, s->dh);
    s->ow = out_extent(s->w, s->pad_left, s->pad_right, s->kw, s->sw, s->dw);
    return true;
}

static void shape_random_window(rng *r, shape *s) {
    s->kh = rng_chance(r, 30) ? 1 : rng_int(r, 1, 5);
    s->kw = rng_chance(r, 80) ? s->kh : rng_int(r, 1, 7);
    s->sh = rng_chance(r, 60) ? 1 : rng_int(r, 1, 3);
    s->sw = rng_chance(r, 80) ? s->sh : rng_int(r, 1, 4);
    s->dh = rng_chance(r, 80) ? 1 : rng_int(r, 1, 3);
    s->dw = rng_chance(r, 80) ? s->dh : rng_int(r, 1, 3);
    s->pad_top = rng_int(r, 0, s->kh / 2);
    s->pad_left = rng_int(r, 0, s->kw / 2);
    s->pad_bottom = rng_chance(r, 70) ? s->pad_top : rng_int(r, 0, 2);
    s->pad_right = rng_chance(r, 70) ? s->pad_left : rng_int(r, 0, 2);
    s->h = rng_int(r, 1, 12);
    s->w = rng_int(r, 1, 40);
}

static shape shape_random(rng *r) {
    shape s;
    do {
        s = (shape){.n = rng_int(r, 1, 2), .groups = 1, .in_lanes = LANES};
        shape_random_window(r, &s);
        s.ic = rng_chance(r, 50) ? 16 * rng_int(r, 1, 3) : rng_int(r, 1, 50);
        s.oc = rng_chance(r, 50) ? 16 * rng_int(r, 1, 8) : rng_int(r, 1, 100);
        if (rng_chance(r, 20)) s.in_lanes = s.ic = rng_int(r, 1, 4);
        if (s.in_lanes == LANES && rng_chance(r, 20)) {
            s.groups = rng_int(r, 2, 4);
            s.ic = 16 * s.groups * rng_int(r, 1, 2);
            s.oc = 16 * s.groups * rng_int(r, 1, 5);
        }
        s.residual = rng_chance(r, 30);
        s.act = random_act(r);
    } while (!shape_finish(&s));
    return s;
}

/* Zeros that the window reaches beyond the image, and sometimes more. */
static halo shape_halo(const shape *s, rng *r) {
    int bottom = (s->oh - 1) * s->sh + (s->kh - 1) * s->dh + 1 - s->pad_top - s->h;
    int right = (s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1 - s->pad_left - s->w;
    halo h = {s->pad_top, s->pad_left, MAX(bottom, 0), MAX(right, 0)};
    if (rng_chance(r, 30)) {
        h.top += rng_int(r, 0, 2);
        h.left += rng_int(r, 0, 2);
        h.bottom += rng_int(r, 0, 2);
        h.right += rng_int(r, 0, 2);
    }
    return h;
}

static halo random_halo(rng *r) {
    if (rng_chance(r, 50)) return (halo){0};
    return (halo){rng_int(r, 0, 2), rng_int(r, 0, 2), rng_int(r, 0, 2), rng_int(r, 0, 2)};
}

static const char *shape_text(const shape *s, const char *isa) {
    static char text[256];
    snprintf(text, sizeof text,
             "%s n%d ic%d oc%d g%d lanes%d %dx%d k%dx%d s%dx%d d%dx%d out %dx%d residual %d act %d",
             isa, s->n, s->ic, s->oc, s->groups, s->in_lanes, s->h, s->w, s->kh, s->kw, s->sh,
             s->sw, s->dh, s->dw, s->oh, s->ow, s->residual, s->act.act);
    return text;
}

/* Input, weights in ONNX' order, bias. */
typedef struct operands {
    tensor_memory in;
    size_t weight_count;
    float *weights;
    guarded bias;
} operands;

static operands operands_create(const shape *s, rng *r, bool at_end) {
    operands o;
    o.in = tensor_memory_create(s->n, s->ic, s->h, s->w, s->in_lanes, shape_halo(s, r), at_end);
    tensor_memory_randomise(&o.in, r);
    o.weight_count = (size_t)s->oc * (s->ic / s->groups) * s->kh * s->kw;
    o.weights = malloc(o.weight_count * sizeof(float));
    rng_fill(r, o.weights, o.weight_count);
    o.bias = guarded_create((size_t)(s->oc + LANES - 1) / LANES * LANES, true);
    rng_fill(r, o.bias.data, s->oc);
    return o;
}

static void operands_free(operands *o) {
    tensor_memory_free(&o->in);
    guarded_free(&o->bias);
    free(o->weights);
}

/*
 * One random convolution. `want` and `scale`, the sum of magnitudes, come from plain loops; `tiled`
 * must become `out`.
 */
typedef struct problem {
    shape s;
    operands value;
    tensor_memory residual, out, tiled, want, scale;
} problem;

/* Output (n, oc, y, x) without residual and activation, from weights (OC, IC / groups, KH, KW). */
static double conv_element(const problem *p, int n, int oc, int y, int x, double *scale) {
    const shape *s = &p->s;
    int icg = s->ic / s->groups, first = oc / (s->oc / s->groups) * icg;
    const float *w = p->value.weights + (size_t)oc * icg * s->kh * s->kw;
    double sum = p->value.bias.data[oc];
    *scale = fabs(sum);
    for (int c = first; c < first + icg; c++)
        for (int ky = 0; ky < s->kh; ky++)
            for (int kx = 0; kx < s->kw; kx++, w++) {
                int iy = y * s->sh + ky * s->dh - s->pad_top;
                int ix = x * s->sw + kx * s->dw - s->pad_left;
                if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w) continue;
                double in =
                    tensor_memory_pixel(&p->value.in, n, c / s->in_lanes, iy, ix)[c % s->in_lanes];
                sum += in * *w;
                *scale += fabs(in * *w);
            }
    return sum;
}

/* Fills channel `oc` of pixel (y, x) of `want` and `scale`. */
static void solve_element(const problem *p, int n, int oc, int y, int x) {
    int block = oc / LANES, lane = oc % LANES;
    double scale, sum = conv_element(p, n, oc, y, x, &scale);
    if (p->s.residual) sum += tensor_memory_pixel(&p->residual, n, block, y, x)[lane];
    float *want = &tensor_memory_pixel(&p->want, n, block, y, x)[lane];
    *want = (float)sum;
    kernels_reference.unary(want, want, 1, p->s.act);
    tensor_memory_pixel(&p->scale, n, block, y, x)[lane] = (float)scale;
}

static void solve(problem *p) {
    p->want = tensor_memory_like(&p->out);
    p->scale = tensor_memory_like(&p->out);
    for (int n = 0; n < p->s.n; n++)
        for (int oc = 0; oc < p->s.oc; oc++)
            for (int y = 0; y < p->s.oh; y++)
                for (int x = 0; x < p->s.ow; x++)
                    solve_element(p, n, oc, y, x);
}

static problem problem_create(const shape *s, rng *r) {
    problem p = {.s = *s};
    p.value = operands_create(s, r, rng_chance(r, 70));
    p.residual = tensor_memory_create(s->n, s->oc, s->oh, s->ow, LANES, random_halo(r), true);
    tensor_memory_randomise(&p.residual, r);
    p.out = tensor_memory_create(s->n, s->oc, s->oh, s->ow, LANES, random_halo(r), true);
    p.tiled = tensor_memory_like(&p.out);
    solve(&p);
    return p;
}

/* Every instruction set that runs here, and the reference, which must agree as well. */
static size_t solvers(const kernel_table *out[5]) {
    size_t count = tables(out);
    out[count++] = &kernels_reference;
    return count;
}

static void problem_free(problem *p) {
    operands_free(&p->value);
    tensor_memory_free(&p->residual);
    tensor_memory_free(&p->out);
    tensor_memory_free(&p->tiled);
    tensor_memory_free(&p->want);
    tensor_memory_free(&p->scale);
}

/* Rounding of a chain of `k` additions (random walk, with room to spare), in units of sum |a b|. */
static double chain_error(size_t k) {
    return (4 + 2 * sqrt((double)k)) * 0x1p-24;
}

/* Convolves into `out`; `split` NULL: in one call, else in calls of random tiles. */
typedef void solver(const kernel_table *k, const problem *p, const tensor_memory *out, rng *split);

/* Whole against plain loops, in tiles against whole. `error` as chain_error's. */
static void solver_case(const shape *s, solver *run, double error, rng *r) {
    const kernel_table *all[5];
    size_t count = solvers(all);
    problem p = problem_create(s, r);
    for (size_t i = 0; i < count; i++) {
        const char *text = shape_text(s, all[i]->isa);
        tensor_memory_mark(&p.out);
        tensor_memory_mark(&p.tiled);
        run(all[i], &p, &p.out, NULL);
        run(all[i], &p, &p.tiled, r);
        tensor_memory_check_halo(&p.out, text);
        tensor_memory_check_close(&p.out, &p.want, &p.scale, error, 1e-6, text);
        tensor_memory_check_same(&p.out, &p.tiled, text);
    }
    problem_free(&p);
}

/* The result may take the residual's place. */
static void in_place_case(shape s, solver *run, rng *r) {
    const kernel_table *all[4];
    size_t count = tables(all);
    s.residual = true;
    problem p = problem_create(&s, r);
    tensor_memory_free(&p.residual);
    p.residual = tensor_memory_like(&p.out);
    tensor_memory_randomise(&p.residual, r);
    for (size_t i = 0; i < count; i++) {
        problem in_place = p;
        in_place.residual = p.tiled;
        tensor_memory_copy(&p.tiled, &p.residual);
        run(all[i], &p, &p.out, NULL);
        run(all[i], &in_place, &p.tiled, r);
        tensor_memory_check_same(&p.out, &p.tiled, shape_text(&s, all[i]->isa));
    }
    problem_free(&p);
}

/* ---- dense and grouped ---- */

static conv_args conv_of(const problem *p, const tensor_memory *out) {
    const shape *s = &p->s;
    const operands *o = &p->value;
    conv_args a = {
        .in = o->in.view,
        .out = out->view,
        .bias = o->bias.data,
        .kernel_h = s->kh,
        .kernel_w = s->kw,
        .stride_h = s->sh,
        .stride_w = s->sw,
        .dilation_h = s->dh,
        .dilation_w = s->dw,
        .pad_top = s->pad_top,
        .pad_left = s->pad_left,
        .groups = s->groups,
        .act = s->act,
    };
    if (s->residual) {
        a.residual = p->residual.view.data;
        a.residual_row_pitch = p->residual.view.row_pitch;
        a.residual_block_pitch = p->residual.view.block_pitch;
        a.residual_image_pitch = p->residual.view.image_pitch;
    }
    return a;
}

/* Packs the weights and calls `run`. */
typedef void conv_run(const kernel_table *k, const conv_args *a, rng *r);

static void conv_packed(const kernel_table *k, conv_args a, const operands *o, const shape *s,
                        conv_run *run, rng *r) {
    int ic = s->ic / s->groups, group_obs = a.out.blocks / s->groups;
    a.ob_group = k->conv_tiling(s->in_lanes, group_obs, s->ow).ob_group;
    cr_assert(a.ob_group >= 1 && a.ob_group <= group_obs, "%s: ob_group %d", k->isa, a.ob_group);
    guarded w = guarded_create(
        conv_packed_floats(s->oc, ic, s->kh, s->kw, s->groups, s->in_lanes, a.ob_group), true);
    conv_pack(o->weights, s->oc, ic, s->kh, s->kw, s->groups, s->in_lanes, a.ob_group, w.data);
    a.weights = w.data;
    run(k, &a, r);
    guarded_free(&w);
}

static void conv_whole(const kernel_table *k, const conv_args *a, rng *r) {
    (void)r;
    for (int n = 0; n < a->in.n; n++)
        k->conv(a, &(conv_tile){n, 0, a->out.blocks, 0, a->out.h});
}

/* The end of a random run of whole panels that starts at block ob0. */
static int conv_random_blocks(const conv_args *a, int ob0, rng *r) {
    int group_obs = a->out.blocks / a->groups, ob1 = ob0;
    do
        ob1 = MIN(ob1 + a->ob_group, (ob1 / group_obs + 1) * group_obs);
    while (ob1 < a->out.blocks && rng_chance(r, 50));
    return ob1;
}

static void conv_tiled(const kernel_table *k, const conv_args *a, rng *r) {
    for (int n = 0; n < a->in.n; n++)
        for (int ob0 = 0, ob1; ob0 < a->out.blocks; ob0 = ob1) {
            ob1 = conv_random_blocks(a, ob0, r);
            for (int y0 = 0, y1; y0 < a->out.h; y0 = y1) {
                y1 = rng_int(r, y0 + 1, a->out.h);
                k->conv(a, &(conv_tile){n, ob0, ob1, y0, y1});
            }
        }
}

/* One random tile; everything else must stay marked. */
static void conv_one(const kernel_table *k, const conv_args *a, rng *r) {
    int panel = rng_int(r, 0, (a->out.blocks - 1) / a->ob_group);
    int ob0 = a->groups == 1 ? panel * a->ob_group : 0, ob1 = conv_random_blocks(a, ob0, r);
    int n = rng_int(r, 0, a->in.n - 1), y0 = rng_int(r, 0, a->out.h - 1);
    int y1 = rng_int(r, y0 + 1, a->out.h);
    k->conv(a, &(conv_tile){n, ob0, ob1, y0, y1});
    for (int image = 0; image < a->in.n; image++)
        for (int b = 0; b < a->out.blocks; b++)
            for (int y = 0; y < a->out.h; y++) {
                bool inside = image == n && b >= ob0 && b < ob1 && y >= y0 && y < y1;
                const float *row = a->out.data + image * a->out.image_pitch +
                                   b * a->out.block_pitch + y * a->out.row_pitch;
                for (int i = 0; i < a->out.w * LANES; i++)
                    cr_assert_eq(is_marked(row[i]), !inside, "%s: row %d of block %d", k->isa, y,
                                 b);
            }
}

static void conv_direct(const kernel_table *k, const problem *p, const tensor_memory *out,
                        rng *split) {
    conv_packed(k, conv_of(p, out), &p->value, &p->s, split ? conv_tiled : conv_whole, split);
}

static void conv_case(const shape *s, rng *r) {
    size_t k = (size_t)s->ic / s->groups * s->kh * s->kw;
    solver_case(s, conv_direct, chain_error(k), r);
}

Test(conv, random_shapes) {
    rng r = rng_seed(1);
    for (int i = 0; i < 300; i++) {
        shape s = shape_random(&r);
        conv_case(&s, &r);
    }
}

/* Every width with every kind of panel: all register tiles. */
Test(conv, every_width) {
    rng r = rng_seed(2);
    for (int ow = 1; ow <= 40; ow++)
        for (int blocks = 1; blocks <= 5; blocks++) {
            shape s = {.n = 1, .groups = 1, .in_lanes = LANES, .ic = 16, .oc = 16 * blocks};
            s.h = rng_int(&r, 1, 3);
            s.w = ow;
            s.kh = s.kw = 1 + 2 * rng_int(&r, 0, 1);
            s.sh = s.sw = s.dh = s.dw = 1;
            s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = s.kh / 2;
            cr_assert(shape_finish(&s));
            conv_case(&s, &r);
        }
}

Test(conv, residual_in_place) {
    rng r = rng_seed(5);
    for (int i = 0; i < 50; i++)
        in_place_case(shape_random(&r), conv_direct, &r);
}

/* A tile writes its own blocks and rows and nothing else. */
Test(conv, tile_keeps_to_itself) {
    rng r = rng_seed(3);
    for (int i = 0; i < 50; i++) {
        const kernel_table *all[4];
        size_t count = tables(all);
        shape s = shape_random(&r);
        s.act.act = ACT_SILU; /* has a second pass */
        problem p = problem_create(&s, &r);
        for (size_t t = 0; t < count; t++) {
            tensor_memory_mark(&p.out);
            conv_packed(all[t], conv_of(&p, &p.out), &p.value, &s, conv_one, &r);
            tensor_memory_check_halo(&p.out, shape_text(&s, all[t]->isa));
        }
        problem_free(&p);
    }
}

/* ---- the first layer ---- */

/* Kernels 3 wide with stride 2 on few channels; any rows, heights and padding. */
static shape planar_random(rng *r) {
    shape s;
    do {
        s = (shape){.n = rng_int(r, 1, 2), .groups = 1, .in_lanes = 1};
        shape_random_window(r, &s);
        s.kw = 3;
        s.dh = s.dw = 1;
        s.sw = 2;
        s.pad_left = rng_int(r, 0, 3);
        s.h = rng_int(r, 1, 30);
        s.w = rng_int(r, 1, 90);
        s.ic = rng_int(r, 1, 4);
        s.oc = rng_int(r, 1, 80);
        s.residual = rng_chance(r, 30);
        s.act = random_act(r);
    } while (!shape_finish(&s));
    return s;
}

/* The input without its halo: zeros beyond it are the kernel's business. */
static guarded planar_input(const problem *p) {
    const blocked *v = &p->value.in.view;
    guarded in = guarded_create((size_t)v->n * v->c * v->h * v->w, true);
    float *to = in.data;
    for (int n = 0; n < v->n; n++)
        for (int c = 0; c < v->c; c++)
            for (int y = 0; y < v->h; y++, to += v->w)
                memcpy(to, tensor_memory_pixel(&p->value.in, n, c, y, 0), v->w * sizeof *to);
    return in;
}

static void planar_run(const kernel_table *k, const problem *p, const tensor_memory *out,
                       rng *split) {
    const shape *s = &p->s;
    conv_args a = conv_of(p, out);
    guarded in = planar_input(p);
    a.in = (blocked){.data = in.data, .n = s->n, .c = s->ic, .h = s->h, .w = s->w, .lanes = 1};
    a.in.blocks = s->ic;
    a.in.row_pitch = (size_t)s->w;
    a.in.block_pitch = (size_t)s->h * s->w;
    a.in.image_pitch = s->ic * a.in.block_pitch;
    a.ob_group = k->conv_tiling(1, a.out.blocks, s->ow).ob_group;
    guarded w = guarded_create(conv_packed_floats(s->oc, s->ic, s->kh, 3, 1, 1, a.ob_group), true);
    conv_pack(p->value.weights, s->oc, s->ic, s->kh, 3, 1, 1, a.ob_group, w.data);
    a.weights = w.data;
    guarded scratch = guarded_create(planar_scratch_floats(&a), true);
    for (int n = 0; n < s->n; n++)
        for (int ob0 = 0, ob1; ob0 < a.out.blocks; ob0 = ob1) {
            ob1 = split ? conv_random_blocks(&a, ob0, split) : a.out.blocks;
            for (int y0 = 0, y1; y0 < s->oh; y0 = y1) {
                y1 = split ? rng_int(split, y0 + 1, s->oh) : s->oh;
                k->conv_planar(&a, &(conv_tile){n, ob0, ob1, y0, y1}, scratch.data);
            }
        }
    guarded_free(&scratch);
    guarded_free(&w);
    guarded_free(&in);
}

Test(planar, random_shapes) {
    rng r = rng_seed(9);
    for (int i = 0; i < 150; i++) {
        shape s = planar_random(&r);
        solver_case(&s, planar_run, chain_error((size_t)s.ic * s.kh * 3), &r);
    }
}

/* Bands of several heights. */
Test(planar, large_pictures) {
    rng r = rng_seed(10);
    for (int i = 0; i < 4; i++) {
        shape s = {.n = 1, .groups = 1, .in_lanes = 1, .ic = 3, .oc = 16, .kh = 3, .kw = 3};
        s.h = rng_int(&r, 40, 90);
        s.w = i == 3 ? 3000 : rng_int(&r, 200, 500);
        s.sh = 1 + i % 2;
        s.sw = 2;
        s.dh = s.dw = 1;
        s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = 1;
        cr_assert(shape_finish(&s));
        solver_case(&s, planar_run, chain_error(27), &r);
    }
}

Test(planar, residual_in_place) {
    rng r = rng_seed(11);
    for (int i = 0; i < 30; i++)
        in_place_case(planar_random(&r), planar_run, &r);
}

/* ---- Winograd ---- */

/* 3x3 and stride 1, with maps that tiles do not fill. */
static shape winograd_random(rng *r) {
    shape s;
    do {
        s = (shape){.n = rng_int(r, 1, 2), .groups = 1, .in_lanes = LANES};
        s.kh = s.kw = 3;
        s.sh = s.sw = s.dh = s.dw = 1;
        s.pad_top = rng_int(r, 0, 2);
        s.pad_left = rng_int(r, 0, 2);
        s.pad_bottom = rng_chance(r, 70) ? s.pad_top : rng_int(r, 0, 2);
        s.pad_right = rng_chance(r, 70) ? s.pad_left : rng_int(r, 0, 2);
        s.h = rng_int(r, 1, 14);
        s.w = rng_int(r, 1, 22);
        s.ic = rng_chance(r, 50) ? 16 * rng_int(r, 1, 3) : rng_int(r, 1, 50);
        s.oc = rng_chance(r, 50) ? 16 * rng_int(r, 1, 8) : rng_int(r, 1, 100);
        s.residual = rng_chance(r, 30);
        s.act = random_act(r);
    } while (!shape_finish(&s));
    return s;
}

/* Tiles of m x m. */
static void winograd_run(const kernel_table *k, const problem *p, int m, const tensor_memory *out,
                         rng *split) {
    conv_args a = conv_of(p, out);
    const shape *s = &p->s;
    int tiles = DIV_UP(s->oh, m) * DIV_UP(s->ow, m);
    a.ob_group = k->conv_tiling(LANES, a.out.blocks, tiles).ob_group;
    guarded w = guarded_create(winograd_packed_floats(s->oc, s->ic, m), true);
    winograd_pack(p->value.weights, s->oc, s->ic, m, a.ob_group, w.data);
    a.weights = w.data;
    for (int n = 0; n < s->n; n++)
        for (int ob0 = 0, ob1; ob0 < a.out.blocks; ob0 = ob1) {
            ob1 = split ? conv_random_blocks(&a, ob0, split) : a.out.blocks;
            for (int t0 = 0, t1; t0 < tiles; t0 = t1) {
                t1 = split ? rng_int(split, t0 + 1, tiles) : tiles;
                winograd_tile t = {n, ob0, ob1, t0, t1};
                guarded scratch = guarded_create(winograd_scratch_floats(&a, m, &t), true);
                k->winograd(&a, m, &t, scratch.data);
                guarded_free(&scratch);
            }
        }
    guarded_free(&w);
}

/* Tiles of 2x2 round as little as a chain of additions; those of 4x4 weight inputs by up to 5 and
 * products by up to 8. */
static double winograd_error(size_t k, int m) {
    return (m == 2 ? 1 : 3) * chain_error(k);
}

static void winograd_2x2(const kernel_table *k, const problem *p, const tensor_memory *out,
                         rng *split) {
    winograd_run(k, p, 2, out, split);
}

static void winograd_4x4(const kernel_table *k, const problem *p, const tensor_memory *out,
                         rng *split) {
    winograd_run(k, p, 4, out, split);
}

static solver *const winograd[] = {winograd_2x2, winograd_4x4};

Test(winograd, random_shapes) {
    rng r = rng_seed(6);
    for (int i = 0; i < 60; i++) {
        shape s = winograd_random(&r);
        solver_case(&s, winograd[i % 2], winograd_error((size_t)s.ic * 9, 2 + 2 * (i % 2)), &r);
    }
}

Test(winograd, residual_in_place) {
    rng r = rng_seed(7);
    for (int i = 0; i < 30; i++)
        in_place_case(winograd_random(&r), winograd[i % 2], &r);
}

/* Calls take as many tiles as fit, all of about the same number, and none if not one fits. */
Test(winograd, tiles_of_a_call) {
    conv_args a = {.in = {.blocks = 16}, .out = {.blocks = 16, .h = 56, .w = 55}, .ob_group = 2};
    for (int m = 2; m <= 4; m += 2) {
        int all = DIV_UP(56, m) * DIV_UP(55, m);
        for (size_t limit = (size_t)1 << 12; limit < (size_t)1 << 26; limit *= 2) {
            int tiles = winograd_tiles(&a, m, limit);
            if (tiles > 0)
                cr_assert_leq(winograd_scratch_floats(&a, m, &(winograd_tile){0, 0, 16, 0, tiles}) *
                                  sizeof(float),
                              limit);
            else
                cr_assert_gt(winograd_scratch_floats(&a, m, &(winograd_tile){0, 0, 16, 0, 1}) *
                                 sizeof(float),
                             limit / 2);
            cr_assert(tiles == 0 || DIV_UP(all, tiles) * tiles - all < DIV_UP(all, tiles));
        }
    }
}

/* ---- depthwise ---- */

static depthwise_args depthwise_of(const problem *p, const tensor_memory *out) {
    const shape *s = &p->s;
    const operands *o = &p->value;
    depthwise_args a = {
        .in = o->in.view,
        .out = out->view,
        .bias = o->bias.data,
        .group = s->ic / s->groups,
        .kernel_h = s->kh,
        .kernel_w = s->kw,
        .stride_h = s->sh,
        .stride_w = s->sw,
        .dilation_h = s->dh,
        .dilation_w = s->dw,
        .pad_top = s->pad_top,
        .pad_left = s->pad_left,
        .act = s->act,
    };
    if (s->residual) {
        a.residual = p->residual.view.data;
        a.residual_row_pitch = p->residual.view.row_pitch;
        a.residual_block_pitch = p->residual.view.block_pitch;
        a.residual_image_pitch = p->residual.view.image_pitch;
    }
    return a;
}

static void depthwise_run(const kernel_table *k, const problem *p, const tensor_memory *out,
                          rng *split) {
    depthwise_args a = depthwise_of(p, out);
    guarded w =
        guarded_create(depthwise_packed_floats(a.in.c, a.group, a.kernel_h, a.kernel_w), true);
    depthwise_pack(p->value.weights, a.in.c, a.group, a.kernel_h, a.kernel_w, w.data);
    a.weights = w.data;
    for (int n = 0; n < a.in.n; n++)
        for (int b = 0; b < a.out.blocks; b++)
            for (int y0 = 0, y1; y0 < a.out.h; y0 = y1) {
                y1 = split ? rng_int(split, y0 + 1, a.out.h) : a.out.h;
                k->depthwise(&a, &(rows_tile){n, b, y0, y1});
            }
    guarded_free(&w);
}

Test(depthwise, random_shapes) {
    rng r = rng_seed(4);
    for (int i = 0; i < 300; i++) {
        shape s = shape_random(&r);
        s.in_lanes = LANES;
        int group = i % 2 ? 1 : 1 << rng_int(&r, 1, 3);
        s.ic = s.oc = DIV_UP(s.ic, group) * group;
        s.groups = s.ic / group;
        if (rng_chance(&r, 30)) { /* the unrolled widths */
            s.kw = 3 + 2 * rng_int(&r, 0, 2);
            s.dw = 1;
            s.sw = rng_int(&r, 1, 2);
            s.w += s.kw;
            cr_assert(shape_finish(&s));
        }
        solver_case(&s, depthwise_run, chain_error(s.kh * s.kw), &r);
    }
}

/* Every width with every unrolled kernel: all numbers of pixels that are computed together. */
Test(depthwise, every_width) {
    rng r = rng_seed(9);
    for (int ow = 1; ow <= 43; ow++)
        for (int group = 1; group <= 8; group *= 2) {
            shape s = {.n = 1, .in_lanes = LANES, .ic = 16, .oc = 16, .groups = 16 / group};
            s.kh = s.kw = 3 + 2 * rng_int(&r, 0, group == 1 ? 2 : 0);
            s.sh = s.sw = rng_int(&r, 1, 2);
            s.dh = s.dw = 1;
            s.h = rng_int(&r, 1, 3);
            s.w = (ow - 1) * s.sw + 1;
            s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = s.kh / 2;
            cr_assert(shape_finish(&s));
            solver_case(&s, depthwise_run, chain_error(s.kh * s.kw), &r);
        }
}

Test(depthwise, residual_in_place) {
    rng r = rng_seed(8);
    for (int i = 0; i < 30; i++) {
        shape s = shape_random(&r);
        s.in_lanes = LANES;
        s.oc = s.groups = s.ic;
        in_place_case(s, depthwise_run, &r);
    }
}
