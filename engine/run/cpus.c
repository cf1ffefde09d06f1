/*
 * Finds the usable CPUs: affinity mask, then the CPU bandwidth limits of the control groups; and
 * deals them out among workers.
 *
 * cgroup v2 states a limit in cpu.max ("QUOTA PERIOD" or "max PERIOD"), v1 in cpu.cfs_quota_us (-1:
 * none) and cpu.cfs_period_us. A limit binds all groups below, so every level from ours to the root
 * is read and the smallest counts. Inside a container the path in /proc/self/cgroup may name the
 * host's view, in which case only the mount's root exists: walking up ends there, too.
 */
#include "run/cpus.h"

#include "base/base.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4096

static bool read_line(const char *path, char *line, size_t size) {
    FILE *f = fopen(path, "re");
    if (!f) return false;
    bool ok = fgets(line, (int)size, f) != NULL;
    fclose(f);
    return ok;
}

/* CPUs that quota and period allow; 0: no limit. */
static int cpus_of(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return 0;
    long long cpus = DIV_UP(quota, period);
    return cpus > 1 << 20 ? 0 : (int)cpus;
}

/* Takes a number off the front of *text; false if there is none. */
static bool take_number(const char **text, long long *out) {
    char *end;
    *out = strtoll(*text, &end, 10);
    bool found = end != *text;
    *text = end;
    return found;
}

static int limit_v2(const char *folder) {
    char path[PATH_SIZE + 32], line[128];
    long long quota, period;
    snprintf(path, sizeof(path), "%s/cpu.max", folder);
    if (!read_line(path, line, sizeof(line))) return 0;
    const char *text = line;
    return take_number(&text, &quota) && take_number(&text, &period) ? cpus_of(quota, period) : 0;
}

static bool read_number(const char *folder, const char *file, long long *out) {
    char path[PATH_SIZE + 32], line[64];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    const char *text = line;
    return read_line(path, line, sizeof(line)) && take_number(&text, out);
}

static int limit_v1(const char *folder) {
    long long quota, period;
    bool known = read_number(folder, "cpu.cfs_quota_us", &quota) &&
                 read_number(folder, "cpu.cfs_period_us", &period);
    return known ? cpus_of(quota, period) : 0;
}

/* The smallest limit from `mount/group` up to `mount`; 0: none. */
static int smallest_limit(const char *mount, const char *group, int (*limit)(const char *)) {
    char folder[PATH_SIZE];
    int smallest = 0;
    if ((size_t)snprintf(folder, sizeof(folder), "%s%s", mount, group) >= sizeof(folder)) return 0;
    for (;;) {
        int cpus = limit(folder);
        if (cpus && (!smallest || cpus < smallest)) smallest = cpus;
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < strlen(mount)) return smallest;
        *slash = 0;
    }
}

/* True if the comma list of v1 controllers has "cpu". */
static bool has_cpu(const char *controllers) {
    for (const char *c = controllers; c; c = strchr(c, ',') ? strchr(c, ',') + 1 : NULL)
        if (strncmp(c, "cpu", 3) == 0 && (c[3] == 0 || c[3] == ',')) return true;
    return false;
}

static int limit_of_line(const char *root, char *line, const char **origin) {
    char mount[PATH_SIZE];
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return 0;
    *group++ = 0;
    controllers++;
    group[strcspn(group, "\n")] = 0;
    if (*controllers == 0) {
        *origin = "cgroup v2 quota";
        snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup", root);
        return smallest_limit(mount, group, limit_v2);
    }
    if (!has_cpu(controllers)) return 0;
    *origin = "cgroup v1 quota";
    snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup/cpu", root);
    return smallest_limit(mount, group, limit_v1);
}

cpu_limits cpus_find(const char *root) {
    cpu_limits c = {.origin = "affinity"};
    if (sched_getaffinity(0, sizeof(c.allowed), &c.allowed) != 0) CPU_SET(0, &c.allowed);
    c.usable = CPU_COUNT(&c.allowed);

    char path[PATH_SIZE], line[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        const char *from = NULL;
        int limit = limit_of_line(root, line, &from);
        if (limit && limit < c.usable) {
            c.usable = limit;
            c.origin = from;
        }
    }
    if (f) fclose(f);
    return c;
}

/* ---- dealing out --------------------------------------------------------------------------- */

/* The first hardware thread of the core that `cpu` belongs to; itself if that is not known. */
static int first_of_core(const char *root, int cpu) {
    char folder[PATH_SIZE];
    long long first;
    snprintf(folder, sizeof(folder), "%s/sys/devices/system/cpu/cpu%d/topology", root, cpu);
    bool known = read_number(folder, "thread_siblings_list", &first);
    return known && first >= 0 && first < CPU_SETSIZE ? (int)first : cpu;
}

/* core[cpu] numbers the cores of the allowed CPUs from 0; returns how many there are. */
static int number_cores(const char *root, const cpu_set_t *allowed, int core[CPU_SETSIZE]) {
    int number_of[CPU_SETSIZE] = {0}, cores = 0; /* from 1, by the core's first hardware thread */
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, allowed)) continue;
        int *number = &number_of[first_of_core(root, cpu)];
        if (*number == 0) *number = ++cores;
        core[cpu] = *number - 1;
    }
    return cores;
}

bool cpus_deal(const char *root, const cpu_limits *c, int workers, cpu_set_t *shares) {
    int count = CPU_COUNT(&c->allowed), core[CPU_SETSIZE];
    if (workers > count || c->usable < count) return false;
    bool whole_cores = workers <= number_cores(root, &c->allowed, core);
    memset(shares, 0, (size_t)workers * sizeof(*shares));
    for (int cpu = 0, place = 0; place < count; cpu++) {
        if (!CPU_ISSET(cpu, &c->allowed)) continue;
        CPU_SET(cpu, &shares[(whole_cores ? core[cpu] : place) % workers]);
        place++;
    }
    return true;
}
