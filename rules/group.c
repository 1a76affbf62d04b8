/* Evaluating a group: query, new alert state, write, stale markers for what is gone; one rule after
 * the other. */
#include "rules/group.h"

#include <inttypes.h>

#include "base/mem.h"

#define NS_PER_MS INT64_C(1000000)

static double
seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

int64_t
rule_group_slot(const struct rule_group *g, int64_t now_ns)
{
    int64_t offset = (int64_t)(g->hash % (uint64_t)g->interval_ns);
    int64_t since = now_ns - offset;

    return since - since % g->interval_ns + offset;
}

static uint64_t
group_hash(struct str path, struct str name)
{
    const struct label pairs[] = { { STR("file"), path }, { STR("name"), name } };

    return labels_hash((struct labels){ pairs, ARRAY_LEN(pairs) });
}

struct rule_group *
rule_group_new(const struct rules_options *options, struct rules_metrics *metrics,
               struct rule_source *source, const struct rule_group_config *config,
               int64_t interval_ms, bool restored, struct error *err)
{
    struct rule_group *g = MEM_NEW(struct rule_group);
    struct buf key = { 0 };
    size_t n;

    lock_init(&g->lock, LOCK_GROUP, "rule group");
    struct str path = source->path;
    g->file = source;
    atomic_fetch_add(&source->refs, 1);
    g->name = config->name;
    g->path = path;
    g->interval_ns = (config->interval_ms != 0 ? config->interval_ms : interval_ms) * NS_PER_MS;
    g->limit = config->limit;
    g->families = metrics;
    g->query_offset_given = config->query_offset_given;
    g->query_offset_ms = config->query_offset_ms;
    g->hash = group_hash(path, g->name);
    g->should_restore = !restored;
    buf_printf(&key, "%.*s;%.*s", STR_ARG(path), STR_ARG(g->name));
    buf_byte(&key, '\0');
    g->key = (char *)buf_take(&key, &n);
    g->rules = MEM_NEW_ARRAY(struct rule *, config->rules.nr);
    for (size_t i = 0; i < config->rules.nr; i++) {
        g->rules[i] = rule_new(options, config, &config->rules.items[i], restored, err);
        if (g->rules[i] == NULL) {
            error_wrap(err, "%.*s: group \"%.*s\", rule %zu", STR_ARG(path), STR_ARG(g->name), i);
            rule_group_free(g);
            return NULL;
        }
        g->rules_nr++;
    }
    rule_batches_init(&g->batches, options, g->rules, g->rules_nr);
    return g;
}

void
rule_group_show(struct rule_group *g)
{
    rule_group_metrics_init(&g->metrics, g->families, str_c(g->key));
    metric_set_if(g->metrics.rules, (double)g->rules_nr);
    metric_set_if(g->metrics.interval, seconds(g->interval_ns));
}

int64_t
rule_group_offset_ms(const struct rule_group *g, int64_t global_ms)
{
    return g->query_offset_given ? g->query_offset_ms : global_ms;
}

void
rule_source_unref(struct rule_source *source)
{
    if (source == NULL || atomic_fetch_sub(&source->refs, 1) != 1)
        return;
    rule_file_free(source->file);
    mem_free((void *)(uintptr_t)source->path.p);
    mem_free(source);
}

void
rule_group_free(struct rule_group *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->rules_nr; i++)
        rule_free(g->rules[i]);
    for (size_t i = 0; i < g->stale_nr; i++)
        rule_labels_free(g->stale[i]);
    rule_batches_fini(&g->batches);
    mem_free(g->stale);
    mem_free(g->rules);
    mem_free(g->key);
    lock_fini(&g->lock);
    rule_source_unref(g->file);
    mem_free(g);
}

bool
rule_group_equal(const struct rule_group *a, const struct rule_group *b)
{
    if (strcmp(a->key, b->key) != 0 || a->interval_ns != b->interval_ns || a->limit != b->limit ||
        a->query_offset_given != b->query_offset_given ||
        a->query_offset_ms != b->query_offset_ms || a->rules_nr != b->rules_nr)
        return false;
    for (size_t i = 0; i < a->rules_nr; i++)
        if (!str_eq(a->rules[i]->identity, b->rules[i]->identity))
            return false;
    return true;
}

/* ---- reload ---- */

static void
stale_add(struct rule_group *g, struct labels owned)
{
    MEM_GROW(g->stale, g->stale_nr + 1, &g->stale_cap);
    g->stale[g->stale_nr++] = owned;
}

/* The series of a rule that is gone are to be marked stale. */
static void
stale_take(struct rule_group *g, struct rule *from)
{
    struct rule_series *s;

    for (size_t at = 0; (s = table_next(&from->series, &at)) != NULL;) {
        stale_add(g, s->labels);
        mem_free(s);
    }
    table_reset(&from->series);
}

static void
rule_take_state(struct rule *r, struct rule *from)
{
    struct table empty = { 0 };

    table_fini(&r->series);
    r->series = from->series;
    r->generation = from->generation;
    from->series = empty;
    r->evaluations = from->evaluations;
    r->evaluations_nr = from->evaluations_nr;
    from->evaluations = NULL;
    if (!r->is_alert || !from->is_alert)
        return;
    table_fini(&r->active);
    r->active = from->active;
    r->moved = true;
    r->hold_until_ns = from->hold_until_ns;
    from->active = empty;
}

static bool
same_rule(const struct rule *a, const struct rule *b)
{
    return str_eq(a->name, b->name) && labels_eq(a->labels, b->labels);
}

void
rule_group_take_state(struct rule_group *g, struct rule_group *from)
{
    bool *taken = MEM_NEW_ARRAY(bool, from->rules_nr);

    g->evaluation_ns = from->evaluation_ns;
    g->last_evaluation_ns = from->last_evaluation_ns;
    g->saved_at_ns = from->saved_at_ns;
    for (size_t i = 0; i < g->rules_nr; i++)
        for (size_t j = 0; j < from->rules_nr; j++)
            if (!taken[j] && same_rule(g->rules[i], from->rules[j])) {
                taken[j] = true;
                rule_take_state(g->rules[i], from->rules[j]);
                break;
            }
    for (size_t j = 0; j < from->rules_nr; j++)
        if (!taken[j])
            stale_take(g, from->rules[j]);
    for (size_t i = 0; i < from->stale_nr; i++)
        stale_add(g, from->stale[i]);
    from->stale_nr = 0;
    mem_free(taken);
}

/* ---- writing ---- */

static bool
series_labels_eq(const void *item, const void *key)
{
    return labels_eq(((const struct rule_series *)item)->labels, *(const struct labels *)key);
}

/* What append refused, for one line of log. */
struct refusals {
    unsigned out_of_order, too_old, duplicate, other;
    enum append_outcome last;
};

static bool
outcome_stored(enum append_outcome o)
{
    return o == APPEND_OK || o == APPEND_DUPLICATE;
}

static void
refusal_count(struct refusals *refused, enum append_outcome o)
{
    refused->last = o;
    if (o == APPEND_OUT_OF_ORDER)
        refused->out_of_order++;
    else if (o == APPEND_TOO_OLD)
        refused->too_old++;
    else if (o == APPEND_DUPLICATE_TIME)
        refused->duplicate++;
    else
        refused->other++;
}

static enum append_outcome
append_one(struct appender *app, series_ref *ref, const struct rule_sample *s, int64_t t_ms)
{
    if (s->h != NULL)
        return append_histogram(app, ref, s->labels, 0, t_ms, s->h);
    return append_sample(app, ref, s->labels, 0, t_ms, s->v);
}

/* Writes one sample and remembers its series. */
static void
write_sample(struct rule *r, struct appender *app, const struct rule_sample *s, int64_t t_ms,
             struct refusals *refused)
{
    uint64_t hash = labels_hash(s->labels);
    struct rule_series *known = table_find(&r->series, hash, series_labels_eq, &s->labels);
    series_ref ref = known == NULL ? SERIES_REF_NONE : known->ref;
    enum append_outcome o = append_one(app, &ref, s, t_ms);

    if (!outcome_stored(o)) {
        refusal_count(refused, o);
        return;
    }
    if (known == NULL) {
        known = MEM_NEW(struct rule_series);
        known->hash = hash;
        known->labels = rule_labels_own(s->labels);
        table_add(&r->series, hash, known);
    }
    known->ref = ref;
    known->generation = r->generation;
}

/* Series that this evaluation did not return get a stale marker. They are in `gone`, in the arena.
 */
static size_t
write_stale(struct rule *r, struct appender *app, int64_t t_ms, struct arena *arena,
            struct rule_series ***gone)
{
    struct rule_series *s;
    size_t nr = 0;

    *gone = ARENA_NEW_ARRAY(arena, struct rule_series *, r->series.nr);
    for (size_t at = 0; (s = table_next(&r->series, &at)) != NULL;) {
        if (s->generation == r->generation)
            continue;
        /* Refusals are expected: the series may be written by another rule now. */
        append_sample(app, &s->ref, s->labels, 0, t_ms, double_of_bits(STALE_NAN_BITS));
        (*gone)[nr++] = s;
    }
    return nr;
}

/* Forgets them once the markers are committed; before, a failed commit would lose the markers for
 * good. */
static void
series_forget(struct rule *r, struct rule_series **gone, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        table_remove(&r->series, gone[i]->hash, series_labels_eq, &gone[i]->labels);
        rule_labels_free(gone[i]->labels);
        mem_free(gone[i]);
    }
}

static void
log_refusals(const struct rule_group *g, const struct rule *r, const struct log *log,
             const struct refusals *refused)
{
    if (refused->out_of_order != 0)
        log_warn(log, "Error on ingesting out-of-order result from rule evaluation",
                 LOG_C("group", g->key), LOG_S("name", r->name),
                 LOG_I("num_dropped", refused->out_of_order));
    if (refused->too_old != 0)
        log_warn(log, "Error on ingesting too old result from rule evaluation",
                 LOG_C("group", g->key), LOG_S("name", r->name),
                 LOG_I("num_dropped", refused->too_old));
    if (refused->duplicate != 0)
        log_warn(log,
                 "Error on ingesting results from rule evaluation with different value but same "
                 "timestamp",
                 LOG_C("group", g->key), LOG_S("name", r->name),
                 LOG_I("num_dropped", refused->duplicate));
    if (refused->other != 0)
        log_warn(log, "Rule evaluation result discarded", LOG_C("group", g->key),
                 LOG_S("name", r->name), LOG_I("num_dropped", refused->other),
                 LOG_C("err", append_outcome_text(refused->last)));
}

static bool
write_samples(struct rule_group *g, struct rule *r, const struct rule_context *cx,
              const struct rule_samples *samples, struct error *err)
{
    const struct append_options options = { .start_ms = rule_sample_ms(cx), .discard_ooo = true };
    struct appender *app = append_begin(cx->options->appendable, &options);
    int64_t t_ms = rule_sample_ms(cx);
    struct refusals refused = { 0 };
    struct rule_series **gone;

    r->generation++;
    for (size_t i = 0; i < samples->nr; i++)
        write_sample(r, app, &samples->v[i], t_ms, &refused);
    size_t gone_nr = write_stale(r, app, t_ms, cx->arena, &gone);
    log_refusals(g, r, &cx->options->log, &refused);
    if (!append_commit(app, err))
        return false;
    series_forget(r, gone, gone_nr);
    /* Shown, but as in Prometheus not a failed evaluation. */
    if (refused.out_of_order + refused.too_old + refused.duplicate + refused.other != 0)
        error_set(err, ERR_CONFLICT, "%s", append_outcome_text(refused.last));
    return true;
}

/* ---- evaluating ---- */

/* The alert half of an evaluation: state and messages under the lock, sending outside. */
static bool
evaluate_alert(struct rule_group *g, struct rule *r, const struct rule_context *cx,
               const struct query_result *result, struct rule_samples *samples, struct error *err)
{
    struct alert_candidates found = { 0 };
    struct alert_message *messages;
    size_t messages_nr = 0;

    if (!alerting_candidates(r, cx, result, &found, err))
        return false;
    lock_take(&g->lock);
    bool ok = alerting_update(r, cx, &found, samples, err);
    if (ok)
        messages_nr = alerting_due(r, cx, g->interval_ns, &messages);
    lock_release(&g->lock);
    if (messages_nr != 0 && cx->options->notify != NULL)
        cx->options->notify(cx->options->notify_arg, messages, messages_nr);
    return ok;
}

static bool
evaluate_rule(struct rule_group *g, struct rule *r, const struct rule_context *cx,
              struct rule_samples *samples, struct error *err)
{
    struct query_result result;

    if (!rule_query(r, cx, &result, err))
        return false;
    bool ok = r->is_alert ? evaluate_alert(g, r, cx, &result, samples, err)
                          : recording_samples(r, cx, &result, samples, err);
    if (ok)
        ok = write_samples(g, r, cx, samples, err);
    query_result_fini(&result);
    return ok;
}

/* Under the group's lock. */
static void
evaluation_remember(struct rule *r, const struct rule_context *cx, size_t samples_nr,
                    const struct error *err, int64_t took_ns)
{
    if (r->evaluations == NULL)
        r->evaluations = MEM_NEW_ARRAY(struct rule_evaluation, RULE_EVALUATIONS_MAX);
    struct rule_evaluation *e = &r->evaluations[r->evaluations_nr++ % RULE_EVALUATIONS_MAX];
    mem_free(e->error);
    *e = (struct rule_evaluation){
        .slot_ns = cx->ts_ns,
        .took_ns = took_ns,
        .samples_nr = samples_nr,
        .error = err->kind == ERR_NONE ? NULL : str_dup(str_c(error_text(err))),
    };
}

/* What /api/v1/rules and /metrics show of an evaluation. */
static void
rule_publish(struct rule_group *g, struct rule *r, const struct rule_context *cx, size_t samples_nr,
             const struct error *err, int64_t wall_ns, int64_t started_ns, int64_t took_ns)
{
    if (g->families->rule_duration != NULL) {
        metric_summary_observe(g->families->rule_duration, seconds(took_ns), started_ns + took_ns);
        metric_histogram_observe(g->families->rule_duration_histogram, seconds(took_ns));
    }
    lock_take(&g->lock);
    r->health = err->kind == ERR_NONE ? "ok" : "err";
    error_copy(&r->last_error, err);
    r->evaluation_ns = took_ns;
    r->last_evaluation_ns = wall_ns;
    evaluation_remember(r, cx, samples_nr, err, took_ns);
    lock_release(&g->lock);
}

static size_t
evaluate_one(struct rule_group *g, struct rule *r, const struct rule_context *cx)
{
    const struct clock *clock = cx->options->clock;
    int64_t started_ns = clock_monotonic_ns(clock), wall_ns = clock_now_ns(clock);
    struct rule_samples samples = { 0 };
    struct error err = { 0 };

    metric_add_if(g->metrics.evaluations, 1);
    bool ok = evaluate_rule(g, r, cx, &samples, &err);
    if (!ok) {
        metric_add_if(g->metrics.failures, 1);
        if (err.kind != ERR_CANCELED) /* shutdown is not worth a line per rule */
            log_warn(&cx->options->log, "Evaluating rule failed", LOG_S("file", g->path),
                     LOG_S("group", g->name), LOG_S("name", r->name), LOG_E(&err));
    }
    size_t samples_nr = ok ? samples.nr : 0;
    rule_publish(g, r, cx, samples_nr, &err, wall_ns, started_ns,
                 clock_monotonic_ns(clock) - started_ns);
    error_clear(&err);
    return samples_nr;
}

/* Series of rules that a reload took away. */
static void
write_removed(struct rule_group *g, const struct rules_options *options, int64_t t_ms)
{
    const struct append_options append = { .start_ms = t_ms, .discard_ooo = true };
    struct error err = { 0 };

    if (g->stale_nr == 0)
        return;
    struct appender *app = append_begin(options->appendable, &append);
    for (size_t i = 0; i < g->stale_nr; i++) {
        series_ref ref = SERIES_REF_NONE;
        append_sample(app, &ref, g->stale[i], 0, t_ms, double_of_bits(STALE_NAN_BITS));
    }
    if (append_commit(app, &err)) {
        for (size_t i = 0; i < g->stale_nr; i++)
            rule_labels_free(g->stale[i]);
        g->stale_nr = 0;
    } else {
        log_warn(&options->log, "Stale sample appending for previous configuration failed",
                 LOG_C("group", g->key), LOG_E(&err));
    }
    error_clear(&err);
}

static bool
is_canceled(const _Atomic bool *canceled)
{
    return canceled != NULL && atomic_load(canceled);
}

/* One batch on several threads: each lane takes the next rule. */
struct lanes {
    struct rule_group *g;
    const struct rule_context *cx;
    const size_t *order; /* NULL: as they stand */
    size_t end;
    _Atomic size_t next, samples_nr;
};

static void
lane_run(void *arg, size_t lane)
{
    struct lanes *l = arg;
    size_t i;

    while ((i = atomic_fetch_add(&l->next, 1)) < l->end && !is_canceled(l->cx->canceled)) {
        struct rule_context cx = *l->cx;
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        cx.arena = &arena;
        size_t nr = evaluate_one(l->g, l->g->rules[l->order == NULL ? i : l->order[i]], &cx);
        atomic_fetch_add(&l->samples_nr, nr);
        arena_fini(&arena);
    }
}

/* Takes up to want of the slots that all groups share. */
static size_t
slots_take(_Atomic int64_t *slots, size_t want)
{
    int64_t free_nr = atomic_load(slots), take;

    do {
        take = MIN(MAX(free_nr, (int64_t)0), (int64_t)want);
    } while (!atomic_compare_exchange_weak(slots, &free_nr, free_nr - take));
    return (size_t)take;
}

static void
batch_evaluate(struct lanes *l, size_t start, size_t end)
{
    bool alone = end - start < 2 || l->g->slots == NULL;
    size_t more = alone ? 0 : slots_take(l->g->slots, end - start - 1);

    atomic_store(&l->next, start);
    l->end = end;
    pool_run(l->cx->options->pool, more + 1, lane_run, l);
    if (more != 0)
        atomic_fetch_add(l->g->slots, (int64_t)more);
}

static size_t
evaluate_rules(struct rule_group *g, const struct rule_context *cx)
{
    const struct rule_batches *b = &g->batches;
    struct lanes l = { .g = g, .cx = cx, .order = b->order };

    if (b->nr == 0) {
        l.end = g->rules_nr;
        lane_run(&l, 0);
    }
    for (size_t i = 0; i < b->nr; i++)
        batch_evaluate(&l, i == 0 ? 0 : b->ends[i - 1], b->ends[i]);
    return atomic_load(&l.samples_nr);
}

static int64_t
rules_sum_ns(const struct rule_group *g)
{
    int64_t sum = 0;

    for (size_t i = 0; i < g->rules_nr; i++)
        sum += g->rules[i]->evaluation_ns;
    return sum;
}

void
rule_group_evaluate(struct rule_group *g, const struct rules_options *options,
                    struct labels external_labels, struct str external_url, int64_t query_offset_ms,
                    int64_t slot_ns, const _Atomic bool *canceled)
{
    int64_t started_ns = clock_monotonic_ns(options->clock), wall_ns = clock_now_ns(options->clock);
    struct rule_context cx = {
        .options = options,
        .external_labels = external_labels,
        .external_url = external_url,
        .ts_ns = slot_ns,
        .query_offset_ms = rule_group_offset_ms(g, query_offset_ms),
        .limit = g->limit,
        .canceled = canceled,
    };

    metric_add_if(g->metrics.iterations, 1);
    size_t samples_nr = evaluate_rules(g, &cx);
    write_removed(g, options, rule_sample_ms(&cx));
    int64_t took_ns = clock_monotonic_ns(options->clock) - started_ns;
    lock_take(&g->lock);
    g->evaluation_ns = took_ns;
    g->last_evaluation_ns = wall_ns;
    lock_release(&g->lock);
    if (g->families->group_duration != NULL) {
        metric_summary_observe(g->families->group_duration, seconds(took_ns), started_ns + took_ns);
        metric_histogram_observe(g->families->group_duration_histogram, seconds(took_ns));
    }
    metric_set_if(g->metrics.samples, (double)samples_nr);
    metric_set_if(g->metrics.last_duration, seconds(took_ns));
    metric_set_if(g->metrics.last_rule_sum, seconds(rules_sum_ns(g)));
    metric_set_if(g->metrics.last_evaluation, seconds(wall_ns));
}

void
rule_group_mark_stale(struct rule_group *g, const struct rules_options *options, int64_t t_ms)
{
    for (size_t i = 0; i < g->rules_nr; i++)
        stale_take(g, g->rules[i]);
    write_removed(g, options, t_ms);
}

void
rule_group_send_restored(struct rule_group *g, const struct rules_options *options,
                         struct str external_url, int64_t now_ns)
{
    struct arena arena;
    struct rule_context cx = {
        .options = options, .external_url = external_url, .arena = &arena, .ts_ns = now_ns
    };

    for (size_t i = 0; i < g->rules_nr; i++) {
        struct alert_message *messages;
        if (!g->rules[i]->is_alert || options->notify == NULL)
            continue;
        arena_init(&arena, SIZE_MAX);
        lock_take(&g->lock);
        size_t nr = alerting_restored(g->rules[i], &cx, g->interval_ns, &messages);
        lock_release(&g->lock);
        if (nr != 0)
            options->notify(options->notify_arg, messages, nr);
        arena_fini(&arena);
    }
}

void
rule_group_restore(struct rule_group *g, const struct rules_options *options, int64_t now_ns,
                   const _Atomic bool *canceled)
{
    int64_t started_ns = clock_monotonic_ns(options->clock), now_ms = now_ns / NS_PER_MS;
    struct querier *q = NULL;
    struct error err = { 0 };
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    if (!querier_open(options->queryable, now_ms - options->outage_tolerance_ms, now_ms, &q, &err))
        log_error(&options->log, "Failed to get Querier", LOG_E(&err));
    struct rule_context cx = { .options = options,
                               .arena = &arena,
                               .ts_ns = now_ns,
                               .limit = g->limit,
                               .canceled = canceled };
    for (size_t i = 0; i < g->rules_nr; i++)
        if (g->rules[i]->is_alert)
            alerting_restore(g->rules[i], &cx, q, &g->lock);
    querier_close(q);
    arena_fini(&arena);
    error_clear(&err);
    metric_set_if(g->metrics.last_restore,
                  seconds(clock_monotonic_ns(options->clock) - started_ns));
}
