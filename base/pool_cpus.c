/* How many CPUs the process may use. The cgroup's quota is read from /proc/self/cgroup and the
 * mounts where systemd and container engines put them; in a container with its own cgroup namespace
 * the path is "/". Read with stdio, not struct io: it is the machine that is asked, not storage. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"

static bool
read_line(const char *path, char *line, int line_bytes)
{
    FILE *f = fopen(path, "r");
    bool ok = f != NULL && fgets(line, line_bytes, f) != NULL;

    if (f != NULL)
        fclose(f);
    return ok;
}

/* "200000 100000" or "max 100000"; 0: no limit. */
static double
quota_v2(const char *dir)
{
    char path[4200], line[128];
    double quota, period;

    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", dir);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lf %lf", &quota, &period) != 2 ||
        period <= 0)
        return 0;
    return quota / period;
}

static double
quota_v1(const char *dir)
{
    static const char *const mounts[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct" };
    char path[4200], quota[64], period[64];

    for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
        snprintf(path, sizeof path, "%s%s/cpu.cfs_quota_us", mounts[i], dir);
        bool found = read_line(path, quota, sizeof quota);
        snprintf(path, sizeof path, "%s%s/cpu.cfs_period_us", mounts[i], dir);
        if (found && read_line(path, period, sizeof period) && atof(quota) > 0 && atof(period) > 0)
            return atof(quota) / atof(period);
    }
    return 0;
}

/* The tightest quota of the group and its parents: each of them counts. */
static double
tightest(double (*quota_of)(const char *), char *dir)
{
    double least = 0;

    for (;;) {
        double quota = quota_of(strcmp(dir, "/") == 0 ? "" : dir);
        if (quota > 0 && (least <= 0 || quota < least))
            least = quota;
        char *slash = strrchr(dir, '/');
        if (slash == NULL || dir[0] == '\0')
            return least;
        *slash = '\0';
    }
}

static double
cgroup_quota(void)
{
    char line[4096];
    double least = 0;
    FILE *f = fopen("/proc/self/cgroup", "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *controllers = strchr(line, ':');
        char *dir = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (dir == NULL)
            continue;
        *dir++ = '\0';
        dir[strcspn(dir, "\n")] = '\0';
        double quota = 0;
        if (strcmp(controllers, ":") == 0)
            quota = tightest(quota_v2, dir);
        else if (strcmp(controllers + 1, "cpu") == 0 || strstr(controllers, "cpu,") != NULL)
            quota = tightest(quota_v1, dir);
        if (quota > 0 && (least <= 0 || quota < least))
            least = quota;
    }
    if (f != NULL)
        fclose(f);
    return least;
}

unsigned
pool_cpus(void)
{
    cpu_set_t set;
    double quota = cgroup_quota();
    unsigned cpus = 1;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cpus = (unsigned)CPU_COUNT(&set);
    /* Rounded down, as Go's runtime and automaxprocs do: more threads than quota are stopped for
     * whole periods. */
    if (quota > 0 && quota < cpus)
        cpus = (unsigned)quota;
    return MAX(cpus, 1u);
}
