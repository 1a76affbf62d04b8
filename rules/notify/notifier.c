/* Sets of Alertmanagers, one per element of alerting.alertmanagers; each set has its HTTP client,
 * its relabelling and its queues. */
#include "rules/notify/notifier.h"

#include "base/lock.h"
#include "base/mem.h"
#include "rules/notify/queue.h"

#define LABEL_ADDRESS     STR("__address__")
#define LABEL_SCHEME      STR("__scheme__")
#define LABEL_ALERTS_PATH STR("__alerts_path__")

struct am_set {
    const struct alertmanager_config *config; /* in the notifier's pool */
    struct http_client *client;
    struct notify_queue **queues;
    size_t queues_nr, queues_cap;
    struct str *dropped; /* URLs refused by relabelling; owned */
    size_t dropped_nr, dropped_cap;
    /* What discovery said last, referenced: a reload may change what becomes of it. */
    struct target_group **groups;
    size_t groups_nr;
};

struct notifier {
    struct notifier_options options;
    struct notify_metrics metrics;
    struct metric *discovered;
    struct lock lock;
    const struct alerting_config *config;
    struct conf_pool *pool; /* holds config */
    struct arena labels_arena;
    struct labels external_labels;
    struct am_set *sets;
    size_t sets_nr;
    /* Queues whose Alertmanager is gone: they send what they have and are freed when done. */
    struct notify_queue **leaving;
    size_t leaving_nr, leaving_cap;
};

struct notifier *
notifier_new(const struct notifier_options *options)
{
    struct notifier *n = MEM_NEW(struct notifier);

    n->options = *options;
    n->options.log.component = "notifier";
    n->options.capacity = MAX(options->capacity, (size_t)1);
    n->options.batch_max = MIN(MAX(options->batch_max, (size_t)1), n->options.capacity);
    lock_init(&n->lock, LOCK_MANAGER, "notifier");
    arena_init(&n->labels_arena, SIZE_MAX);
    notify_metrics_init(&n->metrics, options->metrics);
    if (options->metrics == NULL)
        return n;
    n->discovered =
        metrics_gauge(options->metrics, "prometheus_notifications_alertmanagers_discovered",
                      "The number of alertmanagers discovered and active.");
    metric_set(metrics_gauge(options->metrics, "prometheus_notifications_queue_capacity",
                             "The capacity of the alert notifications queue."),
               (double)n->options.capacity);
    return n;
}

static void
dropped_clear(struct am_set *set)
{
    for (size_t i = 0; i < set->dropped_nr; i++)
        mem_free((void *)(uintptr_t)set->dropped[i].p);
    set->dropped_nr = 0;
}

static void
groups_clear(struct am_set *set)
{
    for (size_t i = 0; i < set->groups_nr; i++)
        target_group_unref(set->groups[i]);
    mem_free(set->groups);
    set->groups = NULL;
    set->groups_nr = 0;
}

/* Its queues are elsewhere by now. */
static void
am_set_fini(struct am_set *set)
{
    dropped_clear(set);
    groups_clear(set);
    mem_free(set->queues);
    mem_free(set->dropped);
    http_client_unref(set->client);
}

static void
sets_free(struct am_set *sets, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        am_set_fini(&sets[i]);
    mem_free(sets);
}

/* Under the lock: the queue ends by itself. An Alertmanager that hangs must not hold up a reload,
 * or what discovery says of the others. */
static void
queue_leave(struct notifier *n, struct notify_queue *q)
{
    if (q == NULL)
        return;
    notify_queue_stop(q);
    MEM_GROW(n->leaving, n->leaving_nr + 1, &n->leaving_cap);
    n->leaving[n->leaving_nr++] = q;
}

static void
queues_leave(struct notifier *n, struct am_set *set)
{
    for (size_t i = 0; i < set->queues_nr; i++)
        queue_leave(n, set->queues[i]);
    set->queues_nr = 0;
}

/* Under the lock: frees the queues that have ended, or waits for all. */
static void
leaving_reap(struct notifier *n, bool wait)
{
    size_t kept_nr = 0;

    for (size_t i = 0; i < n->leaving_nr; i++) {
        if (wait || notify_queue_is_done(n->leaving[i]))
            notify_queue_free(n->leaving[i]);
        else
            n->leaving[kept_nr++] = n->leaving[i];
    }
    n->leaving_nr = kept_nr;
}

void
notifier_free(struct notifier *n)
{
    if (n == NULL)
        return;
    /* All are told to end before the first is waited for. */
    for (size_t i = 0; i < n->sets_nr; i++)
        queues_leave(n, &n->sets[i]);
    leaving_reap(n, true);
    mem_free(n->leaving);
    sets_free(n->sets, n->sets_nr);
    conf_pool_unref(n->pool);
    arena_fini(&n->labels_arena);
    lock_fini(&n->lock);
    mem_free(n);
}

static bool
sets_new(const struct alerting_config *config, struct am_set **sets, struct error *err)
{
    *sets = MEM_NEW_ARRAY(struct am_set, config->alertmanagers.nr);
    for (size_t i = 0; i < config->alertmanagers.nr; i++) {
        (*sets)[i].config = &config->alertmanagers.items[i];
        if (http_client_new(&config->alertmanagers.items[i].http, "alertmanager",
                            &(*sets)[i].client, err))
            continue;
        error_wrap(err, "alerting: alertmanagers[%zu]", i);
        sets_free(*sets, i);
        return false;
    }
    return true;
}

static bool
same_discovery(const struct alertmanager_config *a, const struct alertmanager_config *b)
{
    struct buf x = { 0 }, y = { 0 };

    conf_write(&discovery_config_table, &a->discovery, &x);
    conf_write(&discovery_config_table, &b->discovery, &y);
    bool same = str_eq(buf_as_str(&x), buf_as_str(&y));
    buf_fini(&x);
    buf_fini(&y);
    return same;
}

/* Queues outlive a reload with what is in them. Discovery that stays the same does not report
 * again, so what it said is taken over. Else the section at this place may be another one, whose
 * credentials are not for these Alertmanagers: they keep their routes until discovery reports. */
static void
set_move(struct am_set *to, struct am_set *from)
{
    if (same_discovery(to->config, from->config)) {
        to->groups = from->groups;
        to->groups_nr = from->groups_nr;
        from->groups = NULL;
        from->groups_nr = 0;
    }
    to->queues = from->queues;
    to->queues_nr = from->queues_nr;
    to->queues_cap = from->queues_cap;
    from->queues = NULL;
    from->queues_nr = from->queues_cap = 0;
}

static void
show_discovered(struct notifier *n)
{
    size_t nr = 0;

    for (size_t i = 0; i < n->sets_nr; i++)
        nr += n->sets[i].queues_nr;
    if (n->discovered != NULL)
        metric_set(n->discovered, (double)nr);
}

/* ---- targets ---- */

/* path.Join("/", prefix, "/api/v2/alerts"): one slash between the parts. */
static void
alerts_path(struct str prefix, struct buf *out)
{
    while (prefix.n > 0 && prefix.p[0] == '/')
        prefix = str_skip(prefix, 1);
    while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    if (prefix.n != 0) {
        buf_byte(out, '/');
        buf_str(out, prefix);
    }
    buf_c(out, "/api/v2/alerts");
}

/* False: relabelling drops it. *url is in the arena either way. */
static bool
target_url(const struct alertmanager_config *config, const struct target_group *group,
           struct labels target, struct arena *arena, struct str *url)
{
    struct labels_builder b;
    struct buf path = { 0 };

    labels_builder_init(&b);
    labels_builder_reset(&b, group->labels);
    for (size_t i = 0; i < target.nr; i++)
        labels_builder_set(&b, target.v[i].name, target.v[i].value);
    alerts_path(config->path_prefix, &path);
    labels_builder_set(&b, LABEL_SCHEME, config->scheme);
    labels_builder_set(&b, LABEL_ALERTS_PATH, arena_str(arena, buf_as_str(&path)));
    struct str before = arena_printf(arena, "%.*s://%.*s%.*s", STR_ARG(config->scheme),
                                     STR_ARG(labels_builder_get(&b, LABEL_ADDRESS)), (int)path.n,
                                     (const char *)path.p);
    bool keep = relabel_apply(config->relabel_configs.rules, config->relabel_configs.nr, &b, arena);
    *url = !keep ? before
                 : arena_printf(arena, "%.*s://%.*s%.*s",
                                STR_ARG(labels_builder_get(&b, LABEL_SCHEME)),
                                STR_ARG(labels_builder_get(&b, LABEL_ADDRESS)),
                                STR_ARG(labels_builder_get(&b, LABEL_ALERTS_PATH)));
    labels_builder_fini(&b);
    buf_fini(&path);
    return keep;
}

static struct notify_queue *
queue_take(struct notify_queue **queues, size_t nr, struct str url)
{
    for (size_t i = 0; i < nr; i++)
        if (queues[i] != NULL && str_eq(notify_queue_url(queues[i]), url)) {
            struct notify_queue *q = queues[i];
            queues[i] = NULL;
            return q;
        }
    return NULL;
}

static bool
queue_known(const struct am_set *set, struct str url)
{
    for (size_t i = 0; i < set->queues_nr; i++)
        if (str_eq(notify_queue_url(set->queues[i]), url))
            return true;
    return false;
}

static void
target_add(struct notifier *n, struct am_set *set, struct str url, struct notify_queue **old,
           size_t old_nr)
{
    if (queue_known(set, url))
        return;
    struct notify_queue *q = queue_take(old, old_nr, url);
    struct notify_route route = { set->client, n->pool, set->config->timeout_ms };
    if (q == NULL)
        q = notify_queue_new(&n->options, &n->metrics, url, &route);
    else
        notify_queue_set_route(q, &route);
    MEM_GROW(set->queues, set->queues_nr + 1, &set->queues_cap);
    set->queues[set->queues_nr++] = q;
}

static void
group_add(struct notifier *n, struct am_set *set, const struct target_group *group,
          struct notify_queue **old, size_t old_nr, struct arena *arena)
{
    for (size_t i = 0; i < group->targets_nr; i++) {
        struct str url;
        if (target_url(set->config, group, group->targets[i], arena, &url)) {
            target_add(n, set, url, old, old_nr);
            continue;
        }
        MEM_GROW(set->dropped, set->dropped_nr + 1, &set->dropped_cap);
        set->dropped[set->dropped_nr++] = (struct str){ str_dup(url), url.n };
    }
}

/* Makes the set's queues what its groups and its configuration say. Under the lock. */
static void
set_derive(struct notifier *n, struct am_set *set)
{
    struct notify_queue **old = set->queues;
    size_t old_nr = set->queues_nr;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    set->queues = NULL;
    set->queues_nr = set->queues_cap = 0;
    dropped_clear(set);
    for (size_t i = 0; i < set->groups_nr; i++)
        group_add(n, set, set->groups[i], old, old_nr, &arena);
    for (size_t i = 0; i < old_nr; i++)
        queue_leave(n, old[i]);
    leaving_reap(n, false);
    mem_free(old);
    arena_fini(&arena);
}

void
notifier_set_targets(struct notifier *n, size_t index, struct target_group *const *groups,
                     size_t groups_nr)
{
    lock_take(&n->lock);
    if (index < n->sets_nr) { /* else an update of a configuration that is gone */
        struct am_set *set = &n->sets[index];
        groups_clear(set);
        set->groups = MEM_NEW_ARRAY(struct target_group *, MAX(groups_nr, (size_t)1));
        for (size_t i = 0; i < groups_nr; i++)
            set->groups[set->groups_nr++] = target_group_ref(groups[i]);
        set_derive(n, set);
        show_discovered(n);
    }
    lock_release(&n->lock);
}

bool
notifier_apply(struct notifier *n, const struct alerting_config *config, struct conf_pool *keep,
               struct labels external_labels, struct error *err)
{
    struct am_set *sets;

    if (!sets_new(config, &sets, err))
        return false;
    lock_take(&n->lock);
    struct am_set *old = n->sets;
    size_t old_nr = n->sets_nr;
    struct conf_pool *old_pool = n->pool;
    for (size_t i = 0; i < MIN(old_nr, config->alertmanagers.nr); i++)
        set_move(&sets[i], &old[i]);
    for (size_t i = config->alertmanagers.nr; i < old_nr; i++)
        queues_leave(n, &old[i]);
    leaving_reap(n, false);
    n->sets = sets;
    n->sets_nr = config->alertmanagers.nr;
    n->config = config;
    n->pool = conf_pool_ref(keep);
    arena_fini(&n->labels_arena);
    arena_init(&n->labels_arena, SIZE_MAX);
    n->external_labels = labels_copy(&n->labels_arena, external_labels);
    for (size_t i = 0; i < n->sets_nr; i++)
        if (n->sets[i].groups != NULL)
            set_derive(n, &n->sets[i]);
    show_discovered(n);
    lock_release(&n->lock);
    sets_free(old, old_nr);
    conf_pool_unref(old_pool);
    return true;
}

/* ---- sending ---- */

/* Adds external labels that are missing and applies the rules; false: dropped. */
static bool
alert_relabel(struct alert_message *alert, struct labels external, const struct relabel_list *list,
              struct arena *arena)
{
    struct labels_builder b;

    labels_builder_init(&b);
    labels_builder_reset(&b, alert->labels);
    for (size_t i = 0; i < external.nr; i++)
        if (!labels_has(alert->labels, external.v[i].name))
            labels_builder_set(&b, external.v[i].name, external.v[i].value);
    bool keep = relabel_apply(list->rules, list->nr, &b, arena);
    if (keep)
        alert->labels = labels_builder_finish(&b, arena);
    labels_builder_fini(&b);
    return keep;
}

/* To every queue of a set, after the set's own relabelling. The notifier's lock is held. */
static void
set_send(struct am_set *set, const struct alert_message *alerts, size_t alerts_nr,
         struct arena *arena)
{
    struct queued_alert **queued = ARENA_NEW_ARRAY(arena, struct queued_alert *, alerts_nr);
    size_t nr = 0;

    if (set->queues_nr == 0)
        return;
    for (size_t i = 0; i < alerts_nr; i++) {
        struct alert_message alert = alerts[i];
        if (alert_relabel(&alert, LABELS_NONE, &set->config->alert_relabel_configs, arena))
            queued[nr++] = queued_alert_new(&alert);
    }
    for (size_t i = 0; i < set->queues_nr; i++)
        notify_queue_add(set->queues[i], queued, nr);
    for (size_t i = 0; i < nr; i++)
        queued_alert_unref(queued[i]);
}

void
notifier_send(void *arg, const struct alert_message *alerts, size_t alerts_nr)
{
    struct notifier *n = arg;
    struct arena arena;
    size_t nr = 0;

    arena_init(&arena, SIZE_MAX);
    struct alert_message *kept = ARENA_NEW_ARRAY(&arena, struct alert_message, alerts_nr);
    lock_take(&n->lock);
    for (size_t i = 0; n->config != NULL && i < alerts_nr; i++) {
        kept[nr] = alerts[i];
        nr +=
            alert_relabel(&kept[nr], n->external_labels, &n->config->alert_relabel_configs, &arena);
    }
    for (size_t i = 0; nr != 0 && i < n->sets_nr; i++)
        set_send(&n->sets[i], kept, nr, &arena);
    lock_release(&n->lock);
    arena_fini(&arena);
}

void
notifier_view(struct notifier *n, struct arena *arena, struct alertmanagers_view *view)
{
    size_t active_nr = 0, dropped_nr = 0;

    *view = (struct alertmanagers_view){ 0 };
    lock_take(&n->lock);
    for (size_t i = 0; i < n->sets_nr; i++) {
        active_nr += n->sets[i].queues_nr;
        dropped_nr += n->sets[i].dropped_nr;
    }
    view->active = ARENA_NEW_ARRAY(arena, struct str, active_nr);
    view->dropped = ARENA_NEW_ARRAY(arena, struct str, dropped_nr);
    for (size_t i = 0; i < n->sets_nr; i++) {
        const struct am_set *set = &n->sets[i];
        for (size_t j = 0; j < set->queues_nr; j++)
            view->active[view->active_nr++] = arena_str(arena, notify_queue_url(set->queues[j]));
        for (size_t j = 0; j < set->dropped_nr; j++)
            view->dropped[view->dropped_nr++] = arena_str(arena, set->dropped[j]);
    }
    lock_release(&n->lock);
}
