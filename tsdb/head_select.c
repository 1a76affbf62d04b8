/* Which series match. Matchers that a series without the label would fail lead: their lists are
 * united and intersected; matchers that the empty value passes as well take lists away. Lists are
 * taken under the postings' lock and read without it (head_postings.c). */
#include "base/mem.h"
#include "model/matcher.h"
#include "tsdb/head_priv.h"

enum { GUARD_EVERY = 1024, PREFETCH = 8 };

struct selection {
    struct head *h;
    struct query_guard *guard;
    struct arena *arena;
    struct error *err;
    uint32_t asked;
};

static bool
go_on(struct selection *sel)
{
    return sel->guard == NULL || ++sel->asked % GUARD_EVERY != 0 ||
           !sel->guard->stop(sel->guard, sel->err);
}

/* Short lists stand inside a struct that may move. */
static struct postings
stable(struct postings p, struct arena *arena)
{
    if (p.nr == 0 || p.nr > 2)
        return p;
    uint32_t *v = ARENA_NEW_ARRAY(arena, uint32_t, p.nr);
    memcpy(v, p.v, p.nr * sizeof *v);
    return (struct postings){ v, p.nr };
}

static struct postings
list_of(struct selection *sel, struct symbol_pair pair)
{
    rwlock_read(&sel->h->postings.lock);
    struct postings p = stable(head_postings_list(&sel->h->postings, pair), sel->arena);
    rwlock_release(&sel->h->postings.lock);
    return p;
}

static struct postings
list_of_value(struct selection *sel, symbol_id name, struct str value)
{
    symbol_id id = symbols_find(sel->h->o.symbols, value);

    return id == SYMBOL_NONE ? POSTINGS_NONE : list_of(sel, (struct symbol_pair){ name, id });
}

/* The values of a name with their lists, copied under the lock. */
struct values {
    symbol_id *ids;
    struct postings *lists;
    size_t nr;
};

static void
values_of(struct selection *sel, symbol_id name, struct values *out)
{
    const struct head_postings *p = &sel->h->postings;

    *out = (struct values){ 0 };
    rwlock_read(&sel->h->postings.lock);
    const struct posting_name *n = head_postings_name(p, name);
    if (n != NULL) {
        out->ids = ARENA_NEW_ARRAY(sel->arena, symbol_id, n->nr);
        out->lists = ARENA_NEW_ARRAY(sel->arena, struct postings, n->nr);
        for (uint32_t i = 0; i < n->nr; i++) {
            const struct posting_list *l = &p->lists[n->lists[i]];
            if (l->name == SYMBOL_NONE)
                continue; /* about to be swept */
            out->ids[out->nr] = l->value;
            out->lists[out->nr++] =
                stable((struct postings){ l->cap == 0 ? l->few : l->many, l->nr }, sel->arena);
        }
    }
    rwlock_release(&sel->h->postings.lock);
}

/* Series whose label has a value for which the matcher says `wanted`. */
static bool
matching_values(struct selection *sel, const struct matcher *m, symbol_id name, bool wanted,
                struct postings *out)
{
    struct values values;
    size_t nr = 0;

    values_of(sel, name, &values);
    for (size_t i = 0; i < values.nr; i++) {
        if (!go_on(sel))
            return false;
        if (matcher_matches(m, symbols_text(sel->h->o.symbols, values.ids[i])) == wanted)
            values.lists[nr++] = values.lists[i];
    }
    *out = nr == 0 ? POSTINGS_NONE : postings_union(sel->arena, values.lists, nr);
    return true;
}

static bool
matching_set(struct selection *sel, const struct matcher *m, symbol_id name, struct postings *out)
{
    const struct str *set;
    size_t nr = regex_set(m->re, &set);
    struct postings *lists = ARENA_NEW_ARRAY(sel->arena, struct postings, nr);

    for (size_t i = 0; i < nr; i++)
        lists[i] = list_of_value(sel, name, set[i]);
    *out = postings_union(sel->arena, lists, nr);
    return true;
}

/* What a matcher takes: the series that pass (the empty value does not), or those that fail (it
 * does). */
static bool
postings_of(struct selection *sel, const struct matcher *m, bool passes_empty, struct postings *out)
{
    symbol_id name = symbols_find(sel->h->o.symbols, m->name);
    const struct str *set;

    *out = POSTINGS_NONE;
    if (name == SYMBOL_NONE)
        return true;
    if (m->type == MATCH_EQ && !passes_empty) {
        *out = list_of_value(sel, name, m->value);
        return true;
    }
    if (m->type == MATCH_NE && passes_empty) {
        *out = list_of_value(sel, name, m->value);
        return true;
    }
    if (m->re != NULL && regex_set(m->re, &set) > 0 && (m->type == MATCH_RE) != passes_empty)
        return matching_set(sel, m, name, out);
    return matching_values(sel, m, name, !passes_empty, out);
}

static bool
select_slots(struct selection *sel, const struct matcher *matchers, size_t nr, struct postings *out)
{
    struct postings *with = ARENA_NEW_ARRAY(sel->arena, struct postings, nr + 1);
    struct postings *without = ARENA_NEW_ARRAY(sel->arena, struct postings, nr + 1);
    size_t with_nr = 0, without_nr = 0;

    for (size_t i = 0; i < nr; i++) {
        bool passes_empty = matcher_matches_empty(&matchers[i]);
        struct postings *p = passes_empty ? &without[without_nr++] : &with[with_nr++];
        if (!postings_of(sel, &matchers[i], passes_empty, p))
            return false;
        if (!passes_empty && p->nr == 0) {
            *out = POSTINGS_NONE;
            return true;
        }
    }
    if (with_nr == 0)
        with[with_nr++] = list_of(sel, (struct symbol_pair){ SYMBOL_NONE, SYMBOL_NONE });
    *out = with_nr == 1 ? with[0] : postings_intersect(sel->arena, with, with_nr);
    for (size_t i = 0; i < without_nr; i++)
        *out = postings_subtract(sel->arena, *out, without[i]);
    return true;
}

/* As far as chunk bounds tell. */
static bool
overlaps(struct head_series *s, int64_t min_ms, int64_t max_ms)
{
    bool yes = false;

    series_lock(s);
    if ((s->flags & SERIES_LIVE) != 0 && series_has_samples(s) && s->xor.t_ms >= min_ms) {
        struct chunk open;
        yes = head_open_chunk(s, &open) && open.min_ms <= max_ms && open.max_ms >= min_ms;
        for (uint32_t i = s->sealed_nr; !yes && i-- > 0;)
            yes = s->sealed[i].min_ms <= max_ms && sealed_max_ms(&s->sealed[i]) >= min_ms;
    }
    series_unlock(s);
    return yes;
}

/* False when the slots were renumbered since they were taken. */
static bool
sids_of(struct selection *sel, struct postings slots, uint32_t numbering, uint32_t **out)
{
    const struct head_postings *p = &sel->h->postings;
    uint32_t *sids = ARENA_NEW_ARRAY(sel->arena, uint32_t, slots.nr);

    rwlock_read(&sel->h->postings.lock);
    bool same = p->numbering == numbering;
    for (size_t i = 0; same && i < slots.nr; i++)
        sids[i] = head_postings_sid(p, slots.v[i]);
    rwlock_release(&sel->h->postings.lock);
    *out = sids;
    return same;
}

static bool
select_sids(struct selection *sel, const struct matcher *matchers, size_t matchers_nr,
            uint32_t **sids, size_t *nr)
{
    struct postings slots;
    uint32_t numbering;

    do {
        rwlock_read(&sel->h->postings.lock);
        numbering = sel->h->postings.numbering;
        rwlock_release(&sel->h->postings.lock);
        if (!select_slots(sel, matchers, matchers_nr, &slots))
            return false;
    } while (!sids_of(sel, slots, numbering, sids));
    *nr = slots.nr;
    return true;
}

bool
head_select(struct head_reader *r, const struct matcher *matchers, size_t matchers_nr,
            int64_t min_ms, int64_t max_ms, struct query_guard *guard, struct arena *arena,
            struct head_series ***series, size_t *nr, struct error *err)
{
    struct selection sel = { .h = r->head, .guard = guard, .arena = arena, .err = err };
    uint32_t *sids;
    size_t sids_nr;

    if (!select_sids(&sel, matchers, matchers_nr, &sids, &sids_nr))
        return false;
    struct head_series **v = ARENA_NEW_ARRAY(arena, struct head_series *, sids_nr);
    *nr = 0;
    for (size_t i = 0; i < sids_nr; i++) {
        if (!go_on(&sel))
            return false;
        if (i + PREFETCH < sids_nr)
            __builtin_prefetch(head_series_at(r->head, sids[i + PREFETCH]));
        if (sids[i] == SID_NONE)
            continue; /* collected since */
        struct head_series *s = head_series_at(r->head, sids[i]);
        if (overlaps(s, min_ms, max_ms))
            v[(*nr)++] = s;
    }
    *series = v;
    return true;
}

void
head_label_names(struct head_reader *r, struct arena *arena, symbol_id **ids, size_t *nr)
{
    struct head_postings *p = &r->head->postings;

    rwlock_read(&p->lock);
    *nr = p->names_nr;
    *ids = ARENA_NEW_ARRAY(arena, symbol_id, p->names_nr);
    for (size_t i = 0; i < p->names_nr; i++)
        (*ids)[i] = p->names[i].name;
    rwlock_release(&p->lock);
}

void
head_label_values(struct head_reader *r, symbol_id name, struct arena *arena, symbol_id **ids,
                  size_t *nr)
{
    struct selection sel = { .h = r->head, .arena = arena };
    struct values values;

    values_of(&sel, name, &values);
    *ids = values.ids;
    *nr = values.nr;
}

void
head_pairs_walk(struct head *h, head_pair_fn fn, void *arg)
{
    const struct head_postings *p = &h->postings;

    rwlock_read(&h->postings.lock);
    for (size_t i = 0; i < p->names_nr; i++) {
        for (uint32_t k = 0; k < p->names[i].nr; k++) {
            const struct posting_list *l = &p->lists[p->names[i].lists[k]];
            if (l->name != SYMBOL_NONE)
                fn(arg, l->name, l->value, l->nr);
        }
    }
    rwlock_release(&h->postings.lock);
}

uint64_t
head_pairs_nr(struct head *h)
{
    rwlock_read(&h->postings.lock);
    uint64_t nr = h->postings.table_nr;
    rwlock_release(&h->postings.lock);
    return nr;
}
