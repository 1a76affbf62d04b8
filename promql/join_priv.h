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
    /* Per step the note of the pair that Prometheus comes to last, which is the only one it tells:
     * the pair's number and the enum binary_note in one word. */
    _Atomic uint64_t *notes;
    struct join *next; /* of the evaluation's */
};

static inline struct binary_value
column_value(const struct column *c, size_t k)
{
    return (struct binary_value){ c->v[k], column_histogram(c, k) };
}

struct series join_labels(struct eval *ev, const struct join *j, const struct series *many,
                          const struct series *one);
/* Step k; `order` is the pair's number among those of the step. */
struct join_pair {
    struct binary_value many, one;
    size_t k;
    uint64_t order;
};
bool join_point(const struct join *j, const struct join_pair *p, struct arena *a,
                struct binary_value *out, bool *keep);
bool join_slow(struct eval *ev, struct node *n, struct join *j, struct error *err);
