/* Labels by id. Within one query equal ids mean equal text: ids are the querier's, and text that
 * the query itself makes (label_replace, count_values) gets an id of the querier when it has one,
 * else a number from MADE_SYMBOLS on. Pairs stay sorted by the text of their names, so that
 * printing and comparing need no sort. */
#include "promql/exec_priv.h"

#include "base/hash.h"
#include "base/mem.h"

struct str
eval_text(const struct eval *ev, symbol_id id)
{
    if (id == SYMBOL_EMPTY || id == SYMBOL_NONE)
        return STR_NONE;
    return id >= MADE_SYMBOLS ? ev->made[id - MADE_SYMBOLS] : querier_symbol(ev->q, id);
}

struct made_symbol {
    struct str text;
    symbol_id id;
};

static bool
made_is(const void *item, const void *key)
{
    const struct made_symbol *m = item;

    return str_eq(m->text, *(const struct str *)key);
}

symbol_id
eval_symbol(struct eval *ev, struct str text)
{
    if (text.n == 0)
        return SYMBOL_EMPTY;
    symbol_id id = ev->q->ops->symbol_find(ev->q, text);
    if (id != SYMBOL_NONE)
        return id;
    uint64_t hash = hash64_str(text);
    struct made_symbol *m = table_find(&ev->texts, hash, made_is, &text);
    if (m != NULL)
        return m->id;
    m = ARENA_NEW(ev->keep, struct made_symbol);
    *m = (struct made_symbol){ arena_str(ev->keep, text), MADE_SYMBOLS + (symbol_id)ev->made_nr };
    MEM_GROW(ev->made, ev->made_nr + 1, &ev->made_cap);
    ev->made[ev->made_nr++] = m->text;
    table_add(&ev->texts, hash, m);
    return m->id;
}

symbol_id
pairs_get(const struct series *s, symbol_id name)
{
    for (uint32_t i = 0; i < s->nr; i++)
        if (s->pairs[i].name == name)
            return s->pairs[i].value;
    return SYMBOL_EMPTY;
}

uint64_t
pairs_hash(const struct symbol_pair *pairs, uint32_t nr)
{
    uint64_t hash = nr;

    for (uint32_t i = 0; i < nr; i++)
        hash = hash64_mix(hash, (uint64_t)pairs[i].name << 32 | pairs[i].value);
    return hash;
}

bool
pairs_eq(const struct series *a, const struct series *b)
{
    return a->nr == b->nr &&
           (a->nr == 0 || memcmp(a->pairs, b->pairs, a->nr * sizeof a->pairs[0]) == 0);
}

struct names
names_of(struct eval *ev, const struct str *texts, size_t nr)
{
    struct names names = { ARENA_NEW_ARRAY(ev->arena, symbol_id, nr + 1), 0 };

    for (size_t i = 0; i < nr; i++)
        names.v[names.nr++] = eval_symbol(ev, texts[i]);
    return names;
}

bool
names_has(const struct names *names, symbol_id id)
{
    for (uint32_t i = 0; i < names->nr; i++)
        if (names->v[i] == id)
            return true;
    return false;
}

/* Room for nr pairs; what is not used stays with the arena. */
static struct symbol_pair *
pairs_new(struct eval *ev, uint32_t nr)
{
    return arena_alloc(ev->arena, MAX(nr, 1u) * sizeof(struct symbol_pair));
}

struct series
series_keep(struct eval *ev, const struct series *s, const struct names *names)
{
    struct symbol_pair *pairs = pairs_new(ev, MIN(s->nr, names->nr));
    uint32_t nr = 0;

    for (uint32_t i = 0; i < s->nr && nr < names->nr; i++)
        if (names_has(names, s->pairs[i].name))
            pairs[nr++] = s->pairs[i];
    return (struct series){ pairs, nr, s->drop_name };
}

struct series
series_without(struct eval *ev, const struct series *s, const struct names *names, bool drop_name)
{
    struct symbol_pair *pairs = pairs_new(ev, s->nr);
    uint32_t nr = 0;

    for (uint32_t i = 0; i < s->nr; i++)
        if (!names_has(names, s->pairs[i].name) && !(drop_name && s->pairs[i].name == ev->name_id))
            pairs[nr++] = s->pairs[i];
    return (struct series){ pairs, nr, s->drop_name };
}

static bool
reserved(const struct eval *ev, symbol_id name)
{
    return name == ev->name_id || name == ev->type_id || name == ev->unit_id;
}

struct series
series_nameless(struct eval *ev, struct series s)
{
    uint32_t front = 0, rest = 0;

    if (s.nr == 0)
        return s;
    while (front < s.nr && reserved(ev, s.pairs[front].name))
        front++;
    for (uint32_t i = front; i < s.nr; i++)
        rest += reserved(ev, s.pairs[i].name);
    if (rest == 0)
        return (struct series){ s.pairs + front, s.nr - front, s.drop_name };
    symbol_id v[3] = { ev->name_id, ev->type_id, ev->unit_id };
    struct names names = { v, 3 };
    return series_without(ev, &s, &names, false);
}

struct series
series_anonymous(struct eval *ev, struct series s)
{
    if (!ev->delayed_names)
        return series_nameless(ev, s);
    s.drop_name = true;
    return s;
}

struct series
series_unnamed(struct eval *ev, struct series s)
{
    struct names name = { &ev->name_id, 1 };

    if (!ev->delayed_names)
        return series_without(ev, &s, &name, false);
    s.drop_name = true;
    return s;
}

struct series
series_set_label(struct eval *ev, const struct series *s, symbol_id name, symbol_id value)
{
    struct symbol_pair *pairs = pairs_new(ev, s->nr + 1);
    uint32_t nr = 0;
    bool placed = value == SYMBOL_EMPTY;
    struct str text = eval_text(ev, name);

    for (uint32_t i = 0; i < s->nr; i++) {
        if (s->pairs[i].name == name)
            continue;
        if (!placed && str_cmp(eval_text(ev, s->pairs[i].name), text) > 0) {
            pairs[nr++] = (struct symbol_pair){ name, value };
            placed = true;
        }
        pairs[nr++] = s->pairs[i];
    }
    if (!placed)
        pairs[nr++] = (struct symbol_pair){ name, value };
    return (struct series){ pairs, nr, s->drop_name };
}

struct labels
series_text(const struct eval *ev, const struct series *s, struct arena *arena)
{
    struct label *v = ARENA_NEW_ARRAY(arena, struct label, s->nr);

    for (uint32_t i = 0; i < s->nr; i++)
        v[i] = (struct label){ eval_text(ev, s->pairs[i].name), eval_text(ev, s->pairs[i].value) };
    return (struct labels){ v, s->nr };
}

struct str
series_name(const struct eval *ev, const struct series *s)
{
    return eval_text(ev, pairs_get(s, ev->name_id));
}

int
series_cmp(const struct eval *ev, const struct series *a, const struct series *b)
{
    uint32_t nr = MIN(a->nr, b->nr);

    for (uint32_t i = 0; i < nr; i++) {
        const struct symbol_pair *x = &a->pairs[i], *y = &b->pairs[i];
        if (x->name != y->name)
            return str_cmp(eval_text(ev, x->name), eval_text(ev, y->name));
        if (x->value != y->value)
            return str_cmp(eval_text(ev, x->value), eval_text(ev, y->value));
    }
    return (a->nr > b->nr) - (a->nr < b->nr);
}

/* ---- sets of label sets ---- */

struct indexed {
    struct series series;
    uint32_t at;
};

static bool
indexed_is(const void *item, const void *key)
{
    const struct indexed *x = item;

    return pairs_eq(&x->series, key);
}

void
series_index_init(struct series_index *x, struct arena *arena)
{
    *x = (struct series_index){ .arena = arena };
}

void
series_index_fini(struct series_index *x)
{
    table_fini(&x->table);
}

uint32_t
series_index_add(struct series_index *x, const struct series *s, bool *added)
{
    uint64_t hash = pairs_hash(s->pairs, s->nr);
    struct indexed *item = table_find(&x->table, hash, indexed_is, s);

    *added = item == NULL;
    if (item != NULL)
        return item->at;
    item = arena_alloc(x->arena, sizeof *item);
    *item = (struct indexed){ *s, x->nr };
    table_add(&x->table, hash, item);
    if (x->nr == x->cap) {
        size_t cap = x->cap;
        ARENA_GROW(x->arena, x->items, x->nr, x->nr + 1, &cap);
        x->cap = (uint32_t)cap;
    }
    x->items[x->nr] = *s;
    return x->nr++;
}

uint32_t
series_index_find(const struct series_index *x, const struct series *s)
{
    struct indexed *item = table_find(&x->table, pairs_hash(s->pairs, s->nr), indexed_is, s);

    return item == NULL ? UINT32_MAX : item->at;
}

/* ---- candidates that share their labels ---- */

/* Numbers the output of each candidate; false when all differ. */
static bool
share(struct eval *ev, const struct series *candidates, uint32_t nr, uint32_t *out,
      struct series_index *x)
{
    bool shared = false, added;

    series_index_init(x, ev->arena);
    table_reserve(&x->table, nr);
    for (uint32_t i = 0; i < nr; i++) {
        out[i] = series_index_add(x, &candidates[i], &added);
        shared |= !added;
    }
    return shared;
}

/* Turns "output of each candidate" round into "candidates of each output". */
static void
invert(struct eval *ev, struct node *n, const uint32_t *out, uint32_t nr, uint32_t outputs_nr)
{
    uint32_t *fill = ARENA_NEW_ARRAY(ev->arena, uint32_t, outputs_nr + 1);

    n->first = ARENA_NEW_ARRAY(ev->arena, uint32_t, outputs_nr + 1);
    n->sources = ARENA_NEW_ARRAY(ev->arena, uint32_t, nr);
    for (uint32_t i = 0; i < nr; i++)
        n->first[out[i] + 1]++;
    for (uint32_t i = 0; i < outputs_nr; i++)
        n->first[i + 1] += n->first[i];
    memcpy(fill, n->first, (outputs_nr + 1) * sizeof *fill);
    for (uint32_t i = 0; i < nr; i++)
        n->sources[fill[out[i]]++] = i;
}

void
node_series(struct eval *ev, struct node *n, struct series *candidates, uint32_t nr)
{
    struct series_index x;
    uint32_t *out = arena_alloc(ev->arena, arena_array_bytes(nr, sizeof *out));

    n->sources_nr = nr;
    if (nr > 1 && share(ev, candidates, nr, out, &x)) {
        invert(ev, n, out, nr, x.nr);
        n->series = x.items;
        n->series_nr = x.nr;
    } else {
        n->series = candidates;
        n->series_nr = nr;
        n->first = n->sources = NULL;
    }
    if (nr > 1)
        series_index_fini(&x);
}

bool
error_same_labels(struct error *err)
{
    return error_set(err, ERR_EXECUTION, "vector cannot contain metrics with the same labelset");
}

static void
move_points(struct column *into, const struct column *c)
{
    for (size_t k = 0; k < c->nr; k++) {
        if (!column_has(c, k))
            continue;
        column_mark(into, k);
        into->v[k] = c->v[k];
        if (into->h != NULL)
            into->h[k] = column_histogram(c, k);
    }
    into->present_nr += c->present_nr;
}

static bool
overlap(const struct column *a, const struct column *b)
{
    for (size_t i = 0; i < COLUMN_WORDS(a->nr); i++)
        if ((a->present[i] & b->present[i]) != 0)
            return true;
    return false;
}

bool
node_merge(struct eval *ev, struct node *n, uint32_t i, struct worker *w, source_fn fn,
           struct column *out, struct error *err)
{
    if (n->first == NULL)
        return fn(ev, n, i, w, out, err);
    column_new(&w->arena, out, node_steps(n), false);
    for (uint32_t k = n->first[i]; k < n->first[i + 1]; k++) {
        struct column c;

        if (!fn(ev, n, n->sources[k], w, &c, err))
            return false;
        if (c.present_nr == 0)
            continue;
        if (overlap(out, &c))
            return error_same_labels(err);
        if (c.h != NULL && out->h == NULL)
            out->h = ARENA_NEW_ARRAY(&w->arena, const struct histogram *, out->nr);
        move_points(out, &c);
    }
    return true;
}
