/*
 * options.h: declarative command-line options.
 *
 * A subcommand describes its options in one constant table, each with the offset of a field in a
 * struct of values. From that table come parsing (--name value, --name=value), --help, messages
 * that name the nearest option, the environment (CNNSERVE_<NAME>) and the keys of a JSON config
 * file. What is given last wins: fallback, config file, environment, command line.
 */
#ifndef CNNSERVE_OPTIONS_H
#define CNNSERVE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Type of the option, and of its field in the values struct. */
typedef enum option_type {
    OPTION_FLAG,   /* bool: --name, or --name=true|false */
    OPTION_TEXT,   /* char *: owned by the struct, NULL if not given */
    OPTION_CHOICE, /* char *: one of `choices` */
    OPTION_LIST,   /* option_list: repeatable; in the environment separated by commas */
    OPTION_INT,    /* int64_t in [min, max] */
    OPTION_SIZE,   /* uint64_t in [min, max]: 1048576, 512k, 20MiB, 1GB (k, M, G: powers of 1024) */
    OPTION_NUMBER, /* double, finite, at least min */
} option_type;

typedef struct option_list {
    char **items; /* both owned */
    size_t count;
} option_list;

typedef struct option_def {
    const char *name; /* without the dashes, "max-body" */
    option_type type;
    size_t offset;        /* offsetof(struct values, field) */
    const char *fallback; /* as one would type it, also shown by --help; NULL: field stays 0 */
    const char *argument; /* its name in --help: "N", "DIR" */
    const char *help;     /* one line, without the default */
    const char *choices;  /* OPTION_CHOICE: "text|json|csv" */
    const char *zero;     /* OPTION_INT: a word that stands for 0, "auto" */
    int64_t min, max;     /* max 0: none */
} option_def;

typedef struct option_set {
    const char *usage; /* "cnnserve classify [options] MODEL IMAGE..." */
    const char *about; /* what the subcommand does, one or more lines; may be NULL */
    const option_def *defs;
    size_t count;
    bool environment;   /* each option is also CNNSERVE_<NAME>, dashes as underscores */
    const char *config; /* name of the OPTION_TEXT that names a config file; NULL: none */
    size_t min_arguments, max_arguments; /* positional ones */
} option_set;

/* What a parse ended with. */
typedef enum options_outcome {
    OPTIONS_OK,
    OPTIONS_HELP,  /* --help was printed to stdout: exit with 0 */
    OPTIONS_ERROR, /* one line was printed to stderr: exit with 2 */
} options_outcome;

/*
 * Reads argv[1...argc-1]. `values` is the zeroed struct of the table; whatever is returned, it is
 * freed with options_free. `arguments` (NULL if there are none to take) receives pointers into argv
 * of the positional arguments; options may stand between them, "--" ends the options.
 */
options_outcome options_parse(const option_set *set, int argc, char **argv, void *values,
                              option_list *arguments);
/* Frees the strings and lists and zeroes those fields; `arguments` may be NULL. */
void options_free(const option_set *set, void *values, option_list *arguments);

/* Receives one sentence about a variable; `unknown`: it means nothing to the program. */
typedef void options_note_fn(bool unknown, const char *sentence);
/*
 * Reports what is in the environment and gives no option: CNNSERVE_... that no option is called,
 * and the links that Kubernetes makes for a service called cnnserve, where one is called as an
 * option is (CNNSERVE_PORT=tcp://10.0.0.1:8080); its other links are passed over.
 */
void options_review_environment(const option_set *set, options_note_fn *note);

/* The pieces, for tests and for values from elsewhere. */

/* Sets one option from text; false: `message` says what is wrong. */
bool options_set(const option_def *def, const char *text, void *values, char *message, size_t size);
/* "20MiB" -> 20971520; false if it is no size or overflows. */
bool options_read_size(const char *text, uint64_t *out);
/* Writes --help. */
void options_print_help(const option_set *set);

#endif
