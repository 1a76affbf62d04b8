/* scrape/page_append.h: one page of one target into one batch: recognise, parse what is new,
 * relabel, check limits, append, mark what vanished as stale.
 *
 * A page_append is an event loop's workshop: parser, lists and scratch memory, shared by the loop's
 * targets, one page at a time. Nothing of the target's cache changes unless the whole page
 * succeeds, refs apart. */
#pragma once
#include "scrape/parse.h"
#include "scrape/target.h"

struct page_append {
    struct page_parser parser;
    struct page_rebuild rebuild;
    struct labels_builder builder;
    struct arena scratch;
    struct meta_store metas;
    series_ref *stale; /* of the page that failed last */
    size_t stale_nr, stale_cap;
    uint64_t seed; /* of line hashes: the same for as long as caches live */
    bool append_metadata, type_and_unit_labels, parse_start_timestamps;
};

void page_append_init(struct page_append *x, uint64_t seed);
void page_append_fini(struct page_append *x); /* all targets are gone */

struct page_result {
    uint64_t total;        /* samples on the page */
    uint64_t added;        /* left after relabelling */
    uint64_t series_added; /* new to this target */
    uint64_t out_of_order, duplicates, out_of_bounds, exemplars_out_of_order, refused, parsed;
    bool cache_flushed; /* too much was learnt from pages that failed: forgotten */
    bool sample_limit, bucket_limit, label_limits; /* which limit failed the page */
};

/* config: the one of this scrape; a reload may give the target another meanwhile.
 * False: err is what the targets page shows; the caller rolls the batch back and appends an empty
 * page. */
MUST_CHECK bool
page_append(struct page_append *x, struct target *t, const struct scrape_config *config,
            struct appender *app, enum page_format format, struct buf *page, int64_t t_ms,
            int64_t now_ms, struct page_result *r, struct error *err);

/* A scrape without a page (no answer, an empty body) or a removed target: everything that was
 * tracked gets a staleness marker and is not tracked any more. */
void page_append_empty(struct target *t, struct appender *app, int64_t t_ms);
/* After a page_append() that failed, into another batch: markers for what the page did not have up
 * to where it failed. What it had by then stays tracked, unmarked, and known, as in Prometheus. */
void
page_append_failed(struct page_append *x, struct target *t, struct appender *app, int64_t t_ms);

/* The synthetic series. value: the sample, or the staleness marker. */
void report_append(struct page_append *x, struct target *t, struct appender *app,
                   enum report_series which, int64_t t_ms, double value);
