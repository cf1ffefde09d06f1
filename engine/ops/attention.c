/*
 * Attention (scaled dot product, as transformers classify with): y = softmax(scale q k' + mask) v,
 * for each image and head. Heads may share keys and values. Not supported: the key and value caches
 * of text generation, and the output of the scores.
 *
 * The scores of a query are computed twice, once for their maximum and once for the sum, because
 * there is no memory to keep them in.
 */
#include "ops/eval.h"
#include "ops/families.h"
#include "ops/infer.h"

/* (batch, heads, length, size); `step` are the strides of heads and length. */
typedef struct heads {
    const tensor *t;
    int64_t batch, heads, length, size;
    int64_t head_step, step;
} heads;

/* From (batch, heads, length, size), or (batch, length, heads x size) with the attribute. */
static bool heads_read(const graph_node *node, const char *attribute, const cnn_shape *s,
                       heads *out) {
    int64_t count = graph_attr_int(node, attribute, 0);
    if (s->rank == 4) {
        *out = (heads){NULL, s->dims[0], s->dims[1], s->dims[2], s->dims[3], 0, s->dims[3]};
        out->head_step = out->length * out->size;
        return count == 0 || count == out->heads;
    }
    if (s->rank != 3 || count < 1 || s->dims[2] % count != 0) return false;
    *out = (heads){NULL, s->dims[0], count, s->dims[1], s->dims[2] / count, 0, s->dims[2]};
    out->head_step = out->size;
    return true;
}

typedef struct attention {
    heads q, k, v, y;
    const tensor *mask;
    view of_mask;     /* broadcast to (batch, heads, queries, mask_length) */
    int64_t mask_end; /* keys from here on are masked, if there is a mask */
    bool causal;
    double scale, softcap;
} attention;

static bool attention_read(const graph_node *node, const cnn_shape *q, const cnn_shape *k,
                           const cnn_shape *v, const cnn_shape *mask, attention *out) {
    attention a = {.causal = graph_attr_int(node, "is_causal", 0) != 0,
                   .softcap = (double)graph_attr_float(node, "softcap", 0)};
    if (q->rank != k->rank || q->rank != v->rank || !heads_read(node, "q_num_heads", q, &a.q) ||
        !heads_read(node, "kv_num_heads", k, &a.k) || !heads_read(node, "kv_num_heads", v, &a.v))
        return false;
    if (a.q.batch != a.k.batch || a.q.batch != a.v.batch || a.k.heads != a.v.heads ||
        a.k.length != a.v.length || a.q.size != a.k.size || a.k.heads == 0 ||
        a.q.heads % a.k.heads != 0)
        return false;
    a.scale = (double)graph_attr_float(node, "scale", (float)(1 / sqrt((double)a.q.size)));
    if (mask) {
        cnn_shape whole = {4, {a.q.batch, a.q.heads, a.q.length, a.k.length}}, out_shape;
        if (mask->rank < 1) return false;
        if (mask->dims[mask->rank - 1] != 1)
            whole.dims[3] = MIN(a.k.length, mask->dims[mask->rank - 1]);
        if (!op_broadcast(&whole, mask, &out_shape) || !cnn_shape_equal(&whole, &out_shape))
            return false;
        a.of_mask = view_broadcast(mask, &whole);
        a.mask_end = whole.dims[3];
    }
    *out = a;
    return true;
}

static cnn_status attention_infer(graph *g, graph_node *node, cnn_error *err) {
    TRY(op_begin(g, node, err));
    for (size_t i = 0; i < 3; i++)
        TRY(op_expect_type(g, node, i, TYPES_REAL, err));
    TRY(op_expect_type(g, node, 3, TYPES_REAL | TYPE(CNN_BOOL), err));
    for (size_t i = 4; i < 7; i++)
        if (op_input(g, node, i))
            return op_fail(node, err, CNN_UNSUPPORTED,
                           "caches of keys and values (input %zu) are "
                           "not supported",
                           i);
    for (size_t i = 1; i < node->output_count; i++)
        if (node->outputs[i] >= 0)
            return op_fail(node, err, CNN_UNSUPPORTED, "output %zu is not supported", i);
    if (graph_attr_int(node, "left_window_size", -1) != -1 ||
        graph_attr_int(node, "right_window_size", -1) != -1)
        return op_fail(node, err, CNN_UNSUPPORTED, "sliding windows are not supported");
    const graph_value *q = op_input(g, node, 0), *mask = op_input(g, node, 3);
    attention a;
    if (!attention_read(node, &q->shape, &op_input(g, node, 1)->shape, &op_input(g, node, 2)->shape,
                        mask ? &mask->shape : NULL, &a))
        return op_fail(node, err, CNN_INVALID_MODEL,
                       "the shapes of query, key, value and mask do not fit each other");
    cnn_shape out = q->shape;
    if (out.rank == 4)
        out.dims[3] = a.v.size;
    else
        out.dims[2] = a.q.heads * a.v.size;
    return op_set_output(g, node, 0, q->dtype, &out, err);
}

static size_t heads_offset(const heads *h, int64_t n, int64_t head, int64_t i) {
    return (size_t)(n * h->heads * h->length * h->size + head * h->head_step + i * h->step);
}

/* What the mask adds to a score: -INFINITY where it forbids it. */
static double mask_bias(const attention *a, int64_t n, int64_t head, int64_t i, int64_t j) {
    if (a->causal && j > i) return -INFINITY;
    if (!a->mask) return 0;
    if (j >= a->mask_end) return -INFINITY;
    const int64_t *s = a->of_mask.strides;
    size_t at = (size_t)(n * s[0] + head * s[1] + i * s[2] + j * s[3]);
    if (a->mask->dtype == CNN_BOOL) return int_at(CNN_BOOL, a->mask->data, at) ? 0 : -INFINITY;
    return tensor_number(a->mask, at);
}

static double score(const attention *a, int64_t n, int64_t head, int64_t i, int64_t j) {
    double bias = mask_bias(a, n, head, i, j), sum = 0;
    if (bias == -INFINITY) return bias;
    int64_t shared = head / (a->q.heads / a->k.heads);
    size_t q = heads_offset(&a->q, n, head, i), k = heads_offset(&a->k, n, shared, j);
    for (int64_t d = 0; d < a->q.size; d++)
        sum += tensor_number(a->q.t, q + (size_t)d) * tensor_number(a->k.t, k + (size_t)d);
    sum *= a->scale;
    if (a->softcap > 0) sum = a->softcap * tanh(sum / a->softcap);
    return sum + bias;
}

/* Elements [first, first + n_sizes) of one query's result. */
static void attend(const attention *a, int64_t n, int64_t head, int64_t i, int64_t first,
                   size_t count, tensor *y) {
    double sums[EVAL_BLOCK] = {0}, total = 0, largest = -INFINITY;
    int64_t shared = head / (a->q.heads / a->k.heads);
    for (int64_t j = 0; j < a->k.length; j++) {
        double s = score(a, n, head, i, j);
        if (s > largest) largest = s;
    }
    for (int64_t j = 0; j < a->k.length && largest != -INFINITY; j++) {
        double weight = exp(score(a, n, head, i, j) - largest);
        size_t v = heads_offset(&a->v, n, shared, j) + (size_t)first;
        total += weight;
        for (size_t d = 0; d < count && weight != 0; d++)
            sums[d] += weight * tensor_number(a->v.t, v + d);
    }
    size_t at = heads_offset(&a->y, n, head, i) + (size_t)first;
    for (size_t d = 0; d < count; d++)
        number_put(y, at + d, total != 0 ? sums[d] / total : 0);
}

static void attention_eval(const graph_node *node, const tensor *const *in, tensor *const *out) {
    attention a;
    const tensor *mask = eval_in(node, in, 3);
    if (!attention_read(node, &in[0]->shape, &in[1]->shape, &in[2]->shape,
                        mask ? &mask->shape : NULL, &a) ||
        out[0]->elements == 0)
        return;
    a.q.t = in[0];
    a.k.t = in[1];
    a.v.t = in[2];
    a.mask = mask;
    a.y = (heads){out[0], a.q.batch, a.q.heads, a.q.length, a.v.size, 0, a.v.size};
    a.y.head_step = a.q.length * a.v.size;
    if (in[0]->shape.rank == 3) {
        a.y.head_step = a.v.size;
        a.y.step = a.q.heads * a.v.size;
    }
    for (int64_t n = 0; n < a.q.batch; n++)
        for (int64_t head = 0; head < a.q.heads; head++)
            for (int64_t i = 0; i < a.q.length; i++)
                for (int64_t first = 0; first < a.v.size; first += EVAL_BLOCK)
                    attend(&a, n, head, i, first,
                           (size_t)MIN(a.v.size - first, (int64_t)EVAL_BLOCK), out[0]);
}

/* Both products. */
static uint64_t attention_macs(const graph *g, const graph_node *node) {
    attention a;
    if (!attention_read(node, &op_input(g, node, 0)->shape, &op_input(g, node, 1)->shape,
                        &op_input(g, node, 2)->shape, NULL, &a))
        return 0;
    return (uint64_t)a.q.batch * (uint64_t)a.q.heads * (uint64_t)a.q.length * (uint64_t)a.k.length *
           (uint64_t)(a.q.size + a.v.size);
}

#define ATTENTION(first, last, max_in, extra)                                                      \
    OP("Attention", first, last, 3, max_in, 1, 4),                                                 \
        .attrs = "is_causal:int kv_num_heads:int q_num_heads:int qk_matmul_output_mode:int "       \
                 "scale:float softcap:float softmax_precision:int" extra,                          \
        .infer = attention_infer, .eval = attention_eval, .macs = attention_macs

const op_def ops_attention[] = {
    {ATTENTION(23, 23, 6, "")},
    {ATTENTION(24, 24, 7, "")},
    {ATTENTION(25, 0, 7, " left_window_size:int right_window_size:int")},
    {.name = NULL},
};
