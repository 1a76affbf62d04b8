/* tsdb/head.h: the newest samples, in memory: series, their labels, open chunks and references to
 * finished ones in chunks_head.
 *
 * Internally locked. Lookup of a series by reference takes no lock; a series has a one-byte spin
 * lock, held for the copy or append of one sample run; creating series takes the lock of one shard.
 * Readers open a view (struct head_reader), which pins what they can see; truncation waits for
 * nobody: what a view may still need is released when it closes.
 *
 * Owned on disk: chunks_head (through head_chunks.h); the WAL is written by commits and belongs to
 * the database. */
#pragma once
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "model/symbol.h"
#include "tsdb/append.h"
#include "tsdb/chunk.h"
#include "tsdb/exemplar.h"
#include "tsdb/head_chunks.h"
#include "tsdb/isolation.h"
#include "tsdb/postings.h"
#include "tsdb/querier.h"
#include "tsdb/tombstones.h"
#include "tsdb/wal.h"

struct head;
struct head_series;

struct head_options {
    const struct io *io;
    const struct clock *clock;
    struct symbols *symbols;     /* borrowed */
    struct exemplars *exemplars; /* borrowed; NULL: off */
    struct metrics *metrics;     /* may be NULL */
    struct log log;
    int64_t range_ms; /* block range: chunks never cross its multiples */
    uint32_t samples_per_chunk;
    bool metadata_wal;
    bool guard_clock; /* see head_horizon_ms(); off: any time is taken, for tools */
    bool (*admit_series)(void *arg);
    void *admit_arg;
};

struct head *head_new(const struct head_options *options);
/* No view or appender may be open. Accepts NULL. */
void head_free(struct head *h);

/* Set once, after replay and before the first append; borrowed until head_free(). NULL: chunks stay
 * in memory, nothing is logged. */
void head_attach(struct head *h, struct wal *wal, struct head_chunks *chunks);
struct isolation *head_isolation(struct head *h);

struct appendable *head_appendable(struct head *h);

/* Bounds of what is in the head: INT64_MAX and INT64_MIN while it is empty. */
int64_t head_min_ms(const struct head *h);
int64_t head_max_ms(const struct head *h);
/* Nothing below is accepted: the end of the newest block. Only grows, but for head_step_back(). */
int64_t head_min_valid_ms(const struct head *h);
void head_set_min_valid_ms(struct head *h, int64_t t_ms);
/* Times above are no part of the present: what is sent from there is out of bounds, and what is
 * there already (from a directory that another program left, or while the machine's clock was
 * wrong) moves neither the window of accepted times nor the next cut. INT64_MAX when the clock
 * cannot be believed either: it stands before this program was written, as after a reset. */
int64_t head_horizon_ms(const struct head *h);
/* After the machine's clock was set back: sets the minimum again, to what blocks of the past say.
 */
void head_step_back(struct head *h, int64_t min_valid_ms);
/* The head spans more than one and a half block ranges: time to cut one. */
bool head_compactable(const struct head *h);
/* True while an appender that was begun earlier may still add samples below t_ms. */
bool head_appends_below(struct head *h, int64_t t_ms);

uint64_t head_series_nr(const struct head *h);
uint64_t head_chunks_nr(const struct head *h);
struct symbols *head_symbols(const struct head *h);
uint64_t head_next_ref(const struct head *h);

/* ---- reading ---- */

struct head_reader {
    struct head *head;
    struct isolation_reader view;
};

void head_reader_open(struct head *h, struct head_reader *r);
void head_reader_close(struct head_reader *r);

/* Series that match all matchers (none: all) and have samples in [min_ms, max_ms] as far as chunk
 * bounds tell, in no particular order; in the arena, valid until the reader closes. */
MUST_CHECK bool
head_select(struct head_reader *r, const struct matcher *matchers, size_t matchers_nr,
            int64_t min_ms, int64_t max_ms, struct query_guard *guard, struct arena *arena,
            struct head_series ***series, size_t *nr, struct error *err);
/* Sorted by name text. */
const struct symbol_pair *head_series_pairs(const struct head_series *s, uint32_t *nr);
uint64_t head_series_ref(const struct head_series *s);
/* Appends the samples the view sees in [min_ms, max_ms], deleted ones left out. Thread-safe. */
MUST_CHECK bool head_read(const struct head_reader *r, struct head_series *s, int64_t min_ms,
                          int64_t max_ms, struct sample_buf *buf, struct error *err);
uint64_t head_estimate(struct head_series *s, int64_t min_ms, int64_t max_ms);

/* Names, and values of one name, of all series: ids in the arena, unsorted, unique. */
void head_label_names(struct head_reader *r, struct arena *arena, symbol_id **ids, size_t *nr);
void head_label_values(struct head_reader *r, symbol_id name, struct arena *arena, symbol_id **ids,
                       size_t *nr);
/* Calls fn for every pair with the number of its series, names together. fn must be quick: new
 * series wait. */
typedef void (*head_pair_fn)(void *arg, symbol_id name, symbol_id value, uint64_t series_nr);
void head_pairs_walk(struct head *h, head_pair_fn fn, void *arg);
uint64_t head_pairs_nr(struct head *h);

/* The chunks of a series that begin in [min_ms, max_ms) for a block: bytes and times in the arena,
 * oldest first, re-encoded where they reach over the edges or samples were deleted. Everything is
 * seen (the caller made sure that nobody appends there). */
MUST_CHECK bool
head_cut_chunks(struct head *h, struct head_series *s, int64_t min_ms, int64_t max_ms,
                struct arena *arena, struct chunk **chunks, size_t *nr, struct error *err);

/* ---- maintenance ---- */

/* Forgets samples before t_ms and the series that have none left. Call when no view needs them any
 * more. */
void head_truncate(struct head *h, int64_t t_ms);
/* Hands finished chunks that are still in memory (the disk was full) to chunks_head. */
MUST_CHECK bool head_seal_retry(struct head *h, struct error *err);
/* A tombstone for what each matching series has in [min_ms, max_ms], logged before it is in force.
 */
MUST_CHECK bool
head_delete(struct head *h, const struct matcher *matchers, size_t matchers_nr, int64_t min_ms,
            int64_t max_ms, struct query_guard *guard, struct error *err);
/* For checkpoints: is the series of this reference still there? */
bool head_has_ref(struct head *h, uint64_t ref);

/* ---- replay (single-threaded but for head_replay_sample(), see replay.c) ---- */

/* The series of a record: made, or found by its labels when another reference had them before;
 * then, once no worker has samples of it in hand, head_replay_alias() makes this reference lead to
 * it as well. */
struct head_series *head_replay_series(struct head *h, uint64_t ref, struct labels labels,
                                       const struct head_series *hint, bool *created);
void head_replay_alias(struct head *h, uint64_t ref, struct head_series *s);
struct head_series *head_find_ref(struct head *h, uint64_t ref);
/* A number to split work by: one series belongs to one worker whatever the reference. */
uint32_t head_series_id(const struct head_series *s);
/* Appends unless it is not newer than what the series has. Calls for one series must not run at
 * once. */
struct head_replay {
    struct head *head;
    struct head_seals *seals; /* per worker: head_replay_init() */
    int64_t min_ms, max_ms;   /* of what was appended */
    uint64_t samples_nr;
};
void head_replay_init(struct head_replay *w, struct head *h);
void head_replay_fini(struct head_replay *w); /* seals what is left, publishes the bounds */
void head_replay_sample(struct head_replay *w, struct head_series *s, int64_t t_ms, double v);
void head_replay_histogram(struct head_replay *w, struct head_series *s, int64_t t_ms,
                           const struct histogram *hist);
/* A chunk found in chunks_head, in time order within a series; false when it overlaps the one
 * before. */
bool head_replay_chunk(struct head *h, struct head_series *s, const struct head_chunk *c);
/* Forgets chunks of files from first_bad_file on. */
void head_replay_drop_chunks(struct head *h, uint32_t first_bad_file);
void head_replay_tombstone(struct head *h, uint64_t ref, int64_t min_ms, int64_t max_ms);
void head_replay_metadata(struct head *h, struct head_series *s, const struct metadata *m);
/* No reference at or below ref will be given out. */
void head_reserve_ref(struct head *h, uint64_t ref);
