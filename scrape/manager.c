/* The scrape manager: jobs to pools, discovery to targets, and what http shows of them.
 *
 * Locks: `lock` guards the list of pools and is not held while discovery is told of new sets, since
 * its thread takes it to find the pool of an update. A pool that goes is taken off the list first,
 * so that no update finds it. */
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/conf.h"
#include "base/mem.h"
#include "base/pool.h"
#include "scrape/scrape_pool.h"

/* One loop takes four million samples a second on the machine of the budgets, and two on its two
 * cores cost a quarter more CPU per sample, since each wakes for fewer events. More only where
 * there are cores to spare. */
#define LOOPS_MAX     4
#define CPUS_PER_LOOP 4

struct scrape_manager {
    struct scrape_options options;
    struct metrics *own_metrics;
    struct scrape_metrics metrics;
    struct scrape_shared shared;
    struct discovery_manager *discovery;
    struct scrape_loop **loops;
    unsigned loops_nr;
    char *hostname;
    struct lock lock; /* guards the pools' list */
    struct scrape_pool *pools;
};

/* ---- life */

static struct scrape_pool *
pool_find(struct scrape_manager *m, struct str name)
{
    for (struct scrape_pool *p = m->pools; p != NULL; p = p->next)
        if (str_eq(p->setup->config->job_name, name))
            return p;
    return NULL;
}

static void
update(void *arg, struct str set, struct target_group *const *groups, size_t groups_nr)
{
    struct scrape_manager *m = arg;
    struct scrape_pool *p;

    lock_take(&m->lock);
    p = pool_find(m, set);
    if (p != NULL)
        scrape_pool_sync(p, groups, groups_nr);
    lock_release(&m->lock);
}

/* The name that Prometheus takes for its host: the fully qualified one, else the plain one. */
static char *
machine_name(void)
{
    struct addrinfo hints = { .ai_flags = AI_CANONNAME }, *found = NULL;
    char host[256] = "";
    char *name;

    gethostname(host, sizeof host - 1);
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        found = NULL;
    name = mem_strdup(found != NULL && found->ai_canonname != NULL ? found->ai_canonname : host);
    if (found != NULL)
        freeaddrinfo(found);
    return name;
}

static void
metadata_sizes(void *arg, struct metrics_out *out, bool bytes)
{
    struct scrape_manager *m = arg;

    lock_take(&m->lock);
    for (struct scrape_pool *p = m->pools; p != NULL; p = p->next) {
        struct str job[] = { p->setup->config->job_name };
        struct pool_target *pt;
        double sum = 0;

        lock_take(&p->lock);
        for (size_t at = 0; (pt = table_next(&p->active, &at)) != NULL;) {
            lock_take(&pt->t->lock);
            sum += (double)(bytes ? pt->t->meta.bytes : pt->t->meta.families.nr);
            lock_release(&pt->t->lock);
        }
        lock_release(&p->lock);
        metrics_emit(out, job, sum);
    }
    lock_release(&m->lock);
}

static void
metadata_bytes(void *arg, struct metrics_out *out)
{
    metadata_sizes(arg, out, true);
}

static void
metadata_entries(void *arg, struct metrics_out *out)
{
    metadata_sizes(arg, out, false);
}

struct scrape_manager *
scrape_manager_new(const struct scrape_options *options)
{
    struct scrape_manager *m = MEM_NEW(struct scrape_manager);

    m->options = *options;
    m->options.log = log_with(&options->log, "scrape manager");
    if (m->options.metrics == NULL)
        m->options.metrics = m->own_metrics = metrics_new();
    scrape_metrics_init(&m->metrics, m->options.metrics);
    metrics_collector(m->options.metrics, m->metrics.meta_bytes, metadata_bytes, m);
    metrics_collector(m->options.metrics, m->metrics.meta_entries, metadata_entries, m);
    m->shared.options = &m->options;
    m->shared.metrics = &m->metrics;
    m->shared.line_seed = clock_random(options->clock);
    m->hostname = options->hostname.n != 0 ? str_dup(options->hostname) : machine_name();
    lock_init(&m->lock, LOCK_MANAGER, "scrape manager");
    m->loops_nr = options->loops_nr;
    if (m->loops_nr == 0)
        m->loops_nr = MAX(1, MIN(pool_cpus() / CPUS_PER_LOOP, LOOPS_MAX));
    m->loops = MEM_NEW_ARRAY(struct scrape_loop *, m->loops_nr);
    for (unsigned i = 0; i < m->loops_nr; i++)
        m->loops[i] = scrape_loop_new(&m->shared, i);
    m->discovery = discovery_manager_new(
        &(struct discovery_options){ .name = "scrape",
                                     .throttle_ms = options->discovery_reload_ms,
                                     .clock = options->clock,
                                     .io = options->io,
                                     .log = options->log,
                                     .metrics = m->options.metrics,
                                     .update = update,
                                     .arg = m });
    return m;
}

void
scrape_manager_free(struct scrape_manager *m)
{
    if (m == NULL)
        return;
    discovery_manager_free(m->discovery);
    lock_take(&m->lock);
    while (m->pools != NULL) {
        struct scrape_pool *p = m->pools;

        m->pools = p->next;
        scrape_pool_free(p);
    }
    lock_release(&m->lock);
    for (unsigned i = 0; i < m->loops_nr; i++)
        scrape_loop_free(m->loops[i]);
    free(m->loops);
    free(m->hostname);
    lock_fini(&m->lock);
    metrics_free(m->own_metrics);
    free(m);
}

/* ---- configuration */

/* What is not visible in a rendered configuration cannot be compared: secrets. */
static void
render(const struct scrape_config *config, bool what_matters, struct buf *out)
{
    struct scrape_config copy = *config;

    if (what_matters) { /* what leaves the meaning of cached lines alone is left out */
        copy.scrape_interval_ms = copy.scrape_timeout_ms = 0;
        copy.sample_limit = 0;
        memset(&copy.http, 0, sizeof copy.http);
    }
    buf_reset(out);
    conf_write(&scrape_config_table, &copy, out);
}

static bool
same_config(const struct scrape_config *a, const struct scrape_config *b, bool what_matters)
{
    struct buf x = { 0 }, y = { 0 };
    bool same;

    render(a, what_matters, &x);
    render(b, what_matters, &y);
    same = str_eq(buf_as_str(&x), buf_as_str(&y)) &&
           (what_matters || memmem(x.p, x.n, "<secret>", 8) == NULL);
    buf_fini(&x);
    buf_fini(&y);
    return same;
}

/* One failure log per file name, opened anew by every reload. */
struct open_logs {
    struct {
        struct str path;
        struct failure_log *log;
    } * v;
    size_t nr, cap;
};

static bool
logs_get(struct scrape_manager *m, struct open_logs *logs, struct str path,
         struct failure_log **log, struct error *err)
{
    *log = NULL;
    if (path.n == 0)
        return true;
    for (size_t i = 0; i < logs->nr; i++)
        if (str_eq(logs->v[i].path, path)) {
            *log = failure_log_ref(logs->v[i].log);
            return true;
        }
    if (!failure_log_open(m->options.io, path, log, err))
        return false;
    MEM_GROW(logs->v, logs->nr + 1, &logs->cap);
    logs->v[logs->nr].path = path;
    logs->v[logs->nr++].log = failure_log_ref(*log);
    return true;
}

static void
logs_fini(struct open_logs *logs)
{
    for (size_t i = 0; i < logs->nr; i++)
        failure_log_unref(logs->v[i].log);
    free(logs->v);
}

static bool
setup_new(struct scrape_manager *m, const struct scrape_config *job, struct conf_pool *keep,
          struct open_logs *logs, struct target_setup **setup, struct error *err)
{
    struct http_client *client;
    struct failure_log *log;
    char *name = str_dup(job->job_name);
    bool ok = logs_get(m, logs, job->scrape_failure_log_file, &log, err);

    if (ok && !http_client_new(&job->http, name, &client, err)) {
        failure_log_unref(log);
        ok = error_wrap(err, "scrape pool '%s': error creating HTTP client", name);
    }
    if (ok)
        *setup = target_setup_new(job, keep, client, log);
    free(name);
    return ok;
}

static bool
is_job(struct str name, const struct scrape_config *const *jobs, size_t jobs_nr)
{
    for (size_t i = 0; i < jobs_nr; i++)
        if (str_eq(jobs[i]->job_name, name))
            return true;
    return false;
}

static void
remove_pools(struct scrape_manager *m, const struct scrape_config *const *jobs, size_t jobs_nr)
{
    for (struct scrape_pool **at = &m->pools; *at != NULL;) {
        struct scrape_pool *p = *at;

        if (is_job(p->setup->config->job_name, jobs, jobs_nr)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        scrape_pool_free(p);
    }
}

static void
apply_job(struct scrape_manager *m, struct target_setup *setup)
{
    struct scrape_pool *p = pool_find(m, setup->config->job_name);
    const struct scrape_config *old;

    if (p == NULL) {
        p = scrape_pool_new(&m->shared, m->loops, m->loops_nr, setup);
        p->next = m->pools;
        m->pools = p;
        metric_inc(m->metrics.pools);
        return;
    }
    old = p->setup->config;
    if (same_config(old, setup->config, false) && setup->failures == NULL &&
        p->setup->failures == NULL)
        target_setup_unref(setup);
    else
        scrape_pool_reload(p, setup, same_config(old, setup->config, true));
}

static void
apply_discovery(struct scrape_manager *m, const struct scrape_config *const *jobs, size_t jobs_nr,
                struct conf_pool *keep)
{
    struct discovery_set *sets = MEM_NEW_ARRAY(struct discovery_set, jobs_nr + 1);

    for (size_t i = 0; i < jobs_nr; i++)
        sets[i] = (struct discovery_set){ jobs[i]->job_name, &jobs[i]->discovery };
    discovery_manager_apply(m->discovery, sets, jobs_nr, keep);
    free(sets);
}

bool
scrape_manager_apply(struct scrape_manager *m, const struct scrape_config *const *jobs,
                     size_t jobs_nr, struct labels external_labels, struct conf_pool *keep,
                     struct error *err)
{
    struct target_setup **setups = MEM_NEW_ARRAY(struct target_setup *, jobs_nr + 1);
    struct open_logs logs = { 0 };
    size_t nr = 0;
    bool ok = true;

    while (ok && nr < jobs_nr) {
        ok = setup_new(m, jobs[nr], keep, &logs, &setups[nr], err);
        nr += ok;
    }
    logs_fini(&logs);
    if (!ok) {
        metric_inc(m->metrics.pools_failed);
        while (nr > 0)
            target_setup_unref(setups[--nr]);
        free(setups);
        return false;
    }
    atomic_store(&m->shared.offset_seed, target_offset_seed(str_c(m->hostname), external_labels));
    lock_take(&m->lock);
    remove_pools(m, jobs, jobs_nr);
    for (size_t i = 0; i < jobs_nr; i++)
        apply_job(m, setups[i]);
    lock_release(&m->lock);
    free(setups);
    apply_discovery(m, jobs, jobs_nr, keep);
    return true;
}

const struct scrape_config *
scrape_pool_config(struct scrape_manager *m, struct str pool, struct conf_pool **keep)
{
    const struct scrape_config *config = NULL;
    struct scrape_pool *p;

    lock_take(&m->lock);
    p = pool_find(m, pool);
    if (p != NULL) {
        config = p->setup->config;
        *keep = p->setup->keep == NULL ? NULL : conf_pool_ref(p->setup->keep);
    }
    lock_release(&m->lock);
    return config;
}

/* ---- views */

struct view {
    struct arena *arena;
    struct labels_builder b;
    struct targets_view *out;
    size_t active_cap, dropped_cap, pools_cap;
};

static struct labels
discovered(struct view *v, const struct scrape_config *config, const struct target_group *group,
           size_t index)
{
    struct arena scratch;
    struct labels ls;

    arena_init(&scratch, SIZE_MAX);
    target_discovered(config, group, index, &v->b, &scratch);
    ls = labels_builder_finish(&v->b, v->arena);
    arena_fini(&scratch);
    return ls;
}

static void
view_target(struct view *v, struct str pool, struct target *t)
{
    struct targets_view *out = v->out;
    struct target_view *view;

    ARENA_GROW(v->arena, out->active, out->active_nr, out->active_nr + 1, &v->active_cap);
    view = &out->active[out->active_nr++];
    lock_take(&t->lock);
    *view = (struct target_view){
        .pool = pool,
        .discovered = discovered(v, t->setup->config, t->group, t->group_index),
        .last_error = arena_str(v->arena, str_c(t->last_error == NULL ? "" : t->last_error)),
        .last_scrape_ns = t->last_scrape_ns,
        .last_duration_s = t->last_duration_s,
        .health = t->health
    };
    lock_release(&t->lock);
    view->labels = labels_copy(v->arena, t->public);
    view->url = arena_str(v->arena, t->url);
    view->interval_ms = t->interval_ms;
    view->timeout_ms = t->timeout_ms;
    view->interval_text = arena_str(v->arena, labels_get(t->labels, STR("__scrape_interval__")));
    view->timeout_text = arena_str(v->arena, labels_get(t->labels, STR("__scrape_timeout__")));
    view->address = arena_str(v->arena, labels_get(t->labels, STR("__address__")));
    view->scheme = arena_str(v->arena, labels_get(t->labels, STR("__scheme__")));
    view->path = arena_str(v->arena, labels_get(t->labels, STR("__metrics_path__")));
}

static void
view_dropped(struct view *v, struct str pool, const struct scrape_config *config,
             const struct dropped_target *d)
{
    struct targets_view *out = v->out;

    ARENA_GROW(v->arena, out->dropped, out->dropped_nr, out->dropped_nr + 1, &v->dropped_cap);
    out->dropped[out->dropped_nr++] =
        (struct dropped_target_view){ pool, discovered(v, config, d->group, d->index) };
}

static void
view_pool(struct view *v, struct scrape_pool *p)
{
    struct targets_view *out = v->out;
    struct str name = arena_str(v->arena, p->setup->config->job_name);
    struct pool_target *pt;

    ARENA_GROW(v->arena, out->pools, out->pools_nr, out->pools_nr + 1, &v->pools_cap);
    lock_take(&p->lock);
    out->pools[out->pools_nr++] = (struct scrape_pool_view){ name, p->active.nr, p->dropped_count };
    for (size_t at = 0; (pt = table_next(&p->active, &at)) != NULL;)
        view_target(v, name, pt->t);
    for (size_t i = 0; i < p->dropped_nr; i++)
        view_dropped(v, name, p->setup->config, &p->dropped[i]);
    lock_release(&p->lock);
}

static int
by_pool_url(const void *a, const void *b)
{
    const struct target_view *x = a, *y = b;
    int c = str_cmp(x->pool, y->pool);

    if (c == 0)
        c = str_cmp(x->url, y->url);
    return c != 0 ? c : labels_cmp(x->labels, y->labels);
}

static int
by_name(const void *a, const void *b)
{
    return str_cmp(((const struct scrape_pool_view *)a)->name,
                   ((const struct scrape_pool_view *)b)->name);
}

/* Keeps the order inside a pool: pools were walked one after the other, so only whole runs move. */
static void
sort_dropped(struct targets_view *out, struct arena *arena)
{
    struct dropped_target_view *sorted =
        ARENA_NEW_ARRAY(arena, struct dropped_target_view, out->dropped_nr);
    size_t nr = 0;

    for (size_t i = 0; i < out->pools_nr; i++)
        for (size_t j = 0; j < out->dropped_nr; j++)
            if (str_eq(out->dropped[j].pool, out->pools[i].name))
                sorted[nr++] = out->dropped[j];
    out->dropped = sorted;
}

void
scrape_targets(struct scrape_manager *m, struct str pool, struct arena *arena,
               struct targets_view *view)
{
    struct view v = { .arena = arena, .out = view };

    *view = (struct targets_view){ 0 };
    labels_builder_init(&v.b);
    lock_take(&m->lock);
    for (struct scrape_pool *p = m->pools; p != NULL; p = p->next)
        if (pool.n == 0 || str_eq(pool, p->setup->config->job_name))
            view_pool(&v, p);
    lock_release(&m->lock);
    labels_builder_fini(&v.b);
    if (view->active_nr > 1)
        qsort(view->active, view->active_nr, sizeof *view->active, by_pool_url);
    if (view->pools_nr > 1)
        qsort(view->pools, view->pools_nr, sizeof *view->pools, by_name);
    sort_dropped(view, arena);
}

struct metadata_walk {
    struct arena *arena;
    struct str metric;
    struct metadata_view *out;
    size_t cap;
};

static void
view_family(struct metadata_walk *w, struct labels target, const struct meta_text *text)
{
    struct metadata_view *out = w->out;

    ARENA_GROW(w->arena, out->items, out->nr, out->nr + 1, &w->cap);
    out->items[out->nr++] = (struct target_metadata_view){
        .target = target,
        .metric = arena_str(w->arena, text->name),
        .meta = { text->meta.type, arena_str(w->arena, text->meta.help),
                  arena_str(w->arena, text->meta.unit) },
    };
}

static void
view_metadata(struct metadata_walk *w, struct target *t)
{
    struct labels target = labels_copy(w->arena, t->public);
    const struct target_family *f;

    lock_take(&t->lock);
    if (w->metric.n != 0) {
        f = target_meta_find(&t->meta, w->metric);
        if (f != NULL)
            view_family(w, target, f->text);
    } else {
        for (size_t at = 0; (f = table_next(&t->meta.families, &at)) != NULL;)
            view_family(w, target, f->text);
    }
    lock_release(&t->lock);
}

void
scrape_metadata(struct scrape_manager *m, struct str metric, scrape_target_match_fn match,
                void *arg, struct arena *arena, struct metadata_view *view)
{
    struct metadata_walk w = { .arena = arena, .metric = metric, .out = view };
    struct pool_target *pt;

    *view = (struct metadata_view){ 0 };
    lock_take(&m->lock);
    for (struct scrape_pool *p = m->pools; p != NULL; p = p->next) {
        lock_take(&p->lock);
        for (size_t at = 0; (pt = table_next(&p->active, &at)) != NULL;)
            if (match == NULL || match(arg, pt->t->public))
                view_metadata(&w, pt->t);
        lock_release(&p->lock);
    }
    lock_release(&m->lock);
}
