#include "node.h"

/* An equation of a 2x2 of 1..4 and, maybe, a second one of 5, 6, 7, 8. */
static node_test *einsum(const char *equation, int inputs) {
    node_test *t = node_begin("Einsum", 12);
    node_attr_string(t, "equation", equation);
    IN(t, DIMS(2, 2), 1, 2, 3, 4);
    if (inputs > 1) IN(t, DIMS(2, 2), 5, 6, 7, 8);
    return t;
}

Test(einsum, products) {
    node_test *t = einsum("ij,jk->ik", 2);
    GIVES(t, DIMS(2, 2), 19, 22, 43, 50);
    cr_assert_eq(node_macs(t), 8);
    node_end(t);
    t = einsum("ij,jk", 2); /* the same, the output being implied */
    GIVES(t, DIMS(2, 2), 19, 22, 43, 50);
    node_end(t);
    t = einsum("ij , ij -> i", 2);
    GIVES(t, DIMS(2), 17, 53);
    node_end(t);
    t = einsum("ij,kl->jl", 2); /* (4, 6) by (12, 14) */
    GIVES(t, DIMS(2, 2), 48, 56, 72, 84);
    node_end(t);
}

Test(einsum, of_one) {
    node_test *t = einsum("ij->ji", 1);
    GIVES(t, DIMS(2, 2), 1, 3, 2, 4);
    node_end(t);
    t = einsum("ii", 1);
    GIVES(t, SCALAR, 5);
    node_end(t);
    t = einsum("ii->i", 1);
    GIVES(t, DIMS(2), 1, 4);
    node_end(t);
    t = einsum("ba", 1); /* implied output in alphabetical order: a transpose */
    GIVES(t, DIMS(2, 2), 1, 3, 2, 4);
    node_end(t);
}

Test(einsum, ellipsis) {
    node_test *t = einsum("...i,...i->...", 2);
    GIVES(t, DIMS(2), 17, 53);
    node_end(t);
    t = node_begin("Einsum", 12);
    node_attr_string(t, "equation", "...ij,...jk");
    IN(t, DIMS(2, 1, 2), 1, 2, 3, 4);
    IN(t, DIMS(1, 2, 1), 1, 10);
    GIVES(t, DIMS(2, 1, 1), 21, 43);
    node_end(t);
}

Test(einsum, integers) {
    node_test *t = node_begin("Einsum", 12);
    node_attr_string(t, "equation", "i,i->");
    IN_INTS(t, DIMS(2), 3000000000.0, 2);
    IN_INTS(t, DIMS(2), 3, -1);
    node_gives(t, 0, CNN_INT64, SCALAR, NUMBERS(8999999998.0));
    node_end(t);
}

Test(einsum, refusals) {
    node_fails(einsum("ij,jk->ik", 1), CNN_INVALID_MODEL, "is malformed or does not fit");
    node_fails(einsum("ij->ij", 2), CNN_INVALID_MODEL, "is malformed or does not fit");
    node_fails(einsum("ijk->i", 1), CNN_INVALID_MODEL, "is malformed or does not fit");
    node_fails(einsum("i.->i", 1), CNN_INVALID_MODEL, "is malformed or does not fit");
    node_fails(einsum("ij->k", 1), CNN_INVALID_MODEL, "has an output that its terms do not give");
    node_fails(einsum("ij->ii", 1), CNN_INVALID_MODEL, "has an output that its terms do not give");
    node_test *t = node_begin("Einsum", 12);
    node_attr_string(t, "equation", "i,i->");
    IN(t, DIMS(2), 1, 2);
    IN(t, DIMS(3), 1, 2, 3);
    node_fails(t, CNN_INVALID_MODEL, "gives one label different extents");
}
