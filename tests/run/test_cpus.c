/* Usable CPUs from made-up control group files. */
#include <criterion/criterion.h>

#include "run/cpus.h"

#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static void make_root(void) {
    strcpy(root, "/tmp/test_cpusXXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_root(void) {
    cr_assert_eq(nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes `text` to `path` below the root, making folders. */
static void put(const char *path, const char *text) {
    char full[512];
    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *f = fopen(full, "w");
    cr_assert_not_null(f, "%s", full);
    fputs(text, f);
    fclose(f);
}

static int affinity(void) {
    cpu_set_t set;
    sched_getaffinity(0, sizeof(set), &set);
    return CPU_COUNT(&set);
}

TestSuite(cpus, .init = make_root, .fini = remove_root);

Test(cpus, without_groups_the_affinity_counts) {
    const char *origin;
    cr_assert_eq(cpus_usable(root, &origin), affinity());
    cr_assert_str_eq(origin, "affinity");
}

Test(cpus, a_v2_quota_below_the_affinity_counts) {
    const char *origin;
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    cr_assert_eq(cpus_usable(root, &origin), 1);
    cr_assert_str_eq(origin, affinity() > 1 ? "cgroup v2 quota" : "affinity");
}

Test(cpus, a_fraction_counts_as_a_whole_cpu) {
    const char *origin;
    if (affinity() < 2) cr_skip_test("needs 2 CPUs");
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "100001 100000\n");
    cr_assert_eq(cpus_usable(root, &origin), 2);
}

Test(cpus, a_larger_quota_changes_nothing) {
    const char *origin;
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "900000000 100000\n");
    cr_assert_eq(cpus_usable(root, &origin), affinity());
    cr_assert_str_eq(origin, "affinity");
}

Test(cpus, a_v1_quota_counts) {
    const char *origin;
    put("/proc/self/cgroup", "5:memory:/x\n4:cpuacct,cpu:/pod\n");
    put("/sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "20000\n");
    put("/sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    cr_assert_eq(cpus_usable(root, &origin), 1);
    cr_assert_str_eq(origin, affinity() > 1 ? "cgroup v1 quota" : "affinity");
}

Test(cpus, nonsense_is_ignored) {
    const char *origin;
    put("/proc/self/cgroup", "\n:::\n0\n0::\nx:cpu\n7:cpuset:/\n0::/../../etc\n");
    put("/sys/fs/cgroup/cpu.max", "pepper\n");
    cr_assert_eq(cpus_usable(root, &origin), affinity());
}
