#include "runner.h"
#include "nhcb.h"

void
runner_init(struct runner *r, bool all_features, uint64_t samples_max)
{
    struct engine_options options = {
        .lookback_ms = 5 * 60 * 1000,
        .timeout_ms = 100 * 1000,
        .samples_max = samples_max,
        .subquery_step_ms = 60 * 1000,
        .experimental_functions = all_features,
        .extended_range_selectors = all_features,
        .binop_fill = all_features,
        .delayed_name_removal = all_features,
        .clock = clock_real(),
    };

    r->engine = engine_new(&options);
    r->storage = mem_storage_new();
}

void
runner_fini(struct runner *r)
{
    engine_free(r->engine);
    mem_storage_free(r->storage);
}

static void
load_series(struct mem_storage *storage, const struct series_desc *s, int64_t step_ms)
{
    for (size_t i = 0; i < s->nr; i++) {
        if (!s->values[i].omitted)
            mem_storage_add(storage, s->labels, (int64_t)i * step_ms, s->values[i].v,
                            s->values[i].h);
    }
}

/* Of two lines for one series in a load, the later one counts. */
static bool
is_overridden(const struct series_list *list, size_t i)
{
    for (size_t k = i + 1; k < list->nr; k++) {
        if (labels_eq(list->items[i].labels, list->items[k].labels))
            return true;
    }
    return false;
}

bool
runner_prepare(struct runner *r, const struct script_command *c, struct error *err)
{
    if (c->kind == SCRIPT_CLEAR)
        mem_storage_clear(r->storage);
    for (size_t i = 0; i < c->series.nr; i++) {
        if (!is_overridden(&c->series, i))
            load_series(r->storage, &c->series.items[i], c->step_ms);
    }
    return c->kind != SCRIPT_LOAD_NHCB || nhcb_load(r->storage, &c->series, c->step_ms, err);
}

bool
runner_query(struct runner *r, struct str text, int64_t start_ms, int64_t end_ms, int64_t step_ms,
             struct query_result *result, struct error *err)
{
    struct query q = { .text = text, .start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms };

    return engine_query(r->engine, mem_storage_queryable(r->storage), &q, result, err);
}
