/* base/lock.h: mutexes and reader-writer locks with ranks.
 *
 * A thread takes locks in growing rank only; debug builds keep a per-thread list and abort with
 * both names when the order is broken. No I/O under a lock of rank LOCK_STRIPE or above. Ranks of
 * all locks of the process, outermost first, are the enum below: a new lock adds its line here. */
#pragma once
#include <pthread.h>
#include "base/util.h"

enum lock_rank {
    LOCK_RANK_NONE = 0, /* not checked: leaf locks of tests */
    LOCK_RELOAD,        /* main: one reload at a time */
    LOCK_MANAGER,       /* scrape, rules, notify, discovery managers */
    LOCK_GROUP,         /* one rule group, one scrape pool */
    LOCK_TARGET,        /* one target, one rule */
    LOCK_QUEUE,         /* notification queues */
    LOCK_COMPACT,       /* one compaction or truncation at a time */
    LOCK_BLOCKS,        /* the published list of blocks */
    LOCK_WAL,           /* the WAL's write position */
    LOCK_HEAD,          /* head-wide tables: ref allocation, postings growth */
    LOCK_ISOLATION,     /* open batches and readers */
    LOCK_STRIPE,        /* one shard of the series maps */
    LOCK_SERIES,        /* one series */
    LOCK_POSTINGS,
    LOCK_HEAD_CHUNKS, /* the newest file of chunks_head; flushing its buffer is the one exception to
                         the rule above */
    LOCK_SYMBOLS,
    LOCK_POOL,    /* worker pool's queue */
    LOCK_HTTP,    /* connection registry */
    LOCK_METRICS, /* registry's list of families */
    LOCK_LOG      /* innermost: anything may log */
};

struct lock {
    pthread_mutex_t m;
    enum lock_rank rank;
    const char *name;
};

struct rwlock {
    pthread_rwlock_t m;
    enum lock_rank rank;
    const char *name;
};

void lock_init(struct lock *l, enum lock_rank rank, const char *name);
void lock_fini(struct lock *l);
void lock_take(struct lock *l);
bool lock_try(struct lock *l);
void lock_release(struct lock *l);

void rwlock_init(struct rwlock *l, enum lock_rank rank, const char *name);
void rwlock_fini(struct rwlock *l);
void rwlock_read(struct rwlock *l);
void rwlock_write(struct rwlock *l);
void rwlock_release(struct rwlock *l);

/* A condition variable on CLOCK_MONOTONIC, used with one lock. */
struct cond {
    pthread_cond_t c;
};

void cond_init(struct cond *c);
void cond_fini(struct cond *c);
void cond_wait(struct cond *c, struct lock *l);
/* False when timeout_ms passed without a wake-up. */
bool cond_wait_ms(struct cond *c, struct lock *l, int64_t timeout_ms);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);
