/*
 * cnnserve bench: latency of one model, and the time of each layer.
 *
 * Runs follow each other on one worker, which the others help, as a lonely request is served.
 * Layers are timed in runs of their own between the others, so that the clock between them does not
 * touch the latencies. Medians everywhere: the layers add up to about the median latency. The input
 * is random but the same every time.
 */
#include "cli/bench.h"

#include "cli/cli.h"
#include "cli/graph.h"
#include "cli/options.h"
#include "cli/shapes.h"
#include "cli/table.h"
#include "common/clock.h"
#include "models/describe.h"
#include "models/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define JSON_MAX     ((size_t)64 << 20)
#define WARM_UP_RUNS 3
#define AUTO_SECONDS 2.0 /* --iterations 0: as many runs as fit into this */
#define AUTO_LEAST   10
#define AUTO_MOST    1000
#define PROFILE_RUNS 50 /* at most */
#define NS_PER_MS    1e6

typedef struct bench_values {
    bool json;
    int64_t threads, iterations, batch;
    char *affinity, *precision, *tune;
    option_list shape;
} bench_values;

static const option_def defs[] = {
    CLI_THREADS(bench_values),
    CLI_AFFINITY(bench_values),
    CLI_PRECISION(bench_values),
    CLI_TUNE(bench_values),
    {.name = "iterations",
     .type = OPTION_INT,
     .offset = offsetof(bench_values, iterations),
     .fallback = "0",
     .argument = "N",
     .max = 1000000,
     .help = "runs that are timed; 0: as many as fit into 2 seconds"},
    {.name = "batch",
     .type = OPTION_INT,
     .offset = offsetof(bench_values, batch),
     .argument = "N",
     .min = 1,
     .max = 4096,
     .help = "images a run (1, or what the model is fixed to)"},
    CLI_SHAPE(bench_values),
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(bench_values, json),
     .help = "one JSON object instead of the table"},
};

static const option_set options = {
    .usage = "cnnserve bench [options] MODEL",
    .about =
        "Times a model on random input: latency, and the time of each layer.\n\n" CLI_MODEL_HELP,
    .defs = defs,
    .count = sizeof defs / sizeof defs[0],
    .min_arguments = 1,
    .max_arguments = 1,
};

/* The model and what was measured. */
typedef struct bench {
    cnn_runtime *rt;
    opened_graph of;
    cnn_plan *plan;
    cnn_session *session;
    cnn_shape shapes[SHAPES_MAX]; /* of the inputs */
    size_t batch, iterations;     /* iterations 0: choose */
    uint64_t *runs;               /* ns of each run; ascending once measured */
    uint64_t *steps;              /* ns of each step, the median */
    uint64_t *profile;            /* [PROFILE_RUNS][steps], of each profiled run */
    uint64_t macs;
    bool failed; /* out of memory */
} bench;

/* ---- measuring ---------------------------------------------------------------------------- */

/* Numbers in [-1, 1) of a fixed sequence (xorshift32, Marsaglia 2003); other types stay 0. A
 * run may overwrite them. */
static void fill_inputs(bench *b) {
    uint32_t state = 2463534242u;
    for (size_t i = 0; i < cnn_plan_input_count(b->plan); i++) {
        cnn_tensor_info info = cnn_plan_input(b->plan, i);
        size_t count = 1;
        for (int d = 0; d < info.shape.rank; d++)
            count *= (size_t)info.shape.dims[d];
        void *input = cnn_session_input(b->session, i);
        memset(input, 0, count * cnn_dtype_size(info.dtype));
        for (size_t j = 0; j < count && info.dtype == CNN_FLOAT32; j++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            ((float *)input)[j] = (float)(state >> 8) / (1 << 23) - 1;
        }
    }
}

static uint64_t timed_run(bench *b) {
    fill_inputs(b);
    uint64_t begun = clock_ns();
    cnn_session_run(b->session);
    return clock_ns() - begun;
}

static int by_value(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void choose_iterations(bench *b, uint64_t run_ns) {
    double fit = AUTO_SECONDS * 1e9 / (double)(run_ns ? run_ns : 1);
    b->iterations = fit < AUTO_LEAST ? AUTO_LEAST : fit > AUTO_MOST ? AUTO_MOST : (size_t)fit;
}

static void warm_up(bench *b) {
    uint64_t fastest = UINT64_MAX;
    for (int i = 0; i < WARM_UP_RUNS; i++) {
        uint64_t ns = timed_run(b);
        fastest = ns < fastest ? ns : fastest;
    }
    if (b->iterations == 0) choose_iterations(b, fastest);
}

static void profiled_run(bench *b, size_t index) {
    fill_inputs(b);
    cnn_session_profile(b->session, b->profile + index * cnn_plan_step_count(b->plan));
    cnn_session_run(b->session);
    cnn_session_profile(b->session, NULL);
}

/* The median of each step over the profiled runs. */
static void sum_up_steps(bench *b, size_t runs) {
    size_t count = cnn_plan_step_count(b->plan);
    uint64_t times[PROFILE_RUNS];
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < runs; i++)
            times[i] = b->profile[i * count + s];
        qsort(times, runs, sizeof *times, by_value);
        b->steps[s] = times[runs / 2];
    }
}

/* Task of the runtime. */
static void measure(void *arg) {
    bench *b = arg;
    size_t count = cnn_plan_step_count(b->plan);
    warm_up(b);
    b->runs = calloc(b->iterations, sizeof *b->runs);
    b->steps = calloc(count + 1, sizeof *b->steps);
    b->profile = calloc(PROFILE_RUNS * (count + 1), sizeof *b->profile);
    b->failed = !b->runs || !b->steps || !b->profile;
    if (b->failed) return;
    for (size_t i = 0; i < b->iterations; i++) {
        b->runs[i] = timed_run(b);
        if (i < PROFILE_RUNS) profiled_run(b, i);
    }
    qsort(b->runs, b->iterations, sizeof *b->runs, by_value);
    sum_up_steps(b, b->iterations < PROFILE_RUNS ? b->iterations : PROFILE_RUNS);
}

double bench_percentile(const uint64_t *sorted, size_t count, double percent) {
    double rank = percent / 100 * (double)(count - 1);
    size_t below = (size_t)rank, above = below + 1 < count ? below + 1 : below;
    double part = rank - (double)below;
    return (double)sorted[below] * (1 - part) + (double)sorted[above] * part;
}

/* VmHWM rather than getrusage's figure, which would count the parent before exec too. */
static uint64_t peak_rss_bytes(void) {
    char line[200];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && kib == 0 && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %llu kB", &kib) != 1) kib = 0;
    if (status) fclose(status);
    struct rusage usage;
    if (kib == 0 && getrusage(RUSAGE_SELF, &usage) == 0) kib = (unsigned long long)usage.ru_maxrss;
    return kib * 1024;
}

/* ---- preparing ---------------------------------------------------------------------------- */

/* The batch that the graph's first input is fixed to, or --shape gives; -1: any. */
static int64_t fixed_batch(const bench *b, const bench_values *values) {
    if (cnn_model_input_count(b->of.graph) == 0) return 1;
    cnn_shape shape =
        values->shape.count > 0 ? b->shapes[0] : cnn_model_input(b->of.graph, 0).shape;
    return shape.rank == 0 ? 1 : shape.rank < 0 ? -1 : shape.dims[0];
}

/* The batch is what the model takes, rather 1. False: it does not take that of --batch. */
static bool choose_batch(bench *b, const bench_values *values) {
    int64_t fixed = fixed_batch(b, values), wanted = values->batch;
    if (wanted && fixed >= 0 && wanted != fixed) {
        cli_fail(CLI_USAGE, "%s to %lld",
                 values->shape.count > 0 ? "--shape sets the batch" : "the model's batch is fixed",
                 (long long)fixed);
        return false;
    }
    b->batch = (size_t)(fixed >= 0 ? fixed : wanted ? wanted : 1);
    return true;
}

/* Those of serving, or of the file, but for what --shape gives; then the batch. */
static bool choose_shapes(bench *b, const bench_values *values) {
    size_t inputs = cnn_model_input_count(b->of.graph);
    if (inputs > SHAPES_MAX) {
        cli_fail(CLI_USAGE, "the model has %zu inputs, at most %d are taken", inputs, SHAPES_MAX);
        return false;
    }
    for (size_t i = 0; i < inputs; i++)
        b->shapes[i] = b->of.served ? served_model_nominal(b->of.served)
                                    : cnn_model_input(b->of.graph, i).shape;
    cnn_shape open = inputs ? cnn_model_input(b->of.graph, 0).shape : (cnn_shape){0};
    if (b->of.served && open.dims[0] < 0) b->shapes[0].dims[0] = -1;
    if (!shapes_read(b->of.graph, &values->shape, b->shapes) || !choose_batch(b, values))
        return false;
    for (size_t i = 0; i < inputs; i++)
        if (b->shapes[i].rank > 0 && b->shapes[i].dims[0] < 0)
            b->shapes[i].dims[0] = (int64_t)b->batch;
    return true;
}

/* The plan that serving uses, for the batch: only the predictions' output. */
static cnn_status compile(bench *b, cnn_error *err) {
    const char *output = b->of.served ? served_model_output(b->of.served).name : NULL;
    cnn_plan_options how = {.input_shapes = b->shapes,
                            .outputs = output ? &output : NULL,
                            .output_count = output ? 1 : 0};
    cnn_status status = plan_what_can(b->of.graph, &how, &b->plan, err);
    if (status == CNN_OK) status = cnn_session_create(b->plan, &b->session, err);
    return status;
}

/* ---- reporting ---------------------------------------------------------------------------- */

static double step_share(const bench *b, size_t index) {
    double all = 0;
    for (size_t i = 0; i < cnn_plan_step_count(b->plan); i++)
        all += (double)b->steps[i];
    return all > 0 ? (double)b->steps[index] / all : 0;
}

/* 2 floating-point operations a MAC. */
static double gflops(uint64_t macs, double ns) {
    return ns > 0 ? 2 * (double)macs / ns : 0;
}

static double mean_ns(const bench *b) {
    double sum = 0;
    for (size_t i = 0; i < b->iterations; i++)
        sum += (double)b->runs[i];
    return sum / (double)b->iterations;
}

static void print_steps(const bench *b) {
    static const char *const titles[] = {"Layer", "Op",    "Runs as", "Output shape",
                                         "ms",    "Share", "MACs",    "GFLOP/s"};
    char shape[200], macs[40];
    table t;
    table_init(&t, 8, titles, "llllrrrr");
    for (size_t i = 0; i < cnn_plan_step_count(b->plan); i++) {
        cnn_step_info step = cnn_plan_step(b->plan, i);
        table_add(&t, "%s", step.name);
        table_add(&t, "%s", step.op);
        table_add(&t, "%s", step.kernel);
        table_add(&t, "%s", text_shape(&step.shape, shape, sizeof shape));
        table_add(&t, "%.3f", (double)b->steps[i] / NS_PER_MS);
        table_add(&t, "%.1f%%", 100 * step_share(b, i));
        table_add(&t, "%s", step.macs ? text_scaled((double)step.macs, macs, sizeof macs) : "");
        if (step.macs)
            table_add(&t, "%.1f", gflops(step.macs, (double)b->steps[i]));
        else
            table_add(&t, "%s", "");
    }
    table_print(&t);
    table_free(&t);
}

static void print_text(const bench *b) {
    char rss[40], arena[40], weights[40], macs[40];
    double median = bench_percentile(b->runs, b->iterations, 50);
    char shape[200];
    printf("Model %s, %s, batch %zu, %d thread%s (%s%s), %s\n", b->of.name,
           b->of.served ? served_model_precision(b->of.served) : "fp32", b->batch,
           cnn_runtime_threads(b->rt), cnn_runtime_threads(b->rt) == 1 ? "" : "s",
           cnn_runtime_threads_origin(b->rt), cli_affinity_note(b->rt), cnn_runtime_isa(b->rt));
    for (size_t i = 0; i < cnn_plan_input_count(b->plan); i++) {
        cnn_tensor_info info = cnn_plan_input(b->plan, i);
        printf("Input %s  %s  %s\n", info.name, cnn_dtype_name(info.dtype),
               text_shape(&info.shape, shape, sizeof shape));
    }
    putchar('\n');
    print_steps(b);
    printf("Latency        median %.3f ms, min %.3f, mean %.3f, p99 %.3f (%zu runs)\n",
           median / NS_PER_MS, (double)b->runs[0] / NS_PER_MS, mean_ns(b) / NS_PER_MS,
           bench_percentile(b->runs, b->iterations, 99) / NS_PER_MS, b->iterations);
    printf("Throughput     %.1f images/s, %.1f GFLOP/s (%s MACs a run)\n",
           1e9 * (double)b->batch / median, gflops(b->macs, median),
           text_scaled((double)b->macs, macs, sizeof macs));
    printf("Memory         peak %s, weights %s, activations %s\n",
           text_bytes(peak_rss_bytes(), rss, sizeof rss),
           text_bytes(cnn_model_weights_bytes(b->of.graph), weights, sizeof weights),
           text_bytes(cnn_plan_arena_bytes(b->plan), arena, sizeof arena));
}

static void write_step(json_writer *w, const bench *b, size_t index) {
    cnn_step_info step = cnn_plan_step(b->plan, index);
    json_write_begin_object(w);
    json_write_member_text(w, "name", step.name);
    json_write_member_text(w, "op", step.op);
    json_write_member_text(w, "kernel", step.kernel);
    json_write_key(w, "output_shape");
    json_write_shape(w, &step.shape);
    json_write_member_float(w, "ms", (double)b->steps[index] / NS_PER_MS);
    json_write_member_float(w, "share", step_share(b, index));
    json_write_member_uint(w, "macs", step.macs);
    json_write_member_float(w, "gflops", gflops(step.macs, (double)b->steps[index]));
    json_write_end_object(w);
}

static void write_figures(json_writer *w, const bench *b) {
    double median = bench_percentile(b->runs, b->iterations, 50);
    json_write_member_text(w, "model", b->of.name);
    json_write_member_text(w, "precision",
                           b->of.served ? served_model_precision(b->of.served) : "fp32");
    json_write_member_uint(w, "threads", (uint64_t)cnn_runtime_threads(b->rt));
    json_write_member_uint(w, "batch", b->batch);
    json_write_plan_inputs(w, "inputs", b->plan);
    json_write_member_uint(w, "iterations", b->iterations);
    json_write_member_float(w, "median_ms", median / NS_PER_MS);
    json_write_member_float(w, "min_ms", (double)b->runs[0] / NS_PER_MS);
    json_write_member_float(w, "mean_ms", mean_ns(b) / NS_PER_MS);
    json_write_member_float(w, "p99_ms", bench_percentile(b->runs, b->iterations, 99) / NS_PER_MS);
    json_write_member_float(w, "images_per_second", 1e9 * (double)b->batch / median);
    json_write_member_float(w, "gflops", gflops(b->macs, median));
    json_write_member_uint(w, "macs", b->macs);
    json_write_member_text(w, "isa", cnn_runtime_isa(b->rt));
    json_write_member_uint(w, "peak_rss_bytes", peak_rss_bytes());
    json_write_member_uint(w, "arena_bytes", cnn_plan_arena_bytes(b->plan));
    json_write_member_uint(w, "weights_bytes", cnn_model_weights_bytes(b->of.graph));
}

static int print_json(const bench *b) {
    buffer out;
    buffer_init(&out, JSON_MAX);
    json_writer w = {.out = &out};
    json_write_begin_object(&w);
    write_figures(&w, b);
    json_write_key(&w, "layers");
    json_write_begin_array(&w);
    for (size_t i = 0; i < cnn_plan_step_count(b->plan); i++)
        write_step(&w, b, i);
    json_write_end_array(&w);
    json_write_end_object(&w);
    bool failed = buffer_failed(&out);
    if (!failed) {
        fwrite(out.data, 1, out.size, stdout);
        putchar('\n');
    }
    buffer_free(&out);
    return failed ? cli_fail(CLI_FAILED, "the report does not fit into memory") : CLI_OK;
}

/* ---- the subcommand ----------------------------------------------------------------------- */

static int bench_model(bench *b, const char *spec, const bench_values *values) {
    cnn_error engine = {0};
    b->iterations = (size_t)values->iterations;
    if (!graph_open(b->rt, spec, values->precision, &b->of)) return CLI_USAGE;
    if (!choose_shapes(b, values)) return CLI_USAGE;
    if (compile(b, &engine) != CNN_OK)
        return cli_fail(CLI_USAGE, "%s: %s%s", spec, engine.message, shapes_hint(engine.status));
    for (size_t i = 0; i < cnn_plan_step_count(b->plan); i++)
        b->macs += cnn_plan_step(b->plan, i).macs;
    cnn_runtime_run(b->rt, measure, b);
    if (b->failed) return cli_fail(CLI_FAILED, "out of memory");
    if (values->json) return print_json(b);
    print_text(b);
    return CLI_OK;
}

static void bench_free(bench *b) {
    free(b->runs);
    free(b->steps);
    free(b->profile);
    cnn_session_free(b->session);
    cnn_plan_free(b->plan);
    graph_close(&b->of);
}

static int bench_run(cnn_runtime *rt, const void *values, const option_list *arguments) {
    bench b = {.rt = rt};
    int status = bench_model(&b, arguments->items[0], values);
    bench_free(&b);
    return status;
}

int cli_bench(int argc, char **argv) {
    bench_values values = {0};
    return cli_with_runtime(&options, argc, argv, &values, &values.threads, &values.affinity,
                            &values.tune, bench_run);
}
