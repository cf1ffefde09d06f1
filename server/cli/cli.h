/* cli.h: the subcommands of the program, and what they share. */
#ifndef CNNSERVE_CLI_H
#define CNNSERVE_CLI_H

#include "cli/options.h"
#include "models/models.h"
#include "json/model_config.h"

#include <cnn.h>
#include <stddef.h>

/* Exit statuses of every subcommand. */
#define CLI_OK     0
#define CLI_FAILED 1 /* something asked for did not work out: an image, a case, a port taken */
#define CLI_USAGE  2 /* a wrong option, value, file or model; one line on stderr says which */

/* Takes argv from the subcommand's name on (argv[0] is not read) and returns the exit status. */
typedef int cli_command_fn(int argc, char **argv);

cli_command_fn cli_serve, cli_classify, cli_inspect, cli_bench, cli_verify, cli_healthcheck;

typedef struct cli_command {
    const char *name;
    const char *arguments; /* for the usage line: "MODEL IMAGE..." */
    const char *summary;   /* one line of --help */
    cli_command_fn *run;
} cli_command;

/* Every subcommand, in the order of --help; `serve`, the default, is the first. */
const cli_command *cli_commands(size_t *count);

/*
 * The program: --version, --help, a subcommand, or (no argument, or an option first) serve.
 * Returns the exit status.
 */
int cli_run(int argc, char **argv);

/* Prints "cnnserve: <sentence>" to stderr and returns `status`. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "cnnserve: warning: <sentence>" to stderr for each. */
void cli_warn(const model_warnings *warnings);

/* ---- what several subcommands share ------------------------------------------------------- */

/* Entries of an option table; `values` is the struct with the fields `threads`, `affinity`,
 * `precision` and `tune`. */
#define CLI_THREADS(values)                                                                        \
    {                                                                                              \
        .name = "threads", .type = OPTION_INT, .offset = offsetof(values, threads),                \
        .fallback = "auto", .zero = "auto", .argument = "N", .min = 1, .max = 1024,                \
        .help = "threads that compute; auto: the CPUs that affinity and quota allow"               \
    }
#define CLI_AFFINITY(values)                                                                       \
    {                                                                                              \
        .name = "affinity", .type = OPTION_CHOICE, .offset = offsetof(values, affinity),           \
        .fallback = "auto", .choices = "auto|off",                                                 \
        .help = "auto: each thread keeps to CPUs of its own if there are enough; off: to none"     \
    }
#define CLI_PRECISION(values)                                                                      \
    {                                                                                              \
        .name = "precision", .type = OPTION_CHOICE, .offset = offsetof(values, precision),         \
        .choices = MODEL_PRECISIONS,                                                               \
        .help = "numbers to compute with; not yet bf16 and int8 (as model.json says, else fp32)"   \
    }

#define CLI_TUNE(values)                                                                           \
    {                                                                                              \
        .name = "tune", .type = OPTION_TEXT, .offset = offsetof(values, tune), .fallback = "off",  \
        .argument = "off|on|FILE",                                                                 \
        .help = "measure how each convolution is best computed; FILE remembers it"                 \
    }

/* For --help of the subcommands that take a MODEL. */
#define CLI_MODEL_HELP                                                                             \
    "MODEL is a built-in model, a model folder, or an .onnx file. A built-in name wins over\n"     \
    "a folder of that name; write ./NAME for the folder."

/* What a subcommand does once its options are read; returns the exit status. */
typedef int cli_body_fn(cnn_runtime *rt, const void *values, const option_list *arguments);

/* What --threads (0: auto), --affinity and --tune (NULL: off) ask for. */
cnn_runtime_options cli_runtime_options(int64_t threads, const char *affinity, const char *tune);

/* What follows the number of threads and its origin where somebody reads it. */
const char *cli_affinity_note(const cnn_runtime *rt);

/*
 * Reads the options into the zeroed `values`, starts a runtime as its fields `threads`, `affinity`
 * and `tune` say (NULL where there is none), calls `body`, and frees everything. Returns the exit
 * status.
 */
int cli_with_runtime(const option_set *set, int argc, char **argv, void *values,
                     const int64_t *threads, char *const *affinity, char *const *tune,
                     cli_body_fn *body);

#endif
