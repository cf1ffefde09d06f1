/* The CPUs that this process may use, and who of the workers gets which. */
#ifndef RUN_CPUS_H
#define RUN_CPUS_H

#include <sched.h>
#include <stdbool.h>

typedef struct cpu_limits {
    cpu_set_t allowed;  /* the affinity mask of the thread that asked; never empty */
    int usable;         /* as many as those, or fewer if a cgroup (v1 or v2) grants less time than
                         * that; a fraction counts as a whole one; at least 1 */
    const char *origin; /* of `usable`: "affinity", "cgroup v2 quota" or "cgroup v1 quota" */
} cpu_limits;

/* `root` is "" (tests give a folder that stands in for /). */
cpu_limits cpus_find(const char *root);

/*
 * Deals the allowed CPUs out: shares[i] is what worker i may run on, and no CPU is in two shares.
 * The hardware threads of a core go to the same worker if there are cores for all. False, and
 * nothing written, if two workers would have to share a CPU, or if a quota grants less than all of
 * them: then others are meant to run on these CPUs, too.
 */
bool cpus_deal(const char *root, const cpu_limits *c, int workers, cpu_set_t *shares);

#endif
