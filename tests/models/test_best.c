#include "models/internal.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static void expect_order(const float *values, size_t count, size_t k, const size_t *want) {
    size_t best[16];
    top_k(values, count, k, best);
    for (size_t i = 0; i < k; i++)
        cr_expect_eq(best[i], want[i], "place %zu: %zu instead of %zu", i, best[i], want[i]);
}

Test(best, ties_by_lower_index) {
    const float values[] = {1, 3, 3, 0, 3, 1};
    expect_order(values, 6, 6, (size_t[]){1, 2, 4, 0, 5, 3});
    expect_order(values, 6, 2, (size_t[]){1, 2});
    expect_order(values, 6, 1, (size_t[]){1});
    expect_order(values, 6, 0, NULL);
}

Test(best, zeros_of_both_signs_are_equal) {
    const float values[] = {-0.0f, 0.0f, -1};
    expect_order(values, 3, 3, (size_t[]){0, 1, 2});
}

Test(best, nan_stands_last) {
    const float values[] = {NAN, -INFINITY, NAN, INFINITY};
    expect_order(values, 4, 4, (size_t[]){3, 1, 0, 2});
    expect_order(values, 4, 2, (size_t[]){3, 1});
}

static const float *sorted_values;

static int by_value_then_index(const void *a, const void *b) {
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    float x = sorted_values[i], y = sorted_values[j];
    return x != y ? (x < y) - (x > y) : (i > j) - (i < j);
}

/* 0 to 32767: a linear congruential generator, so that every run sees the same numbers. */
static unsigned next_random(void) {
    static unsigned state = 1;
    state = state * 1103515245 + 12345;
    return state >> 16 & 32767;
}

Test(best, agrees_with_sorting) {
    enum { COUNT = 300 };
    float values[COUNT];
    size_t all[COUNT], best[COUNT];
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            values[i] = (float)(next_random() % 40);
            all[i] = i;
        }
        sorted_values = values;
        qsort(all, COUNT, sizeof all[0], by_value_then_index);
        size_t k = next_random() % (COUNT + 1);
        top_k(values, COUNT, k, best);
        for (size_t i = 0; i < k; i++)
            cr_assert_eq(best[i], all[i]);
    }
}

Test(best, softmax_of_large_values) {
    float values[] = {1000, 1001, 1000};
    activation_apply(MODEL_SOFTMAX, values, 3);
    cr_expect_float_eq(values[1], 0.57611688, 1e-6);
    cr_expect_float_eq(values[0] + values[1] + values[2], 1, 1e-6);
}

Test(best, sigmoid_and_none) {
    float values[] = {0, -200, 200}, same[] = {5, -1};
    activation_apply(MODEL_SIGMOID, values, 3);
    cr_expect_float_eq(values[0], 0.5, 1e-7);
    cr_expect_float_eq(values[1], 0, 1e-7);
    cr_expect_float_eq(values[2], 1, 1e-7);
    activation_apply(MODEL_NONE, same, 2);
    cr_expect_eq(same[0], 5);
}

Test(best, class_vectors) {
    cr_expect_eq(model_class_vector(&(cnn_shape){2, {1, 1000}}), 1000);
    cr_expect_eq(model_class_vector(&(cnn_shape){4, {1, 1000, 1, 1}}), 1000);
    cr_expect_eq(model_class_vector(&(cnn_shape){4, {1, 1, 1, 10}}), 10);
    cr_expect_eq(model_class_vector(&(cnn_shape){1, {7}}), 7);
    cr_expect_eq(model_class_vector(&(cnn_shape){4, {1, 1, 1, 1}}), 1);
    cr_expect_eq(model_class_vector(&(cnn_shape){4, {1, 10, 7, 7}}), 0);
    cr_expect_eq(model_class_vector(&(cnn_shape){2, {1, 0}}), 0);
    cr_expect_eq(model_class_vector(&(cnn_shape){0, {0}}), 0);
}

static model_code make_labels(const char *text, size_t size, size_t classes, char ***labels,
                              model_error *err) {
    return labels_create(text, size, classes, "labels.txt", labels, err);
}

Test(labels, lines) {
    char **labels = NULL;
    const char text[] = "tench\r\n\ngreat white shark\nK\xc3\xa4"
                        "fer";
    cr_assert_eq(make_labels(text, sizeof text - 1, 4, &labels, NULL), MODEL_OK);
    cr_expect_str_eq(labels[0], "tench");
    cr_expect_str_eq(labels[1], "");
    cr_expect_str_eq(labels[2], "great white shark");
    cr_expect_str_eq(labels[3], "K\xc3\xa4"
                                "fer");
    free(labels);
}

Test(labels, made_up) {
    char **labels = NULL;
    cr_assert_eq(make_labels(NULL, 0, 12, &labels, NULL), MODEL_OK);
    cr_expect_str_eq(labels[0], "class 0");
    cr_expect_str_eq(labels[11], "class 11");
    free(labels);
}

Test(labels, refused) {
    char **labels = NULL;
    model_error err;
    cr_expect_eq(make_labels("a\nb\n", 4, 3, &labels, &err), MODEL_INVALID);
    cr_expect_str_eq(err.message, "labels.txt has 2 labels, but the model has 3 classes");
    cr_expect_eq(make_labels("a\n\xff\n", 4, 2, &labels, &err), MODEL_INVALID);
    cr_expect_str_eq(err.message, "labels.txt: line 2 is not UTF-8 text");
    cr_expect_eq(make_labels("a\0b\n", 4, 1, &labels, &err), MODEL_INVALID);
}
