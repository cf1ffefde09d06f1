/*
 * top_class MODEL.onnx TENSOR: the best class of one input, with libcnn.
 *
 *     cc top_class.c $(pkg-config --cflags --libs cnn) -o top_class
 *     ./top_class models/digits/model.onnx docs/examples/seven.f32
 *
 * TENSOR is a file of float32 numbers as the model's input wants them (N x C x H x W, this
 * machine's byte order), such as NumPy's `tofile` writes.
 */
#include <cnn.h>
#include <stdio.h>

static size_t element_count(const cnn_shape *shape) {
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= (size_t)shape->dims[i];
    return count;
}

/* Fills the session's only input from a file, which must have just its size. */
static bool read_input(const char *path, const cnn_plan *plan, cnn_session *session) {
    cnn_tensor_info input = cnn_plan_input(plan, 0);
    size_t count = element_count(&input.shape);
    if (cnn_plan_input_count(plan) != 1 || input.dtype != CNN_FLOAT32) {
        fprintf(stderr, "the model does not have one float32 input\n");
        return false;
    }
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    bool fits = fread(cnn_session_input(session, 0), sizeof(float), count, file) == count &&
                fgetc(file) == EOF;
    fclose(file);
    if (!fits) fprintf(stderr, "%s: '%s' takes %zu numbers\n", path, input.name, count);
    return fits;
}

static bool print_top_class(const cnn_plan *plan, const cnn_session *session) {
    cnn_tensor_info output = cnn_plan_output(plan, 0);
    size_t count = element_count(&output.shape), best = 0;
    if (output.dtype != CNN_FLOAT32 || count == 0) {
        fprintf(stderr, "output '%s' is no list of float32 scores\n", output.name);
        return false;
    }
    const float *scores = cnn_session_output(session, 0);
    for (size_t i = 1; i < count; i++)
        if (scores[i] > scores[best]) best = i;
    return printf("class %zu of %zu, score %g\n", best, count, scores[best]) > 0 &&
           fflush(stdout) == 0;
}

int main(int argc, char **argv) {
    cnn_error err = {0};
    cnn_runtime *rt = NULL;
    cnn_model *model = NULL;
    cnn_plan *plan = NULL;
    cnn_session *session = NULL;
    bool done = false;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL.onnx TENSOR (libcnn %s)\n", argv[0], cnn_version());
        return 2;
    }
    if (cnn_runtime_create(NULL, &rt, &err) == CNN_OK &&            /* threads */
        cnn_model_load_file(rt, argv[1], &model, &err) == CNN_OK && /* weights */
        cnn_plan_create(model, NULL, &plan, &err) == CNN_OK &&      /* for one shape */
        cnn_session_create(plan, &session, &err) == CNN_OK) {       /* memory of a run */
        if (read_input(argv[2], plan, session)) {
            cnn_session_run(session);
            done = print_top_class(plan, session);
        }
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    cnn_session_free(session);
    cnn_plan_free(plan);
    cnn_model_free(model);
    cnn_runtime_free(rt);
    return done ? 0 : 1;
}
