#include <stdlib.h>
#include "base/mem.h"
#include "tsdb/db_priv.h"

bool
db_start_ms(struct db *db, int64_t *start_ms)
{
    int64_t min_ms = head_min_ms(db->head);

    rwlock_read(&db->blocks_lock);
    for (size_t i = 0; i < db->blocks_nr; i++)
        min_ms = MIN(min_ms, block_meta(db->blocks[i])->min_ms);
    rwlock_release(&db->blocks_lock);
    if (min_ms == INT64_MAX)
        return false;
    *start_ms = min_ms;
    return true;
}

void
db_head_stats(struct db *db, struct db_head_stats *st)
{
    *st = (struct db_head_stats){ .series_nr = head_series_nr(db->head),
                                  .label_pairs_nr = head_pairs_nr(db->head),
                                  .chunks_nr = head_chunks_nr(db->head),
                                  .min_ms = head_min_ms(db->head),
                                  .max_ms = head_max_ms(db->head) };
}

uint64_t
db_corruptions(const struct db *db)
{
    return atomic_load(&db->corruptions);
}

/* The largest so far, as a heap with the smallest on top. Names are rendered at the end. */
struct top_item {
    symbol_id name, value;
    uint64_t nr;
};

struct top {
    struct top_item *v;
    size_t nr, max;
};

static void
top_sift(struct top *t, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < t->nr; child++)
            if (t->v[child].nr < t->v[least].nr)
                least = child;
        if (least == i)
            return;
        struct top_item item = t->v[i];
        t->v[i] = t->v[least];
        t->v[least] = item;
        i = least;
    }
}

static void
top_add(struct top *t, struct top_item item)
{
    if (t->nr < t->max) {
        size_t i = t->nr++;
        for (t->v[i] = item; i > 0 && t->v[(i - 1) / 2].nr > t->v[i].nr; i = (i - 1) / 2) {
            struct top_item parent = t->v[(i - 1) / 2];
            t->v[(i - 1) / 2] = t->v[i];
            t->v[i] = parent;
        }
        return;
    }
    if (t->max == 0 || item.nr <= t->v[0].nr)
        return;
    t->v[0] = item;
    top_sift(t, 0);
}

struct counting {
    struct db *db;
    symbol_id metric_name;
    struct top metrics, values, bytes, pairs;
    struct top_item values_now, bytes_now; /* of the name being walked */
};

static void
name_done(struct counting *c)
{
    if (c->values_now.nr == 0)
        return;
    top_add(&c->values, c->values_now);
    top_add(&c->bytes, c->bytes_now);
}

static void
count_pair(void *arg, symbol_id name, symbol_id value, uint64_t series_nr)
{
    struct counting *c = arg;

    if (name != c->values_now.name) {
        name_done(c);
        c->values_now = c->bytes_now = (struct top_item){ .name = name };
    }
    c->values_now.nr++;
    c->bytes_now.nr += symbols_text(c->db->symbols, value).n * series_nr;
    if (name == c->metric_name)
        top_add(&c->metrics, (struct top_item){ name, value, series_nr });
    top_add(&c->pairs, (struct top_item){ name, value, series_nr });
}

static int
item_cmp(const void *a, const void *b)
{
    const struct top_item *x = a, *y = b;

    return (x->nr < y->nr) - (x->nr > y->nr);
}

enum shown { SHOW_NAME, SHOW_VALUE, SHOW_PAIR };

static void
render(struct counting *c, struct top *t, enum shown shown, struct arena *arena,
       struct db_count **out, size_t *nr)
{
    struct symbols *symbols = c->db->symbols;

    if (t->nr > 1)
        qsort(t->v, t->nr, sizeof *t->v, item_cmp);
    *out = ARENA_NEW_ARRAY(arena, struct db_count, t->nr);
    *nr = t->nr;
    for (size_t i = 0; i < t->nr; i++) {
        struct str name = symbols_text(symbols, t->v[i].name);
        struct str value = shown == SHOW_NAME ? STR_NONE : symbols_text(symbols, t->v[i].value);
        (*out)[i].nr = t->v[i].nr;
        (*out)[i].name = shown == SHOW_PAIR
                             ? arena_printf(arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(value))
                         : shown == SHOW_VALUE ? arena_str(arena, value)
                                               : arena_str(arena, name);
    }
}

void
db_cardinality(struct db *db, size_t limit, struct arena *arena, struct db_cardinality *out)
{
    struct counting c = { .db = db, .metric_name = symbols_find(db->symbols, STR("__name__")) };
    struct top *tops[] = { &c.metrics, &c.values, &c.bytes, &c.pairs };
    struct head_reader r;

    for (size_t i = 0; i < ARRAY_LEN(tops); i++)
        *tops[i] = (struct top){ .v = MEM_NEW_ARRAY(struct top_item, limit + 1), .max = limit };
    head_reader_open(db->head, &r); /* keeps the symbols */
    head_pairs_walk(db->head, count_pair, &c);
    name_done(&c);
    render(&c, &c.metrics, SHOW_VALUE, arena, &out->series_by_metric, &out->series_by_metric_nr);
    render(&c, &c.values, SHOW_NAME, arena, &out->values_by_label, &out->values_by_label_nr);
    render(&c, &c.bytes, SHOW_NAME, arena, &out->bytes_by_label, &out->bytes_by_label_nr);
    render(&c, &c.pairs, SHOW_PAIR, arena, &out->series_by_pair, &out->series_by_pair_nr);
    head_reader_close(&r);
    for (size_t i = 0; i < ARRAY_LEN(tops); i++)
        mem_free(tops[i]->v);
}

void
db_blocks(struct db *db, struct arena *arena, struct str **metas, size_t *metas_nr)
{
    struct buf text = { 0 };
    size_t nr;

    rwlock_read(&db->blocks_lock);
    struct block **v = db_blocks_ref(db, INT64_MIN, INT64_MAX, &nr);
    rwlock_release(&db->blocks_lock);
    *metas = ARENA_NEW_ARRAY(arena, struct str, nr);
    *metas_nr = nr;
    for (size_t i = 0; i < nr; i++) {
        buf_reset(&text);
        block_meta_print(block_meta(v[i]), &text);
        (*metas)[i] = arena_str(arena, buf_as_str(&text));
        block_unref(v[i]);
    }
    mem_free(v);
    buf_fini(&text);
}

bool
db_exemplars(struct db *db, const struct db_matchers *sets, size_t sets_nr, int64_t min_ms,
             int64_t max_ms, struct arena *arena, struct db_exemplar_series **series,
             size_t *series_nr, struct error *err)
{
    struct exemplar_matchers *m = ARENA_NEW_ARRAY(arena, struct exemplar_matchers, sets_nr);
    struct exemplar_series *found;

    (void)err;
    for (size_t i = 0; i < sets_nr; i++)
        m[i] = (struct exemplar_matchers){ sets[i].v, sets[i].nr };
    exemplars_select(db->exemplars, m, sets_nr, min_ms, max_ms, arena, &found, series_nr);
    *series = ARENA_NEW_ARRAY(arena, struct db_exemplar_series, *series_nr);
    for (size_t i = 0; i < *series_nr; i++)
        (*series)[i] =
            (struct db_exemplar_series){ found[i].labels, found[i].exemplars, found[i].nr };
    return true;
}
