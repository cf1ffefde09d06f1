/* The attributes of op_squeeze_excite. */
#ifndef OPS_SQUEEZE_EXCITE_H
#define OPS_SQUEEZE_EXCITE_H

#include "kernels/kernels.h"
#include "ops/op.h"

/* What an activation is applied to. */
#define SQUEEZE_HIDDEN "hidden"
#define SQUEEZE_GATE   "gate"

/* False when out of memory. */
bool squeeze_set_act(graph_node *node, const char *role, act_params act);
act_params squeeze_act(const graph_node *node, const char *role);

#endif
