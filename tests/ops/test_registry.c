#include "node.h"
#include "ops/families.h"

#include <stdio.h>
#include <string.h>

Test(registry, finds_by_version) {
    cr_assert_eq(op_find("", "Clip", 6)->until, 10);
    cr_assert_eq(op_find("", "Clip", 10)->since, 6);
    cr_assert_eq(op_find("", "Clip", 11)->since, 11);
    cr_assert_eq(op_find("ai.onnx", "Clip", 21), op_find("", "Clip", 13));
    cr_assert_null(op_find("com.microsoft", "Clip", 1));
    cr_assert_null(op_find("", "Gelu", 19));
    cr_assert_not_null(op_find("", "Gelu", 20));
    cr_assert_null(op_find("", "Upsample", 11));
    cr_assert_null(op_find("", "clip", 11));
}

/* So that what runs an operator can go by its name alone. */
Test(registry, own_names_are_none_of_onnx) {
    size_t own = 0;
    for (const op_def *const *family = op_families; *family; family++)
        for (const op_def *op = *family; op->name; op++)
            for (int opset = 1; strcmp(op->domain, OP_OWN_DOMAIN) == 0 && opset <= 30; opset++) {
                cr_assert_null(op_find("", op->name, opset), "%s", op->name);
                own += op_find(OP_OWN_DOMAIN, op->name, opset) == op;
            }
    cr_assert_geq(own, 30);
}

/* Every version of an operator belongs to one definition. */
Test(registry, definitions_do_not_overlap) {
    for (const op_def *const *family = op_families; *family; family++)
        for (const op_def *op = *family; op->name; op++)
            for (int opset = op->since; opset <= (op->until ? op->until : 30); opset++)
                cr_assert_eq(op_find(op->domain, op->name, opset), op, "%s in version %d", op->name,
                             opset);
}

Test(registry, nearest_name) {
    cr_assert_str_eq(op_nearest("Convv")->name, "Conv");
    cr_assert_str_eq(op_nearest("Maxpool")->name, "MaxPool");
    cr_assert_str_eq(op_nearest("BatchNormalisation")->name, "BatchNormalization");
    cr_assert_str_eq(op_nearest("Gelu")->name, "Gelu");
    cr_assert_str_eq(op_nearest("Sumpool")->domain, OP_OWN_DOMAIN);
    cr_assert_null(op_nearest("NonMaxSuppressionOfBoxes"));
    char longest[300];
    memset(longest, 'x', sizeof longest - 1);
    longest[299] = '\0';
    cr_assert_null(op_nearest(longest));
}

Test(registry, versions) {
    int first, last;
    op_versions(op_find("", "Upsample", 10), &first, &last);
    cr_assert(first == 7 && last == 10);
    op_versions(op_find("", "Gelu", 21), &first, &last);
    cr_assert(first == 20 && last == 0);
    op_versions(op_find("", "Clip", 6), &first, &last);
    cr_assert(first == 6 && last == 0);
}

static cnn_shape dims(int rank, int64_t a, int64_t b, int64_t c) {
    return (cnn_shape){rank, {a, b, c}};
}

Test(helpers, broadcast) {
    cnn_shape out, a = dims(3, 2, 1, 4), b = dims(2, 3, 1, 0), bad = dims(2, 3, 3, 0);
    cr_assert(op_broadcast(&a, &b, &out));
    cnn_shape want = dims(3, 2, 3, 4);
    cr_assert(cnn_shape_equal(&out, &want));
    cr_assert_not(op_broadcast(&a, &bad, &out));
    cr_assert(cnn_shape_equal(&out, &want), "a refusal changes nothing");
    cnn_shape zero = dims(1, 0, 0, 0), one = dims(1, 1, 0, 0), scalar = dims(0, 0, 0, 0);
    cr_assert(op_broadcast(&zero, &one, &out));
    cr_assert_eq(out.dims[0], 0);
    cr_assert(op_broadcast(&scalar, &b, &out));
    cr_assert(cnn_shape_equal(&out, &b));
}

Test(helpers, axis) {
    int axis = 99;
    cr_assert(op_axis(-1, 3, &axis));
    cr_assert_eq(axis, 2);
    cr_assert(op_axis(-3, 3, &axis));
    cr_assert_eq(axis, 0);
    cr_assert_not(op_axis(3, 3, &axis));
    cr_assert_not(op_axis(-4, 3, &axis));
    cr_assert_not(op_axis(0, 0, &axis));
    cr_assert_not(op_axis(INT64_MIN, 3, &axis));
}

/* Unused axes are neutral, so that loops may run over three. */
Test(helpers, window) {
    node_test *t = node_begin("MaxPool", 11);
    ATTR_INTS(t, "kernel_shape", 3, 2);
    ATTR_INTS(t, "strides", 2, 1);
    ATTR_INTS(t, "pads", 1, 0, 2, 1);
    cnn_shape in = {4, {1, 1, 6, 5}};
    op_window w;
    cr_assert_eq(op_window_read(t->node, &in, NULL, &w, NULL), CNN_OK);
    cr_assert_eq(w.spatial, 2);
    cr_assert_eq(w.out[0], (6 + 3 - 3) / 2 + 1);
    cr_assert_eq(w.out[1], 5 + 1 - 2 + 1);
    cr_assert_eq(w.pad_begin[0], 1);
    cr_assert_eq(w.pad_end[0], 2);
    cr_assert_eq(w.pad_end[1], 1);
    cr_assert(w.in[2] == 1 && w.kernel[2] == 1 && w.stride[2] == 1 && w.dilation[2] == 1 &&
              w.out[2] == 1 && w.pad_begin[2] == 0 && w.pad_end[2] == 0);
    node_end(t);
}

Test(helpers, set_output_keeps_the_limits) {
    node_test *t = node_begin("Expand", 13);
    IN(t, DIMS(1), 1);
    CONSTANT_INTS(t, 4294967296.0);
    node_fails(t, CNN_LIMIT, "extent 4294967296 of axis 0 of output 0 is not in 0 to");
    t = node_begin("Identity", 13);
    node_absent(t);
    node_fails(t, CNN_INVALID_MODEL, "input 0 is missing");
}

/* ---- docs/model-folder.md lists what runs ---- */

static const char *read_list(char *text, size_t size) {
    FILE *in = fopen(DOCS_DIR "/model-folder.md", "r");
    cr_assert_not_null(in);
    text[fread(text, 1, size - 1, in)] = '\0';
    fclose(in);
    char *start = strstr(text, "<!-- operators -->"), *end = strstr(text, "<!-- end -->");
    cr_assert(start && end && start < end);
    *end = '\0';
    return start;
}

Test(registry, is_what_the_documentation_lists) {
    static char text[64 << 10], quoted[100];
    const char *list = read_list(text, sizeof text);
    for (const op_def *const *family = op_families; *family; family++)
        for (const op_def *op = *family; op->name; op++) {
            snprintf(quoted, sizeof quoted, "`%s`", op->name);
            if (!*op->domain) cr_expect(strstr(list, quoted), "%s is not listed", op->name);
        }
    for (const char *at = strchr(list, '`'); at; at = strchr(at + 1, '`')) {
        size_t length = strcspn(++at, "`");
        snprintf(quoted, sizeof quoted, "%.*s", (int)length, at);
        const op_def *found = op_nearest(quoted);
        bool runs = strcmp(quoted, op_choice.name) == 0 ||
                    (found && strcmp(found->name, quoted) == 0 && !*found->domain);
        cr_expect(runs, "%s is listed, but does not run", quoted);
        at += length;
    }
}
