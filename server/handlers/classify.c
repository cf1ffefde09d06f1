/*
 * classify.c: the predictions, and feature maps, of one or several images.
 *
 * A request goes straight down: find the model, read the request, resolve its query, classify each
 * image, encode. The first three are done by the worker that the request came to. With several
 * images each of the others becomes a task of its own; the first is classified at once. A worker
 * encodes the entry of its image and frees the result, of which feature maps may make much, before
 * it takes the next; whichever finishes the last image joins the entries.
 *
 * With one image its failure is the reply; with several, each has its own entry and the status is
 * 200.
 */
#include "handlers/app.h"
#include "handlers/classify_request.h"
#include "http/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reply may be larger than expected, but not by more than this factor and this many bytes. */
#define REPLY_SLACK_FACTOR 2
#define REPLY_SLACK        ((size_t)256 << 20)
/* See served_model_doubt. */
#define DOUBTFUL_ANSWERS 3

typedef struct classify_job classify_job;

typedef struct image_task {
    classify_job *job;
    size_t index;
    uint64_t submitted_ns; /* 0: was not queued */
    model_code code;
    bool overdue;
    model_error err;
    model_result result;
    buffer entry; /* its part of `results`; not used if there is one image only */
} image_task;

/* Made and freed by workers; while images are classified, each task is touched by its worker only,
 * and the rest is constant but for the two atomics. */
struct classify_job {
    app *app;
    http_exchange *x;
    served_model *model;
    model_query *query;
    classify_request request;
    image_task *tasks;
    atomic_size_t unfinished;
    _Atomic uint64_t feature_bytes; /* expected of all images admitted so far */
};

static void job_free(classify_job *job) {
    if (!job) return;
    for (size_t i = 0; job->tasks && i < job->request.image_count; i++) {
        model_result_free(&job->tasks[i].result);
        buffer_free(&job->tasks[i].entry);
    }
    free(job->tasks);
    model_query_free(job->query);
    served_model_unref(job->model);
    classify_request_free(&job->request);
    free(job);
}

/* ---- the size of features ----------------------------------------------------------------- */

/* model_admit_fn: adds an image's features to those of the request, up to the limit. */
static model_code admit(void *arg, const model_feature *features, size_t count, model_error *err) {
    classify_job *job = arg;
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += feature_expected_size(&features[i], job->request.format);
    uint64_t total = atomic_fetch_add(&job->feature_bytes, size) + size;
    if (total <= job->app->feature_limit) return MODEL_OK;
    err->code = MODEL_FEATURES_TOO_LARGE;
    snprintf(err->message, sizeof err->message,
             "the features would take about %" PRIu64 " bytes, the limit is %zu: ask for fewer, "
             "or for feature_format=stats",
             total, job->app->feature_limit);
    return MODEL_FEATURES_TOO_LARGE;
}

/* If the shapes are known without an image, all images are looked at before any is decoded. */
static bool features_fit(classify_job *job, model_error *err) {
    size_t count;
    const model_feature *features = model_query_features(job->query, &count);
    for (size_t i = 0; i < count; i++)
        if (features[i].shape.rank < 0) return true;
    model_code code = MODEL_OK;
    for (size_t i = 0; i < job->request.image_count && code == MODEL_OK; i++)
        code = admit(job, features, count, err);
    atomic_store(&job->feature_bytes, 0);
    return code == MODEL_OK;
}

/* ---- the reply ---------------------------------------------------------------------------- */

static void write_timings(json_writer *w, const http_exchange *x) {
    json_write_key(w, "timings");
    json_write_begin_object(w);
    for (size_t i = 0; i < HTTP_TIMINGS; i++) {
        json_write_member_float(w, http_timing_names[i], (float)((double)x->timing_ns[i] / 1e6));
    }
    json_write_end_object(w);
}

static void write_entry(json_writer *w, const classify_job *job, const image_task *task) {
    const char *name = job->request.images[task->index].name;
    if (task->overdue)
        json_write_failure(w, name, task->err.message, "deadline_exceeded");
    else if (task->code != MODEL_OK)
        json_write_failure(w, name, task->err.message, failure_kind_of(&task->err).word);
    else
        json_write_result(w, name, &task->result, job->request.format);
}

static size_t reply_limit(const app *a) {
    return a->feature_limit * REPLY_SLACK_FACTOR + REPLY_SLACK;
}

/* Encodes one of several images, and frees its result. */
static void encode_entry(image_task *task) {
    uint64_t start = clock_ns();
    buffer_init(&task->entry, reply_limit(task->job->app));
    json_writer w = {.out = &task->entry};
    write_entry(&w, task->job, task);
    model_result_free(&task->result);
    http_timing_add(task->job->x, HTTP_ENCODE, clock_ns() - start);
}

/* Frees the entries as it goes. */
static void write_results(json_writer *w, classify_job *job) {
    json_write_key(w, "results");
    json_write_begin_array(w);
    if (job->request.image_count == 1) {
        write_entry(w, job, &job->tasks[0]);
    } else {
        for (size_t i = 0; i < job->request.image_count; i++) {
            buffer *entry = &job->tasks[i].entry;
            buffer_fail(w->out, entry->state);
            json_write_raw(w, entry->data, entry->size);
            buffer_free(entry);
        }
    }
    json_write_end_array(w);
}

static void write_reply(classify_job *job) {
    http_exchange *x = job->x;
    uint64_t start = clock_ns();
    x->reply.body.limit = reply_limit(job->app);
    json_writer w = {.out = &x->reply.body};
    json_write_begin_object(&w);
    json_write_member_text(&w, "model", served_model_name(job->model));
    json_write_member_text(&w, "version", served_model_version_text(job->model));
    write_results(&w, job);
    http_timing_add(x, HTTP_ENCODE, clock_ns() - start);
    if (job->request.timings) write_timings(&w, x);
    json_write_end_object(&w);
    buffer_append_char(w.out, '\n');
}

static void reply(classify_job *job) {
    http_exchange *x = job->x;
    const image_task *first = &job->tasks[0];
    bool alone = job->request.image_count == 1;
    if (alone && first->overdue) {
        http_reply_error(x, 504, "deadline_exceeded", "%s", first->err.message);
    } else if (alone && first->code != MODEL_OK) {
        app_reply_error(x, &first->err);
    } else {
        write_reply(job);
        x->reply.status = 200;
        if (x->reply.body.state == BUFFER_PAST_LIMIT)
            http_reply_error(x, 413, "features_too_large", "the reply is larger than %zu bytes",
                             x->reply.body.limit);
    }
}

/* The last image is done. */
static void finish(classify_job *job) {
    http_exchange *x = job->x;
    reply(job);
    job_free(job); /* first: http_complete lets go of what the request points to */
    http_complete(x);
}

/* ---- images ------------------------------------------------------------------------------- */

/* An image that has waited too long is not worked on any more. */
static bool is_overdue(image_task *task) {
    const http_exchange *x = task->job->x;
    uint64_t now = clock_ns();
    if (task->submitted_ns) http_timing_add(task->job->x, HTTP_QUEUE, now - task->submitted_ns);
    if (!x->deadline_ns || now <= x->deadline_ns) return false;
    snprintf(task->err.message, sizeof task->err.message,
             "the image has waited longer than the time limit");
    return true;
}

/* Every picture has some of the bytes that `curl -d @FILE` drops; --data-binary keeps them. */
static void hint_at_text_mode(const classify_image *sent, model_error *err) {
    const unsigned char *bytes = sent->bytes;
    for (size_t i = 0; i < sent->size; i++)
        if (bytes[i] == '\0' || bytes[i] == '\n' || bytes[i] == '\r') return;
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used,
             "; the body holds no line break, as if sent with curl -d, not --data-binary");
}

/* One line a model, where its output is hardly what it was taken for. */
static void warn_of_doubt(served_model *model) {
    char text[700];
    if (served_model_doubt(model, DOUBTFUL_ANSWERS, text, sizeof text))
        log_line(LEVEL_WARN, "%s", text);
}

static void classify(image_task *task) {
    const classify_job *job = task->job;
    const classify_image *sent = &job->request.images[task->index];
    if (sent->problem) {
        task->code = task->err.code = MODEL_BAD_REQUEST;
        snprintf(task->err.message, sizeof task->err.message, "%s", sent->problem);
        return;
    }
    task->code = model_classify(job->query, sent->bytes, sent->size, &task->result, &task->err);
    if (task->code == MODEL_IMAGE && task->err.image == IMAGE_UNDECODABLE)
        hint_at_text_mode(sent, &task->err);
    warn_of_doubt(job->model);
    http_timing_add(job->x, HTTP_DECODE, task->result.decode_ns);
    http_timing_add(job->x, HTTP_PREPROCESS, task->result.preprocess_ns);
    http_timing_add(job->x, HTTP_INFERENCE, task->result.inference_ns);
    http_timing_add(job->x, HTTP_ENCODE, task->result.draw_ns);
}

/* On a worker. */
static void run_image(void *arg) {
    image_task *task = arg;
    classify_job *job = task->job;
    task->overdue = is_overdue(task);
    if (!task->overdue) classify(task);
    if (job->request.image_count > 1) encode_entry(task);
    if (atomic_fetch_sub(&job->unfinished, 1) == 1) finish(job);
}

/*
 * Queues all images but the first, then classifies the first one here, and with it those that the
 * queue had no room for: the request has been accepted as a whole. After the last run_image the job
 * is gone.
 */
static void run_images(classify_job *job) {
    size_t count = job->request.image_count, queued = 1;
    image_task *tasks = job->tasks;
    for (; queued < count; queued++) {
        tasks[queued].submitted_ns = clock_ns();
        if (cnn_runtime_submit(job->app->runtime, run_image, &tasks[queued], NULL) != CNN_OK) break;
    }
    for (size_t i = queued; i < count; i++) {
        tasks[i].submitted_ns = 0;
        run_image(&tasks[i]);
    }
    run_image(&tasks[0]);
}

/* ---- the request -------------------------------------------------------------------------- */

static bool make_query(classify_job *job, model_error *err) {
    const classify_request *r = &job->request;
    const model_query_options options = {.top = r->top,
                                         .patterns = (const char *const *)r->features,
                                         .pattern_count = r->feature_count,
                                         .explain = r->explain,
                                         .explained_class = r->explained_class,
                                         .limits = {.max_pixels = job->app->max_pixels},
                                         .admit = admit,
                                         .admit_arg = job};
    return model_query_create(job->model, &options, &job->query, err) == MODEL_OK &&
           features_fit(job, err);
}

static bool make_tasks(classify_job *job) {
    size_t count = job->request.image_count;
    job->tasks = calloc(count, sizeof *job->tasks);
    if (!job->tasks) return false;
    for (size_t i = 0; i < count; i++)
        job->tasks[i] = (image_task){.job = job, .index = i};
    atomic_init(&job->unfinished, count);
    return true;
}

/* Everything before the images; false: x->reply says why not. */
static bool prepare(classify_job *job) {
    http_exchange *x = job->x;
    classify_refusal why;
    model_error err;
    if (!app_find_model(job->app, x, &job->model)) return false;
    if (!classify_request_read(&x->request, job->app->max_images, &job->request, &why)) {
        http_reply_error(x, why.status, why.code, "%s", why.message);
        return false;
    }
    if (!make_query(job, &err)) {
        app_reply_error(x, &err);
        return false;
    }
    if (!make_tasks(job)) {
        http_reply_error(x, 500, "internal", "there is no memory left for the request");
        return false;
    }
    return true;
}

void classify_images(void *arg, http_exchange *x) {
    classify_job *job = calloc(1, sizeof *job);
    if (!job) {
        http_fail(x, 500, "internal", "there is no memory left for the request");
        return;
    }
    job->app = arg;
    job->x = x;
    if (prepare(job)) {
        run_images(job);
    } else {
        job_free(job);
        http_complete(x);
    }
}
