/* The calling thread walks the records: series, deletions, metadata and exemplars take effect at
 * once, samples are gathered, decompressed, into batches of about a megabyte. Every worker walks
 * every batch, in order, and applies the samples of its own series: that costs the decoding of
 * varints once per worker and saves sorting, queues per worker, and any lock around a series.
 *
 * A batch is filled only after its series exist, so workers find the series of every sample. Misses
 * of the cache dominate: a worker takes 32 samples at a time, fetches their series, then the
 * ends of their chunks, and then appends. */
#include "tsdb/replay.h"

#include <limits.h>
#include <stdlib.h>
#include "base/lock.h"
#include "base/mem.h"
#include "tsdb/checkpoint.h"
#include "tsdb/head_priv.h"
#include "tsdb/record.h"

enum { BATCH_BYTES = 1 << 20, BATCHES_NR = 4, GROUP = 32, WORKERS_MAX = 16, OWNER_LOG = 6 };

struct batch_record {
    size_t at, n; /* in the batch's bytes */
    uint64_t start, end;
    bool bad; /* set by the first worker */
};

struct replay_batch {
    struct buf bytes;
    struct batch_record *records;
    size_t nr, cap;
    struct wal_damages *damages; /* where bad records are noted */
    uint32_t segment;
    unsigned todo; /* workers that are not done with it */
};

struct replay;

struct worker {
    struct replay *rp;
    unsigned index;
    pthread_t thread;
    bool started;
    struct head_replay head;
    struct arena arena;
    uint64_t unknown_refs_nr;
    uint64_t page_nr; /* the page of references looked at last */
    const struct ref_page *page;
};

struct replay {
    const struct replay_options *o;
    struct replay_result *r;
    struct arena arena;
    struct wal_damages *damages;
    uint32_t segment;
    struct lock lock; /* guards the batches' counts and the two below */
    struct cond moved;
    uint64_t given_nr; /* batches handed over; batch i stands at i % BATCHES_NR */
    bool over;
    struct replay_batch batches[BATCHES_NR];
    struct worker workers[WORKERS_MAX];
    unsigned workers_nr;
};

/* ---- workers ---- */

struct sample_group {
    struct head_series *series[GROUP];
    int64_t t_ms[GROUP];
    double v[GROUP];
    unsigned nr;
};

static void
group_apply(struct worker *w, struct sample_group *g)
{
    for (unsigned i = 0; i < g->nr; i++)
        if (g->series[i]->data != NULL)
            __builtin_prefetch(g->series[i]->data + g->series[i]->data_n, 1);
    for (unsigned i = 0; i < g->nr; i++)
        head_replay_sample(&w->head, g->series[i], g->t_ms[i], g->v[i]);
    g->nr = 0;
}

/* Runs of neighbours go to one worker: they share cache lines of the tables, and patterns in the
 * order of series (every fourth a constant) do not give one worker all the work. */
static inline bool
owns(const struct worker *w, uint32_t sid)
{
    return ((sid >> OWNER_LOG) & (w->rp->workers_nr - 1)) == w->index;
}

/* References of a record are neighbours: mostly the page is the same as before. */
static inline uint32_t
find_sid(struct worker *w, uint64_t ref)
{
    if (UNLIKELY(w->page == NULL || ref >> REF_PAGE_LOG != w->page_nr)) {
        const struct head_refs *refs = &w->rp->o->head->refs;
        w->page_nr = ref >> REF_PAGE_LOG;
        w->page =
            ref_page_find(atomic_load_explicit(&refs->dir, memory_order_acquire), w->page_nr + 1);
        if (w->page == NULL)
            return SID_NONE;
    }
    return atomic_load_explicit(&w->page->sid[ref & (REF_PAGE_NR - 1)], memory_order_acquire);
}

static inline void
group_add(struct worker *w, struct sample_group *g, uint64_t ref, int64_t t_ms, double v)
{
    struct replay *rp = w->rp;
    uint32_t sid = find_sid(w, ref);

    if (UNLIKELY(sid == SID_NONE)) {
        w->unknown_refs_nr += w->index == 0;
        return;
    }
    if (t_ms < rp->o->min_valid_ms || !owns(w, sid))
        return;
    struct head_series *s = head_series_at(rp->o->head, sid);
    __builtin_prefetch(s, 1);
    __builtin_prefetch((const char *)s + 64, 1);
    g->series[g->nr] = s;
    g->t_ms[g->nr] = t_ms;
    g->v[g->nr++] = v;
    if (g->nr == GROUP)
        group_apply(w, g);
}

static bool
apply_samples_v1(struct worker *w, struct bytes rec)
{
    struct record_samples_v1 r;
    struct sample_group g = { .nr = 0 };
    uint64_t ref;
    int64_t t_ms;
    double v;

    if (!record_samples_v1_init(&r, rec))
        return false;
    while (record_samples_v1_next(&r, &ref, &t_ms, &v))
        group_add(w, &g, ref, t_ms, v);
    group_apply(w, &g);
    return r.p == r.end;
}

static bool
ended(const struct record_iter *it)
{
    struct error err = { 0 };
    bool ok = record_end(it, &err);

    error_clear(&err);
    return ok;
}

static bool
apply_samples_v2(struct worker *w, struct bytes rec)
{
    struct sample_group g = { .nr = 0 };
    struct record_iter it;
    struct record_sample s;

    record_iter_init(&it, rec);
    while (record_next_sample(&it, &s))
        group_add(w, &g, s.ref, s.t_ms, s.v);
    group_apply(w, &g);
    return ended(&it);
}

static bool
apply_histograms(struct worker *w, struct bytes rec)
{
    struct record_iter it;
    struct record_histogram h;
    struct arena_mark mark = arena_mark(&w->arena);

    record_iter_init(&it, rec);
    while (record_next_histogram(&it, &h, &w->arena)) {
        struct head_series *s = head_find_ref(w->rp->o->head, h.ref);
        if (s == NULL)
            w->unknown_refs_nr += w->index == 0;
        else if (h.t_ms >= w->rp->o->min_valid_ms && owns(w, head_series_id(s)))
            head_replay_histogram(&w->head, s, h.t_ms, &h.h);
        arena_rewind(&w->arena, mark);
    }
    return ended(&it);
}

static void
batch_apply(struct worker *w, struct replay_batch *b)
{
    for (size_t i = 0; i < b->nr; i++) {
        struct bytes rec = { b->bytes.p + b->records[i].at, b->records[i].n };
        enum record_type type = record_type_of(rec);
        bool ok = type == RECORD_SAMPLES      ? apply_samples_v1(w, rec)
                  : type == RECORD_SAMPLES_V2 ? apply_samples_v2(w, rec)
                                              : apply_histograms(w, rec);
        if (!ok && w->index == 0)
            b->records[i].bad = true;
    }
}

static void *
worker_main(void *arg)
{
    struct worker *w = arg;
    struct replay *rp = w->rp;

    for (uint64_t done = 0;; done++) {
        lock_take(&rp->lock);
        while (done == rp->given_nr && !rp->over)
            cond_wait(&rp->moved, &rp->lock);
        bool none = done == rp->given_nr;
        lock_release(&rp->lock);
        if (none)
            return NULL;
        struct replay_batch *b = &rp->batches[done % BATCHES_NR];
        batch_apply(w, b);
        lock_take(&rp->lock);
        if (--b->todo == 0)
            cond_broadcast(&rp->moved);
        lock_release(&rp->lock);
    }
}

/* ---- the calling thread ---- */

static struct replay_batch *
filling(struct replay *rp)
{
    return &rp->batches[rp->given_nr % BATCHES_NR];
}

/* Notes what the workers found bad in b, and empties it. */
static void
batch_finish(struct replay *rp, struct replay_batch *b)
{
    for (size_t i = 0; i < b->nr; i++) {
        if (!b->records[i].bad)
            continue;
        wal_damages_add(b->damages, b->segment, b->records[i].start, b->records[i].end);
        rp->r->bad_records_nr++;
    }
    b->nr = 0;
    buf_reset(&b->bytes);
}

static void
batch_give(struct replay *rp)
{
    struct replay_batch *b = filling(rp);

    if (b->nr == 0)
        return;
    b->damages = rp->damages;
    b->segment = rp->segment;
    lock_take(&rp->lock);
    b->todo = rp->workers_nr;
    rp->given_nr++;
    cond_broadcast(&rp->moved);
    b = filling(rp);
    while (b->todo > 0)
        cond_wait(&rp->moved, &rp->lock);
    lock_release(&rp->lock);
    batch_finish(rp, b);
}

/* Waits until everything given was applied. */
static void
batches_wait(struct replay *rp)
{
    batch_give(rp);
    lock_take(&rp->lock);
    for (size_t i = 0; i < BATCHES_NR; i++)
        while (rp->batches[i].todo > 0)
            cond_wait(&rp->moved, &rp->lock);
    lock_release(&rp->lock);
    for (size_t i = 0; i < BATCHES_NR; i++)
        batch_finish(rp, &rp->batches[i]);
}

/* rec stands at the end of the batch's bytes already, unless it was not compressed. */
static void
batch_add(struct replay *rp, const struct wal_record *packed, struct bytes rec)
{
    struct replay_batch *b = filling(rp);

    if (packed->compression == WAL_PLAIN)
        buf_add(&b->bytes, rec.p, rec.n);
    MEM_GROW(b->records, b->nr + 1, &b->cap);
    b->records[b->nr++] = (struct batch_record){
        .at = b->bytes.n - rec.n, .n = rec.n, .start = packed->start, .end = packed->end
    };
    if (b->bytes.n >= BATCH_BYTES)
        batch_give(rp);
}

/* The chunks of chunks_head that were written for this reference. */
static void
attach_chunks(struct replay *rp, uint64_t ref, struct head_series *s)
{
    const struct replay_chunks *c = rp->o->chunks;
    size_t low = 0, high = c->nr;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c->v[mid].series < ref)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < c->nr && c->v[low].series == ref; low++)
        error_ignored(head_replay_chunk(rp->o->head, s, &c->v[low]));
}

static bool
series_fine(struct labels labels)
{
    for (size_t i = 1; i < labels.nr; i++)
        if (str_cmp(labels.v[i - 1].name, labels.v[i].name) >= 0)
            return false;
    return labels.nr > 0;
}

static void
replay_series(struct replay *rp, struct record_iter *it)
{
    const struct head_series *hint = NULL;
    struct labels labels;
    uint64_t ref;
    bool created;

    while (record_next_series(it, &ref, &labels, &rp->arena)) {
        if (!series_fine(labels))
            continue;
        bool known = head_has_ref(rp->o->head, ref);
        struct head_series *s = head_replay_series(rp->o->head, ref, labels, hint, &created);
        if (s == NULL || known)
            continue;
        rp->r->series_nr += created;
        hint = s;
        if (!created) {
            batches_wait(rp);
            head_replay_alias(rp->o->head, ref, s);
        }
        attach_chunks(rp, ref, s);
    }
}

static void
replay_tombstones(struct replay *rp, struct record_iter *it)
{
    struct record_tombstone t;

    while (record_next_tombstone(it, &t))
        if (t.max_ms >= rp->o->min_valid_ms)
            head_replay_tombstone(rp->o->head, t.ref, t.min_ms, t.max_ms);
}

static void
replay_exemplars(struct replay *rp, struct record_iter *it)
{
    struct record_exemplar e;
    struct symbols *symbols = head_symbols(rp->o->head);

    while (record_next_exemplar(it, &e, &rp->arena)) {
        struct head_series *s = head_find_ref(rp->o->head, e.ref);
        uint32_t nr;
        if (s == NULL || rp->o->exemplars == NULL || e.t_ms < rp->o->min_valid_ms)
            continue;
        const struct symbol_pair *pairs = head_series_pairs(s, &nr);
        struct label *v = ARENA_NEW_ARRAY(&rp->arena, struct label, nr);
        for (uint32_t i = 0; i < nr; i++)
            v[i] = (struct label){ symbols_text(symbols, pairs[i].name),
                                   symbols_text(symbols, pairs[i].value) };
        struct exemplar x = { .labels = e.labels, .v = e.v, .t_ms = e.t_ms, .has_t = true };
        (void)exemplars_add(rp->o->exemplars, (struct labels){ v, nr }, &x);
    }
}

static void
replay_metadata(struct replay *rp, struct record_iter *it)
{
    struct record_metadata m;

    while (record_next_metadata(it, &m)) {
        struct head_series *s = head_find_ref(rp->o->head, m.ref);
        if (s != NULL)
            head_replay_metadata(rp->o->head, s, &m.m);
    }
}

/* False when the record does not decode. */
static bool
replay_record(struct replay *rp, const struct wal_record *packed, struct bytes rec)
{
    struct record_iter it;

    record_iter_init(&it, rec);
    switch (it.type) {
    case RECORD_SERIES:
        replay_series(rp, &it);
        break;
    case RECORD_TOMBSTONES:
        replay_tombstones(rp, &it);
        break;
    case RECORD_EXEMPLARS:
        replay_exemplars(rp, &it);
        break;
    case RECORD_METADATA:
        /* Workers look at series_ext.histogram only through the open chunk: wait until they stand
         * still. */
        batches_wait(rp);
        replay_metadata(rp, &it);
        break;
    case RECORD_MMAP_MARKERS:
    case RECORD_UNKNOWN:
        return true;
    default:
        batch_add(rp, packed, rec);
        return true;
    }
    return ended(&it);
}

static void
note_damage(struct replay *rp, const struct wal_record *rec, const char *why)
{
    wal_damages_add(rp->damages, rp->segment, rec->start, rec->end);
    rp->r->bad_records_nr++;
    log_warn(&rp->o->log, "damaged record in the WAL, left out", LOG_I("segment", rp->segment),
             LOG_I("offset", rec->start), LOG_I("bytes", rec->end - rec->start),
             LOG_C("reason", why));
}

static bool
replay_segment(struct replay *rp, const char *path, struct error *err)
{
    struct wal_reader reader;
    struct wal_record packed;
    enum wal_step step;

    if (!wal_reader_open(&reader, rp->o->io, path, 0, err))
        return false;
    while ((step = wal_reader_next(&reader, &packed)) != WAL_END) {
        struct error bad = { 0 };
        struct bytes rec;
        struct arena_mark mark = arena_mark(&rp->arena);
        struct replay_batch *b = filling(rp);
        size_t bytes_nr = b->bytes.n, records_nr = b->nr;
        if (step == WAL_HOLE)
            note_damage(rp, &packed, reader.hole_why);
        else if (!wal_unpack_more(&packed, &b->bytes, &rec, &bad))
            note_damage(rp, &packed, error_text(&bad));
        else if (!replay_record(rp, &packed, rec))
            note_damage(rp, &packed, "record does not decode");
        if (filling(rp) == b && b->nr == records_nr) /* not one for the workers */
            b->bytes.n = MIN(b->bytes.n, bytes_nr);
        error_clear(&bad);
        arena_rewind(&rp->arena, mark);
    }
    batch_give(rp); /* a batch is of one segment */
    bool ok = wal_reader_end(&reader, err);
    wal_reader_close(&reader);
    return ok;
}

static bool
replay_dir(struct replay *rp, const char *dir, const struct wal_segments *s, uint32_t first,
           bool shown, struct error *err)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < s->nr; i++) {
        if (s->v[i] < first)
            continue;
        if (shown && rp->o->status != NULL)
            atomic_store(&rp->o->status->current, (int32_t)s->v[i]);
        rp->segment = s->v[i];
        wal_segment_path(path, sizeof path, dir, s->v[i]);
        if (!replay_segment(rp, path, err))
            return false;
    }
    return true;
}

static bool
replay_checkpoint(struct replay *rp, struct error *err)
{
    char path[PATH_MAX];
    struct wal_segments s = { 0 };

    checkpoint_path(path, sizeof path, rp->o->wal_dir, rp->r->checkpoint);
    rp->damages = &rp->r->in_checkpoint;
    rp->r->checkpoint_damaged = rp->r->checkpoint;
    bool ok =
        wal_segments_list(rp->o->io, path, &s, err) && replay_dir(rp, path, &s, 0, false, err);
    mem_free(s.v);
    return ok;
}

static bool
replay_wal(struct replay *rp, struct error *err)
{
    struct wal_segments s = { 0 };
    uint32_t first;

    if (!checkpoint_find(rp->o->io, rp->o->wal_dir, &rp->r->has_checkpoint, &rp->r->checkpoint,
                         err) ||
        !wal_segments_list(rp->o->io, rp->o->wal_dir, &s, err))
        return false;
    first = rp->r->has_checkpoint ? rp->r->checkpoint + 1 : 0;
    if (rp->o->status != NULL && s.nr > 0) {
        atomic_store(&rp->o->status->min, (int32_t)MAX(first, s.v[0]));
        atomic_store(&rp->o->status->max, (int32_t)s.v[s.nr - 1]);
    }
    bool ok = !rp->r->has_checkpoint || replay_checkpoint(rp, err);
    rp->damages = &rp->r->wal;
    ok = ok && replay_dir(rp, rp->o->wal_dir, &s, first, true, err);
    mem_free(s.v);
    return ok;
}

static int
chunk_cmp(const void *a, const void *b)
{
    const struct head_chunk *x = a, *y = b;

    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    return (x->ref > y->ref) - (x->ref < y->ref);
}

static void
workers_start(struct replay *rp)
{
    /* A power of two: whose a series is must not cost a division. */
    for (rp->workers_nr = 1; rp->workers_nr * 2 <= MIN(rp->o->workers_nr, (unsigned)WORKERS_MAX);)
        rp->workers_nr *= 2;
    for (unsigned i = 0; i < rp->workers_nr; i++) {
        struct worker *w = &rp->workers[i];
        w->rp = rp;
        w->index = i;
        arena_init(&w->arena, SIZE_MAX);
        head_replay_init(&w->head, rp->o->head);
    }
    for (unsigned i = 0; i < rp->workers_nr; i++) {
        rp->workers[i].started =
            pthread_create(&rp->workers[i].thread, NULL, worker_main, &rp->workers[i]) == 0;
        ASSERT(rp->workers[i].started);
    }
}

static void
workers_stop(struct replay *rp)
{
    lock_take(&rp->lock);
    rp->over = true;
    cond_broadcast(&rp->moved);
    lock_release(&rp->lock);
    for (unsigned i = 0; i < rp->workers_nr; i++) {
        struct worker *w = &rp->workers[i];
        pthread_join(w->thread, NULL);
        rp->r->samples_nr += w->head.samples_nr;
        rp->r->unknown_refs_nr += w->unknown_refs_nr;
        head_replay_fini(&w->head);
        arena_fini(&w->arena);
    }
}

bool
replay_run(const struct replay_options *o, struct replay_result *r, struct error *err)
{
    struct replay *rp = MEM_NEW(struct replay);

    *r = (struct replay_result){ 0 };
    rp->o = o;
    rp->r = r;
    arena_init(&rp->arena, SIZE_MAX);
    lock_init(&rp->lock, LOCK_RANK_NONE, "replay");
    cond_init(&rp->moved);
    if (o->chunks->nr > 0)
        qsort(o->chunks->v, o->chunks->nr, sizeof *o->chunks->v, chunk_cmp);
    for (size_t i = 0; i < o->chunks->nr; i++)
        head_reserve_ref(o->head, o->chunks->v[i].series);
    workers_start(rp);
    bool ok = replay_wal(rp, err);
    batches_wait(rp);
    workers_stop(rp);
    for (size_t i = 0; i < BATCHES_NR; i++) {
        buf_fini(&rp->batches[i].bytes);
        mem_free(rp->batches[i].records);
    }
    arena_fini(&rp->arena);
    cond_fini(&rp->moved);
    lock_fini(&rp->lock);
    mem_free(rp);
    return ok;
}

void
replay_chunks_fini(struct replay_chunks *c)
{
    mem_free(c->v);
    *c = (struct replay_chunks){ 0 };
}
