/* What is measured: see gen.h. Samples are 15 s apart, a little off now and then. */
#include "gen.h"

#include <stdio.h>

enum { STEP_MS = 15000, SAMPLES = (int)(GEN_SPAN_MS / STEP_MS) };

uint64_t
gen_next(struct gen *g)
{
    uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

unsigned
gen_below(struct gen *g, unsigned below)
{
    return (unsigned)(gen_next(g) % below);
}

static double
fraction(struct gen *g)
{
    return (double)(gen_next(g) >> 11) * 0x1p-53;
}

struct walk {
    int64_t t_ms;
    int gap;     /* samples still to leave out */
    bool jitter; /* times are off the grid */
    bool marks;  /* a gap begins with a stale marker */
    double v;
};

static struct walk
walk_start(struct gen *g)
{
    return (struct walk){ .t_ms = GEN_START_MS,
                          .jitter = gen_below(g, 3) == 0,
                          .marks = gen_below(g, 2) };
}

enum turn { TURN_SKIP, TURN_STALE, TURN_SAMPLE };

/* The next place of a sample, and what is there. */
static enum turn
walk_turn(struct gen *g, struct walk *w, int i)
{
    w->t_ms = GEN_START_MS + (int64_t)i * STEP_MS + (w->jitter ? (int64_t)gen_below(g, 2000) : 0);
    if (w->gap > 0) {
        w->gap--;
        return TURN_SKIP;
    }
    if (gen_below(g, 60) == 0) {
        w->gap = (int)gen_below(g, 40);
        return w->marks ? TURN_STALE : TURN_SKIP;
    }
    return TURN_SAMPLE;
}

static const double odd_values[] = {
    NAN, INFINITY, -INFINITY, 0, -0.0, 1e17, -1e17, 1e-300, 5e307
};

static double
gauge_value(struct gen *g, double v, unsigned kind)
{
    if (kind == 0) /* wild */
        return gen_below(g, 12) == 0 ? odd_values[gen_below(g, ARRAY_LEN(odd_values))]
                                     : (fraction(g) - 0.5) * 1000;
    if (kind == 1) /* few values, often the same */
        return (double)gen_below(g, 4);
    return v + (fraction(g) - 0.5) * 10;
}

static double
counter_value(struct gen *g, double v)
{
    if (gen_below(g, 40) == 0)
        return (double)gen_below(g, 5);
    return v + (double)gen_below(g, 50) / (gen_below(g, 4) == 0 ? 4 : 1);
}

static void
add_floats(struct gen *g, struct mem_storage *s, struct labels ls, bool counter)
{
    struct walk w = walk_start(g);
    unsigned kind = gen_below(g, 4);

    for (int i = 0; i < SAMPLES; i++) {
        enum turn turn = walk_turn(g, &w, i);

        if (turn == TURN_STALE)
            mem_storage_add(s, ls, w.t_ms, double_of_bits(STALE_NAN_BITS), NULL);
        if (turn != TURN_SAMPLE)
            continue;
        w.v = counter ? counter_value(g, w.v) : gauge_value(g, w.v, kind);
        mem_storage_add(s, ls, w.t_ms, w.v, NULL);
    }
}

/* ---- native histograms ---- */

enum { BUCKETS_MAX = 8 };

/* A histogram that grows, with its arrays. */
struct native {
    struct histogram h;
    struct histogram_span pos[2], neg[1];
    double pos_v[BUCKETS_MAX], neg_v[BUCKETS_MAX], bounds[4];
};

static void
native_shape(struct gen *g, struct native *n, bool custom)
{
    unsigned first = 1 + gen_below(g, 3), second = gen_below(g, 3);

    *n = (struct native){ .h = { .schema =
                                     custom ? HISTOGRAM_SCHEMA_CUSTOM : (int)gen_below(g, 5) - 1,
                                 .zero_threshold = custom ? 0 : 0.001 } };
    if (custom) {
        unsigned kind = gen_below(g, 2);

        for (int i = 0; i < 4; i++)
            n->bounds[i] = kind == 0 ? i + 1 : (i + 1) * 2;
        n->h.custom_values = n->bounds;
        n->h.custom_values_nr = 4;
        first = 1 + gen_below(g, 2);
        second = gen_below(g, 2);
    }
    n->pos[0] = (struct histogram_span){ custom ? 0 : (int)gen_below(g, 5) - 2, first };
    n->pos[1] = (struct histogram_span){ 1, second };
    n->h.pos = (struct histogram_side){ .spans = n->pos,
                                        .spans_nr = second > 0 ? 2 : 1,
                                        .counts = n->pos_v,
                                        .buckets_nr = first + second };
    if (custom || gen_below(g, 2) == 0)
        return;
    n->neg[0] = (struct histogram_span){ 0, 2 };
    n->h.neg = (struct histogram_side){
        .spans = n->neg, .spans_nr = 1, .counts = n->neg_v, .buckets_nr = 2
    };
}

static void
native_grow(struct gen *g, struct native *n)
{
    double more;

    n->h.count = 0;
    for (size_t i = 0; i < n->h.pos.buckets_nr; i++) {
        more = (double)gen_below(g, 4);
        n->pos_v[i] += more;
        n->h.count += n->pos_v[i];
        n->h.sum += more * (double)i;
    }
    for (size_t i = 0; i < n->h.neg.buckets_nr; i++) {
        more = (double)gen_below(g, 2);
        n->neg_v[i] += more;
        n->h.count += n->neg_v[i];
        n->h.sum -= more;
    }
    if (n->h.schema != HISTOGRAM_SCHEMA_CUSTOM)
        n->h.zero_count += (double)gen_below(g, 3);
    n->h.count += n->h.zero_count;
}

static void
add_stale_histogram(struct mem_storage *s, struct labels ls, int64_t t_ms)
{
    struct histogram h = { .sum = double_of_bits(STALE_NAN_BITS) };

    mem_storage_add(s, ls, t_ms, 0, &h);
}

enum native_kind { NATIVE_EXPONENTIAL, NATIVE_CUSTOM, NATIVE_GAUGE, NATIVE_ALL, NATIVE_AND_FLOATS };

static void
add_natives(struct gen *g, struct mem_storage *s, struct labels ls, enum native_kind kind)
{
    struct walk w = walk_start(g);
    struct native n;
    bool custom = kind == NATIVE_CUSTOM, reset = true;
    bool knows =
        kind != NATIVE_GAUGE && gen_below(g, 3) == 0; /* as what a database has read back */

    native_shape(g, &n, custom);
    for (int i = 0; i < SAMPLES; i++) {
        enum turn turn = walk_turn(g, &w, i);

        if (turn == TURN_STALE)
            add_stale_histogram(s, ls, w.t_ms);
        if (turn != TURN_SAMPLE)
            continue;
        if (gen_below(g, 25) == 0) {
            custom = kind == NATIVE_ALL ? gen_below(g, 2) : custom;
            native_shape(g, &n, custom);
            reset = true;
        }
        native_grow(g, &n);
        if (kind == NATIVE_GAUGE)
            n.h.hint = HINT_GAUGE;
        else
            n.h.hint = kind == NATIVE_ALL && gen_below(g, 6) == 0 ? HINT_GAUGE : HINT_UNKNOWN;
        if (knows && n.h.hint == HINT_UNKNOWN)
            n.h.hint = reset ? HINT_RESET : HINT_NOT_RESET;
        reset = false;
        if (kind == NATIVE_AND_FLOATS && gen_below(g, 4) == 0)
            mem_storage_add(s, ls, w.t_ms, (double)gen_below(g, 100), NULL);
        else
            mem_storage_add(s, ls, w.t_ms, 0, &n.h);
    }
}

/* ---- series ---- */

struct set {
    struct label l[6];
    size_t nr;
    char text[6][16];
};

static void
put(struct set *to, const char *name, const char *value)
{
    struct label l = { str_c(name), STR_NONE };
    size_t at = to->nr++;

    snprintf(to->text[at], sizeof to->text[at], "%s", value);
    l.value = str_c(to->text[at]);
    for (; at > 0 && str_cmp(to->l[at - 1].name, l.name) > 0; at--)
        to->l[at] = to->l[at - 1];
    to->l[at] = l;
}

static struct labels
named(struct set *to, const char *name, unsigned job, unsigned instance)
{
    char text[16];

    *to = (struct set){ 0 };
    put(to, "__name__", name);
    snprintf(text, sizeof text, "j%u", job);
    put(to, "job", text);
    snprintf(text, sizeof text, "i%u", instance);
    put(to, "instance", text);
    return (struct labels){ to->l, to->nr };
}

static void
add_classic(struct gen *g, struct mem_storage *s, unsigned job, unsigned instance)
{
    static const char *const les[] = { "0.1", "1", "5", "+Inf" };
    struct set set;
    double v[ARRAY_LEN(les)] = { 0 };

    for (int i = 0; i < SAMPLES; i++) {
        double below = 0;

        if (gen_below(g, 50) == 0)
            memset(v, 0, sizeof v);
        for (size_t k = 0; k < ARRAY_LEN(les); k++) {
            struct labels ls = named(&set, "lat_bucket", job, instance);

            put(&set, "le", les[k]);
            ls.nr = set.nr;
            v[k] += (double)gen_below(g, 5);
            below += v[k];
            /* Now and then a bucket is behind those before it. */
            mem_storage_add(s, ls, GEN_START_MS + (int64_t)i * STEP_MS,
                            gen_below(g, 80) == 0 ? below / 2 : below, NULL);
        }
    }
}

static void
add_infos(struct gen *g, struct mem_storage *s, unsigned job, unsigned instance)
{
    static const char *const names[] = { "target_info", "build_info" };
    struct set set;

    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        unsigned change = gen_below(g, SAMPLES);

        for (unsigned i = 0; i < SAMPLES; i++) {
            struct labels ls = named(&set, names[k], job, instance);

            put(&set, k == 0 ? "version" : "rev", i < change ? "v1" : "v2");
            ls.nr = set.nr;
            mem_storage_add(s, ls, GEN_START_MS + (int64_t)i * STEP_MS, 1, NULL);
        }
    }
}

void
gen_data(struct gen *g, struct mem_storage *s)
{
    static const struct {
        const char *name;
        bool counter;
    } floats[] = { { "c_total", true }, { "d_total", true }, { "g", false }, { "m", false } };
    static const char *const natives[] = { "nh", "nhcb", "nhg", "nhx", "mixed" };
    struct set set;

    for (unsigned job = 0; job < 2; job++) {
        for (unsigned instance = 0; instance < 2 + job; instance++) {
            for (size_t k = 0; k < ARRAY_LEN(floats); k++) {
                struct labels ls = named(&set, floats[k].name, job, instance);

                if (gen_below(g, 3) == 0) {
                    put(&set, "code", gen_below(g, 2) ? "200" : "500");
                    ls.nr = set.nr;
                }
                add_floats(g, s, ls, floats[k].counter);
            }
            for (size_t k = 0; k < ARRAY_LEN(natives); k++)
                if (gen_below(g, 3) > 0)
                    add_natives(g, s, named(&set, natives[k], job, instance), (enum native_kind)k);
            add_classic(g, s, job, instance);
            if (gen_below(g, 4) > 0)
                add_infos(g, s, job, instance);
        }
    }
}
