/* Every kernel for AVX-512 F, BW, DQ and VL. */
#define ISA avx512
#include "kernels/table.inc.c"
