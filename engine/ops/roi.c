/*
 * RoiAlign and MaxRoiPool: a fixed-size extract of each region of interest.
 *
 * The regions are data and not trusted: those of an image that does not exist give zeros, and the
 * sampling grid is bounded by ROI_MAX_GRID points a bin and axis.
 */
#include "ops/roi.h"

#include "kernels/roi.h"
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* x is (N, C, H, W), the regions are (R, columns), y is (R, C, height, width) */
static cnn_status roi_shapes(graph *g, graph_node *node, int64_t columns, int64_t height,
                             int64_t width, cnn_error *err) {
    TRY(op_expect_type(g, node, 0, TYPES_REAL, err));
    TRY(op_expect_type(g, node, 1, TYPE(op_input(g, node, 0)->dtype), err));
    TRY(op_expect_rank(g, node, 0, 4, 4, err));
    TRY(op_expect_rank(g, node, 1, 2, 2, err));
    const graph_value *x = op_input(g, node, 0);
    const cnn_shape *rois = &op_input(g, node, 1)->shape;
    if (rois->dims[1] != columns)
        return op_fail(node, err, CNN_INVALID_MODEL, "regions have %lld numbers, but need %lld",
                       (long long)rois->dims[1], (long long)columns);
    if (height < 1 || width < 1)
        return op_fail(node, err, CNN_INVALID_MODEL, "the output size %lld x %lld is not positive",
                       (long long)height, (long long)width);
    if (x->shape.dims[2] == 0 || x->shape.dims[3] == 0)
        return op_fail(node, err, CNN_INVALID_MODEL, "the input has no pixels");
    cnn_shape out = {4, {rois->dims[0], x->shape.dims[1], height, width}};
    return op_set_output(g, node, 0, x->dtype, &out, err);
}

/* ---- RoiAlign ---- */

static cnn_status align_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_type(g, node, 2, TYPE(CNN_INT64), err));
    TRY(roi_shapes(g, node, 4, graph_attr_int(node, "output_height", 1),
                   graph_attr_int(node, "output_width", 1), err));
    TRY(op_expect_vector(g, node, 2, op_input(g, node, 1)->shape.dims[0], "regions", err));
    const char *mode = graph_attr_string(node, "mode", "avg");
    if (strcmp(mode, "avg") != 0 && strcmp(mode, "max") != 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute mode is '%.40s', which is neither avg nor max", mode);
    const char *transform = graph_attr_string(node, "coordinate_transformation_mode", "half_pixel");
    if (strcmp(transform, "half_pixel") != 0 && strcmp(transform, "output_half_pixel") != 0)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute coordinate_transformation_mode is '%.40s', which is neither "
                       "half_pixel nor output_half_pixel",
                       transform);
    int64_t ratio = graph_attr_int(node, "sampling_ratio", 0);
    if (ratio >= 0 && ratio <= ROI_MAX_GRID) return CNN_OK;
    return op_fail(node, err, CNN_LIMIT, "attribute sampling_ratio is %lld, but must be 0 to %d",
                   (long long)ratio, ROI_MAX_GRID);
}

/* Bilinear sample, or, as ONNX has it for max, the largest of the four weighted pixels. */
static double sample(const tensor *x, size_t plane, int64_t width, const roi_point *v,
                     const roi_point *h, bool largest) {
    double weights[] = {(1 - v->weight) * (1 - h->weight), (1 - v->weight) * h->weight,
                        v->weight * (1 - h->weight), v->weight * h->weight};
    double sum = 0, most = -INFINITY;
    for (int i = 0; i < 4; i++) {
        int64_t row = i < 2 ? v->low : v->high, column = i % 2 ? h->high : h->low;
        double value =
            weights[i] * real_at(x->dtype, x->data, plane + (size_t)(row * width + column));
        sum += value;
        most = MAX(most, value);
    }
    return largest ? most : sum;
}

static double align_bin(const tensor *x, size_t plane, const roi_axis *v, const roi_axis *h,
                        int64_t bin_y, int64_t bin_x, bool largest) {
    double sum = 0, most = -INFINITY;
    for (int64_t iy = 0; iy < v->grid; iy++)
        for (int64_t ix = 0; ix < h->grid; ix++) {
            roi_point row, column;
            double value = 0;
            if (roi_point_of(v, bin_y, iy, &row) && roi_point_of(h, bin_x, ix, &column))
                value = sample(x, plane, h->extent, &row, &column, largest);
            sum += value;
            most = MAX(most, value);
        }
    double count = (double)MAX(v->grid * h->grid, 1);
    return largest ? (v->grid * h->grid > 0 ? most : 0) : sum / count;
}

bool roi_half_pixel(const graph_node *node) {
    const char *transform = graph_attr_string(node, "coordinate_transformation_mode", "half_pixel");
    return node->op->since >= 16 && strcmp(transform, "half_pixel") == 0;
}

static void align_region(const graph_node *node, const tensor *const *in, tensor *y,
                         size_t region) {
    const int64_t *x = in[0]->shape.dims, *o = y->shape.dims;
    bool half_pixel = roi_half_pixel(node);
    bool largest = strcmp(graph_attr_string(node, "mode", "avg"), "max") == 0;
    double scale = (double)graph_attr_float(node, "spatial_scale", 1), corner[4];
    for (size_t i = 0; i < 4; i++)
        corner[i] = tensor_number(in[1], 4 * region + i) * scale - (half_pixel ? 0.5 : 0);
    int64_t ratio = graph_attr_int(node, "sampling_ratio", 0), image = tensor_int(in[2], region);
    if (image < 0 || image >= x[0]) return;
    roi_axis h = roi_axis_of(corner[0], corner[2], o[3], ratio, half_pixel, x[3]);
    roi_axis v = roi_axis_of(corner[1], corner[3], o[2], ratio, half_pixel, x[2]);
    size_t at = region * (size_t)o[1] * (size_t)o[2] * (size_t)o[3];
    for (int64_t c = 0; c < o[1]; c++) {
        size_t plane = (size_t)(image * x[1] + c) * (size_t)x[2] * (size_t)x[3];
        for (int64_t i = 0; i < o[2]; i++)
            for (int64_t j = 0; j < o[3]; j++)
                real_put(y->dtype, y->data, at++, align_bin(in[0], plane, &v, &h, i, j, largest));
    }
}

static void align_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    fill_zero(out[0]);
    for (size_t r = 0; r < (size_t)out[0]->shape.dims[0] && out[0]->elements > 0; r++)
        align_region(node, in, out[0], r);
}

/* ---- MaxRoiPool: regions are (image, x1, y1, x2, y2), ends included ---- */

static cnn_status pool_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    const attr *shape = graph_attr(node, "pooled_shape");
    if (shape->count != 2)
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "attribute pooled_shape must be a list of 2 integers, but has %zu",
                       shape->count);
    return roi_shapes(g, node, 5, shape->ints[0], shape->ints[1], err);
}

static double pool_bin(const tensor *x, size_t plane, int64_t width, const int64_t rows[2],
                       const int64_t columns[2]) {
    double most = -INFINITY;
    for (int64_t i = rows[0]; i < rows[1]; i++)
        for (int64_t j = columns[0]; j < columns[1]; j++)
            most = MAX(most, real_at(x->dtype, x->data, plane + (size_t)(i * width + j)));
    return rows[0] < rows[1] && columns[0] < columns[1] ? most : 0;
}

static void pool_region(const graph_node *node, const tensor *const *in, tensor *y, size_t region) {
    const int64_t *x = in[0]->shape.dims, *o = y->shape.dims;
    double scale = (double)graph_attr_float(node, "spatial_scale", 1), numbers[5];
    for (size_t i = 0; i < 5; i++)
        numbers[i] = tensor_number(in[1], 5 * region + i) * (i > 0 ? scale : 1);
    int64_t image = int_of_double(numbers[0]);
    if (image < 0 || image >= x[0]) return;
    size_t at = region * (size_t)o[1] * (size_t)o[2] * (size_t)o[3];
    for (int64_t c = 0; c < o[1]; c++) {
        size_t plane = (size_t)(image * x[1] + c) * (size_t)x[2] * (size_t)x[3];
        for (int64_t i = 0; i < o[2]; i++)
            for (int64_t j = 0; j < o[3]; j++) {
                int64_t rows[2], columns[2];
                roi_bin_range(numbers[2], numbers[4], i, o[2], x[2], &rows[0], &rows[1]);
                roi_bin_range(numbers[1], numbers[3], j, o[3], x[3], &columns[0], &columns[1]);
                real_put(y->dtype, y->data, at++, pool_bin(in[0], plane, x[3], rows, columns));
            }
    }
}

static void pool_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    fill_zero(out[0]);
    for (size_t r = 0; r < (size_t)out[0]->shape.dims[0] && out[0]->elements > 0; r++)
        pool_region(node, in, out[0], r);
}

#define ROI_ALIGN                                                                                  \
    "mode:string output_height:int output_width:int sampling_ratio:int "                           \
    "spatial_scale:float"

const op_def ops_roi[] = {
    {
        OP("RoiAlign", 10, 15, 3, 3, 1, 1),
        .attrs = ROI_ALIGN,
        .infer = align_infer,
        .eval = align_eval,
    },
    {
        OP("RoiAlign", 16, 0, 3, 3, 1, 1),
        .attrs = ROI_ALIGN " coordinate_transformation_mode:string",
        .infer = align_infer,
        .eval = align_eval,
    },
    {
        OP("MaxRoiPool", 1, 0, 2, 2, 1, 1),
        .attrs = "pooled_shape:ints! spatial_scale:float",
        .infer = pool_infer,
        .eval = pool_eval,
    },
    {.name = NULL},
};
