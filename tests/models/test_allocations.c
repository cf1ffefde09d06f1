/*
 * Nothing is allocated on the compute path: once a session has run, neither preprocessing into its
 * input nor running it calls malloc or one of its kin, on any thread.
 *
 * The program's own malloc takes the place of glibc's, for libraries too, counts and hands on.
 * Sanitizers have theirs in that place, so their builds leave this test out.
 */
#include "models/models.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the counting allocator --------------------------------------------------------------- */

static atomic_size_t allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *memory = memalign(alignment, size);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}

/* ---- runs --------------------------------------------------------------------------------- */

enum { WIDTH = 500, HEIGHT = 333, RUNS = 5 };

static image make_picture(void) {
    image picture = {malloc((size_t)WIDTH * HEIGHT * 3), WIDTH, HEIGHT};
    cr_assert(picture.pixels);
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++)
        picture.pixels[i] = (uint8_t)(i * i >> 7);
    return picture;
}

static void fill_and_run(cnn_session *session, const served_model *model, const image *picture,
                         image_scratch *scratch) {
    const image_spec *spec = served_model_spec(model);
    int height, width;
    image_tensor_size(spec, picture->width, picture->height, &height, &width, NULL);
    cr_assert_eq(
        image_to_tensor(picture, spec, height, width, cnn_session_input(session, 0), scratch, NULL),
        IMAGE_OK);
    cnn_session_run(session);
}

static void expect_no_allocation(const char *spec, int threads) {
    cnn_runtime *rt = NULL;
    served_model *model = NULL;
    model_error err = {0};
    cr_assert_eq(cnn_runtime_create(&(cnn_runtime_options){.threads = threads}, &rt, NULL), CNN_OK);
    cr_assert_eq(served_model_open(rt, spec, NULL, &model, &err), MODEL_OK, "%s", err.message);
    cnn_shape shape = served_model_nominal(model);
    cnn_plan *plan = NULL;
    cnn_session *session = NULL;
    cr_assert_eq(cnn_plan_create(served_model_cnn(model),
                                 &(cnn_plan_options){.input_shapes = &shape}, &plan, NULL),
                 CNN_OK);
    cr_assert_eq(cnn_session_create(plan, &session, NULL), CNN_OK);
    image picture = make_picture();
    image_scratch scratch = {0};

    size_t before = atomic_load(&allocations);
    fill_and_run(session, model, &picture, &scratch);
    size_t first = atomic_load(&allocations);
    cr_expect_gt(first, before, "%s: the scratch has come from nowhere: nothing is counted", spec);
    for (int i = 0; i < RUNS; i++)
        fill_and_run(session, model, &picture, &scratch);
    size_t made = atomic_load(&allocations) - first;
    cr_expect_eq(made, 0u, "%s with %d threads: %zu allocations", spec, threads, made);

    image_scratch_free(&scratch);
    image_free(&picture);
    cnn_session_free(session);
    cnn_plan_free(plan);
    served_model_unref(model);
    cnn_runtime_free(rt);
}

Test(allocations, built_in_models_run_without_any) {
    for (size_t i = 0; i < model_builtin_count(); i++)
        for (int threads = 1; threads <= 3; threads++)
            expect_no_allocation(model_builtin_name(i), threads);
}

Test(allocations, squeezenet_runs_without_any) {
    char path[4096];
    const char *data = getenv("CNNSERVE_TEST_DATA");
    if (!data || !*data) cr_skip_test("CNNSERVE_TEST_DATA is not set");
    snprintf(path, sizeof path, "%s/models/squeezenet1.1", data);
    for (int threads = 1; threads <= 3; threads++)
        expect_no_allocation(path, threads);
}
