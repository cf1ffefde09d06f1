// The header must serve C++ as it is.
#include <cnn.h>

int main() {
    cnn_shape shape = {2, {3, 4}};
    cnn_error err = {};
    cnn_runtime *rt = nullptr;
    cnn_runtime_options options = {};
    options.threads = 1;
    if (cnn_runtime_create(&options, &rt, &err) != CNN_OK) return 1;
    cnn_runtime_free(rt);
    return shape.rank == 2 ? 0 : 1;
}
