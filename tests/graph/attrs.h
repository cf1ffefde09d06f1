/* Attributes of kinds that only files have: the engine itself adds integers and single floats. */
#ifndef TESTS_GRAPH_ATTRS_H
#define TESTS_GRAPH_ATTRS_H

#include "graph/graph.h"

/* Append an attribute, copying what is given; a tensor gets a reference more. */
void add_attr_string(graph_node *node, const char *name, const char *value);
void add_attr_floats(graph_node *node, const char *name, size_t count, const float *floats);
void add_attr_tensor(graph_node *node, const char *name, tensor *t);

#endif
