/* Element types. */
#include "base/base.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [CNN_FLOAT32] = {"float32", 4}, [CNN_UINT8] = {"uint8", 1},       [CNN_INT8] = {"int8", 1},
    [CNN_UINT16] = {"uint16", 2},   [CNN_INT16] = {"int16", 2},       [CNN_INT32] = {"int32", 4},
    [CNN_INT64] = {"int64", 8},     [CNN_STRING] = {"string", 0},     [CNN_BOOL] = {"bool", 1},
    [CNN_FLOAT16] = {"float16", 2}, [CNN_FLOAT64] = {"float64", 8},   [CNN_UINT32] = {"uint32", 4},
    [CNN_UINT64] = {"uint64", 8},   [CNN_BFLOAT16] = {"bfloat16", 2},
};

static bool known(cnn_dtype dtype) {
    return (unsigned)dtype < ARRAY_LENGTH(dtypes) && dtypes[dtype].name;
}

size_t cnn_dtype_size(cnn_dtype dtype) {
    return known(dtype) ? dtypes[dtype].size : 0;
}

bool cnn_dtype_is_float(cnn_dtype dtype) {
    return dtype == CNN_FLOAT32 || dtype == CNN_FLOAT16 || dtype == CNN_BFLOAT16 ||
           dtype == CNN_FLOAT64;
}

const char *cnn_dtype_name(cnn_dtype dtype) {
    return known(dtype) ? dtypes[dtype].name : "unknown type";
}
