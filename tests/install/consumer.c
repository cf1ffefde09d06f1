/* A user's program: built against the installed library by run.sh. */
#include <cnn.h>
#include <stdio.h>

int main(void) {
    cnn_error err = {0};
    cnn_runtime *rt = NULL;
    cnn_model *model = NULL;
    cnn_runtime_options options = {.threads = 1};
    if (cnn_runtime_create(&options, &rt, &err) != CNN_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    cnn_status status = cnn_model_load_memory(rt, "no model", 8, &model, &err);
    printf("libcnn %s, %d thread, %s: %s\n", CNN_VERSION, cnn_runtime_threads(rt),
           cnn_dtype_name(CNN_FLOAT32), err.message);
    cnn_runtime_free(rt);
    return status == CNN_INVALID_MODEL && model == NULL && err.message[0] ? 0 : 1;
}
