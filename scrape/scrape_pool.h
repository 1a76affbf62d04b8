/* scrape/scrape_pool.h: one job: its configuration and the targets it has now.
 *
 * A pool is changed by one thread at a time, the one that holds its lock: discovery's thread syncs,
 * the reloading thread reloads. Views read it under the same lock. */
#pragma once
#include "scrape/loop.h"

struct scrape_pool {
    struct scrape_pool *next;
    struct lock lock;
    struct scrape_shared *shared;
    struct scrape_loop *const *loops;
    unsigned loops_nr;
    struct target_setup *setup;
    struct table active; /* struct pool_target by hash */
    struct dropped_target {
        struct target_group *group; /* a reference */
        size_t index;
    } * dropped;
    size_t dropped_nr, dropped_cap;
    uint64_t dropped_count;
    char *error;   /* target_limit exceeded */
    uint64_t sync; /* counts syncs: marks targets that are still there */
    bool fresh; /* the configuration changed what scrapes mean: the next sync makes all targets anew
                 */
};

struct pool_target {
    struct target *t; /* a reference */
    struct scrape_loop *loop;
    uint64_t sync;
};

/* NULL when the HTTP client cannot be made. */
struct scrape_pool *scrape_pool_new(struct scrape_shared *shared, struct scrape_loop *const *loops,
                                    unsigned loops_nr, struct target_setup *setup);
/* Its targets stop without markers. */
void scrape_pool_free(struct scrape_pool *p);
/* Takes over the reference to setup. keep_cache: targets go on with what they know. */
void scrape_pool_reload(struct scrape_pool *p, struct target_setup *setup, bool keep_cache);
void scrape_pool_sync(struct scrape_pool *p, struct target_group *const *groups, size_t groups_nr);
