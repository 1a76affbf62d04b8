/* Values are doubles kept as bits: counters add by compare and swap. The registry's lock guards the
 * sets of families and series only; a collector is called without it, since collectors take the
 * locks of what they tell about. */
#include "base/metrics.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/metrics_priv.h"

static double
double_of(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t
bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

void
metric_add(struct metric *m, double by)
{
    uint64_t before = atomic_load_explicit(&m->bits, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(&m->bits, &before,
                                                  bits_of(double_of(before) + by),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void
metric_set(struct metric *m, double v)
{
    atomic_store_explicit(&m->bits, bits_of(v), memory_order_relaxed);
}

double
metric_get(const struct metric *m)
{
    return double_of(atomic_load_explicit(&m->bits, memory_order_relaxed));
}

struct metrics *
metrics_new(void)
{
    struct metrics *m = MEM_NEW(struct metrics);

    lock_init(&m->lock, LOCK_METRICS, "metrics");
    return m;
}

static void
series_free(struct metric_series *s)
{
    if (s->histogram != NULL) {
        mem_free(s->histogram->bounds);
        mem_free(s->histogram->counts);
        mem_free(s->histogram);
    }
    if (s->summary != NULL) {
        lock_fini(&s->summary->lock);
        mem_free(s->summary->quantiles);
        mem_free(s->summary);
    }
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++)
        mem_free((void *)(uintptr_t)s->values[i].p);
    mem_free(s);
}

static void
family_free(struct metric_family *f)
{
    for (size_t i = 0; i < f->series_nr; i++)
        series_free(f->series[i]);
    mem_free(f->series);
    mem_free(f->collectors);
    table_fini(&f->by_values);
    mem_free(f);
}

void
metrics_free(struct metrics *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->families_nr; i++)
        family_free(m->families[i]);
    mem_free(m->families);
    lock_fini(&m->lock);
    mem_free(m);
}

/* Where the family stands or would stand. */
static size_t
family_place(const struct metrics *m, const char *name)
{
    size_t i = 0;

    while (i < m->families_nr && strcmp(m->families[i]->name, name) < 0)
        i++;
    return i;
}

static struct metric_family *
family_new(struct metrics *m, enum metric_type type, const char *name, const char *help,
           const char *const *label_names)
{
    struct metric_family *f = MEM_NEW(struct metric_family);

    *f = (struct metric_family){
        .registry = m, .type = type, .name = name, .help = help, .label_names = label_names
    };
    while (label_names != NULL && label_names[f->labels_nr] != NULL)
        f->labels_nr++;
    ASSERT(f->labels_nr <= METRIC_LABELS_MAX);
    return f;
}

struct metric_family *
metrics_family(struct metrics *m, enum metric_type type, const char *name, const char *help,
               const char *const *label_names)
{
    lock_take(&m->lock);
    size_t at = family_place(m, name);
    if (at == m->families_nr || strcmp(m->families[at]->name, name) != 0) {
        MEM_GROW(m->families, m->families_nr + 1, &m->families_cap);
        memmove(m->families + at + 1, m->families + at,
                (m->families_nr - at) * sizeof *m->families);
        m->families[at] = family_new(m, type, name, help, label_names);
        m->families_nr++;
    }
    struct metric_family *f = m->families[at];
    lock_release(&m->lock);
    ASSERT(f->type == type);
    return f;
}

struct metric *
metrics_counter(struct metrics *m, const char *name, const char *help)
{
    return metrics_child(metrics_family(m, METRIC_COUNTER, name, help, NULL), NULL);
}

struct metric *
metrics_gauge(struct metrics *m, const char *name, const char *help)
{
    return metrics_child(metrics_family(m, METRIC_GAUGE, name, help, NULL), NULL);
}

struct values_key {
    const struct str *values;
    size_t nr;
};

static bool
series_is(const void *item, const void *key)
{
    const struct metric_series *s = item;
    const struct values_key *k = key;

    for (size_t i = 0; i < k->nr; i++) {
        if (!str_eq(s->values[i], k->values[i]))
            return false;
    }
    return true;
}

static uint64_t
values_hash(const struct values_key *k)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < k->nr; i++)
        hash = hash64_mix(hash, hash64_str(k->values[i]));
    return hash;
}

static struct metric_series *
series_new(struct metric_family *f, const struct values_key *key, uint64_t hash)
{
    struct metric_series *s = MEM_NEW(struct metric_series);

    for (size_t i = 0; i < key->nr; i++)
        s->values[i] = (struct str){ str_dup(key->values[i]), key->values[i].n };
    s->hash = hash;
    MEM_GROW(f->series, f->series_nr + 1, &f->series_cap);
    f->series[f->series_nr++] = s;
    table_add(&f->by_values, hash, s);
    return s;
}

/* The registry's lock is held. */
static struct metric_series *
series_of(struct metric_family *f, const struct str *values)
{
    struct values_key key = { values, f->labels_nr };
    uint64_t hash = values_hash(&key);
    struct metric_series *s = table_find(&f->by_values, hash, series_is, &key);

    if (s == NULL)
        s = series_new(f, &key, hash);
    if (atomic_exchange(&s->hidden, false))
        metric_set(&s->value, 0);
    return s;
}

struct metric *
metrics_child(struct metric_family *f, const struct str *values)
{
    lock_take(&f->registry->lock);
    struct metric_series *s = series_of(f, values);
    lock_release(&f->registry->lock);
    return &s->value;
}

void
metrics_child_remove(struct metric_family *f, const struct str *values)
{
    struct values_key key = { values, f->labels_nr };

    lock_take(&f->registry->lock);
    struct metric_series *s = table_find(&f->by_values, values_hash(&key), series_is, &key);
    if (s != NULL)
        atomic_store(&s->hidden, true);
    lock_release(&f->registry->lock);
}

struct metric_histogram *
metrics_histogram(struct metric_family *f, const struct str *values, const double *bounds,
                  size_t bounds_nr)
{
    lock_take(&f->registry->lock);
    struct metric_series *s = series_of(f, values);
    if (s->histogram == NULL) {
        s->histogram = MEM_NEW(struct metric_histogram);
        s->histogram->bounds = mem_dup(bounds, bounds_nr * sizeof *bounds);
        s->histogram->bounds_nr = bounds_nr;
        s->histogram->counts = MEM_NEW_ARRAY(_Atomic uint64_t, bounds_nr + 1);
    }
    lock_release(&f->registry->lock);
    return s->histogram;
}

void
metric_histogram_observe(struct metric_histogram *h, double v)
{
    size_t i = 0;

    while (i < h->bounds_nr && !(v <= h->bounds[i]))
        i++;
    atomic_fetch_add_explicit(&h->counts[i], 1, memory_order_relaxed);
    metric_add(&h->sum, v);
}

struct metric_summary *
metrics_summary(struct metric_family *f, const struct str *values, const double *quantiles,
                size_t quantiles_nr)
{
    lock_take(&f->registry->lock);
    struct metric_series *s = series_of(f, values);
    if (s->summary == NULL) {
        s->summary = MEM_NEW(struct metric_summary);
        lock_init(&s->summary->lock, LOCK_RANK_NONE, "summary");
        s->summary->quantiles = mem_dup(quantiles, quantiles_nr * sizeof *quantiles);
        s->summary->quantiles_nr = quantiles_nr;
        s->summary->random = s->hash | 1;
    }
    lock_release(&f->registry->lock);
    return s->summary;
}

static uint64_t
summary_random(struct metric_summary *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

void
metric_summary_observe(struct metric_summary *s, double v, int64_t monotonic_ns)
{
    int64_t turn = monotonic_ns / SUMMARY_SLOT_NS;

    lock_take(&s->lock);
    struct summary_slot *slot = &s->slots[turn % SUMMARY_SLOTS];
    if (slot->turn != turn) {
        slot->turn = turn;
        slot->nr = 0;
    }
    uint64_t place = slot->nr < SUMMARY_SAMPLES ? slot->nr : summary_random(s) % (slot->nr + 1);
    if (place < SUMMARY_SAMPLES)
        slot->kept[place] = v;
    slot->nr++;
    s->sum += v;
    s->nr++;
    lock_release(&s->lock);
}

void
metrics_collector(struct metrics *m, struct metric_family *f, metrics_collect_fn fn, void *arg)
{
    lock_take(&m->lock);
    MEM_GROW(f->collectors, f->collectors_nr + 1, &f->collectors_cap);
    f->collectors[f->collectors_nr++] = (struct collector){ fn, arg };
    lock_release(&m->lock);
}
