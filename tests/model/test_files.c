/* Models in files, which keep them open: what becomes of plans when a file is replaced or damaged.
 */
#include "onnx/proto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIDE 8 /* of the input */

static cnn_error err;
static cnn_runtime *rt;
static char folder[64], path[96];

static void set_up(void) {
    strcpy(folder, "/tmp/cnn-files-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    cr_assert_eq(cnn_runtime_create(&(cnn_runtime_options){.threads = 2}, &rt, &err), CNN_OK);
}

static void tear_down(void) {
    char command[96];
    cnn_runtime_free(rt);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0); /* NOLINT(cert-env33-c) */
}

TestSuite(files, .init = set_up, .fini = tear_down);

/* x (N, 4, 8, 8) -> Conv(w (64, 4, 3, 3)) -> Conv(v (64, 64, 3, 3)) -> y, of weights k * factor. */
static size_t model_bytes(float factor, uint8_t **bytes) {
    static float w[64 * 4 * 9], v[64 * 64 * 9];
    for (size_t i = 0; i < ARRAY_LENGTH(w); i++)
        w[i] = factor * (float)(i * 31 % 17);
    for (size_t i = 0; i < ARRAY_LENGTH(v); i++)
        v[i] = factor * (float)(i * 13 % 29);
    file f = file_begin(13);
    add_input(&f, "x", 4, (int64_t[]){-1, 4, SIDE, SIDE});
    add_output(&f, "y", 4, (int64_t[]){-1, 64, SIDE - 4, SIDE - 4});
    set_raw(add_initializer(&f, "w", CNN_FLOAT32, 4, (int64_t[]){64, 4, 3, 3}), w, sizeof w);
    set_raw(add_initializer(&f, "v", CNN_FLOAT32, 4, (int64_t[]){64, 64, 3, 3}), v, sizeof v);
    add_node(&f, "Conv", "x w", "c");
    add_node(&f, "Conv", "c v", "y");
    size_t size = file_pack(&f, bytes);
    file_free(&f);
    return size;
}

static void write_file(const char *to, const uint8_t *bytes, size_t size) {
    FILE *f = fopen(to, "we");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static void write_model(const char *to, float factor) {
    uint8_t *bytes;
    size_t size = model_bytes(factor, &bytes);
    write_file(to, bytes, size);
    free(bytes);
}

static cnn_model *load(void) {
    cnn_model *model = NULL;
    write_model(path, 1);
    cr_assert_eq(cnn_model_load_file(rt, path, &model, &err), CNN_OK, "%s", err.message);
    return model;
}

/* A plan for `images` at a time. */
static cnn_status plan_for(cnn_model *model, int64_t images, cnn_plan **out) {
    cnn_shape shape = {4, {images, 4, SIDE, SIDE}};
    return cnn_plan_create(model, &(cnn_plan_options){.input_shapes = &shape}, out, &err);
}

/* The sum of what a plan makes of ones. */
static double run(cnn_plan *plan) {
    cnn_session *session = NULL;
    size_t in, out;
    cnn_shape shapes[] = {cnn_plan_input(plan, 0).shape, cnn_plan_output(plan, 0).shape};
    cr_assert(cnn_shape_elements(&shapes[0], &in) && cnn_shape_elements(&shapes[1], &out));
    cr_assert_eq(cnn_session_create(plan, &session, &err), CNN_OK, "%s", err.message);
    for (size_t i = 0; i < in; i++)
        ((float *)cnn_session_input(session, 0))[i] = 1;
    cnn_session_run(session);
    double sum = 0;
    for (size_t i = 0; i < out; i++)
        sum += ((const float *)cnn_session_output(session, 0))[i];
    cnn_session_free(session);
    return sum;
}

static double run_for(cnn_model *model, int64_t images) {
    cnn_plan *plan = NULL;
    cr_assert_eq(plan_for(model, images, &plan), CNN_OK, "%s", err.message);
    double sum = run(plan);
    cnn_plan_free(plan);
    return sum;
}

Test(files, give_what_memory_gives) {
    uint8_t *bytes;
    size_t size = model_bytes(1, &bytes);
    cnn_model *stored = load(), *held = NULL, *lent = NULL;
    cr_assert_eq(cnn_model_load_static(rt, bytes, size, &lent, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(cnn_model_load_memory(rt, bytes, size, &held, &err), CNN_OK, "%s", err.message);
    double sum = run_for(held, 1);
    cr_assert_gt(sum, 0);
    cr_assert_eq(run_for(lent, 1), sum);
    cnn_model_free(lent);
    memset(bytes, 0xFF, size);
    free(bytes);
    cr_assert_eq(run_for(held, 1), sum, "it does not need the bytes any more");
    cr_assert_eq(run_for(stored, 1), sum);
    cr_assert_eq(run_for(stored, 1), sum, "also when the weights are packed again");
    cnn_model_free(held);
    cnn_model_free(stored);
}

Test(files, plans_share_what_is_packed) {
    cnn_model *model = load();
    cnn_plan *one = NULL, *again = NULL;
    cr_assert_eq(plan_for(model, 1, &one), CNN_OK, "%s", err.message);
    size_t bytes = cnn_model_weights_bytes(model);
    cr_assert_eq(plan_for(model, 1, &again), CNN_OK, "%s", err.message);
    cr_assert_eq(cnn_model_weights_bytes(model), bytes);
    cr_assert_eq(run(one), run(again));
    cnn_plan_free(one);
    cnn_plan_free(again);
    cr_assert_eq(cnn_model_weights_bytes(model), 0);
    cnn_model_free(model);
}

Test(files, may_be_replaced_and_removed) {
    char other[96];
    cnn_model *model = load();
    double sum = run_for(model, 1);
    snprintf(other, sizeof other, "%s/other.onnx", folder);
    write_model(other, 2);
    cr_assert_eq(rename(other, path), 0);
    cr_assert_eq(run_for(model, 1), sum);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(run_for(model, 1), sum);
    cnn_model_free(model);
}

static void expect_changed(cnn_model *model) {
    cnn_plan *plan = NULL;
    cr_assert_eq(plan_for(model, 2, &plan), CNN_IO);
    cr_assert_null(plan);
    cr_assert(strstr(err.message, path) && strstr(err.message, "changed"), "%s", err.message);
}

Test(files, that_are_cut_short_are_refused_and_plans_go_on) {
    cnn_model *model = load();
    cnn_plan *plan = NULL;
    cr_assert_eq(plan_for(model, 1, &plan), CNN_OK, "%s", err.message);
    double sum = run(plan);
    cr_assert_eq(truncate(path, 100), 0);
    expect_changed(model);
    cr_assert_eq(run(plan), sum);
    cnn_plan_free(plan);
    cnn_model_free(model);
}

Test(files, that_are_overwritten_are_refused) {
    cnn_model *model = load();
    struct stat before;
    cr_assert_eq(stat(path, &before), 0);
    write_model(path, 2);
    /* Of the same size and written within a tick of the file system's clock: say that time passed.
     */
    struct timespec times[] = {before.st_atim, before.st_mtim};
    times[1].tv_sec++;
    cr_assert_eq(utimensat(0, path, times, 0), 0);
    expect_changed(model);
    cnn_model_free(model);
}

static void set_time(time_t seconds) {
    struct timespec times[] = {{seconds, 0}, {seconds, 0}};
    cr_assert_eq(utimensat(0, path, times, 0), 0);
}

/* As rsync, cp and remounting do. */
Test(files, may_be_touched_and_written_as_they_are) {
    cnn_model *model = load();
    double sum = run_for(model, 1);
    set_time(1);
    cr_assert_eq(run_for(model, 2), 2 * sum);
    write_model(path, 1);
    set_time(2);
    cr_assert_eq(run_for(model, 1), sum);
    write_model(path, 2);
    set_time(3);
    expect_changed(model);
    write_model(path, 1);
    set_time(4);
    cr_assert_eq(run_for(model, 1), sum, "it is again what it was");
    cnn_model_free(model);
}

/* ---- constants on which shapes, or the check of a node, depend ---- */

#define MANY 700 /* so many that they are worth leaving in the file */

/* Loads a file in which `made` (MANY numbers) depends on constants alone, with x (1, MANY) -> Add
 * -> y behind it; the second element of y where x is 0. */
static double fold_from_file(file *f, const char *made) {
    uint8_t *bytes;
    cnn_model *model = NULL;
    cnn_plan *plan = NULL;
    cnn_session *session = NULL;
    char inputs[32];
    snprintf(inputs, sizeof inputs, "x %s", made);
    add_input(f, "x", 2, (int64_t[]){1, MANY});
    add_output(f, "y", 2, (int64_t[]){1, MANY});
    add_node(f, "Add", inputs, "y");
    size_t size = file_pack(f, &bytes);
    file_free(f);
    write_file(path, bytes, size);
    free(bytes);
    cr_assert_eq(cnn_model_load_file(rt, path, &model, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(cnn_plan_create(model, NULL, &plan, &err), CNN_OK, "%s", err.message);
    cr_assert_eq(cnn_session_create(plan, &session, &err), CNN_OK, "%s", err.message);
    memset(cnn_session_input(session, 0), 0, MANY * sizeof(float));
    cnn_session_run(session);
    double second = ((const float *)cnn_session_output(session, 0))[1];
    cnn_session_free(session);
    cnn_plan_free(plan);
    cnn_model_free(model);
    return second;
}

/* As Swin's exporters write the table of relative positions. */
Test(files, indices_in_them_are_looked_at) {
    static float table[MANY];
    static int64_t indices[MANY];
    for (int i = 0; i < MANY; i++) {
        table[i] = (float)i;
        indices[i] = MANY - 1 - i;
    }
    file f = file_begin(13);
    set_raw(add_initializer(&f, "table", CNN_FLOAT32, 1, (int64_t[]){MANY}), table, sizeof table);
    set_raw(add_initializer(&f, "indices", CNN_INT64, 1, (int64_t[]){MANY}), indices,
            sizeof indices);
    add_node(&f, "Gather", "table indices", "made");
    cr_assert_eq(fold_from_file(&f, "made"), MANY - 2);
}

Test(files, numbers_in_them_are_counted) {
    static float numbers[2 * MANY];
    for (int i = 0; i < MANY; i++)
        numbers[2 * i + 1] = 1;
    file f = file_begin(13);
    set_raw(add_initializer(&f, "numbers", CNN_FLOAT32, 1, (int64_t[]){2 * MANY}), numbers,
            sizeof numbers);
    add_node(&f, "NonZero", "numbers", "places");
    Onnx__AttributeProto *to = add_attribute(add_node(&f, "Cast", "places", "made"), "to", 2);
    to->has_i = 1;
    to->i = CNN_FLOAT32;
    cr_assert_eq(fold_from_file(&f, "made"), 3);
}
