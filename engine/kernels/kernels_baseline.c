/* Every kernel for the instruction set that every machine of the architecture has. */
#define ISA baseline
#include "kernels/table.inc.c"
