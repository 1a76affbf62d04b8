#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"
#include "tsdb/querier_priv.h"

enum { GUARD_EVERY = 1024 };

static struct db_querier *
querier_of(struct querier *q)
{
    return CONTAINER_OF(q, struct db_querier, base);
}

/* ---- selecting ---- */

/* Series found so far, by their pairs: equal ids mean equal strings, and all sources sort pairs by
 * name text. */
struct merging {
    struct db_querier *q;
    struct merged_series *series;
    size_t nr, cap;
    uint32_t *table; /* open addressing: index + 1; NULL while one source is all there is */
    unsigned table_log;
    size_t asked;
};

static uint64_t
pairs_hash(const struct symbol_pair *pairs, uint32_t nr)
{
    return hash64(pairs, nr * sizeof *pairs);
}

static void
table_put(struct merging *m, uint32_t index)
{
    const struct merged_series *s = &m->series[index];
    size_t mask = ((size_t)1 << m->table_log) - 1, i = pairs_hash(s->pairs, s->pairs_nr) & mask;

    while (m->table[i] != 0)
        i = (i + 1) & mask;
    m->table[i] = index + 1;
}

static void
table_reserve(struct merging *m, size_t more)
{
    unsigned log = 6;

    while ((m->nr + more) * 2 > (size_t)1 << log)
        log++;
    if (m->table != NULL && log <= m->table_log)
        return;
    m->table_log = log;
    m->table = ARENA_NEW_ARRAY(&m->q->arena, uint32_t, (size_t)1 << log);
    for (uint32_t i = 0; i < m->nr; i++)
        table_put(m, i);
}

static struct merged_series *
merged_find(struct merging *m, const struct symbol_pair *pairs, uint32_t nr)
{
    size_t mask = ((size_t)1 << m->table_log) - 1;

    if (m->table == NULL)
        return NULL;
    for (size_t i = pairs_hash(pairs, nr) & mask; m->table[i] != 0; i = (i + 1) & mask) {
        struct merged_series *s = &m->series[m->table[i] - 1];
        if (s->pairs_nr == nr && memcmp(s->pairs, pairs, nr * sizeof *pairs) == 0)
            return s;
    }
    return NULL;
}

static void
merged_add(struct merging *m, const struct symbol_pair *pairs, uint32_t pairs_nr,
           struct series_part part)
{
    struct arena *arena = &m->q->arena;
    struct merged_series *s = merged_find(m, pairs, pairs_nr);

    if (s == NULL) {
        ARENA_GROW(arena, m->series, m->nr, m->nr + 1, &m->cap);
        s = &m->series[m->nr++];
        *s = (struct merged_series){ pairs, pairs_nr, 1, ARENA_NEW(arena, struct series_part) };
        s->parts[0] = part;
        if (m->table != NULL)
            table_put(m, (uint32_t)(m->nr - 1));
        return;
    }
    struct series_part *parts = ARENA_NEW_ARRAY(arena, struct series_part, s->parts_nr + 1u);
    memcpy(parts, s->parts, s->parts_nr * sizeof *parts);
    parts[s->parts_nr++] = part;
    s->parts = parts;
}

static bool
go_on(struct merging *m, struct error *err)
{
    struct query_guard *guard = m->q->base.guard;

    return guard == NULL || ++m->asked % GUARD_EVERY != 0 || !guard->stop(guard, err);
}

/* Only the chunks that overlap are kept. */
static void
trim_chunks(struct block_series *s, int64_t min_ms, int64_t max_ms)
{
    while (s->chunks_nr > 0 && s->chunks[0].max_ms < min_ms) {
        s->chunks++;
        s->chunks_nr--;
    }
    while (s->chunks_nr > 0 && s->chunks[s->chunks_nr - 1].min_ms > max_ms)
        s->chunks_nr--;
}

static bool
add_block(struct merging *m, struct block *b, const struct matcher *matchers, size_t nr,
          int64_t min_ms, int64_t max_ms, struct error *err)
{
    struct arena *arena = &m->q->arena;
    struct postings refs;

    if (!block_select(b, matchers, nr, m->q->base.guard, arena, &refs, err))
        return false;
    if (m->nr > 0) /* series of one source differ: the table is for those after the first */
        table_reserve(m, refs.nr);
    for (size_t i = 0; i < refs.nr; i++) {
        struct block_series s;
        if (!go_on(m, err) || !block_series(b, refs.v[i], arena, &s, err))
            return false;
        trim_chunks(&s, min_ms, max_ms);
        if (s.chunks_nr == 0)
            continue;
        struct series_part part = { .block = b };
        part.ref = refs.v[i];
        part.chunks = s.chunks;
        part.chunks_nr = s.chunks_nr;
        merged_add(m, s.pairs, s.pairs_nr, part);
    }
    return true;
}

static bool
add_head(struct merging *m, const struct matcher *matchers, size_t nr, int64_t min_ms,
         int64_t max_ms, struct error *err)
{
    struct db_querier *q = m->q;
    struct head_series **series;
    size_t series_nr;

    if (!head_select(&q->head, matchers, nr, min_ms, max_ms, q->base.guard, &q->arena, &series,
                     &series_nr, err))
        return false;
    if (m->nr > 0)
        table_reserve(m, series_nr);
    for (size_t i = 0; i < series_nr; i++) {
        uint32_t pairs_nr;
        const struct symbol_pair *pairs = head_series_pairs(series[i], &pairs_nr);
        merged_add(m, pairs, pairs_nr, (struct series_part){ .head = series[i] });
    }
    return true;
}

static bool
overlaps(const struct block *b, int64_t min_ms, int64_t max_ms)
{
    const struct block_meta *meta = block_meta(b);

    return meta->min_ms <= max_ms && meta->max_ms > min_ms; /* max_ms is exclusive */
}

/* Series of all sources that match and overlap, unsorted. */
static bool
collect(struct merging *m, const struct matcher *matchers, size_t nr, int64_t min_ms,
        int64_t max_ms, struct error *err)
{
    struct db_querier *q = m->q;

    for (size_t i = 0; i < q->blocks_nr; i++)
        if (overlaps(q->blocks[i], min_ms, max_ms) &&
            !add_block(m, q->blocks[i], matchers, nr, min_ms, max_ms, err))
            return false;
    return !q->has_head || add_head(m, matchers, nr, MAX(min_ms, q->head_min_ms), max_ms, err);
}

static int
series_cmp(const void *a, const void *b, void *arg)
{
    const struct merged_series *x = a, *y = b;
    struct symbols *symbols = arg;
    uint32_t nr = MIN(x->pairs_nr, y->pairs_nr);

    for (uint32_t i = 0; i < nr; i++) {
        if (x->pairs[i].name != y->pairs[i].name)
            return str_cmp(symbols_text(symbols, x->pairs[i].name),
                           symbols_text(symbols, y->pairs[i].name));
        if (x->pairs[i].value != y->pairs[i].value)
            return str_cmp(symbols_text(symbols, x->pairs[i].value),
                           symbols_text(symbols, y->pairs[i].value));
    }
    return (x->pairs_nr > y->pairs_nr) - (x->pairs_nr < y->pairs_nr);
}

static bool
select_series(struct querier *base, const struct matcher *matchers, size_t nr,
              const struct select_hints *hints, struct series_set **out, struct error *err)
{
    struct db_querier *q = querier_of(base);
    struct merging m = { .q = q };
    int64_t min_ms = hints == NULL ? base->min_ms : MAX(base->min_ms, hints->min_ms);
    int64_t max_ms = hints == NULL ? base->max_ms : MIN(base->max_ms, hints->max_ms);

    if (!collect(&m, matchers, nr, min_ms, max_ms, err))
        return false;
    if (arena_over(&q->arena))
        return error_set(err, ERR_LIMIT, "the query selects too many series");
    if (hints != NULL && hints->sorted && m.nr > 1)
        qsort_r(m.series, m.nr, sizeof *m.series, series_cmp, q->symbols);
    if (hints != NULL && hints->limit != 0)
        m.nr = MIN(m.nr, hints->limit);
    if (m.nr > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "the query selects %zu series", m.nr);
    struct db_series_set *set = ARENA_NEW(&q->arena, struct db_series_set);
    *set = (struct db_series_set){ { &db_series_set_ops, base, (uint32_t)m.nr }, m.series };
    *out = &set->base;
    return true;
}

/* ---- label names and values ---- */

struct texts {
    struct arena *arena;
    struct str *v;
    size_t nr, cap;
};

static void
texts_add(struct texts *t, struct str s)
{
    ARENA_GROW(t->arena, t->v, t->nr, t->nr + 1, &t->cap);
    t->v[t->nr++] = s;
}

static int
text_cmp(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorted, unique, at most limit, copied into the arena (texts may belong to symbols that live as
 * long as the querier only). */
static void
texts_out(struct texts *t, size_t limit, struct str **out, size_t *out_nr, bool *truncated)
{
    size_t nr = 0;

    if (t->nr > 0)
        qsort(t->v, t->nr, sizeof *t->v, text_cmp);
    *truncated = false;
    for (size_t i = 0; i < t->nr; i++) {
        if (nr > 0 && str_eq(t->v[i], t->v[nr - 1]))
            continue;
        if (limit != 0 && nr == limit) {
            *truncated = true;
            break;
        }
        t->v[nr++] = t->v[i];
    }
    for (size_t i = 0; i < nr; i++)
        t->v[i] = arena_str(t->arena, t->v[i]);
    *out = t->v;
    *out_nr = nr;
}

static bool
ids_add(struct db_querier *q, struct texts *t, const symbol_id *ids, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        texts_add(t, symbols_text(q->symbols, ids[i]));
    return true;
}

static bool
all_names(struct db_querier *q, struct texts *t, struct error *err)
{
    symbol_id *ids;
    size_t nr;
    struct str *names;

    for (size_t i = 0; i < q->blocks_nr; i++) {
        if (!block_label_names(q->blocks[i], t->arena, &names, &nr, err))
            return false;
        for (size_t k = 0; k < nr; k++)
            texts_add(t, names[k]);
    }
    if (q->has_head) {
        head_label_names(&q->head, t->arena, &ids, &nr);
        ids_add(q, t, ids, nr);
    }
    return true;
}

static bool
all_values(struct db_querier *q, struct str name, struct texts *t, struct error *err)
{
    symbol_id *ids, id = symbols_find(q->symbols, name);
    size_t nr;
    struct str *values;

    for (size_t i = 0; i < q->blocks_nr; i++) {
        if (!block_label_values(q->blocks[i], name, t->arena, &values, &nr, err))
            return false;
        for (size_t k = 0; k < nr; k++)
            texts_add(t, values[k]);
    }
    if (q->has_head && id != SYMBOL_NONE) {
        head_label_values(&q->head, id, t->arena, &ids, &nr);
        ids_add(q, t, ids, nr);
    }
    return true;
}

/* Symbols of the selected series that were not met before: a bitmap would span all ids, so a small
 * table. */
struct seen {
    uint32_t *v;
    size_t nr;
    unsigned log;
};

static bool
seen_add(struct seen *s, symbol_id id)
{
    if (s->v == NULL || (s->nr + 1) * 2 > (size_t)1 << s->log) {
        struct seen bigger = { .log = s->v == NULL ? 8 : s->log + 1 };
        bigger.v = MEM_NEW_ARRAY(uint32_t, (size_t)1 << bigger.log);
        for (size_t i = 0; s->v != NULL && i < (size_t)1 << s->log; i++)
            if (s->v[i] != 0)
                seen_add(&bigger, s->v[i]);
        mem_free(s->v);
        *s = bigger;
    }
    size_t mask = ((size_t)1 << s->log) - 1, i = (id * UINT32_C(0x9E3779B1)) & mask;
    for (; s->v[i] != 0; i = (i + 1) & mask)
        if (s->v[i] == id)
            return false;
    s->v[i] = id;
    s->nr++;
    return true;
}

/* name SYMBOL_NONE: the names; else the values of that name. */
static bool
matched_texts(struct db_querier *q, const struct matcher *matchers, size_t nr, symbol_id name,
              struct texts *t, struct error *err)
{
    struct merging m = { .q = q };
    struct seen seen = { 0 };

    if (!collect(&m, matchers, nr, q->base.min_ms, q->base.max_ms, err))
        return false;
    for (size_t i = 0; i < m.nr; i++) {
        for (uint32_t k = 0; k < m.series[i].pairs_nr; k++) {
            struct symbol_pair pair = m.series[i].pairs[k];
            if (name == SYMBOL_NONE && seen_add(&seen, pair.name))
                texts_add(t, symbols_text(q->symbols, pair.name));
            else if (name == pair.name && seen_add(&seen, pair.value))
                texts_add(t, symbols_text(q->symbols, pair.value));
        }
    }
    mem_free(seen.v);
    return true;
}

static bool
label_names(struct querier *base, const struct matcher *matchers, size_t matchers_nr, size_t limit,
            struct arena *arena, struct str **names, size_t *nr, bool *truncated, struct error *err)
{
    struct db_querier *q = querier_of(base);
    struct texts t = { .arena = arena };
    bool ok = matchers_nr == 0 ? all_names(q, &t, err)
                               : matched_texts(q, matchers, matchers_nr, SYMBOL_NONE, &t, err);

    if (ok)
        texts_out(&t, limit, names, nr, truncated);
    return ok;
}

static bool
label_values(struct querier *base, struct str name, const struct matcher *matchers,
             size_t matchers_nr, size_t limit, struct arena *arena, struct str **values, size_t *nr,
             bool *truncated, struct error *err)
{
    struct db_querier *q = querier_of(base);
    struct texts t = { .arena = arena };
    bool ok;

    if (matchers_nr == 0) {
        ok = all_values(q, name, &t, err);
    } else {
        /* Held: a block may give an id to its symbols only now, when they are first met. */
        symbol_id id = symbols_intern(q->symbols, name);
        ok = matched_texts(q, matchers, matchers_nr, id, &t, err);
        symbols_unref(q->symbols, id);
    }
    if (ok)
        texts_out(&t, limit, values, nr, truncated);
    return ok;
}

/* ---- symbols, opening, closing ---- */

static struct str
symbol_text(const struct querier *base, symbol_id id)
{
    return symbols_text(CONTAINER_OF(base, struct db_querier, base)->symbols, id);
}

static uint64_t
symbol_hash(const struct querier *base, symbol_id id)
{
    return symbols_hash(CONTAINER_OF(base, struct db_querier, base)->symbols, id);
}

static symbol_id
symbol_find(struct querier *base, struct str text)
{
    return symbols_find(querier_of(base)->symbols, text);
}

static void
close_querier(struct querier *base)
{
    struct db_querier *q = querier_of(base);

    if (q->has_head)
        head_reader_close(&q->head);
    for (size_t i = 0; i < q->blocks_nr; i++)
        block_unref(q->blocks[i]);
    mem_free(q->blocks);
    arena_fini(&q->arena);
    mem_free(q);
}

static const struct querier_ops db_querier_ops = {
    .select = select_series,
    .label_names = label_names,
    .label_values = label_values,
    .symbol = symbol_text,
    .symbol_hash = symbol_hash,
    .symbol_find = symbol_find,
    .close = close_querier,
};

bool
db_querier_open(struct queryable *storage, int64_t min_ms, int64_t max_ms, struct querier **out,
                struct error *err)
{
    struct db *db = CONTAINER_OF(storage, struct db, queryable);
    struct db_querier *q = MEM_NEW(struct db_querier);

    (void)err;
    q->base = (struct querier){ .ops = &db_querier_ops, .min_ms = min_ms, .max_ms = max_ms };
    q->db = db;
    q->symbols = db->symbols;
    arena_init(&q->arena, SIZE_MAX);
    /* Blocks and head under one lock: a cut that is published between the two would be seen by
     * neither or both. */
    rwlock_read(&db->blocks_lock);
    q->blocks = db_blocks_ref(db, min_ms, max_ms, &q->blocks_nr);
    q->head_min_ms = head_min_valid_ms(db->head);
    q->has_head =
        head_max_ms(db->head) != INT64_MIN && max_ms >= MAX(head_min_ms(db->head), q->head_min_ms);
    if (q->has_head)
        head_reader_open(db->head, &q->head);
    rwlock_release(&db->blocks_lock);
    *out = &q->base;
    return true;
}
