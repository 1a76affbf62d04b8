/* Native histograms as the engine handles them: always in float form. */
#include "promql/exec_priv.h"

#include "model/histogram_math.h"

/* Of the struct that Prometheus keeps. */
size_t
histogram_bytes(const struct histogram *h)
{
    return 168 + 8 * (h->pos.spans_nr + h->neg.spans_nr + h->pos.buckets_nr + h->neg.buckets_nr +
                      h->custom_values_nr);
}

uint32_t
histogram_weight(const struct histogram *h)
{
    return (uint32_t)((histogram_bytes(h) + 8) / 16);
}

const struct histogram *
histogram_keep(struct arena *a, const struct histogram *h)
{
    return histogram_copy(h, a);
}

void
samples_to_float(struct sample_buf *b, struct arena *a)
{
    for (size_t i = 0; b->h != NULL && i < b->nr; i++)
        if (b->h[i] != NULL && b->h[i]->is_int)
            b->h[i] = histogram_to_float(b->h[i], a);
}

/* Count and sum only, for queries that look at nothing else: then layouts that do not fit together
 * do no harm. What the buckets say about resets is put into the hint first. */
void
samples_to_stats(struct sample_buf *b, struct arena *a)
{
    const struct histogram *last = NULL;

    for (size_t i = 0; b->h != NULL && i < b->nr; i++) {
        const struct histogram *h = b->h[i];

        if (h == NULL)
            continue;
        struct histogram *stats = ARENA_NEW(a, struct histogram);
        *stats = (struct histogram){
            .hint = h->hint, .schema = h->schema, .count = h->count, .sum = h->sum
        };
        if (!is_stale(h->sum)) {
            if (h->hint == HINT_UNKNOWN && last != NULL)
                stats->hint = histogram_detect_reset(h, last) ? HINT_RESET : HINT_NOT_RESET;
            last = h;
        }
        b->h[i] = stats;
    }
}
