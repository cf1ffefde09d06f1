/*
 * The program's subcommands: the table, dispatch, --help and --version.
 *
 * Each subcommand describes its own options in its own file and prints its own --help from them.
 */
#include "cli/cli.h"

#include "common/names.h"
#include "models/models.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const cli_command commands[] = {
    {"serve", "[options]", "serve the built-in models, or those given (the default)", cli_serve},
    {"classify", "MODEL IMAGE...", "classify image files, folders of them or, as -, standard input",
     cli_classify},
    {"inspect", "MODEL", "layers: op, output shape, parameters, MACs, window, inputs", cli_inspect},
    {"bench", "MODEL", "latency, and the time of each layer", cli_bench},
    {"verify", "DIR...", "run ONNX test folders and compare the outputs", cli_verify},
    {"healthcheck", "[URL]", "exit with 0 if a server is ready", cli_healthcheck},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

const cli_command *cli_commands(size_t *count) {
    *count = COMMANDS;
    return commands;
}

int cli_fail(int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("cnnserve: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

void cli_warn(const model_warnings *warnings) {
    for (size_t i = 0; i < warnings->count; i++)
        fprintf(stderr, "cnnserve: warning: %s\n", warnings->lines[i]);
}

static void print_help(void) {
    puts("usage: cnnserve [COMMAND] [options]\n\n"
         "Classifies images with convolutional neural networks, over HTTP or from the shell.\n\n"
         "commands:");
    for (size_t i = 0; i < COMMANDS; i++) {
        char left[80];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].arguments);
        printf("  %-26s%s\n", left, commands[i].summary);
    }
    puts("\n  --version                 the version of the program\n"
         "  --help                    this text\n\n"
         "cnnserve COMMAND --help     the options of a command\n\n" CLI_MODEL_HELP);
    printf("Built in are");
    for (size_t i = 0; i < model_builtin_count(); i++)
        printf("%s %s", i ? "," : "", model_builtin_name(i));
    puts(".\n\nThe environment variable CNN_CPU (baseline, avx2, avx512) limits the instruction "
         "set.");
}

static const char *command_name_at(const void *list, size_t index) {
    return ((const cli_command *)list)[index].name;
}

static int unknown_command(const char *name) {
    char near[300];
    return cli_fail(CLI_USAGE, "unknown command '%.100s'%s", name,
                    names_suggest(name, commands, COMMANDS, command_name_at, near, sizeof near));
}

static int run_command(int argc, char **argv) {
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--version") == 0) {
        printf("cnnserve %s\n", cnn_version());
        return CLI_OK;
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
        print_help();
        return CLI_OK;
    }
    if (first[0] == '\0' || first[0] == '-') return commands[0].run(argc, argv);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, first) == 0) return commands[i].run(argc - 1, argv + 1);
    return unknown_command(first);
}

/* Output that is not all where it should be is a failure, whatever came before: a full disk. */
static int check_output(int status) {
    bool failed = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) == 0 && !failed) return status;
    cli_fail(status, "the output cannot be written%s%s", errno ? ": " : "",
             errno ? strerror(errno) : "");
    return status ? status : CLI_FAILED;
}

int cli_run(int argc, char **argv) {
    return check_output(run_command(argc, argv));
}

cnn_runtime_options cli_runtime_options(int64_t threads, const char *affinity, const char *tune) {
    bool on = tune && strcmp(tune, "off") != 0;
    return (cnn_runtime_options){.threads = (int)threads,
                                 .tune = on,
                                 .tuning_file = on && strcmp(tune, "on") != 0 ? tune : NULL,
                                 .bind = affinity && strcmp(affinity, "auto") == 0};
}

const char *cli_affinity_note(const cnn_runtime *rt) {
    return cnn_runtime_bound(rt) ? ", each on CPUs of its own" : "";
}

/* What is not remembered is measured again the next time, no more: the status stays. */
static int warn_of_tuning(const cnn_runtime *rt, int status) {
    cnn_error err;
    if (cnn_runtime_tuning_status(rt, &err) != CNN_OK) cli_fail(status, "%s", err.message);
    return status;
}

int cli_with_runtime(const option_set *set, int argc, char **argv, void *values,
                     const int64_t *threads, char *const *affinity, char *const *tune,
                     cli_body_fn *body) {
    option_list arguments = {0};
    cnn_runtime *rt = NULL;
    cnn_error err = {0};
    int status = CLI_USAGE;
    options_outcome outcome = options_parse(set, argc, argv, values, &arguments);
    if (outcome == OPTIONS_OK) {
        cnn_runtime_options how = cli_runtime_options(
            threads ? *threads : 0, affinity ? *affinity : NULL, tune ? *tune : NULL);
        if (cnn_runtime_create(&how, &rt, &err) == CNN_OK)
            status = warn_of_tuning(rt, body(rt, values, &arguments));
        else
            cli_fail(CLI_USAGE, "%s", err.message);
        cnn_runtime_free(rt);
    }
    options_free(set, values, &arguments);
    return outcome == OPTIONS_HELP ? CLI_OK : status;
}
