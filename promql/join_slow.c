/* Joins where several series of a match group are there, at different steps or by mistake.
 *
 * Prometheus evaluates step by step and stops at the first step with a mistake. We go series by
 * series, so mistakes are noted with their step, and after the last column the earliest one is
 * reported; within a step duplicates on the "one" side come first, then two matches for one result,
 * then equal labels of results from different groups. */
#include "promql/join_priv.h"

#include "base/hash.h"

/* The result of one match group with one set of labels. */
struct slow_out {
    struct series labels;
    uint32_t group, at;
    uint64_t *touched; /* steps that a pair was matched at, kept or not */
    struct column c;
};

struct pair {
    uint32_t many, one, out;
};

struct slow {
    struct eval *ev;
    struct join *j;
    size_t steps, words;
    uint64_t *many_any;     /* steps with any sample on the "many" side */
    uint64_t **matched;     /* per group */
    uint32_t *first, *ones; /* series of each group on the "one" side */
    struct slow_out **outs;
    size_t outs_nr, outs_cap;
    struct table by_labels;
    struct pair last;   /* the pair seen last: neighbours are mostly the same */
    size_t multiple_at; /* first step with two matches; steps: none */
};

static void
ones_by_group(struct slow *s)
{
    const struct join *j = s->j;
    const uint32_t *group_of = j->match->group_of[!j->many_side];
    struct arena *a = s->ev->arena;
    uint32_t *fill = ARENA_NEW_ARRAY(a, uint32_t, j->match->groups_nr + 1);

    s->first = ARENA_NEW_ARRAY(a, uint32_t, j->match->groups_nr + 1);
    s->ones = ARENA_NEW_ARRAY(a, uint32_t, j->one->series_nr);
    for (uint32_t i = 0; i < j->one->series_nr; i++)
        s->first[group_of[i] + 1]++;
    for (uint32_t g = 0; g < j->match->groups_nr; g++)
        s->first[g + 1] += s->first[g];
    memcpy(fill, s->first, (j->match->groups_nr + 1) * sizeof *fill);
    for (uint32_t i = 0; i < j->one->series_nr; i++)
        s->ones[fill[group_of[i]]++] = i;
}

static uint32_t
one_at(const struct slow *s, uint32_t group, size_t k)
{
    for (uint32_t i = s->first[group]; i < s->first[group + 1]; i++)
        if (column_has(&s->j->one->held[s->ones[i]], k))
            return s->ones[i];
    return NO_SERIES;
}

static uint64_t *
bits_new(struct slow *s)
{
    return ARENA_NEW_ARRAY(s->ev->arena, uint64_t, s->words);
}

static bool
bit(const uint64_t *bits, size_t k)
{
    return bits != NULL && (bits[k / 64] >> (k % 64) & 1) != 0;
}

static void
bit_set(uint64_t *bits, size_t k)
{
    bits[k / 64] |= UINT64_C(1) << (k % 64);
}

static bool
out_is(const void *item, const void *key)
{
    const struct slow_out *a = item, *b = key;

    return a->group == b->group && pairs_eq(&a->labels, &b->labels);
}

static uint32_t
out_of(struct slow *s, uint32_t group, const struct series *labels)
{
    struct slow_out key = { .labels = *labels, .group = group };
    uint64_t hash = hash64_mix(pairs_hash(labels->pairs, labels->nr), group);
    struct slow_out *o = table_find(&s->by_labels, hash, out_is, &key);

    if (o != NULL)
        return o->at;
    o = ARENA_NEW(s->ev->arena, struct slow_out);
    *o = (struct slow_out){
        .labels = *labels, .group = group, .at = (uint32_t)s->outs_nr, .touched = bits_new(s)
    };
    column_new(s->ev->arena, &o->c, s->steps, false);
    table_add(&s->by_labels, hash, o);
    ARENA_GROW(s->ev->arena, s->outs, s->outs_nr, s->outs_nr + 1, &s->outs_cap);
    s->outs[s->outs_nr++] = o;
    return o->at;
}

static void
keep_point(struct slow *s, struct column *c, size_t k, struct binary_value x)
{
    if (x.h != NULL && c->h == NULL)
        c->h = ARENA_NEW_ARRAY(s->ev->arena, const struct histogram *, c->nr);
    column_mark(c, k);
    c->v[k] = x.v;
    if (c->h != NULL) /* it may live in a worker's memory, or share arrays with what does */
        c->h[k] = x.h == NULL ? NULL : histogram_keep(s->ev->arena, x.h);
}

/* One pair at one step, as Prometheus's doBinOp. */
static void
pair_point(struct slow *s, uint32_t out, const struct join_pair *p)
{
    size_t k = p->k;
    struct slow_out *o = s->outs[out];
    struct binary_value x;
    bool keep = false;

    if (!join_point(s->j, p, s->ev->arena, &x, &keep))
        return;
    if (s->matched[o->group] == NULL)
        s->matched[o->group] = bits_new(s);
    bool one_to_one = s->j->match->m->card == CARD_ONE_TO_ONE;
    if (bit(one_to_one ? s->matched[o->group] : o->touched, k))
        s->multiple_at = MIN(s->multiple_at, k);
    bit_set(s->matched[o->group], k);
    bit_set(o->touched, k);
    if (keep)
        keep_point(s, &o->c, k, x);
}

static uint32_t
pair_out(struct slow *s, uint32_t group, uint32_t many, uint32_t one)
{
    struct join *j = s->j;

    if (s->last.many == many && s->last.one == one)
        return s->last.out;
    struct series filled, labels;
    if (many == NO_SERIES) {
        filled = match_labels(s->ev, j->match, &j->one->series[one]);
        labels = join_labels(s->ev, j, &filled, &j->one->series[one]);
    } else if (one == NO_SERIES) {
        filled = match_labels(s->ev, j->match, &j->many->series[many]);
        labels = join_labels(s->ev, j, &j->many->series[many], &filled);
    } else {
        labels = join_labels(s->ev, j, &j->many->series[many], &j->one->series[one]);
    }
    s->last = (struct pair){ many, one, out_of(s, group, &labels) };
    return s->last.out;
}

static bool
slow_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct slow *s = arg;
    const struct vector_matching *m = s->j->match->m;
    uint32_t group = s->j->match->group_of[s->j->many_side][i];

    for (size_t w = 0; w < s->words; w++)
        s->many_any[w] |= c->present[w];
    for (size_t k = 0; k < c->nr; k++) {
        if (!column_has(c, k))
            continue;
        uint32_t one = one_at(s, group, k);
        if (one == NO_SERIES && !m->has_fill_right)
            continue;
        struct binary_value x = { m->fill_right, NULL };
        if (one != NO_SERIES)
            x = column_value(&s->j->one->held[one], k);
        struct join_pair p = { column_value(c, k), x, k, i };
        pair_point(s, pair_out(s, group, i, one), &p);
    }
    return eval_go_on(s->ev, err);
}

/* Samples of the "one" side that nothing matched. */
static void
fill_many(struct slow *s)
{
    const struct vector_matching *m = s->j->match->m;
    const uint32_t *group_of = s->j->match->group_of[!s->j->many_side];

    for (uint32_t i = 0; m->has_fill_left && i < s->j->one->series_nr; i++)
        for (size_t k = 0; k < s->steps; k++)
            if (column_has(&s->j->one->held[i], k) && !bit(s->matched[group_of[i]], k)) {
                struct join_pair p = { { m->fill_left, NULL },
                                       column_value(&s->j->one->held[i], k),
                                       k,
                                       (uint64_t)s->j->many->series_nr + i };
                pair_point(s, pair_out(s, group_of[i], NO_SERIES, i), &p);
            }
}

/* ---- mistakes ---- */

static size_t
lowest(const uint64_t *bits, size_t words, size_t none)
{
    for (size_t i = 0; i < words; i++)
        if (bits[i] != 0)
            return i * 64 + (size_t)__builtin_ctzll(bits[i]);
    return none;
}

/* The first step with both sides there and two series of one group on the "one" side. */
static size_t
duplicate_step(struct slow *s)
{
    uint64_t *seen = bits_new(s), *twice = bits_new(s);
    const struct vector_matching *m = s->j->match->m;

    for (uint32_t g = 0; g < s->j->match->groups_nr; g++) {
        if (s->first[g + 1] - s->first[g] < 2)
            continue;
        memset(seen, 0, s->words * sizeof *seen);
        for (uint32_t i = s->first[g]; i < s->first[g + 1]; i++)
            for (size_t w = 0; w < s->words; w++) {
                uint64_t there = s->j->one->held[s->ones[i]].present[w];
                twice[w] |= seen[w] & there;
                seen[w] |= there;
            }
    }
    for (size_t w = 0; w < s->words && !m->has_fill_left && !m->has_fill_right; w++)
        twice[w] &= s->many_any[w];
    return lowest(twice, s->words, s->steps);
}

static bool
duplicate_error(struct slow *s, uint32_t a, uint32_t b, struct error *err)
{
    struct join *j = s->j;
    struct arena *arena = s->ev->arena;
    struct series group = match_labels(s->ev, j->match, &j->one->series[b]);
    struct buf x = { 0 }, y = { 0 }, g = { 0 };

    labels_print(series_text(s->ev, &j->one->series[a], arena), &x);
    labels_print(series_text(s->ev, &j->one->series[b], arena), &y);
    labels_print(series_text(s->ev, &group, arena), &g);
    struct str low = buf_as_str(&x), high = buf_as_str(&y);
    if (str_cmp(low, high) > 0) {
        low = buf_as_str(&y);
        high = buf_as_str(&x);
    }
    error_set(err, ERR_EXECUTION,
              "found duplicate series for the match group %.*s on the %s hand-side of the "
              "operation: [%.*s, %.*s]"
              ";many-to-many matching not allowed: matching labels must be unique on one side",
              STR_ARG(buf_as_str(&g)), j->swapped ? "left" : "right", STR_ARG(low), STR_ARG(high));
    buf_fini(&x);
    buf_fini(&y);
    buf_fini(&g);
    return false;
}

static bool
duplicate_at(struct slow *s, size_t k, struct error *err)
{
    struct join *j = s->j;
    const uint32_t *group_of = j->match->group_of[!j->many_side];
    uint32_t *seen =
        arena_alloc(s->ev->arena, arena_array_bytes(j->match->groups_nr, sizeof *seen));

    for (uint32_t g = 0; g < j->match->groups_nr; g++)
        seen[g] = NO_SERIES;
    for (uint32_t i = 0; i < j->one->series_nr; i++) {
        if (!column_has(&j->one->held[i], k))
            continue;
        if (seen[group_of[i]] != NO_SERIES)
            return duplicate_error(s, seen[group_of[i]], i, err);
        seen[group_of[i]] = i;
    }
    return true;
}

static bool
multiple_error(const struct slow *s, struct error *err)
{
    return error_set(err, ERR_EXECUTION, "multiple matches for labels: %s",
                     s->j->match->m->card == CARD_ONE_TO_ONE
                         ? "many-to-one matching must be explicit (group_left/group_right)"
                         : "grouping labels must ensure unique matches");
}

/* ---- results ---- */

/* Results of different groups may carry equal labels, at different steps. */
static void
slow_results(struct slow *s, struct node *n, size_t *same_at)
{
    struct series_index x;
    bool added;

    n->held = ARENA_NEW_ARRAY(s->ev->arena, struct column, s->outs_nr);
    series_index_init(&x, s->ev->arena);
    for (size_t i = 0; i < s->outs_nr; i++) {
        struct column *c = &s->outs[i]->c;
        uint32_t at = series_index_add(&x, &s->outs[i]->labels, &added);

        column_count(c);
        if (added) {
            n->held[at] = *c;
            continue;
        }
        for (size_t k = 0; k < s->steps; k++) {
            if (!column_has(c, k))
                continue;
            if (column_has(&n->held[at], k))
                *same_at = MIN(*same_at, k);
            keep_point(s, &n->held[at], k, column_value(c, k));
        }
        column_count(&n->held[at]);
    }
    n->series = x.items;
    n->series_nr = n->sources_nr = x.nr;
    series_index_fini(&x);
}

bool
join_slow(struct eval *ev, struct node *n, struct join *j, struct error *err)
{
    struct slow s = {
        .ev = ev, .j = j, .steps = node_steps(n), .last = { NO_SERIES, NO_SERIES, 0 }
    };
    size_t same_at = s.steps;

    s.words = COLUMN_WORDS(s.steps);
    s.multiple_at = s.steps;
    s.many_any = bits_new(&s);
    s.matched = ARENA_NEW_ARRAY(ev->arena, uint64_t *, j->match->groups_nr);
    ones_by_group(&s);
    if (!node_each(ev, j->many, slow_column, &s, err)) {
        table_fini(&s.by_labels);
        return false;
    }
    fill_many(&s);
    size_t duplicate = duplicate_step(&s);
    slow_results(&s, n, &same_at);
    table_fini(&s.by_labels);
    if (duplicate < s.steps && duplicate <= s.multiple_at && duplicate <= same_at)
        return duplicate_at(&s, duplicate, err);
    if (s.multiple_at < s.steps && s.multiple_at <= same_at)
        return multiple_error(&s, err);
    if (same_at < s.steps)
        return error_same_labels(err);
    for (uint32_t i = 0; i < n->series_nr; i++)
        tally_column(&ev->workers[0].tallies[n->id], &n->held[i]);
    return true;
}
