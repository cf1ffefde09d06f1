/* Constants of which the way to compute them is kept, as this folder shares it. */
#ifndef GRAPH_DERIVED_H
#define GRAPH_DERIVED_H

#include "graph/graph.h"

/*
 * Makes of a node whose inputs are `in` what its output (whose type and shape are known) is derived
 * by. `*out` stays NULL if the elements are better kept: see derived.c.
 */
cnn_status derivation_create(const graph *g, const graph_node *node, const tensor *const *in,
                             derivation **out, cnn_error *err);
void derivation_free(derivation *d); /* accepts NULL */

/* A tensor without elements; takes over `from` on success. */
cnn_status tensor_derive(cnn_dtype dtype, const cnn_shape *shape, derivation *from, tensor **out,
                         cnn_error *err);
/* A copy of a derived tensor, with its elements. */
cnn_status tensor_compute(const tensor *t, tensor **out, cnn_error *err);

/* What is read at a time of a tensor left in a file. */
#define STORED_CHUNK ((size_t)4 << 20)
/* Loads the constants that were left in files (stored.c). */
cnn_status graph_read_constants(graph *g, int threads, cnn_error *err);

#endif
