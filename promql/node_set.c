/* and, or, unless: which steps of a match group have a sample on the other side decides. "and" and
 * "unless" keep those bits of the right side and stream the left; "or" holds the left and streams
 * the right. */
#include "promql/match_priv.h"

struct set_state {
    struct match *match;
    uint64_t **there; /* per group: steps with a sample on the deciding side; NULL: none */
    size_t words;
    int side; /* the deciding one */
    struct arena *arena;
};

static bool
mark_group(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct set_state *s = arg;
    uint32_t group = s->match->group_of[s->side][i];

    (void)err;
    if (s->there[group] == NULL)
        s->there[group] = ARENA_NEW_ARRAY(s->arena, uint64_t, s->words);
    for (size_t w = 0; w < s->words; w++)
        s->there[group][w] |= c->present[w];
    return true;
}

static void
announce(struct eval *ev, struct node *n, bool both)
{
    uint32_t left_nr = n->args[0]->series_nr, right_nr = both ? n->args[1]->series_nr : 0;
    struct series *series = ARENA_NEW_ARRAY(ev->arena, struct series, left_nr + right_nr);

    for (uint32_t i = 0; i < left_nr; i++)
        series[i] = n->args[0]->series[i];
    for (uint32_t i = 0; i < right_nr; i++)
        series[left_nr + i] = n->args[1]->series[i];
    node_series(ev, n, series, left_nr + right_nr);
}

/* The first step at which a source of an "or" has a sample that counts. */
static size_t
first_step(const struct node *n, const struct set_state *s, uint32_t source)
{
    uint32_t left_nr = n->args[0]->series_nr;
    bool right = source >= left_nr;
    uint32_t i = right ? source - left_nr : source;
    const uint64_t *there = right ? s->there[s->match->group_of[1][i]] : NULL;
    const struct column *c = &n->args[right]->held[i];

    for (size_t w = 0; w < s->words; w++) {
        uint64_t word = c->present[w] & (there == NULL ? ~UINT64_C(0) : ~there[w]);
        if (word != 0)
            return w * COLUMN_WORD_BITS + (size_t)__builtin_ctzll(word);
    }
    return SIZE_MAX;
}

static bool
drops_name(const struct node *n, uint32_t source)
{
    uint32_t left_nr = n->args[0]->series_nr;

    return source < left_nr ? n->args[0]->series[source].drop_name
                            : n->args[1]->series[source - left_nr].drop_name;
}

/* Of equal series from both sides, whichever comes first decides whether the name goes. */
static bool
settle_names(struct eval *ev, struct node *n, const struct set_state *s, struct error *err)
{
    bool differ = false;

    for (uint32_t i = 0; n->first != NULL && i < n->series_nr; i++)
        for (uint32_t k = n->first[i]; k < n->first[i + 1]; k++)
            differ |= drops_name(n, n->sources[k]) != n->series[i].drop_name;
    if (!ev->delayed_names || !differ)
        return true;
    if (!node_hold(ev, n->args[1], err))
        return false;
    for (uint32_t i = 0; i < n->series_nr; i++) {
        size_t first = SIZE_MAX;

        for (uint32_t k = n->first[i]; k < n->first[i + 1]; k++) {
            size_t step = first_step(n, s, n->sources[k]);

            if (step < first) {
                first = step;
                n->series[i].drop_name = drops_name(n, n->sources[k]);
            }
        }
    }
    return true;
}

static bool
set_open(struct eval *ev, struct node *n, struct error *err)
{
    struct binary_node *b = (struct binary_node *)n;
    struct set_state *s = ARENA_NEW(ev->arena, struct set_state);

    b->join = s;
    if (!node_open(ev, n->args[0], err) || !node_open(ev, n->args[1], err))
        return false;
    s->side = b->op == OP_OR ? 0 : 1;
    s->arena = ev->arena;
    s->match = match_new(ev, b->expr->matching, n->args[0], n->args[1]);
    s->words = COLUMN_WORDS(node_steps(n));
    s->there = ARENA_NEW_ARRAY(ev->arena, uint64_t *, s->match->groups_nr);
    if (b->op == OP_OR && !node_hold(ev, n->args[0], err))
        return false;
    announce(ev, n, b->op == OP_OR);
    return node_each(ev, n->args[s->side], mark_group, s, err) &&
           (b->op != OP_OR || settle_names(ev, n, s, err));
}

/* c where the group's bits are set (want) or not. */
static void
masked(struct worker *w, const struct column *c, const uint64_t *bits, bool want,
       struct column *out)
{
    size_t words = COLUMN_WORDS(c->nr);

    *out = *c;
    out->present = arena_alloc(&w->arena, words * sizeof *out->present);
    for (size_t i = 0; i < words; i++) {
        uint64_t there = bits == NULL ? 0 : bits[i];
        out->present[i] = c->present[i] & (want ? there : ~there);
    }
    column_count(out);
}

static bool
set_source(struct eval *ev, struct node *n, uint32_t source, struct worker *w, struct column *out,
           struct error *err)
{
    struct binary_node *b = (struct binary_node *)n;
    const struct set_state *s = b->join;
    uint32_t left_nr = n->args[0]->series_nr;
    bool right = source >= left_nr;
    uint32_t i = right ? source - left_nr : source;
    struct column c;

    if (!node_column(ev, n->args[right], i, w, &c, err))
        return false;
    if (b->op == OP_OR && !right)
        *out = c;
    else
        masked(w, &c, s->there[s->match->group_of[right][i]], b->op == OP_AND, out);
    return true;
}

static bool
set_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
           struct error *err)
{
    return node_merge(ev, n, i, w, set_source, out, err);
}

const struct node_ops set_ops = { set_open, set_column };
