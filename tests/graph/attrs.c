#include "graph/attrs.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static attr *append(graph_node *node, const char *name, attr_kind kind, size_t count) {
    node->attrs = realloc(node->attrs, (node->attr_count + 1) * sizeof *node->attrs);
    cr_assert_not_null(node->attrs);
    attr *a = &node->attrs[node->attr_count++];
    *a = (attr){.name = strdup(name), .kind = kind, .count = count};
    return a;
}

void add_attr_string(graph_node *node, const char *name, const char *value) {
    attr *a = append(node, name, ATTR_STRING, 1);
    a->strings = calloc(1, sizeof *a->strings);
    a->strings[0] = strdup(value);
}

void add_attr_floats(graph_node *node, const char *name, size_t count, const float *floats) {
    attr *a = append(node, name, ATTR_FLOATS, count);
    a->floats = calloc(count + 1, sizeof *floats);
    memcpy(a->floats, floats, count * sizeof *floats);
}

void add_attr_tensor(graph_node *node, const char *name, tensor *t) {
    append(node, name, ATTR_TENSOR, 1)->tensor = tensor_ref(t);
}
