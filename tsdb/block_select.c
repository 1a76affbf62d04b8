/* Matchers to series references, as Prometheus decides it: a matcher that the empty value passes
 * can only take series away (those that have a value which does not pass); one that it does not
 * pass selects the series with passing values. Values are copied out of the mapping a batch at a
 * time, so that expressions are matched outside the SIGBUS guard. */
#include "base/mem.h"
#include "tsdb/block_priv.h"

enum { BATCH_NR = 1024 };

/* Lists of references that one matcher brought together. */
struct lists {
    struct postings *v;
    size_t nr, cap;
};

/* One batch of values of a name, copied to the arena. */
struct batch {
    struct block *b;
    const struct index_name *name;
    struct arena *arena;
    uint32_t from_nr, nr;
    struct str *values;
    uint64_t *postings_at;
    struct str prefix; /* the first batch starts at it, the last one ends behind it */
    bool started, ended;
};

static bool
batch_copy(void *arg, struct error *err)
{
    struct batch *q = arg;
    struct index_values it;
    struct str value;
    uint64_t at;

    if (!q->started && q->prefix.n != 0)
        q->from_nr = index_values_find(&q->b->index, q->name, q->prefix);
    q->started = true;
    index_values_start(&it, &q->b->index, q->name, q->from_nr);
    for (q->nr = 0; q->nr < BATCH_NR && index_values_next(&it, &value, &at); q->nr++) {
        if (!str_starts(value, q->prefix)) {
            q->ended = true;
            break;
        }
        q->values[q->nr] = arena_str(q->arena, value);
        q->postings_at[q->nr] = at;
    }
    q->ended |= q->nr < BATCH_NR;
    if (it.at.bad)
        return error_set(err, ERR_CORRUPT, "postings table does not decode");
    return true;
}

struct list_read {
    struct block *b;
    struct arena *arena;
    const uint64_t *at;
    size_t at_nr;
    struct lists *out;
};

static bool
lists_copy(void *arg, struct error *err)
{
    struct list_read *q = arg;

    for (size_t i = 0; i < q->at_nr; i++) {
        struct postings list;
        if (!index_postings(&q->b->index, q->at[i], q->arena, &list, err))
            return false;
        MEM_GROW(q->out->v, q->out->nr + 1, &q->out->cap);
        q->out->v[q->out->nr++] = list;
    }
    return true;
}

/* The list of one value, if it is there. */
struct value_read {
    struct block *b;
    const struct index_name *name;
    struct str value;
    struct arena *arena;
    struct lists *out;
};

static bool
value_copy(void *arg, struct error *err)
{
    struct value_read *q = arg;
    struct index_values it;
    struct str value;
    uint64_t at;

    index_values_start(&it, &q->b->index, q->name,
                       index_values_find(&q->b->index, q->name, q->value));
    if (!index_values_next(&it, &value, &at) || !str_eq(value, q->value))
        return true;
    struct list_read list = { q->b, q->arena, &at, 1, q->out };
    return lists_copy(&list, err);
}

static bool
value_add(struct block *b, const struct index_name *name, struct str value, struct arena *arena,
          struct lists *out, struct error *err)
{
    struct value_read q = { b, name, value, arena, out };

    return io_guarded_read(value_copy, &q, err);
}

/* The lists of those values of the batch that pass. */
static bool
batch_match(struct batch *q, const struct matcher *m, bool inverse, struct arena *arena,
            struct lists *out, struct error *err)
{
    size_t hits = 0;

    for (uint32_t i = 0; i < q->nr; i++)
        if (matcher_matches(m, q->values[i]) != inverse)
            q->postings_at[hits++] = q->postings_at[i];
    struct list_read lists = { q->b, arena, q->postings_at, hits, out };
    return io_guarded_read(lists_copy, &lists, err);
}

static bool
values_scan(struct block *b, const struct index_name *name, const struct matcher *m, bool inverse,
            struct query_guard *guard, struct arena *arena, struct lists *out, struct error *err)
{
    struct arena scratch;
    bool ok = true;

    arena_init(&scratch, SIZE_MAX);
    struct batch q = { .b = b, .name = name, .arena = &scratch };
    q.values = ARENA_NEW_ARRAY(&scratch, struct str, BATCH_NR);
    q.postings_at = ARENA_NEW_ARRAY(&scratch, uint64_t, BATCH_NR);
    if (m->type == MATCH_RE && !inverse)
        q.prefix = regex_prefix(m->re);
    struct arena_mark mark = arena_mark(&scratch);
    while (ok && !q.ended) {
        arena_rewind(&scratch, mark);
        ok = (guard == NULL || !guard->stop(guard, err)) && io_guarded_read(batch_copy, &q, err) &&
             batch_match(&q, m, inverse, arena, out, err);
        q.from_nr += q.nr;
    }
    arena_fini(&scratch);
    return ok;
}

static bool
set_add(struct block *b, const struct index_name *name, const struct matcher *m,
        struct arena *arena, struct lists *out, struct error *err)
{
    const struct str *literals;
    size_t nr = regex_set(m->re, &literals);

    for (size_t i = 0; i < nr; i++)
        if (!value_add(b, name, literals[i], arena, out, err))
            return false;
    return true;
}

/* The lists of the values that pass m; inverse: of those that do not. */
static bool
matcher_lists(struct block *b, const struct matcher *m, bool inverse, struct query_guard *guard,
              struct arena *arena, struct lists *out, struct error *err)
{
    const struct index_name *name = index_name_find(&b->index, m->name);
    const struct str *literals;

    if (name == NULL || m->name.n == 0)
        return true;
    if ((m->type == MATCH_EQ && !inverse) || (m->type == MATCH_NE && inverse))
        return value_add(b, name, m->value, arena, out, err);
    if (m->type == MATCH_RE && inverse && regex_matches_all(m->re))
        return true;
    if ((m->type == MATCH_RE && !inverse) || (m->type == MATCH_NRE && inverse))
        if (regex_set(m->re, &literals) > 0)
            return set_add(b, name, m, arena, out, err);
    return values_scan(b, name, m, inverse, guard, arena, out, err);
}

static bool
all_postings(struct block *b, struct arena *arena, struct postings *all, struct error *err)
{
    const struct index_name *name = index_name_find(&b->index, STR_NONE);
    struct lists lists = { 0 };
    bool ok = name == NULL || value_add(b, name, STR_NONE, arena, &lists, err);

    *all = ok && lists.nr > 0 ? lists.v[0] : POSTINGS_NONE;
    mem_free(lists.v);
    return ok;
}

/* Fills with[] and without[], one set per matcher. */
static bool
sets_make(struct block *b, const struct matcher *matchers, size_t nr, struct query_guard *guard,
          struct arena *arena, struct postings *with, size_t *with_nr, struct postings *without,
          size_t *without_nr, struct error *err)
{
    for (size_t i = 0; i < nr; i++) {
        bool inverse = matcher_matches_empty(&matchers[i]);
        struct lists lists = { 0 };
        bool ok = matcher_lists(b, &matchers[i], inverse, guard, arena, &lists, err);
        struct postings set = ok ? postings_union(arena, lists.v, lists.nr) : POSTINGS_NONE;
        mem_free(lists.v);
        if (!ok)
            return false;
        if (inverse)
            without[(*without_nr)++] = set;
        else
            with[(*with_nr)++] = set;
    }
    if (*with_nr == 0)
        return all_postings(b, arena, &with[(*with_nr)++], err);
    return true;
}

bool
block_select(struct block *b, const struct matcher *matchers, size_t matchers_nr,
             struct query_guard *guard, struct arena *arena, struct postings *refs,
             struct error *err)
{
    struct postings *with = ARENA_NEW_ARRAY(arena, struct postings, matchers_nr + 1);
    struct postings *without = ARENA_NEW_ARRAY(arena, struct postings, matchers_nr + 1);
    size_t with_nr = 0, without_nr = 0;

    if (!sets_make(b, matchers, matchers_nr, guard, arena, with, &with_nr, without, &without_nr,
                   err)) {
        if (err->kind == ERR_CORRUPT || err->kind == ERR_IO)
            error_wrap(err, "block '%s'", b->dir);
        return false;
    }
    struct postings set = postings_intersect(arena, with, with_nr);
    for (size_t i = 0; i < without_nr; i++)
        set = postings_subtract(arena, set, without[i]);
    *refs = set;
    return true;
}

bool
block_label_names(struct block *b, struct arena *arena, struct str **names, size_t *nr,
                  struct error *err)
{
    struct str *out = ARENA_NEW_ARRAY(arena, struct str, b->index.names_nr + 1);
    size_t n = 0;

    (void)err;
    for (size_t i = 0; i < b->index.names_nr; i++)
        if (b->index.names[i].name.n != 0)
            out[n++] = arena_str(arena, b->index.names[i].name);
    *names = out;
    *nr = n;
    return true;
}

struct values_read {
    struct block *b;
    const struct index_name *name;
    struct arena *arena;
    struct str *values;
    size_t nr;
};

static bool
values_copy(void *arg, struct error *err)
{
    struct values_read *q = arg;
    struct index_values it;
    struct str value;
    uint64_t at;

    index_values_start(&it, &q->b->index, q->name, 0);
    while (index_values_next(&it, &value, &at))
        q->values[q->nr++] = arena_str(q->arena, value);
    if (it.at.bad)
        return error_set(err, ERR_CORRUPT, "postings table does not decode");
    return true;
}

bool
block_label_values(struct block *b, struct str name, struct arena *arena, struct str **values,
                   size_t *nr, struct error *err)
{
    struct values_read q = { .b = b, .arena = arena, .name = index_name_find(&b->index, name) };

    *values = NULL;
    *nr = 0;
    if (q.name == NULL || name.n == 0)
        return true;
    q.values = ARENA_NEW_ARRAY(arena, struct str, q.name->values_nr);
    if (!io_guarded_read(values_copy, &q, err))
        return error_wrap(err, "block '%s'", b->dir);
    *values = q.values;
    *nr = q.nr;
    return true;
}
