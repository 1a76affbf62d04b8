/* Driving nodes: workers, blocks of columns in parallel, folding in series order.
 *
 * A block is workers x columns-per-worker columns. Each worker computes its share into its own
 * arena; then the thread of the query hands the columns to the consumer one by one in series order
 * and the arenas are rewound. So what is added up is added in one order whatever the number of
 * threads, and memory is bounded by the block. */
#include "promql/exec_priv.h"

#include "base/mem.h"

enum {
    WORKERS_PER_THREAD = 4,      /* evens out series of different size */
    COLUMNS_PER_WORKER_MAX = 16, /* amortises handing out work */
    BLOCK_BYTES_MAX = 32 << 20   /* of columns in flight; long grids get smaller blocks */
};

/* ---- columns ---- */

void
column_new(struct arena *a, struct column *c, size_t nr, bool histograms)
{
    *c = (struct column){ .nr = nr };
    c->v = arena_alloc(a, nr * sizeof c->v[0]);
    c->present = arena_zalloc(a, COLUMN_WORDS(nr) * sizeof c->present[0]);
    if (histograms)
        c->h = ARENA_NEW_ARRAY(a, const struct histogram *, nr);
}

void
column_fill(struct column *c)
{
    size_t words = COLUMN_WORDS(c->nr), rest = c->nr % COLUMN_WORD_BITS;

    memset(c->present, 0xff, words * sizeof c->present[0]);
    if (rest != 0)
        c->present[words - 1] = (UINT64_C(1) << rest) - 1;
    c->present_nr = c->nr;
}

void
column_count(struct column *c)
{
    c->present_nr = 0;
    for (size_t i = 0; i < COLUMN_WORDS(c->nr); i++)
        c->present_nr += (size_t)__builtin_popcountll(c->present[i]);
}

void
column_copy(struct arena *a, struct column *dst, const struct column *src)
{
    *dst = *src;
    dst->v = arena_alloc(a, src->nr * sizeof src->v[0]);
    memcpy(dst->v, src->v, src->nr * sizeof src->v[0]);
    dst->present = arena_alloc(a, COLUMN_WORDS(src->nr) * sizeof src->present[0]);
    memcpy(dst->present, src->present, COLUMN_WORDS(src->nr) * sizeof src->present[0]);
    if (src->h == NULL)
        return;
    dst->h = arena_alloc(a, src->nr * sizeof src->h[0]);
    for (size_t i = 0; i < src->nr; i++)
        dst->h[i] = src->h[i] == NULL ? NULL : histogram_keep(a, src->h[i]);
}

/* ---- workers ---- */

bool
eval_init(struct eval *ev, struct error *err)
{
    (void)err;
    ev->workers_nr = (ev->pool == NULL ? 1 : pool_threads(ev->pool) + 1) * WORKERS_PER_THREAD;
    ev->workers = MEM_NEW_ARRAY(struct worker, ev->workers_nr);
    ev->tallies = MEM_NEW_ARRAY(struct tally, MAX(ev->nodes_nr, 1u));
    for (uint32_t i = 0; i < ev->workers_nr; i++) {
        struct worker *w = &ev->workers[i];

        arena_init_shared(&w->arena, ev->budget);
        sample_buf_init(&w->samples, &w->arena);
        w->tallies = MEM_NEW_ARRAY(struct tally, MAX(ev->nodes_nr, 1u));
    }
    return true;
}

static void
tallies_free(struct tally *t, uint32_t nr)
{
    for (uint32_t i = 0; t != NULL && i < nr; i++) {
        mem_free(t[i].at);
        mem_free(t[i].heavy_at);
        mem_free(t[i].loaded_at);
        mem_free(t[i].read_at);
    }
    mem_free(t);
}

void
eval_fini(struct eval *ev)
{
    for (uint32_t i = 0; ev->workers != NULL && i < ev->workers_nr; i++) {
        sample_buf_fini(&ev->workers[i].samples);
        arena_fini(&ev->workers[i].arena);
        tallies_free(ev->workers[i].tallies, ev->nodes_nr);
    }
    mem_free(ev->workers);
    tallies_free(ev->tallies, ev->nodes_nr);
    table_fini(&ev->texts);
    mem_free(ev->made);
    mem_free(ev->selections);
    mem_free(ev->owners);
    mem_free(ev->parts);
}

bool
eval_go_on(struct eval *ev, struct error *err)
{
    if (ev->canceled != NULL && atomic_load_explicit(ev->canceled, memory_order_relaxed))
        return error_set(err, ERR_CANCELED, "query was canceled in expression evaluation");
    if (clock_monotonic_ns(ev->clock) > ev->deadline_ns)
        return error_set(err, ERR_TIMEOUT, "query timed out in expression evaluation");
    if (atomic_load_explicit(&ev->budget->over, memory_order_relaxed))
        return error_set(err, ERR_LIMIT, "query needs more memory than one query may use");
    return true;
}

/* ---- counting what nodes give ---- */

uint64_t
column_weight(const struct column *c)
{
    uint64_t weight = c->present_nr;

    for (size_t k = 0; c->h != NULL && k < c->nr; k++)
        if (column_has(c, k) && c->h[k] != NULL)
            weight += histogram_weight(c->h[k]) - 1;
    return weight;
}

/* A vector's histograms count one and their bytes in samples, rounded down. */
static void
tally_heavy(struct tally *t, const struct column *c)
{
    if (t->heavy_at == NULL)
        t->heavy_at = MEM_NEW_ARRAY(uint64_t, c->nr);
    for (size_t k = 0; k < c->nr; k++)
        if (column_has(c, k) && c->h[k] != NULL)
            t->heavy_at[k] += histogram_bytes(c->h[k]) / 16;
}

void
tally_column(struct tally *t, const struct column *c)
{
    if (c->h != NULL && c->present_nr > 0)
        tally_heavy(t, c);
    t->total += c->h == NULL ? c->present_nr : column_weight(c);
    if (c->present_nr == c->nr) {
        t->full_nr++;
        return;
    }
    if (c->present_nr == 0)
        return;
    if (t->at == NULL)
        t->at = MEM_NEW_ARRAY(uint32_t, c->nr);
    for (size_t k = 0; k < c->nr; k++)
        t->at[k] += column_has(c, k);
}

void
tally_samples(struct eval *ev, struct worker *w, const struct node *n, size_t k, uint64_t loaded,
              uint64_t read)
{
    struct tally *t = &w->tallies[n->id];

    t->loaded += loaded;
    t->read += read;
    if (ev->per_step_stats && loaded > 0) {
        if (t->loaded_at == NULL)
            t->loaded_at = MEM_NEW_ARRAY(uint64_t, node_steps(n));
        t->loaded_at[k] += loaded;
    }
    if ((ev->per_step_stats || n->frame->reads) && read > 0) {
        if (t->read_at == NULL)
            t->read_at = MEM_NEW_ARRAY(uint64_t, node_steps(n));
        t->read_at[k] += read;
    }
}

static uint64_t *
add_steps(uint64_t *into, const uint64_t *from, size_t nr)
{
    if (from != NULL && into == NULL)
        into = MEM_NEW_ARRAY(uint64_t, nr);
    for (size_t k = 0; from != NULL && k < nr; k++)
        into[k] += from[k];
    return into;
}

static void
tally_add(struct tally *into, struct tally *t, size_t nr)
{
    into->total += t->total;
    into->full_nr += t->full_nr;
    into->loaded += t->loaded;
    into->read += t->read;
    if (t->at != NULL && into->at == NULL)
        into->at = MEM_NEW_ARRAY(uint32_t, nr);
    for (size_t k = 0; t->at != NULL && k < nr; k++)
        into->at[k] += t->at[k];
    into->heavy_at = add_steps(into->heavy_at, t->heavy_at, nr);
    into->loaded_at = add_steps(into->loaded_at, t->loaded_at, nr);
    into->read_at = add_steps(into->read_at, t->read_at, nr);
    mem_free(t->at);
    mem_free(t->heavy_at);
    mem_free(t->loaded_at);
    mem_free(t->read_at);
    *t = (struct tally){ 0 };
}

static void
tally_node(struct eval *ev, const struct node *n)
{
    for (uint32_t i = 0; i < ev->workers_nr; i++)
        tally_add(&ev->tallies[n->id], &ev->workers[i].tallies[n->id], node_steps(n));
    for (uint32_t i = 0; i < n->args_nr; i++)
        if (n->args[i] != NULL)
            tally_node(ev, n->args[i]);
}

void
eval_tally_tree(struct eval *ev, const struct node *root)
{
    tally_node(ev, root);
}

void
eval_tally_clear(struct eval *ev)
{
    tallies_free(ev->tallies, ev->nodes_nr);
    ev->tallies = MEM_NEW_ARRAY(struct tally, MAX(ev->nodes_nr, 1u));
}

/* ---- nodes ---- */

bool
node_open(struct eval *ev, struct node *n, struct error *err)
{
    if (n->opened)
        return true;
    n->opened = true;
    if (!eval_go_on(ev, err))
        return false;
    if (node_steps(n) == 0 && n->type != VALUE_STRING) {
        n->series_nr = 0;
        return true;
    }
    if (!n->ops->open(ev, n, err))
        return false;
    return n->uses <= 1 || n->held != NULL || node_hold(ev, n, err);
}

static bool
column_raw(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
           struct error *err)
{
    if (!eval_go_on(ev, err) || !n->ops->column(ev, n, i, w, out, err))
        return false;
    tally_column(&w->tallies[n->id], out);
    return true;
}

bool
node_column(struct eval *ev, struct node *n, uint32_t i, struct worker *w, struct column *out,
            struct error *err)
{
    if (n->held == NULL)
        return column_raw(ev, n, i, w, out, err);
    *out = n->held[i];
    return true;
}

struct run {
    struct eval *ev;
    work_fn fn;
    void *arg;
    uint32_t nr, per_worker;
    struct error *errors; /* one per worker */
    bool *failed;
};

static void
run_share(void *arg, size_t at)
{
    struct run *r = arg;
    struct worker *w = &r->ev->workers[at];
    uint32_t from = (uint32_t)at * r->per_worker, to = MIN(r->nr, from + r->per_worker);

    for (uint32_t i = from; i < to; i++)
        if (!r->fn(r->ev, i, w, r->arg, &r->errors[at])) {
            r->failed[at] = true;
            return;
        }
}

/* [0, nr) split evenly over the workers; the lowest failing share gives the error. */
bool
eval_run(struct eval *ev, uint32_t nr, work_fn fn, void *arg, struct error *err)
{
    struct run r = { .ev = ev, .fn = fn, .arg = arg, .nr = nr };
    bool ok = true;

    if (nr == 0)
        return true;
    r.per_worker = (nr + ev->workers_nr - 1) / ev->workers_nr;
    uint32_t shares = (nr + r.per_worker - 1) / r.per_worker;
    r.errors = MEM_NEW_ARRAY(struct error, shares);
    r.failed = MEM_NEW_ARRAY(bool, shares);
    pool_run(shares > 1 ? ev->pool : NULL, shares, run_share, &r);
    for (uint32_t i = 0; i < shares; i++) {
        if (r.failed[i] && ok) {
            error_copy(err, &r.errors[i]);
            ok = false;
        }
        error_clear(&r.errors[i]);
    }
    mem_free(r.errors);
    mem_free(r.failed);
    return ok;
}

struct block {
    struct node *n;
    uint32_t from;
    struct column *columns;
};

static bool
block_column(struct eval *ev, uint32_t i, struct worker *w, void *arg, struct error *err)
{
    struct block *b = arg;

    return node_column(ev, b->n, b->from + i, w, &b->columns[i], err);
}

/* Steps of all columns that one column of n makes on its way: a subquery's grid may be a thousand
 * times finer. */
static size_t
steps_in_flight(const struct node *n)
{
    size_t steps = node_steps(n);

    if (n->held != NULL)
        return 0;
    for (uint32_t i = 0; i < n->args_nr; i++)
        steps += steps_in_flight(n->args[i]);
    return steps;
}

static uint32_t
block_columns(const struct eval *ev, const struct node *n)
{
    /* Value, presence, and for subqueries the sample made of them. */
    size_t bytes = (steps_in_flight(n) + 1) * 25,
           most = (size_t)ev->workers_nr * COLUMNS_PER_WORKER_MAX;
    size_t room = MIN((size_t)BLOCK_BYTES_MAX, ev->budget->bytes_max / 8),
           fit = MAX(room / bytes, (size_t)1);

    return (uint32_t)MIN(MIN(most, fit), (size_t)UINT32_MAX);
}

static void
workers_rewind(struct eval *ev)
{
    for (uint32_t i = 0; i < ev->workers_nr; i++)
        if (ev->workers[i].arena.top != NULL)
            arena_rewind(&ev->workers[i].arena, (struct arena_mark){ NULL, 0 });
}

static bool
block_hand_over(struct eval *ev, struct block *b, uint32_t nr, column_fn fn, void *arg,
                struct error *err)
{
    for (uint32_t i = 0; i < nr; i++)
        if (b->columns[i].present_nr > 0 && !fn(arg, b->from + i, &b->columns[i], err))
            return false;
    uint64_t total = 0;
    for (uint32_t i = 0; i < ev->workers_nr; i++)
        total += ev->workers[i].tallies[b->n->id].total;
    /* Whatever the exact peak turns out to be, these points alone are held at once. */
    if (total > ev->samples_max)
        return error_too_many_samples(err);
    return true;
}

bool
node_each(struct eval *ev, struct node *n, column_fn fn, void *arg, struct error *err)
{
    uint32_t most = block_columns(ev, n);
    struct block b = { .n = n,
                       .columns = MEM_NEW_ARRAY(struct column, MIN(most, MAX(n->series_nr, 1u))) };
    bool ok = true;

    for (; ok && b.from < n->series_nr; b.from += most) {
        uint32_t nr = MIN(most, n->series_nr - b.from);

        ok = eval_run(ev, nr, block_column, &b, err) && block_hand_over(ev, &b, nr, fn, arg, err);
        workers_rewind(ev);
    }
    mem_free(b.columns);
    return ok;
}

struct hold {
    struct eval *ev;
    struct column *columns;
};

static bool
hold_column(void *arg, uint32_t i, const struct column *c, struct error *err)
{
    struct hold *h = arg;

    column_copy(h->ev->arena, &h->columns[i], c);
    return eval_go_on(h->ev, err);
}

bool
node_hold(struct eval *ev, struct node *n, struct error *err)
{
    struct column none;
    struct hold h = { ev, ARENA_NEW_ARRAY(ev->arena, struct column, n->series_nr) };

    if (n->held != NULL)
        return true;
    column_new(ev->arena, &none, node_steps(n), false);
    for (uint32_t i = 0; i < n->series_nr; i++)
        h.columns[i] = none;
    if (!node_each(ev, n, hold_column, &h, err))
        return false;
    n->held = h.columns;
    return true;
}

bool
node_scalar(struct eval *ev, struct node *n, const double **v, struct error *err)
{
    *v = NULL;
    if (!node_open(ev, n, err) || !node_hold(ev, n, err))
        return false;
    *v = n->series_nr == 0 ? NULL : n->held[0].v;
    return true;
}

bool
error_too_many_samples(struct error *err)
{
    return error_set(err, ERR_LIMIT,
                     "query processing would load too many samples into memory in query execution");
}

/* ---- series that several sources may feed ---- */

struct owner {
    uint32_t node, series, source;
};

bool
eval_owns(struct eval *ev, const struct node *n, uint32_t i, uint32_t source)
{
    bool owns = true, known = false;

    pthread_mutex_lock(&ev->owners_lock);
    for (size_t k = 0; !known && k < ev->owners_nr; k++) {
        known = ev->owners[k].node == n->id && ev->owners[k].series == i;
        owns = !known || ev->owners[k].source == source;
    }
    if (!known) {
        MEM_GROW(ev->owners, ev->owners_nr + 1, &ev->owners_cap);
        ev->owners[ev->owners_nr++] = (struct owner){ n->id, i, source };
    }
    pthread_mutex_unlock(&ev->owners_lock);
    return owns;
}
