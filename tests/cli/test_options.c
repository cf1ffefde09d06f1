#include "cli/options.h"
#include "cli/serve_options.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    bool flag;
    char *text, *choice, *config;
    option_list list;
    int64_t number;
    uint64_t size;
    double ratio;
} values;

static const option_def defs[] = {
    {.name = "flag", .type = OPTION_FLAG, .offset = offsetof(values, flag), .help = "a flag"},
    {.name = "text",
     .type = OPTION_TEXT,
     .offset = offsetof(values, text),
     .argument = "TEXT",
     .help = "a text"},
    {.name = "choice",
     .type = OPTION_CHOICE,
     .offset = offsetof(values, choice),
     .fallback = "one",
     .choices = "one|two",
     .help = "a choice"},
    {.name = "config", .type = OPTION_TEXT, .offset = offsetof(values, config), .help = "a file"},
    {.name = "list", .type = OPTION_LIST, .offset = offsetof(values, list), .help = "a list"},
    {.name = "number",
     .type = OPTION_INT,
     .offset = offsetof(values, number),
     .fallback = "7",
     .min = -5,
     .max = 100,
     .help = "a number"},
    {.name = "max-size",
     .type = OPTION_SIZE,
     .offset = offsetof(values, size),
     .fallback = "20MiB",
     .argument = "SIZE",
     .min = 1,
     .help = "a size"},
    {.name = "ratio", .type = OPTION_NUMBER, .offset = offsetof(values, ratio), .help = "a ratio"},
};

static const option_set set = {.usage = "cnnserve test [options] FILE...",
                               .about = "Tests.",
                               .defs = defs,
                               .count = sizeof defs / sizeof defs[0],
                               .environment = true,
                               .config = "config"};

#define PARSE(v, arguments, ...)                                                                   \
    options_parse(&set, (int)(sizeof((char *[]){"test", __VA_ARGS__}) / sizeof(char *)),           \
                  (char *[]){"test", __VA_ARGS__}, v, arguments)

Test(options, defaults) {
    values v = {0};
    char *argv[] = {"test"};
    cr_assert_eq(options_parse(&set, 1, argv, &v, NULL), OPTIONS_OK);
    cr_expect(!v.flag && !v.text && v.list.count == 0 && v.ratio == 0);
    cr_expect_str_eq(v.choice, "one");
    cr_expect_eq(v.number, 7);
    cr_expect_eq(v.size, 20u << 20);
    options_free(&set, &v, NULL);
}

Test(options, both_spellings_and_arguments) {
    values v = {0};
    option_list arguments = {0};
    cr_assert_eq(PARSE(&v, &arguments, "a", "--text", "x=y", "--number=-5", "b", "--flag",
                       "--choice=two", "--list", "1", "--list=2", "--max-size=1k", "--ratio",
                       "1e-3", "-", "--", "--text"),
                 OPTIONS_OK);
    cr_expect(v.flag);
    cr_expect_str_eq(v.text, "x=y");
    cr_expect_str_eq(v.choice, "two");
    cr_expect_eq(v.number, -5);
    cr_expect_eq(v.size, 1024);
    cr_expect_eq(v.ratio, 1e-3);
    cr_assert_eq(v.list.count, 2);
    cr_expect_str_eq(v.list.items[1], "2");
    static const char *const want[] = {"a", "b", "-", "--text"};
    cr_assert_eq(arguments.count, 4);
    for (size_t i = 0; i < 4; i++)
        cr_expect_str_eq(arguments.items[i], want[i]);
    options_free(&set, &v, &arguments);
}

Test(options, later_ones_win) {
    values v = {0};
    cr_assert_eq(PARSE(&v, NULL, "--text=a", "--text=b", "--flag", "--flag=false"), OPTIONS_OK);
    cr_expect_str_eq(v.text, "b");
    cr_expect_not(v.flag);
    options_free(&set, &v, NULL);
}

/* Runs one wrong command line and compares what it prints. */
static void expect_error(char *argument, const char *message) {
    values v = {0};
    char want[600], *text = NULL;
    size_t size;
    FILE *saved = stderr;
    stderr = open_memstream(&text, &size);
    options_outcome outcome = options_parse(&set, 2, (char *[]){"test", argument}, &v, NULL);
    fclose(stderr);
    stderr = saved;
    snprintf(want, sizeof want, "cnnserve: %s\n", message);
    cr_expect_eq(outcome, OPTIONS_ERROR, "%s", argument);
    cr_expect_str_eq(text, want, "%s", text);
    free(text);
    options_free(&set, &v, NULL);
}

Test(options, errors) {
    expect_error("--txt=1", "unknown option '--txt'; did you mean 'text'?");
    expect_error("--qqqqqq", "unknown option '--qqqqqq'; --help lists them");
    expect_error("-v", "unknown option '-v'; options are written --name");
    expect_error("--text", "--text needs a value");
    expect_error("file", "unexpected argument 'file'");
    expect_error("--choice=three", "--choice must be one of one|two, not 'three'");
    expect_error("--choice=", "--choice must be one of one|two, not ''");
    expect_error("--number=1x", "--number must be a whole number from -5 to 100, not '1x'");
    expect_error("--number=101", "--number must be a whole number from -5 to 100, not '101'");
    expect_error("--number= 1", "--number must be a whole number from -5 to 100, not ' 1'");
    expect_error("--number=99999999999999999999",
                 "--number must be a whole number from -5 to 100, not '99999999999999999999'");
    expect_error("--max-size=big",
                 "--max-size must be a size such as 1048576, 512k or 20MiB, not 'big'");
    expect_error("--max-size=0",
                 "--max-size must be from 1 to 18446744073709551615 bytes, not '0'");
    expect_error("--ratio=nan", "--ratio must be a number, at least 0, not 'nan'");
    expect_error("--ratio=-1", "--ratio must be a number, at least 0, not '-1'");
    expect_error("--flag=maybe", "--flag must be true or false, not 'maybe'");
}

Test(options, number_of_arguments) {
    option_set two = set;
    two.min_arguments = 1;
    two.max_arguments = 2;
    static const struct {
        int argc;
        options_outcome outcome;
    } cases[] = {{1, OPTIONS_ERROR}, {2, OPTIONS_OK}, {3, OPTIONS_OK}, {4, OPTIONS_ERROR}};
    cr_redirect_stderr();
    for (size_t i = 0; i < 4; i++) {
        values v = {0};
        option_list arguments = {0};
        char *argv[] = {"test", "a", "b", "c"};
        cr_expect_eq(options_parse(&two, cases[i].argc, argv, &v, &arguments), cases[i].outcome);
        options_free(&two, &v, &arguments);
    }
}

Test(options, sizes) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"123", 123},
                {"1k", 1024},
                {"1K", 1024},
                {"2KiB", 2048},
                {"3kB", 3072},
                {"20MiB", 20 << 20},
                {"20 MiB", 20 << 20},
                {"1G", 1ull << 30},
                {"2TiB", 2ull << 40},
                {"5B", 5}};
    static const char *const bad[] = {"",         "k",  "-1",   "1.5M", "1MM",
                                      "1iB",      "1x", "0x10", " 1",   "99999999999999999999",
                                      "18000000T"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_expect(options_read_size(good[i].text, &bytes), "%s", good[i].text);
        cr_expect_eq(bytes, good[i].bytes, "%s is %llu", good[i].text, (unsigned long long)bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(options_read_size(bad[i], &bytes), "%s", bad[i]);
}

Test(options, a_word_for_zero) {
    const option_def threads = {.name = "threads",
                                .type = OPTION_INT,
                                .offset = offsetof(values, number),
                                .zero = "auto",
                                .min = 1,
                                .max = 8};
    values v = {.number = 3};
    char message[200] = "";
    cr_expect(options_set(&threads, "auto", &v, message, sizeof message));
    cr_expect_eq(v.number, 0);
    cr_expect(options_set(&threads, "8", &v, message, sizeof message));
    cr_expect_eq(v.number, 8);
    cr_expect_not(options_set(&threads, "0", &v, message, sizeof message));
    cr_expect_str_eq(message, "--threads must be auto or a whole number from 1 to 8, not '0'");
}

/* The path of a new file with that content. */
static char *write_config(const char *text) {
    char *path = strdup("/tmp/cnnserve-config-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

Test(options, precedence) {
    values v = {0};
    char *config =
        write_config("{\"text\": \"file\", \"choice\": \"two\", \"number\": 1,"
                     "\"max-size\": \"1k\", \"list\": [\"f1\", \"f2\"], \"flag\": true}");
    char option[100];
    snprintf(option, sizeof option, "--config=%s", config);
    setenv("CNNSERVE_NUMBER", "2", 1);
    setenv("CNNSERVE_TEXT", "environment", 1);
    setenv("CNNSERVE_LIST", "e1,e2,e3", 1);
    setenv("CNNSERVE_MAX_SIZE", "", 1);
    cr_assert_eq(PARSE(&v, NULL, option, "--number=3"), OPTIONS_OK);
    cr_expect_eq(v.number, 3, "the command line wins");
    cr_expect_str_eq(v.text, "environment");
    cr_expect_str_eq(v.choice, "two");
    cr_expect_eq(v.size, 1024, "an empty variable gives nothing");
    cr_expect(v.flag);
    cr_assert_eq(v.list.count, 3, "a source replaces another one's list");
    cr_expect_str_eq(v.list.items[0], "e1");
    options_free(&set, &v, NULL);
    setenv("CNNSERVE_CONFIG", config, 1);
    cr_assert_eq(PARSE(&v, NULL, "--list=a"), OPTIONS_OK);
    cr_expect_str_eq(v.choice, "two", "the environment may name the file");
    cr_expect_eq(v.list.count, 1);
    options_free(&set, &v, NULL);
    unlink(config);
    free(config);
}

Test(options, automatic_threads_from_every_source) {
    serve_values v = {0};
    char *config = write_config("{\"threads\": \"auto\"}"), option[100];
    snprintf(option, sizeof option, "--config=%s", config);
    char *const lines[][3] = {{"serve"}, {"serve", option}, {"serve", "--threads", "auto"}};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(options_parse(&serve_option_set, 1 + i, (char **)lines[i], &v, NULL),
                     OPTIONS_OK);
        cr_expect_eq(v.threads, 0);
        options_free(&serve_option_set, &v, NULL);
        setenv("CNNSERVE_THREADS", "auto", 1);
    }
    unlink(config);
    free(config);
}

Test(options, links_of_kubernetes_are_no_numbers) {
    values v = {0};
    setenv("CNNSERVE_NUMBER", "tcp://10.0.0.1:8080", 1);
    cr_assert_eq(options_parse(&set, 1, (char *[]){"test"}, &v, NULL), OPTIONS_OK);
    cr_expect_eq(v.number, 7);
    options_free(&set, &v, NULL);
}

static char notes[1000];

static void keep_note(bool unknown, const char *sentence) {
    size_t used = strlen(notes);
    snprintf(notes + used, sizeof notes - used, "%s: %s\n", unknown ? "unknown" : "link", sentence);
}

Test(options, variables_that_give_nothing) {
    static const char *const quiet[] = {
        "CNNSERVE_NUMBER=3",
        "CNNSERVE_MAX_SIZE=",
        "CNNSERVE_TEST_DATA=/data",
        "CNNSERVE_SERVICE_HOST=10.0.0.1",
        "CNNSERVE_SERVICE_PORT=8080",
        "CNNSERVE_SERVICE_PORT_HTTP=8080",
        "CNNSERVE_PORT=tcp://10.0.0.1:8080",
        "CNNSERVE_PORT_8080_TCP=tcp://10.0.0.1:8080",
        "CNNSERVE_PORT_8080_TCP_PROTO=tcp",
        "CNNSERVE_PORT_8080_TCP_ADDR=10.0.0.1",
        "CNNSERVE_PORT_53_UDP_PORT=53",
        "CNNSERVE_CATS_SERVICE_HOST=10.0.0.2",
        "CNNSERVE_CATS_PORT=udp://10.0.0.2:53",
        "CNNSERVED=1",
    };
    static const struct {
        char *variable;
        const char *note;
    } cases[] = {
        {"CNNSERVE_NUMBR=3", "unknown: the environment variable CNNSERVE_NUMBR is none of this "
                             "program's; did you mean CNNSERVE_NUMBER?\n"},
        {"CNNSERVE_MAXSIZE=3", "unknown: the environment variable CNNSERVE_MAXSIZE is none of this "
                               "program's; did you mean CNNSERVE_MAX_SIZE?\n"},
        {"CNNSERVE_QQQQQQQQQQ=", "unknown: the environment variable CNNSERVE_QQQQQQQQQQ is none of "
                                 "this program's; --help lists the options\n"},
        {"CNNSERVE_number=3", "unknown: the environment variable CNNSERVE_number is none of this "
                              "program's; did you mean CNNSERVE_NUMBER?\n"},
        {"CNNSERVE_PORT=8081", "unknown: the environment variable CNNSERVE_PORT is none of this "
                               "program's; --help lists the options\n"},
    };
    clearenv();
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++)
        putenv((char *)quiet[i]);
    options_review_environment(&set, keep_note);
    environ = (char *[]){"CNNSERVE_", "CNNSERVE_NUMBR", NULL}; /* as only exec can make it */
    options_review_environment(&set, keep_note);
    cr_expect_str_eq(notes, "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clearenv();
        putenv(cases[i].variable);
        notes[0] = '\0';
        options_review_environment(&set, keep_note);
        cr_expect_str_eq(notes, cases[i].note);
    }
    clearenv();
    putenv("CNNSERVE_PORT=tcp://10.0.0.1:8080");
    notes[0] = '\0';
    options_review_environment(&serve_option_set, keep_note);
    cr_expect_str_eq(notes,
                     "link: CNNSERVE_PORT=tcp://10.0.0.1:8080 is a link that Kubernetes made "
                     "for a service, no value of --port, and is not heeded; "
                     "enableServiceLinks: false leaves such links out\n");
}

Test(options, errors_name_their_source) {
    char *config = write_config("{\"numbr\": 3}"), option[100];
    snprintf(option, sizeof option, "--config=%s", config);
    expect_error(option, "in the config file: unknown option 'numbr'; did you mean 'number'?");
    unlink(config);
    free(config);
    config = write_config("{\"max_size\": 3}");
    snprintf(option, sizeof option, "--config=%s", config);
    expect_error(option, "in the config file: unknown option 'max_size'; did you mean 'max-size'?");
    setenv("CNNSERVE_NUMBER", "x", 1);
    expect_error("--flag",
                 "in the environment: --number must be a whole number from -5 to 100, not 'x'");
    unlink(config);
    free(config);
}

Test(options, help) {
    values v = {0};
    cr_redirect_stdout();
    cr_expect_eq(PARSE(&v, NULL, "--number=wrong", "--help"), OPTIONS_HELP);
    cr_expect_eq(PARSE(&v, NULL, "--", "--help"), OPTIONS_ERROR);
    options_free(&set, &v, NULL);
    fflush(stdout);
    cr_expect_stdout_eq_str(
        "usage: cnnserve test [options] FILE...\n\nTests.\n\noptions:\n"
        "  --flag                      a flag\n"
        "  --text TEXT                 a text\n"
        "  --choice one|two            a choice (one)\n"
        "  --config                    a file\n"
        "  --list                      a list\n"
        "  --number                    a number (7)\n"
        "  --max-size SIZE             a size (20MiB)\n"
        "  --ratio                     a ratio\n"
        "  --help                      this text\n"
        "\nSIZE is in bytes: 20971520, 512k or 20MiB; k, M, G and T are powers of 1024.\n"
        "\nEach option is also an environment variable, CNNSERVE_ and its name in capitals\n"
        "with _ for -, and a key of the JSON object in --config FILE, its name with dashes;\n"
        "the command line wins over the environment, and that over the file.\n"
        "Repeated values are separated by commas in the variable, and an array in the file.\n");
}
