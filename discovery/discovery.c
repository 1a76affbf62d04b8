/* The discovery manager: runs the mechanisms of all sets on one thread and hands out what changed.
 *
 * apply() leaves the new sets in `wanted` and waits until the thread has taken them over and every
 * mechanism that answers at once (static, file) has been heard. The thread sleeps in poll() on its
 * event fd and the mechanisms' fds. A set whose groups changed is sent at the next turn of the
 * throttle; after an apply at once, so that a reload shows without delay. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/conf.h"
#include "base/lock.h"
#include "base/mem.h"
#include "discovery/mechanism.h"

#define THROTTLE_MS 5000

struct running_set {
    struct str name; /* in the manager's names */
    struct discoverer **d;
    size_t d_nr;
};

struct wanted {
    struct discovery_set *sets;
    size_t nr;
    char *names; /* of the sets, end to end: the caller's may go when apply() returns */
    struct conf_pool *keep;
};

struct discovery_metrics {
    struct metric_family *discovered, *last_update;
    struct metric *failed, *received, *sent, *delayed;
};

struct discovery_manager {
    struct discovery_options options;
    struct metrics *own_metrics; /* when the caller gave none */
    struct discovery_metrics metrics;
    pthread_t thread;
    int wake_fd;

    struct lock lock; /* guards the next five */
    struct cond applied;
    struct wanted wanted;
    uint64_t wanted_nr, applied_nr;
    bool stopping;

    /* The thread's. */
    struct running_set *sets;
    size_t sets_nr;
    char *names;
    struct conf_pool *keep;
    int64_t send_after_ns;
};

static void
wake(void *arg)
{
    struct discovery_manager *m = arg;
    uint64_t one = 1;

    (void)!write(m->wake_fd, &one, sizeof one);
}

/* ---- what mechanisms say */

static void
groups_free(struct discoverer *d)
{
    for (size_t i = 0; i < d->groups_nr; i++)
        target_group_unref(d->groups[i]);
    free(d->groups);
}

static bool
labels_same(const struct labels *a, const struct labels *b, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        if (!labels_eq(a[i], b[i]))
            return false;
    return true;
}

static bool
groups_same(struct target_group *const *a, struct target_group *const *b, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        if (a[i] != b[i] &&
            (!str_eq(a[i]->source, b[i]->source) || !labels_eq(a[i]->labels, b[i]->labels) ||
             a[i]->targets_nr != b[i]->targets_nr ||
             !labels_same(a[i]->targets, b[i]->targets, a[i]->targets_nr)))
            return false;
    return true;
}

void
discovery_publish(struct discoverer *d, struct target_group **groups, size_t groups_nr)
{
    size_t nr = 0;

    for (size_t i = 0; i < groups_nr; i++) {
        if (groups[i]->targets_nr != 0)
            groups[nr++] = groups[i];
        else
            target_group_unref(groups[i]);
    }
    if (!d->published || nr != d->groups_nr || !groups_same(groups, d->groups, nr))
        d->changed = true;
    groups_free(d);
    d->groups = groups;
    d->groups_nr = nr;
    d->published = true;
}

/* ---- sets */

static void
running_set_fini(struct running_set *s)
{
    for (size_t i = 0; i < s->d_nr; i++) {
        groups_free(s->d[i]);
        s->d[i]->ops->free(s->d[i]);
    }
    free(s->d);
}

static void
add_discoverer(struct running_set *s, struct discoverer *d)
{
    s->d[s->d_nr++] = d;
}

/* What a URL said before a reload stays until it answers again. */
static void
add_http(struct discovery_manager *m, struct running_set *s, const struct discoverer_env *env,
         const struct http_sd_config *config)
{
    struct error err = { 0 };
    struct discoverer *d = http_sd_new(env, config, &err);

    if (d == NULL) {
        metric_add(m->metrics.failed, 1);
        log_error(&env->log, "Cannot create service discovery", LOG_E(&err), LOG_C("type", "http"),
                  LOG_S("config", env->set));
    } else {
        add_discoverer(s, d);
    }
    error_clear(&err);
}

static void
running_set_init(struct discovery_manager *m, struct running_set *s,
                 const struct discovery_set *set)
{
    const struct discovery_config *c = set->config;
    const struct discoverer_env env = { .clock = m->options.clock,
                                        .io = m->options.io,
                                        .log = m->options.log,
                                        .metrics = m->options.metrics,
                                        .manager = m->options.name,
                                        .set = set->name,
                                        .wake = wake,
                                        .wake_arg = m };

    *s = (struct running_set){ .name = set->name };
    s->d = MEM_NEW_ARRAY(struct discoverer *, 1 + c->file.nr + c->http.nr);
    add_discoverer(s, static_sd_new(&env, c->statics.items, c->statics.nr));
    for (size_t i = 0; i < c->file.nr; i++)
        add_discoverer(s, file_sd_new(&env, &c->file.items[i]));
    for (size_t i = 0; i < c->http.nr; i++)
        add_http(m, s, &env, &c->http.items[i]);
}

static void
inherit(struct running_set *s, struct running_set *old)
{
    for (size_t i = 0; i < s->d_nr; i++)
        for (size_t j = 0; j < old->d_nr; j++) {
            struct discoverer *from = old->d[j], *to = s->d[i];

            if (to->ops->same == NULL || from->ops != to->ops || !to->ops->same(to, from) ||
                from->groups_nr == 0)
                continue;
            discovery_publish(to, from->groups, from->groups_nr);
            from->groups = NULL;
            from->groups_nr = 0;
        }
}

static void
forget_set_metrics(struct discovery_manager *m, struct str set)
{
    struct str values[] = { set, str_c(m->options.name) };

    metrics_child_remove(m->metrics.discovered, values);
    metrics_child_remove(m->metrics.last_update, values);
}

static struct running_set *
set_of(struct running_set *sets, size_t nr, struct str name)
{
    for (size_t i = 0; i < nr; i++)
        if (str_eq(sets[i].name, name))
            return &sets[i];
    return NULL;
}

/* New mechanisms for all sets; those of the former ones go. */
static void
take_over(struct discovery_manager *m, struct wanted w)
{
    struct running_set *sets = MEM_NEW_ARRAY(struct running_set, w.nr + 1);

    metric_set(m->metrics.failed, 0);
    for (size_t i = 0; i < w.nr; i++) {
        struct running_set *old = set_of(m->sets, m->sets_nr, w.sets[i].name);

        running_set_init(m, &sets[i], &w.sets[i]);
        if (old != NULL)
            inherit(&sets[i], old);
    }
    for (size_t i = 0; i < m->sets_nr; i++) {
        if (set_of(sets, w.nr, m->sets[i].name) == NULL)
            forget_set_metrics(m, m->sets[i].name);
        running_set_fini(&m->sets[i]);
    }
    free(m->sets);
    free(w.sets);
    mem_free(m->names);
    conf_pool_unref(m->keep);
    m->sets = sets;
    m->sets_nr = w.nr;
    m->names = w.names;
    m->keep = w.keep;
    m->send_after_ns = INT64_MIN;
}

/* ---- the thread's round */

static bool
due(struct discoverer *d, int64_t now_ns, const struct pollfd *fds, size_t fds_nr)
{
    if (d->next_ns <= now_ns || atomic_exchange(&d->woken, false))
        return true;
    for (size_t i = 0; d->fd >= 0 && i < fds_nr; i++)
        if (fds[i].fd == d->fd)
            return fds[i].revents != 0;
    return false;
}

static void
look_everywhere(struct discovery_manager *m, const struct pollfd *fds, size_t fds_nr)
{
    for (size_t i = 0; i < m->sets_nr; i++)
        for (size_t j = 0; j < m->sets[i].d_nr; j++) {
            struct discoverer *d = m->sets[i].d[j];
            int64_t now_ns = clock_monotonic_ns(m->options.clock);
            bool before = d->changed;

            if (!due(d, now_ns, fds, fds_nr))
                continue;
            d->next_ns = d->ops->look(d, now_ns);
            if (d->changed && !before)
                metric_inc(m->metrics.received);
        }
}

static void
send_set(struct discovery_manager *m, struct running_set *s)
{
    struct str values[] = { s->name, str_c(m->options.name) };
    struct target_group **all;
    size_t nr = 0, targets_nr = 0;

    for (size_t i = 0; i < s->d_nr; i++)
        nr += s->d[i]->groups_nr;
    all = MEM_NEW_ARRAY(struct target_group *, nr + 1);
    nr = 0;
    for (size_t i = 0; i < s->d_nr; i++) {
        s->d[i]->changed = false;
        for (size_t j = 0; j < s->d[i]->groups_nr; j++) {
            all[nr++] = s->d[i]->groups[j];
            targets_nr += s->d[i]->groups[j]->targets_nr;
        }
    }
    metric_set(metrics_child(m->metrics.discovered, values), (double)targets_nr);
    metric_set(metrics_child(m->metrics.last_update, values),
               (double)clock_now_ms(m->options.clock) / 1000);
    m->options.update(m->options.arg, s->name, all, nr);
    free(all);
}

static bool
set_changed(const struct running_set *s)
{
    for (size_t i = 0; i < s->d_nr; i++)
        if (s->d[i]->changed)
            return true;
    return false;
}

static bool
any_changed(const struct discovery_manager *m)
{
    for (size_t i = 0; i < m->sets_nr; i++)
        if (set_changed(&m->sets[i]))
            return true;
    return false;
}

/* When the throttle lets it. */
static void
send_changed(struct discovery_manager *m)
{
    int64_t now_ns = clock_monotonic_ns(m->options.clock);
    int64_t throttle_ms = m->options.throttle_ms != 0 ? m->options.throttle_ms : THROTTLE_MS;

    if (!any_changed(m))
        return;
    if (now_ns < m->send_after_ns) {
        metric_inc(m->metrics.delayed);
        return;
    }
    for (size_t i = 0; i < m->sets_nr; i++)
        if (set_changed(&m->sets[i]))
            send_set(m, &m->sets[i]);
    metric_inc(m->metrics.sent);
    m->send_after_ns = now_ns + throttle_ms * 1000000;
}

static int
wait_ms(const struct discovery_manager *m)
{
    int64_t now_ns = clock_monotonic_ns(m->options.clock), next_ns = INT64_MAX;

    if (any_changed(m))
        next_ns = m->send_after_ns;
    for (size_t i = 0; i < m->sets_nr; i++)
        for (size_t j = 0; j < m->sets[i].d_nr; j++)
            next_ns = MIN(next_ns, m->sets[i].d[j]->next_ns);
    if (next_ns == INT64_MAX)
        return -1;
    if (next_ns <= now_ns)
        return 0;
    return (int)MIN((next_ns - now_ns) / 1000000 + 1, 3600 * 1000);
}

static size_t
poll_fds(const struct discovery_manager *m, struct pollfd **fds, size_t *cap)
{
    size_t nr = 1;

    MEM_GROW(*fds, 1, cap);
    (*fds)[0] = (struct pollfd){ .fd = m->wake_fd, .events = POLLIN };
    for (size_t i = 0; i < m->sets_nr; i++)
        for (size_t j = 0; j < m->sets[i].d_nr; j++) {
            if (m->sets[i].d[j]->fd < 0)
                continue;
            MEM_GROW(*fds, nr + 1, cap);
            (*fds)[nr++] = (struct pollfd){ .fd = m->sets[i].d[j]->fd, .events = POLLIN };
        }
    return nr;
}

/* Takes what apply() has left. False: the thread ends. */
static bool
take_wanted(struct discovery_manager *m, uint64_t *applying)
{
    struct wanted w = { 0 };
    bool go;

    lock_take(&m->lock);
    go = !m->stopping;
    *applying = m->wanted_nr != m->applied_nr ? m->wanted_nr : 0;
    if (*applying != 0) {
        w = m->wanted;
        m->wanted = (struct wanted){ 0 };
    }
    lock_release(&m->lock);
    if (*applying != 0)
        take_over(m, w);
    return go;
}

static void
tell_applied(struct discovery_manager *m, uint64_t applied)
{
    lock_take(&m->lock);
    m->applied_nr = applied;
    cond_broadcast(&m->applied);
    lock_release(&m->lock);
}

static void *
run(void *arg)
{
    struct discovery_manager *m = arg;
    struct pollfd *fds = NULL;
    size_t cap = 0, nr = 0;
    uint64_t applying, ignored;

    while (take_wanted(m, &applying)) {
        look_everywhere(m, fds, applying != 0 ? 0 : nr);
        send_changed(m);
        if (applying != 0)
            tell_applied(m, applying);
        nr = poll_fds(m, &fds, &cap);
        (void)poll(fds, nr, wait_ms(m));
        if (fds[0].revents != 0)
            (void)!read(m->wake_fd, &ignored, sizeof ignored);
    }
    free(fds);
    return NULL;
}

/* ---- interface */

static void
metrics_init(struct discovery_manager *m)
{
    static const char *const by_set[] = { "config", "name", NULL }, *const by_name[] = { "name",
                                                                                         NULL };
    struct metrics *reg = m->options.metrics;
    struct str name[] = { str_c(m->options.name) };
    struct discovery_metrics *d = &m->metrics;

    d->discovered = metrics_family(reg, METRIC_GAUGE, "prometheus_sd_discovered_targets",
                                   "Current number of discovered targets.", by_set);
    d->last_update =
        metrics_family(reg, METRIC_GAUGE, "prometheus_sd_last_update_timestamp_seconds",
                       "Timestamp of the last update sent to the SD consumers.", by_set);
    d->failed = metrics_child(
        metrics_family(reg, METRIC_GAUGE, "prometheus_sd_failed_configs",
                       "Current number of service discovery configurations that failed to load.",
                       by_name),
        name);
    d->received = metrics_child(
        metrics_family(reg, METRIC_COUNTER, "prometheus_sd_received_updates_total",
                       "Total number of update events received from the SD providers.", by_name),
        name);
    d->sent = metrics_child(
        metrics_family(reg, METRIC_COUNTER, "prometheus_sd_updates_total",
                       "Total number of update events sent to the SD consumers.", by_name),
        name);
    d->delayed = metrics_child(
        metrics_family(reg, METRIC_COUNTER, "prometheus_sd_updates_delayed_total",
                       "Total number of update events that couldn't be sent immediately.", by_name),
        name);
}

struct discovery_manager *
discovery_manager_new(const struct discovery_options *options)
{
    struct discovery_manager *m = MEM_NEW(struct discovery_manager);

    m->options = *options;
    m->options.log = log_with(&options->log, "discovery manager");
    if (m->options.metrics == NULL)
        m->options.metrics = m->own_metrics = metrics_new();
    metrics_init(m);
    lock_init(&m->lock, LOCK_MANAGER, "discovery");
    cond_init(&m->applied);
    m->send_after_ns = INT64_MIN;
    m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ASSERT(m->wake_fd >= 0);
    ASSERT(pthread_create(&m->thread, NULL, run, m) == 0);
    return m;
}

static void
wanted_sets(struct wanted *w, const struct discovery_set *sets)
{
    size_t bytes = 1;

    for (size_t i = 0; i < w->nr; i++)
        bytes += sets[i].name.n;
    char *p = w->names = mem_alloc(bytes);
    w->sets = MEM_NEW_ARRAY(struct discovery_set, w->nr + 1);
    for (size_t i = 0; i < w->nr; i++) {
        struct str name = sets[i].name;
        memcpy(p, name.p, name.n);
        w->sets[i] = (struct discovery_set){ { p, name.n }, sets[i].config };
        p += name.n;
    }
}

void
discovery_manager_apply(struct discovery_manager *m, const struct discovery_set *sets,
                        size_t sets_nr, struct conf_pool *keep)
{
    struct wanted w = { .nr = sets_nr, .keep = keep == NULL ? NULL : conf_pool_ref(keep) };
    uint64_t mine;

    wanted_sets(&w, sets);
    lock_take(&m->lock);
    ASSERT(m->wanted_nr == m->applied_nr); /* one caller at a time */
    m->wanted = w;
    mine = ++m->wanted_nr;
    wake(m);
    while (m->applied_nr != mine)
        cond_wait(&m->applied, &m->lock);
    lock_release(&m->lock);
}

void
discovery_manager_free(struct discovery_manager *m)
{
    if (m == NULL)
        return;
    lock_take(&m->lock);
    m->stopping = true;
    lock_release(&m->lock);
    wake(m);
    pthread_join(m->thread, NULL);
    for (size_t i = 0; i < m->sets_nr; i++)
        running_set_fini(&m->sets[i]);
    free(m->sets);
    mem_free(m->names);
    conf_pool_unref(m->keep);
    close(m->wake_fd);
    cond_fini(&m->applied);
    lock_fini(&m->lock);
    metrics_free(m->own_metrics);
    free(m);
}
