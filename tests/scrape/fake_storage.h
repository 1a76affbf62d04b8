/* tests/scrape/fake_storage.h: storage that remembers what it was given, in order. Internally
 * locked. */
#pragma once
#include "base/lock.h"
#include "tsdb/append.h"

struct fake_sample {
    series_ref ref;
    int64_t t_ms;
    double v;
};

struct fake_series {
    char *labels; /* {a="b"} */
    bool collected;
    bool has_last;
    int64_t last_t_ms;
    double last_v;
};

struct fake_storage {
    struct appendable base;
    struct lock lock;
    struct fake_series *series; /* ref - 1 */
    size_t series_nr, series_cap;
    struct fake_sample *samples; /* committed */
    size_t samples_nr, samples_cap;
    struct {
        series_ref ref;
        int64_t t_ms;
        double v;
    } exemplars[64];
    size_t exemplars_nr, rollbacks_nr, commits_nr, lookups_nr;
    bool strict;     /* refuses what is out of order, as a head does */
    bool refuse_new; /* memory is short */
};

void fake_storage_init(struct fake_storage *s);
void fake_storage_fini(struct fake_storage *s);
/* Forgets samples, keeps series. */
void fake_storage_forget(struct fake_storage *s);
/* The last committed value of a series at t_ms; false: there is none. */
bool fake_storage_at(struct fake_storage *s, const char *labels, int64_t t_ms, double *v);
/* Committed samples of a series. */
size_t fake_storage_count(struct fake_storage *s, const char *labels);
/* The series was garbage collected: its ref is unknown from now on. */
void fake_storage_collect(struct fake_storage *s, const char *labels);
