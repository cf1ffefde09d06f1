/*
 * Finding running servers through /proc.
 *
 * A process's own sockets are those among its descriptors; which of them listen, and where, is in
 * the tables of its network namespace. Nothing is left behind by a server for this, so it works
 * with a read-only file system and for several servers, and cannot be stale. Sockets that are no
 * TCP are not looked at.
 */
#include "cli/running.h"

#include "common/array.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENVIRONMENT_MAX ((size_t)8 << 20)
#define SOCKETS_MAX     65536
#define STATE_LISTEN    0x0A /* of /proc/net/tcp */

/* Inodes of a process's sockets. */
typedef struct socket_set {
    uint64_t *inodes;
    size_t count;
} socket_set;

static FILE *open_of(const char *pid, const char *file) {
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, file);
    return fopen(path, "re");
}

/* ---- which processes ---------------------------------------------------------------------- */

static bool runs_this_program(const char *pid) {
    char path[300];
    struct stat own, other;
    snprintf(path, sizeof path, "/proc/%s/exe", pid);
    return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/* The value of `name` in a block of NAME=VALUE strings; NULL: not set. */
static const char *value_in(const char *block, size_t size, const char *name) {
    size_t length = strlen(name);
    for (const char *p = block; p < block + size; p += strlen(p) + 1)
        if (strncmp(p, name, length) == 0 && p[length] == '=') return p + length + 1;
    return NULL;
}

static bool has_our_setting(const char *block, size_t size, const char *name) {
    const char *ours = getenv(name), *theirs = value_in(block, size, name);
    return strcmp(ours ? ours : "", theirs ? theirs : "") == 0;
}

static bool is_set_up_alike(const char *pid) {
    FILE *file = open_of(pid, "environ");
    char *block = file ? malloc(ENVIRONMENT_MAX + 1) : NULL;
    size_t size = block ? fread(block, 1, ENVIRONMENT_MAX, file) : 0;
    if (block) block[size] = '\0';
    bool alike = block && has_our_setting(block, size, "CNNSERVE_HOST") &&
                 has_our_setting(block, size, "CNNSERVE_PORT");
    free(block);
    if (file) fclose(file);
    return alike;
}

/* ---- where they listen -------------------------------------------------------------------- */

static void add_socket(socket_set *set, const char *link) {
    uint64_t inode;
    if (set->count == SOCKETS_MAX || sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1) return;
    if ((set->count & (set->count - 1)) == 0) { /* full at powers of two */
        size_t capacity = set->count ? 2 * set->count : 1;
        uint64_t *inodes = realloc(set->inodes, capacity * sizeof *inodes);
        if (!inodes) return;
        set->inodes = inodes;
    }
    set->inodes[set->count++] = inode;
}

static socket_set sockets_of(const char *pid) {
    socket_set set = {0};
    char path[300], link[64];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
        if (length <= 0) continue;
        link[length] = '\0';
        add_socket(&set, link);
    }
    if (folder) closedir(folder);
    return set;
}

static bool holds(const socket_set *set, uint64_t inode) {
    for (size_t i = 0; i < set->count; i++)
        if (set->inodes[i] == inode) return true;
    return false;
}

/* The kernel prints an address as 32-bit numbers of the machine's byte order, one or four. */
static bool read_address(const char *hex, running_server *out) {
    unsigned char bytes[16];
    size_t words = strlen(hex) / 8;
    int family = words == 1 ? AF_INET : AF_INET6;
    if (strlen(hex) % 8 != 0 || (words != 1 && words != 4)) return false;
    for (size_t i = 0; i < words; i++) {
        uint32_t word;
        if (sscanf(hex + 8 * i, "%8" SCNx32, &word) != 1) return false;
        memcpy(bytes + 4 * i, &word, 4);
    }
    if (!inet_ntop(family, bytes, out->host, sizeof out->host)) return false;
    if (strcmp(out->host, "0.0.0.0") == 0) snprintf(out->host, sizeof out->host, "127.0.0.1");
    if (strcmp(out->host, "::") == 0) snprintf(out->host, sizeof out->host, "::1");
    return true;
}

/* The first socket of the set that a table has as listening. */
static bool find_listening(const char *pid, const char *table, const socket_set *set,
                           running_server *out) {
    char line[512], address[40];
    unsigned port, state;
    uint64_t inode;
    bool found = false;
    FILE *file = open_of(pid, table);
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, " %*d: %39[0-9A-Fa-f]:%4x %*s %2x %*s %*s %*s %*s %*s %" SCNu64,
                       address, &port, &state, &inode) == 4 &&
                state == STATE_LISTEN && holds(set, inode) && read_address(address, out);
    if (file) fclose(file);
    if (found) snprintf(out->port, sizeof out->port, "%u", port);
    return found;
}

static bool find_address(const char *pid, running_server *out) {
    static const char *const tables[] = {"net/tcp", "net/tcp6"};
    socket_set set = sockets_of(pid);
    bool found = false;
    for (size_t i = 0; i < ARRAY_LENGTH(tables) && !found; i++)
        found = find_listening(pid, tables[i], &set, out);
    free(set.inodes);
    return found;
}

size_t running_servers(running_server *out, size_t capacity) {
    size_t count = 0;
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; processes && count < capacity && (entry = readdir(processes));) {
        const char *pid = entry->d_name;
        if (!isdigit((unsigned char)pid[0]) || atol(pid) == (long)getpid()) continue;
        if (runs_this_program(pid) && is_set_up_alike(pid) && find_address(pid, &out[count]))
            count++;
    }
    if (processes) closedir(processes);
    return count;
}
