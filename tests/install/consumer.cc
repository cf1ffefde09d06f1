// The header must serve C++ as it is, and the library must leave all names but its own to the program.
#include <cnn.h>
#include <cstring>

extern "C" {
int int_at(int index) {
    return index;
}
int pool_create = 1, graph_free = 2, conv_read = 3;
}

static_assert(CNN_VERSION_MAJOR >= 0 && CNN_VERSION_MINOR >= 0 && CNN_VERSION_PATCH >= 0, "numbers");

int main() {
    cnn_shape shape = {2, {3, 4}};
    cnn_error err = {};
    cnn_runtime *rt = nullptr;
    cnn_runtime_options options = {};
    options.threads = int_at(pool_create);
    if (std::strcmp(cnn_version(), CNN_VERSION) != 0) return 1;
    if (cnn_runtime_create(&options, &rt, &err) != CNN_OK) return 1;
    cnn_model *model = nullptr;
    if (cnn_model_load_memory(rt, "no model", 8, &model, &err) != CNN_INVALID_MODEL) return 1;
    cnn_runtime_free(rt);
    options.reserved[0] = 1;
    if (cnn_runtime_create(&options, &rt, &err) != CNN_INVALID_ARGUMENT) return 1;
    return shape.rank == graph_free && conv_read == 3 ? 0 : 1;
}
