/* scrape/page_run.h: one page on its way into a batch: what page_append.c (the walk along the
 * lines) and page_series.c (one series: labels, limits, append) share. */
#pragma once
#include "scrape/page_append.h"

#define NOWHERE SIZE_MAX

struct page_run {
    struct page_append *x;
    struct target *t;
    const struct scrape_config *config;
    struct appender *app;
    struct page_result *r;
    const char *b;
    size_t n;
    int64_t t_ms, max_t_ms;
    uint32_t next; /* of the target's list: the line expected here */
    bool rebuilding;
    bool plain;               /* run_known() may be used at all */
    size_t prefix_end;        /* where the rebuild began: lines before it were not parsed */
    size_t type_at, unit_at;  /* lines that were recognised and still have to tell the parser */
    struct str family;        /* of the last comment line read; for metadata records */
    uint64_t samples;         /* appended, for sample_limit */
    struct page_line line;    /* the entry at hand, on its way into the list */
    uint32_t old;             /* its index in the old list, or UINT32_MAX */
    struct histogram limited; /* the one at hand, within the limits of the job */
    bool has_labels;          /* the parser holds the labels of the series at hand */
};

/* The parser learns what the lines that it did not see say of type and unit. */
void page_run_catch_up(struct page_run *run);
/* Counts one more sample; over sample_limit nothing is appended any more, but the page is read on
 * to count. */
bool page_run_within_limit(struct page_run *run);
/* Appends the series at hand: by ref when run->line has one, else with labels, after relabelling
 * and checks (which may set LINE_DROPPED). *in: the sample was accepted; what was not is counted.
 * False: the page fails. */
MUST_CHECK bool page_run_append(struct page_run *run, int64_t t_ms, bool *in, struct error *err);
/* Exemplars without a time have the sample's; those of native histograms need one. */
void page_run_exemplars(struct page_run *run, int64_t t_ms);
/* A metadata record when the series is new or its family has changed on this page. */
void page_run_family(struct page_run *run, bool is_new);
