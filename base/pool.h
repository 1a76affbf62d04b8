/* base/pool.h: the worker pool: queries, rules, decoding in parallel.
 *
 * One pool per process (an object, passed in), sized by the cgroup's CPU quota. Two ways in:
 * pool_submit() for work that somebody waits for elsewhere (an HTTP request), and pool_run() for
 * splitting one job: the calling thread works too, so a job makes progress even when every worker
 * is busy, and jobs may nest. Thread-safe. */
#pragma once
#include "base/util.h"

struct pool;

/* CPUs this process may use: cgroup v2/v1 quota, affinity mask, at least 1. */
unsigned pool_cpus(void);

struct pool *pool_new(unsigned threads_nr, const char *name);
/* Waits for what was submitted, then joins the threads. Accepts NULL. */
void pool_free(struct pool *p);
unsigned pool_threads(const struct pool *p);

typedef void (*pool_fn)(void *arg);
void pool_submit(struct pool *p, pool_fn fn, void *arg);

/* Calls fn(arg, i) for every i in [0, nr), in any order, on the calling thread and on free workers;
 * returns when all are done. Which thread runs which i is not defined: results must not depend on
 * it. p may be NULL (the caller does all). */
typedef void (*pool_range_fn)(void *arg, size_t i);
void pool_run(struct pool *p, size_t nr, pool_range_fn fn, void *arg);
