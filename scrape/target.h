/* scrape/target.h: one thing to scrape: its labels, its URL, when its turn is, what it said last.
 *
 * Made by the sync of a pool (any thread), then handed to one event loop, whose thread alone
 * touches the part named "the loop's". Labels and URL never change. Status and metadata are read by
 * views under `lock`. Reference counted: pool, loop and a running request hold one each. */
#pragma once
#include <stdatomic.h>
#include "base/lock.h"
#include "base/log.h"
#include "discovery/discovery.h"
#include "scrape/failure_log.h"
#include "scrape/page_cache.h"
#include "scrape/scrape.h"
#include "scrape/target_meta.h"

/* What a pool's targets share: one configuration and what was made from it. Immutable, reference
 * counted. */
struct target_setup {
    _Atomic unsigned refs;
    const struct scrape_config *config;
    struct conf_pool *keep;       /* holds config */
    struct http_client *client;   /* NULL in tests without HTTP */
    char *accept;                 /* "Accept: ..." */
    const char *fallback;         /* media type or "" */
    struct failure_log *failures; /* or NULL */
};

/* Takes over the references to client and failures; either may be NULL. */
struct target_setup *target_setup_new(const struct scrape_config *config, struct conf_pool *keep,
                                      struct http_client *client, struct failure_log *failures);
struct target_setup *target_setup_ref(struct target_setup *s);
void target_setup_unref(struct target_setup *s);

enum report_series {
    REPORT_UP,
    REPORT_DURATION,
    REPORT_SAMPLES,
    REPORT_POST_RELABEL,
    REPORT_SERIES_ADDED,
    REPORT_TIMEOUT, /* from here on: extra_scrape_metrics */
    REPORT_SAMPLE_LIMIT,
    REPORT_BODY_BYTES,
    REPORTS_NR
};

struct target {
    _Atomic unsigned refs;
    uint64_t hash; /* of labels and URL: two targets with one hash are one */
    struct arena arena;
    struct labels labels; /* all, without __meta_ */
    struct labels public; /* without names that start with __ */
    struct str url;
    int64_t interval_ms, timeout_ms;
    bool native_histograms, classic_histograms, nhcb; /* after the labels that override the job's */

    struct lock lock;           /* status and metadata */
    struct target_setup *setup; /* replaced by the pool under lock */
    struct target_group *group; /* the label sets of discovery */
    size_t group_index;
    char *last_error; /* NULL: none */
    int64_t last_scrape_ns;
    double last_duration_s;
    enum target_health health;
    struct target_meta meta;

    /* The loop's. */
    struct page_cache cache;
    uint32_t good_lines_nr;         /* of the last good page */
    uint64_t scrape_nr, rebuilt_at; /* scrapes so far; the one that brought the lines in cache */
    series_ref reports[REPORTS_NR];
    size_t page_bytes;        /* of the last page, for the next buffer */
    struct target_turn *turn; /* in loop.c */
};

struct target *target_ref(struct target *t);
/* The last one must go on the loop's thread or after the loop's end. */
void target_unref(struct target *t, struct meta_store *metas);

/* The labels of a target before relabelling: its own, its group's, then what the job gives. Into b,
 * borrowed from group, config and scratch. */
void target_discovered(const struct scrape_config *config, const struct target_group *group,
                       size_t index, struct labels_builder *b, struct arena *scratch);

enum target_built { TARGET_BUILT, TARGET_DROPPED, TARGET_FAILED };
/* TARGET_DROPPED: relabelling dropped it. TARGET_FAILED: err says what is wrong with it. */
enum target_built target_build(struct target_setup *setup, struct target_group *group, size_t index,
                               struct labels_builder *b, struct target **target, struct error *err);

/* The seed of the offsets: FNV of host name and external labels. */
uint64_t target_offset_seed(struct str hostname, struct labels external);
/* Nanoseconds from now_ns until the target's turn in its interval: 0 < result <= interval. */
int64_t target_offset_ns(uint64_t hash, int64_t interval_ns, uint64_t seed, int64_t now_ns);
