#include "node.h"

#include <math.h>

/* epsilon 0: (x - mean) / sqrt(var) * scale + bias. */
static node_test *batch_norm(int opset) {
    node_test *t = node_begin("BatchNormalization", opset);
    node_attr_float(t, "epsilon", 0);
    return t;
}

static void channel_params(node_test *t) {
    IN(t, DIMS(2), 2, 3);   /* scale */
    IN(t, DIMS(2), 10, 20); /* bias */
    IN(t, DIMS(2), 1, -1);  /* mean */
    IN(t, DIMS(2), 4, 9);   /* variance */
}

Test(batch_normalization, inference) {
    static const int opsets[] = {6, 7, 9, 14, 15};
    for (size_t i = 0; i < 5; i++) {
        node_test *t = batch_norm(opsets[i]);
        IN(t, DIMS(1, 2, 2), 1, 3, -1, 2);
        channel_params(t);
        GIVES(t, DIMS(1, 2, 2), 10, 12, 20, 23);
        node_end(t);
    }
}

Test(batch_normalization, epsilon_defaults_to_1e_5) {
    node_test *t = node_begin("BatchNormalization", 9);
    IN(t, DIMS(1, 1), 1);
    IN(t, DIMS(1), 1);
    IN(t, DIMS(1), 0);
    IN(t, DIMS(1), 0);
    IN(t, DIMS(1), 0);
    GIVES(t, DIMS(1, 1), 1 / sqrt(1e-5));
    node_end(t);
}

/* spatial = 0: one parameter for each position of an image. */
Test(batch_normalization, not_spatial) {
    node_test *t = batch_norm(7);
    node_attr_int(t, "spatial", 0);
    IN(t, DIMS(2, 1, 2), 1, 2, 3, 4);
    for (int i = 0; i < 4; i++)
        IN(t, DIMS(1, 2), i == 0 ? 5 : 1, 1); /* scale 5, 1; the others 1, 1 */
    GIVES(t, DIMS(2, 1, 2), 1, 2, 11, 4);
    node_end(t);
    t = batch_norm(9);
    node_attr_int(t, "spatial", 0);
    IN(t, DIMS(1, 2, 2), 1, 3, -1, 2);
    channel_params(t);
    node_fails(t, CNN_INVALID_MODEL, "attribute spatial is unknown");
}

/* The batch 1, 3 has mean 2 and variance 1; running = old * 0.75 + new * 0.25. */
Test(batch_normalization, training_mode) {
    node_test *t = batch_norm(15);
    node_attr_int(t, "training_mode", 1);
    node_attr_float(t, "momentum", 0.75);
    node_outputs(t, 3);
    IN(t, DIMS(2, 1), 1, 3);
    IN(t, DIMS(1), 2);
    IN(t, DIMS(1), 5);
    IN(t, DIMS(1), 10);
    IN(t, DIMS(1), 5);
    GIVES(t, DIMS(2, 1), 3, 7);
    node_gives(t, 1, CNN_FLOAT32, DIMS(1), NUMBERS(8));
    node_gives(t, 2, CNN_FLOAT32, DIMS(1), NUMBERS(4));
    node_end(t);
}

Test(batch_normalization, errors) {
    node_test *t = batch_norm(9);
    node_outputs(t, 3);
    IN(t, DIMS(1, 2, 2), 1, 3, -1, 2);
    channel_params(t);
    node_fails(t, CNN_UNSUPPORTED, "in training only");
    t = batch_norm(9);
    IN(t, DIMS(1, 3), 1, 3, -1);
    channel_params(t);
    node_fails(t, CNN_INVALID_MODEL,
               "has shape 2, but must be a vector of one value for each of "
               "the 3 channels");
}

/* Three channels, size 3: y = x / (1 + 3 / 3 * sum of squares). */
Test(lrn, neighbours) {
    node_test *t = node_begin("LRN", 1);
    node_attr_int(t, "size", 3);
    node_attr_float(t, "alpha", 3);
    node_attr_float(t, "beta", 1);
    IN(t, DIMS(1, 3, 1), 1, 2, 3);
    GIVES(t, DIMS(1, 3, 1), 1.0 / 6, 2.0 / 15, 3.0 / 14);
    node_end(t);
}

/* An even size reaches one channel further up: c to c + 1 for size 2. */
Test(lrn, even_size_and_defaults) {
    node_test *t = node_begin("LRN", 13);
    node_attr_int(t, "size", 2);
    node_attr_float(t, "alpha", 2);
    node_attr_float(t, "beta", 0.5);
    node_attr_float(t, "bias", 0);
    IN(t, DIMS(1, 2, 1), 3, 4);
    GIVES(t, DIMS(1, 2, 1), 0.6, 1);
    node_end(t);
    t = node_begin("LRN", 13); /* alpha 1e-4, beta 0.75, bias 1 */
    node_attr_int(t, "size", 1);
    IN(t, DIMS(1, 1, 1), 100);
    GIVES(t, DIMS(1, 1, 1), 100 / pow(2, 0.75));
    node_end(t);
    t = node_begin("LRN", 13);
    node_in_counting(t, DIMS(1, 1, 1));
    node_fails(t, CNN_INVALID_MODEL, "attribute size is missing");
}

/* Two channels of 1x2 pixels, and another image: each pixel on its own becomes -1, 1. */
Test(layer_norm_2d, per_pixel) {
    for (int biased = 0; biased < 2; biased++) {
        node_test *t = node_begin("LayerNorm2d", 1);
        node_attr_float(t, "epsilon", 0);
        IN(t, DIMS(2, 2, 1, 2), 1, 10, 3, 30, 7, 0, 5, 4);
        IN(t, DIMS(2), 1, 2);
        if (biased) IN(t, DIMS(2), 0, 5);
        double shift = biased ? 5 : 0;
        GIVES(t, DIMS(2, 2, 1, 2), -1, -1, 2 + shift, 2 + shift, 1, -1, -2 + shift, 2 + shift);
        node_end(t);
    }
}

Test(layer_norm_2d, epsilon_defaults_to_1e_5) {
    node_test *t = node_begin("LayerNorm2d", 1);
    IN(t, DIMS(1, 2, 1, 1), -0.01, 0.01);
    IN(t, DIMS(2), 1, 1);
    GIVES(t, DIMS(1, 2, 1, 1), -0.01 / sqrt(1.1e-4), 0.01 / sqrt(1.1e-4));
    node_end(t);
}

Test(layer_norm_2d, errors) {
    node_test *t = node_begin("LayerNorm2d", 1);
    node_in_counting(t, DIMS(1, 2, 3));
    IN(t, DIMS(2), 1, 1);
    node_fails(t, CNN_INVALID_MODEL, "");
    t = node_begin("LayerNorm2d", 1);
    node_in_counting(t, DIMS(1, 2, 1, 3));
    IN(t, DIMS(3), 1, 1, 1);
    node_fails(t, CNN_INVALID_MODEL,
               "has shape 3, but must be a vector of one value for each of the 2 channels");
}

/* Each channel of each image becomes -1, 1. */
Test(instance_normalization, per_channel) {
    node_test *t = node_begin("InstanceNormalization", 6);
    node_attr_float(t, "epsilon", 0);
    IN(t, DIMS(1, 2, 2), 1, 3, 10, 30);
    IN(t, DIMS(2), 1, 2);
    IN(t, DIMS(2), 0, 5);
    GIVES(t, DIMS(1, 2, 2), -1, 1, 3, 7);
    node_end(t);
}

/* Two groups of two channels of one pixel; scales per group in 18, per channel in 21. */
Test(group_normalization, versions) {
    node_test *t = node_begin("GroupNormalization", 18);
    node_attr_float(t, "epsilon", 0);
    node_attr_int(t, "num_groups", 2);
    IN(t, DIMS(1, 4, 1), 1, 3, 10, 30);
    IN(t, DIMS(2), 1, 2);
    IN(t, DIMS(2), 0, 5);
    GIVES(t, DIMS(1, 4, 1), -1, 1, 3, 7);
    node_end(t);
    t = node_begin("GroupNormalization", 21);
    node_attr_float(t, "epsilon", 0);
    node_attr_int(t, "num_groups", 2);
    IN(t, DIMS(1, 4, 1), 1, 3, 10, 30);
    IN(t, DIMS(4), 1, 2, 3, 4);
    IN(t, DIMS(4), 0, 1, 2, 3);
    GIVES(t, DIMS(1, 4, 1), -1, 3, -1, 7);
    node_end(t);
    t = node_begin("GroupNormalization", 21);
    node_attr_int(t, "num_groups", 3);
    IN(t, DIMS(1, 4, 1), 1, 3, 10, 30);
    IN(t, DIMS(4), 1, 2, 3, 4);
    IN(t, DIMS(4), 0, 1, 2, 3);
    node_fails(t, CNN_INVALID_MODEL, "num_groups is 3, but must divide the 4 channels");
}

Test(layer_normalization, last_axis_and_statistics) {
    node_test *t = node_begin("LayerNormalization", 17);
    node_attr_float(t, "epsilon", 0);
    node_outputs(t, 3);
    IN(t, DIMS(2, 2), 1, 3, 10, 30);
    IN(t, DIMS(2), 1, 2);
    IN(t, DIMS(2), 0, 5);
    GIVES(t, DIMS(2, 2), -1, 7, -1, 7);
    node_gives(t, 1, CNN_FLOAT32, DIMS(2, 1), NUMBERS(2, 20));
    node_gives(t, 2, CNN_FLOAT32, DIMS(2, 1), NUMBERS(1, 0.1));
    node_end(t);
}

/* Over both axes: mean 2, deviation sqrt(2.5). */
Test(layer_normalization, from_axis_0_without_bias) {
    node_test *t = node_begin("LayerNormalization", 17);
    node_attr_float(t, "epsilon", 0);
    node_attr_int(t, "axis", 0);
    IN(t, DIMS(2, 2), 0, 1, 3, 4);
    IN(t, DIMS(2, 2), 1, 1, 1, 2);
    double unit = 1 / sqrt(2.5);
    GIVES(t, DIMS(2, 2), -2 * unit, -unit, unit, 4 * unit);
    node_end(t);
    t = node_begin("LayerNormalization", 17);
    IN(t, DIMS(2, 2), 0, 1, 3, 4);
    IN(t, DIMS(3), 1, 1, 1);
    node_fails(t, CNN_INVALID_MODEL, "of shape 3 cannot be broadcast to 2x2");
}

/* sqrt((9 + 16) / 2) */
Test(rms_normalization, keeps_the_mean) {
    node_test *t = node_begin("RMSNormalization", 23);
    node_attr_float(t, "epsilon", 0);
    IN(t, DIMS(1, 2), 3, 4);
    IN(t, DIMS(2), 1, 2);
    GIVES(t, DIMS(1, 2), 3 / sqrt(12.5), 8 / sqrt(12.5));
    node_end(t);
}

/* Over batch, rows and columns by default: one mean for each channel. */
Test(mean_variance_normalization, default_axes) {
    node_test *t = node_begin("MeanVarianceNormalization", 9);
    IN(t, DIMS(2, 2, 1, 1), 1, 10, 3, 30);
    GIVES(t, DIMS(2, 2, 1, 1), -1, -1, 1, 1);
    node_end(t);
    t = node_begin("MeanVarianceNormalization", 13);
    ATTR_INTS(t, "axes", 1);
    IN(t, DIMS(2, 2), 1, 3, 5, 5);
    GIVES(t, DIMS(2, 2), -1, 1, 0, 0);
    node_end(t);
    t = node_begin("MeanVarianceNormalization", 13);
    IN(t, DIMS(2, 2), 1, 3, 5, 5);
    node_fails(t, CNN_INVALID_MODEL, "axis 2 is outside the 2 dimensions");
}

Test(lp_normalization, norms_and_zero) {
    node_test *t = node_begin("LpNormalization", 1);
    IN(t, DIMS(2, 2), 3, 4, 0, 0);
    GIVES(t, DIMS(2, 2), 0.6, 0.8, 0, 0);
    node_end(t);
    t = node_begin("LpNormalization", 22);
    node_attr_int(t, "p", 1);
    node_attr_int(t, "axis", 0);
    IN(t, DIMS(2, 1), 3, -1);
    GIVES(t, DIMS(2, 1), 0.75, -0.25);
    node_end(t);
    t = node_begin("LpNormalization", 22);
    node_attr_int(t, "p", 3);
    IN(t, DIMS(2, 1), 3, -1);
    node_fails(t, CNN_INVALID_MODEL, "p is 3, but must be 1 or 2");
}
