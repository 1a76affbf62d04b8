/* Reading one series from all its sources. The usual case is sources that follow each other in
 * time: their samples are appended one after the other. Where they overlap (blocks that were not
 * compacted vertically yet; the head before it is truncated) the runs are merged afterwards and of
 * equal times one sample is kept. */
#include "base/mem.h"
#include "tsdb/chunk_cut.h"
#include "tsdb/querier_priv.h"

static const struct symbol_pair *
set_pairs(const struct series_set *base, uint32_t i, uint32_t *nr)
{
    const struct db_series_set *set = CONTAINER_OF(base, struct db_series_set, base);

    *nr = set->series[i].pairs_nr;
    return set->series[i].pairs;
}

static bool
read_part(const struct db_querier *q, const struct series_part *part, int64_t min_ms,
          int64_t max_ms, struct sample_buf *buf, struct error *err)
{
    if (part->block != NULL)
        return block_read_chunks(part->block, part->ref, part->chunks, part->chunks_nr, min_ms,
                                 max_ms, buf, err);
    min_ms = MAX(min_ms, q->head_min_ms);
    return min_ms > max_ms || head_read(&q->head, part->head, min_ms, max_ms, buf, err);
}

static bool
in_order(const struct sample_buf *b, size_t start)
{
    for (size_t i = start + 1; i < b->nr; i++)
        if (b->t_ms[i] <= b->t_ms[i - 1])
            return false;
    return true;
}

/* Merges the sorted runs [from, mid) and [mid, to) of indexes into tmp and back. */
static void
merge_runs(const struct sample_buf *b, uint32_t *order, size_t from, size_t mid, size_t to,
           uint32_t *tmp)
{
    size_t a = from, c = mid, n = 0;

    while (a < mid || c < to) {
        bool left = c == to || (a < mid && b->t_ms[order[a]] <= b->t_ms[order[c]]);
        tmp[n++] = left ? order[a++] : order[c++];
    }
    memcpy(order + from, tmp, n * sizeof *tmp);
}

/* Sorts what stands behind start; runs that are in order are found and merged pair by pair. */
static void
sort_runs(const struct sample_buf *b, uint32_t *order, size_t nr, uint32_t *tmp)
{
    size_t sorted_to = 1;

    while (sorted_to < nr) {
        size_t end = sorted_to + 1;
        while (end < nr && b->t_ms[order[end]] > b->t_ms[order[end - 1]])
            end++;
        merge_runs(b, order, 0, sorted_to, end, tmp);
        sorted_to = end;
    }
}

static void
apply_order(struct sample_buf *b, size_t start, const uint32_t *order, size_t nr)
{
    int64_t *t_ms = mem_alloc(mem_array_bytes(nr, sizeof *t_ms));
    double *v = mem_alloc(mem_array_bytes(nr, sizeof *v));
    const struct histogram **h = b->h == NULL ? NULL : mem_alloc(mem_array_bytes(nr, sizeof *h));
    int64_t *st_ms = b->st_ms == NULL ? NULL : mem_alloc(mem_array_bytes(nr, sizeof *st_ms));
    size_t kept = 0;

    for (size_t i = 0; i < nr; i++) {
        if (kept > 0 && b->t_ms[order[i]] == t_ms[kept - 1])
            continue;
        t_ms[kept] = b->t_ms[order[i]];
        v[kept] = b->v[order[i]];
        if (h != NULL)
            h[kept] = b->h[order[i]];
        if (st_ms != NULL)
            st_ms[kept] = b->st_ms[order[i]];
        kept++;
    }
    memcpy(b->t_ms + start, t_ms, kept * sizeof *t_ms);
    memcpy(b->v + start, v, kept * sizeof *v);
    if (h != NULL)
        memcpy(b->h + start, h, kept * sizeof *h);
    if (st_ms != NULL)
        memcpy(b->st_ms + start, st_ms, kept * sizeof *st_ms);
    b->nr = start + kept;
    mem_free(t_ms);
    mem_free(v);
    mem_free((void *)h);
    mem_free(st_ms);
}

static void
merge(struct sample_buf *b, size_t start)
{
    size_t nr = b->nr - start;
    uint32_t *order = mem_alloc(mem_array_bytes(nr * 2, sizeof *order));

    for (size_t i = 0; i < nr; i++)
        order[i] = (uint32_t)(start + i);
    sort_runs(b, order, nr, order + nr);
    apply_order(b, start, order, nr);
    mem_free(order);
}

static bool
set_read(const struct series_set *base, uint32_t i, int64_t min_ms, int64_t max_ms,
         struct sample_buf *buf, struct error *err)
{
    const struct db_series_set *set = CONTAINER_OF(base, struct db_series_set, base);
    const struct db_querier *q = CONTAINER_OF(base->q, struct db_querier, base);
    const struct merged_series *s = &set->series[i];
    size_t start = buf->nr;
    bool ok = true;

    min_ms = MAX(min_ms, q->base.min_ms);
    max_ms = MIN(max_ms, q->base.max_ms);
    for (uint32_t k = 0; k < s->parts_nr; k++) {
        struct error part_err = { 0 };
        if (!read_part(q, &s->parts[k], min_ms, max_ms, buf, &part_err)) {
            if (ok) /* the first damage is reported; the other sources are read all the same */
                error_copy(err, &part_err);
            ok = false;
        }
        error_clear(&part_err);
    }
    if (s->parts_nr > 1 && !in_order(buf, start))
        merge(buf, start);
    return ok;
}

/* How many samples a block's chunk holds stands in the chunk itself: here the usual number is
 * taken. */
static uint64_t
set_estimate(const struct series_set *base, uint32_t i, int64_t min_ms, int64_t max_ms)
{
    const struct db_series_set *set = CONTAINER_OF(base, struct db_series_set, base);
    const struct merged_series *s = &set->series[i];
    uint64_t sum = 0;

    for (uint32_t k = 0; k < s->parts_nr; k++) {
        if (s->parts[k].block == NULL) {
            sum += head_estimate(s->parts[k].head, min_ms, max_ms);
            continue;
        }
        for (uint32_t c = 0; c < s->parts[k].chunks_nr; c++)
            if (s->parts[k].chunks[c].min_ms <= max_ms && s->parts[k].chunks[c].max_ms >= min_ms)
                sum += CHUNK_CUT_SAMPLES;
    }
    return sum;
}

const struct series_set_ops db_series_set_ops = {
    .pairs = set_pairs,
    .read = set_read,
    .estimate = set_estimate,
};

symbol_id
series_label(const struct series_set *set, uint32_t i, symbol_id name)
{
    uint32_t nr;
    const struct symbol_pair *pairs = series_pairs(set, i, &nr);

    for (uint32_t k = 0; k < nr; k++)
        if (pairs[k].name == name)
            return pairs[k].value;
    return SYMBOL_EMPTY;
}

struct labels
series_labels(const struct series_set *set, uint32_t i, struct arena *arena)
{
    uint32_t nr;
    const struct symbol_pair *pairs = series_pairs(set, i, &nr);
    struct label *v = ARENA_NEW_ARRAY(arena, struct label, nr);

    for (uint32_t k = 0; k < nr; k++)
        v[k] = (struct label){ arena_str(arena, querier_symbol(set->q, pairs[k].name)),
                               arena_str(arena, querier_symbol(set->q, pairs[k].value)) };
    return (struct labels){ v, nr };
}
