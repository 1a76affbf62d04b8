/* promql/match_priv.h: how series of two operands find each other: their match groups. */
#pragma once
#include "promql/binary_priv.h"

/* Groups are numbered over both sides. */
struct match {
    const struct vector_matching *m;
    struct names names;
    uint32_t *group_of[2]; /* of each series of args[0] and args[1] */
    uint32_t groups_nr;
};

/* Both operands are open. */
struct match *match_new(struct eval *ev, const struct vector_matching *m, const struct node *left,
                        const struct node *right);
/* The labels that are matched on, or all but those ignored and the name. */
struct series match_labels(struct eval *ev, const struct match *m, const struct series *s);
