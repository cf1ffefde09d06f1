/* Graph rewrites: less work for the same results. */
#ifndef PASSES_PASSES_H
#define PASSES_PASSES_H

#include "graph/graph.h"

/*
 * Rewrites a bound graph in place. Every graph output keeps its name and, to within 1e-4 relative,
 * its numbers; so a tensor that somebody wants must be a graph output by now. Other values may be
 * gone. `without` leaves techniques out (run/without.h). Fails only for lack of memory; the graph
 * can then only be freed.
 */
cnn_status passes_run(graph *g, unsigned without, cnn_error *err);

#endif
