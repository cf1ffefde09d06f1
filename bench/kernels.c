/*
 * Speed of every kernel on layers of well-known networks, on one core, for each instruction set.
 *
 *   bench_kernels [ISA] [part of a case's name]
 *
 * ISA "reference" are the plain loops that tests compare with.
 *
 * Each case repeats for about a third of a second; the fastest run counts, in time of this thread,
 * so that a busy machine disturbs little. Arithmetic is given in GFLOP/s and as a part of the peak,
 * which a loop of independent multiply-adds measures just before and after the case (clocks
 * change); traffic of the kernels that only move data in GB/s.
 */
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Nanoseconds that this thread has run. */
static uint64_t thread_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- peak ---- */

#define PEAK_CHAINS 12
#define PEAK_STEPS  1000000

/* Steps of independent chains of vectors of `width` floats; chains wait for no load. */
#define PEAK(name, width, target_attribute)                                                        \
    typedef float name##_vector __attribute__((vector_size(width * 4)));                           \
    target_attribute static float name(float start) {                                              \
        name##_vector acc[PEAK_CHAINS], m = start - (name##_vector){0};                            \
        _Pragma("GCC unroll 12") for (int i = 0; i < PEAK_CHAINS; i++) acc[i] = m * (float)i;      \
        for (int n = 0; n < PEAK_STEPS; n++) {                                                     \
            _Pragma("GCC unroll 12") for (int i = 0; i < PEAK_CHAINS; i++) acc[i] =                \
                acc[i] * m + m;                                                                    \
        }                                                                                          \
        float sum = 0;                                                                             \
        for (int i = 0; i < PEAK_CHAINS; i++)                                                      \
            sum += acc[i][0];                                                                      \
        return sum;                                                                                \
    }

PEAK(peak_4, 4, )
#ifdef __x86_64__
PEAK(peak_8, 8, __attribute__((target("avx2,fma"))))
PEAK(peak_16, 16, __attribute__((target("avx512f"))))
#endif

static double peak_gflops(const char *isa) {
    float (*fn)(float) = peak_4;
    int width = 4;
#ifdef __x86_64__
    if (strcmp(isa, "avx2") == 0) fn = peak_8, width = 8;
    if (strcmp(isa, "avx512") == 0) fn = peak_16, width = 16;
#else
    (void)isa;
#endif
    static volatile float start = 0.5f, sink;
    double best = 0;
    for (int i = 0; i < 10; i++) {
        uint64_t before = thread_ns();
        sink = fn(start);
        double ns = (double)(thread_ns() - before);
        best = fmax(best, 2.0 * PEAK_CHAINS * PEAK_STEPS * width / ns);
    }
    (void)sink;
    return best;
}

/* ---- cases ---- */

#define ROI_BINS 7 /* on an axis */

typedef enum case_kind {
    CASE_CONV,
    CASE_WINOGRAD_2,
    CASE_WINOGRAD_4,
    CASE_DEPTHWISE,
    CASE_GROUPS_OF_4,
    CASE_GROUPS_OF_8,
    CASE_POOL,
    CASE_GLOBAL,
    CASE_UNPOOL,
    CASE_ROI_MAX,
    CASE_ROI_ALIGN,
    CASE_WAVELET,
    CASE_LRN,
    CASE_GEMM,
    CASE_UNARY,
    CASE_ADD,
    CASE_SOFTMAX,
    CASE_BLOCK,
    CASE_UNBLOCK,
} case_kind;

/* Planes are `size` x `size`; gemm is `size` rows of `in` by a matrix (in, out). */
typedef struct bench_case {
    const char *name;
    case_kind kind;
    int in, out, size, kernel, stride, pad;
    int detail; /* convolution: 1 with a residual; pooling: its kind */
} bench_case;

/* clang-format off */
static const bench_case cases[] = {
    {"resnet50 conv1 7x7/2 3-64",      CASE_CONV,    3,   64, 224, 7, 2, 3, 0},
    {"resnet50 1x1 56 64-64",          CASE_CONV,   64,   64,  56, 1, 1, 0, 0},
    {"resnet50 3x3 56 64-64",          CASE_CONV,   64,   64,  56, 3, 1, 1, 0},
    {"resnet50 1x1 56 64-256 +res",    CASE_CONV,   64,  256,  56, 1, 1, 0, 1},
    {"resnet50 1x1 56 256-64",         CASE_CONV,  256,   64,  56, 1, 1, 0, 0},
    {"resnet50 3x3/2 56 128-128",      CASE_CONV,  128,  128,  56, 3, 2, 1, 0},
    {"resnet50 1x1/2 56 256-512",      CASE_CONV,  256,  512,  56, 1, 2, 0, 0},
    {"resnet50 3x3 28 128-128",        CASE_CONV,  128,  128,  28, 3, 1, 1, 0},
    {"resnet50 1x1 28 512-128",        CASE_CONV,  512,  128,  28, 1, 1, 0, 0},
    {"resnet50 3x3 14 256-256",        CASE_CONV,  256,  256,  14, 3, 1, 1, 0},
    {"resnet50 1x1 14 1024-256",       CASE_CONV, 1024,  256,  14, 1, 1, 0, 0},
    {"resnet50 1x1 14 256-1024 +res",  CASE_CONV,  256, 1024,  14, 1, 1, 0, 1},
    {"resnet50 3x3 7 512-512",         CASE_CONV,  512,  512,   7, 3, 1, 1, 0},
    {"resnet50 1x1 7 2048-512",        CASE_CONV, 2048,  512,   7, 1, 1, 0, 0},
    {"vgg16 3x3 224 3-64",             CASE_CONV,    3,   64, 224, 3, 1, 1, 0},
    {"vgg16 3x3 224 64-64",            CASE_CONV,   64,   64, 224, 3, 1, 1, 0},
    {"vgg16 3x3 56 256-256",           CASE_CONV,  256,  256,  56, 3, 1, 1, 0},
    {"vgg16 3x3 28 512-512",           CASE_CONV,  512,  512,  28, 3, 1, 1, 0},
    {"vgg16 3x3 14 512-512",           CASE_CONV,  512,  512,  14, 3, 1, 1, 0},
    {"squeezenet 1x1 55 128-16",       CASE_CONV,  128,   16,  55, 1, 1, 0, 0},
    {"squeezenet 3x3 55 16-64",        CASE_CONV,   16,   64,  55, 3, 1, 1, 0},
    {"squeezenet 1x1 27 256-48",       CASE_CONV,  256,   48,  27, 1, 1, 0, 0},
    {"squeezenet 3x3 13 64-256",       CASE_CONV,   64,  256,  13, 3, 1, 1, 0},
    {"squeezenet 1x1 13 512-1000",     CASE_CONV,  512, 1000,  13, 1, 1, 0, 0},
    {"mobilenet 1x1 112 32-16",        CASE_CONV,   32,   16, 112, 1, 1, 0, 0},
    {"mobilenet 1x1 14 576-96 +res",   CASE_CONV,  576,   96,  14, 1, 1, 0, 1},
    {"cifar 3x3 32 16-16",             CASE_CONV,   16,   16,  32, 3, 1, 1, 0},
    {"cifar 3x3 8 64-64",              CASE_CONV,   64,   64,   8, 3, 1, 1, 0},
    {"cifar 3x3 4 512-512",            CASE_CONV,  512,  512,   4, 3, 1, 1, 0},
    {"1x1 1 960-240",                  CASE_CONV,  960,  240,   1, 1, 1, 0, 0},
    {"winograd 2 vgg16 3x3 224 64-64", CASE_WINOGRAD_2, 64, 64, 224, 3, 1, 1, 0},
    {"winograd 4 vgg16 3x3 224 64-64", CASE_WINOGRAD_4, 64, 64, 224, 3, 1, 1, 0},
    {"winograd 2 vgg16 3x3 56 256-256", CASE_WINOGRAD_2, 256, 256, 56, 3, 1, 1, 0},
    {"winograd 4 vgg16 3x3 56 256-256", CASE_WINOGRAD_4, 256, 256, 56, 3, 1, 1, 0},
    {"winograd 2 vgg16 3x3 28 512-512", CASE_WINOGRAD_2, 512, 512, 28, 3, 1, 1, 0},
    {"winograd 4 vgg16 3x3 28 512-512", CASE_WINOGRAD_4, 512, 512, 28, 3, 1, 1, 0},
    {"winograd 2 vgg16 3x3 14 512-512", CASE_WINOGRAD_2, 512, 512, 14, 3, 1, 1, 0},
    {"winograd 4 vgg16 3x3 14 512-512", CASE_WINOGRAD_4, 512, 512, 14, 3, 1, 1, 0},
    {"winograd 2 resnet50 3x3 56 64-64", CASE_WINOGRAD_2, 64, 64, 56, 3, 1, 1, 0},
    {"winograd 4 resnet50 3x3 56 64-64", CASE_WINOGRAD_4, 64, 64, 56, 3, 1, 1, 0},
    {"winograd 2 resnet50 3x3 28 128-128", CASE_WINOGRAD_2, 128, 128, 28, 3, 1, 1, 0},
    {"winograd 4 resnet50 3x3 28 128-128", CASE_WINOGRAD_4, 128, 128, 28, 3, 1, 1, 0},
    {"winograd 2 resnet50 3x3 14 256-256", CASE_WINOGRAD_2, 256, 256, 14, 3, 1, 1, 0},
    {"winograd 4 resnet50 3x3 14 256-256", CASE_WINOGRAD_4, 256, 256, 14, 3, 1, 1, 0},
    {"winograd 2 resnet50 3x3 7 512-512", CASE_WINOGRAD_2, 512, 512, 7, 3, 1, 1, 0},
    {"winograd 4 resnet50 3x3 7 512-512", CASE_WINOGRAD_4, 512, 512, 7, 3, 1, 1, 0},
    {"winograd 2 squeezenet 3x3 55 16-64", CASE_WINOGRAD_2, 16, 64, 55, 3, 1, 1, 0},
    {"winograd 4 squeezenet 3x3 55 16-64", CASE_WINOGRAD_4, 16, 64, 55, 3, 1, 1, 0},
    {"winograd 2 squeezenet 3x3 13 64-256", CASE_WINOGRAD_2, 64, 256, 13, 3, 1, 1, 0},
    {"winograd 4 squeezenet 3x3 13 64-256", CASE_WINOGRAD_4, 64, 256, 13, 3, 1, 1, 0},
    {"depthwise 3x3 112 32",      CASE_DEPTHWISE,   32,   32, 112, 3, 1, 1, 0},
    {"depthwise 3x3/2 112 96",    CASE_DEPTHWISE,   96,   96, 112, 3, 2, 1, 0},
    {"depthwise 3x3 14 576",      CASE_DEPTHWISE,  576,  576,  14, 3, 1, 1, 0},
    {"depthwise 5x5 14 672",      CASE_DEPTHWISE,  672,  672,  14, 5, 1, 2, 0},
    {"depthwise 7x7 56 96",       CASE_DEPTHWISE,   96,   96,  56, 7, 1, 3, 0},
    {"resnext groups of 4 3x3 56 128",  CASE_GROUPS_OF_4, 128, 128, 56, 3, 1, 1, 0},
    {"resnext groups of 8 3x3 28 256",  CASE_GROUPS_OF_8, 256, 256, 28, 3, 1, 1, 0},
    {"regnet groups of 8 3x3/2 28 208", CASE_GROUPS_OF_8, 208, 208, 28, 3, 2, 1, 0},
    {"maxpool 3x3/2 112 64",           CASE_POOL,   64,   64, 112, 3, 2, 1, POOL_MAX},
    {"maxpool 2x2/2 224 64",           CASE_POOL,   64,   64, 224, 2, 2, 0, POOL_MAX},
    {"avgpool 3x3 35 192",             CASE_POOL,  192,  192,  35, 3, 1, 1, POOL_AVERAGE},
    {"sumpool 2x2/2 56 64",            CASE_POOL,   64,   64,  56, 2, 2, 0, POOL_SUM},
    {"lppool 2x2/2 56 64",             CASE_POOL,   64,   64,  56, 2, 2, 0, POOL_LP},
    {"mixedpool 2x2/2 56 64",          CASE_POOL,   64,   64,  56, 2, 2, 0, POOL_MIXED},
    {"stochasticpool 3x3/2 56 64",     CASE_POOL,   64,   64,  56, 3, 2, 1, POOL_STOCHASTIC},
    {"gammapool 2x2/2 56 64",          CASE_POOL,   64,   64,  56, 2, 2, 0, POOL_GAMMA},
    {"weibullpool 2x2/2 56 64",        CASE_POOL,   64,   64,  56, 2, 2, 0, POOL_WEIBULL},
    {"global average 7 2048",        CASE_GLOBAL, 2048, 2048,   7, 0, 1, 0, POOL_AVERAGE},
    {"global entropy 14 256",        CASE_GLOBAL,  256,  256,  14, 0, 1, 0, POOL_ENTROPY},
    {"maxunpool 2x2/2 56 64",        CASE_UNPOOL,   64,   64,  56, 0, 1, 0, 0},
    {"maxroipool 7x7 56 64",       CASE_ROI_MAX,    64,   64,  56, 0, 1, 0, 0},
    {"roialign 7x7 56 64",         CASE_ROI_ALIGN,  64,   64,  56, 0, 1, 0, 0},
    {"wavelet haar 56 64",           CASE_WAVELET,  64,   64,  56, 2, 2, 0, 0},
    {"lrn 55 96",                       CASE_LRN,   96,   96,  55, 5, 1, 0, 0},
    {"gemm 1 x 2048 x 1000",           CASE_GEMM, 2048, 1000,   1, 0, 0, 0, 0},
    {"gemm 1 x 25088 x 4096",          CASE_GEMM, 25088, 4096,  1, 0, 0, 0, 0},
    {"gemm 1 x 4096 x 4096",           CASE_GEMM, 4096, 4096,   1, 0, 0, 0, 0},
    {"gemm 4 x 4096 x 4096",           CASE_GEMM, 4096, 4096,   4, 0, 0, 0, 0},
    {"gemm 8 x 4096 x 4096",           CASE_GEMM, 4096, 4096,   8, 0, 0, 0, 0},
    {"gemm 196 x 768 x 768",           CASE_GEMM,  768,  768, 196, 0, 0, 0, 0},
    {"silu 28 256",                   CASE_UNARY,  256,  256,  28, 0, 0, 0, 0},
    {"add 28 256",                      CASE_ADD,  256,  256,  28, 0, 0, 0, 0},
    {"softmax 1000",                CASE_SOFTMAX, 1000, 1000,   1, 0, 0, 0, 0},
    {"block nchw 56 64",              CASE_BLOCK,   64,   64,  56, 0, 0, 0, 0},
    {"unblock nchw 56 64",          CASE_UNBLOCK,   64,   64,  56, 0, 0, 0, 0},
};
/* clang-format on */

/* A case with its memory; `flops` or `bytes` per run, the other 0. */
typedef struct bench {
    const bench_case *c;
    const kernel_table *k;
    blocked in, out;
    float *in_memory, *out_memory, *residual, *weights, *bias;
    int64_t *indices;
    conv_args conv;
    float *scratch; /* of the winograd kernel */
    double flops, bytes;
} bench;

static float *filled(size_t count) {
    float *p = cnn_alloc_aligned(count * sizeof *p);
    if (!p) exit(1);
    for (size_t i = 0; i < count; i++)
        p[i] = (float)((int)(i * 2654435761u >> 20 & 255) - 128) / 256;
    return p;
}

/* One image with `halo` zeros (here: any numbers) on each side. */
static blocked plane(int c, int size, int lanes, int halo, float **memory) {
    blocked b = {.n = 1, .c = c, .h = size, .w = size, .lanes = lanes};
    b.blocks = (c + lanes - 1) / lanes;
    b.top = b.left = b.bottom = b.right = halo;
    b.row_pitch = (size_t)(size + 2 * halo) * lanes;
    b.block_pitch = b.row_pitch * (size_t)(size + 2 * halo);
    b.image_pitch = b.block_pitch * (size_t)b.blocks;
    *memory = filled(b.image_pitch);
    b.data = *memory + (size_t)halo * b.row_pitch + (size_t)halo * lanes;
    return b;
}

static void prepare_conv(bench *b) {
    const bench_case *c = b->c;
    int lanes = b->in.lanes;
    int ob_group = b->k->conv_tiling(lanes, b->out.blocks, b->out.w).ob_group;
    size_t count = (size_t)c->in * c->out * c->kernel * c->kernel;
    float *plain = filled(count);
    b->weights =
        filled(conv_packed_floats(c->out, c->in, c->kernel, c->kernel, 1, lanes, ob_group));
    conv_pack(plain, c->out, c->in, c->kernel, c->kernel, 1, lanes, ob_group, b->weights);
    free(plain);
    b->conv = (conv_args){
        .in = b->in,
        .out = b->out,
        .weights = b->weights,
        .bias = b->bias,
        .kernel_h = c->kernel,
        .kernel_w = c->kernel,
        .stride_h = c->stride,
        .stride_w = c->stride,
        .dilation_h = 1,
        .dilation_w = 1,
        .pad_top = c->pad,
        .pad_left = c->pad,
        .groups = 1,
        .ob_group = ob_group,
        .act = {ACT_RELU, 0, 0},
    };
    if (c->detail) {
        b->residual = filled(b->out.image_pitch);
        b->conv.residual = b->residual;
        b->conv.residual_row_pitch = b->out.row_pitch;
        b->conv.residual_block_pitch = b->out.block_pitch;
        b->conv.residual_image_pitch = b->out.image_pitch;
    }
    b->flops = 2.0 * (double)count * b->out.h * b->out.w;
}

/* Channels of a group of a depthwise case; 0: another case. */
static int group_of(const bench_case *c) {
    return c->kind == CASE_DEPTHWISE     ? 1
           : c->kind == CASE_GROUPS_OF_4 ? 4
           : c->kind == CASE_GROUPS_OF_8 ? 8
                                         : 0;
}

#define WINOGRAD_SCRATCH ((size_t)8 << 20)

/* Tile side; 0: no Winograd case. */
static int winograd_m(const bench_case *c) {
    return c->kind >= CASE_WINOGRAD_2 && c->kind <= CASE_WINOGRAD_4
               ? 2 * (c->kind - CASE_WINOGRAD_2) + 2
               : 0;
}

static void prepare_winograd(bench *b) {
    int m = winograd_m(b->c), tiles = winograd_tiles(&b->conv, m, WINOGRAD_SCRATCH);
    free(b->weights);
    b->weights = filled(winograd_packed_floats(b->c->out, b->c->in, m));
    b->conv.weights = b->weights;
    b->scratch = filled(
        winograd_scratch_floats(&b->conv, m, &(winograd_tile){0, 0, b->out.blocks, 0, tiles}));
}

static void prepare_gemm(bench *b) {
    const bench_case *c = b->c;
    size_t panel = b->k->gemm_panel(), k = (size_t)c->in, n = (size_t)c->out;
    b->in_memory = filled((size_t)c->size * k);
    b->out_memory = filled((size_t)c->size * n);
    b->weights = filled(gemm_packed_floats(k, n, panel));
    b->bias = filled(n + panel);
    b->flops = 2.0 * c->size * (double)k * (double)n;
    b->bytes = (double)gemm_packed_floats(k, n, panel) * sizeof(float);
}

static void prepare_indices(bench *b) {
    int64_t half = b->c->size / 2, size = b->c->size, *at;
    at = b->indices = malloc((size_t)(b->c->in * half * half) * sizeof *at);
    if (!at) exit(1);
    for (int64_t c = 0; c < b->c->in; c++)
        for (int64_t y = 0; y < half; y++)
            for (int64_t x = 0; x < half; x++)
                *at++ = (c * size + 2 * y) * size + 2 * x;
}

static void prepare(bench *b) {
    const bench_case *c = b->c;
    if (c->kind == CASE_GEMM) {
        prepare_gemm(b);
        return;
    }
    int lanes = c->kind == CASE_CONV && c->in <= 4 ? c->in : LANES, stride = MAX(c->stride, 1);
    int out = c->kernel ? (c->size + 2 * c->pad - c->kernel) / stride + 1 : c->size;
    if (c->kind == CASE_LRN) out = c->size;
    if (c->kind == CASE_GLOBAL) out = 1;
    if (c->kind == CASE_ROI_MAX || c->kind == CASE_ROI_ALIGN) out = ROI_BINS;
    b->in = plane(c->in, c->size, lanes, c->kind == CASE_POOL ? 0 : c->pad, &b->in_memory);
    b->out = plane(c->out, out, LANES, 0, &b->out_memory);
    b->bias = filled((size_t)b->out.blocks * LANES);
    b->bytes = (double)(b->in.image_pitch + b->out.image_pitch) * sizeof(float);
    if (c->kind == CASE_CONV || winograd_m(c)) prepare_conv(b);
    if (winograd_m(c)) prepare_winograd(b);
    if (c->kind == CASE_UNPOOL) prepare_indices(b);
    if (group_of(c)) {
        b->weights = filled(depthwise_packed_floats(c->in, group_of(c), c->kernel, c->kernel));
        b->flops = 2.0 * c->in * group_of(c) * c->kernel * c->kernel * b->out.h * b->out.w;
    }
}

static void release(bench *b) {
    free(b->in_memory);
    free(b->out_memory);
    free(b->residual);
    free(b->weights);
    free(b->scratch);
    free(b->bias);
    free(b->indices);
}

static void run_winograd(const bench *b, int m) {
    int chunk = winograd_tiles(&b->conv, m, WINOGRAD_SCRATCH);
    int tiles = DIV_UP(b->out.h, m) * DIV_UP(b->out.w, m);
    for (int t = 0; t < tiles; t += chunk) {
        winograd_tile part = {0, 0, b->out.blocks, t, MIN(t + chunk, tiles)};
        b->k->winograd(&b->conv, m, &part, b->scratch);
    }
}

static void run_gemm(const bench *b) {
    const bench_case *c = b->c;
    gemm_args a = {
        .a = b->in_memory,
        .packed = b->weights,
        .bias = b->bias,
        .out = b->out_memory,
        .m = (size_t)c->size,
        .n = (size_t)c->out,
        .k = (size_t)c->in,
        .lda = (size_t)c->in,
        .ldo = (size_t)c->out,
    };
    b->k->gemm(&a, 0, a.n);
}

static void run_pool(const bench *b) {
    const bench_case *c = b->c;
    pool_args a = {
        .in = b->in,
        .out = b->out,
        .kind = (pool_kind)c->detail,
        .bins = c->kind == CASE_GLOBAL,
        .kernel_h = c->kernel,
        .kernel_w = c->kernel,
        .stride_h = c->stride,
        .stride_w = c->stride,
        .dilation_h = 1,
        .dilation_w = 1,
        .pad_top = c->pad,
        .pad_left = c->pad,
        .pad_bottom = c->pad,
        .pad_right = c->pad,
        .p = 2,
        .alpha = b->bias,
    };
    for (int i = 0; i < b->out.blocks; i++)
        b->k->pool(&a, &(rows_tile){0, i, 0, b->out.h});
}

/* From 2x2 windows, all of whose maxima are in the upper left corner. */
static void run_unpool(const bench *b) {
    unpool_args a = {b->in, b->out, b->indices, b->out.h, b->out.w};
    a.in.h /= 2;
    a.in.w /= 2;
    for (int i = 0; i < b->out.blocks; i++)
        b->k->unpool(&a, 0, i);
}

/* One region, half as large as the picture. */
static void run_roi(const bench *b) {
    float size = (float)b->in.h, rois[] = {0, size / 4, size / 4, 3 * size / 4, 3 * size / 4};
    bool align = b->c->kind == CASE_ROI_ALIGN;
    roi_args a = {.in = b->in, .out = b->out, .rois = rois + align, .images = &(int64_t){0}};
    a.spatial_scale = 1;
    a.sampling_ratio = 2;
    a.half_pixel = true;
    for (int i = 0; i < b->out.blocks; i++)
        (align ? b->k->roi_align : b->k->roi_max)(&a, &(rows_tile){0, i, 0, b->out.h});
}

static void run_wavelet(const bench *b) {
    static const float half = 0.70710678f;
    wavelet_args a = {.in = b->in, .out = {b->out}, .filters = {2, {half, half}, {-half, half}}};
    for (int i = 0; i < b->out.blocks; i++)
        b->k->wavelet(&a, &(rows_tile){0, i, 0, b->out.h});
}

static void run_depthwise(const bench *b) {
    const bench_case *c = b->c;
    depthwise_args a = {
        .in = b->in,
        .out = b->out,
        .weights = b->weights,
        .bias = b->bias,
        .group = group_of(c),
        .kernel_h = c->kernel,
        .kernel_w = c->kernel,
        .stride_h = c->stride,
        .stride_w = c->stride,
        .dilation_h = 1,
        .dilation_w = 1,
        .pad_top = c->pad,
        .pad_left = c->pad,
    };
    for (int i = 0; i < b->out.blocks; i++)
        b->k->depthwise(&a, &(rows_tile){0, i, 0, b->out.h});
}

static void run_layout(const bench *b) {
    for (int i = 0; i < b->out.blocks; i++) {
        rows_tile t = {0, i, 0, b->out.h};
        if (b->c->kind == CASE_BLOCK)
            b->k->block(b->in_memory, false, &b->out, &t);
        else
            b->k->unblock(&b->in, b->out_memory, false, &t);
    }
}

static void run(const bench *b) {
    const act_params none = {ACT_NONE, 0, 0}, silu = {ACT_SILU, 0, 0};
    size_t count = b->in.image_pitch;
    switch (b->c->kind) {
    case CASE_CONV:
        b->k->conv(&b->conv, &(conv_tile){0, 0, b->out.blocks, 0, b->out.h});
        return;
    case CASE_WINOGRAD_2:
        run_winograd(b, 2);
        return;
    case CASE_WINOGRAD_4:
        run_winograd(b, 4);
        return;
    case CASE_DEPTHWISE:
    case CASE_GROUPS_OF_4:
    case CASE_GROUPS_OF_8:
        run_depthwise(b);
        return;
    case CASE_POOL:
    case CASE_GLOBAL:
        run_pool(b);
        return;
    case CASE_UNPOOL:
        run_unpool(b);
        return;
    case CASE_ROI_MAX:
    case CASE_ROI_ALIGN:
        run_roi(b);
        return;
    case CASE_WAVELET:
        run_wavelet(b);
        return;
    case CASE_LRN:
        b->k->lrn(&(lrn_args){b->in, b->out, b->c->kernel, 1e-4f, 0.75f, 1}, 0, 0, b->out.h);
        return;
    case CASE_GEMM:
        run_gemm(b);
        return;
    case CASE_UNARY:
        b->k->unary(b->in_memory, b->out_memory, count, silu);
        return;
    case CASE_ADD:
        b->k->binary(b->in_memory, b->out_memory, b->out_memory, count, BINARY_ADD, none);
        return;
    case CASE_SOFTMAX:
        b->k->softmax(b->in_memory, b->out_memory, (size_t)b->c->in, false);
        return;
    case CASE_BLOCK:
    case CASE_UNBLOCK:
        run_layout(b);
        return;
    }
}

/* Nanoseconds that `count` runs take. */
static uint64_t sample(const bench *b, int count) {
    uint64_t before = thread_ns();
    for (int i = 0; i < count; i++)
        run(b);
    return thread_ns() - before;
}

/* Nanoseconds of a run, in the fastest of the samples that fit into a third of a second. */
static double fastest(const bench *b) {
    int count = 1;
    while (sample(b, count) < 2000000)
        count *= 2;
    uint64_t best = UINT64_MAX, total = 0;
    for (int i = 0; i < 5 || total < 300000000; i++) {
        uint64_t ns = sample(b, count);
        best = MIN(best, ns);
        total += ns;
    }
    return (double)best / count;
}

static void measure(const kernel_table *k, const bench_case *c) {
    bench b = {.c = c, .k = k};
    prepare(&b);
    double peak = peak_gflops(k->isa), ns = fastest(&b);
    peak = fmax(peak, peak_gflops(k->isa));
    printf("%-9s %-32s %9.1f us", k->isa, c->name, ns / 1000);
    if (b.flops > 0) printf(" %7.1f GFLOP/s %5.1f %%", b.flops / ns, 100 * b.flops / ns / peak);
    if (b.bytes > 0 && c->kind != CASE_CONV && !winograd_m(c)) printf(" %7.1f GB/s", b.bytes / ns);
    printf("\n");
    fflush(stdout);
    release(&b);
}

int main(int argc, char **argv) {
    const kernel_table *all[5];
    size_t count = kernels_available(all, 4);
    const char *isa = argc > 1 ? argv[1] : "", *part = argc > 2 ? argv[2] : "";
    if (strcmp(isa, "reference") == 0) all[count++] = &kernels_reference;
    for (size_t i = 0; i < count; i++) {
        if (*isa && strcmp(isa, all[i]->isa) != 0) continue;
        printf("%s: peak %.1f GFLOP/s\n", all[i]->isa, peak_gflops(all[i]->isa));
        for (size_t j = 0; j < ARRAY_LENGTH(cases); j++)
            if (strstr(cases[j].name, part)) measure(all[i], &cases[j]);
    }
    return 0;
}
