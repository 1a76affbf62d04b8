/* promql/annotations.h: the warnings and infos of a query, in Prometheus's wording.
 *
 * Collected by any worker at any time (internally locked); equal texts are kept once. Of equal
 * texts the one of the node evaluated last in Prometheus's order gives the position, so that the
 * outcome does not depend on threads. */
#pragma once
#include <pthread.h>

#include "base/arena.h"
#include "promql/ast.h"

/* Where an annotation belongs: the position shown, and the rank of the node that says it. */
struct anno_at {
    struct pos_range pos;
    uint32_t rank;
};

struct annotation;

struct annotations {
    pthread_mutex_t lock;
    struct annotation *items;
    size_t nr, cap;
};

void annotations_init(struct annotations *a);
void annotations_fini(struct annotations *a);
/* The text without "PromQL warning: " and without position. */
void anno_warn(struct annotations *a, struct anno_at at, const char *fmt, ...) PRINTF(3, 4);
void anno_info(struct annotations *a, struct anno_at at, const char *fmt, ...) PRINTF(3, 4);
/* histogram_quantile had to repair buckets: merged over all steps and series. */
void anno_monotonicity(struct annotations *a, struct anno_at at, struct str metric, int64_t t_ms,
                       double bucket_min, double bucket_max, double diff_max);
/* Sorted texts in the arena, in the API's form. */
void annotations_texts(struct annotations *a, struct str query, struct arena *arena, bool warnings,
                       struct str **texts, size_t *nr);
/* Go's %q of a name, and %g of a number, into a caller's buffer: for the texts above. */
#define ANNO_NUMBER_BYTES 32
const char *anno_number(double v, char out[ANNO_NUMBER_BYTES]);
