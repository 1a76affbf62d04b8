/* base/metrics_priv.h: the registry's structs, shared by metrics.c (updating) and metrics_write.c
 * (showing). */
#pragma once
#include "base/lock.h"
#include "base/metrics.h"
#include "base/table.h"

enum { METRIC_LABELS_MAX = 8, SUMMARY_SLOTS = 5, SUMMARY_SAMPLES = 400 };

/* Quantiles are over the last ten minutes, in five slots of two. */
#define SUMMARY_SLOT_NS (120 * INT64_C(1000000000))

struct metric_histogram {
    double *bounds;
    size_t bounds_nr;
    _Atomic uint64_t *counts; /* bounds_nr + 1, not cumulated */
    struct metric sum;
};

/* A sample of what fell into one slot: each value stayed with the same chance. */
struct summary_slot {
    int64_t turn; /* monotonic time / SUMMARY_SLOT_NS */
    uint64_t nr;  /* how many fell into it */
    double kept[SUMMARY_SAMPLES];
};

struct metric_summary {
    struct lock lock;
    double *quantiles;
    size_t quantiles_nr;
    double sum;
    uint64_t nr;
    uint64_t random;
    struct summary_slot slots[SUMMARY_SLOTS];
};

/* One series of a family. Never freed before the registry: a removed one is hidden and used again,
 * so that a pointer that was kept does no harm. */
struct metric_series {
    struct str values[METRIC_LABELS_MAX];
    _Atomic bool hidden;
    struct metric value;
    struct metric_histogram *histogram;
    struct metric_summary *summary;
    uint64_t hash;
};

struct collector {
    metrics_collect_fn fn;
    void *arg;
};

struct metric_family {
    struct metrics *registry;
    enum metric_type type;
    const char *name, *help;
    const char *const *label_names;
    size_t labels_nr;
    struct table by_values; /* this and what follows: guarded by the registry's lock */
    struct metric_series **series;
    size_t series_nr, series_cap;
    struct collector *collectors;
    size_t collectors_nr, collectors_cap;
};

struct metrics {
    struct lock lock;
    struct metric_family **families; /* sorted by name */
    size_t families_nr, families_cap;
};
