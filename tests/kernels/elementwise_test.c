/* Element-wise kernels, softmax and layout changes against the reference. */
#include "support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Checks `got` against `want` and that cutting the range did not change a bit. */
static void check(const guarded *got, const guarded *cut, const guarded *want, double relative,
                  const char *isa, const char *what) {
    for (size_t i = 0; i < got->count; i++)
        cr_assert(close_enough(got->data[i], want->data[i],
                               relative * fabs((double)want->data[i]) + 0x1p-22),
                  "%s %s: [%zu] of %zu: got %.9g, want %.9g", isa, what, i, got->count,
                  got->data[i], want->data[i]);
    cr_assert_eq(memcmp(got->data, cut->data, got->count * sizeof(float)), 0,
                 "%s %s: bits differ when the range is cut", isa, what);
}

/* Arrays of one case: operands and results, each ending at an inaccessible page. */
typedef struct arrays {
    size_t count, at; /* `at`: where the second run is cut */
    guarded a, b, got, cut, want;
    float lanes[LANES], shift[LANES];
} arrays;

static arrays arrays_create(rng *r, size_t count, size_t at) {
    arrays s = {.count = count, .at = at};
    guarded *all[] = {&s.a, &s.b, &s.got, &s.cut, &s.want};
    bool at_end = rng_chance(r, 70);
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        *all[i] = guarded_create(count, at_end);
    rng_fill(r, s.a.data, count);
    rng_fill(r, s.b.data, count);
    rng_fill(r, s.lanes, LANES);
    rng_fill(r, s.shift, LANES);
    for (size_t i = 0; i < count; i++) {
        s.a.data[i] *= rng_chance(r, 10) ? 100 : 4;
        if (fabsf(s.b.data[i]) < 0.01f) s.b.data[i] = 1;
        if (fabsf(s.a.data[i]) < 0.01f) s.a.data[i] = 1;
    }
    for (int i = 0; i < LANES; i++)
        if (fabsf(s.lanes[i]) < 0.01f) s.lanes[i] = 1;
    return s;
}

static void arrays_free(arrays *s) {
    guarded_free(&s->a);
    guarded_free(&s->b);
    guarded_free(&s->got);
    guarded_free(&s->cut);
    guarded_free(&s->want);
}

/* Calls `call(k, at, n, out)` whole, cut, and for the reference. */
#define CHECK(k, s, what, relative, call)                                                          \
    do {                                                                                           \
        call((&kernels_reference), 0, (s)->count, (s)->want.data);                                 \
        call((k), 0, (s)->count, (s)->got.data);                                                   \
        call((k), 0, (s)->at, (s)->cut.data);                                                      \
        call((k), (s)->at, (s)->count - (s)->at, (s)->cut.data);                                   \
        check(&(s)->got, &(s)->cut, &(s)->want, relative, (k)->isa, what);                         \
    } while (0)

static size_t random_count(rng *r) {
    return (size_t)(rng_chance(r, 80) ? rng_int(r, 1, 300) : rng_int(r, 1, 10000));
}

Test(elementwise, unary) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(20);
    for (int i = 0; i < 400; i++) {
        size_t n = random_count(&r);
        arrays s = arrays_create(&r, n, (size_t)rng_int(&r, 0, (int)n));
        act_params act = random_act(&r);
#define CALL(k, from, size, out) (k)->unary(s.a.data + (from), (out) + (from), size, act)
        for (size_t t = 0; t < count; t++)
            CHECK(all[t], &s, "unary", 4e-7, CALL);
#undef CALL
        arrays_free(&s);
    }
}

Test(elementwise, binary) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(21);
    for (int i = 0; i < 400; i++) {
        size_t n = random_count(&r);
        arrays s = arrays_create(&r, n, (size_t)rng_int(&r, 0, (int)n));
        act_params act = random_act(&r);
        binary_op op = (binary_op)rng_int(&r, BINARY_ADD, BINARY_DIV);
        bool swapped = rng_chance(&r, 50);
#define CALL(k, from, size, out)                                                                   \
    (k)->binary(s.a.data + (from), s.b.data + (from), (out) + (from), size, op, act)
        for (size_t t = 0; t < count; t++)
            CHECK(all[t], &s, "binary", 1e-6, CALL);
#undef CALL
#define CALL(k, from, size, out)                                                                   \
    (k)->binary_scalar(s.a.data + (from), 0.7f, (out) + (from), size, op, swapped, act)
        for (size_t t = 0; t < count; t++)
            CHECK(all[t], &s, "binary_scalar", 1e-6, CALL);
#undef CALL
        arrays_free(&s);
    }
}

Test(elementwise, lanes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(22);
    for (int i = 0; i < 400; i++) {
        size_t n = (random_count(&r) + LANES) / LANES * LANES;
        arrays s = arrays_create(&r, n, (size_t)rng_int(&r, 0, (int)(n / LANES)) * LANES);
        act_params act = random_act(&r);
        binary_op op = (binary_op)rng_int(&r, BINARY_ADD, BINARY_DIV);
        bool swapped = rng_chance(&r, 50);
#define CALL(k, from, size, out)                                                                   \
    (k)->binary_lanes(s.a.data + (from), s.lanes, (out) + (from), size, op, swapped, act)
        for (size_t t = 0; t < count; t++)
            CHECK(all[t], &s, "binary_lanes", 1e-6, CALL);
#undef CALL
#define CALL(k, from, size, out)                                                                   \
    (k)->affine_lanes(s.a.data + (from), s.lanes, s.shift, (out) + (from), size, act)
        for (size_t t = 0; t < count; t++)
            CHECK(all[t], &s, "affine_lanes", 1e-6, CALL);
#undef CALL
        arrays_free(&s);
    }
}

Test(elementwise, in_place) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(23);
    for (size_t t = 0; t < count; t++) {
        arrays s = arrays_create(&r, 5000, 0);
        act_params act = {ACT_SILU, 0, 0};
        all[t]->binary(s.a.data, s.b.data, s.got.data, s.count, BINARY_MUL, act);
        all[t]->binary(s.a.data, s.b.data, s.a.data, s.count, BINARY_MUL, act);
        cr_assert_eq(memcmp(s.a.data, s.got.data, s.count * sizeof(float)), 0);
        all[t]->unary(s.b.data, s.got.data, s.count, act);
        all[t]->unary(s.b.data, s.b.data, s.count, act);
        cr_assert_eq(memcmp(s.b.data, s.got.data, s.count * sizeof(float)), 0);
        arrays_free(&s);
    }
}

Test(elementwise, special_values) {
    const kernel_table *all[4];
    size_t count = tables(all);
    const float in[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e38f, -1e38f, 100, -100, 1e-40f};
    enum { COUNT = ARRAY_LENGTH(in) };
    for (size_t t = 0; t < count; t++)
        for (int kind = ACT_NONE; kind <= ACT_GELU; kind++) {
            act_params act = {(activation)kind, 0.1f, 0.5f};
            float got[COUNT], want[COUNT];
            all[t]->unary(in, got, COUNT, act);
            kernels_reference.unary(in, want, COUNT, act);
            for (int i = 0; i < COUNT; i++)
                cr_assert(close_enough(got[i], want[i], 1e-6 * fabs((double)want[i]) + 1e-38),
                          "%s act %d of %g: got %g, want %g", all[t]->isa, kind, in[i], got[i],
                          want[i]);
        }
}

/* Of GELU in double precision: to 5e-7 down to -1, then less exact where the result vanishes. */
Test(elementwise, gelu_accuracy) {
    const kernel_table *all[4];
    size_t count = tables(all);
    const act_params gelu = {ACT_GELU, 0, 0};
    enum { COUNT = 1024 };
    for (size_t t = 0; t < count; t++)
        for (int part = 0; part < 24; part++) {
            float in[COUNT], got[COUNT];
            for (int i = 0; i < COUNT; i++)
                in[i] = (float)(part - 12) + (float)i / COUNT;
            all[t]->unary(in, got, COUNT, gelu);
            double relative = part >= 11  ? 5e-7
                              : part >= 9 ? 1.5e-6
                              : part >= 6 ? 5e-6
                              : part >= 3 ? 1e-4
                                          : 1;
            for (int i = 0; i < COUNT; i++) {
                double want = in[i] * 0.5 * erfc(-in[i] * M_SQRT1_2);
                cr_assert(fabs(got[i] - want) <= relative * fabs(want),
                          "%s: gelu(%.9g): %.9g, %.9g", all[t]->isa, in[i], got[i], want);
            }
        }
}

/* The exponential, seen through softmax of two numbers and log-softmax. */
Test(softmax, accuracy) {
    const kernel_table *all[4];
    size_t count = tables(all);
    for (size_t t = 0; t < count; t++)
        for (int i = 0; i < 7500; i++) {
            float x = (float)i * 0.0137f;
            float in[2] = {0, -x}, got[2];
            all[t]->softmax(in, got, 2, false);
            double want = exp(-(double)x) / (1 + exp(-(double)x));
            cr_assert(fabs(got[1] - want) <= 4 * 0x1p-24 * want + 0x1p-149, "%s: e^-%g: %.9g, %.9g",
                      all[t]->isa, x, got[1], want);
        }
}

Test(softmax, random_rows) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(24);
    for (int i = 0; i < 300; i++) {
        size_t n = random_count(&r);
        guarded in = guarded_create(n, true), got = guarded_create(n, true);
        guarded want = guarded_create(n, true);
        float scale = rng_chance(&r, 30) ? 1e5f : 10, offset = rng_chance(&r, 30) ? 1e6f : 0;
        for (size_t j = 0; j < n; j++)
            in.data[j] = rng_float(&r) * scale + offset;
        for (size_t t = 0; t < count; t++)
            for (int log = 0; log < 2; log++) {
                kernels_reference.softmax(in.data, want.data, n, log);
                all[t]->softmax(in.data, got.data, n, log);
                for (size_t j = 0; j < n; j++)
                    cr_assert(
                        close_enough(got.data[j], want.data[j],
                                     4e-6 * fabs((double)want.data[j]) + (log ? 1e-6 : 1e-38)),
                        "%s: got %g, want %g", all[t]->isa, got.data[j], want.data[j]);
            }
        guarded_free(&in);
        guarded_free(&got);
        guarded_free(&want);
    }
}

/* ---- reductions ---- */

static void check_columns(const kernel_table *k, rng *r, reduction kind) {
    size_t count = (size_t)rng_int(r, 1, 300), width = (size_t)rng_int(r, 1, 70);
    size_t pitch = width + (size_t)rng_int(r, 0, 5);
    guarded in = guarded_create((count - 1) * pitch + width, true);
    guarded got = guarded_create(width, true), want = guarded_create(width, true);
    guarded scale = guarded_create(width, true);
    rng_fill(r, in.data, in.count);
    k->reduce_columns(in.data, pitch, count, got.data, width, kind);
    kernels_reference.reduce_columns(in.data, pitch, count, want.data, width, kind);
    kernels_reference.reduce_columns(in.data, pitch, count, scale.data, width, REDUCTION_SQUARES);
    for (size_t i = 0; i < width; i++)
        cr_assert(
            close_enough(got.data[i], want.data[i],
                         1e-5 * sqrt((double)scale.data[i]) + 2e-6 * fabs((double)want.data[i])),
            "%s %d of %zu: got %g, want %g", k->isa, (int)kind, count, got.data[i], want.data[i]);
    guarded_free(&in);
    guarded_free(&got);
    guarded_free(&want);
    guarded_free(&scale);
}

static void check_row(const kernel_table *k, rng *r, reduction kind) {
    size_t count = random_count(r);
    guarded in = guarded_create(count, true);
    rng_fill(r, in.data, count);
    float got = k->reduce_row(in.data, count, kind);
    float want = kernels_reference.reduce_row(in.data, count, kind);
    float scale = kernels_reference.reduce_row(in.data, count, REDUCTION_SQUARES);
    cr_assert(close_enough(got, want, 1e-5 * sqrt((double)scale) + 2e-6 * fabs((double)want)),
              "%s %d of %zu: got %g, want %g", k->isa, (int)kind, count, got, want);
    guarded_free(&in);
}

static void check_layer_norm(const kernel_table *k, rng *r) {
    size_t count = random_count(r);
    guarded in = guarded_create(count, true), scale = guarded_create(count, true);
    guarded bias = guarded_create(count, true), got = guarded_create(count, true);
    guarded want = guarded_create(count, true);
    bool biased = rng_chance(r, 70);
    rng_fill(r, in.data, count);
    rng_fill(r, scale.data, count);
    rng_fill(r, bias.data, count);
    const float *b = biased ? bias.data : NULL;
    k->layer_norm(in.data, scale.data, b, got.data, count, 1e-3f);
    kernels_reference.layer_norm(in.data, scale.data, b, want.data, count, 1e-3f);
    for (size_t i = 0; i < count; i++)
        cr_assert(close_enough(got.data[i], want.data[i], 2e-5), "%s of %zu: got %g, want %g",
                  k->isa, count, got.data[i], want.data[i]);
    k->layer_norm(in.data, scale.data, b, in.data, count, 1e-3f);
    cr_assert_eq(memcmp(in.data, got.data, count * sizeof(float)), 0, "%s: in place", k->isa);
    guarded_free(&in);
    guarded_free(&scale);
    guarded_free(&bias);
    guarded_free(&got);
    guarded_free(&want);
}

Test(reduce, random_shapes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(26);
    for (int i = 0; i < 200; i++)
        for (size_t t = 0; t < count; t++) {
            for (reduction kind = REDUCTION_SUM; kind <= REDUCTION_MIN; kind++) {
                check_columns(all[t], &r, kind);
                check_row(all[t], &r, kind);
            }
            check_layer_norm(all[t], &r);
        }
}

Test(reduce, one_that_is_no_number) {
    const kernel_table *all[4];
    size_t count = tables(all);
    for (size_t t = 0; t < count; t++)
        for (size_t place = 0; place < 70; place += 3) {
            float in[70];
            for (size_t i = 0; i < ARRAY_LENGTH(in); i++)
                in[i] = (float)i;
            in[place] = NAN;
            for (reduction kind = REDUCTION_SUM; kind <= REDUCTION_MIN; kind++)
                cr_assert(isnan(all[t]->reduce_row(in, ARRAY_LENGTH(in), kind)), "%s %d at %zu",
                          all[t]->isa, (int)kind, place);
        }
}

/* ---- layout ---- */

static void layout_case(const kernel_table *k, const blocked *v, bool nhwc, rng *r) {
    size_t dense = (size_t)v->n * v->c * v->h * v->w;
    halo pad = {v->top, v->left, v->bottom, v->right};
    guarded in = guarded_create(dense, true), back = guarded_create(dense, true);
    tensor_memory got = tensor_memory_create(v->n, v->c, v->h, v->w, v->lanes, pad, true);
    tensor_memory want = tensor_memory_like(&got);
    tensor_memory_mark(&got);
    tensor_memory_mark(&want);
    rng_fill(r, in.data, dense);
    for (int n = 0; n < v->n; n++)
        for (int b = 0; b < v->blocks; b++)
            for (int y0 = 0, y1; y0 < v->h; y0 = y1) {
                rows_tile t = {n, b, y0, y1 = rng_int(r, y0 + 1, v->h)};
                k->block(in.data, nhwc, &got.view, &t);
                kernels_reference.block(in.data, nhwc, &want.view, &t);
                k->unblock(&got.view, back.data, nhwc, &t);
            }
    tensor_memory_check_same(&got, &want, k->isa);
    cr_assert_eq(memcmp(in.data, back.data, dense * sizeof(float)), 0, "%s: round trip", k->isa);
    guarded_free(&in);
    guarded_free(&back);
    tensor_memory_free(&got);
    tensor_memory_free(&want);
}

Test(layout, random_shapes) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(25);
    for (int i = 0; i < 300; i++) {
        blocked v = {.n = rng_int(&r, 1, 2), .c = rng_int(&r, 1, 50), .lanes = LANES};
        if (rng_chance(&r, 30)) v.c = v.lanes = rng_int(&r, 1, 4);
        v.blocks = (v.c + v.lanes - 1) / v.lanes;
        v.h = rng_int(&r, 1, 8);
        v.w = rng_int(&r, 1, 40);
        v.top = v.left = rng_int(&r, 0, 2);
        v.bottom = rng_int(&r, 0, 2);
        v.right = rng_int(&r, 0, 2);
        for (size_t t = 0; t < count; t++) {
            layout_case(all[t], &v, false, &r);
            layout_case(all[t], &v, true, &r);
        }
    }
}

/* ---- resizing ---- */

static void resize_case(const kernel_table *k, resize_args *a, rng *r) {
    halo pad = {rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1)};
    tensor_memory got =
        tensor_memory_create(a->in.n, a->in.c, a->out.h, a->out.w, LANES, pad, true);
    tensor_memory want = tensor_memory_like(&got);
    tensor_memory_mark(&got);
    tensor_memory_mark(&want);
    for (int n = 0; n < got.view.n; n++)
        for (int b = 0; b < got.view.blocks; b++)
            for (int y0 = 0, y1; y0 < got.view.h; y0 = y1) {
                rows_tile t = {n, b, y0, y1 = rng_int(r, y0 + 1, got.view.h)};
                a->out = got.view;
                k->resize(a, &t);
                a->out = want.view;
                kernels_reference.resize(a, &t);
            }
    tensor_memory_check_halo(&got, k->isa);
    tensor_memory_check_close(&got, &want, NULL, a->linear ? 1e-6 : 0, a->linear ? 1e-6 : 0,
                              k->isa);
    tensor_memory_free(&got);
    tensor_memory_free(&want);
}

static void random_taps(rng *r, resize_tap *taps, int count, int extent) {
    for (int i = 0; i < count; i++)
        taps[i] = (resize_tap){rng_int(r, 0, extent - 1), rng_int(r, 0, extent - 1),
                               (rng_float(r) + 1) / 2};
}

Test(resize, random_taps) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(27);
    for (int i = 0; i < 200; i++) {
        resize_tap rows[12], columns[20];
        halo pad = {rng_int(&r, 0, 1), rng_int(&r, 0, 1), rng_int(&r, 0, 1), 0};
        tensor_memory in =
            tensor_memory_create(rng_int(&r, 1, 2), rng_int(&r, 1, 40), rng_int(&r, 1, 9),
                                 rng_int(&r, 1, 9), LANES, pad, true);
        tensor_memory_randomise(&in, &r);
        resize_args a = {.in = in.view,
                         .out = {.h = rng_int(&r, 1, 12), .w = rng_int(&r, 1, 20)},
                         .linear = rng_chance(&r, 60),
                         .rows = rows,
                         .columns = columns};
        random_taps(&r, rows, a.out.h, in.view.h);
        random_taps(&r, columns, a.out.w, in.view.w);
        for (size_t t = 0; t < count; t++)
            resize_case(all[t], &a, &r);
        tensor_memory_free(&in);
    }
}

/* ---- channels in a new order ---- */

static void channels_case(const kernel_table *k, channels_args *a, rng *r) {
    halo pad = {rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1), rng_int(r, 0, 1)};
    tensor_memory got =
        tensor_memory_create(a->in[0].n, a->out.c, a->in[0].h, a->in[0].w, LANES, pad, true);
    tensor_memory want = tensor_memory_like(&got);
    tensor_memory_mark(&got);
    tensor_memory_mark(&want);
    for (int n = 0; n < got.view.n; n++)
        for (int b = 0; b < got.view.blocks; b++)
            for (int y0 = 0, y1; y0 < got.view.h; y0 = y1) {
                rows_tile t = {n, b, y0, y1 = rng_int(r, y0 + 1, got.view.h)};
                a->out = got.view;
                k->channels(a, &t);
                a->out = want.view;
                kernels_reference.channels(a, &t);
            }
    tensor_memory_check_same(&got, &want, k->isa);
    tensor_memory_free(&got);
    tensor_memory_free(&want);
}

Test(channels, from_anywhere) {
    const kernel_table *all[4];
    size_t count = tables(all);
    rng r = rng_seed(26);
    for (int i = 0; i < 200; i++) {
        tensor_memory in[CHANNELS_MAX_INPUTS];
        channel_source sources[100];
        channels_args a = {.out = {.c = rng_int(&r, 1, 100)}, .sources = sources};
        int inputs = rng_int(&r, 1, CHANNELS_MAX_INPUTS), n = rng_int(&r, 1, 2);
        int h = rng_int(&r, 1, 4), w = rng_int(&r, 1, 9);
        for (int j = 0; j < inputs; j++) {
            halo pad = {rng_int(&r, 0, 1), rng_int(&r, 0, 1), rng_int(&r, 0, 1), 0};
            in[j] = tensor_memory_create(n, rng_int(&r, 1, 40), h, w, LANES, pad, true);
            tensor_memory_randomise(&in[j], &r);
            a.in[j] = in[j].view;
        }
        for (int c = 0; c < a.out.c; c++) {
            sources[c].input = rng_int(&r, 0, inputs - 1);
            sources[c].channel = rng_int(&r, 0, a.in[sources[c].input].c - 1);
        }
        for (size_t t = 0; t < count; t++)
            channels_case(all[t], &a, &r);
        for (int j = 0; j < inputs; j++)
            tensor_memory_free(&in[j]);
    }
}
