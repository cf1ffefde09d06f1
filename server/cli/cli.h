/* cli.h: the subcommands of the program, and what they share. */
#ifndef CNNSERVE_CLI_H
#define CNNSERVE_CLI_H

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

#endif
