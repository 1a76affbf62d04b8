/* tsdb/isolation.h: which batches a reader sees, and how long what it may still read must stay.
 *
 * Every batch takes a number when it starts to change series and gives it back when it is done. A
 * reader takes the highest number and the set of those still open: it sees every other batch up to
 * the highest, whole. A slow open batch hides itself and nothing else.
 *
 * Readers also keep memory alive: what a writer takes out of the head's structures while readers
 * are open goes to isolation_retire() and is released once every reader that was open then has
 * closed. Internally locked (LOCK_ISOLATION). */
#pragma once
#include "base/lock.h"

struct isolation_reader {
    struct isolation_reader *older, *newer;
    uint64_t highest; /* batch numbers above are not seen */
    uint64_t low;     /* every number below is seen */
    uint64_t *open;   /* owned: numbers not above highest that are not seen, growing */
    uint32_t open_nr;
    uint64_t generation; /* of retirement */
};

typedef void (*isolation_release_fn)(void *owner, void *item);

struct isolation_retired {
    void *item;
    isolation_release_fn release;
    uint64_t generation;
};

struct isolation {
    struct lock lock; /* guards all below */
    uint64_t last;    /* highest number given out */
    uint64_t *open;   /* growing */
    size_t open_nr, open_cap;
    struct isolation_reader *oldest, *newest;
    uint64_t generation;
    struct isolation_retired *retired; /* in order of generation; ring is not needed: rare */
    size_t retired_nr, retired_cap;
    void *owner; /* passed to release */
};

void isolation_init(struct isolation *iso, void *owner);
/* No reader or batch may be open; releases what is retired. */
void isolation_fini(struct isolation *iso);

/* A new number. *settled: every number below it is finished and seen by all readers, now and later.
 */
uint64_t isolation_begin(struct isolation *iso, uint64_t *settled);
void isolation_end(struct isolation *iso, uint64_t batch);
void isolation_marks(struct isolation *iso, uint64_t *low, uint64_t *high);

/* The reader is the caller's memory. */
void isolation_open(struct isolation *iso, struct isolation_reader *r);
void isolation_close(struct isolation *iso, struct isolation_reader *r);
bool isolation_sees(const struct isolation_reader *r, uint64_t batch);

/* Releases item when no reader that is open now is open any more; at once when there is none.
 * release must not take locks above LOCK_ISOLATION's rank other than leaf locks. */
void isolation_retire(struct isolation *iso, void *item, isolation_release_fn release);
/* A mark for isolation_passed(): have all readers that were open at the mark closed? */
uint64_t isolation_mark(struct isolation *iso);
bool isolation_passed(struct isolation *iso, uint64_t mark);
