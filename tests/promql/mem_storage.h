/* tests/promql/mem_storage.h: series in memory behind the seam of tsdb/querier.h, so that PromQL
 * can be tested without a database.
 *
 * Writing and opened queriers do not mix: close all queriers before adding or clearing. Reading is
 * thread-safe. */
#pragma once
#include "model/sample.h"
#include "tsdb/querier.h"

struct mem_storage;

struct mem_storage *mem_storage_new(void);
void mem_storage_free(struct mem_storage *s);
/* What queries are run against; lives as long as s. */
struct queryable *mem_storage_queryable(struct mem_storage *s);

/* Forgets all samples. */
void mem_storage_clear(struct mem_storage *s);
/* Adds a sample: a histogram when h is not NULL (copied). One of the same time is replaced. Labels
 * are copied. */
void mem_storage_add(struct mem_storage *s, struct labels labels, int64_t t_ms, double v,
                     const struct histogram *h);
