#include "node.h"

Test(concat, axes) {
    node_test *t = node_begin("Concat", 4);
    node_attr_int(t, "axis", 1);
    IN(t, DIMS(2, 1), 1, 2);
    IN(t, DIMS(2, 2), 3, 4, 5, 6);
    GIVES(t, DIMS(2, 3), 1, 3, 4, 2, 5, 6);
    node_end(t);
    t = node_begin("Concat", 13);
    node_attr_int(t, "axis", -2);
    IN_INTS(t, DIMS(1, 2), 1, 2);
    node_in(t, CNN_INT64, DIMS(0, 2), NOTHING);
    IN_INTS(t, DIMS(1, 2), 3, 4);
    node_gives(t, 0, CNN_INT64, DIMS(2, 2), NUMBERS(1, 2, 3, 4));
    node_end(t);
}

Test(concat, errors) {
    node_test *t = node_begin("Concat", 11);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "attribute axis is missing");
    t = node_begin("Concat", 11);
    node_attr_int(t, "axis", 0);
    node_in_counting(t, DIMS(2, 2));
    node_in_counting(t, DIMS(2, 3));
    node_fails(t, CNN_INVALID_MODEL, "shapes 2x2 and 2x3 differ on another axis than 0");
    t = node_begin("Concat", 11);
    node_attr_int(t, "axis", 0);
    node_in_counting(t, DIMS(2));
    IN_INTS(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "int64");
    t = node_begin("Concat", 11);
    node_attr_int(t, "axis", 0);
    node_in_counting(t, SCALAR);
    node_fails(t, CNN_INVALID_MODEL, "axis 0 is outside the 0 dimensions");
}

Test(split, evenly) {
    node_test *t = node_begin("Split", 2);
    node_attr_int(t, "axis", 1);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(2, 4));
    GIVES(t, DIMS(2, 2), 1, 2, 5, 6);
    node_gives(t, 1, CNN_FLOAT32, DIMS(2, 2), NUMBERS(3, 4, 7, 8));
    node_end(t);
    t = node_begin("Split", 18); /* 5 by 2: the last one is shorter */
    node_attr_int(t, "num_outputs", 2);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(5));
    GIVES(t, DIMS(3), 1, 2, 3);
    node_gives(t, 1, CNN_FLOAT32, DIMS(2), NUMBERS(4, 5));
    node_end(t);
}

Test(split, by_lengths) {
    node_test *t = node_begin("Split", 11);
    ATTR_INTS(t, "split", 1, 2);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(3));
    GIVES(t, DIMS(1), 1);
    node_gives(t, 1, CNN_FLOAT32, DIMS(2), NUMBERS(2, 3));
    node_end(t);
    t = node_begin("Split", 13);
    node_attr_int(t, "axis", -1);
    node_outputs(t, 3);
    node_in_counting(t, DIMS(2, 2));
    CONSTANT_INTS(t, 1, 0, 1);
    GIVES(t, DIMS(2, 1), 1, 3);
    node_gives(t, 1, CNN_FLOAT32, DIMS(2, 0), NOTHING);
    node_gives(t, 2, CNN_FLOAT32, DIMS(2, 1), NUMBERS(2, 4));
    node_end(t);
}

Test(split, many_parts) {
    node_test *t = node_begin("Split", 13);
    node_outputs(t, 60);
    node_in_counting(t, DIMS(60));
    node_run(t);
    node_gives(t, 59, CNN_FLOAT32, DIMS(1), NUMBERS(60));
    node_end(t);
}

Test(split, errors) {
    node_test *t = node_begin("Split", 13);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(5));
    node_fails(t, CNN_INVALID_MODEL, "an extent of 5 cannot be split into 2 equal parts");
    t = node_begin("Split", 11);
    ATTR_INTS(t, "split", 1, 1);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(3));
    node_fails(t, CNN_INVALID_MODEL, "split adds up to 2, but the extent is 3");
    t = node_begin("Split", 11);
    ATTR_INTS(t, "split", -1, 4);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(3));
    node_fails(t, CNN_INVALID_MODEL, "split[0] is -1");
    t = node_begin("Split", 11);
    ATTR_INTS(t, "split", 1, 1, 1);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(3));
    node_fails(t, CNN_INVALID_MODEL, "split has 3 entries for 2 outputs");
    t = node_begin("Split", 18);
    node_attr_int(t, "num_outputs", 3);
    node_outputs(t, 2);
    node_in_counting(t, DIMS(3));
    node_fails(t, CNN_INVALID_MODEL, "num_outputs is 3, but there are 2 outputs");
}

Test(transpose, permutations) {
    node_test *t = node_begin("Transpose", 1);
    node_in_counting(t, DIMS(2, 1, 3));
    GIVES(t, DIMS(3, 1, 2), 1, 4, 2, 5, 3, 6);
    node_end(t);
    t = node_begin("Transpose", 13);
    ATTR_INTS(t, "perm", 1, 2, 0);
    node_in(t, CNN_UINT8, DIMS(2, 1, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    node_gives(t, 0, CNN_UINT8, DIMS(1, 3, 2), NUMBERS(1, 4, 2, 5, 3, 6));
    node_end(t);
    t = node_begin("Transpose", 13);
    ATTR_INTS(t, "perm", 0, 0);
    node_in_counting(t, DIMS(2, 2));
    node_fails(t, CNN_INVALID_MODEL, "perm is no permutation of the 2 dimensions");
    t = node_begin("Transpose", 13);
    ATTR_INTS(t, "perm", 1, 0, 2);
    node_in_counting(t, DIMS(2, 2));
    node_fails(t, CNN_INVALID_MODEL, "perm is no permutation");
}

/* A Slice since version 10: starts, ends and maybe axes, steps of a 2x4 of 1..8. */
static node_test *slice(void) {
    node_test *t = node_begin("Slice", 13);
    node_in_counting(t, DIMS(2, 4));
    return t;
}

Test(slice, attributes_before_10) {
    node_test *t = node_begin("Slice", 1);
    ATTR_INTS(t, "starts", -3, 0);
    ATTR_INTS(t, "ends", -1, 1000);
    ATTR_INTS(t, "axes", 1, 0);
    node_in_counting(t, DIMS(2, 4));
    GIVES(t, DIMS(2, 2), 2, 3, 6, 7);
    node_end(t);
}

Test(slice, steps) {
    node_test *t = slice();
    CONSTANT_INTS(t, 0, 3);
    CONSTANT_INTS(t, 1, -1000);
    CONSTANT_INTS(t, 0, 1);
    CONSTANT_INTS(t, 1, -2);
    GIVES(t, DIMS(1, 2), 4, 2);
    node_end(t);
    t = slice(); /* down from behind the end, to 0 exclusive */
    CONSTANT_INTS(t, 99);
    CONSTANT_INTS(t, 0);
    CONSTANT_INTS(t, -1);
    CONSTANT_INTS(t, -1);
    GIVES(t, DIMS(2, 3), 4, 3, 2, 8, 7, 6);
    node_end(t);
}

Test(slice, empty_and_extremes) {
    node_test *t = slice();
    CONSTANT_INTS(t, 1);
    CONSTANT_INTS(t, 1);
    node_gives(t, 0, CNN_FLOAT32, DIMS(0, 4), NOTHING);
    node_end(t);
    t = slice();
    node_constant(t, CNN_INT64, DIMS(1), NUMBERS(-0x1p63));
    node_constant(t, CNN_INT64, DIMS(1), NUMBERS(0x1p62));
    CONSTANT_INTS(t, 1);
    node_constant(t, CNN_INT64, DIMS(1), NUMBERS(0x1p62));
    GIVES(t, DIMS(2, 1), 1, 5);
    node_end(t);
    t = node_begin("Slice", 13);
    node_in(t, CNN_FLOAT32, DIMS(0), NOTHING);
    CONSTANT_INTS(t, -1);
    node_constant(t, CNN_INT64, DIMS(1), NUMBERS(-0x1p63));
    CONSTANT_INTS(t, 0);
    node_constant(t, CNN_INT64, DIMS(1), NUMBERS(-0x1p63));
    node_gives(t, 0, CNN_FLOAT32, DIMS(0), NOTHING);
    node_end(t);
}

Test(slice, errors) {
    node_test *t = slice();
    CONSTANT_INTS(t, 0);
    CONSTANT_INTS(t, 1);
    CONSTANT_INTS(t, 0);
    CONSTANT_INTS(t, 0);
    node_fails(t, CNN_INVALID_MODEL, "steps[0] is 0");
    t = slice();
    CONSTANT_INTS(t, 0, 0);
    CONSTANT_INTS(t, 1);
    node_fails(t, CNN_INVALID_MODEL, "must have as many entries");
    t = slice();
    CONSTANT_INTS(t, 0);
    IN_INTS(t, DIMS(1), 1);
    node_fails(t, CNN_UNSUPPORTED, "needs a constant ends");
    t = slice();
    CONSTANT_INTS(t, 0);
    CONSTANT_INTS(t, 1);
    CONSTANT_INTS(t, 2);
    node_fails(t, CNN_INVALID_MODEL, "axis 2 is outside");
}

Test(expand, both_ways) {
    node_test *t = node_begin("Expand", 8);
    IN(t, DIMS(2, 1), 1, 2);
    CONSTANT_INTS(t, 2, 1, 3);
    GIVES(t, DIMS(2, 2, 3), 1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2);
    node_end(t);
    t = node_begin("Expand", 13);
    IN(t, DIMS(2), 1, 2);
    CONSTANT_INTS(t, 3);
    node_fails(t, CNN_INVALID_MODEL, "the input's shape 2 cannot be expanded to 3");
    t = node_begin("Expand", 13);
    IN(t, DIMS(1), 1);
    CONSTANT_INTS(t, 1048576, 1048576);
    node_fails(t, CNN_LIMIT, "takes more than");
}

Test(tile, repeats) {
    node_test *t = node_begin("Tile", 6);
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    CONSTANT_INTS(t, 1, 2);
    GIVES(t, DIMS(2, 4), 1, 2, 1, 2, 3, 4, 3, 4);
    node_end(t);
    t = node_begin("Tile", 13);
    IN(t, DIMS(2), 1, 2);
    CONSTANT_INTS(t, 0);
    node_gives(t, 0, CNN_FLOAT32, DIMS(0), NOTHING);
    node_end(t);
    t = node_begin("Tile", 13);
    IN(t, DIMS(2), 1, 2);
    CONSTANT_INTS(t, 2, 2);
    node_fails(t, CNN_INVALID_MODEL, "repeats has 2 entries for 1 dimensions");
}

/* 8 channels of one pixel: DCR takes them depth last, CRD depth first. */
Test(depth_to_space, modes) {
    node_test *t = node_begin("DepthToSpace", 1);
    node_attr_int(t, "blocksize", 2);
    node_in_counting(t, DIMS(1, 8, 1, 1));
    GIVES(t, DIMS(1, 2, 2, 2), 1, 3, 5, 7, 2, 4, 6, 8);
    node_end(t);
    t = node_begin("DepthToSpace", 11);
    node_attr_int(t, "blocksize", 2);
    node_attr_string(t, "mode", "CRD");
    node_in_counting(t, DIMS(1, 8, 1, 1));
    GIVES(t, DIMS(1, 2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8);
    node_end(t);
    t = node_begin("DepthToSpace", 11);
    node_attr_int(t, "blocksize", 3);
    node_in_counting(t, DIMS(1, 8, 1, 1));
    node_fails(t, CNN_INVALID_MODEL, "8 channels are no multiple of the square of blocksize 3");
}

Test(space_to_depth, undoes_dcr) {
    node_test *t = node_begin("SpaceToDepth", 1);
    node_attr_int(t, "blocksize", 2);
    IN(t, DIMS(1, 2, 2, 2), 1, 3, 5, 7, 2, 4, 6, 8);
    GIVES(t, DIMS(1, 8, 1, 1), 1, 2, 3, 4, 5, 6, 7, 8);
    node_end(t);
    t = node_begin("SpaceToDepth", 13);
    node_attr_int(t, "blocksize", 2);
    node_in_counting(t, DIMS(1, 1, 2, 3));
    node_fails(t, CNN_INVALID_MODEL, "height 2 and width 3 must be multiples of blocksize 2");
}

Test(gather, rows_columns_and_negatives) {
    node_test *t = node_begin("Gather", 1);
    node_in_counting(t, DIMS(3, 2));
    IN_INTS(t, DIMS(2), 2, 0);
    GIVES(t, DIMS(2, 2), 5, 6, 1, 2);
    node_end(t);
    t = node_begin("Gather", 11);
    node_attr_int(t, "axis", -1);
    node_in_counting(t, DIMS(3, 2));
    node_in(t, CNN_INT32, SCALAR, NUMBERS(-1));
    GIVES(t, DIMS(3), 2, 4, 6);
    node_end(t);
    t = node_begin("Gather", 13);
    node_attr_int(t, "axis", 1);
    node_in_counting(t, DIMS(1, 3));
    IN_INTS(t, DIMS(1, 2), 0, 2);
    GIVES(t, DIMS(1, 1, 2), 1, 3);
    node_end(t);
}

/* Constant indices are checked when the model is loaded; others read zero. */
Test(gather, outside) {
    node_test *t = node_begin("Gather", 11);
    node_in_counting(t, DIMS(3));
    CONSTANT_INTS(t, 0, 3);
    node_fails(t, CNN_INVALID_MODEL, "index 3 is outside an extent of 3");
    t = node_begin("Gather", 11);
    node_in_counting(t, DIMS(3));
    IN_INTS(t, DIMS(3), 3, -4, -3);
    GIVES(t, DIMS(3), 0, 0, 1);
    node_end(t);
}

Test(gather_elements, along_an_axis) {
    node_test *t = node_begin("GatherElements", 11);
    node_attr_int(t, "axis", 1);
    node_in_counting(t, DIMS(2, 2));
    IN_INTS(t, DIMS(2, 2), 0, 0, 1, -2);
    GIVES(t, DIMS(2, 2), 1, 1, 4, 3);
    node_end(t);
    t = node_begin("GatherElements", 13);
    node_in_counting(t, DIMS(2, 2));
    IN_INTS(t, DIMS(1, 2), 1, 9);
    GIVES(t, DIMS(1, 2), 3, 0);
    node_end(t);
    t = node_begin("GatherElements", 13);
    node_in_counting(t, DIMS(2, 2));
    IN_INTS(t, DIMS(1, 3), 1, 0, 0);
    node_fails(t, CNN_INVALID_MODEL, "larger extent than the input on axis 1");
}

Test(gather_nd, tuples_and_batches) {
    node_test *t = node_begin("GatherND", 11);
    node_in_counting(t, DIMS(2, 2));
    IN_INTS(t, DIMS(2, 2), 0, 0, 1, -1);
    GIVES(t, DIMS(2), 1, 4);
    node_end(t);
    t = node_begin("GatherND", 11); /* whole rows */
    node_in_counting(t, DIMS(2, 2));
    IN_INTS(t, DIMS(1, 1), 1);
    GIVES(t, DIMS(1, 2), 3, 4);
    node_end(t);
    t = node_begin("GatherND", 12);
    node_attr_int(t, "batch_dims", 1);
    node_in_counting(t, DIMS(2, 2, 2));
    IN_INTS(t, DIMS(2, 1), 1, 0);
    GIVES(t, DIMS(2, 2), 3, 4, 5, 6);
    node_end(t);
    t = node_begin("GatherND", 12);
    node_in_counting(t, DIMS(2, 2));
    CONSTANT_INTS(t, 0, 2);
    node_fails(t, CNN_INVALID_MODEL, "index tuple 0 is outside the input");
}

Test(scatter_elements, replaces_and_adds) {
    node_test *t = node_begin("Scatter", 9);
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    IN_INTS(t, DIMS(1, 2), 1, 0);
    IN(t, DIMS(1, 2), 10, 20);
    GIVES(t, DIMS(2, 2), 1, 20, 10, 4);
    node_end(t);
    t = node_begin("ScatterElements", 16);
    node_attr_string(t, "reduction", "add");
    IN(t, DIMS(3), 1, 2, 3);
    IN_INTS(t, DIMS(3), 1, 1, 7);
    IN(t, DIMS(3), 10, 20, 30);
    GIVES(t, DIMS(3), 1, 32, 3);
    node_end(t);
    t = node_begin("ScatterElements", 18);
    node_attr_string(t, "reduction", "max");
    IN_INTS(t, DIMS(2), -5, 5);
    IN_INTS(t, DIMS(2), 0, 1);
    IN_INTS(t, DIMS(2), -7, 7);
    node_gives(t, 0, CNN_INT64, DIMS(2), NUMBERS(-5, 7));
    node_end(t);
    t = node_begin("ScatterElements", 18);
    node_attr_string(t, "reduction", "mean");
    IN(t, DIMS(1), 1);
    IN_INTS(t, DIMS(1), 0);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "reduction is 'mean'");
}

Test(scatter_nd, rows_and_elements) {
    node_test *t = node_begin("ScatterND", 11);
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    IN_INTS(t, DIMS(1, 1), 1);
    IN(t, DIMS(1, 2), 30, 40);
    GIVES(t, DIMS(2, 2), 1, 2, 30, 40);
    node_end(t);
    t = node_begin("ScatterND", 16);
    node_attr_string(t, "reduction", "mul");
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    IN_INTS(t, DIMS(2, 2), 0, 1, 0, 1);
    IN(t, DIMS(2), 10, 10);
    GIVES(t, DIMS(2, 2), 1, 200, 3, 4);
    node_end(t);
    t = node_begin("ScatterND", 16);
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    IN_INTS(t, DIMS(1, 1), 0);
    IN(t, DIMS(1), 1);
    node_fails(t, CNN_INVALID_MODEL, "the updates' shape does not fit");
}

/* An odd pixel: cropped at the end, padded at the end. */
Test(center_crop_pad, crops_and_pads) {
    node_test *t = node_begin("CenterCropPad", 18);
    node_in_counting(t, DIMS(2, 4));
    CONSTANT_INTS(t, 3, 1);
    GIVES(t, DIMS(3, 1), 2, 6, 0);
    node_end(t);
    t = node_begin("CenterCropPad", 18);
    ATTR_INTS(t, "axes", -1);
    node_in_counting(t, DIMS(1, 2));
    CONSTANT_INTS(t, 5);
    GIVES(t, DIMS(1, 5), 0, 1, 2, 0, 0);
    node_end(t);
    t = node_begin("CenterCropPad", 18);
    node_in_counting(t, DIMS(1, 2));
    CONSTANT_INTS(t, 5);
    node_fails(t, CNN_INVALID_MODEL, "shape has 1 extents for 2 axes");
}

Test(trilu, diagonals) {
    node_test *t = node_begin("Trilu", 14);
    node_in_counting(t, DIMS(2, 3));
    GIVES(t, DIMS(2, 3), 1, 2, 3, 0, 5, 6);
    node_end(t);
    t = node_begin("Trilu", 14);
    node_attr_int(t, "upper", 0);
    node_in_counting(t, DIMS(2, 3));
    IN_INTS(t, SCALAR, -1);
    GIVES(t, DIMS(2, 3), 0, 0, 0, 4, 0, 0);
    node_end(t);
}

/* The condition may be shorter than the axis. */
Test(compress, slices_and_elements) {
    node_test *t = node_begin("Compress", 11);
    node_attr_int(t, "axis", 1);
    node_in_counting(t, DIMS(2, 3));
    node_constant(t, CNN_BOOL, DIMS(2), NUMBERS(0, 1));
    GIVES(t, DIMS(2, 1), 2, 5);
    node_end(t);
    t = node_begin("Compress", 9);
    node_in_counting(t, DIMS(2, 2));
    node_constant(t, CNN_BOOL, DIMS(4), NUMBERS(1, 0, 0, 1));
    GIVES(t, DIMS(2), 1, 4);
    node_end(t);
    t = node_begin("Compress", 9);
    node_in_counting(t, DIMS(2));
    node_in(t, CNN_BOOL, DIMS(2), NUMBERS(1, 0));
    node_fails(t, CNN_UNSUPPORTED, "needs a constant condition");
}
