/* Usable CPUs from made-up control group files, and their dealing out by made-up cores. */
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
    cpu_limits c = cpus_find(root);
    cr_assert_eq(c.usable, affinity());
    cr_assert_str_eq(c.origin, "affinity");
}

Test(cpus, a_v2_quota_below_the_affinity_counts) {
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    cpu_limits c = cpus_find(root);
    cr_assert_eq(c.usable, 1);
    cr_assert_str_eq(c.origin, affinity() > 1 ? "cgroup v2 quota" : "affinity");
}

Test(cpus, a_fraction_counts_as_a_whole_cpu) {
    if (affinity() < 2) cr_skip_test("needs 2 CPUs");
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "100001 100000\n");
    cpu_limits c = cpus_find(root);
    cr_assert_eq(c.usable, 2);
}

Test(cpus, a_larger_quota_changes_nothing) {
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "900000000 100000\n");
    cpu_limits c = cpus_find(root);
    cr_assert_eq(c.usable, affinity());
    cr_assert_str_eq(c.origin, "affinity");
}

Test(cpus, a_v1_quota_counts) {
    put("/proc/self/cgroup", "5:memory:/x\n4:cpuacct,cpu:/pod\n");
    put("/sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "20000\n");
    put("/sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    cpu_limits c = cpus_find(root);
    cr_assert_eq(c.usable, 1);
    cr_assert_str_eq(c.origin, affinity() > 1 ? "cgroup v1 quota" : "affinity");
}

Test(cpus, nonsense_is_ignored) {
    put("/proc/self/cgroup", "\n:::\n0\n0::\nx:cpu\n7:cpuset:/\n0::/../../etc\n");
    put("/sys/fs/cgroup/cpu.max", "pepper\n");
    cpu_limits c = cpus_find(root);
    cr_assert_eq(c.usable, affinity());
}

/* ---- dealing out ---------------------------------------------------------------------------- */

/* As if `cpus` CPUs were allowed, from number 0, with time for `usable` of them. */
static cpu_limits make_limits(int cpus, int usable) {
    cpu_limits c = {.usable = usable, .origin = "affinity"};
    for (int cpu = 0; cpu < cpus; cpu++)
        CPU_SET(cpu, &c.allowed);
    return c;
}

static void put_core(int cpu, const char *siblings) {
    char path[128];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
             cpu);
    put(path, siblings);
}

/* `want` names the CPUs of each worker: "0,2 1,3". */
static void expect_shares(const cpu_limits *c, int workers, const char *want) {
    cpu_set_t shares[8];
    char got[256] = "";
    cr_assert_leq(workers, 8);
    cr_assert(cpus_deal(root, c, workers, shares));
    for (int i = 0; i < workers; i++) {
        strcat(got, i ? " " : "");
        for (int cpu = 0, first = 1; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &shares[i])) continue;
            snprintf(got + strlen(got), sizeof(got) - strlen(got), first ? "%d" : ",%d", cpu);
            first = 0;
        }
    }
    cr_assert_str_eq(got, want);
}

Test(cpus, worker_i_gets_the_ith_allowed_cpu) {
    cpu_limits c = make_limits(0, 3);
    CPU_SET(1, &c.allowed);
    CPU_SET(4, &c.allowed);
    CPU_SET(1023, &c.allowed);
    expect_shares(&c, 3, "1 4 1023");
}

Test(cpus, what_is_left_is_dealt_out_too) {
    cpu_limits c = make_limits(5, 5);
    expect_shares(&c, 2, "0,2,4 1,3");
    expect_shares(&c, 1, "0,1,2,3,4");
}

Test(cpus, workers_keep_out_of_each_others_cores) {
    cpu_limits c = make_limits(8, 8);
    for (int cpu = 0; cpu < 8; cpu++)
        put_core(cpu, (const char *[]){"0,4\n", "1,5\n", "2,6\n", "3,7\n"}[cpu % 4]);
    expect_shares(&c, 4, "0,4 1,5 2,6 3,7");
    expect_shares(&c, 3, "0,3,4,7 1,5 2,6");
    expect_shares(&c, 8, "0 1 2 3 4 5 6 7");
}

Test(cpus, neighbours_may_be_one_core) {
    cpu_limits c = make_limits(4, 4);
    for (int cpu = 0; cpu < 4; cpu++)
        put_core(cpu, cpu < 2 ? "0-1\n" : "2-3\n");
    expect_shares(&c, 2, "0,1 2,3");
    expect_shares(&c, 3, "0,3 1 2");
}

Test(cpus, a_core_counts_also_where_its_first_thread_is_not_allowed) {
    cpu_limits c = make_limits(0, 2);
    CPU_SET(4, &c.allowed);
    CPU_SET(5, &c.allowed);
    put_core(4, "0,4\n");
    put_core(5, "1,5\n");
    expect_shares(&c, 2, "4 5");
}

Test(cpus, a_topology_of_nonsense_is_ignored) {
    cpu_limits c = make_limits(3, 3);
    put_core(0, "pepper\n");
    put_core(1, "-7\n");
    put_core(2, "99999999999999999999\n");
    expect_shares(&c, 3, "0 1 2");
}

Test(cpus, nothing_is_dealt_out_if_two_would_share) {
    cpu_set_t shares[4];
    cpu_limits c = make_limits(3, 3);
    cr_assert_not(cpus_deal(root, &c, 4, shares));
    cr_assert(cpus_deal(root, &c, 3, shares));
}

Test(cpus, nothing_is_dealt_out_under_a_quota) {
    cpu_set_t shares[2];
    cpu_limits c = make_limits(64, 2);
    cr_assert_not(cpus_deal(root, &c, 2, shares));
    cr_assert_not(cpus_deal(root, &c, 1, shares));
}

Test(cpus, a_quota_that_is_found_keeps_from_dealing_out) {
    cpu_set_t shares[1];
    if (affinity() < 2) cr_skip_test("needs 2 CPUs");
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    cpu_limits c = cpus_find(root);
    cr_assert_not(cpus_deal(root, &c, 1, shares));
    put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    c = cpus_find(root);
    cr_assert(cpus_deal(root, &c, 1, shares));
}
