/* Copies of groups, rules and alerts for the API. */
#include <stdlib.h>

#include "base/mem.h"
#include "rules/group.h"
#include "rules/manager.h"

static void
view_alerts(const struct rule *r, struct arena *arena, struct rule_view *out)
{
    struct alert *a;

    out->alerts = ARENA_NEW_ARRAY(arena, struct alert_view, r->active.nr);
    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;) {
        if (a->resolved_at_ns != 0)
            continue;
        out->alerts[out->alerts_nr++] = (struct alert_view){
            .labels = labels_copy(arena, a->labels),
            .annotations = labels_copy(arena, a->annotations),
            .state = a->state,
            .value = a->value,
            .active_at_ns = a->active_at_ns,
            .keep_firing_since_ns = a->keep_firing_since_ns,
        };
    }
}

static void
view_evaluations(const struct rule *r, struct arena *arena, struct rule_view *out)
{
    size_t nr = (size_t)MIN(r->evaluations_nr, (uint64_t)RULE_EVALUATIONS_MAX);

    out->evaluations = ARENA_NEW_ARRAY(arena, struct rule_evaluation_view, nr);
    for (; out->evaluations_nr < nr; out->evaluations_nr++) {
        uint64_t n = r->evaluations_nr - 1 - out->evaluations_nr;
        const struct rule_evaluation *e = &r->evaluations[n % RULE_EVALUATIONS_MAX];
        out->evaluations[out->evaluations_nr] = (struct rule_evaluation_view){
            .slot_ns = e->slot_ns,
            .took_ns = e->took_ns,
            .samples_nr = e->samples_nr,
            .error = e->error == NULL ? STR_NONE : arena_str(arena, str_c(e->error)),
        };
    }
}

static void
view_rule(const struct rule *r, struct arena *arena, bool evaluations, struct rule_view *out)
{
    *out = (struct rule_view){
        .is_alert = r->is_alert,
        .name = arena_str(arena, r->name),
        .query = arena_str(arena, r->query),
        .labels = labels_copy(arena, r->labels),
        .annotations = labels_copy(arena, r->annotations),
        .for_ms = r->for_ns / 1000000,
        .keep_firing_for_ms = r->keep_firing_for_ns / 1000000,
        .health = r->health,
        .last_error = arena_str(arena, str_c(error_text(&r->last_error))),
        .evaluation_s = (double)r->evaluation_ns / 1e9,
        .last_evaluation_ns = r->last_evaluation_ns,
        .state = alerting_state(r),
    };
    if (r->is_alert)
        view_alerts(r, arena, out);
    if (evaluations)
        view_evaluations(r, arena, out);
}

static void
view_group(struct rule_group *g, struct arena *arena, bool evaluations, struct rule_group_view *out)
{
    lock_take(&g->lock);
    *out = (struct rule_group_view){
        .name = arena_str(arena, g->name),
        .file = arena_str(arena, g->path),
        .interval_ms = g->interval_ns / 1000000,
        .limit = g->limit,
        .evaluation_s = (double)g->evaluation_ns / 1e9,
        .last_evaluation_ns = g->last_evaluation_ns,
        .rules = ARENA_NEW_ARRAY(arena, struct rule_view, g->rules_nr),
        .rules_nr = g->rules_nr,
    };
    for (size_t i = 0; i < g->rules_nr; i++)
        view_rule(g->rules[i], arena, evaluations, &out->rules[i]);
    lock_release(&g->lock);
}

static int
view_cmp(const void *a, const void *b)
{
    const struct rule_group_view *x = a, *y = b;
    int c = str_cmp(x->file, y->file);

    return c != 0 ? c : str_cmp(x->name, y->name);
}

static void
view_all(struct rules_manager *m, struct arena *arena, bool evaluations, struct rules_view *view)
{
    *view = (struct rules_view){ 0 };
    lock_take(&m->lock);
    view->groups = ARENA_NEW_ARRAY(arena, struct rule_group_view, m->groups_nr);
    for (size_t i = 0; i < m->groups_nr; i++)
        view_group(m->groups[i], arena, evaluations, &view->groups[view->groups_nr++]);
    lock_release(&m->lock);
    if (view->groups_nr != 0)
        qsort(view->groups, view->groups_nr, sizeof *view->groups, view_cmp);
}

void
rules_manager_view(struct rules_manager *m, struct arena *arena, struct rules_view *view)
{
    view_all(m, arena, false, view);
}

void
rules_manager_view_evaluations(struct rules_manager *m, struct arena *arena,
                               struct rules_view *view)
{
    view_all(m, arena, true, view);
}
