/* tests/promql/nhcb.h: `load_with_nhcb`: classic histograms (x_bucket, x_count, x_sum) of a load
 * become native ones with custom buckets, named x. */
#pragma once
#include "mem_storage.h"
#include "promqltest.h"

/* Adds the native histograms only; the series themselves are loaded by the caller. ERR_INVALID when
 * counts decrease or contradict each other. */
MUST_CHECK bool nhcb_load(struct mem_storage *storage, const struct series_list *list,
                          int64_t step_ms, struct error *err);
