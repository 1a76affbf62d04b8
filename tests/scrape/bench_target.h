/* tests/scrape/bench_target.h: one target on the workbench: no threads, no HTTP, a clock that is
 * moved by hand. */
#pragma once
#include "base/clock.h"
#include "fake_storage.h"
#include "scrape/loop.h"

struct bench_target {
    struct fake_storage storage;
    struct clock_virtual clock;
    struct metrics *registry;
    struct scrape_metrics metrics;
    struct scrape_options options;
    struct scrape_shared shared;
    struct page_append x;
    struct conf_pool *pool;
    struct scrape_config config;
    struct target_setup *setup;
    struct target *t;
};

/* yaml: more keys of the job, may be "". Fails the test when the job is not valid. */
void bench_init(struct bench_target *b, const char *yaml);
void bench_fini(struct bench_target *b);
/* A scrape at t_ms that brings this page (text format); NULL: the target does not answer. */
void bench_scrape(struct bench_target *b, const char *page, int64_t t_ms);
void bench_scrape_as(struct bench_target *b, const char *content_type, const char *page, size_t n,
                     int64_t t_ms);
/* The value at t_ms, NAN when there is none; series without the labels instance and job, e.g.
 * `a{x="1"}`. */
double bench_at(struct bench_target *b, const char *labels, int64_t t_ms);
bool bench_stale_at(struct bench_target *b, const char *labels, int64_t t_ms);
/* The target's last error, "" for none. */
const char *bench_error(struct bench_target *b);
