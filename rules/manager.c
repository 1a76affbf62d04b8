/* The manager: which groups there are and when each is due.
 *
 * One scheduler thread sleeps until the next group is due and hands it to the worker pool. A
 * group's slots are at multiples of its interval plus the offset of its hash, in wall time; waiting
 * is by monotonic time and the slot is computed anew at each wake-up, so that a step of the
 * machine's clock costs at most one interval and never stops a group. A group that is still running
 * when its next slot comes misses that slot, counted.
 *
 * A reload waits for the groups that it replaces or removes, moves their state and lets the others
 * run on, also while it waits.
 * Lock order: the manager's, then a group's; neither is held while a group evaluates. */
#include "rules/manager.h"

#include "base/mem.h"
#include "rules/state.h"

#define NS_PER_MS       INT64_C(1000000)
/* The longest sleep, so that a clock that was set is noticed. */
#define SLEEP_MS_MAX    1000
/* From the start to the sending of restored alerts. */
#define RESEND_AFTER_NS (500 * NS_PER_MS)
/* Not an evaluation: restored alerts are sent. */
#define RESEND_SLOT     INT64_MIN

static struct rules_surroundings *
surroundings_new(const struct rules_settings *settings)
{
    struct rules_surroundings *s = MEM_NEW(struct rules_surroundings);

    atomic_init(&s->refs, 1);
    arena_init(&s->arena, SIZE_MAX);
    s->external_labels = labels_copy(&s->arena, settings->external_labels);
    s->external_url = arena_str(&s->arena, settings->external_url);
    s->query_offset_ms = settings->query_offset_ms;
    return s;
}

static struct rules_surroundings *
surroundings_ref(struct rules_surroundings *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

static void
surroundings_unref(struct rules_surroundings *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    arena_fini(&s->arena);
    mem_free(s);
}

struct rules_manager *
rules_manager_new(const struct rules_options *options)
{
    struct rules_manager *m = MEM_NEW(struct rules_manager);

    m->options = *options;
    m->options.log.component = "rule manager";
    atomic_init(&m->slots, options->concurrent_evals_max);
    lock_init(&m->lock, LOCK_MANAGER, "rules");
    cond_init(&m->changed);
    rules_metrics_init(&m->metrics, options->metrics);
    m->surroundings = surroundings_new(&(const struct rules_settings){ 0 });
    return m;
}

/* ---- loading ---- */

struct loaded {
    struct rule_group **v;
    size_t nr, cap;
};

static void
loaded_free(struct loaded *l)
{
    for (size_t i = 0; i < l->nr; i++)
        rule_group_free(l->v[i]);
    mem_free(l->v);
}

static struct rule_source *
source_load(struct rules_manager *m, struct str path, bool legacy_names, struct error *err)
{
    struct promql_parse_options parse = rule_parse_options(&m->options);
    struct rule_file_options options = { .legacy_names = legacy_names, .parser = &parse };
    struct rule_file *file;
    char *z = str_dup(path);

    if (!rule_file_load(m->options.io, z, &options, &file, err)) {
        mem_free(z);
        return NULL;
    }
    struct rule_source *source = MEM_NEW(struct rule_source);
    source->file = file;
    source->path = (struct str){ z, path.n };
    source->refs = 1;
    return source;
}

static bool
load_file(struct rules_manager *m, const struct rules_settings *settings, struct str path,
          struct loaded *out, struct error *err)
{
    struct rule_source *source = source_load(m, path, settings->legacy_names, err);
    bool ok = source != NULL;

    for (size_t i = 0; ok && i < source->file->groups.nr; i++) {
        struct rule_group *g =
            rule_group_new(&m->options, &m->metrics, source, &source->file->groups.items[i],
                           settings->interval_ms, m->loaded, err);
        ok = g != NULL;
        if (!ok)
            break;
        MEM_GROW(out->v, out->nr + 1, &out->cap);
        out->v[out->nr++] = g;
    }
    rule_source_unref(source);
    return ok;
}

/* Two patterns may name the same file: its groups exist once. */
static bool
file_seen(const struct rules_settings *settings, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (str_eq(settings->files[j], settings->files[i]))
            return true;
    return false;
}

static int
group_cmp(const void *a, const void *b)
{
    return strcmp((*(struct rule_group *const *)a)->key, (*(struct rule_group *const *)b)->key);
}

static bool
load_all(struct rules_manager *m, const struct rules_settings *settings, struct loaded *out,
         struct error *err)
{
    for (size_t i = 0; i < settings->files_nr; i++)
        if (!file_seen(settings, i) && !load_file(m, settings, settings->files[i], out, err)) {
            loaded_free(out);
            return false;
        }
    if (out->nr != 0)
        qsort(out->v, out->nr, sizeof *out->v, group_cmp);
    return true;
}

/* ---- reload ---- */

static struct rule_group *
group_find(struct rules_manager *m, const char *key)
{
    for (size_t i = 0; i < m->groups_nr; i++)
        if (m->groups[i] != NULL && strcmp(m->groups[i]->key, key) == 0)
            return m->groups[i];
    return NULL;
}

static void
group_forget(struct rules_manager *m, const struct rule_group *g)
{
    for (size_t i = 0; i < m->groups_nr; i++)
        if (m->groups[i] == g)
            m->groups[i] = NULL;
}

static void
group_wait(struct rules_manager *m, const struct rule_group *g)
{
    while (g->running)
        cond_wait(&m->changed, &m->lock);
}

/* Groups that left the configuration: their series end two intervals later, so that a renamed group
 * can take them over. */
static void
group_retire(struct rules_manager *m, struct rule_group *g)
{
    const struct clock *clock = m->options.clock;

    rule_group_metrics_remove(&m->metrics, str_c(g->key));
    state_remove(g, &m->options);
    g->metrics = (struct rule_group_metrics){ 0 };
    MEM_GROW(m->retired, m->retired_nr + 1, &m->retired_cap);
    m->retired[m->retired_nr++] = (struct retired){
        .group = g,
        .due_mono_ns = clock_monotonic_ns(clock) + 2 * g->interval_ns,
        .t_ms = clock_now_ms(clock) - rule_group_offset_ms(g, m->surroundings->query_offset_ms),
    };
}

/* The first evaluation is that of the next slot; the one before counts as done, so that a timer
 * that comes early does not run it. */
static void
group_begin(struct rules_manager *m, struct rule_group *g)
{
    int64_t now_ns = clock_now_ns(m->options.clock);

    g->slots = &m->slots;
    g->slot_ns = rule_group_slot(g, now_ns);
    g->due_mono_ns = clock_monotonic_ns(m->options.clock) + g->slot_ns + g->interval_ns - now_ns;
    rule_group_show(g);
}

/* Tells changed and removed groups not to start again, then waits for those that run: the lock is
 * given up meanwhile, and groups that stay go on. */
static void
groups_stop(struct rules_manager *m, const struct loaded *fresh)
{
    for (size_t i = 0; i < m->groups_nr; i++)
        m->groups[i]->leaving = true;
    for (size_t i = 0; i < fresh->nr; i++) {
        struct rule_group *old = group_find(m, fresh->v[i]->key);
        if (old != NULL && rule_group_equal(old, fresh->v[i]))
            old->leaving = false;
    }
    for (size_t i = 0; i < m->groups_nr; i++)
        if (m->groups[i]->leaving)
            group_wait(m, m->groups[i]);
}

/* Replaces what changed. The manager's lock is held all the time, and what leaves has ended. */
static void
groups_replace(struct rules_manager *m, struct loaded *fresh)
{
    for (size_t i = 0; i < fresh->nr; i++) {
        struct rule_group *g = fresh->v[i], *old = group_find(m, g->key);
        if (old != NULL && rule_group_equal(old, g)) {
            group_forget(m, old);
            rule_group_free(g);
            fresh->v[i] = old;
            continue;
        }
        if (old != NULL) {
            group_forget(m, old);
            rule_group_take_state(g, old);
            rule_group_free(old);
        }
        if (g->should_restore && state_load(g, &m->options, clock_now_ns(m->options.clock)))
            g->should_restore = false;
        group_begin(m, g);
    }
    for (size_t i = 0; i < m->groups_nr; i++) {
        struct rule_group *g = m->groups[i];
        if (g == NULL)
            continue;
        m->groups[i] = NULL;
        group_retire(m, g);
    }
    mem_free(m->groups);
    m->groups = fresh->v;
    m->groups_nr = fresh->nr;
}

static bool
any_running(const struct rules_manager *m)
{
    for (size_t i = 0; i < m->groups_nr; i++)
        if (m->groups[i] != NULL && m->groups[i]->running)
            return true;
    return false;
}

bool
rules_manager_apply(struct rules_manager *m, const struct rules_settings *settings,
                    struct error *err)
{
    struct loaded fresh = { 0 };

    if (!load_all(m, settings, &fresh, err))
        return false;
    lock_take(&m->lock);
    struct rules_surroundings *old = m->surroundings;
    m->surroundings = surroundings_new(settings);
    groups_stop(m, &fresh);
    groups_replace(m, &fresh);
    if (!m->loaded)
        state_sweep(&m->options, m->groups, m->groups_nr);
    m->loaded = true;
    cond_broadcast(&m->changed);
    lock_release(&m->lock);
    surroundings_unref(old);
    return true;
}

/* ---- scheduling ---- */

struct job {
    struct rules_manager *m;
    struct rule_group *g;
    struct rules_surroundings *surroundings; /* a reference */
    int64_t slot_ns;
};

static void
job_end(struct job *job)
{
    struct rules_manager *m = job->m;

    lock_take(&m->lock);
    surroundings_unref(job->surroundings); /* before the manager may be freed */
    job->g->running = false;
    cond_broadcast(&m->changed);
    lock_release(&m->lock);
    mem_free(job);
}

static void
job_run(void *arg)
{
    struct job *job = arg;
    struct rules_manager *m = job->m;
    struct rule_group *g = job->g;

    if (job->slot_ns == RESEND_SLOT) {
        rule_group_send_restored(g, &m->options, job->surroundings->external_url,
                                 clock_now_ns(m->options.clock));
        job_end(job);
        return;
    }
    rule_group_evaluate(g, &m->options, job->surroundings->external_labels,
                        job->surroundings->external_url, job->surroundings->query_offset_ms,
                        job->slot_ns, &m->stopping);
    g->evaluations_nr++;
    /* Not after the first evaluation: what alerts depend on may not have been scraped or recorded
     * yet. */
    if (g->should_restore && g->evaluations_nr >= 2) {
        rule_group_restore(g, &m->options, clock_now_ns(m->options.clock), &m->stopping);
        g->should_restore = false;
    }
    if (!g->should_restore) /* before, the times of alerts are not known yet */
        state_save(g, &m->options, clock_now_ns(m->options.clock));
    job_end(job);
}

/* Under the lock. */
static struct job *
job_new(struct rules_manager *m, struct rule_group *g, int64_t slot_ns)
{
    struct job *job = MEM_NEW(struct job);

    g->running = true;
    *job = (struct job){ m, g, surroundings_ref(m->surroundings), slot_ns };
    return job;
}

/* Under the lock: the group's slot has come. Its time of next waking is set; NULL when the timer
 * was early. */
static struct job *
group_due(struct rules_manager *m, struct rule_group *g, int64_t mono_ns, int64_t now_ns)
{
    int64_t slot_ns = rule_group_slot(g, now_ns);
    int64_t next_ns = slot_ns + g->interval_ns;

    g->due_mono_ns = mono_ns + (next_ns - now_ns);
    if (slot_ns == g->slot_ns)
        return NULL;
    int64_t missed = (slot_ns - g->slot_ns) / g->interval_ns - 1;
    if (missed > 0 && g->evaluations_nr != 0) {
        metric_add_if(g->metrics.missed, (double)missed);
        metric_add_if(g->metrics.iterations, (double)missed);
    }
    g->slot_ns = slot_ns;
    return job_new(m, g, slot_ns);
}

/* Collects what is due into jobs; returns the monotonic time of the next waking. */
static int64_t
collect_due(struct rules_manager *m, struct job **jobs, size_t *jobs_nr)
{
    int64_t mono_ns = clock_monotonic_ns(m->options.clock), now_ns = clock_now_ns(m->options.clock);
    int64_t next_ns = INT64_MAX;

    *jobs_nr = 0;
    for (size_t i = 0; i < m->groups_nr; i++) {
        struct rule_group *g = m->groups[i];
        if (g == NULL || g->running || g->leaving)
            continue;
        if (g->due_mono_ns <= mono_ns) {
            struct job *job = group_due(m, g, mono_ns, now_ns);
            if (job != NULL)
                jobs[(*jobs_nr)++] = job;
        }
        next_ns = MIN(next_ns, g->due_mono_ns);
    }
    return next_ns;
}

/* One retired group whose time has come, or NULL. *t_ms: the time of its markers. */
static struct rule_group *
retired_due(struct rules_manager *m, int64_t mono_ns, int64_t *t_ms)
{
    for (size_t i = 0; i < m->retired_nr; i++)
        if (m->retired[i].due_mono_ns <= mono_ns) {
            struct rule_group *g = m->retired[i].group;
            *t_ms = m->retired[i].t_ms;
            m->retired[i] = m->retired[--m->retired_nr];
            return g;
        }
    return NULL;
}

static void
retired_run(struct rules_manager *m)
{
    struct rule_group *g;
    int64_t t_ms;

    while ((g = retired_due(m, clock_monotonic_ns(m->options.clock), &t_ms)) != NULL) {
        lock_release(&m->lock);
        rule_group_mark_stale(g, &m->options, t_ms);
        rule_group_free(g);
        lock_take(&m->lock);
    }
}

static void
jobs_start(struct rules_manager *m, struct job **jobs, size_t jobs_nr, bool here)
{
    for (size_t i = 0; i < jobs_nr; i++) {
        if (here || m->options.pool == NULL)
            job_run(jobs[i]);
        else
            pool_submit(m->options.pool, job_run, jobs[i]);
    }
}

/* Alerts that fired when the last process ended need not wait for their slot: an Alertmanager may
 * be about to resolve them. A moment after the start, when discovery has named the Alertmanagers.
 * The lock is held on entry and exit. */
static void
restored_send(struct rules_manager *m, bool here)
{
    if (m->resend_mono_ns == 0 || clock_monotonic_ns(m->options.clock) < m->resend_mono_ns)
        return;
    struct job **jobs = MEM_NEW_ARRAY(struct job *, m->groups_nr);
    size_t jobs_nr = 0;
    m->resend_mono_ns = 0;
    for (size_t i = 0; i < m->groups_nr; i++)
        if (!m->groups[i]->running && !m->groups[i]->leaving && m->groups[i]->evaluations_nr == 0)
            jobs[jobs_nr++] = job_new(m, m->groups[i], RESEND_SLOT);
    lock_release(&m->lock);
    jobs_start(m, jobs, jobs_nr, here);
    lock_take(&m->lock);
    mem_free(jobs);
}

/* One round: starts what is due. The lock is held on entry and exit. Returns the next waking. */
static int64_t
schedule(struct rules_manager *m, bool here)
{
    struct job **jobs = MEM_NEW_ARRAY(struct job *, m->groups_nr);
    size_t jobs_nr;
    int64_t next_ns = collect_due(m, jobs, &jobs_nr);

    if (jobs_nr != 0) {
        lock_release(&m->lock);
        jobs_start(m, jobs, jobs_nr, here);
        lock_take(&m->lock);
    }
    mem_free(jobs);
    retired_run(m);
    restored_send(m, here);
    return next_ns;
}

int64_t
rules_manager_run_due(struct rules_manager *m)
{
    lock_take(&m->lock);
    int64_t next_ns = schedule(m, true);
    lock_release(&m->lock);
    if (next_ns == INT64_MAX)
        return next_ns;
    return clock_now_ns(m->options.clock) + (next_ns - clock_monotonic_ns(m->options.clock));
}

static void *
scheduler(void *arg)
{
    struct rules_manager *m = arg;

    lock_take(&m->lock);
    while (!atomic_load(&m->stopping)) {
        int64_t next_ns = schedule(m, false);
        int64_t wait_ns =
            next_ns == INT64_MAX ? INT64_MAX : next_ns - clock_monotonic_ns(m->options.clock);
        int64_t wait_ms = MIN(wait_ns / NS_PER_MS + 1, (int64_t)SLEEP_MS_MAX);
        if (wait_ns > 0 && !atomic_load(&m->stopping))
            cond_wait_ms(&m->changed, &m->lock, wait_ms);
    }
    lock_release(&m->lock);
    return NULL;
}

void
rules_manager_start(struct rules_manager *m)
{
    ASSERT(!m->started);
    m->started = true;
    m->resend_mono_ns = clock_monotonic_ns(m->options.clock) + RESEND_AFTER_NS;
    int rc = pthread_create(&m->thread, NULL, scheduler, m);
    ASSERT(rc == 0);
}

void
rules_manager_free(struct rules_manager *m)
{
    if (m == NULL)
        return;
    lock_take(&m->lock);
    atomic_store(&m->stopping, true);
    cond_broadcast(&m->changed);
    while (any_running(m))
        cond_wait(&m->changed, &m->lock);
    lock_release(&m->lock);
    if (m->started)
        pthread_join(m->thread, NULL);
    for (size_t i = 0; i < m->groups_nr; i++)
        rule_group_free(m->groups[i]);
    for (size_t i = 0; i < m->retired_nr; i++)
        rule_group_free(m->retired[i].group);
    mem_free(m->groups);
    mem_free(m->retired);
    surroundings_unref(m->surroundings);
    cond_fini(&m->changed);
    lock_fini(&m->lock);
    mem_free(m);
}
