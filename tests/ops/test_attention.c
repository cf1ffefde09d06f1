#include "node.h"

#include <math.h>

/* Scores log 3 and 0 weigh 3 : 1. */
Test(attention, one_head) {
    node_test *t = node_begin("Attention", 23);
    node_attr_float(t, "scale", 1);
    IN(t, DIMS(1, 1, 1, 2), log(3), 5);
    IN(t, DIMS(1, 1, 2, 2), 1, 0, 0, 0);
    IN(t, DIMS(1, 1, 2, 1), 4, 8);
    GIVES(t, DIMS(1, 1, 1, 1), 5);
    cr_assert_eq(node_macs(t), 2 * (2 + 1));
    node_end(t);
}

/* Scale 1 / sqrt(4) by default. */
Test(attention, default_scale) {
    node_test *t = node_begin("Attention", 23);
    IN(t, DIMS(1, 1, 1, 4), 2 * log(3), 0, 0, 0);
    IN(t, DIMS(1, 1, 2, 4), 1, 0, 0, 0, 0, 0, 0, 0);
    IN(t, DIMS(1, 1, 2, 1), 4, 8);
    GIVES(t, DIMS(1, 1, 1, 1), 5);
    node_end(t);
}

/* (batch, length, heads x size): two query heads share one of keys and values. */
Test(attention, three_axes_and_shared_heads) {
    node_test *t = node_begin("Attention", 23);
    node_attr_int(t, "q_num_heads", 2);
    node_attr_int(t, "kv_num_heads", 1);
    node_attr_float(t, "scale", 1);
    IN(t, DIMS(1, 1, 2), log(3), 0);
    IN(t, DIMS(1, 2, 1), 1, 0);
    IN(t, DIMS(1, 2, 1), 4, 8);
    GIVES(t, DIMS(1, 1, 2), 5, 6);
    node_end(t);
}

/* A query that may look at nothing gives zero; one that may look at one key gives its value. */
Test(attention, masks) {
    node_test *t = node_begin("Attention", 24);
    IN(t, DIMS(1, 1, 2, 1), 1, 1);
    IN(t, DIMS(1, 1, 2, 1), 1, 1);
    IN(t, DIMS(1, 1, 2, 1), 4, 8);
    node_in(t, CNN_BOOL, DIMS(2, 2), NUMBERS(0, 0, 0, 1));
    GIVES(t, DIMS(1, 1, 2, 1), 0, 8);
    node_end(t);
    t = node_begin("Attention", 24);
    node_attr_int(t, "is_causal", 1);
    IN(t, DIMS(1, 1, 2, 1), 1, 1);
    IN(t, DIMS(1, 1, 2, 1), 1, 1);
    IN(t, DIMS(1, 1, 2, 1), 4, 8);
    GIVES(t, DIMS(1, 1, 2, 1), 4, 6);
    node_end(t);
    t = node_begin("Attention", 24); /* log 3 added to the first; a key beyond the mask is out */
    IN(t, DIMS(1, 1, 1, 1), 0);
    IN(t, DIMS(1, 1, 3, 1), 1, 1, 1);
    IN(t, DIMS(1, 1, 3, 1), 4, 8, 1000);
    IN(t, DIMS(1, 2), log(3), 0);
    GIVES(t, DIMS(1, 1, 1, 1), 5);
    node_end(t);
}

Test(attention, refusals) {
    node_test *t = node_begin("Attention", 23);
    node_in_counting(t, DIMS(1, 1, 2, 3));
    node_in_counting(t, DIMS(1, 1, 2, 2));
    node_in_counting(t, DIMS(1, 1, 2, 2));
    node_fails(t, CNN_INVALID_MODEL, "query, key, value and mask do not fit");
    t = node_begin("Attention", 23);
    for (int i = 0; i < 5; i++)
        i == 3 ? node_absent(t) : node_in_counting(t, DIMS(1, 1, 2, 2));
    node_fails(t, CNN_UNSUPPORTED, "caches of keys and values (input 4) are not supported");
    t = node_begin("Attention", 25);
    node_attr_int(t, "left_window_size", 1);
    for (int i = 0; i < 3; i++)
        node_in_counting(t, DIMS(1, 1, 2, 2));
    node_fails(t, CNN_UNSUPPORTED, "sliding windows are not supported");
}
