/* Ranks are checked where NDEBUG is not set and the build is a debug one: each thread keeps what it
 * holds in a small array in thread-local storage. Locks of rank LOCK_RANK_NONE are not in it. Two
 * locks of the same rank are never held together: there would be no order between them. */
#include "base/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* CMake's Debug adds no -O: optimised builds skip the check. */
#ifndef __OPTIMIZE__
#define LOCK_CHECKED 1
#else
#define LOCK_CHECKED 0
#endif

enum { HELD_MAX = 16 };

static _Thread_local struct {
    enum lock_rank rank;
    const char *name;
    const void *lock;
} held[HELD_MAX];
static _Thread_local unsigned held_nr;

static void
check_order(enum lock_rank rank, const char *name)
{
    if (!LOCK_CHECKED || rank == LOCK_RANK_NONE)
        return;
    for (unsigned i = 0; i < held_nr; i++) {
        if (held[i].rank < rank)
            continue;
        fprintf(stderr, "lock order: '%s' (rank %d) taken while holding '%s' (rank %d)\n", name,
                (int)rank, held[i].name, (int)held[i].rank);
        abort();
    }
}

static void
note_taken(const void *lock, enum lock_rank rank, const char *name)
{
    if (!LOCK_CHECKED || rank == LOCK_RANK_NONE)
        return;
    ASSERT(held_nr < HELD_MAX);
    held[held_nr].rank = rank;
    held[held_nr].name = name;
    held[held_nr++].lock = lock;
}

static void
note_released(const void *lock, enum lock_rank rank)
{
    if (!LOCK_CHECKED || rank == LOCK_RANK_NONE)
        return;
    for (unsigned i = held_nr; i-- > 0;) {
        if (held[i].lock != lock)
            continue;
        for (held_nr--; i < held_nr; i++)
            held[i] = held[i + 1];
        return;
    }
    assert_failed("released lock is held by this thread", __FILE__, __LINE__);
}

void
lock_init(struct lock *l, enum lock_rank rank, const char *name)
{
    l->rank = rank;
    l->name = name;
    ASSERT(pthread_mutex_init(&l->m, NULL) == 0);
}

void
lock_fini(struct lock *l)
{
    pthread_mutex_destroy(&l->m);
}

void
lock_take(struct lock *l)
{
    check_order(l->rank, l->name);
    ASSERT(pthread_mutex_lock(&l->m) == 0);
    note_taken(l, l->rank, l->name);
}

/* Cannot deadlock, so any order is fine here; what is taken under it is checked again. */
bool
lock_try(struct lock *l)
{
    if (pthread_mutex_trylock(&l->m) != 0)
        return false;
    note_taken(l, l->rank, l->name);
    return true;
}

void
lock_release(struct lock *l)
{
    note_released(l, l->rank);
    ASSERT(pthread_mutex_unlock(&l->m) == 0);
}

void
rwlock_init(struct rwlock *l, enum lock_rank rank, const char *name)
{
    l->rank = rank;
    l->name = name;
    ASSERT(pthread_rwlock_init(&l->m, NULL) == 0);
}

void
rwlock_fini(struct rwlock *l)
{
    pthread_rwlock_destroy(&l->m);
}

void
rwlock_read(struct rwlock *l)
{
    check_order(l->rank, l->name);
    ASSERT(pthread_rwlock_rdlock(&l->m) == 0);
    note_taken(l, l->rank, l->name);
}

void
rwlock_write(struct rwlock *l)
{
    check_order(l->rank, l->name);
    ASSERT(pthread_rwlock_wrlock(&l->m) == 0);
    note_taken(l, l->rank, l->name);
}

void
rwlock_release(struct rwlock *l)
{
    note_released(l, l->rank);
    ASSERT(pthread_rwlock_unlock(&l->m) == 0);
}

void
cond_init(struct cond *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    ASSERT(pthread_cond_init(&c->c, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

void
cond_fini(struct cond *c)
{
    pthread_cond_destroy(&c->c);
}

void
cond_wait(struct cond *c, struct lock *l)
{
    note_released(l, l->rank);
    ASSERT(pthread_cond_wait(&c->c, &l->m) == 0);
    note_taken(l, l->rank, l->name);
}

bool
cond_wait_ms(struct cond *c, struct lock *l, int64_t timeout_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    timeout_ms = MAX(timeout_ms, (int64_t)0);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    note_released(l, l->rank);
    int status = pthread_cond_timedwait(&c->c, &l->m, &until);
    note_taken(l, l->rank, l->name);
    ASSERT(status == 0 || status == ETIMEDOUT);
    return status == 0;
}

void
cond_signal(struct cond *c)
{
    pthread_cond_signal(&c->c);
}

void
cond_broadcast(struct cond *c)
{
    pthread_cond_broadcast(&c->c);
}
