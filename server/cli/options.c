/*
 * The option parser.
 *
 * Every source of values (fallbacks, config file, environment, command line) ends in options_set,
 * which checks a value and stores it in the caller's struct. A source replaces what an earlier one
 * has given, also for lists: those are emptied when a new source first adds to them.
 */
#include "cli/options.h"

#include "common/names.h"
#include "json/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_SIZE 700
/* Names the data of the tests, to which the program is started as to everyone. */
#define TEST_DATA "CNNSERVE_TEST_DATA"

/* ---- values ------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool fail(char *message, size_t size,
                                                       const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, size, format, args);
    va_end(args);
    return false;
}

static void *field_of(const option_def *def, void *values) {
    return (char *)values + def->offset;
}

static bool is_list(const option_def *def) {
    return def->type == OPTION_LIST;
}

static bool replace_text(char **field, const char *text, char *message, size_t size) {
    char *copy = strdup(text);
    if (!copy) return fail(message, size, "out of memory");
    free(*field);
    *field = copy;
    return true;
}

static bool list_add(option_list *list, const char *text, char *message, size_t size) {
    char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) return fail(message, size, "out of memory");
    list->items = items;
    items[list->count] = NULL;
    if (!replace_text(&items[list->count], text, message, size)) return false;
    list->count++;
    return true;
}

static void list_clear(option_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (option_list){0};
}

static bool set_flag(const option_def *def, const char *text, bool *field, char *message,
                     size_t size) {
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no",
                                                                                "off"};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *field = strcmp(text, yes[i]) == 0;
            return true;
        }
    return fail(message, size, "--%s must be true or false, not '%.100s'", def->name, text);
}

static bool is_choice(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (const char *choice = choices; choice && length > 0;) {
        size_t end = strcspn(choice, "|");
        if (end == length && memcmp(choice, text, end) == 0) return true;
        choice = choice[end] ? choice + end + 1 : NULL;
    }
    return false;
}

static bool set_choice(const option_def *def, const char *text, char **field, char *message,
                       size_t size) {
    if (!is_choice(def->choices, text))
        return fail(message, size, "--%s must be one of %s, not '%.100s'", def->name, def->choices,
                    text);
    return replace_text(field, text, message, size);
}

/* False if it is no number, or out of range. */
static bool read_int(const option_def *def, const char *text, int64_t *out) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool digits =
        isdigit((unsigned char)text[0]) || (text[0] == '-' && isdigit((unsigned char)text[1]));
    if (!digits || *end || errno || value < def->min || (def->max && value > def->max))
        return false;
    *out = value;
    return true;
}

static bool set_int(const option_def *def, const char *text, int64_t *field, char *message,
                    size_t size) {
    bool is_zero = def->zero && strcmp(text, def->zero) == 0;
    if (!is_zero && !read_int(def, text, field)) {
        char range[60];
        if (def->max)
            snprintf(range, sizeof range, " from %lld to %lld", (long long)def->min,
                     (long long)def->max);
        else
            snprintf(range, sizeof range, ", at least %lld", (long long)def->min);
        return fail(message, size, "--%s must be %s%sa whole number%s, not '%.100s'", def->name,
                    def->zero ? def->zero : "", def->zero ? " or " : "", range, text);
    }
    if (is_zero) *field = 0;
    return true;
}

bool options_read_size(const char *text, uint64_t *out) {
    static const char units[] = "kmgt";
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno) return false;
    while (*end == ' ')
        end++;
    const char *unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
    if (unit) {
        end++;
        if (*end == 'i') end++;
    }
    if (*end == 'B' || *end == 'b') end++;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (*end || (shift && value >> (64 - shift))) return false;
    *out = (uint64_t)value << shift;
    return true;
}

static bool set_size(const option_def *def, const char *text, uint64_t *field, char *message,
                     size_t size) {
    uint64_t value, max = def->max ? (uint64_t)def->max : UINT64_MAX;
    if (!options_read_size(text, &value))
        return fail(message, size,
                    "--%s must be a size such as 1048576, 512k or 20MiB, not '%.100s'", def->name,
                    text);
    if (value < (uint64_t)def->min || value > max)
        return fail(message, size, "--%s must be from %llu to %llu bytes, not '%.100s'", def->name,
                    (unsigned long long)def->min, (unsigned long long)max, text);
    *field = value;
    return true;
}

static bool set_number(const option_def *def, const char *text, double *field, char *message,
                       size_t size) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < (double)def->min)
        return fail(message, size, "--%s must be a number, at least %lld, not '%.100s'", def->name,
                    (long long)def->min, text);
    *field = value;
    return true;
}

bool options_set(const option_def *def, const char *text, void *values, char *message,
                 size_t size) {
    void *field = field_of(def, values);
    switch (def->type) {
    case OPTION_FLAG:
        return set_flag(def, text, field, message, size);
    case OPTION_TEXT:
        return replace_text(field, text, message, size);
    case OPTION_CHOICE:
        return set_choice(def, text, field, message, size);
    case OPTION_LIST:
        return list_add(field, text, message, size);
    case OPTION_INT:
        return set_int(def, text, field, message, size);
    case OPTION_SIZE:
        return set_size(def, text, field, message, size);
    case OPTION_NUMBER:
        return set_number(def, text, field, message, size);
    }
    return false;
}

void options_free(const option_set *set, void *values, option_list *arguments) {
    for (size_t i = 0; i < set->count; i++) {
        const option_def *def = &set->defs[i];
        char **text = field_of(def, values);
        if (is_list(def)) {
            list_clear(field_of(def, values));
        } else if (def->type == OPTION_TEXT || def->type == OPTION_CHOICE) {
            free(*text);
            *text = NULL;
        }
    }
    if (arguments) { /* the strings are argv's */
        free(arguments->items);
        *arguments = (option_list){0};
    }
}

/* ---- help --------------------------------------------------------------------------------- */

#define HELP_COLUMN 30

static void print_help_line(const char *left, const char *help, const char *fallback) {
    int width = printf("  %s", left);
    if (width >= HELP_COLUMN) {
        putchar('\n');
        width = 0;
    }
    printf("%*s%s", HELP_COLUMN - width, "", help);
    if (fallback && fallback[0]) printf(" (%s)", fallback);
    putchar('\n');
}

static bool has_type(const option_set *set, option_type type) {
    for (size_t i = 0; i < set->count; i++)
        if (set->defs[i].type == type) return true;
    return false;
}

/* What holds for several options. */
static void print_help_end(const option_set *set) {
    if (has_type(set, OPTION_SIZE))
        puts("\nSIZE is in bytes: 20971520, 512k or 20MiB; k, M, G and T are powers of 1024.");
    if (set->environment)
        puts("\nEach option is also an environment variable, CNNSERVE_ and its name in capitals\n"
             "with _ for -, and a key of the JSON object in --config FILE, its name with dashes;\n"
             "the command line wins over the environment, and that over the file.");
    if (set->environment && has_type(set, OPTION_LIST))
        puts("Repeated values are separated by commas in the variable, and an array in the file.");
}

void options_print_help(const option_set *set) {
    printf("usage: %s\n", set->usage);
    if (set->about) printf("\n%s\n", set->about);
    printf("\noptions:\n");
    for (size_t i = 0; i < set->count; i++) {
        const option_def *def = &set->defs[i];
        char left[120];
        const char *argument = def->choices ? def->choices : def->argument;
        snprintf(left, sizeof left, "--%s%s%s", def->name, argument ? " " : "",
                 argument ? argument : "");
        print_help_line(left, def->help, def->fallback);
    }
    print_help_line("--help", "this text", NULL);
    print_help_end(set);
}

/* ---- sources ------------------------------------------------------------------------------ */

typedef struct parse {
    const option_set *set;
    void *values;
    option_list *arguments;
    const char *source; /* put before the message: "in the environment: " */
    bool *fresh;        /* one an option: lists are emptied when this source first sets them */
    char message[MESSAGE_SIZE];
} parse;

static const char *def_name_at(const void *list, size_t index) {
    return ((const option_def *)list)[index].name;
}

/* The option of that name (`length` bytes); NULL with a message if there is none. */
static const option_def *find_def(parse *p, const char *name, size_t length) {
    char near[400], text[101];
    for (size_t i = 0; i < p->set->count; i++)
        if (strlen(p->set->defs[i].name) == length &&
            memcmp(p->set->defs[i].name, name, length) == 0)
            return &p->set->defs[i];
    snprintf(text, sizeof text, "%.*s", (int)(length < 100 ? length : 100), name);
    const char *near_names[3];
    size_t found = names_near(text, p->set->defs, p->set->count, def_name_at, near_names, 3);
    if (found > 0) names_suggest(text, p->set->defs, p->set->count, def_name_at, near, sizeof near);
    fail(p->message, sizeof p->message, "unknown option '%s%s'%s", *p->source ? "" : "--", text,
         found > 0 ? near : "; --help lists them");
    return NULL;
}

static void begin_source(parse *p) {
    for (size_t i = 0; i < p->set->count; i++)
        p->fresh[i] = true;
}

static bool set_value(parse *p, const option_def *def, const char *text) {
    bool *fresh = &p->fresh[def - p->set->defs];
    if (*fresh && is_list(def)) list_clear(field_of(def, p->values));
    *fresh = false;
    return options_set(def, text, p->values, p->message, sizeof p->message);
}

static bool set_fallbacks(parse *p) {
    for (size_t i = 0; i < p->set->count; i++)
        if (p->set->defs[i].fallback && !set_value(p, &p->set->defs[i], p->set->defs[i].fallback))
            return false;
    return true;
}

#define VARIABLE_PREFIX "CNNSERVE_"
#define VARIABLE_MAX    80

/* "max-body" -> "CNNSERVE_MAX_BODY"; returns `name`, of VARIABLE_MAX bytes. */
static const char *variable_of(const option_def *def, char *name) {
    size_t at = (size_t)snprintf(name, VARIABLE_MAX, VARIABLE_PREFIX);
    for (const char *c = def->name; *c && at + 1 < VARIABLE_MAX; c++)
        name[at++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    name[at] = '\0';
    return name;
}

static bool is_link_value(const char *value) {
    return strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0 ||
           strncmp(value, "sctp://", 7) == 0;
}

/* Kubernetes gives the containers beside a service called cnnserve CNNSERVE_PORT=tcp://... */
static const char *environment_value(const option_def *def) {
    char name[VARIABLE_MAX];
    const char *value = getenv(variable_of(def, name));
    if (value && def->type == OPTION_INT && is_link_value(value)) return NULL;
    return value && value[0] ? value : NULL;
}

/*
 * True for a variable that Kubernetes makes for a service called cnnserve or cnnserve-SOMETHING:
 * [SOMETHING_]SERVICE_HOST, SERVICE_PORT[_NAME], PORT=tcp://..., PORT_80_TCP[_ADDR|_PORT|_PROTO].
 */
static bool is_service_link(const char *name, const char *value) {
    static const char *const kinds[] = {"_TCP", "_UDP", "_SCTP"};
    const char *service = strstr(name, "SERVICE_"), *port = strstr(name, "PORT_");
    size_t length = strlen(name);
    if (service && (strcmp(service, "SERVICE_HOST") == 0 ||
                    strncmp(service, "SERVICE_PORT", strlen("SERVICE_PORT")) == 0))
        return true;
    const char *kind = port ? port + 5 + strspn(port + 5, "0123456789") : "";
    for (size_t i = 0; port && kind > port + 5 && i < 3; i++) {
        size_t end = strlen(kinds[i]);
        if (strncmp(kind, kinds[i], end) == 0 && (kind[end] == '\0' || kind[end] == '_'))
            return true;
    }
    return length >= 4 && strcmp(name + length - 4, "PORT") == 0 && is_link_value(value);
}

static const option_def *find_variable(const option_set *set, const char *name) {
    char variable[VARIABLE_MAX];
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(variable_of(&set->defs[i], variable), name) == 0) return &set->defs[i];
    return NULL;
}

/* The option whose variable was perhaps meant; NULL: none is near. */
static const option_def *nearest_option(const option_set *set, const char *suffix) {
    char name[VARIABLE_MAX];
    const char *near[1];
    snprintf(name, sizeof name, "%.*s", VARIABLE_MAX - 1, suffix);
    for (char *c = name; *c; c++)
        *c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    if (names_near(name, set->defs, set->count, def_name_at, near, 1) == 0) return NULL;
    for (size_t i = 0; i < set->count; i++)
        if (set->defs[i].name == near[0]) return &set->defs[i];
    return NULL;
}

static void review_variable(const option_set *set, const char *name, const char *value,
                            options_note_fn *note) {
    char sentence[MESSAGE_SIZE], near[VARIABLE_MAX];
    const char *suffix = name + strlen(VARIABLE_PREFIX);
    const option_def *def = find_variable(set, name);
    bool link = is_service_link(suffix, value);
    if (def ? !link || def->type != OPTION_INT : link) return;
    const option_def *meant = def ? NULL : nearest_option(set, suffix);
    if (def)
        snprintf(sentence, sizeof sentence,
                 "%s=%.100s is a link that Kubernetes made for a service, no value of --%s, and is "
                 "not heeded; enableServiceLinks: false leaves such links out",
                 name, value, def->name);
    else
        snprintf(sentence, sizeof sentence,
                 "the environment variable %.100s is none of this program's%s%s%s", name,
                 meant ? "; did you mean " : "", meant ? variable_of(meant, near) : "",
                 meant ? "?" : "; --help lists the options");
    note(!def, sentence);
}

void options_review_environment(const option_set *set, options_note_fn *note) {
    char name[256];
    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        if (!equals || (size_t)(equals - *entry) >= sizeof name ||
            strncmp(*entry, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(equals - *entry), *entry);
        if (strcmp(name, TEST_DATA) != 0) review_variable(set, name, equals + 1, note);
    }
}

static bool set_from_environment(parse *p, const option_def *def) {
    const char *value = environment_value(def);
    if (!value) return true;
    if (!is_list(def)) return set_value(p, def, value);
    char *copy = strdup(value), *rest = copy;
    bool ok = copy || fail(p->message, sizeof p->message, "out of memory");
    for (char *item; ok && (item = strsep(&rest, ","));)
        ok = item[0] == '\0' || set_value(p, def, item);
    free(copy);
    return ok;
}

static bool read_environment(parse *p) {
    p->source = "in the environment: ";
    for (size_t i = 0; p->set->environment && i < p->set->count; i++)
        if (!set_from_environment(p, &p->set->defs[i])) return false;
    p->source = "";
    return true;
}

static bool read_config(parse *p, const char *path) {
    config_entries entries = {0};
    if (!config_file_read(path, &entries, p->message, sizeof p->message)) return false;
    bool ok = true;
    p->source = "in the config file: ";
    for (size_t i = 0; i < entries.count && ok; i++) {
        const char *key = entries.items[i].key;
        const option_def *def = find_def(p, key, strlen(key));
        ok = def && set_value(p, def, entries.items[i].value);
    }
    config_entries_free(&entries);
    if (ok) p->source = "";
    return ok;
}

/* ---- the command line --------------------------------------------------------------------- */

/* Reads the option at argv[*at]; *at moves to its last argument. */
static bool read_option(parse *p, int argc, char **argv, int *at) {
    const char *name = argv[*at] + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const option_def *def = find_def(p, name, length);
    if (!def) return false;
    if (equals) return set_value(p, def, equals + 1);
    if (def->type == OPTION_FLAG) return set_value(p, def, "true");
    if (*at + 1 == argc)
        return fail(p->message, sizeof p->message, "--%s needs a value", def->name);
    return set_value(p, def, argv[++*at]);
}

static bool add_argument(parse *p, char *argument) {
    if (!p->arguments)
        return fail(p->message, sizeof p->message, "unexpected argument '%.100s'", argument);
    char **items = realloc(p->arguments->items, (p->arguments->count + 1) * sizeof *items);
    if (!items) return fail(p->message, sizeof p->message, "out of memory");
    items[p->arguments->count++] = argument;
    p->arguments->items = items;
    return true;
}

static bool read_command_line(parse *p, int argc, char **argv, bool collect) {
    bool options = true;
    for (int i = 1; i < argc; i++) {
        bool option = options && argv[i][0] == '-' && argv[i][1] != '\0';
        if (option && strcmp(argv[i], "--") == 0)
            options = false;
        else if (option && argv[i][1] != '-')
            return fail(p->message, sizeof p->message,
                        "unknown option '%.100s'; options are "
                        "written --name",
                        argv[i]);
        else if (option ? !read_option(p, argc, argv, &i) : collect && !add_argument(p, argv[i]))
            return false;
    }
    return true;
}

static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

/* The path of the config file as the environment and the command line give it; "" for none. */
static bool find_config(parse *p, int argc, char **argv, char **path) {
    const option_def *def = find_def(p, p->set->config, strlen(p->set->config));
    begin_source(p);
    if (!set_from_environment(p, def) || !read_command_line(p, argc, argv, false)) return false;
    char *const *field = field_of(def, p->values);
    *path = strdup(*field ? *field : "");
    return *path || fail(p->message, sizeof p->message, "out of memory");
}

static bool check_arguments(parse *p) {
    size_t count = p->arguments ? p->arguments->count : 0;
    if (count >= p->set->min_arguments &&
        (p->set->max_arguments == 0 || count <= p->set->max_arguments))
        return true;
    return fail(p->message, sizeof p->message, "%s; usage: %s",
                count < p->set->min_arguments ? "an argument is missing" : "too many arguments",
                p->set->usage);
}

/* All sources in order. The command line is read twice: first only to learn the config file. */
static bool read_sources(parse *p, int argc, char **argv) {
    char *config = NULL;
    bool ok = true;
    if (p->set->config) {
        ok = find_config(p, argc, argv, &config);
        options_free(p->set, p->values, NULL);
    }
    begin_source(p);
    ok = ok && set_fallbacks(p);
    begin_source(p);
    ok = ok && (!config || !config[0] || read_config(p, config));
    begin_source(p);
    ok = ok && read_environment(p);
    begin_source(p);
    ok = ok && read_command_line(p, argc, argv, true) && check_arguments(p);
    free(config);
    return ok;
}

options_outcome options_parse(const option_set *set, int argc, char **argv, void *values,
                              option_list *arguments) {
    if (asks_for_help(argc, argv)) {
        options_print_help(set);
        return OPTIONS_HELP;
    }
    parse p = {.set = set, .values = values, .arguments = arguments, .source = ""};
    p.fresh = calloc(set->count ? set->count : 1, sizeof *p.fresh);
    bool ok =
        p.fresh ? read_sources(&p, argc, argv) : fail(p.message, sizeof p.message, "out of memory");
    free(p.fresh);
    if (ok) return OPTIONS_OK;
    fprintf(stderr, "cnnserve: %s%s\n", p.source, p.message);
    return OPTIONS_ERROR;
}
