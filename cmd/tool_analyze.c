/* tsdb analyze: which labels a block's series have, which of them come and go, how well its chunks
 * are filled. Lists are sorted by number, equal ones by text (promtool leaves their order to
 * chance). */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/ulid.h"
#include "cmd/tool.h"
#include "cmd/tool_blocks.h"

#define NS_PER_MS INT64_C(1000000)

struct pair_count {
    struct symbol_pair pair; /* value SYMBOL_NONE: the name alone */
    uint64_t series_nr, values_nr, values_bytes;
    uint64_t uncovered_ms; /* of the block's time, by its series */
};

struct analysis {
    struct tool *t;
    struct block *block;
    struct symbols *symbols;
    struct matcher *matchers;
    size_t matchers_nr, limit;
    struct arena arena;
    struct postings refs;
    struct table pairs, names; /* struct pair_count */
    uint64_t entries_nr;
};

static bool
pair_eq(const void *item, const void *key)
{
    const struct pair_count *c = item;
    const struct symbol_pair *p = key;

    return c->pair.name == p->name && c->pair.value == p->value;
}

static struct pair_count *
pair_get(struct analysis *a, struct table *table, struct symbol_pair pair, bool *fresh)
{
    uint64_t hash = ((uint64_t)pair.name << 32 | pair.value) * UINT64_C(0x9E3779B97F4A7C15);
    struct pair_count *c = table_find(table, hash, pair_eq, &pair);

    *fresh = c == NULL;
    if (c == NULL) {
        c = ARENA_NEW(&a->arena, struct pair_count);
        c->pair = pair;
        table_add(table, hash, c);
    }
    return c;
}

static void
count_series(struct analysis *a, const struct block_series *s)
{
    const struct block_meta *meta = block_meta(a->block);
    uint64_t covered = 0;
    bool fresh;

    if (s->chunks_nr > 0)
        covered = (uint64_t)(s->chunks[s->chunks_nr - 1].max_ms - s->chunks[0].min_ms);
    uint64_t uncovered = (uint64_t)(meta->max_ms - meta->min_ms) - covered;
    for (uint32_t i = 0; i < s->pairs_nr; i++) {
        struct pair_count *pair = pair_get(a, &a->pairs, s->pairs[i], &fresh);
        bool new_value = fresh;
        struct symbol_pair alone = { s->pairs[i].name, SYMBOL_NONE };
        struct pair_count *name = pair_get(a, &a->names, alone, &fresh);
        pair->series_nr++;
        pair->uncovered_ms += uncovered;
        name->uncovered_ms += uncovered;
        name->values_nr += new_value;
        if (new_value)
            name->values_bytes += symbols_text(a->symbols, s->pairs[i].value).n;
        a->entries_nr++;
    }
}

static bool
walk_series(struct analysis *a, struct error *err)
{
    struct arena scratch;
    bool ok = true;

    arena_init(&scratch, SIZE_MAX);
    for (size_t i = 0; ok && i < a->refs.nr; i++) {
        struct arena_mark mark = arena_mark(&scratch);
        struct block_series s;
        ok = block_series(a->block, a->refs.v[i], &scratch, &s, err);
        if (ok)
            count_series(a, &s);
        arena_rewind(&scratch, mark);
    }
    arena_fini(&scratch);
    return ok;
}

/* ---- lists ---- */

struct listed {
    struct str text;
    uint64_t nr;
};

static int
listed_cmp(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    if (x->nr != y->nr)
        return x->nr < y->nr ? 1 : -1;
    return str_cmp(x->text, y->text);
}

enum list_of {
    LIST_PAIRS_CHURN,
    LIST_NAMES_CHURN,
    LIST_PAIRS_COMMON,
    LIST_NAMES_LENGTH,
    LIST_NAMES_VALUES,
    LIST_METRICS
};

/* False: this one is not in the list. */
static bool
list_entry(struct analysis *a, enum list_of of, const struct pair_count *c, struct listed *out)
{
    const struct block_meta *meta = block_meta(a->block);
    double span = (double)(meta->max_ms - meta->min_ms);
    struct str name = symbols_text(a->symbols, c->pair.name);
    bool is_pair = c->pair.value != SYMBOL_NONE;
    struct str value = is_pair ? symbols_text(a->symbols, c->pair.value) : STR_NONE;

    out->nr = of == LIST_PAIRS_CHURN || of == LIST_NAMES_CHURN
                  ? (uint64_t)((double)c->uncovered_ms / span)
              : of == LIST_NAMES_LENGTH ? c->values_bytes
              : of == LIST_NAMES_VALUES ? c->values_nr
                                        : c->series_nr;
    if (of == LIST_METRICS)
        out->text = value;
    else if (is_pair)
        out->text = arena_printf(&a->arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
    else
        out->text = name;
    return of != LIST_METRICS || str_eq(name, LABEL_NAME);
}

static void
print_list(struct analysis *a, enum list_of of, const char *title)
{
    bool pairs = of == LIST_PAIRS_CHURN || of == LIST_PAIRS_COMMON || of == LIST_METRICS;
    const struct table *table = pairs ? &a->pairs : &a->names;
    struct listed *v = MEM_NEW_ARRAY(struct listed, table->nr + 1);
    struct pair_count *c;
    size_t nr = 0;

    for (size_t at = 0; (c = table_next(table, &at)) != NULL;)
        nr += list_entry(a, of, c, &v[nr]);
    qsort(v, nr, sizeof *v, listed_cmp);
    printf("\n%s:\n", title);
    for (size_t i = 0; i < nr && i < a->limit; i++)
        printf("%llu %.*s\n", (unsigned long long)v[i].nr, STR_ARG(v[i].text));
    mem_free(v);
}

static void
print_lists(struct analysis *a)
{
    printf("Postings (unique label pairs): %zu\nPostings entries (total label pairs): %llu\n",
           a->pairs.nr, (unsigned long long)a->entries_nr);
    print_list(a, LIST_PAIRS_CHURN, "Label pairs most involved in churning");
    print_list(a, LIST_NAMES_CHURN, "Label names most involved in churning");
    print_list(a, LIST_PAIRS_COMMON, "Most common label pairs");
    print_list(a, LIST_NAMES_LENGTH, "Label names with highest cumulative label value length");
    print_list(a, LIST_NAMES_VALUES, "Highest cardinality labels");
    print_list(a, LIST_METRICS, "Highest cardinality metric names");
}

/* ---- chunks ---- */

struct numbers {
    long long *v;
    size_t nr, cap;
};

static void
add_number(struct numbers *n, size_t v)
{
    MEM_GROW(n->v, n->nr + 1, &n->cap);
    n->v[n->nr++] = (long long)v;
}

static int
number_cmp(const void *a, const void *b)
{
    long long x = *(const long long *)a, y = *(const long long *)b;

    return (x > y) - (x < y);
}

static int
width_of(long long v)
{
    return snprintf(NULL, 0, "%lld", v);
}

/* Numbers in about ten classes of equal width, one # per percent of all chunks. */
static void
print_histogram(const char *title, struct numbers *n, size_t total)
{
    long long sum = 0, step = 10, most = 0;

    if (n->nr == 0) {
        printf("%s: N/A\n\n", title);
        return;
    }
    qsort(n->v, n->nr, sizeof *n->v, number_cmp);
    long long low = n->v[0], high = n->v[n->nr - 1];
    while (step < (high - low) / 10 && step <= 10000)
        step *= 10;
    long long start = low - low % step, end = high - high % step + step;
    size_t buckets_nr = (size_t)((end - start) / step + 1);
    long long *buckets = MEM_NEW_ARRAY(long long, buckets_nr);
    for (size_t i = 0; i < n->nr; i++) {
        long long *b = &buckets[(n->v[i] - start) / step];
        sum += n->v[i];
        ++*b;
        most = MAX(most, *b);
    }
    printf("%s (min/avg/max): %lld/%lld/%lld\n", title, low, sum / (long long)n->nr, high);
    for (size_t i = 0; i < buckets_nr; i++) {
        long long from = (long long)i * step + start;
        printf("[%*lld, %*lld]: %*lld ", width_of(end), from + 1, width_of(end + step), from + step,
               width_of(most), buckets[i]);
        for (long long k = 100 * buckets[i] / (long long)total; k > 0; k--)
            putchar('#');
        putchar('\n');
    }
    putchar('\n');
    mem_free(buckets);
}

struct chunk_stats {
    struct numbers float_samples, float_bytes, hist_samples, hist_bytes, hist_buckets;
    size_t chunks_nr;
};

static bool
count_buckets(enum chunk_encoding encoding, struct bytes data, size_t *nr, struct error *err)
{
    struct sample_buf samples;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    sample_buf_init(&samples, &arena);
    bool ok = chunk_read(encoding, data, INT64_MIN, INT64_MAX, &samples, err);
    *nr = 0;
    for (size_t i = 0; ok && i < samples.nr; i++)
        if (samples.h != NULL && samples.h[i] != NULL)
            *nr += samples.h[i]->pos.buckets_nr + samples.h[i]->neg.buckets_nr;
    sample_buf_fini(&samples);
    arena_fini(&arena);
    return ok;
}

static bool
count_chunk(struct analysis *a, uint64_t ref, struct arena *scratch, struct chunk_stats *st,
            struct error *err)
{
    enum chunk_encoding encoding;
    struct bytes data;
    size_t buckets;

    if (!block_chunk_copy(a->block, ref, scratch, &encoding, &data, err))
        return false;
    st->chunks_nr++;
    if (chunk_is_float(encoding)) {
        add_number(&st->float_samples, chunk_samples_nr(encoding, data));
        add_number(&st->float_bytes, data.n);
        return true;
    }
    add_number(&st->hist_samples, chunk_samples_nr(encoding, data));
    add_number(&st->hist_bytes, data.n);
    if (!count_buckets(encoding, data, &buckets, err))
        return false;
    add_number(&st->hist_buckets, buckets);
    return true;
}

static bool
analyze_chunks(struct analysis *a, struct error *err)
{
    struct chunk_stats st = { 0 };
    struct arena scratch;
    bool ok = true;

    arena_init(&scratch, SIZE_MAX);
    for (size_t i = 0; ok && i < a->refs.nr; i++) {
        struct arena_mark mark = arena_mark(&scratch);
        struct block_series s;
        ok = block_series(a->block, a->refs.v[i], &scratch, &s, err);
        for (uint32_t k = 0; ok && k < s.chunks_nr; k++)
            ok = count_chunk(a, s.chunks[k].ref, &scratch, &st, err);
        arena_rewind(&scratch, mark);
    }
    if (ok) {
        printf("\nCompaction analysis:\n\n");
        print_histogram("samples per float chunk", &st.float_samples, st.chunks_nr);
        print_histogram("bytes per float chunk", &st.float_bytes, st.chunks_nr);
        print_histogram("samples per histogram chunk", &st.hist_samples, st.chunks_nr);
        print_histogram("bytes per histogram chunk", &st.hist_bytes, st.chunks_nr);
        print_histogram("buckets per histogram chunk", &st.hist_buckets, st.chunks_nr);
    }
    mem_free(st.float_samples.v);
    mem_free(st.float_bytes.v);
    mem_free(st.hist_samples.v);
    mem_free(st.hist_bytes.v);
    mem_free(st.hist_buckets.v);
    arena_fini(&scratch);
    return ok;
}

/* ---- the command ---- */

/* The newest block by its name. */
static bool
last_block(const struct io *io, const char *dir, char id[BLOCK_ULID_BYTES], struct error *err)
{
    struct io_dir_list list = { 0 };
    struct ulid ulid;

    id[0] = '\0';
    if (!tool_check_dir(io, dir, err) || !io_list(io, dir, &list, err))
        return false;
    int64_t newest_ms = 0;
    for (size_t i = 0; i < list.nr; i++) {
        if (!ulid_parse(str_c(list.entries[i].name), &ulid) || ulid_ms(&ulid) <= newest_ms)
            continue;
        newest_ms = ulid_ms(&ulid);
        snprintf(id, BLOCK_ULID_BYTES, "%s", list.entries[i].name);
    }
    io_dir_list_fini(&list);
    return id[0] != '\0' || error_set(err, ERR_NOT_FOUND, "no blocks found");
}

static bool
open_block(struct analysis *a, struct error *err)
{
    const char *dir = tool_z(&a->t->line, "db path");
    struct str wanted = tool_str(&a->t->line, "block id");
    char id[BLOCK_ULID_BYTES], path[PATH_MAX];
    struct error why = { 0 };
    struct io_stat st;

    if (!tool_check_dir(a->t->io, dir, err))
        return false;
    if (wanted.n == 0) {
        if (!last_block(a->t->io, dir, id, err))
            return false;
        wanted = str_c(id);
    }
    snprintf(path, sizeof path, "%.3000s/%.*s", dir, (int)MIN(wanted.n, 255), wanted.p);
    if (!io_stat_path(a->t->io, path, &st, &why)) {
        error_clear(&why);
        return error_set(err, ERR_NOT_FOUND, "invalid block ID %.*s", STR_ARG(wanted));
    }
    return block_open(&a->block, a->t->io, path, a->symbols, err);
}

static bool
analyze(struct analysis *a, struct error *err)
{
    struct str match = tool_str(&a->t->line, "match");
    char duration[DURATION_TEXT_MAX];

    if (match.n > 0 &&
        !promql_parse_selector(&a->arena, match, &a->t->parse, &a->matchers, &a->matchers_nr, err))
        return false;
    if (!open_block(a, err) ||
        !block_select(a->block, a->matchers, a->matchers_nr, NULL, &a->arena, &a->refs, err) ||
        !walk_series(a, err))
        return false;
    const struct block_meta *meta = block_meta(a->block);
    printf("Block ID: %s\nDuration: %s\nTotal Series: %llu\n", meta->id.z,
           duration_go_text((meta->max_ms - meta->min_ms) * NS_PER_MS, duration),
           (unsigned long long)meta->series_nr);
    if (match.n > 0)
        printf("Matcher: %.*s\n", STR_ARG(match));
    printf("Label names: %zu\n", a->names.nr);
    if (match.n > 0)
        printf("Matched series: %zu\n", a->refs.nr);
    print_lists(a);
    return !tool_bool(&a->t->line, "extended") || analyze_chunks(a, err);
}

int
tool_tsdb_analyze(struct tool *t)
{
    int64_t limit = tool_int(&t->line, "limit");
    struct analysis a = { .t = t, .symbols = symbols_new(), .limit = (size_t)MAX(limit, 0) };
    struct error err = { 0 };

    arena_init(&a.arena, SIZE_MAX);
    bool ok = analyze(&a, &err);
    for (size_t i = 0; i < a.matchers_nr; i++)
        matcher_fini(&a.matchers[i]);
    table_fini(&a.pairs);
    table_fini(&a.names);
    block_unref(a.block);
    symbols_free(a.symbols);
    arena_fini(&a.arena);
    return ok ? TOOL_OK : tool_fail(&err);
}
