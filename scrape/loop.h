/* scrape/loop.h: an event loop with its targets: fetches each when its turn comes, and appends what
 * it gets.
 *
 * Pools hand targets over and take them back from any thread; everything else happens on the loop's
 * thread. A target that is taken back with markers gets staleness markers after two more intervals
 * and a tenth, unless the loop ends first: the same target may come back at once in another pool,
 * and a server that restarts goes on where it was. */
#pragma once
#include "base/http_client.h"
#include "scrape/metrics.h"
#include "scrape/scrape.h"

struct scrape_loop;

/* What all loops of a manager share; outlives them. */
struct scrape_shared {
    const struct scrape_options *options;
    struct scrape_metrics *metrics;
    _Atomic uint64_t offset_seed;
    uint64_t line_seed;
};

struct scrape_loop *scrape_loop_new(struct scrape_shared *shared, unsigned index);
void scrape_loop_free(struct scrape_loop *loop);

/* From any thread. A reference is taken. error: every scrape fails with it instead of being tried
 * (target_limit); NULL: none. */
void scrape_loop_add(struct scrape_loop *loop, struct target *t, const char *error);
void scrape_loop_remove(struct scrape_loop *loop, struct target *t, bool markers);
void scrape_loop_set_error(struct scrape_loop *loop, struct target *t, const char *error);
/* Gives up a reference; the last one must go on the loop's thread, which owns the metadata texts.
 */
void scrape_loop_unref(struct scrape_loop *loop, struct target *t);

/* Without threads and HTTP, for tests: a scrape of t at a wall time with this outcome. */
struct scrape_fetched {
    bool ok; /* the body was read */
    const char *content_type;
    struct buf *body;
    struct error *err; /* when not ok */
    bool over_body_limit;
};
void scrape_once(struct scrape_shared *shared, struct page_append *x, struct target *t,
                 struct target_setup *setup, const struct scrape_fetched *fetched, int64_t t_ns,
                 int64_t began_ns);
/* Staleness markers for all series of t, synthetic ones included. */
void scrape_end(struct scrape_shared *shared, struct page_append *x, struct target *t,
                struct target_setup *setup, int64_t t_ms);

/* The time to stamp a scrape with, snapped to the target's schedule when it is near. *aligned_ns:
 * the schedule, moved on. */
int64_t scrape_align(int64_t now_ns, int64_t *aligned_ns, int64_t interval_ns, bool adjust,
                     int64_t tolerance_ns);
