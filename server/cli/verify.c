/*
 * cnnserve verify: runs ONNX test folders and compares the outputs.
 *
 * A case is a folder with model.onnx and test_data_set_N folders of input_I.pb and output_I.pb; one
 * of which no such folder can be seen fails. The model is compiled for the shapes of the inputs.
 * Where a shape depends on what an input holds (the axes of a ReduceSum), the integer inputs are
 * compiled in as well; if that is not enough all inputs but the first, and then all of them, so
 * that the operators' reference code computes the outputs while the model is compiled. Outputs must
 * have the expected type and shape; numbers agree as in NumPy's assert_allclose, which ONNX's own
 * runner uses.
 */
#include "cli/verify.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/options.h"

#include <cnn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 256 /* inputs, and outputs, of a case */

typedef struct verify_values {
    double rtol, atol;
    int64_t threads;
} verify_values;

static const option_def defs[] = {
    {.name = "rtol",
     .type = OPTION_NUMBER,
     .offset = offsetof(verify_values, rtol),
     .fallback = "1e-3",
     .argument = "X",
     .help = "relative tolerance"},
    {.name = "atol",
     .type = OPTION_NUMBER,
     .offset = offsetof(verify_values, atol),
     .fallback = "1e-5",
     .argument = "X",
     .help = "absolute tolerance"},
    CLI_THREADS(verify_values),
};

static const option_set options = {
    .usage = "cnnserve verify [options] DIR...",
    .about =
        "Runs the ONNX test folders below each DIR (model.onnx with\n"
        "test_data_set_N/input_I.pb and output_I.pb), prints PASS or FAIL for each, and\n"
        "exits with 0 if none failed. Hidden folders and links to folders are not searched;\n"
        "the data sets of a case may be links.\n\n"
        "Inputs are fed at run time. Only where a shape depends on what one holds (axes, pads,\n"
        "scales) are inputs compiled into the model: integers, then all but the first, then\n"
        "all.",
    .defs = defs,
    .count = sizeof defs / sizeof defs[0],
    .min_arguments = 1,
};

/* One case being run. */
typedef struct verify_case {
    cnn_runtime *rt;
    double rtol, atol;
    cnn_model *model;
    const char *set; /* name of the data set, for messages */
    char why[700];
} verify_case;

__attribute__((format(printf, 2, 3))) static bool fail(verify_case *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
    return false;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* Element `i` of a tensor of floats. */
static double float_element(const void *data, cnn_dtype dtype, size_t i) {
    float value;
    if (dtype == CNN_FLOAT64) return ((const double *)data)[i];
    cnn_read_floats(dtype, (const char *)data + i * cnn_dtype_size(dtype), 1, &value);
    return value;
}

static bool close_enough(double got, double want, double rtol, double atol) {
    if (isnan(got) || isnan(want)) return isnan(got) && isnan(want);
    if (isinf(got) || isinf(want)) return got == want;
    return fabs(got - want) <= atol + rtol * fabs(want);
}

bool verify_compare(const void *got, const void *want, cnn_dtype dtype, size_t count, double rtol,
                    double atol, verify_difference *out) {
    size_t size = cnn_dtype_size(dtype);
    *out = (verify_difference){0};
    for (size_t i = 0; i < count; i++) {
        bool equal;
        if (cnn_dtype_is_float(dtype)) {
            double a = float_element(got, dtype, i), b = float_element(want, dtype, i);
            equal = close_enough(a, b, rtol, atol);
            if (!equal && out->count == 0)
                *out = (verify_difference){.index = i, .got = a, .want = b};
        } else {
            equal = memcmp((const char *)got + i * size, (const char *)want + i * size, size) == 0;
            if (!equal && out->count == 0) out->index = i;
        }
        out->count += !equal;
    }
    return out->count == 0;
}

/* ---- tensors ------------------------------------------------------------------------------- */

/* The tensors NAME_0.pb, NAME_1.pb, ... of a folder, as many as there are. */
typedef struct tensors {
    cnn_tensor *items[MAX_TENSORS];
    size_t count;
} tensors;

static void tensors_free(tensors *list) {
    for (size_t i = 0; i < list->count; i++)
        cnn_tensor_free(list->items[i]);
    list->count = 0;
}

static bool load_tensor(verify_case *c, const char *path, const char *file, tensors *list) {
    char reason[300];
    size_t size;
    cnn_error err = {0};
    void *bytes = file_read(path, &size, reason, sizeof reason);
    if (!bytes) return fail(c, "%s/%s: %s", c->set, file, reason);
    bool ok = cnn_tensor_load(bytes, size, &list->items[list->count], &err) == CNN_OK;
    free(bytes);
    if (!ok) return fail(c, "%s/%s: %s", c->set, file, err.message);
    list->count++;
    return true;
}

static bool load_tensors(verify_case *c, const char *folder, const char *name, tensors *list) {
    bool ok = true;
    for (bool more = true; ok && more && list->count < MAX_TENSORS;) {
        char file[40];
        snprintf(file, sizeof file, "%s_%zu.pb", name, list->count);
        char *path = path_join(folder, file);
        if (!path) return fail(c, "out of memory");
        more = path_is_file(path);
        ok = !more || load_tensor(c, path, file, list);
        free(path);
    }
    return ok;
}

static const char *shape_text(const cnn_shape *shape, char *buffer, size_t size) {
    size_t used = 0;
    snprintf(buffer, size, "scalar");
    for (int i = 0; i < shape->rank && used < size; i++)
        used += (size_t)snprintf(buffer + used, size - used, "%s%lld", i ? "x" : "",
                                 (long long)shape->dims[i]);
    return buffer;
}

static bool same_shape(const cnn_shape *a, const cnn_shape *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

static size_t element_count(const cnn_shape *shape) {
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= (size_t)shape->dims[i];
    return count;
}

/* ---- one data set -------------------------------------------------------------------------- */

/* How much of the inputs is compiled in rather than fed, one attempt after the other. */
typedef enum fixing { FIX_NONE, FIX_INTEGERS, FIX_ALL_BUT_FIRST, FIX_ALL } fixing;

/* A data set as the engine takes it. */
typedef struct run {
    const tensors *inputs;
    const cnn_tensor *fixed[MAX_TENSORS]; /* NULL: fed at run time */
    cnn_shape shapes[MAX_TENSORS];
    cnn_plan *plan;
    cnn_session *session;
} run;

static void choose_fixed(run *r, fixing how) {
    for (size_t i = 0; i < r->inputs->count; i++) {
        const cnn_tensor *input = r->inputs->items[i];
        bool integers = !cnn_dtype_is_float(cnn_tensor_describe(input).dtype);
        bool fix = how == FIX_ALL || (how >= FIX_INTEGERS && integers) ||
                   (how == FIX_ALL_BUT_FIRST && i > 0);
        r->fixed[i] = fix ? input : NULL;
    }
}

/* Fixes what has to be: shapes may depend on it. */
static bool compile(verify_case *c, run *r) {
    cnn_error err = {0};
    cnn_status status = CNN_VALUE_NEEDED;
    cnn_plan_options wanted = {.input_shapes = r->shapes, .input_values = r->fixed};
    for (size_t i = 0; i < r->inputs->count; i++)
        r->shapes[i] = cnn_tensor_describe(r->inputs->items[i]).shape;
    for (fixing how = FIX_NONE; how <= FIX_ALL && status == CNN_VALUE_NEEDED; how++) {
        choose_fixed(r, how);
        status = cnn_plan_create(c->model, &wanted, &r->plan, &err);
    }
    if (status == CNN_OK) status = cnn_session_create(r->plan, &r->session, &err);
    return status == CNN_OK || fail(c, "%s: %s", c->set, err.message);
}

static bool fill_inputs(verify_case *c, const run *r) {
    for (size_t i = 0, fed = 0; i < r->inputs->count; i++) {
        if (r->fixed[i]) continue;
        cnn_tensor_info given = cnn_tensor_describe(r->inputs->items[i]);
        cnn_tensor_info taken = cnn_plan_input(r->plan, fed);
        if (given.dtype != taken.dtype)
            return fail(c, "%s: input '%s' is %s, the data are %s", c->set, taken.name,
                        cnn_dtype_name(taken.dtype), cnn_dtype_name(given.dtype));
        memcpy(cnn_session_input(r->session, fed++), cnn_tensor_data(r->inputs->items[i]),
               element_count(&given.shape) * cnn_dtype_size(given.dtype));
    }
    return true;
}

static bool check_output(verify_case *c, const cnn_tensor_info *got, const void *data,
                         const cnn_tensor *expected) {
    char left[200], right[200];
    cnn_tensor_info want = cnn_tensor_describe(expected);
    if (got->dtype != want.dtype)
        return fail(c, "%s: output '%s' is %s instead of %s", c->set, got->name,
                    cnn_dtype_name(got->dtype), cnn_dtype_name(want.dtype));
    if (!same_shape(&got->shape, &want.shape))
        return fail(c, "%s: output '%s' has shape %s instead of %s", c->set, got->name,
                    shape_text(&got->shape, left, sizeof left),
                    shape_text(&want.shape, right, sizeof right));
    verify_difference d;
    size_t count = element_count(&want.shape);
    if (verify_compare(data, cnn_tensor_data(expected), want.dtype, count, c->rtol, c->atol, &d))
        return true;
    if (!cnn_dtype_is_float(want.dtype))
        return fail(c, "%s: output '%s' differs in %zu of %zu elements, first at %zu", c->set,
                    got->name, d.count, count, d.index);
    return fail(c,
                "%s: output '%s' differs in %zu of %zu elements, first at %zu: %.9g instead of "
                "%.9g",
                c->set, got->name, d.count, count, d.index, d.got, d.want);
}

static bool run_set(verify_case *c, const tensors *inputs, const tensors *outputs) {
    run r = {.inputs = inputs};
    bool ok = compile(c, &r) && fill_inputs(c, &r);
    if (ok) cnn_session_run(r.session);
    for (size_t i = 0; i < outputs->count && ok; i++) {
        cnn_tensor_info got = cnn_plan_output(r.plan, i);
        ok = check_output(c, &got, cnn_session_output(r.session, i), outputs->items[i]);
    }
    cnn_session_free(r.session);
    cnn_plan_free(r.plan);
    return ok;
}

static bool verify_set(verify_case *c, const char *folder) {
    tensors inputs = {0}, outputs = {0};
    size_t takes = cnn_model_input_count(c->model), makes = cnn_model_output_count(c->model);
    bool ok =
        load_tensors(c, folder, "input", &inputs) && load_tensors(c, folder, "output", &outputs);
    if (ok && inputs.count != takes)
        ok = fail(c, "%s has %zu inputs, the model takes %zu", c->set, inputs.count, takes);
    if (ok && (outputs.count == 0 || outputs.count > makes))
        ok = fail(c, "%s has %zu outputs, the model makes %zu", c->set, outputs.count, makes);
    ok = ok && run_set(c, &inputs, &outputs);
    tensors_free(&inputs);
    tensors_free(&outputs);
    return ok;
}

/* ---- cases --------------------------------------------------------------------------------- */

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Also what only has the name of one, such as a link that leads nowhere. */
static bool is_named_data_set(const char *path, bool folder) {
    (void)folder;
    return strncmp(last_part(path), "test_data_set_", strlen("test_data_set_")) == 0;
}

static bool is_data_set(const char *path, bool folder) {
    return folder && is_named_data_set(path, folder);
}

static bool is_model(const char *path, bool folder) {
    return !folder && strcmp(last_part(path), "model.onnx") == 0 && path_is_file(path);
}

static bool holds(const char *folder, files_wanted_fn *wanted) {
    path_list found = {0};
    char message[1];
    bool yes = files_list(folder, wanted, &found, message, sizeof message) && found.count > 0;
    path_list_free(&found);
    return yes;
}

static bool is_case(const char *path, bool folder) {
    return folder && holds(path, is_model) && holds(path, is_named_data_set);
}

static bool verify_sets(verify_case *c, const char *folder) {
    path_list sets = {0};
    bool ok = files_list(folder, is_data_set, &sets, c->why, sizeof c->why);
    if (ok && sets.count == 0) ok = fail(c, "no data set");
    for (size_t i = 0; i < sets.count && ok; i++) {
        c->set = last_part(sets.items[i]);
        ok = verify_set(c, sets.items[i]);
    }
    path_list_free(&sets);
    return ok;
}

static bool run_case(verify_case *c, const char *folder) {
    cnn_error err = {0};
    char *path = path_join(folder, "model.onnx");
    if (!path) return fail(c, "out of memory");
    bool ok =
        cnn_model_load_file(c->rt, path, &c->model, &err) == CNN_OK || fail(c, "%s", err.message);
    free(path);
    ok = ok && verify_sets(c, folder);
    cnn_model_free(c->model);
    c->model = NULL;
    return ok;
}

/* The name of a case: its path below the folder that was given, or that folder's own name. */
static const char *case_name(const char *given, const char *path) {
    size_t length = strlen(given);
    if (strlen(path) == length) return last_part(path);
    return path + length + strspn(path + length, "/");
}

static void cut_slashes(char *path) {
    for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
        path[length - 1] = '\0';
}

/* Runs the cases below a folder, until the output cannot be written; false: the folder cannot be
 * read. */
static bool verify_folder(verify_case *c, const char *folder, size_t *passed, size_t *failed) {
    path_list cases = {0};
    bool ok = path_is_folder(folder) || fail(c, "'%.400s' is no folder", folder);
    ok = ok && files_walk(folder, is_case, &cases, c->why, sizeof c->why);
    for (size_t i = 0; i < cases.count && ok && !ferror(stdout); i++) {
        const char *name = case_name(folder, cases.items[i]);
        if (run_case(c, cases.items[i])) {
            printf("PASS %s\n", name);
            ++*passed;
        } else {
            printf("FAIL %s: %s\n", name, c->why);
            ++*failed;
        }
        fflush(stdout);
    }
    path_list_free(&cases);
    return ok;
}

static int verify(cnn_runtime *rt, const void *given, const option_list *folders) {
    const verify_values *values = given;
    verify_case c = {.rt = rt, .rtol = values->rtol, .atol = values->atol};
    size_t passed = 0, failed = 0;
    for (size_t i = 0; i < folders->count; i++) {
        cut_slashes(folders->items[i]);
        if (!verify_folder(&c, folders->items[i], &passed, &failed))
            return cli_fail(CLI_USAGE, "%s", c.why);
    }
    printf("%zu passed, %zu failed\n", passed, failed);
    if (passed + failed == 0)
        return cli_fail(CLI_FAILED, "no test folders (model.onnx with test_data_set_N) were found");
    return failed ? CLI_FAILED : CLI_OK;
}

int cli_verify(int argc, char **argv) {
    verify_values values = {0};
    return cli_with_runtime(&options, argc, argv, &values, &values.threads, NULL, NULL, verify);
}
