/* tsdb/head_priv.h: what the head's files share: the layout of a series, the tables that find it,
 * and who may touch what.
 *
 *   ref   64 bits, for ever: what callers keep and the WAL and chunks_head carry
 *   sid   32 bits: the place of the series' struct in the slabs; given to another series after
 * removal. The slabs never move or go, so a stale sid leads to a struct whose `ref` differs, never
 * to freed memory: that makes lookup lock-free. slot  32 bits: the number in postings; given out
 * growing, so that a new series goes to the end of each list; renumbered when they run out
 *
 * ref -> sid by pages of 512 (head_refs.c), slot -> sid by pages (head_postings.c), labels -> sid
 * by the shards' tables. Lock order: shard, series, postings; see base/lock.h. */
#pragma once
#include <sched.h>
#include <stdatomic.h>
#include "base/lock.h"
#include "tsdb/chunk_cut.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/head.h"

enum {
    SHARD_LOG = 6,
    SHARDS_NR = 1 << SHARD_LOG,
    SLAB_LOG = 9, /* series per slab */
    SLAB_NR = 1 << SLAB_LOG,
    SLABS_MAX = 1 << 17, /* 67 M series */
    SID_NONE = 0
};

enum series_flags {
    SERIES_LIVE = 1,       /* in the tables */
    SERIES_LOGGED = 2,     /* its series record is in the WAL */
    SERIES_BATCHES = 4,    /* batch is a pointer to struct series_batches */
    SERIES_HISTOGRAM = 8,  /* the newest sample is a histogram (ext->histogram) */
    SERIES_STALE = 16,     /* the newest sample is a stale marker */
    SERIES_CUT_KNOWN = 32, /* chunk_cut_histogram()'s `computed` */
    SERIES_ALIASED = 64,   /* replay met other references for its labels */
    SERIES_SEALING = 128   /* one thread is writing its finished chunks */
};

/* A finished chunk. */
struct head_sealed {
    union {
        uint64_t ref;           /* in chunks_head */
        struct sealed_mem *mem; /* not written yet */
    };
    int64_t min_ms;
    uint32_t span_ms; /* max - min; UINT32_MAX: longer */
    uint16_t nr;
    uint8_t encoding;
    bool in_mem;
};

struct sealed_mem {
    uint32_t n;
    uint8_t bytes[];
};

/* Numbers of the batches of the newest samples, while some reader may not see all of them. */
struct series_batches {
    uint32_t nr, cap;
    struct {
        uint64_t batch;
        uint32_t samples_nr;
    } v[];
};

struct head_histogram; /* head_histogram.c: open histogram chunk */

/* Rarely present. */
struct series_ext {
    struct head_histogram *histogram;
    struct metadata metadata;
    char *texts; /* owned: metadata's */
    bool has_metadata;
};

/* 128 bytes. Everything but ref is guarded by `lock`; pairs, slot and ref do not change while
 * SERIES_LIVE. */
struct head_series {
    _Atomic uint8_t lock;
    uint8_t flags;
    uint16_t pairs_nr;
    uint32_t pending_nr; /* samples in open appenders: keeps it from collection */
    _Atomic uint64_t ref;
    struct chunk_xor xor
        ; /* state of the open chunk; xor.t_ms, xor.v are the newest sample's, also without one */
    int64_t min_ms;  /* of the open chunk */
    int64_t next_ms; /* the cutting rule's memory */
    uint8_t *data;   /* open chunk; NULL: none */
    uint16_t data_n, data_cap;
    uint16_t sealed_nr, sealed_cap;
    struct head_sealed *sealed; /* oldest first */
    uint64_t batch;             /* of the newest batch_nr samples, see SERIES_BATCHES */
    struct symbol_pair *pairs;
    struct series_ext *ext;
    uint32_t batch_nr;
    uint32_t slot;
    uint32_t sid;
};

struct head_shard {
    struct lock lock;
    struct shard_slot {
        uint32_t tag, sid;
    } * slots; /* open addressing, linear; sid SID_NONE is free */
    uint32_t nr, log;
};

/* head_refs.c */
enum { REF_PAGE_LOG = 9, REF_PAGE_NR = 1 << REF_PAGE_LOG };
struct ref_page {
    _Atomic uint32_t sid[REF_PAGE_NR];
    uint32_t live_nr; /* with the lock */
    struct ref_page *next_free;
};
struct ref_dir {
    uint32_t log, used;    /* used: keys ever set */
    struct ref_dir *older; /* replaced ones: lookups may still be in them */
    struct {
        _Atomic uint64_t key; /* page number + 1; 0 free, UINT64_MAX removed */
        _Atomic(struct ref_page *) page;
    } e[];
};
struct head_refs {
    struct lock lock; /* for changes */
    _Atomic(struct ref_dir *) dir;
    struct ref_page *free_pages;
    size_t pages_nr;
};

/* head_postings.c */
struct posting_list {
    symbol_id name, value;
    uint32_t nr, cap; /* cap 0: the slots stand in `few` */
    union {
        uint32_t few[2];
        uint32_t *many;
    };
};
struct posting_name {
    symbol_id name;
    uint32_t nr, cap;
    uint32_t *lists; /* indexes of its values' lists */
};
struct head_postings {
    struct rwlock lock;
    struct posting_list *lists;
    size_t lists_nr, lists_cap;
    uint32_t free_list; /* chained through nr; UINT32_MAX: none */
    uint32_t *table;    /* pair -> list index + 1 */
    uint32_t table_log, table_nr;
    struct posting_name *names;
    size_t names_nr, names_cap;
    struct posting_list all;
    uint32_t **slot_pages; /* slot -> sid; pages of SLOT_PAGE_NR */
    size_t slot_pages_nr, slot_pages_cap;
    uint32_t next_slot;
    void **replaced; /* arrays that were outgrown, to be retired by head_postings_drain() */
    size_t replaced_nr, replaced_cap;
    _Atomic bool has_replaced;
    uint32_t numbering; /* counts renumberings: slots taken under another one mean nothing */
};
enum { SLOT_PAGE_LOG = 12, SLOT_PAGE_NR = 1 << SLOT_PAGE_LOG };

struct head_metrics {
    struct metric *series_created, *series_removed, *series_not_found, *chunks_created,
        *chunks_removed, *appended_float, *appended_histogram, *truncations, *mmap_chunks,
        *active_appenders, *appenders_created, *seal_failed;
    struct metric *out_of_order[2], *out_of_bounds[2], *too_old[2]; /* floats, histograms */
    struct metric_summary *gc;
};

struct head_appender;

struct head {
    struct head_options o;
    struct appendable appendable;
    struct wal *wal;
    struct head_chunks *chunks;
    struct head_metrics m;
    struct metric unused;

    _Atomic int64_t min_ms, max_ms, min_valid_ms;
    _Atomic uint64_t series_nr, chunks_nr, next_ref;
    _Atomic uint64_t stale_nr, histogram_nr; /* series whose newest sample is one */
    _Atomic bool has_mem_chunks;             /* sealing failed somewhere: head_seal_retry() */

    struct head_shard shards[SHARDS_NR];
    struct head_refs refs;
    struct head_postings postings;
    struct isolation isolation;

    struct lock slab_lock; /* LOCK_HEAD: the two below, free_sids */
    _Atomic(struct head_series *) *slabs;
    uint32_t next_sid;
    uint32_t *free_sids;
    size_t free_nr, free_cap;

    struct lock appenders_lock; /* pool and list of open ones */
    struct head_appender *idle, *open;

    struct rwlock tombstones_lock;
    struct tombstones tombstones;
};

static inline struct head_series *
head_series_at(const struct head *h, uint32_t sid)
{
    return atomic_load_explicit(&h->slabs[sid >> SLAB_LOG], memory_order_acquire) +
           (sid & (SLAB_NR - 1));
}

static inline void
series_lock(struct head_series *s)
{
    while (UNLIKELY(atomic_exchange_explicit(&s->lock, 1, memory_order_acquire) != 0)) {
        for (unsigned i = 0; atomic_load_explicit(&s->lock, memory_order_relaxed) != 0; i++)
            if (i > 100)
                sched_yield();
    }
}

static inline void
series_unlock(struct head_series *s)
{
    atomic_store_explicit(&s->lock, 0, memory_order_release);
}

static inline int64_t
sealed_max_ms(const struct head_sealed *c)
{
    return c->span_ms == UINT32_MAX ? INT64_MAX : c->min_ms + (int64_t)c->span_ms;
}

/* With the series' lock. */
static inline bool
series_has_samples(const struct head_series *s)
{
    return s->data != NULL || s->sealed_nr > 0 || (s->ext != NULL && s->ext->histogram != NULL);
}

/* head_refs.c */
void head_refs_init(struct head_refs *r);
void head_refs_fini(struct head_refs *r);
static inline size_t
ref_dir_start(const struct ref_dir *d, uint64_t key)
{
    return (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - d->log));
}

static inline struct ref_page *
ref_page_find(const struct ref_dir *d, uint64_t key)
{
    size_t mask = ((size_t)1 << d->log) - 1;

    for (size_t i = ref_dir_start(d, key);; i = (i + 1) & mask) {
        uint64_t k = atomic_load_explicit(&d->e[i].key, memory_order_acquire);
        if (k == key)
            return atomic_load_explicit(&d->e[i].page, memory_order_acquire);
        if (k == 0)
            return NULL;
    }
}

static inline uint32_t
head_refs_find(const struct head_refs *r, uint64_t ref)
{
    struct ref_dir *d = atomic_load_explicit(&r->dir, memory_order_acquire);
    struct ref_page *page = ref_page_find(d, (ref >> REF_PAGE_LOG) + 1);

    if (page == NULL)
        return SID_NONE;
    return atomic_load_explicit(&page->sid[ref & (REF_PAGE_NR - 1)], memory_order_acquire);
}

void head_refs_set(struct head_refs *r, uint64_t ref, uint32_t sid); /* SID_NONE removes */
void head_refs_forget_sid(struct head_refs *r, uint32_t sid);

/* head_postings.c: see there for who calls what. */
void head_postings_init(struct head_postings *p);
void head_postings_fini(struct head_postings *p);
/* Gives s a slot and adds it to its pairs' lists. With the shard's lock; call head_postings_drain()
 * when it is released. */
void head_postings_add(struct head *h, struct head_series *s);
/* Retires arrays that were replaced. Without locks. */
void head_postings_drain(struct head *h);
/* Takes the slots (sorted) of removed series out of the lists of these pairs (sorted, unique). */
void head_postings_remove(struct head *h, struct postings slots, const struct symbol_pair *pairs,
                          size_t pairs_nr);
uint32_t head_postings_sid(const struct head_postings *p, uint32_t slot); /* with the lock */
/* The list of a pair: borrowed until the reader's view closes. With the lock. */
struct postings head_postings_list(const struct head_postings *p, struct symbol_pair pair);
const struct posting_name *
head_postings_name(const struct head_postings *p, symbol_id name); /* with the lock */
void head_postings_renumber(struct head *h);

/* head_series.c */
/* hint: a live series that is likely to share labels with the new one, or NULL: its symbols are
 * referenced without a lookup. */
struct head_series *
head_get_or_create(struct head *h, uint64_t hash, struct labels labels, uint64_t ref,
                   const struct head_series *hint, bool *created, bool *refused);
void head_series_release(void *head, void *series); /* gives memory and symbols back */
void head_shard_remove(struct head_shard *shard, uint64_t hash, uint32_t sid);
uint64_t head_series_hash(const struct head *h, const struct head_series *s);

/* head_chunk.c: the open chunk of a series. All with the series' lock. */
struct seal_item {
    struct head_series *s;
    uint64_t ref;
    struct sealed_mem *mem;
};
/* Chunks that were finished and wait to be written, after the locks. One owner. */
struct head_seals {
    struct seal_item *v;
    size_t nr, cap;
};
bool head_chunk_append(struct head *h, struct head_series *s, int64_t t_ms, double v,
                       struct head_seals *seals);
bool head_histogram_append(struct head *h, struct head_series *s, int64_t t_ms,
                           const struct histogram *hist, struct head_seals *seals);
/* head_histogram.c */
void head_histogram_free(struct head_histogram *hh);
bool head_histogram_open(const struct head_series *s); /* the open chunk is one of histograms */
bool head_histogram_chunk(struct head_series *s, struct chunk *c);
void head_histogram_drop_chunk(struct head_series *s);
/* What the newest sample is, as far as chunks tell. */
enum head_kind { HEAD_FLOAT, HEAD_HISTOGRAM, HEAD_FLOAT_HISTOGRAM };
enum head_kind head_newest_kind(const struct head_series *s);
/* h equals the newest sample. */
bool head_histogram_is_newest(const struct head_series *s, const struct histogram *h);
/* Copies the open chunk to the finished ones; finish takes it away as well. */
void head_chunk_seal(struct head_series *s, struct head_seals *seals);
void head_chunk_finish(struct head *h, struct head_series *s, struct head_seals *seals);
void head_sealed_add(struct head_series *s, const struct head_sealed *c);
/* What the newest sample is, in the flags and the head's counts. */
void head_note_newest(struct head *h, struct head_series *s, bool stale, bool histogram);
/* Writes them to chunks_head; what fails stays in memory. Without locks. */
bool head_seals_write(struct head *h, struct head_seals *seals, struct error *err);
void head_seals_fini(struct head_seals *seals);
/* A view of the open chunk (float or histogram), with the number of its samples written into it;
 * false when there is none. With the series' lock. */
bool head_open_chunk(struct head_series *s, struct chunk *c);

/* Notes a sample of the batch; older batches below `settled` are forgotten. */
void series_batch_note(struct head_series *s, uint64_t batch, uint64_t settled);

void head_bounds_update(struct head *h, int64_t min_ms, int64_t max_ms);
