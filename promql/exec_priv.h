/* promql/exec_priv.h: what the files of the engine share: nodes, frames, workers.
 *
 * A query becomes a tree of nodes (plan.c). A node is opened once, on the thread of the query: it
 * opens its children, announces its candidate series (a superset: presence is known afterwards)
 * and, unless it streams, does its whole work and holds the result. From then on node_column()
 * gives the column of one series; any number of workers call it at once. Every column of a
 * streaming node is asked for exactly once, so that samples are counted once.
 *
 * Kinds (docs/promql.md lists them): streaming nodes compute a column when asked; folding nodes
 * take each column of their child once, in series order, into arrays of groups x steps; two-phase
 * nodes hold one side; step-blocked nodes keep a choice of series per step. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/table.h"
#include "promql/annotations.h"
#include "promql/ast.h"
#include "promql/column.h"
#include "promql/engine.h"
#include "tsdb/querier.h"

struct eval;
struct node;
struct worker;

/* The step grid that a part of the plan is evaluated on: the query's, a subquery's, or the single
 * step of a part that does not depend on the step. */
struct frame {
    struct step_grid grid; /* nr may be 0 */
    bool instant;          /* one step: the order of series is kept */
    bool reads;            /* count samples read per step: a subquery below several steps */
};

/* A series of a node: its labels by symbol id, sorted by the names' text. */
struct series {
    const struct symbol_pair *pairs;
    uint32_t nr;
    bool drop_name; /* delayed name removal: the name goes at the end */
};

/* How many samples a node gave, for the accounting of account.c. Indexed by node id; one per
 * worker, summed up. */
struct tally {
    uint64_t total;      /* points given out; a histogram weighs what Prometheus says */
    uint64_t full_nr;    /* columns with a point at every step */
    uint32_t *at;        /* frame.grid.nr entries, or NULL: points of the other columns per step */
    uint64_t *heavy_at;  /* the same, or NULL: what histograms weigh beyond one each */
    uint64_t loaded;     /* samples looked at, as totalQueryableSamples counts */
    uint64_t *loaded_at; /* the same per step; NULL unless asked for */
    uint64_t read;       /* samples looked at for the first time, as samplesRead counts */
    uint64_t *read_at;   /* the same per step; NULL unless asked for */
};

struct node_ops {
    /* Fills n->series. On the query's thread. */
    bool (*open)(struct eval *ev, struct node *n, struct error *err);
    /* The column of series i. out->v may point into held memory: consumers do not write to it.
     * NULL: n->held. */
    bool (*column)(struct eval *ev, struct node *n, uint32_t i, struct worker *w,
                   struct column *out, struct error *err);
};

struct node {
    const struct node_ops *ops;
    struct frame *frame;
    enum value_type type;
    struct pos_range pos;
    uint32_t id;   /* index of the tallies */
    uint32_t rank; /* order of evaluation: of equal annotations the latest gives the position */
    struct node **args;
    uint32_t args_nr;
    uint32_t uses; /* places in the tree that share it; more than one: its columns are held */
    bool opened;

    struct series *series;
    uint32_t series_nr;
    struct column *held; /* series_nr columns, or NULL while it streams */
    /* Sources merged into each series: sources[first[i]] up to sources[first[i + 1]]; NULL: one to
     * one. */
    uint32_t *first, *sources;
    uint32_t sources_nr;
};

/* One strand of work: its own memory, reused block after block. */
struct worker {
    struct arena arena;
    struct sample_buf samples;
    struct tally *tallies;
};

/* A selector's series, chosen once however often it is used. */
struct selection {
    const struct matcher *matchers;
    size_t matchers_nr;
    int64_t min_ms, max_ms;
    struct select_hints hints;
    struct series_set *set;
    bool late; /* chosen by the node itself (info) */
};

/* Per series of a range function, for the peak of samples in memory. */
struct window_tally {
    uint32_t out_nr, window_max, window_last;
};

struct eval {
    struct query_guard guard; /* first: the querier calls back with it */
    struct arena *arena;      /* of the slice of steps at work */
    struct arena *keep;       /* of the whole query; the same unless it runs in slices */
    struct arena_budget *budget;
    struct pool *pool;
    const struct clock *clock;
    int64_t deadline_ns; /* monotonic */
    const _Atomic bool *canceled;
    uint64_t samples_max;
    int64_t lookback_ms, subquery_step_ms;
    int64_t start_ms, end_ms, step_ms; /* of the query; step 0: instant */
    int64_t slice_start_ms,
        slice_end_ms; /* the steps at work; start and end unless it runs in slices */
    bool delayed_names, per_step_stats;

    struct querier *q;
    symbol_id name_id, type_id, unit_id, le_id; /* SYMBOL_NONE when no series has such a label */
    struct table texts;                         /* symbols made by the query, by text */
    struct str *made;                           /* text of symbol i + MADE_SYMBOLS */
    size_t made_nr, made_cap;

    struct owner *owners; /* under owners_lock: see eval_owns() */
    size_t owners_nr, owners_cap;
    pthread_mutex_t owners_lock;
    struct shared_part *parts; /* plan.c: parts that may occur again */
    size_t parts_nr, parts_cap;

    struct selection *selections;
    size_t selections_nr, selections_cap;
    uint32_t nodes_nr, ranks_nr;
    struct tally *tallies; /* nodes_nr */
    struct worker *workers;
    uint32_t workers_nr;
    struct annotations annos;
    struct join *joins; /* opened and not told of: see joins_tell() */
    struct str text;
};

/* ---- exec.c: driving nodes ---- */

bool eval_init(struct eval *ev, struct error *err);
void eval_fini(struct eval *ev);
/* Deadline, cancellation and memory, all at once. */
MUST_CHECK bool eval_go_on(struct eval *ev, struct error *err);
/* Sums the workers' tallies of all nodes below root into ev->tallies. */
void eval_tally_tree(struct eval *ev, const struct node *root);
void eval_tally_clear(struct eval *ev);
bool error_too_many_samples(struct error *err);
void tally_column(struct tally *t, const struct column *c);
/* Samples that node n looked at for step k, and how many of them for the first time. */
void tally_samples(struct eval *ev, struct worker *w, const struct node *n, size_t k,
                   uint64_t loaded, uint64_t read);
/* Points of a column as Prometheus counts samples. */
uint64_t column_weight(const struct column *c);

/* Opens once; a node that is used in several places then holds its columns. */
MUST_CHECK bool node_open(struct eval *ev, struct node *n, struct error *err);
MUST_CHECK bool node_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w,
                            struct column *out, struct error *err);

/* Computes all columns of n, in parallel blocks, and hands those with points to fn in series order,
 * on the calling thread. The column is valid during the call. */
typedef bool (*column_fn)(void *arg, uint32_t i, const struct column *c, struct error *err);
MUST_CHECK bool
node_each(struct eval *ev, struct node *n, column_fn fn, void *arg, struct error *err);
/* Keeps all columns of n in the query's memory: n->held. */
MUST_CHECK bool node_hold(struct eval *ev, struct node *n, struct error *err);
/* For a scalar: its value at each step. */
MUST_CHECK bool node_scalar(struct eval *ev, struct node *n, const double **v, struct error *err);

/* Runs fn(ev, i, worker, arg) for i in [0, nr) on the pool; the error of the lowest failing i is
 * kept. */
typedef bool (*work_fn)(struct eval *ev, uint32_t i, struct worker *w, void *arg,
                        struct error *err);
MUST_CHECK bool eval_run(struct eval *ev, uint32_t nr, work_fn fn, void *arg, struct error *err);

/* A column with room for nr values; nothing is present. histograms: h is there, all NULL. */
void column_new(struct arena *a, struct column *c, size_t nr, bool histograms);
void column_copy(struct arena *a, struct column *dst, const struct column *src);
void column_fill(struct column *c); /* marks all steps present */
/* Counts the bits and sets present_nr. */
void column_count(struct column *c);

/* Empties the buffer but keeps its histograms: they live in the worker's arena as long as the
 * block. */
static inline void
samples_restart(struct sample_buf *b)
{
    b->nr = 0;
    mem_free(b->h);
    b->h = NULL;
}

static inline size_t
node_steps(const struct node *n)
{
    return n->frame->grid.nr;
}

static inline const struct histogram *
column_histogram(const struct column *c, size_t i)
{
    return c->h == NULL ? NULL : c->h[i];
}

/* True when series i of node n has points from no other source, in this slice of steps and in those
 * before. */
bool eval_owns(struct eval *ev, const struct node *n, uint32_t i, uint32_t source);

/* ---- series.c: labels by id ---- */

#define MADE_SYMBOLS UINT32_C(0x80000000)

struct str eval_text(const struct eval *ev, symbol_id id);
/* The id of any text; made for this query when storage does not know it. */
symbol_id eval_symbol(struct eval *ev, struct str text);
symbol_id pairs_get(const struct series *s, symbol_id name); /* SYMBOL_EMPTY when missing */
uint64_t pairs_hash(const struct symbol_pair *pairs, uint32_t nr);
bool pairs_eq(const struct series *a, const struct series *b);
/* Names of labels as ids, without those that no series has. */
struct names {
    symbol_id *v;
    uint32_t nr;
};
struct names names_of(struct eval *ev, const struct str *texts, size_t nr);
bool names_has(const struct names *names, symbol_id id);
/* Only the labels named / all but those named (and but the metric name when drop_name). */
struct series series_keep(struct eval *ev, const struct series *s, const struct names *names);
struct series
series_without(struct eval *ev, const struct series *s, const struct names *names, bool drop_name);
/* Without metric name, type and unit: at once, or at the end when names are removed late. */
struct series series_anonymous(struct eval *ev, struct series s);
struct series series_nameless(struct eval *ev, struct series s); /* at once, always */
struct series
series_unnamed(struct eval *ev, struct series s); /* as anonymous, but type and unit stay */
/* Sets or (SYMBOL_EMPTY) deletes one label. */
struct series
series_set_label(struct eval *ev, const struct series *s, symbol_id name, symbol_id value);
struct labels series_text(const struct eval *ev, const struct series *s, struct arena *arena);
struct str series_name(const struct eval *ev, const struct series *s);
int series_cmp(const struct eval *ev, const struct series *a, const struct series *b);

/* A set of label sets, numbered in the order of their first appearance. */
struct series_index {
    struct table table;
    struct series *items;
    uint32_t nr, cap;
    struct arena *arena;
};
void series_index_init(struct series_index *x, struct arena *arena);
void series_index_fini(struct series_index *x);
/* The number of s, and whether it is new. */
uint32_t series_index_add(struct series_index *x, const struct series *s, bool *added);
/* UINT32_MAX when it is not there. */
uint32_t series_index_find(const struct series_index *x, const struct series *s);

/* Announces `nr` candidates; equal label sets become one series with several sources. */
void node_series(struct eval *ev, struct node *n, struct series *candidates, uint32_t nr);
/* The column of series i, merged from the columns of its sources: two points at one step are an
 * error. */
typedef bool (*source_fn)(struct eval *ev, struct node *n, uint32_t source, struct worker *w,
                          struct column *out, struct error *err);
MUST_CHECK bool node_merge(struct eval *ev, struct node *n, uint32_t i, struct worker *w,
                           source_fn fn, struct column *out, struct error *err);
bool error_same_labels(struct error *err);

/* ---- plan.c ---- */

/* The tree for e; selections are collected in ev. */
MUST_CHECK bool plan_build(struct eval *ev, struct expr *e, struct node **root, struct error *err);
/* Bytes that running all steps at once would hold, the result left out. The selections are made. */
uint64_t plan_bytes(const struct eval *ev, const struct node *root);
/* The node itself, where an equal part of the query is evaluated elsewhere. */
const struct node *node_shared(const struct node *n);
void *node_new(struct eval *ev, size_t bytes, const struct node_ops *ops, struct frame *f,
               const struct expr *e, uint32_t args_nr);
#define NODE_NEW(ev, type, ops, f, e, args_nr) \
    ((type *)node_new((ev), sizeof(type), (ops), (f), (e), (args_nr)))

/* ---- account.c ---- */

/* Walks the plan in Prometheus's order of evaluation and counts as it counts: the peak of samples
 * in memory and all samples looked at. */
struct account {
    uint64_t peak, loaded, read;
    uint64_t *loaded_at, *read_at; /* steps of the query; NULL unless asked for */
};
void account_run(struct eval *ev, struct node *root, struct account *a);

/* ---- node_*.c: one file per family ---- */

struct select_node {
    struct node base;
    uint32_t selection;
    const struct selector_expr *sel;
    int64_t offset_ms; /* what is taken from a step's time; "@" is worked in */
    bool fixed;        /* with "@": range functions keep their first window */
    bool stats_only;   /* of histograms only count and sum are looked at */
    bool pinned;       /* the same moment at every step, pin_ms */
    int64_t pin_ms;
    bool named;      /* with timestamps: names stay */
    bool timestamps; /* timestamp(selector): when, instead of what */
};

/* Where a range function's samples come from: a selector, or a subquery's inner node. */
struct range_node {
    struct node base;
    enum function_id fn;
    uint32_t selection;
    const struct selector_expr *sel; /* NULL for a subquery */
    struct node *inner;              /* subquery: what is evaluated on its own frame */
    int64_t offset_ms, range_ms;
    int64_t written_offset_ms; /* of a subquery: without what "@" adds */
    bool fixed;
    struct pos_range arg_pos;     /* of the range vector, for annotations */
    const double **scalars;       /* values of the other arguments, per step */
    struct window_tally *windows; /* per source */
    _Atomic symbol_id warned;     /* the metric that was last said not to be a counter */
    bool stats_only;
    bool raw; /* the whole query is a range vector */
};

struct math_node {
    struct node base;
    enum function_id fn;
    const double *scalars[2];
};

struct binary_node {
    struct node base;
    const struct binary_expr *expr;
    enum binary_op op;
    bool return_bool;
    const double *scalars[2]; /* of scalar sides */
    void *join;               /* of node_join.c and node_set.c */
};

struct aggregate_node {
    struct node base;
    const struct aggregate_expr *expr;
    enum aggregate_op op;
    struct pos_range inner_pos, param_pos;
    bool param_constant;
    const double *param;
};

struct call_node {
    struct node base;
    enum function_id fn;
    const struct call_expr *expr;
    struct pos_range arg_pos[3];
    const double *scalars[3];
    void *state;
};

struct number_node {
    struct node base;
    double v;
};

struct string_node {
    struct node base;
    struct str v;
};

extern const struct node_ops select_ops, range_ops, math_ops, negate_ops, time_ops, number_ops,
    string_ops, scalar_ops, vector_ops, binary_scalar_ops, pick_scalar_ops, binary_mixed_ops,
    join_ops, set_ops, fold_ops, topk_ops, ratio_ops, quantile_ops, count_values_ops, histogram_ops,
    bucket_ops, label_ops, sort_ops, absent_ops, absent_range_ops, invariant_ops, timestamp_ops,
    info_ops, nothing_ops, rename_ops, alias_ops;

/* After evaluation: what joins have to say. */
void joins_tell(struct eval *ev);
/* Whether a function of one float per sample is node_math.c's. */
bool math_has(enum function_id fn);
double binary_scalars(enum binary_op op, double l, double r);
/* The raw samples of one series of a top-level range vector. */
bool range_raw(struct eval *ev, struct range_node *n, uint32_t i, struct worker *w,
               struct sample_buf *out, struct error *err);

/* ---- histograms.c: native histograms as values ---- */

/* What Prometheus counts a histogram as, in samples. */
uint32_t histogram_weight(const struct histogram *h);
size_t histogram_bytes(const struct histogram *h);
/* Integer histograms become float ones, in the arena. */
void samples_to_float(struct sample_buf *b, struct arena *a);
void samples_to_stats(struct sample_buf *b, struct arena *a);
/* A deep copy. */
const struct histogram *histogram_keep(struct arena *a, const struct histogram *h);
