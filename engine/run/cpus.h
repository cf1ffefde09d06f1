/* How many CPUs this process may really use. */
#ifndef RUN_CPUS_H
#define RUN_CPUS_H

/*
 * The CPUs of the affinity mask, or fewer if a cgroup (v1 or v2) grants less time than that; a
 * fraction counts as a whole one. `root` is "" (tests give a folder that stands in for /). At
 * least 1. *origin: "affinity", "cgroup v2 quota" or "cgroup v1 quota".
 */
int cpus_usable(const char *root, const char **origin);

#endif
