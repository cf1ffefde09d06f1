/* The filters of a WaveletPool, which its eval and its kernel read in the same way. */
#ifndef OPS_WAVELET_POOL_H
#define OPS_WAVELET_POOL_H

#include "kernels/kernels.h"
#include "ops/op.h"

/* Of a node that infer has accepted. */
wavelet_filters wavelet_pool_filters(const graph_node *node);

#endif
