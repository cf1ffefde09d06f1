/*
 * cnnserve classify: files and folders through one model.
 *
 * Images are tasks of the runtime, so that as many are under way as there are threads. Entries are
 * made by the tasks and printed by the main thread in the order of the arguments; a window of a few
 * images a thread bounds how far the tasks run ahead. So the output does not depend on the number
 * of threads.
 */
#include "cli/cli.h"
#include "cli/entry.h"
#include "cli/files.h"
#include "cli/options.h"
#include "cli/pictures.h"
#include "cli/progress.h"
#include "common/array.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_PER_THREAD 4
#define ENTRY_MAX         ((size_t)4 << 30) /* bytes of one entry */
#define SIGNATURE_BYTES   64                /* of a file, enough to tell its format */

typedef struct classify_values {
    int64_t top, threads, explain_class;
    char *features, *feature_format, *explain, *pictures, *format, *precision, *tune;
} classify_values;

static const option_def defs[] = {
    {.name = "top",
     .type = OPTION_INT,
     .offset = offsetof(classify_values, top),
     .fallback = "5",
     .argument = "K",
     .max = 1000000,
     .help = "predictions an image, best first; 0: none"},
    {.name = "features",
     .type = OPTION_TEXT,
     .offset = offsetof(classify_values, features),
     .argument = "LIST",
     .help = "feature maps too: tensors or nodes, with * and ?, separated by commas"},
    {.name = "feature-format",
     .type = OPTION_CHOICE,
     .offset = offsetof(classify_values, feature_format),
     .fallback = FEATURE_FORMAT_DEFAULT,
     .choices = FEATURE_FORMATS,
     .help = "how --format json writes feature maps"},
    {.name = "explain",
     .type = OPTION_CHOICE,
     .offset = offsetof(classify_values, explain),
     .choices = "cam",
     .help = "cam: where the image speaks for a class, as a class activation map"},
    {.name = "explain-class",
     .type = OPTION_INT,
     .offset = offsetof(classify_values, explain_class),
     .fallback = "-1",
     .argument = "N",
     .min = -1,
     .max = INT32_MAX,
     .help = "index of the class to explain; -1: the best one of each image"},
    {.name = "pictures",
     .type = OPTION_TEXT,
     .offset = offsetof(classify_values, pictures),
     .argument = "DIR",
     .help = "write feature maps and explanations there, as PNG files"},
    {.name = "format",
     .type = OPTION_CHOICE,
     .offset = offsetof(classify_values, format),
     .fallback = "text",
     .choices = "text|json|csv",
     .help = "json: one line an image; csv: one line a prediction"},
    CLI_THREADS(classify_values),
    CLI_PRECISION(classify_values),
    CLI_TUNE(classify_values),
};

static const option_set options = {
    .usage = "cnnserve classify [options] MODEL IMAGE...",
    .about =
        "Classifies images (JPEG, PNG, WebP). A folder stands for the images in it and below:\n"
        "files whose names end in .jpg, .jpeg, .jpe, .png or .webp, and files that begin like\n"
        "one of these formats. Hidden files and folders and links to folders are skipped. - "
        "stands\n"
        "for standard input, ./- for a file of that name.\n"
        "\n" CLI_MODEL_HELP "\n\n"
        "With --features text prints statistics of each feature map; csv refuses it. --pictures\n"
        "names files IMAGE.TENSOR.png and IMAGE.cam.png; what cannot be in a name becomes _. The\n"
        "exit status is 0, or 1 if an image failed, or 2 for a wrong option, model or folder.",
    .defs = defs,
    .count = sizeof defs / sizeof defs[0],
    .min_arguments = 2,
};

/* ---- images ------------------------------------------------------------------------------- */

static bool is_image_name(const char *path) {
    static const char *const extensions[] = {".jpg", ".jpeg", ".jpe", ".png", ".webp"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcasecmp(dot, extensions[i]) == 0) return true;
    return false;
}

/* Whether the first bytes are those of a format that is decoded here. */
static bool begins_as_image(const char *path) {
    unsigned char head[SIGNATURE_BYTES];
    FILE *file = fopen(path, "rbe");
    size_t size = file ? fread(head, 1, sizeof head, file) : 0;
    if (file) fclose(file);
    image picture = {0};
    image_code code = image_decode(head, size, NULL, &picture, NULL, NULL);
    image_free(&picture);
    return code != IMAGE_UNSUPPORTED;
}

static bool is_image(const char *path, bool folder) {
    return !folder && (is_image_name(path) || begins_as_image(path));
}

static bool is_stdin(const char *path) {
    return strcmp(path, "-") == 0;
}

/* Files that are named are taken whatever their name. */
static bool find_images(char *const *arguments, size_t count, path_list *images, char *message,
                        size_t size) {
    bool with_stdin = false;
    for (size_t i = 0; i < count; i++) {
        bool twice = with_stdin && is_stdin(arguments[i]);
        with_stdin = with_stdin || is_stdin(arguments[i]);
        if (twice) {
            snprintf(message, size, "'-' is given twice, but standard input is read only once");
            return false;
        }
        if (!is_stdin(arguments[i]) && path_is_folder(arguments[i])) {
            if (!files_walk(arguments[i], is_image, images, message, size)) return false;
        } else if (!path_list_add(images, arguments[i])) {
            snprintf(message, size, "out of memory");
            return false;
        }
    }
    if (images->count == 0)
        snprintf(message, size, "there are no images in '%.400s'", arguments[0]);
    return images->count > 0;
}

/* ---- the tasks ---------------------------------------------------------------------------- */

typedef struct batch batch;

/* One image under way. */
typedef struct job {
    batch *batch;
    const char *path;
    buffer entry;
    bool failed;
    bool done; /* guarded by the batch's lock */
} job;

struct batch {
    const model_query *query;
    entry_format format;
    const feature_format *features;
    const char *pictures; /* folder to write to; NULL: none */
    pthread_mutex_t lock;
    pthread_cond_t finished;
    job *jobs; /* a ring: image i is job i % window */
    size_t window;
};

static void fail_job(job *j, const char *message, const char *code) {
    j->failed = true;
    buffer_clear(&j->entry);
    entry_write_failure(&j->entry, j->batch->format, j->path, message, code);
}

static void classify_bytes(job *j, const void *bytes, size_t size) {
    model_result result = {0};
    model_error err = {0};
    char message[600];
    if (model_classify(j->batch->query, bytes, size, &result, &err) != MODEL_OK)
        fail_job(j, err.message, failure_kind_of(&err).word);
    else if (j->batch->pictures &&
             !pictures_write(j->batch->pictures, j->path, &result, message, sizeof message))
        fail_job(j, message, "internal");
    else
        entry_write(&j->entry, j->batch->format, j->batch->features, j->path, &result);
    model_result_free(&result);
    if (buffer_failed(&j->entry))
        fail_job(j, "the features take more memory than there is", "features_too_large");
}

static void classify_file(void *arg) {
    job *j = arg;
    char message[300];
    size_t size;
    void *bytes = is_stdin(j->path) ? stdin_read(&size, message, sizeof message)
                                    : file_read(j->path, &size, message, sizeof message);
    if (bytes)
        classify_bytes(j, bytes, size);
    else
        fail_job(j, message, errno == ENOENT ? "not_found" : "bad_request");
    free(bytes);
    pthread_mutex_lock(&j->batch->lock);
    j->done = true;
    pthread_cond_broadcast(&j->batch->finished);
    pthread_mutex_unlock(&j->batch->lock);
}

static void start_job(batch *b, cnn_runtime *rt, size_t index, const char *path) {
    job *j = &b->jobs[index % b->window];
    cnn_error err;
    j->batch = b;
    j->path = path;
    j->failed = j->done = false;
    buffer_clear(&j->entry);
    if (cnn_runtime_submit(rt, classify_file, j, &err) != CNN_OK) classify_file(j);
}

/* Waits for an image and prints its entry; false if it failed. */
static bool finish_job(batch *b, size_t index, progress *bar) {
    job *j = &b->jobs[index % b->window];
    pthread_mutex_lock(&b->lock);
    while (!j->done)
        pthread_cond_wait(&b->finished, &b->lock);
    pthread_mutex_unlock(&b->lock);
    if (isatty(STDOUT_FILENO)) progress_hide(bar);
    fwrite(j->entry.data, 1, j->entry.size, stdout);
    progress_update(bar, index + 1);
    return !j->failed;
}

/* Classifies and prints every image, until the output cannot be written; false if one failed. */
static bool run_batch(batch *b, cnn_runtime *rt, const path_list *images) {
    size_t started = 0, finished = 0;
    bool good = true;
    progress bar;
    progress_begin(&bar, images->count);
    fputs(entry_head(b->format), stdout);
    while (started < images->count && !ferror(stdout)) {
        if (started - finished == b->window) good &= finish_job(b, finished++, &bar);
        start_job(b, rt, started, images->items[started]);
        started++;
    }
    while (finished < started)
        good &= finish_job(b, finished++, &bar);
    progress_hide(&bar);
    return good;
}

static int classify_images(const model_query *query, cnn_runtime *rt, const classify_values *values,
                           const path_list *images) {
    static const char *const formats[] = {"text", "json", "csv"};
    batch b = {.query = query,
               .features = feature_format_find(values->feature_format),
               .pictures = values->pictures,
               .lock = PTHREAD_MUTEX_INITIALIZER,
               .finished = PTHREAD_COND_INITIALIZER,
               .window = WINDOW_PER_THREAD * (size_t)cnn_runtime_threads(rt)};
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++)
        if (strcmp(values->format, formats[i]) == 0) b.format = (entry_format)i;
    b.jobs = calloc(b.window, sizeof *b.jobs);
    if (!b.jobs) return cli_fail(CLI_FAILED, "out of memory");
    for (size_t i = 0; i < b.window; i++)
        buffer_init(&b.jobs[i].entry, ENTRY_MAX);
    bool good = run_batch(&b, rt, images);
    pthread_cond_destroy(&b.finished);
    pthread_mutex_destroy(&b.lock);
    for (size_t i = 0; i < b.window; i++)
        buffer_free(&b.jobs[i].entry);
    free(b.jobs);
    return good ? CLI_OK : CLI_FAILED;
}

/* One line where the model's output is hardly what it was taken for. */
static void warn_of_doubt(served_model *model) {
    char text[700];
    if (served_model_doubt(model, 1, text, sizeof text))
        cli_warn(&(model_warnings){.lines = (char *[]){text}, .count = 1});
}

/* ---- the subcommand ----------------------------------------------------------------------- */

static int classify(cnn_runtime *rt, const void *given, const option_list *arguments) {
    const classify_values *values = given;
    char message[600];
    int status = CLI_USAGE;
    path_list images = {0};
    served_model *model = NULL;
    model_query *query = NULL;
    model_error err = {0};
    const char *features = values->features;
    size_t explained = values->explain_class < 0 ? MODEL_BEST_CLASS : (size_t)values->explain_class;
    model_query_options wanted = {.top = (size_t)values->top,
                                  .patterns = &features,
                                  .pattern_count = features ? 1 : 0,
                                  .explain = values->explain,
                                  .explained_class = explained};
    if (values->features && strcmp(values->format, "csv") == 0 && !values->pictures)
        cli_fail(CLI_USAGE, "--features needs --format text or json, or --pictures");
    else if (values->explain && strcmp(values->format, "csv") == 0 && !values->pictures)
        cli_fail(CLI_USAGE, "--explain needs --format text or json, or --pictures");
    else if (values->explain_class >= 0 && !values->explain)
        cli_fail(CLI_USAGE, "--explain-class needs --explain");
    else if (values->pictures && !values->features && !values->explain)
        cli_fail(CLI_USAGE, "--pictures needs --features or --explain");
    else if (served_model_open(rt, arguments->items[0], values->precision, &model, &err) !=
                 MODEL_OK ||
             model_query_create(model, &wanted, &query, &err) != MODEL_OK)
        cli_fail(CLI_USAGE, "%s", err.message);
    else if (!find_images(arguments->items + 1, arguments->count - 1, &images, message,
                          sizeof message))
        cli_fail(CLI_USAGE, "%s", message);
    else if (values->pictures && mkdir(values->pictures, 0777) != 0 && errno != EEXIST)
        cli_fail(CLI_USAGE, "the folder '%.300s' cannot be made: %s", values->pictures,
                 strerror(errno));
    else {
        cli_warn(served_model_warnings(model));
        status = classify_images(query, rt, values, &images);
    }
    if (query) warn_of_doubt(model);
    path_list_free(&images);
    model_query_free(query);
    served_model_unref(model);
    return status;
}

int cli_classify(int argc, char **argv) {
    classify_values values = {0};
    return cli_with_runtime(&options, argc, argv, &values, &values.threads, NULL, &values.tune,
                            classify);
}
