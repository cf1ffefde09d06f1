/* Every kernel for AVX2 and FMA. */
#define ISA avx2
#include "kernels/table.inc.c"
