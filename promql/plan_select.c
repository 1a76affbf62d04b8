/* Selectors with equal matchers become one selection, over the union of the times they look at. */
#include "promql/plan_priv.h"

#include "base/mem.h"

int64_t
plan_at(const struct eval *ev, const struct time_shift *s)
{
    return s->at == AT_START ? ev->start_ms
           : s->at == AT_END ? ev->end_ms
                             : MAX(MIN(s->at_ms, ENGINE_FAR_MS), -ENGINE_FAR_MS);
}

/* What to take from a step's time. With "@" the steps count from the frame's first. */
int64_t
plan_shift(const struct eval *ev, const struct place *p, const struct time_shift *s)
{
    if (!plan_has_at(s, p->plain))
        return s->offset_ms;
    return s->offset_ms + p->frame->grid.start_ms - plan_at(ev, s);
}

static bool
matchers_eq(const struct selection *s, const struct selector_expr *sel)
{
    if (s->matchers_nr != sel->matchers_nr)
        return false;
    for (size_t i = 0; i < s->matchers_nr; i++) {
        const struct matcher *a = &s->matchers[i], *b = &sel->matchers[i];
        if (a->type != b->type || !str_eq(a->name, b->name) || !str_eq(a->value, b->value))
            return false;
    }
    return true;
}

static void
hint_function(const struct place *p, struct select_hints *h)
{
    h->func = p->func == NULL ? STR_NONE : str_c(p->func);
    if (p->by != NULL) {
        h->grouping = p->by->grouping;
        h->grouping_nr = p->by->grouping_nr;
        h->by = !p->by->without;
    }
}

static uint32_t
selection_of(struct eval *ev, const struct place *p, const struct selector_expr *sel,
             int64_t min_ms, int64_t max_ms, int64_t range_ms)
{
    for (size_t i = 0; i < ev->selections_nr; i++) {
        struct selection *s = &ev->selections[i];
        if (s->late || !matchers_eq(s, sel))
            continue;
        s->min_ms = MIN(s->min_ms, min_ms);
        s->max_ms = MAX(s->max_ms, max_ms);
        s->hints.func = STR_NONE; /* used in several ways */
        s->hints.range_ms = 0;
        s->hints.grouping_nr = 0;
        return (uint32_t)i;
    }
    MEM_GROW(ev->selections, ev->selections_nr + 1, &ev->selections_cap);
    struct selection *s = &ev->selections[ev->selections_nr];
    *s = (struct selection){ .matchers = sel->matchers,
                             .matchers_nr = sel->matchers_nr,
                             .min_ms = min_ms,
                             .max_ms = max_ms };
    s->hints.step_ms = p->hint_step_ms;
    s->hints.range_ms = range_ms;
    hint_function(p, &s->hints);
    return (uint32_t)ev->selections_nr++;
}

/* The span of time a selector may look at, as Prometheus opens its querier. range_ms 0: an instant
 * vector. */
uint32_t
plan_select(struct eval *ev, const struct place *p, const struct selector_expr *sel,
            int64_t range_ms)
{
    int64_t min_ms = p->at_set ? p->at_ms : ev->start_ms,
            max_ms = p->at_set ? p->at_ms : ev->end_ms;
    int64_t lookback_ms = ev->lookback_ms;

    if (plan_has_at(&sel->shift, p->plain)) {
        min_ms = max_ms = plan_at(ev, &sel->shift);
    } else {
        min_ms -= p->offset_ms + p->range_ms;
        max_ms -= p->offset_ms;
    }
    min_ms -= range_ms == 0                    ? lookback_ms
              : sel->anchored || sel->smoothed ? range_ms + lookback_ms
                                               : range_ms;
    if (sel->smoothed)
        max_ms += lookback_ms;
    return selection_of(ev, p, sel, min_ms + 1 - sel->shift.offset_ms,
                        max_ms - sel->shift.offset_ms, range_ms);
}
