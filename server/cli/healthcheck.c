/*
 * cnnserve healthcheck: asks a server whether it is ready.
 *
 * For containers without a shell: one GET over a plain socket, and nothing of the answer but its
 * status line is read. It speaks neither TLS nor to proxies.
 */
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/running.h"
#include "common/clock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT "8080"
#define DEFAULT_PATH "/readyz"
#define SERVERS_MAX  16 /* that are told apart */

typedef struct healthcheck_values {
    int64_t timeout_ms;
} healthcheck_values;

static const option_def defs[] = {
    {.name = "timeout-ms",
     .type = OPTION_INT,
     .offset = offsetof(healthcheck_values, timeout_ms),
     .fallback = "3000",
     .argument = "N",
     .min = 1,
     .max = 600000,
     .help = "milliseconds within which the answer must come"},
};

static const option_set options = {
    .usage = "cnnserve healthcheck [options] [URL]",
    .about =
        "Exits with 0 if URL answers 200, else with 1. Without a path it asks for /readyz.\n\n"
        "Without URL it asks the server that runs here, at the address where that listens,\n"
        "however it was given: a process of this program with the same CNNSERVE_HOST and\n"
        "CNNSERVE_PORT in its environment as here. Without one it asks http://127.0.0.1:8080, or\n"
        "what these two say. Where several servers run, give the URL.",
    .defs = defs,
    .count = 1,
    .max_arguments = 1,
};

typedef struct target {
    char host[256], port[8], path[1024];
    bool ipv6; /* the host was written in brackets */
} target;

/* ---- where to ------------------------------------------------------------------------------ */

static bool is_port(const char *text) {
    char *end;
    long port = strtol(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && port > 0 && port < 65536 &&
           strlen(text) < sizeof((target *)0)->port;
}

/* Where the configuration in the environment says. A server told to listen on every address is
 * asked on the loopback one. */
static void target_configured(target *out) {
    const char *host = getenv("CNNSERVE_HOST"), *port = getenv("CNNSERVE_PORT");
    if (!host || !host[0] || strcmp(host, "0.0.0.0") == 0)
        host = DEFAULT_HOST;
    else if (strcmp(host, "::") == 0)
        host = "::1";
    snprintf(out->host, sizeof out->host, "%s", host);
    snprintf(out->port, sizeof out->port, "%s", port && is_port(port) ? port : DEFAULT_PORT);
    snprintf(out->path, sizeof out->path, DEFAULT_PATH);
    out->ipv6 = strchr(out->host, ':') != NULL;
}

static bool is_at(const running_server *server, const target *at) {
    return strcmp(server->host, at->host) == 0 && strcmp(server->port, at->port) == 0;
}

static int fail_ambiguous(const running_server *servers, size_t count) {
    char list[SERVERS_MAX * 80] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bool ipv6 = strchr(servers[i].host, ':') != NULL;
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s http://%s%s%s:%s", i ? "," : "",
                             ipv6 ? "[" : "", servers[i].host, ipv6 ? "]" : "", servers[i].port);
    }
    return cli_fail(CLI_FAILED, "several servers run here, give the URL of one:%s", list);
}

/* The server that runs here; of several the one at the configured address, which is also asked if
 * none is found. */
static int target_default(target *out) {
    running_server servers[SERVERS_MAX];
    size_t count = running_servers(servers, SERVERS_MAX);
    target_configured(out);
    for (size_t i = 0; i < count; i++)
        if (is_at(&servers[i], out)) return CLI_OK;
    if (count > 1) return fail_ambiguous(servers, count);
    if (count == 1) {
        snprintf(out->host, sizeof out->host, "%s", servers[0].host);
        snprintf(out->port, sizeof out->port, "%s", servers[0].port);
        out->ipv6 = strchr(out->host, ':') != NULL;
    }
    return CLI_OK;
}

/* Copies `length` bytes of printable ASCII without spaces; false if they are not, or too many. */
static bool copy_part(char *out, size_t size, const char *text, size_t length) {
    if (length >= size) return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~') return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

/*
 * http://HOST[:PORT][/PATH], HOST being a name, an IPv4 address, or an IPv6 address in brackets.
 * Without a path, or with "/", it is DEFAULT_PATH.
 */
static bool target_parse(const char *url, target *out) {
    const char *scheme = "http://";
    if (strncmp(url, scheme, strlen(scheme)) != 0) return false;
    const char *host = url + strlen(scheme);
    out->ipv6 = host[0] == '[';
    host += out->ipv6;
    const char *end = host + strcspn(host, out->ipv6 ? "]" : ":/?#");
    if (end == host || !copy_part(out->host, sizeof out->host, host, (size_t)(end - host)))
        return false;
    if (out->ipv6 && *end++ != ']') return false;
    snprintf(out->port, sizeof out->port, "80");
    if (*end == ':') {
        size_t length = strcspn(++end, "/?#");
        if (!copy_part(out->port, sizeof out->port, end, length) || !is_port(out->port))
            return false;
        end += length;
    }
    if (*end != '/' && *end != '\0') return false;
    const char *path = strcspn(end, "#") > 1 ? end : DEFAULT_PATH;
    return copy_part(out->path, sizeof out->path, path, strcspn(path, "#"));
}

/* ---- asking -------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
    return (int64_t)(clock_ns() / 1000000);
}

/* Waits until the socket is ready for `events`; false at the deadline. */
static bool wait_for(int fd, short events, int64_t deadline) {
    for (;;) {
        int64_t left = deadline - now_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready >= 0 || errno != EINTR) return ready > 0;
    }
}

static bool connect_to(int fd, const struct addrinfo *address, int64_t deadline) {
    int error = 0;
    socklen_t length = sizeof error;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) return true;
    return errno == EINPROGRESS && wait_for(fd, POLLOUT, deadline) &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

static int open_connection(const target *to, int64_t deadline) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses = NULL;
    int fd = -1;
    if (getaddrinfo(to->host, to->port, &hints, &addresses) != 0) return -1;
    for (const struct addrinfo *address = addresses; address && fd < 0;
         address = address->ai_next) {
        fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd >= 0 && !connect_to(fd, address, deadline)) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(addresses);
    return fd;
}

static bool send_request(int fd, const target *to, int64_t deadline) {
    char request[2048];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: cnnserve-healthcheck"
                          "\r\nConnection: close\r\n\r\n",
                          to->path, to->ipv6 ? "[" : "", to->host, to->ipv6 ? "]" : "", to->port);
    for (int sent = 0; sent < length;) {
        ssize_t n = wait_for(fd, POLLOUT, deadline)
                        ? send(fd, request + sent, (size_t)(length - sent), MSG_NOSIGNAL)
                        : -1;
        if (n < 0) return false;
        sent += (int)n;
    }
    return true;
}

/* The status of the answer; 0 if there is none, or it is no HTTP. */
static int receive_status(int fd, int64_t deadline) {
    char line[16] = ""; /* "HTTP/1.1 200" */
    size_t have = 0;
    while (have < 12) {
        ssize_t n = wait_for(fd, POLLIN, deadline) ? recv(fd, line + have, 12 - have, 0) : -1;
        if (n <= 0) return 0;
        have += (size_t)n;
    }
    int status = 0;
    return sscanf(line, "HTTP/1.%*1d %3d", &status) == 1 ? status : 0;
}

int cli_healthcheck(int argc, char **argv) {
    healthcheck_values values = {0};
    option_list arguments = {0};
    target to = {0};
    options_outcome outcome = options_parse(&options, argc, argv, &values, &arguments);
    const char *url = arguments.count ? arguments.items[0] : NULL;
    options_free(&options, &values, &arguments);
    if (outcome != OPTIONS_OK) return outcome == OPTIONS_HELP ? CLI_OK : CLI_USAGE;
    if (url && !target_parse(url, &to))
        return cli_fail(CLI_USAGE, "'%.200s' is no URL of the form http://HOST:PORT/PATH", url);
    if (!url && target_default(&to) != CLI_OK) return CLI_FAILED;
    int64_t deadline = now_ms() + values.timeout_ms;
    int fd = open_connection(&to, deadline);
    if (fd < 0) return cli_fail(CLI_FAILED, "no server answers at %s port %s", to.host, to.port);
    int status = send_request(fd, &to, deadline) ? receive_status(fd, deadline) : 0;
    close(fd);
    if (status == 0) return cli_fail(CLI_FAILED, "no answer from %s port %s", to.host, to.port);
    return status == 200 ? CLI_OK
                         : cli_fail(CLI_FAILED, "%s port %s answers %d to %s", to.host, to.port,
                                    status, to.path);
}
