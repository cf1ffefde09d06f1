/*
 * serve.c: cnnserve serve: start, drain, stop.
 *
 * The main thread starts everything and then waits for a signal; all other threads have SIGTERM and
 * SIGINT blocked. On the first one the server finishes the requests under way while it refuses new
 * ones, and the process ends with 0; a second one ends it at once. If requests are still running
 * when the drain time is over, the process ends without tidying up: their workers cannot be
 * interrupted.
 */
#include "cli/cli.h"
#include "cli/serve_options.h"
#include "handlers/app.h"
#include "http/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors beside those of connections: models, log, epoll. */
#define OTHER_DESCRIPTORS 64

/* ---- signals ------------------------------------------------------------------------------ */

static void stop_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

/* Before the first thread is started, so that all of them inherit it. */
static void block_signals(void) {
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static const char *wait_for_signal(void) {
    sigset_t set;
    int number = 0;
    stop_signals(&set);
    while (sigwait(&set, &number) != 0)
        continue;
    return number == SIGINT ? "SIGINT" : "SIGTERM";
}

static void exit_at_once(int number) {
    _exit(128 + number);
}

/* A handler, since the kernel keeps the default action from process 1 of a container. */
static void let_second_signal_exit(void) {
    const struct sigaction action = {.sa_handler = exit_at_once};
    sigset_t set;
    stop_signals(&set);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- start -------------------------------------------------------------------------------- */

/* Connections are descriptors, of which the soft limit often allows 1024 only. */
static void raise_descriptor_limit(int64_t connections) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + OTHER_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        log_line(LEVEL_WARN, "only %llu files may be open: there will be fewer connections",
                 (unsigned long long)limit.rlim_cur);
}

static void note_environment(bool unknown, const char *sentence) {
    log_line(unknown ? LEVEL_WARN : LEVEL_INFO, "%s", sentence);
}

static int start_runtime(app *a, const serve_values *v) {
    cnn_runtime_options options = cli_runtime_options(v->threads, v->affinity, v->tune);
    options.queue = (int)v->queue;
    cnn_error err;
    if (cnn_runtime_create(&options, &a->runtime, &err) == CNN_OK) return CLI_OK;
    bool wrong =
        err.status == CNN_INVALID_ARGUMENT || err.status == CNN_NOT_FOUND || err.status == CNN_IO;
    return cli_fail(wrong ? CLI_USAGE : CLI_FAILED, "%s", err.message);
}

/* What looks like a mistake and does not stop the start. */
static void warn_of_models(model_registry *registry) {
    model_list list = {0};
    const model_warnings *found = model_registry_warnings(registry);
    for (size_t i = 0; i < found->count; i++)
        log_line(LEVEL_WARN, "%s", found->lines[i]);
    if (model_registry_list(registry, &list, NULL) != MODEL_OK) return;
    for (size_t m = 0; m < list.count; m++) {
        found = served_model_warnings(list.items[m]);
        for (size_t i = 0; i < found->count; i++)
            log_line(LEVEL_WARN, "model '%s' version %s: %s", served_model_name(list.items[m]),
                     served_model_version_text(list.items[m]), found->lines[i]);
    }
    model_list_free(&list);
}

static void warn_of_tuning(const cnn_runtime *rt) {
    cnn_error err;
    if (cnn_runtime_tuning_status(rt, &err) != CNN_OK) log_line(LEVEL_WARN, "%s", err.message);
}

static int load_models(app *a, const serve_values *v) {
    const model_registry_options options = {.models_dir = v->models,
                                            .models = (const char *const *)v->model.items,
                                            .model_count = v->model.count,
                                            .default_model = v->default_model,
                                            .precision = v->precision};
    model_error err;
    if (model_registry_create(a->runtime, &options, &a->registry, &err) == MODEL_OK) {
        warn_of_models(a->registry);
        warn_of_tuning(a->runtime);
        return CLI_OK;
    }
    return cli_fail(err.code == MODEL_INTERNAL ? CLI_FAILED : CLI_USAGE, "%s", err.message);
}

/* What is taken for class scores, and why. */
static void log_models(const app *a) {
    model_list list = {0};
    if (model_registry_list(a->registry, &list, NULL) != MODEL_OK) return;
    for (size_t i = 0; i < list.count; i++)
        log_line(LEVEL_INFO, "model '%s' version %s: scores are %s",
                 served_model_name(list.items[i]), served_model_version_text(list.items[i]),
                 served_model_scores(list.items[i])->text);
    model_list_free(&list);
}

static int start_http(app *a, const serve_values *v, http_server **server) {
    const http_options options = {.host = v->host,
                                  .port = (uint16_t)v->port,
                                  .max_body = v->max_body,
                                  .max_buffered = v->max_buffered,
                                  .max_connections = (unsigned)v->max_connections,
                                  .idle_seconds = (unsigned)v->idle_seconds,
                                  .timeout_ns = (uint64_t)v->timeout_ms * 1000000,
                                  .cors_origin = v->cors_origin,
                                  .routes = app_routes,
                                  .app = a,
                                  .runtime = a->runtime};
    char message[512];
    http_start started = http_server_create(&options, server, message, sizeof message);
    if (started == HTTP_STARTED) return CLI_OK;
    return cli_fail(started == HTTP_BAD_HOST ? CLI_USAGE : CLI_FAILED, "%s", message);
}

/* Names of the served models, each once. */
static void append_names(buffer *text, const model_list *list) {
    const char *last = "";
    for (size_t i = 0; i < list->count; i++) {
        const char *name = served_model_name(list->items[i]);
        if (strcmp(name, last) != 0) buffer_printf(text, "%s%s", *last ? ", " : "", name);
        last = name;
    }
}

/* The one line that says the server can be used. */
static void announce(const app *a, const http_server *server) {
    buffer text;
    model_list list = {0};
    buffer_init(&text, (size_t)1 << 20);
    buffer_printf(&text, "cnnserve ready on %s (models ", http_server_url(server));
    if (model_registry_list(a->registry, &list, NULL) == MODEL_OK) append_names(&text, &list);
    buffer_printf(&text, "; default %s; threads %d, %s%s; %s)\n",
                  model_registry_default(a->registry), cnn_runtime_threads(a->runtime),
                  cnn_runtime_threads_origin(a->runtime), cli_affinity_note(a->runtime),
                  cnn_runtime_isa(a->runtime));
    if (!buffer_failed(&text)) fwrite(text.data, 1, text.size, stderr);
    model_list_free(&list);
    buffer_free(&text);
}

/* ---- drain, stop -------------------------------------------------------------------------- */

static void drain(app *a, http_server *server, int64_t seconds) {
    let_second_signal_exit();
    atomic_store(&a->draining, true);
    http_server_drain(server);
    if (http_server_wait_idle(server, (uint64_t)seconds * 1000000000)) return;
    log_line(LEVEL_WARN, "requests are still running after %" PRId64 " seconds, stopping anyway",
             seconds);
    _exit(CLI_OK);
}

static int serve(const serve_values *v) {
    app a = {.max_images = (size_t)v->max_images,
             .max_pixels = (size_t)v->max_pixels,
             .feature_limit = v->feature_limit};
    http_server *server = NULL;
    int status = start_runtime(&a, v);
    if (status == CLI_OK) status = load_models(&a, v);
    if (status == CLI_OK) status = start_http(&a, v, &server);
    if (status == CLI_OK) {
        announce(&a, server);
        log_models(&a);
        const char *why = wait_for_signal();
        log_line(LEVEL_INFO, "stopping on %s", why);
        drain(&a, server, v->drain_seconds);
    }
    http_server_free(server);
    model_registry_free(a.registry);
    cnn_runtime_free(a.runtime);
    if (status == CLI_OK) log_line(LEVEL_INFO, "stopped");
    return status;
}

int cli_serve(int argc, char **argv) {
    serve_values v = {0};
    char message[512];
    options_outcome outcome = options_parse(&serve_option_set, argc, argv, &v, NULL);
    int status = outcome == OPTIONS_HELP ? CLI_OK : CLI_USAGE;
    if (outcome == OPTIONS_OK && !serve_options_check(&v, message, sizeof message))
        cli_fail(status, "%s", message);
    else if (outcome == OPTIONS_OK) {
        block_signals();
        log_setup(log_level_of(v.log_level), strcmp(v.log_format, "json") == 0);
        options_review_environment(&serve_option_set, note_environment);
        raise_descriptor_limit(v.max_connections);
        status = serve(&v);
    }
    options_free(&serve_option_set, &v, NULL);
    return status;
}
