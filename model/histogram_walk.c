/* Walking the buckets of a histogram: spans are decoded on the way, nothing is allocated. */
#include "model/histogram_math.h"

void
histogram_walk_merged(struct histogram_walk *w, const struct histogram *h, bool positive,
                      double start, int32_t target)
{
    *w = (struct histogram_walk){
        .h = h,
        .side = positive ? &h->pos : &h->neg,
        .positive = positive,
        .target = target,
        .skip_to = start,
    };
}

void
histogram_walk_init(struct histogram_walk *w, const struct histogram *h, bool positive)
{
    histogram_walk_merged(w, h, positive, 0, h->schema);
}

/* The last bucket's place and, for deltas, its count. */
void
histogram_walk_backward(struct histogram_walk *w, const struct histogram *h, bool positive)
{
    histogram_walk_init(w, h, positive);
    w->backward = true;
    for (size_t i = 0; i < w->side->spans_nr; i++) {
        w->next += (int64_t)w->side->spans[i].offset + w->side->spans[i].length;
        w->bucket += w->side->spans[i].length;
    }
    w->next--;
    w->span = w->side->spans_nr;
    if (w->span > 0)
        w->in_span = w->side->spans[w->span - 1].length;
    w->bucket = MIN(w->bucket, w->side->buckets_nr);
    for (size_t i = 0; h->is_int && i < w->bucket; i++)
        w->run = (int64_t)((uint64_t)w->run + (uint64_t)w->side->deltas[i]);
}

static void
set_count(struct histogram_walk *w, size_t bucket, struct histogram_bucket *b)
{
    if (w->h->is_int) {
        b->count_int = (uint64_t)w->run;
        b->count = (double)w->run;
    } else {
        b->count_int = 0;
        b->count = w->side->counts[bucket];
    }
}

static bool
raw_forward(struct histogram_walk *w, struct histogram_bucket *b)
{
    const struct histogram_side *side = w->side;

    while (w->span < side->spans_nr) {
        const struct histogram_span *span = &side->spans[w->span];
        if (w->in_span == 0)
            w->next += span->offset;
        if (w->in_span < span->length)
            break;
        w->span++;
        w->in_span = 0;
    }
    if (w->span >= side->spans_nr || w->bucket >= side->buckets_nr)
        return false;
    if (w->h->is_int)
        w->run = (int64_t)((uint64_t)w->run + (uint64_t)side->deltas[w->bucket]);
    set_count(w, w->bucket, b);
    b->index = (int32_t)w->next;
    w->next++;
    w->bucket++;
    if (++w->in_span >= side->spans[w->span].length) {
        w->span++;
        w->in_span = 0;
    }
    return true;
}

static bool
raw_backward(struct histogram_walk *w, struct histogram_bucket *b)
{
    const struct histogram_side *side = w->side;

    while (w->span > 0 && w->in_span == 0) {
        w->span--;
        w->next -= side->spans[w->span].offset;
        if (w->span > 0)
            w->in_span = side->spans[w->span - 1].length;
    }
    if (w->span == 0 || w->bucket == 0)
        return false;
    w->bucket--;
    w->in_span--;
    set_count(w, w->bucket, b);
    if (w->h->is_int)
        w->run = (int64_t)((uint64_t)w->run - (uint64_t)side->deltas[w->bucket]);
    b->index = (int32_t)w->next;
    w->next--;
    return true;
}

static bool
step_any(struct histogram_walk *w)
{
    struct histogram_bucket raw;

    if (w->backward)
        return raw_backward(w, &w->at);
    if (w->target == w->h->schema)
        return raw_forward(w, &w->at);
    /* Everything that falls into the same coarse bucket; the first bucket beyond it waits. */
    if (!w->pending && !raw_forward(w, &raw))
        return false;
    if (w->pending)
        raw = (struct histogram_bucket){ .index = w->pending_index,
                                         .count = w->pending_count,
                                         .count_int = w->pending_int };
    w->pending = false;
    w->at.index = histogram_target_index(raw.index, w->h->schema, w->target);
    w->at.count = raw.count;
    w->at.count_int = raw.count_int;
    while (raw_forward(w, &raw)) {
        if (histogram_target_index(raw.index, w->h->schema, w->target) != w->at.index) {
            w->pending = true;
            w->pending_index = raw.index;
            w->pending_count = raw.count;
            w->pending_int = raw.count_int;
            break;
        }
        w->at.count += raw.count;
        w->at.count_int += raw.count_int;
    }
    return true;
}

bool
histogram_walk_step(struct histogram_walk *w)
{
    while (step_any(w)) {
        if (w->skip_to == 0)
            return true;
        if (!histogram_schema_exponential(w->target) ||
            histogram_bound(w->at.index, w->target, NULL, 0) > w->skip_to) {
            w->skip_to = 0;
            return true;
        }
    }
    return false;
}

bool
histogram_walk_next(struct histogram_walk *w)
{
    struct histogram_bucket *b = &w->at;

    if (!histogram_walk_step(w))
        return false;
    const double *custom = w->positive ? w->h->custom_values : NULL;
    size_t custom_nr = w->positive ? w->h->custom_values_nr : 0;
    double far = histogram_bound(b->index, w->target, custom, custom_nr);
    double near = histogram_bound((int64_t)b->index - 1, w->target, custom, custom_nr);
    b->lower = w->positive ? near : -far;
    b->upper = w->positive ? far : -near;
    if (w->target == HISTOGRAM_SCHEMA_CUSTOM) {
        b->lower_inclusive = b->index == 0;
        b->upper_inclusive = true;
    } else {
        b->lower_inclusive = b->lower < 0;
        b->upper_inclusive = b->upper > 0;
    }
    return true;
}

struct histogram_bucket
histogram_zero_bucket(const struct histogram *h)
{
    return (struct histogram_bucket){
        .lower = -h->zero_threshold,
        .upper = h->zero_threshold,
        .lower_inclusive = true,
        .upper_inclusive = true,
        .count = h->zero_count,
        .count_int = h->zero_count_int,
    };
}

void
histogram_all_init(struct histogram_all *it, const struct histogram *h, bool reverse)
{
    *it = (struct histogram_all){ .h = h };
    histogram_walk_backward(&it->left, h, reverse);
    histogram_walk_init(&it->right, h, !reverse);
}

static void
clip_to_zero_bucket(struct histogram_all *it)
{
    double threshold = it->h->zero_threshold;

    if (it->at.upper < 0 && it->at.upper > -threshold)
        it->at.upper = -threshold;
    else if (it->at.lower > 0 && it->at.lower < threshold)
        it->at.lower = threshold;
}

bool
histogram_all_next(struct histogram_all *it)
{
    for (; it->state < 3; it->state++) {
        if (it->state == 1) {
            if (!(it->h->zero_count > 0))
                continue;
            it->state++;
            it->at = histogram_zero_bucket(it->h);
            return true;
        }
        struct histogram_walk *w = it->state == 0 ? &it->left : &it->right;
        if (histogram_walk_next(w)) {
            it->at = w->at;
            clip_to_zero_bucket(it);
            return true;
        }
    }
    return false;
}
