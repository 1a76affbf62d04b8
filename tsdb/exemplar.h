/* tsdb/exemplar.h: the ring of the newest exemplars of all series.
 *
 * A fixed number of places, oldest overwritten first; each series' exemplars are linked in time
 * order. Rules are Prometheus's: an exemplar equal to the series' newest is dropped silently, an
 * older one is out of order (unless the series' newest has the same time and another value). Labels
 * are kept as one allocation per exemplar; series labels once per series. Internally locked. */
#pragma once
#include "base/arena.h"
#include "base/metrics.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/metadata.h"

#define EXEMPLAR_RUNES_MAX 128 /* of all label names and values together */

struct exemplars;

enum exemplar_outcome {
    EXEMPLAR_OK,
    EXEMPLAR_DUPLICATE,
    EXEMPLAR_OUT_OF_ORDER,
    EXEMPLAR_TOO_LONG,
    EXEMPLAR_OFF
};

/* max 0: storage is off until exemplars_resize(). metrics may be NULL. */
struct exemplars *exemplars_new(uint32_t max, struct metrics *metrics);
void exemplars_free(struct exemplars *x);
/* Keeps the newest that fit. */
void exemplars_resize(struct exemplars *x, uint32_t max);
bool exemplars_on(struct exemplars *x);

/* Would it be taken? Same answers as exemplars_add() without adding. */
enum exemplar_outcome
exemplars_check(struct exemplars *x, struct labels series, const struct exemplar *e);
enum exemplar_outcome
exemplars_add(struct exemplars *x, struct labels series, const struct exemplar *e);

struct exemplar_matchers {
    const struct matcher *v;
    size_t nr;
};
struct exemplar_series {
    struct labels labels;
    struct exemplar *exemplars;
    size_t nr;
};
/* Series that match all matchers of any set, sorted by labels; copied to the arena. */
void exemplars_select(struct exemplars *x, const struct exemplar_matchers *sets, size_t sets_nr,
                      int64_t min_ms, int64_t max_ms, struct arena *arena,
                      struct exemplar_series **series, size_t *nr);
