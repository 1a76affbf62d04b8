/* tsdb/querier.h: the one way out of storage: promql, http and rules see samples only through this, so that a database, a remote read, a
 * twin or a test's own memory can stand behind it.
 *
 * A querier is a consistent view of [min_ms, max_ms] (both included): everything committed when it was opened, all of a batch or nothing. It
 * pins what it reads (head series, blocks, symbols), never blocks writers or compaction, and must be closed. querier_select() is called by one
 * thread; the series_set calls are thread-safe afterwards, so that workers may read different series at once.
 *
 * Names and values are 32-bit symbol ids, valid for the querier's life: within one querier equal ids mean equal strings, across all its sets. Grouping and
 * joining compare ids; strings are asked for output, sorting and regular expressions only. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "model/symbol.h"

struct querier;
struct series_set;

struct select_hints {
    int64_t min_ms, max_ms;   /* samples outside are not wanted (both included) */
    int64_t step_ms, range_ms;
    bool sorted;              /* series in label order; unsorted is cheaper */
    size_t limit;             /* at most so many series, 0: all */
    bool series_only;         /* no samples will be read (the series API) */
    struct str func;          /* the function around the selector, for remote reads */
    const struct str *grouping;
    size_t grouping_nr;
    bool by;
};

/* Asked every few thousand series, samples or regular-expression matches; true means: stop, with err filled by the caller of
 * select (ERR_CANCELED, ERR_TIMEOUT or ERR_LIMIT). */
struct query_guard {
    bool (*stop)(struct query_guard *g, struct error *err);
};

struct querier_ops {
    /* Series that match all matchers and may have samples in the hints' range (a superset: presence is known after reading).
     * The set lives as long as the querier. No matchers: all series. */
    bool (*select)(struct querier *q, const struct matcher *matchers, size_t matchers_nr, const struct select_hints *hints,
                   struct series_set **set, struct error *err);
    /* Sorted, unique, in `arena`. matchers_nr 0: of all series in range. limit 0: all; *truncated tells that there were more. */
    bool (*label_names)(struct querier *q, const struct matcher *matchers, size_t matchers_nr, size_t limit,
                        struct arena *arena, struct str **names, size_t *names_nr, bool *truncated, struct error *err);
    bool (*label_values)(struct querier *q, struct str name, const struct matcher *matchers, size_t matchers_nr, size_t limit,
                         struct arena *arena, struct str **values, size_t *values_nr, bool *truncated,
                         struct error *err);
    struct str (*symbol)(const struct querier *q, symbol_id id);
    uint64_t (*symbol_hash)(const struct querier *q, symbol_id id);
    /* The id of text, or SYMBOL_NONE when no series of this querier can have it. */
    symbol_id (*symbol_find)(struct querier *q, struct str text);
    void (*close)(struct querier *q);
};

struct querier {
    const struct querier_ops *ops;
    int64_t min_ms, max_ms;
    struct query_guard *guard; /* may be NULL; set by the caller after opening */
};

struct series_set_ops {
    /* The labels of series i as pairs sorted by name *text*. Borrowed for the querier's life. */
    const struct symbol_pair *(*pairs)(const struct series_set *set, uint32_t i, uint32_t *nr);
    /* Appends the samples of series i in [min_ms, max_ms] to buf, oldest first, merged over head and blocks, deleted ones left out,
     * stale markers included. Damage in one source: that source's rest is left out, ERR_CORRUPT names it. */
    bool (*read)(const struct series_set *set, uint32_t i, int64_t min_ms, int64_t max_ms, struct sample_buf *buf,
                 struct error *err);
    /* About how many samples read() would give: for cost estimates. Cheap. */
    uint64_t (*estimate)(const struct series_set *set, uint32_t i, int64_t min_ms, int64_t max_ms);
};

struct series_set {
    const struct series_set_ops *ops;
    struct querier *q;
    uint32_t nr;
};

struct queryable {
    MUST_CHECK bool (*open)(struct queryable *storage, int64_t min_ms, int64_t max_ms, struct querier **q, struct error *err);
    /* Exemplars of series matching any of the selector's matcher sets, in [min_ms, max_ms]; NULL when there are none. See tsdb/exemplar.h. */
};

MUST_CHECK static inline bool
querier_open(struct queryable *storage, int64_t min_ms, int64_t max_ms, struct querier **q, struct error *err)
{
    return storage->open(storage, min_ms, max_ms, q, err);
}

static inline void
querier_close(struct querier *q)
{
    if (q != NULL)
        q->ops->close(q);
}

MUST_CHECK static inline bool
querier_select(struct querier *q, const struct matcher *matchers, size_t matchers_nr, const struct select_hints *hints,
               struct series_set **set, struct error *err)
{
    return q->ops->select(q, matchers, matchers_nr, hints, set, err);
}

static inline struct str
querier_symbol(const struct querier *q, symbol_id id)
{
    return q->ops->symbol(q, id);
}

static inline const struct symbol_pair *
series_pairs(const struct series_set *set, uint32_t i, uint32_t *nr)
{
    return set->ops->pairs(set, i, nr);
}

MUST_CHECK static inline bool
series_read(const struct series_set *set, uint32_t i, int64_t min_ms, int64_t max_ms, struct sample_buf *buf,
            struct error *err)
{
    return set->ops->read(set, i, min_ms, max_ms, buf, err);
}

/* The value id of one label of series i, SYMBOL_EMPTY when it has none. */
symbol_id series_label(const struct series_set *set, uint32_t i, symbol_id name);
/* The labels of series i as strings, in the arena. */
struct labels series_labels(const struct series_set *set, uint32_t i, struct arena *arena);
