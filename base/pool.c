/* One queue under one lock. A job of pool_run() hands out its indices by an atomic counter; the
 * helpers that it puts at the front of the queue may come late and then find nothing left, so the
 * job is on the heap and counted: the caller waits for the indices to be done, not for the helpers.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/mem.h"

struct task {
    struct task *next;
    pool_fn fn;
    void *arg;
};

struct pool {
    struct lock lock; /* guards the queue and stopping */
    struct cond work;
    struct task *first, **last;
    bool stopping;
    unsigned threads_nr;
    pthread_t *threads;
    char name[12]; /* the kernel keeps 15 bytes, with the number behind */
};

struct job {
    _Atomic size_t next, done, refs;
    size_t nr;
    pool_range_fn fn;
    void *arg;
    struct lock lock;
    struct cond all_done;
};

/* Takes the next task; NULL when the pool stops and nothing is left. */
static struct task *
pool_take(struct pool *p)
{
    lock_take(&p->lock);
    while (p->first == NULL && !p->stopping)
        cond_wait(&p->work, &p->lock);
    struct task *task = p->first;
    if (task != NULL) {
        p->first = task->next;
        if (p->first == NULL)
            p->last = &p->first;
    }
    lock_release(&p->lock);
    return task;
}

static void *
pool_worker(void *arg)
{
    struct pool *p = arg;

    pthread_setname_np(pthread_self(), p->name);
    for (struct task *task; (task = pool_take(p)) != NULL; mem_free(task))
        task->fn(task->arg);
    return NULL;
}

struct pool *
pool_new(unsigned threads_nr, const char *name)
{
    struct pool *p = MEM_NEW(struct pool);

    lock_init(&p->lock, LOCK_POOL, "pool");
    cond_init(&p->work);
    p->last = &p->first;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->threads = MEM_NEW_ARRAY(pthread_t, threads_nr);
    for (unsigned i = 0; i < threads_nr; i++) {
        if (pthread_create(&p->threads[p->threads_nr], NULL, pool_worker, p) == 0)
            p->threads_nr++;
    }
    ASSERT(threads_nr == 0 || p->threads_nr > 0);
    return p;
}

void
pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    lock_take(&p->lock);
    p->stopping = true;
    cond_broadcast(&p->work);
    lock_release(&p->lock);
    for (unsigned i = 0; i < p->threads_nr; i++)
        pthread_join(p->threads[i], NULL);
    mem_free(p->threads);
    cond_fini(&p->work);
    lock_fini(&p->lock);
    mem_free(p);
}

unsigned
pool_threads(const struct pool *p)
{
    return p->threads_nr;
}

static struct task *
task_new(pool_fn fn, void *arg)
{
    struct task *task = MEM_NEW(struct task);

    *task = (struct task){ .fn = fn, .arg = arg };
    return task;
}

void
pool_submit(struct pool *p, pool_fn fn, void *arg)
{
    struct task *task = task_new(fn, arg);

    ASSERT(p->threads_nr > 0);
    lock_take(&p->lock);
    *p->last = task;
    p->last = &task->next;
    cond_signal(&p->work);
    lock_release(&p->lock);
}

static void
job_unref(struct job *job)
{
    if (atomic_fetch_sub(&job->refs, 1) != 1)
        return;
    cond_fini(&job->all_done);
    lock_fini(&job->lock);
    mem_free(job);
}

static void
job_work(struct job *job)
{
    size_t done = 0;

    for (size_t i; (i = atomic_fetch_add(&job->next, 1)) < job->nr; done++)
        job->fn(job->arg, i);
    if (done == 0 || atomic_fetch_add(&job->done, done) + done != job->nr)
        return;
    lock_take(&job->lock);
    cond_signal(&job->all_done);
    lock_release(&job->lock);
}

static void
job_help(void *arg)
{
    job_work(arg);
    job_unref(arg);
}

/* In front of what waits: a job that has begun should end before others begin. */
static void
pool_add_helpers(struct pool *p, struct job *job, size_t helpers_nr)
{
    lock_take(&p->lock);
    for (size_t i = 0; i < helpers_nr; i++) {
        struct task *task = task_new(job_help, job);
        task->next = p->first;
        if (p->first == NULL)
            p->last = &task->next;
        p->first = task;
        cond_signal(&p->work);
    }
    lock_release(&p->lock);
}

void
pool_run(struct pool *p, size_t nr, pool_range_fn fn, void *arg)
{
    if (p == NULL || p->threads_nr == 0 || nr < 2) {
        for (size_t i = 0; i < nr; i++)
            fn(arg, i);
        return;
    }
    size_t helpers_nr = MIN(nr - 1, (size_t)p->threads_nr);
    struct job *job = MEM_NEW(struct job);
    job->nr = nr;
    job->fn = fn;
    job->arg = arg;
    atomic_store(&job->refs, helpers_nr + 1);
    lock_init(&job->lock, LOCK_RANK_NONE, "job");
    cond_init(&job->all_done);
    pool_add_helpers(p, job, helpers_nr);
    job_work(job);
    lock_take(&job->lock);
    while (atomic_load(&job->done) != nr)
        cond_wait(&job->all_done, &job->lock);
    lock_release(&job->lock);
    job_unref(job);
}
