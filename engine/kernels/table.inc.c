/*
 * Every kernel for one instruction set: kernels_ISA.c defines ISA, includes this file and is
 * compiled with the flags of that set. All it exports is the table kernels_ISA; the kernels are
 * static, so no function compiled with these flags can stand in for one of the same name elsewhere.
 */
#include "kernels/channels.inc.c"
#include "kernels/conv.inc.c"
#include "kernels/depthwise.inc.c"
#include "kernels/elementwise.inc.c"
#include "kernels/gemm.inc.c"
#include "kernels/layer_norm_2d.inc.c"
#include "kernels/layout.inc.c"
#include "kernels/lrn.inc.c"
#include "kernels/planar.inc.c"
#include "kernels/pool.inc.c"
#include "kernels/reduce.inc.c"
#include "kernels/resize.inc.c"
#include "kernels/roi.inc.c"
#include "kernels/softmax.inc.c"
#include "kernels/squeeze.inc.c"
#include "kernels/wavelet.inc.c"
#include "kernels/winograd.inc.c"

#define TABLE_JOIN(a, b)  a##b
#define TABLE_NAME(isa)   TABLE_JOIN(kernels_, isa)
#define TABLE_STRING(isa) #isa
#define TABLE_ISA(isa)    TABLE_STRING(isa)

extern const kernel_table TABLE_NAME(ISA); /* declared in select.c for its users */

const kernel_table TABLE_NAME(ISA) = {.isa = TABLE_ISA(ISA),
#define X(type, name, params) .name = kernel_##name,
                                      KERNEL_LIST(X)
#undef X
};
