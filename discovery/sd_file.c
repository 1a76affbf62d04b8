/* file_sd_configs: target groups in JSON and YAML files, read again when something in their
 * directories changes and every refresh interval.
 *
 * A watch is on the directories, not the files: editors replace files by renaming. Any event means
 * reading all files again, after SETTLE_NS, so that a burst of events costs one read. A file that
 * cannot be read or does not parse keeps what it said last; a file that is gone takes its groups
 * with it. */
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/conf.h"
#include "base/glob.h"
#include "base/mem.h"
#include "discovery/mechanism.h"

#define SETTLE_NS (50 * INT64_C(1000000))

/* What a file said when it was last good. */
struct good_file {
    char *path;
    struct target_group **groups;
    size_t groups_nr;
    double mtime_s;
    bool here; /* found by the scan at hand */
};

struct file_sd {
    struct discoverer base;
    const struct file_sd_config *config;
    struct good_file *files;
    size_t files_nr, files_cap;
    int64_t refresh_at_ns; /* the next one by the clock */
    struct metric *read_errors, *watch_errors;
    struct metric_family *mtimes;
    struct metric_summary *scan_time;
};

static void
groups_unref(struct target_group **groups, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        target_group_unref(groups[i]);
    free(groups);
}

static struct good_file *
file_of(struct file_sd *d, struct str path)
{
    for (size_t i = 0; i < d->files_nr; i++)
        if (str_is(path, d->files[i].path))
            return &d->files[i];
    MEM_GROW(d->files, d->files_nr + 1, &d->files_cap);
    d->files[d->files_nr] = (struct good_file){ .path = str_dup(path) };
    return &d->files[d->files_nr++];
}

static bool
format_of(const char *path, enum group_format *format)
{
    struct str s = str_c(path);

    *format = GROUPS_YAML;
    if (s.n > 5 && strcasecmp(path + s.n - 5, ".json") == 0)
        *format = GROUPS_JSON;
    else if (!(s.n > 4 && strcasecmp(path + s.n - 4, ".yml") == 0) &&
             !(s.n > 5 && strcasecmp(path + s.n - 5, ".yaml") == 0))
        return false;
    return true;
}

static bool
read_file(struct file_sd *d, struct good_file *f, struct error *err)
{
    struct target_group **groups;
    enum group_format format;
    struct io_stat st;
    size_t nr, n;
    char *text;
    bool ok;

    if (!format_of(f->path, &format))
        return error_set(err, ERR_INVALID, "unhandled file extension");
    if (!io_stat_path(d->base.env.io, f->path, &st, err) ||
        !io_read_file(d->base.env.io, f->path, GROUPS_BYTES_MAX, &text, &n, err))
        return false;
    ok = target_groups_parse(format, (struct str){ text, n }, str_c(f->path),
                             STR("__meta_filepath"), &groups, &nr, err);
    free(text);
    if (!ok)
        return false;
    groups_unref(f->groups, f->groups_nr);
    f->groups = groups;
    f->groups_nr = nr;
    f->mtime_s = (double)(st.mtime_ns / 1000000000);
    return true;
}

static void
read_or_keep(struct file_sd *d, struct str path)
{
    struct good_file *f = file_of(d, path);
    struct error err = { 0 };

    f->here = true;
    if (!read_file(d, f, &err)) {
        metric_inc(d->read_errors);
        log_error(&d->base.env.log, "Error reading file", LOG_C("path", f->path), LOG_E(&err));
    } else if (d->mtimes != NULL) {
        struct str values[] = { str_c(f->path) };

        metric_set(metrics_child(d->mtimes, values), f->mtime_s);
    }
    error_clear(&err);
}

static void
forget(struct file_sd *d, struct good_file *f)
{
    struct str values[] = { str_c(f->path) };

    if (d->mtimes != NULL)
        metrics_child_remove(d->mtimes, values);
    groups_unref(f->groups, f->groups_nr);
    free(f->path);
}

static void
scan(struct file_sd *d)
{
    struct arena arena;
    struct error err = { 0 };

    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < d->files_nr; i++)
        d->files[i].here = false;
    for (size_t i = 0; i < d->config->files.nr; i++) {
        struct conf_strs paths;

        if (!glob_list(d->base.env.io, d->config->files.items[i], &arena, &paths, &err)) {
            log_error(&d->base.env.log, "Error expanding glob",
                      LOG_S("glob", d->config->files.items[i]), LOG_E(&err));
            continue;
        }
        for (size_t j = 0; j < paths.nr; j++)
            read_or_keep(d, paths.items[j]);
    }
    for (size_t i = d->files_nr; i-- > 0;)
        if (!d->files[i].here) {
            forget(d, &d->files[i]);
            d->files[i] = d->files[--d->files_nr];
        }
    error_clear(&err);
    arena_fini(&arena);
}

static void
publish(struct file_sd *d)
{
    struct target_group **all;
    size_t nr = 0;

    for (size_t i = 0; i < d->files_nr; i++)
        nr += d->files[i].groups_nr;
    all = MEM_NEW_ARRAY(struct target_group *, nr + 1);
    nr = 0;
    for (size_t i = 0; i < d->files_nr; i++)
        for (size_t j = 0; j < d->files[i].groups_nr; j++)
            all[nr++] = target_group_ref(d->files[i].groups[j]);
    discovery_publish(&d->base, all, nr);
}

/* Again after every scan: a directory may have been replaced. The kernel keeps one watch per
 * directory. */
static void
watch(struct file_sd *d)
{
    for (size_t i = 0; d->base.fd >= 0 && i < d->config->files.nr; i++) {
        char *dir = str_dup(conf_dir(d->config->files.items[i]));

        if (inotify_add_watch(d->base.fd, dir[0] == 0 ? "." : dir,
                              IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
                                  IN_DELETE) < 0) {
            struct error err = { 0 };

            error_sys(&err, "watch");
            log_error(&d->base.env.log, "Error adding file watch", LOG_C("path", dir), LOG_E(&err));
            error_clear(&err);
        }
        free(dir);
    }
}

/* True when there were events. */
static bool
drain_events(int fd)
{
    char events[4096];
    bool any = false;

    while (fd >= 0 && read(fd, events, sizeof events) > 0)
        any = true;
    return any;
}

static int64_t
look(struct discoverer *base, int64_t now_ns)
{
    struct file_sd *d = CONTAINER_OF(base, struct file_sd, base);
    int64_t began_ns = clock_monotonic_ns(base->env.clock);

    if (drain_events(base->fd) && base->published)
        return MIN(now_ns + SETTLE_NS, MAX(base->next_ns, now_ns));
    scan(d);
    publish(d);
    watch(d);
    if (d->scan_time != NULL)
        metric_summary_observe(
            d->scan_time, (double)(clock_monotonic_ns(base->env.clock) - began_ns) / 1e9, began_ns);
    return now_ns + d->config->refresh_interval_ms * 1000000;
}

static void
file_sd_free(struct discoverer *base)
{
    struct file_sd *d = CONTAINER_OF(base, struct file_sd, base);

    for (size_t i = 0; i < d->files_nr; i++)
        forget(d, &d->files[i]);
    free(d->files);
    if (base->fd >= 0)
        close(base->fd);
    free(d);
}

static const struct discovery_ops file_ops = { .name = "file", .look = look, .free = file_sd_free };

static void
file_sd_metrics(struct file_sd *d, struct metrics *m)
{
    static const char *const by_file[] = { "filename", NULL };
    static const double quantiles[] = { 0.5, 0.9, 0.99 };

    d->read_errors = metrics_counter(m, "prometheus_sd_file_read_errors_total",
                                     "The number of File-SD read errors.");
    d->watch_errors =
        metrics_counter(m, "prometheus_sd_file_watcher_errors_total",
                        "The number of File-SD errors caused by filesystem watch failures.");
    d->mtimes = metrics_family(
        m, METRIC_GAUGE, "prometheus_sd_file_mtime_seconds",
        "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.", by_file);
    d->scan_time = metrics_summary(
        metrics_family(m, METRIC_SUMMARY, "prometheus_sd_file_scan_duration_seconds",
                       "The duration of the File-SD scan in seconds.", NULL),
        NULL, quantiles, ARRAY_LEN(quantiles));
}

struct discoverer *
file_sd_new(const struct discoverer_env *env, const struct file_sd_config *config)
{
    struct file_sd *d = MEM_NEW(struct file_sd);

    d->base = (struct discoverer){ .ops = &file_ops, .env = *env };
    d->config = config;
    file_sd_metrics(d, env->metrics);
    d->base.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (d->base.fd < 0) {
        struct error err = { 0 };

        error_sys(&err, "inotify");
        metric_inc(d->watch_errors);
        log_error(&env->log, "Error adding file watcher", LOG_E(&err));
        error_clear(&err);
    }
    return &d->base;
}
