/* promql/plan_priv.h: what the files of the planner share. */
#pragma once
#include "promql/exec_priv.h"

/* Where in the tree the builder stands. */
struct place {
    struct frame *frame;
    int64_t offset_ms, range_ms; /* of the subqueries around */
    bool at_set;
    int64_t at_ms; /* of the innermost subquery with "@" */
    bool plain; /* inside an aggregation's parameter: nothing is taken as independent of the step */
    const char *func; /* the function or aggregation next above, for hints */
    const struct aggregate_expr *by;
    int64_t hint_step_ms;
    bool stats;   /* somewhere above only count and sum of histograms are read */
    bool buckets; /* somewhere above buckets are needed: that wins */
};

/* A part of the query that was built already, in case it occurs again. */
struct shared_part {
    const struct expr *e;
    const struct frame *frame;
    struct node *node;
    bool plain, stats_only;
};

/* ---- plan_invariance.c: what does not depend on the step ---- */

struct invariance {
    bool whole; /* the value is the same at every step */
    bool wrap;  /* and evaluating it once is worth a node */
};

struct invariance plan_invariance(struct expr *e);
/* Whether "@" counts: inside an aggregation's parameter start() and end() are not looked at. */
bool plan_has_at(const struct time_shift *s, bool plain);
/* start(), end(), range(), step() */
bool plan_is_constant(const struct expr *e);

static inline bool
plan_is_range(const struct expr *e)
{
    return e->kind == EXPR_MATRIX || e->kind == EXPR_SUBQUERY;
}

/* ---- plan_select.c: distinct selectors ---- */

int64_t plan_at(const struct eval *ev, const struct time_shift *s);
/* What to take from a step's time. With "@" the steps count from the frame's first. */
int64_t plan_shift(const struct eval *ev, const struct place *p, const struct time_shift *s);
/* The selection for sel over a range (0: an instant vector): its index. */
uint32_t plan_select(struct eval *ev, const struct place *p, const struct selector_expr *sel,
                     int64_t range_ms);

/* ---- plan_share.c ---- */

/* n was built from e: an equal part built earlier becomes its alias. */
void plan_share(struct eval *ev, const struct place *p, const struct expr *e, struct node *n);
