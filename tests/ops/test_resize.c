#include "node.h"

#include <stdlib.h>

/* A Resize of a row by a scale, in a mode and a coordinate transformation (NULL: the default). */
static node_test *row(int opset, const char *mode, const char *transform, double scale) {
    node_test *t = node_begin("Resize", opset);
    node_attr_string(t, "mode", mode);
    if (transform) node_attr_string(t, "coordinate_transformation_mode", transform);
    IN(t, DIMS(1, 4), 1, 2, 3, 4);
    if (opset > 10) node_absent(t);
    node_constant(t, CNN_FLOAT32, DIMS(2), NUMBERS(1, scale));
    return t;
}

/* Version 10 and Upsample: position / scale, rounded down. */
Test(resize, old_nearest_and_linear) {
    node_test *t = row(10, "nearest", NULL, 1.5);
    GIVES(t, DIMS(1, 6), 1, 1, 2, 3, 3, 4);
    node_end(t);
    t = row(10, "linear", NULL, 2);
    GIVES(t, DIMS(1, 8), 1, 1.5, 2, 2.5, 3, 3.5, 4, 4);
    node_end(t);
    t = node_begin("Upsample", 7);
    node_attr_floats(t, "scales", NUMBERS(2, 1));
    IN(t, DIMS(1, 2), 1, 2);
    GIVES(t, DIMS(2, 2), 1, 2, 1, 2);
    node_end(t);
    t = node_begin("Upsample", 9);
    node_attr_string(t, "mode", "bilinear");
    IN(t, DIMS(2), 1, 3);
    node_constant(t, CNN_FLOAT32, DIMS(1), NUMBERS(2));
    GIVES(t, DIMS(4), 1, 2, 3, 3);
    node_end(t);
}

/* As ONNX Runtime: the float nearest to 1.4 is less than that, but 5 times it rounds to 7. */
Test(resize, extents_in_single_precision) {
    node_test *t = node_begin("Resize", 13);
    node_attr_string(t, "mode", "nearest");
    IN(t, DIMS(5), 0, 1, 2, 3, 4);
    node_absent(t);
    node_constant(t, CNN_FLOAT32, DIMS(1), NUMBERS(1.4f));
    GIVES(t, DIMS(7), 0, 1, 1, 2, 3, 3, 4);
    node_end(t);
}

/* Centres of the halved row lie at 0.5 and 2.5, those of the doubled at -0.25, 0.25, 0.75, ... */
Test(resize, half_pixel) {
    node_test *t = row(11, "linear", NULL, 0.5);
    GIVES(t, DIMS(1, 2), 1.5, 3.5);
    node_end(t);
    t = row(13, "linear", "half_pixel", 2);
    GIVES(t, DIMS(1, 8), 1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4);
    node_end(t);
    t = row(13, "nearest", NULL, 0.5); /* round_prefer_floor */
    GIVES(t, DIMS(1, 2), 1, 3);
    node_end(t);
}

Test(resize, nearest_modes) {
    static const struct {
        const char *mode;
        double want[2];
    } cases[] = {{"round_prefer_floor", {1, 3}},
                 {"round_prefer_ceil", {2, 4}},
                 {"floor", {1, 3}},
                 {"ceil", {2, 4}}};
    for (size_t i = 0; i < 4; i++) {
        node_test *t = row(13, "nearest", NULL, 0.5);
        node_attr_string(t, "nearest_mode", cases[i].mode);
        node_gives(t, 0, CNN_FLOAT32, DIMS(1, 2), 2, cases[i].want);
        node_end(t);
    }
}

Test(resize, other_transforms) {
    node_test *t = row(11, "linear", "align_corners", 1.75); /* 7 points, 0.5 apart */
    GIVES(t, DIMS(1, 7), 1, 1.5, 2, 2.5, 3, 3.5, 4);
    node_end(t);
    t = row(11, "linear", "asymmetric", 0.5);
    GIVES(t, DIMS(1, 2), 1, 3);
    node_end(t);
    t = row(11, "nearest", "tf_half_pixel_for_nn", 0.5); /* at 1 and 3 */
    GIVES(t, DIMS(1, 2), 2, 4);
    node_end(t);
    t = row(11, "linear", "pytorch_half_pixel", 0.25); /* of one point: position 0 */
    GIVES(t, DIMS(1, 1), 1);
    node_end(t);
    t = row(11, "linear", "half_pixel", 0.25);
    GIVES(t, DIMS(1, 1), 2.5);
    node_end(t);
}

/* Halfway between 2 and 3: -0.75/8 (1 + 4) + 4.75/8 (2 + 3) = 2.5. */
/* 4 positions to floor(4 x 2.4) = 9: the corners lie 8 steps apart, in ONNX' test cases 8.6. */
Test(resize, corners_at_a_scale_that_gives_no_whole_length) {
    node_test *t = row(13, "linear", "align_corners", 2.4);
    GIVES(t, DIMS(1, 9), 1, 1.375, 1.75, 2.125, 2.5, 2.875, 3.25, 3.625, 4);
    node_end(t);
    t = row(13, "linear", "align_corners", 0.6); /* as ONNX Runtime */
    GIVES(t, DIMS(1, 2), 1, 4);
    node_end(t);
    t = row(13, "linear", "align_corners", 0.6); /* resize_downsample_scales_linear_align_corners */
    node_attr_int(t, OP_FRACTIONAL_LENGTH, 1);
    GIVES(t, DIMS(1, 2), 1, 3.142857);
    node_end(t);
}

Test(resize, cubic) {
    node_test *t = row(11, "cubic", "align_corners", 0.75); /* at 0, 1.5, 3 */
    GIVES(t, DIMS(1, 3), 1, 2.5, 4);
    node_end(t);
    t = row(11, "cubic", NULL, 0.5); /* at 0.5: 1, 1, 2, 3 weigh -3/32, 19/32, 19/32, -3/32 */
    GIVES(t, DIMS(1, 2), (-3 * 1 + 19 * 1 + 19 * 2 - 3 * 3) / 32.0,
          (-3 * 2 + 19 * 3 + 19 * 4 - 3 * 4) / 32.0);
    node_end(t);
    t = row(11, "cubic", NULL, 0.5); /* the repeated border left out, weights made 1 again */
    node_attr_int(t, "exclude_outside", 1);
    GIVES(t, DIMS(1, 2), (19 * 1 + 19 * 2 - 3 * 3) / 35.0, (-3 * 2 + 19 * 3 + 19 * 4) / 35.0);
    node_end(t);
}

/* A triangle of half-width 2 around 0.5: 0, 1 weigh 3/8 each, 2 and the repeated border 1/8. */
Test(resize, antialias) {
    node_test *t = row(18, "linear", NULL, 0.5);
    node_attr_int(t, "antialias", 1);
    GIVES(t, DIMS(1, 2), (1 + 3 * 1 + 3 * 2 + 3) / 8.0, (2 + 3 * 3 + 3 * 4 + 4) / 8.0);
    node_end(t);
}

Test(resize, sizes_axes_and_policy) {
    node_test *t = node_begin("Resize", 18);
    ATTR_INTS(t, "axes", 1);
    node_attr_string(t, "coordinate_transformation_mode", "asymmetric");
    IN(t, DIMS(1, 2), 1, 2);
    node_absent(t);
    node_absent(t);
    CONSTANT_INTS(t, 4);
    GIVES(t, DIMS(1, 4), 1, 1, 2, 2);
    node_end(t);
    static const struct {
        const char *policy;
        int64_t rows, columns;
    } cases[] = {{"stretch", 4, 4}, {"not_larger", 2, 4}, {"not_smaller", 4, 8}};
    for (size_t i = 0; i < 3; i++) {
        t = node_begin("Resize", 18);
        node_attr_string(t, "keep_aspect_ratio_policy", cases[i].policy);
        node_in_counting(t, DIMS(1, 2));
        node_absent(t);
        node_absent(t);
        CONSTANT_INTS(t, 4, 4);
        node_run(t);
        cr_assert_eq(t->out[0]->shape.dims[0], cases[i].rows);
        cr_assert_eq(t->out[0]->shape.dims[1], cases[i].columns);
        node_end(t);
    }
}

/* From 1/3 to 4/3 of the last position, 3: at 1, 2.5, and 4, which is outside. */
Test(resize, crop) {
    node_test *t = node_begin("Resize", 11);
    node_attr_string(t, "mode", "linear");
    node_attr_string(t, "coordinate_transformation_mode", "tf_crop_and_resize");
    node_attr_float(t, "extrapolation_value", -9);
    IN(t, DIMS(4), 1, 2, 3, 4);
    IN(t, DIMS(2), 1.0 / 3, 4.0 / 3);
    node_absent(t);
    CONSTANT_INTS(t, 3);
    GIVES(t, DIMS(3), 2, 3.5, -9);
    node_end(t);
    t = node_begin("Resize", 11);
    node_attr_string(t, "coordinate_transformation_mode", "tf_crop_and_resize");
    IN(t, DIMS(4), 1, 2, 3, 4);
    node_absent(t);
    node_absent(t);
    CONSTANT_INTS(t, 3);
    node_fails(t, CNN_INVALID_MODEL, "needs the input roi");
}

Test(resize, integers_round) {
    node_test *t = node_begin("Resize", 13);
    node_attr_string(t, "mode", "linear");
    node_in(t, CNN_UINT8, DIMS(2), NUMBERS(254, 255));
    node_absent(t);
    node_constant(t, CNN_FLOAT32, DIMS(1), NUMBERS(0.5));
    node_gives(t, 0, CNN_UINT8, DIMS(1), NUMBERS(254));
    node_end(t);
}

Test(resize, errors) {
    node_test *t = row(11, "quadratic", NULL, 1);
    node_fails(t, CNN_INVALID_MODEL, "attribute mode has the unknown value 'quadratic'");
    t = row(11, "nearest", NULL, 0);
    node_fails(t, CNN_INVALID_MODEL, "scales[1] is 0");
    t = row(11, "nearest", NULL, 1e30);
    node_fails(t, CNN_INVALID_MODEL, "scales[1] is 1e+30");
    t = node_begin("Resize", 13);
    node_in_counting(t, DIMS(2, 2));
    node_absent(t);
    node_constant(t, CNN_FLOAT32, DIMS(1), NUMBERS(2));
    node_fails(t, CNN_INVALID_MODEL, "2 axes are resized, but scales has 1 entries");
    t = node_begin("Resize", 13);
    node_in_counting(t, DIMS(2));
    node_absent(t);
    IN(t, DIMS(1), 2);
    node_fails(t, CNN_UNSUPPORTED, "needs a constant scales");
}
