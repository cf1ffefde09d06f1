/* serve_options.c: the options of `cnnserve serve`, in the order of --help. */
#include "cli/serve_options.h"

#include "cli/cli.h"
#include "http/log.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FIELD(field) .offset = offsetof(serve_values, field)

static const option_def defs[] = {
    {.name = "config",
     .type = OPTION_TEXT,
     FIELD(config),
     .argument = "FILE",
     .help = "JSON object with these options as keys"},
    {.name = "host",
     .type = OPTION_TEXT,
     FIELD(host),
     .fallback = "127.0.0.1",
     .argument = "HOST",
     .help = "address to listen on; 0.0.0.0 or :: for all"},
    {.name = "port",
     .type = OPTION_INT,
     FIELD(port),
     .fallback = "8080",
     .argument = "N",
     .max = 65535,
     .help = "port to listen on; 0: one that is free"},
    CLI_THREADS(serve_values),
    CLI_AFFINITY(serve_values),
    {.name = "models",
     .type = OPTION_TEXT,
     FIELD(models),
     .argument = "DIR",
     .help = "serve every model folder in DIR"},
    {.name = "model",
     .type = OPTION_LIST,
     FIELD(model),
     .argument = "NAME=PATH",
     .help = "serve this model folder, .onnx file or built-in model as NAME; repeatable"},
    {.name = "default-model",
     .type = OPTION_TEXT,
     FIELD(default_model),
     .argument = "NAME",
     .help = "model of /v1/classify; else the first of --model, or by name"},
    CLI_PRECISION(serve_values),
    CLI_TUNE(serve_values),
    {.name = "max-body",
     .type = OPTION_SIZE,
     FIELD(max_body),
     .fallback = "20MiB",
     .argument = "SIZE",
     .min = 1,
     .max = (int64_t)1 << 40,
     .help = "largest request body"},
    {.name = "max-buffered",
     .type = OPTION_SIZE,
     FIELD(max_buffered),
     .fallback = "1GiB",
     .argument = "SIZE",
     .min = 1,
     .max = (int64_t)1 << 50,
     .help = "bodies and responses held at one time; past it 503"},
    {.name = "max-pixels",
     .type = OPTION_INT,
     FIELD(max_pixels),
     .fallback = "50000000",
     .argument = "N",
     .min = 1,
     .help = "largest image, width times height"},
    {.name = "max-images",
     .type = OPTION_INT,
     FIELD(max_images),
     .fallback = "32",
     .argument = "N",
     .min = 1,
     .max = 1000,
     .help = "images in one request"},
    {.name = "max-connections",
     .type = OPTION_INT,
     FIELD(max_connections),
     .fallback = "1024",
     .argument = "N",
     .min = 1,
     .max = 1000000,
     .help = "open connections; more wait until one closes"},
    {.name = "queue",
     .type = OPTION_INT,
     FIELD(queue),
     .fallback = "256",
     .argument = "N",
     .min = 1,
     .max = 1000000,
     .help = "images that may wait for a thread; more are answered 503"},
    {.name = "timeout-ms",
     .type = OPTION_INT,
     FIELD(timeout_ms),
     .fallback = "30000",
     .argument = "N",
     .max = 86400000,
     .help = "a request that waits longer is answered 504; 0: no limit"},
    {.name = "idle-seconds",
     .type = OPTION_INT,
     FIELD(idle_seconds),
     .fallback = "60",
     .argument = "N",
     .min = 1,
     .max = 86400,
     .help = "a connection idle, or slower than 4 KiB a second, for longer is closed"},
    {.name = "feature-limit",
     .type = OPTION_SIZE,
     FIELD(feature_limit),
     .fallback = "64MiB",
     .argument = "SIZE",
     .max = (int64_t)1 << 40,
     .help = "encoded feature maps in one response"},
    {.name = "cors-origin",
     .type = OPTION_TEXT,
     FIELD(cors_origin),
     .argument = "ORIGINS",
     .help = "web pages that may ask: *, or https://host,..."},
    {.name = "drain-seconds",
     .type = OPTION_INT,
     FIELD(drain_seconds),
     .fallback = "25",
     .argument = "N",
     .max = 86400,
     .help = "time that running requests get to finish on SIGTERM or SIGINT"},
    {.name = "log-format",
     .type = OPTION_CHOICE,
     FIELD(log_format),
     .fallback = "text",
     .choices = "text|json",
     .help = "form of the log lines on stderr"},
    {.name = "log-level",
     .type = OPTION_CHOICE,
     FIELD(log_level),
     .fallback = "info",
     .choices = LOG_LEVELS,
     .help = "info holds one line a request"},
};

const option_set serve_option_set = {
    .usage = "cnnserve [serve] [options]",
    .about =
        "Serves models over HTTP: the built-in ones or, if --models or --model is given, only\n"
        "those. On SIGTERM or SIGINT running requests are finished first; a second signal\n"
        "stops at once.",
    .defs = defs,
    .count = sizeof defs / sizeof defs[0],
    .environment = true,
    .config = "config",
};

/* "https://host" or "http://host:port", as browsers send it: others would match none. */
static bool is_origin(const char *text, size_t length) {
    bool tls = strncmp(text, "https://", 8) == 0;
    size_t scheme = tls ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;
    const char *end = text + length, *usual_port = tls ? ":443" : ":80";
    if (!scheme || length <= scheme) return false;
    for (const char *p = text + scheme; p < end; p++)
        if (strchr("/*?#@", *p) || isupper((unsigned char)*p)) return false;
    size_t port = strlen(usual_port);
    return length < scheme + port || memcmp(end - port, usual_port, port) != 0;
}

bool serve_options_check(const serve_values *v, char *message, size_t size) {
    const char *p = v->cors_origin;
    if (!p || strcmp(p, "*") == 0) return true;
    do {
        p += strspn(p, ", ");
        size_t length = strcspn(p, ", ");
        if (!is_origin(p, length)) {
            snprintf(message, size, "--cors-origin: '%.*s' is no origin, such as %s",
                     length > 200 ? 200 : (int)length, p,
                     memchr(p, '*', length)
                         ? "https://www.example.org; a * stands alone, for every site"
                         : "https://www.example.org: lower case, no path, no port that the scheme "
                           "implies");
            return false;
        }
        p += length;
    } while (*p);
    return true;
}
