/* tests/promql/gen.h: random data and random PromQL, by seed. */
#pragma once
#include "base/buf.h"
#include "mem_storage.h"

struct gen {
    uint64_t state;
    /* Experimental functions, fill modifiers, anchored and smoothed. */
    bool experimental;
};

#define GEN_START_MS INT64_C(1795005000000) /* of the data; queries ask within and around */
#define GEN_SPAN_MS  INT64_C(3000000)

uint64_t gen_next(struct gen *g);
/* 0 .. below - 1 */
unsigned gen_below(struct gen *g, unsigned below);

/* Counters with resets, gauges, gaps, stale markers, NaN, Inf, spikes, classic and native
 * histograms of all kinds, mixed ones, info metrics. */
void gen_data(struct gen *g, struct mem_storage *s);

/* An expression that gives an instant vector or a scalar; instant: also one that gives a range
 * vector. */
void gen_query(struct gen *g, bool instant, struct buf *out);
