/* Which blocks to merge and which to delete: pure functions of the blocks' metas, with Prometheus's
 * rules. */
#include "base/mem.h"
#include "tsdb/compact.h"

enum { RANGE_STEP = 3, RANGES_NR = 10 };

struct compact_ranges
compact_ranges_of(int64_t min_ms, int64_t max_ms)
{
    struct compact_ranges r = { .nr = 0 };

    for (int64_t ms = min_ms; r.nr < RANGES_NR; ms *= RANGE_STEP) {
        if (r.nr > 0 && ms > max_ms)
            break;
        r.ms[r.nr++] = ms;
    }
    return r;
}

void
compact_plan_fini(struct compact_plan *plan)
{
    mem_free(plan->index);
    *plan = (struct compact_plan){ 0 };
}

/* Metas of one class, by index into the caller's array. */
struct class
{
    const struct block_meta *const *metas;
    size_t *index, nr;
};

static const struct block_meta *
meta_at(const struct class *c, size_t i)
{
    return c->metas[c->index[i]];
}

static void
plan_set(struct compact_plan *plan, const struct class *c, size_t from, size_t nr)
{
    plan->index = mem_dup(c->index + from, nr * sizeof *plan->index);
    plan->nr = nr;
}

/* The first run of blocks that overlap in time. */
static void
plan_overlapping(const struct class *c, struct compact_plan *plan)
{
    if (c->nr == 0)
        return;
    int64_t max_ms = meta_at(c, 0)->max_ms;
    size_t from = 0, nr = 0;
    for (size_t i = 1; i < c->nr; i++) {
        if (meta_at(c, i)->min_ms < max_ms) {
            if (nr == 0) {
                from = i - 1;
                nr = 1;
            }
            nr++;
        } else if (nr > 0) {
            break;
        }
        max_ms = MAX(max_ms, meta_at(c, i)->max_ms);
    }
    if (nr > 0)
        plan_set(plan, c, from, nr);
}

/* Start of the aligned range of that size which holds t. */
static int64_t
range_start(int64_t t_ms, int64_t range_ms)
{
    return t_ms >= 0 ? range_ms * (t_ms / range_ms) : range_ms * ((t_ms - range_ms + 1) / range_ms);
}

/* Blocks from *at on that lie in one aligned range of that size; *at moves behind them. */
static size_t
range_part(const struct class *c, int64_t range_ms, size_t *at)
{
    while (*at < c->nr) {
        int64_t end_ms = range_start(meta_at(c, *at)->min_ms, range_ms) + range_ms;
        size_t from = *at;
        if (meta_at(c, from)->max_ms > end_ms) {
            ++*at; /* larger than the range, or across its edge */
            continue;
        }
        while (*at < c->nr && meta_at(c, *at)->max_ms <= end_ms)
            ++*at;
        return *at - from;
    }
    return 0;
}

static bool
part_failed(const struct class *c, size_t from, size_t nr)
{
    for (size_t i = from; i < from + nr; i++)
        if (meta_at(c, i)->failed)
            return true;
    return false;
}

/* A range is merged when it is full, or when a newer block shows that nothing more comes. */
static void
plan_leveled(const struct class *c, const struct compact_ranges *ranges, struct compact_plan *plan)
{
    if (c->nr == 0)
        return;
    int64_t high_ms = meta_at(c, c->nr - 1)->min_ms;
    for (size_t r = 1; r < ranges->nr; r++) {
        size_t at = 0, nr;
        while ((nr = range_part(c, ranges->ms[r], &at)) > 0) {
            size_t from = at - nr;
            int64_t min_ms = meta_at(c, from)->min_ms, max_ms = meta_at(c, at - 1)->max_ms;
            if (nr < 2 || part_failed(c, from, nr))
                continue;
            if (max_ms - min_ms == ranges->ms[r] || max_ms <= high_ms) {
                plan_set(plan, c, from, nr);
                return;
            }
        }
    }
}

/* One block whose deletions are worth a rewrite. */
static void
plan_tombstones(const struct class *c, const struct compact_ranges *ranges,
                struct compact_plan *plan)
{
    for (size_t i = c->nr; i-- > 0;) {
        const struct block_meta *m = meta_at(c, i);
        bool small = m->max_ms - m->min_ms < ranges->ms[ranges->nr / 2];
        bool all = m->tombstones_nr > 0 && m->tombstones_nr >= m->series_nr;
        bool many = (double)m->tombstones_nr / (double)(m->series_nr + 1) > 0.05;
        if (small ? all : many) {
            plan_set(plan, c, i, 1);
            return;
        }
        if (small)
            return;
    }
}

static void
plan_class(struct class *c, const struct compact_ranges *ranges, bool overlapping,
           struct compact_plan *plan)
{
    if (c->nr == 0)
        return;
    if (overlapping)
        plan_overlapping(c, plan);
    if (plan->nr > 0)
        return;
    /* The newest block waits: it was just made, and backups may be taking it. */
    c->nr--;
    plan_leveled(c, ranges, plan);
    if (plan->nr == 0)
        plan_tombstones(c, ranges, plan);
}

enum { CLASS_PLAIN, CLASS_STALE, CLASS_SELECTED, CLASSES_NR };

static int
class_of(const struct block_meta *m)
{
    if (block_meta_has_hint(m, BLOCK_HINT_STALE))
        return CLASS_STALE;
    return block_meta_has_hint(m, BLOCK_HINT_SELECTED) ? CLASS_SELECTED : CLASS_PLAIN;
}

void
compact_plan(const struct block_meta *const *metas, size_t nr, const struct compact_ranges *ranges,
             bool overlapping, struct compact_plan *plan)
{
    struct class classes[CLASSES_NR];

    *plan = (struct compact_plan){ 0 };
    for (int k = 0; k < CLASSES_NR; k++)
        classes[k] = (struct class){ metas, MEM_NEW_ARRAY(size_t, nr + 1), 0 };
    for (size_t i = 0; i < nr; i++) {
        struct class *c = &classes[class_of(metas[i])];
        c->index[c->nr++] = i;
    }
    for (int k = 0; k < CLASSES_NR; k++) {
        if (plan->nr == 0)
            plan_class(&classes[k], ranges, overlapping, plan);
        mem_free(classes[k].index);
    }
}

/* ---- retention ---- */

static bool
is_parent(const struct block_meta *m, const struct retention_block *blocks, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        for (size_t k = 0; k < blocks[i].meta->parents_nr; k++)
            if (strcmp(blocks[i].meta->parents[k].id.z, m->id.z) == 0)
                return true;
    return false;
}

/* Indexes by the blocks' end, newest first; equal ones keep their order. */
static size_t *
newest_first(const struct retention_block *blocks, size_t nr)
{
    size_t *order = MEM_NEW_ARRAY(size_t, nr + 1);

    for (size_t i = 0; i < nr; i++) {
        size_t at = i;
        for (; at > 0 && blocks[order[at - 1]].meta->max_ms < blocks[i].meta->max_ms; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

void
retention_apply(const struct retention *r, const struct retention_block *blocks, size_t nr,
                uint64_t other_bytes, bool *gone)
{
    size_t *order = newest_first(blocks, nr);
    uint64_t bytes = other_bytes;
    bool too_old = false, too_much = false;

    for (size_t k = 0; k < nr; k++) {
        const struct retention_block *b = &blocks[order[k]];
        int64_t age_ms = blocks[order[0]].meta->max_ms - b->meta->max_ms;
        bytes += b->bytes;
        too_old |= r->time_ms > 0 && k > 0 && age_ms >= r->time_ms;
        too_much |= r->bytes_max > 0 && bytes > r->bytes_max;
        gone[order[k]] =
            too_old || too_much || b->meta->deletable || is_parent(b->meta, blocks, nr);
    }
    mem_free(order);
}
