/*
 * Kernels: the vector code, and the table through which it is called.
 *
 * Activations live in blocked layout: (N, C, H, W) is stored as N x ceil(C/16) x H x W x 16 floats,
 * so that 16 channels of a pixel fill a cache line, whatever the instruction set. Around each H x W
 * plane there may be a halo of zeros that stands in for a consumer's padding. Lanes of the last
 * block beyond C hold finite values that nobody reads as results (weights are padded with zeros
 * there).
 *
 * Each kernel is one tile of a layer: it computes a given part of the output and shares nothing
 * with other tiles, so tiles may run on any thread in any order. The order of additions within an
 * output element depends neither on the tile's bounds nor on the number of threads: results are
 * identical bit by bit for every split.
 *
 * kernels_ISA.c compiles every kernel file for one instruction set; kernels_select() picks a table.
 */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "graph/graph.h"

#define LANES 16 /* channels per block */

/*
 * A blocked activation. `data` is the first lane of pixel (0, 0) of block 0 of image 0; pitches are
 * in floats. A pixel is `lanes` floats wide: LANES, or C itself for the network's first layer when
 * C <= 4. Pixels of LANES floats are aligned to CNN_ALIGN.
 */
typedef struct blocked {
    float *data;
    int n, c, h, w;
    int lanes;
    int blocks;                   /* ceil(c / lanes) */
    int top, left, bottom, right; /* halo */
    size_t row_pitch, block_pitch, image_pitch;
} blocked;

/* An activation with its parameters, see graph.h. */
typedef struct act_params {
    activation act;
    float alpha, beta;
} act_params;

/* ---- convolution ---- */

/*
 * out[n][ob][y][x] = act(bias + sum over blocks, ky, kx, lanes of in * weights + residual)
 * Dense and grouped convolution whose groups are whole blocks (or a single group).
 */
typedef struct conv_args {
    blocked in, out;
    const float *residual; /* (N, C, H, W) of `out`; may be out's own memory; NULL: none */
    size_t residual_row_pitch, residual_block_pitch, residual_image_pitch;
    const float *weights;       /* as conv_pack lays out */
    size_t weights_image_pitch; /* 0: the same for every image */
    const float *bias;          /* out.blocks * 16 floats, zero-padded; never NULL */
    int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int pad_top, pad_left; /* within in's halo */
    int groups;            /* in.blocks and out.blocks are multiples of it */
    int ob_group;          /* output blocks per weight panel, from conv_tiling */
    act_params act;
} conv_args;

/* Part of a convolution: output blocks [ob0, ob1) (whole panels, which a group starts anew) and
 * rows [y0, y1) of image n. */
typedef struct conv_tile {
    int n, ob0, ob1, y0, y1;
} conv_tile;

/*
 * Part of a 3x3 convolution of stride 1 by Winograd's algorithm: output blocks [ob0, ob1) (whole
 * panels) and tiles [t0, t1) of image n. Tiles are m x m pixels, ceil(w / m) in a row of them.
 */
typedef struct winograd_tile {
    int n, ob0, ob1, t0, t1;
} winograd_tile;

/* How this instruction set wants a convolution cut. */
typedef struct conv_tiling {
    int ob_group; /* output blocks computed together: panel width of the packed weights */
} conv_tiling;

/* ---- convolution in groups of fewer channels than a block, as many in as out: depthwise ---- */

typedef struct depthwise_args {
    blocked in, out;
    const float *residual;
    size_t residual_row_pitch, residual_block_pitch, residual_image_pitch;
    const float *weights; /* as depthwise_pack lays out */
    const float *bias;    /* blocks * 16 */
    int group;            /* channels of a group: 1, 2, 4 or 8 */
    int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int pad_top, pad_left;
    act_params act;
    float *sums; /* of each row of the output, see row_sums; NULL: not wanted */
} depthwise_args;

/* ---- squeeze-and-excite (Hu et al. 2018): a factor for each channel ---- */

/* The largest `hidden` below. */
#define SQUEEZE_MAX_HIDDEN 1024

/*
 * gate = gate_act(excite * hidden + gate_bias), hidden = hidden_act(squeeze * mean + hidden_bias),
 * where mean is that of each channel's plane. The products with the means are added up in parts of
 * part_blocks blocks each.
 */
typedef struct squeeze_args {
    const float *sums;     /* (N, blocks, H, 16), as row_sums */
    int blocks, h, pixels; /* pixels of a plane */
    int part_blocks;
    int hidden;               /* channels in between, a multiple of 16 */
    const float *squeeze;     /* (blocks, hidden / 16, 16 of channels, 16), zero-padded */
    const float *hidden_bias; /* hidden, zero-padded */
    const float *excite;      /* (blocks, hidden, 16), zero-padded */
    const float *gate_bias;   /* blocks * 16, zero-padded */
    act_params hidden_act, gate_act;
} squeeze_args;

/* ---- pooling over windows; docs/pooling.md has the formulas ---- */

/* Poolings that take logarithms count only numbers from here on, the least normal float. */
#define POOL_LEAST 0x1p-126f
/* The largest shape parameter that is fitted; equal numbers give it. */
#define POOL_MAX_SHAPE 1e6f

typedef enum pool_kind {
    POOL_MAX,
    POOL_SUM,
    POOL_AVERAGE,
    POOL_LP,
    POOL_MIXED,
    POOL_STOCHASTIC,
    POOL_ENTROPY,
    POOL_GAMMA,
    POOL_WEIBULL,
} pool_kind;

/*
 * Of a window without cells the maximum is -infinity (0 in lanes beyond C), everything else 0.
 * Sums are float32: what they are made of (squares, x ln x) must not leave its range.
 */
typedef struct pool_args {
    blocked in, out;
    pool_kind kind;
    /*
     * The image is cut into out.h x out.w bins, bin i of an axis from floor(i in / out) up to
     * ceil((i + 1) in / out); what describes sliding windows is not read. One bin: global pooling.
     */
    bool bins;
    int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int pad_top, pad_left;     /* not in the halo: windows are clipped to the image */
    int pad_bottom, pad_right; /* count_include_pad counts cells up to these */
    bool count_include_pad;    /* average only */
    int p;                     /* Lp: at least 1 */
    const float *alpha;        /* mixed: the maximum's part, out.blocks * 16 floats */
    /* max: positions of the maxima in the dense (N, C, H, W) input, -1 where there is none; dense
     * (N, C, H, W) of `out`. NULL: not wanted. */
    int64_t *indices;
    bool column_major; /* the indices count planes by columns */
    blocked scale;     /* gamma, Weibull: the second parameter; as `out`. `data` NULL: not wanted */
} pool_args;

/* Values back to where the maxima were: out is zero but for out[indices[i]] = in[i]. */
typedef struct unpool_args {
    blocked in, out;
    const int64_t *indices;     /* dense (N, C, H, W) of `in` */
    int64_t pooled_h, pooled_w; /* of the planes that they count in, at most out's */
} unpool_args;

/* ---- pooling over regions of interest; `out` has an image for each ---- */

typedef struct roi_args {
    blocked in, out;
    const float *rois;     /* RoIAlign: (R, 4) x1 y1 x2 y2; max: (R, 5) with the image before */
    const int64_t *images; /* RoIAlign only: (R) */
    float spatial_scale;
    int sampling_ratio;       /* RoIAlign: points on each axis of a bin; 0: by the bin's size */
    bool half_pixel, largest; /* RoIAlign: coordinates; maximum instead of mean */
} roi_args;

/* ---- one level of a discrete wavelet transform ---- */

#define WAVELET_MAX_TAPS 32

/* Decomposition filters, as PyWavelets' dec_lo and dec_hi. */
typedef struct wavelet_filters {
    int taps; /* even */
    float low[WAVELET_MAX_TAPS], high[WAVELET_MAX_TAPS];
} wavelet_filters;

/* Bit 0 of a band's number: high along rows; bit 1: along columns. */
#define WAVELET_BANDS 4

typedef struct wavelet_args {
    blocked in, out[WAVELET_BANDS]; /* out: ceil(h / 2) x ceil(w / 2); `data` NULL: not wanted */
    wavelet_filters filters;
} wavelet_args;

/* Rows [y0, y1) of block `b` of image `n`, for depthwise, pooling and element-wise kernels. */
typedef struct rows_tile {
    int n, b, y0, y1;
} rows_tile;

/* ---- channels of one or more activations in a new order ---- */

#define CHANNELS_MAX_INPUTS 8

typedef struct channel_source {
    int input, channel;
} channel_source;

typedef struct channels_args {
    blocked in[CHANNELS_MAX_INPUTS], out; /* of equal n, h and w; no input is the output */
    const channel_source *sources;        /* one per channel of the output */
} channels_args;

/* ---- resizing of planes ---- */

/* The input positions behind a position of the output, and what the second one counts. */
typedef struct resize_tap {
    int first, second;
    float weight; /* of the second, 0 to 1 */
} resize_tap;

/*
 * out[y][x] is in[rows[y].first][columns[x].first] or, `linear`, the mean of the four pixels that
 * the taps name: with v the weight of the row's second and w that of the column's second one,
 *   (1 - w) ((1 - v) in[y0][x0] + v in[y1][x0]) + w ((1 - v) in[y0][x1] + v in[y1][x1])
 */
typedef struct resize_args {
    blocked in, out; /* of equal n and c */
    bool linear;
    const resize_tap *rows, *columns; /* out.h and out.w of them */
} resize_args;

/* ---- element-wise ---- */

typedef enum binary_op { BINARY_ADD, BINARY_SUB, BINARY_MUL, BINARY_DIV } binary_op;

/* ---- reductions ---- */

typedef enum reduction {
    REDUCTION_SUM,
    REDUCTION_SQUARES, /* the sum of */
    REDUCTION_MAX,     /* NaN if one is */
    REDUCTION_MIN,
} reduction;

/* ---- local response normalisation (Krizhevsky et al. 2012, 3.3): across channels ---- */

#define LRN_MAX_SIZE (2 * LANES + 1)

typedef struct lrn_args {
    blocked in, out; /* different buffers */
    int size;        /* of the window, at most LRN_MAX_SIZE */
    float alpha, beta, bias;
} lrn_args;

/* ---- layer normalisation (Ba, Kiros and Hinton 2016): each pixel over its channels ---- */

typedef struct layer_norm_2d_args {
    blocked in, out;           /* of one shape; may be the same buffer */
    const float *scale, *bias; /* out.blocks * 16 floats, zero-padded */
    float epsilon;
} layer_norm_2d_args;

/* ---- matrix product: out (M, N) = act(a (M, K) * b (K, N) + bias) ---- */

typedef struct gemm_args {
    const float *a;      /* row-major, rows lda apart */
    const float *packed; /* b as gemm_pack lays out: [ceil(N/panel)][K][panel], zero-padded */
    const float *bias;   /* N floats padded to whole panels; NULL: none */
    float *out;          /* row-major, rows ldo apart */
    size_t m, n, k, lda, ldo;
    act_params act;
} gemm_args;

/*
 * X(return type, name, parameters). Plain pointers are dense. Counts are in floats. Input and
 * output may be the same buffer for the element-wise kernels.
 */
#define KERNEL_LIST(X)                                                                             \
    /* out_blocks: of one group */                                                                 \
    X(conv_tiling, conv_tiling, (int in_lanes, int out_blocks, int out_w))                         \
    X(void, conv, (const conv_args *a, const conv_tile *t))                                        \
    /* kernel_w 3, stride_w 2, dilation 1, one group; in: dense NCHW as blocks of one lane;        \
     * weights as conv_pack lays out for one lane; scratch: planar_scratch_floats(a), planar.h */  \
    X(void, conv_planar, (const conv_args *a, const conv_tile *t, float *scratch))                 \
    /* 3x3, stride and dilation 1, one group; m: 2 or 4; weights as winograd_pack lays out;        \
     * scratch: winograd_scratch_floats(a, m, t), aligned to CNN_ALIGN */                          \
    X(void, winograd, (const conv_args *a, int m, const winograd_tile *t, float *scratch))         \
    X(void, depthwise, (const depthwise_args *a, const rows_tile *t))                              \
    /* sums of the rows of each channel, sums: (N, in.blocks, in.h, 16) */                         \
    X(void, row_sums, (const blocked *in, const rows_tile *t, float *sums))                        \
    /* products[hidden] of that part of the channels */                                            \
    X(void, squeeze, (const squeeze_args *a, int n, int part, float *products))                    \
    /* gate[(b1 - b0) * 16]; parts: (parts, hidden), what `squeeze` has made of each */            \
    X(void, gate, (const squeeze_args *a, const float *parts, int b0, int b1, float *gate))        \
    /* out[i * width + j] = in[i * width + j] * scale[i]; width a multiple of 16 */                \
    X(void, scale_rows,                                                                            \
      (const float *in, const float *scale, float *out, size_t rows, size_t width))                \
    X(void, pool, (const pool_args *a, const rows_tile *t))                                        \
    X(void, unpool, (const unpool_args *a, int n, int b))                                          \
    X(void, roi_max, (const roi_args *a, const rows_tile *t))                                      \
    X(void, roi_align, (const roi_args *a, const rows_tile *t))                                    \
    X(void, wavelet, (const wavelet_args *a, const rows_tile *t))                                  \
    X(void, lrn, (const lrn_args *a, int n, int y0, int y1))                                       \
    X(void, layer_norm_2d, (const layer_norm_2d_args *a, int n, int y0, int y1))                   \
    X(void, unary, (const float *in, float *out, size_t count, act_params act))                    \
    /* out[i] = act(a[i] op b[i]) */                                                               \
    X(void, binary,                                                                                \
      (const float *a, const float *b, float *out, size_t count, binary_op op, act_params act))    \
    /* out[i] = act(a[i] op s), or act(s op a[i]) if `swapped` */                                  \
    X(void, binary_scalar,                                                                         \
      (const float *a, float s, float *out, size_t count, binary_op op, bool swapped,              \
       act_params act))                                                                            \
    /* count a multiple of 16: out[i] = act(a[i] op v[i % 16]), or swapped */                      \
    X(void, binary_lanes,                                                                          \
      (const float *a, const float *v, float *out, size_t count, binary_op op, bool swapped,       \
       act_params act))                                                                            \
    /* count a multiple of 16: out[i] = act(in[i] * scale[i % 16] + shift[i % 16]) */              \
    X(void, affine_lanes,                                                                          \
      (const float *in, const float *scale, const float *shift, float *out, size_t count,          \
       act_params act))                                                                            \
    /* columns [j0, j1), j0 a multiple of gemm_panel(); every row */                               \
    X(size_t, gemm_panel, (void))                                                                  \
    X(void, gemm, (const gemm_args *a, size_t j0, size_t j1))                                      \
    /* out[i] = the reduction of in[k * pitch + i] over k < count, for i < width */                \
    X(void, reduce_columns,                                                                        \
      (const float *in, size_t pitch, size_t count, float *out, size_t width, reduction kind))     \
    X(float, reduce_row, (const float *in, size_t count, reduction kind))                          \
    /* one row: (x - mean) / sqrt(variance + epsilon) * scale + bias (NULL: 0) */                  \
    X(void, layer_norm,                                                                            \
      (const float *in, const float *scale, const float *bias, float *out, size_t count,           \
       float epsilon))                                                                             \
    /* one row; stable (maximum subtracted); `log`: LogSoftmax */                                  \
    X(void, softmax, (const float *in, float *out, size_t count, bool log))                        \
    X(void, resize, (const resize_args *a, const rows_tile *t))                                    \
    /* lanes of the last block beyond the channels of `out` get 0 */                               \
    X(void, channels, (const channels_args *a, const rows_tile *t))                                \
    /* rows [y0, y1) of block b of image n; in: dense NCHW or, `nhwc`, NHWC; extra lanes get 0 */  \
    X(void, block, (const float *in, bool nhwc, const blocked *out, const rows_tile *t))           \
    X(void, unblock, (const blocked *in, float *out, bool nhwc, const rows_tile *t))

typedef struct kernel_table {
    const char *isa; /* "baseline", "avx2", "avx512" */
#define X(type, name, params) type(*name) params;
    KERNEL_LIST(X)
#undef X
} kernel_table;

/*
 * The table of that instruction set ("baseline", "avx2", "avx512"); NULL: the best that this
 * machine runs. CNN_INVALID_ARGUMENT for an unknown name, CNN_UNSUPPORTED if the machine lacks it.
 */
cnn_status kernels_select(const char *isa, const kernel_table **out, cnn_error *err);
/* Tables that run here, best last; for tests. */
size_t kernels_available(const kernel_table **out, size_t capacity);
/* The scalar reference of every kernel: plain loops, same interface, isa "reference". */
extern const kernel_table kernels_reference;

/* ---- packing: plain C, done once at load ---- */

/*
 * weights (OC, IC/groups, KH, KW) ->
 * [panel of ob_group output blocks][input block of the group][kh][kw][lane of the input
 * block][blocks of the panel * 16], channels zero-padded to whole blocks. Panels do not cross
 * groups; a group's last panel may be narrower than ob_group.
 */
size_t conv_packed_floats(int oc, int ic_per_group, int kh, int kw, int groups, int in_lanes,
                          int ob_group);
void conv_pack(const float *weights, int oc, int ic_per_group, int kh, int kw, int groups,
               int in_lanes, int ob_group, float *packed);
/* The widest panel that winograd_pack makes, in blocks. */
#define WINOGRAD_MAX_GROUP 4
/*
 * weights (OC, IC, 3, 3) -> [panel of ob_group output blocks][point, (m + 2)^2 of them][input
 * channel][blocks of the panel * 16], transformed, channels zero-padded to whole blocks.
 */
size_t winograd_packed_floats(int oc, int ic, int m);
void winograd_pack(const float *weights, int oc, int ic, int m, int ob_group, float *packed);
/* How many tiles a call should take, in not more than `limit` bytes of scratch memory; 0: not even
 * one. */
int winograd_tiles(const conv_args *a, int m, size_t limit);
/* Scratch memory of a call: in all, of a tile's row of transformed input, and from point to point
 * of the products, which are one panel's at a time. */
size_t winograd_scratch_floats(const conv_args *a, int m, const winograd_tile *t);
size_t winograd_input_row(const conv_args *a);
size_t winograd_product_point(const conv_args *a, const winograd_tile *t);
/* (C, group, KH, KW) -> [block][kh][input channel of the group][kw][16], zero-padded. */
size_t depthwise_packed_floats(int c, int group, int kh, int kw);
void depthwise_pack(const float *weights, int c, int group, int kh, int kw, float *packed);
/* b (K, N), or (N, K) if `transposed`. */
size_t gemm_packed_floats(size_t k, size_t n, size_t panel);
void gemm_pack(const float *b, size_t k, size_t n, bool transposed, size_t panel, float *packed);

#endif
