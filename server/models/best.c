/*
 * From raw outputs to predictions: activations and the k best.
 *
 * top_k keeps the k best in a binary heap whose root is the worst of them: count x log k steps,
 * whatever k a request asks for.
 */
#include "models/internal.h"

#include <math.h>

static void softmax(float *values, size_t count) {
    float largest = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmaxf(largest, values[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp((double)values[i] - largest);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(exp((double)values[i] - largest) / sum);
}

static void sigmoid(float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(1 / (1 + exp(-(double)values[i])));
}

static void exponentiate(float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        values[i] = (float)exp((double)values[i]);
}

void activation_apply(model_activation activation, float *values, size_t count) {
    if (activation == MODEL_SOFTMAX)
        softmax(values, count);
    else if (activation == MODEL_SIGMOID)
        sigmoid(values, count);
    else if (activation == MODEL_EXP)
        exponentiate(values, count);
}

const char *model_activation_name(model_activation activation) {
    static const char *const names[] = {[MODEL_NONE] = "none",
                                        [MODEL_SOFTMAX] = "softmax",
                                        [MODEL_SIGMOID] = "sigmoid",
                                        [MODEL_EXP] = "exp"};
    return names[activation];
}

/* Whether prediction `a` stands behind prediction `b`. */
static bool worse(const float *values, size_t a, size_t b) {
    if (isnan(values[a]) != isnan(values[b])) return isnan(values[a]);
    if (values[a] != values[b] && !isnan(values[a])) return values[a] < values[b];
    return a > b;
}

/* Sinks the entry at `at` of a heap of `size` until no child is worse. */
static void sink(const float *values, size_t *heap, size_t size, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= size) return;
        if (child + 1 < size && worse(values, heap[child + 1], heap[child])) child++;
        if (!worse(values, heap[child], heap[at])) return;
        size_t moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

void top_k(const float *values, size_t count, size_t k, size_t *best) {
    if (k == 0) return;
    for (size_t i = 0; i < k; i++)
        best[i] = i;
    for (size_t i = k / 2; i-- > 0;)
        sink(values, best, k, i);
    for (size_t i = k; i < count; i++) {
        if (worse(values, i, best[0])) continue;
        best[0] = i;
        sink(values, best, k, 0);
    }
    for (size_t left = k - 1; left > 0; left--) { /* the worst goes last */
        size_t worst = best[0];
        best[0] = best[left];
        best[left] = worst;
        sink(values, best, left, 0);
    }
}
