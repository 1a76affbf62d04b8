/* Recording rules: the result of an expression under a new name. */
#include <inttypes.h>

#include "base/mem.h"
#include "rules/rule.h"

static bool
sample_labels_eq(const void *item, const void *key)
{
    return labels_eq(((const struct rule_sample *)item)->labels, *(const struct labels *)key);
}

/* Rule labels may make two series of the result equal. */
static bool
samples_unique(struct rule_samples *samples)
{
    struct table seen = { 0 };
    bool unique = true;

    table_reserve(&seen, samples->nr);
    for (size_t i = 0; unique && i < samples->nr; i++) {
        struct labels ls = samples->v[i].labels;
        uint64_t hash = labels_hash(ls);
        unique = table_find(&seen, hash, sample_labels_eq, &ls) == NULL;
        if (unique)
            table_add(&seen, hash, &samples->v[i]);
    }
    table_fini(&seen);
    return unique;
}

bool
recording_samples(const struct rule *r, const struct rule_context *cx,
                  const struct query_result *result, struct rule_samples *out, struct error *err)
{
    size_t nr = result->type == VALUE_SCALAR ? 1 : result->series_nr;

    out->v = ARENA_NEW_ARRAY(cx->arena, struct rule_sample, nr);
    out->cap = nr;
    for (out->nr = 0; out->nr < nr; out->nr++) {
        struct rule_sample *s = &out->v[out->nr];
        if (result->type == VALUE_SCALAR) {
            s->labels = rule_labels_merge(cx->arena, LABELS_NONE, r->labels, r->name);
            s->v = result->scalar;
            continue;
        }
        const struct result_series *from = &result->series[out->nr];
        /* The name first, then the rule's labels: the order decides when a rule sets __name__,
         * which the file check refuses. */
        s->labels = rule_labels_merge(cx->arena, from->labels, r->labels, r->name);
        s->v = from->v[0];
        s->h = from->h == NULL ? NULL : from->h[0];
    }
    if (!samples_unique(out))
        return error_set(
            err, ERR_EXECUTION,
            "vector contains metrics with the same labelset after applying rule labels");
    if (cx->limit > 0 && out->nr > (size_t)cx->limit)
        return error_set(err, ERR_EXECUTION, "exceeded limit of %" PRId64 " with %zu series",
                         cx->limit, out->nr);
    return true;
}
