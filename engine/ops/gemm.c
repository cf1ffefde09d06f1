/*
 * Gemm and MatMul. Integers are exact modulo 2^64; reals are summed in double.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"
#include "ops/matmul.h"

#define TYPES_PRODUCT                                                                              \
    (TYPES_REAL | TYPE(CNN_INT32) | TYPE(CNN_INT64) | TYPE(CNN_UINT32) | TYPE(CNN_UINT64))

/* Where the elements of a matrix are: element (i, j) is at start + i row + j column. */
typedef struct matrix {
    const tensor *t;
    size_t start, row, column;
} matrix;

ALWAYS_INLINE void dot_of(cnn_dtype type, const matrix *a, const matrix *b, size_t i, size_t j,
                          size_t depth, double *out) {
    double sum = 0;
    for (size_t k = 0; k < depth; k++)
        sum += real_at(type, a->t->data, a->start + i * a->row + k * a->column) *
               real_at(type, b->t->data, b->start + k * b->row + j * b->column);
    *out = sum;
}

/* Sum over k of a(i, k) b(k, j). */
static double dot_real(const matrix *a, const matrix *b, size_t i, size_t j, size_t depth) {
    double sum;
    FOR_REAL_TYPE(a->t->dtype, dot_of, a, b, i, j, depth, &sum);
    return sum;
}

static int64_t dot_int(const matrix *a, const matrix *b, size_t i, size_t j, size_t depth) {
    uint64_t sum = 0;
    for (size_t k = 0; k < depth; k++)
        sum += (uint64_t)int_at(a->t->dtype, a->t->data, a->start + i * a->row + k * a->column) *
               (uint64_t)int_at(b->t->dtype, b->t->data, b->start + k * b->row + j * b->column);
    return (int64_t)sum;
}

/* ---- Gemm: y = alpha a' b' + beta c ---- */

/*
 * a' is (M, K), b' is (K, N), c is broadcast to (M, N), y is (M, N). In nodes that passes make, a
 * that is not transposed may have more axes in place of M, as have c and y then.
 */
typedef struct gemm {
    bool trans_a, trans_b;
    int64_t m, n, k;
    double alpha, beta;
} gemm;

static gemm gemm_read(const graph_node *node, const cnn_shape *a, const cnn_shape *b) {
    gemm p = {.trans_a = graph_attr_int(node, "transA", 0) != 0,
              .trans_b = graph_attr_int(node, "transB", 0) != 0,
              .alpha = (double)graph_attr_float(node, "alpha", 1),
              .beta = (double)graph_attr_float(node, "beta", 1)};
    p.m = p.trans_a ? a->dims[1] : op_product(a, 0, a->rank - 1);
    p.k = a->dims[p.trans_a ? 0 : a->rank - 1];
    p.n = b->dims[!p.trans_b];
    return p;
}

static cnn_status gemm_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_PRODUCT, err));
    TRY(op_expect_rank(g, node, 0, 2, 2, err));
    TRY(op_expect_rank(g, node, 1, 2, 2, err));
    const graph_value *a = op_input(g, node, 0), *b = op_input(g, node, 1);
    const graph_value *c = op_input(g, node, 2);
    gemm p = gemm_read(node, &a->shape, &b->shape);
    char text[128], other[128];
    if (b->shape.dims[p.trans_b] != p.k)
        return op_fail(node, err, CNN_INVALID_MODEL, "matrices %s%s and %s%s cannot be multiplied",
                       cnn_shape_text(&a->shape, text, sizeof text), p.trans_a ? " transposed" : "",
                       cnn_shape_text(&b->shape, other, sizeof other),
                       p.trans_b ? " transposed" : "");
    cnn_shape out = {.rank = 2, .dims = {p.m, p.n}}, with_c;
    if (c && (!op_broadcast(&out, &c->shape, &with_c) || !cnn_shape_equal(&out, &with_c)))
        return op_fail(node, err, CNN_INVALID_MODEL, "C of shape %s cannot be broadcast to %s",
                       cnn_shape_text(&c->shape, text, sizeof text),
                       cnn_shape_text(&out, other, sizeof other));
    return op_set_output(g, node, 0, a->dtype, &out, err);
}

static void gemm_eval_int(const gemm *p, const matrix *a, const matrix *b, const tensor *c,
                          const view *of_c, tensor *y) {
    for (size_t at = 0; at < y->elements; at++) {
        int64_t ab = dot_int(a, b, at / (size_t)p->n, at % (size_t)p->n, (size_t)p->k), plus = 0;
        size_t offset;
        if (c) {
            view_offsets(of_c, at, 1, &offset);
            plus = int_at(c->dtype, c->data, offset);
        }
        if (p->alpha != 1) ab = int_of_double(p->alpha * (double)ab);
        if (p->beta != 1) plus = int_of_double(p->beta * (double)plus);
        int_put(y->dtype, y->data, at, (int64_t)((uint64_t)ab + (uint64_t)plus));
    }
}

static void gemm_eval_real(const gemm *p, const matrix *a, const matrix *b, const tensor *c,
                           const view *of_c, tensor *y) {
    for (size_t at = 0; at < y->elements; at++) {
        double ab = dot_real(a, b, at / (size_t)p->n, at % (size_t)p->n, (size_t)p->k), plus = 0;
        size_t offset;
        if (c) {
            view_offsets(of_c, at, 1, &offset);
            plus = p->beta * real_at(c->dtype, c->data, offset);
        }
        real_put(y->dtype, y->data, at, p->alpha * ab + plus);
    }
}

static void gemm_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    gemm p = gemm_read(node, &in[0]->shape, &in[1]->shape);
    const tensor *c = eval_in(node, in, 2);
    matrix a = {in[0], 0, p.trans_a ? 1 : (size_t)p.k, p.trans_a ? (size_t)p.m : 1};
    matrix b = {in[1], 0, p.trans_b ? 1 : (size_t)p.n, p.trans_b ? (size_t)p.k : 1};
    view of_c = {0};
    if (c) of_c = view_broadcast(&c->shape, &out[0]->shape);
    if (number_class_of(in[0]->dtype) == NUMBER_REAL)
        gemm_eval_real(&p, &a, &b, c, &of_c, out[0]);
    else
        gemm_eval_int(&p, &a, &b, c, &of_c, out[0]);
}

static uint64_t gemm_macs(const graph *g, const graph_node *node) {
    gemm p = gemm_read(node, &op_input(g, node, 0)->shape, &op_input(g, node, 1)->shape);
    return (uint64_t)p.m * (uint64_t)p.n * (uint64_t)p.k;
}

/* ---- MatMul, as numpy.matmul ---- */

cnn_shape matmul_leading(const cnn_shape *shape) {
    cnn_shape leading = *shape;
    leading.rank -= 2;
    return leading;
}

bool matmul_read(const cnn_shape *a, const cnn_shape *b, matmul *out) {
    matmul p = {.a = *a, .b = *b};
    if (a->rank < 1 || b->rank < 1) return false;
    if (a->rank == 1) p.a = (cnn_shape){.rank = 2, .dims = {1, a->dims[0]}};
    if (b->rank == 1) p.b = (cnn_shape){.rank = 2, .dims = {b->dims[0], 1}};
    p.m = p.a.dims[p.a.rank - 2];
    p.k = p.a.dims[p.a.rank - 1];
    p.n = p.b.dims[p.b.rank - 1];
    cnn_shape leading_a = matmul_leading(&p.a), leading_b = matmul_leading(&p.b);
    if (p.b.dims[p.b.rank - 2] != p.k || !op_broadcast(&leading_a, &leading_b, &p.batch))
        return false;
    *out = p;
    return true;
}

cnn_status matmul_shape(const graph *g, const graph_node *node, size_t second, cnn_shape *out,
                        cnn_error *err) {
    const cnn_shape *a = &op_input(g, node, 0)->shape, *b = &op_input(g, node, second)->shape;
    matmul p;
    char left[128], right[128];
    if (!matmul_read(a, b, &p))
        return op_fail(node, err, CNN_INVALID_MODEL, "shapes %s and %s cannot be multiplied",
                       cnn_shape_text(a, left, sizeof left),
                       cnn_shape_text(b, right, sizeof right));
    *out = p.batch;
    if (a->rank > 1) out->dims[out->rank++] = p.m;
    if (b->rank > 1) out->dims[out->rank++] = p.n;
    return CNN_OK;
}

static cnn_status matmul_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    TRY(op_expect_same_types(g, node, 0, TYPES_PRODUCT, err));
    cnn_shape out;
    TRY(matmul_shape(g, node, 1, &out, err));
    return op_set_output(g, node, 0, op_input(g, node, 0)->dtype, &out, err);
}

/* The matrices of one batch index. */
static matrix matmul_matrix(const tensor *t, const cnn_shape *shape, const cnn_shape *batch,
                            size_t index) {
    cnn_shape leading = matmul_leading(shape);
    view v = view_broadcast(&leading, batch);
    size_t offset, columns = (size_t)shape->dims[shape->rank - 1];
    view_offsets(&v, index, 1, &offset);
    return (matrix){t, offset * (size_t)shape->dims[shape->rank - 2] * columns, columns, 1};
}

static void matmul_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    (void)node;
    matmul p;
    tensor *y = out[0];
    if (!matmul_read(&in[0]->shape, &in[1]->shape, &p) || y->elements == 0) return;
    bool real = number_class_of(y->dtype) == NUMBER_REAL;
    size_t batches = (size_t)op_product(&p.batch, 0, p.batch.rank), at = 0;
    for (size_t index = 0; index < batches; index++) {
        matrix a = matmul_matrix(in[0], &p.a, &p.batch, index);
        matrix b = matmul_matrix(in[1], &p.b, &p.batch, index);
        for (size_t i = 0; i < (size_t)p.m; i++)
            for (size_t j = 0; j < (size_t)p.n; j++, at++)
                if (real)
                    real_put(y->dtype, y->data, at, dot_real(&a, &b, i, j, (size_t)p.k));
                else
                    int_put(y->dtype, y->data, at, dot_int(&a, &b, i, j, (size_t)p.k));
    }
}

static uint64_t matmul_macs(const graph *g, const graph_node *node) {
    matmul p;
    if (!matmul_read(&op_input(g, node, 0)->shape, &op_input(g, node, 1)->shape, &p)) return 0;
    return (uint64_t)op_product(&p.batch, 0, p.batch.rank) * (uint64_t)p.m * (uint64_t)p.n *
           (uint64_t)p.k;
}

#define GEMM(first, last, min_in, extra)                                                           \
    OP("Gemm", first, last, min_in, 3, 1, 1),                                                      \
        .attrs = "alpha:float beta:float transA:int transB:int" extra, .infer = gemm_infer,        \
        .eval = gemm_eval, .macs = gemm_macs

const op_def ops_gemm[] = {
    {GEMM(6, 6, 3, " broadcast:int")},
    {GEMM(7, 10, 3, "")},
    {GEMM(11, 0, 2, "")},
    {
        OP("MatMul", 1, 0, 2, 2, 1, 1),
        .infer = matmul_infer,
        .eval = matmul_eval,
        .macs = matmul_macs,
    },
    {.name = NULL},
};
