/* promql/join_priv.h: what the two ways of joining share. */
#pragma once
#include "promql/match_priv.h"

#define NO_SERIES UINT32_MAX

struct join {
    struct binary_node *n;
    struct match *match;
    struct names include;
    bool swapped;  /* the "one" side is on the left */
    int many_side; /* 0 or 1 */
    struct node *many, *one;
    uint32_t *one_of; /* the fast way: the series of a group on the "one" side */
};

static inline struct binary_value
column_value(const struct column *c, size_t k)
{
    return (struct binary_value){ c->v[k], column_histogram(c, k) };
}

struct series join_labels(struct eval *ev, const struct join *j, const struct series *many,
                          const struct series *one);
bool join_point(struct eval *ev, const struct join *j, struct binary_value many,
                struct binary_value one, struct arena *a, struct binary_value *out, bool *keep);
bool join_slow(struct eval *ev, struct node *n, struct join *j, struct error *err);
