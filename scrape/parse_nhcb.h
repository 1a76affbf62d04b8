/* scrape/parse_nhcb.h: classic histograms made into native ones with custom buckets
 * (convert_classic_histograms_to_nhcb).
 *
 * nhcb_buckets gathers one histogram's bounds, count and sum; struct nhcb stands between a text
 * parser and its user, takes the classic series out of the stream (or lets them pass as well) and
 * puts the native histogram behind them. */
#pragma once
#include "scrape/parse.h"

struct nhcb_bucket {
    double bound, count;
};

/* Zeroed is empty; the array is reused. The first error sticks and is told by nhcb_convert(). */
struct nhcb_buckets {
    struct nhcb_bucket *v;
    size_t nr, cap;
    double count, sum;
    bool has_count;
    char why[96]; /* empty: no error */
};

void nhcb_buckets_fini(struct nhcb_buckets *b);
void nhcb_buckets_reset(struct nhcb_buckets *b);
void nhcb_set_bucket(struct nhcb_buckets *b, double bound, double count);
void nhcb_set_count(struct nhcb_buckets *b, double count);
/* An integer histogram when every count is whole. Arrays in the arena. */
MUST_CHECK bool
nhcb_convert(struct nhcb_buckets *b, struct arena *arena, struct histogram *h, struct error *err);

struct nhcb;
struct nhcb *nhcb_new(void);
void nhcb_free(struct nhcb *n); /* accepts NULL */
void nhcb_start(struct nhcb *n);

/* Steps; the entry's fields are in p, those of a converted histogram, too. */
enum parse_entry nhcb_next(struct nhcb *n, struct page_parser *p, struct error *err);
/* Whether a converted histogram is at hand; the three below are for it. */
bool nhcb_emitting(const struct nhcb *n);
struct labels nhcb_labels(const struct nhcb *n);
bool nhcb_exemplar(struct nhcb *n, struct exemplar *e);
/* Of the histogram at hand or being gathered; false: ask the parser. */
bool nhcb_start_timestamp(const struct nhcb *n, int64_t *st_ms);
