/* The way of a page into a batch.
 *
 * Two speeds. run_known() takes lines that are exactly what stood at this place last time, in the
 * plainest form (series, space, number, line break): a hash of the text, one decimal, one append by
 * ref. Everything else goes through next_entry(): the parser reads one entry; a series whose text
 * is known is appended by its ref, a new one gets its labels, is relabelled, checked and looked up
 * by storage. As long as every entry is the expected one of target's list, the list stays
 * untouched; from the first one that is not, a new list is built (page_cache.h). A page that fails
 * leaves a list of what it had and what the old one had besides. */
#include <stdio.h>
#include <stdlib.h>
#include "scrape/page_run.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "model/sample.h"

#define AHEAD_MAX_MS      (10 * 60 * 1000) /* further ahead is out of bounds, as in Prometheus */
#define CACHE_LINES_SPARE 1000             /* lines that failing pages may add, likewise */

void
page_append_init(struct page_append *x, uint64_t seed)
{
    *x = (struct page_append){ .seed = seed };
    page_parser_init(&x->parser);
    labels_builder_init(&x->builder);
    arena_init(&x->scratch, SIZE_MAX);
}

void
page_append_fini(struct page_append *x)
{
    page_parser_fini(&x->parser);
    page_rebuild_fini(&x->rebuild);
    labels_builder_fini(&x->builder);
    arena_fini(&x->scratch);
    free(x->stale);
    meta_store_fini(&x->metas);
}

static void
start_rebuild(struct page_run *run)
{
    if (run->rebuilding)
        return;
    run->rebuilding = true;
    run->prefix_end = run->x->parser.start;
    page_rebuild_start(&run->x->rebuild, &run->t->cache, run->next);
}

/* ---- the fast way */

static void
known_comment(struct page_run *run, size_t at, uint32_t flags)
{
    if (flags & LINE_TYPE)
        run->type_at = at;
    if (flags & LINE_UNIT)
        run->unit_at = at;
}

/* While a new list is built, recognised lines go into it. False: the line needs next_entry(). */
static bool
may_copy(const struct page_run *run, uint32_t i)
{
    return !(run->t->cache.bytes_flags[i] & LINE_META) && run->x->rebuild.seen[i] == PAGE_UNSEEN;
}

static void
copy_line(struct page_run *run, uint32_t i)
{
    page_rebuild_saw(&run->x->rebuild, i, true);
    page_rebuild_add(&run->x->rebuild, &run->t->cache, page_cache_line(&run->t->cache, i), false);
}

/* Appends lines that are what they were; stops at the first that needs more thought. */
static void
run_known(struct page_run *run)
{
    struct page_parser *p = &run->x->parser;
    const struct page_cache *c = &run->t->cache;
    const char *at = run->b + p->lex.i, *end = run->b + run->n, *behind;
    uint32_t i = run->next;

    for (; i < c->nr; i++) {
        uint32_t bf = c->bytes_flags[i];
        size_t n = line_bytes(bf);
        double v;

        if ((size_t)(end - at) <= n || line_hash(at, n, run->x->seed) != c->hashes[i])
            break;
        if (run->rebuilding && !may_copy(run, i))
            break;
        if (bf & LINE_META) {
            if (at[n] != '\n')
                break;
            known_comment(run, (size_t)(at - run->b), bf);
            at += n + 1;
            continue;
        }
        if (at[n] != ' ' || (bf & ((1u << LINE_FLAG_BITS) - 1)) != LINE_TRACKED)
            break;
        behind = decimal_scan(at + n + 1, end, &v);
        if (behind == NULL || behind == end || *behind != '\n' || !page_run_within_limit(run))
            break;
        series_ref ref = c->refs[i];
        enum append_outcome outcome = append_sample(run->app, &ref, LABELS_NONE, 0, run->t_ms, v);
        if (UNLIKELY(outcome != APPEND_OK)) {
            run->samples--;
            break; /* nothing was added: next_entry() brings it again and says why */
        }
        run->r->total++;
        run->r->added++;
        if (run->rebuilding)
            copy_line(run, i);
        at = behind + 1;
    }
    run->next = i;
    page_parser_seek(p, (size_t)(at - run->b));
}

/* ---- comments */

static const struct target_family *
set_family(struct page_run *run, enum parse_entry entry)
{
    struct page_parser *p = &run->x->parser;
    enum meta_field field = entry == PARSE_TYPE   ? META_TYPE
                            : entry == PARSE_HELP ? META_HELP
                                                  : META_UNIT;
    const struct target_family *f;

    lock_take(&run->t->lock);
    f = target_meta_set(&run->t->meta, &run->x->metas, p->name, field, p->type,
                        field == META_UNIT ? p->unit : p->text, run->t->scrape_nr);
    lock_release(&run->t->lock);
    return f;
}

static void
run_comment(struct page_run *run, enum parse_entry entry)
{
    struct page_parser *p = &run->x->parser;
    const struct page_cache *c = &run->t->cache;
    unsigned flags =
        LINE_META | (entry == PARSE_TYPE ? LINE_TYPE : 0) | (entry == PARSE_UNIT ? LINE_UNIT : 0);
    size_t bytes = p->format == PAGE_PROTOBUF ? p->series.n : p->lex.i - 1 - p->start;
    const char *text = p->format == PAGE_PROTOBUF ? p->series.p : run->b + p->start;
    struct page_line line = { SERIES_REF_NONE, line_hash(text, bytes, run->x->seed),
                              line_pack(bytes, flags) };
    bool expected = run->next < c->nr && c->hashes[run->next] == line.hash &&
                    c->bytes_flags[run->next] == line.bytes_flags;

    if (entry != PARSE_COMMENT)
        run->family = p->name;
    if (!expected)
        start_rebuild(run);
    run->next += expected;
    if (!run->rebuilding)
        return;
    if (entry != PARSE_COMMENT)
        set_family(run, entry);
    page_rebuild_add(&run->x->rebuild, c, line, false);
}

/* The line goes into the list, which is a new one when the line is not what it was. */
static void
put_line(struct page_run *run, struct rebuild_found found, bool tracked)
{
    struct page_cache *c = &run->t->cache;

    run->line.bytes_flags =
        (run->line.bytes_flags & ~(uint32_t)LINE_TRACKED) | (tracked ? LINE_TRACKED : 0);
    if (!run->rebuilding) {
        if (c->bytes_flags[run->old] == run->line.bytes_flags) {
            c->refs[run->old] = run->line.ref;
            run->next = run->old + 1;
            return;
        }
        start_rebuild(run);
    }
    if (run->old != UINT32_MAX) {
        page_rebuild_saw(&run->x->rebuild, run->old, tracked);
        c->refs[run->old] = run->line.ref;
        run->next = run->old + 1;
    }
    page_rebuild_add(&run->x->rebuild, c, run->line, !found.known);
}

/* Fills run->line from what is known of the text at hand. */
static struct rebuild_found
recognise(struct page_run *run)
{
    const struct page_cache *c = &run->t->cache;
    struct str text = run->x->parser.series;
    struct rebuild_found found = { .old = UINT32_MAX };
    uint64_t hash = line_hash(text.p, text.n, run->x->seed);

    run->line = (struct page_line){ SERIES_REF_NONE, hash, line_pack(text.n, 0) };
    if (!run->rebuilding && run->next < c->nr && c->hashes[run->next] == hash &&
        !(c->bytes_flags[run->next] & LINE_META)) {
        found = (struct rebuild_found){ .known = true,
                                        .old = run->next,
                                        .line = page_cache_line(c, run->next) };
        found.on_page = found.line.bytes_flags & LINE_DUPLICATE;
    } else {
        start_rebuild(run);
        found = page_rebuild_find(&run->x->rebuild, c, hash);
    }
    run->old = found.old;
    if (found.known) {
        run->line.ref = found.line.ref;
        run->line.bytes_flags |= found.line.bytes_flags & LINE_DROPPED;
    }
    return found;
}

static bool
run_series(struct page_run *run, struct error *err)
{
    struct page_parser *p = &run->x->parser;
    bool own_time = p->has_t && run->config->honor_timestamps, in = false;
    int64_t t_ms = own_time ? p->t_ms : run->t_ms;
    struct rebuild_found found = recognise(run);
    bool is_new = run->line.ref == SERIES_REF_NONE;
    struct arena_mark mark = arena_mark(&run->x->scratch);

    run->r->total++;
    if (found.on_page)
        run->line.bytes_flags |= LINE_DUPLICATE;
    if (run->line.bytes_flags & LINE_DROPPED) {
        put_line(run, found, false);
        return true;
    }
    if (found.on_page && !own_time) {
        run->r->duplicates++;
    } else if (!page_run_append(run, t_ms, &in, err)) {
        return false;
    }
    if (!(run->line.bytes_flags & LINE_DROPPED)) {
        run->r->added++;
        if (in)
            page_run_exemplars(run, t_ms);
        if (in && run->x->append_metadata && run->has_labels)
            page_run_family(run, is_new);
    }
    put_line(run, found, in && (!own_time || run->config->track_timestamps_staleness));
    arena_rewind(&run->x->scratch, mark);
    return true;
}

/* ---- entries */

/* The parser's next entry. A series line whose text is the expected one is not taken apart again.
 */
static enum parse_entry
next_entry(struct page_run *run, struct error *err)
{
    struct page_parser *p = &run->x->parser;
    const struct page_cache *c = &run->t->cache;
    size_t at = p->lex.i, n;

    run->has_labels = false;
    if (run->plain && run->next < c->nr && !(c->bytes_flags[run->next] & LINE_META)) {
        n = line_bytes(c->bytes_flags[run->next]);
        if (run->n - at > n + 1 && run->b[at + n] == ' ' && run->b[at + n + 1] != ' ' &&
            run->b[at + n + 1] != '{' && run->b[at + n + 1] != '\t' &&
            line_hash(run->b + at, n, run->x->seed) == c->hashes[run->next])
            return page_parser_rest(p, at, at + n, err);
    }
    page_run_catch_up(run);
    run->has_labels = true;
    return page_parser_next(p, err);
}

/* Families of the lines that were recognised before the rebuild began are on the page too. */
static void
prefix_families(struct page_run *run)
{
    struct page_parser *p = &run->x->parser;
    struct error err = { 0 };
    size_t at = 0;

    if (p->format == PAGE_PROTOBUF)
        return;
    while (at < run->prefix_end) {
        const char *eol = memchr(run->b + at, '\n', run->prefix_end - at);

        if (run->b[at] == '#') {
            page_parser_seek(p, at);
            enum parse_entry e = page_parser_next(p, &err);
            if (e == PARSE_TYPE || e == PARSE_HELP || e == PARSE_UNIT)
                set_family(run, e);
        }
        if (eol == NULL)
            break;
        at = (size_t)(eol - run->b) + 1;
    }
    error_clear(&err);
}

static bool
append_marker(void *arg, series_ref ref)
{
    struct page_run *run = arg;

    (void)append_sample(run->app, &ref, LABELS_NONE, 0, run->t_ms, double_of_bits(STALE_NAN_BITS));
    return true;
}

static bool
remember_stale(void *arg, series_ref ref)
{
    struct page_append *x = ((struct page_run *)arg)->x;

    MEM_GROW(x->stale, x->stale_nr + 1, &x->stale_cap);
    x->stale[x->stale_nr++] = ref;
    return true;
}

/* Lines that the page did not come to are still known, but not tracked. When pages that fail keep
 * bringing other lines the list would grow for ever: past twice the last good page and some, only
 * what is on this page stays. */
static void
add_unseen(struct page_run *run)
{
    const struct page_cache *c = &run->t->cache;
    struct page_rebuild *r = &run->x->rebuild;

    if (r->nr + c->nr > (size_t)run->t->good_lines_nr * 2 + CACHE_LINES_SPARE) {
        run->r->cache_flushed = true;
        return;
    }
    for (uint32_t i = 0; i < c->nr; i++) {
        struct page_line line = page_cache_line(c, i);

        line.bytes_flags &= ~(uint32_t)LINE_TRACKED;
        if (r->seen[i] == PAGE_UNSEEN && !(line.bytes_flags & LINE_META))
            page_rebuild_add(r, c, line, false);
    }
}

static void
run_failed(struct page_run *run)
{
    run->x->stale_nr = 0;
    start_rebuild(run);
    page_rebuild_each_stale(&run->x->rebuild, &run->t->cache, remember_stale, run);
    add_unseen(run);
    page_rebuild_finish(&run->x->rebuild, &run->t->cache);
}

static void
forget_families(struct page_run *run)
{
    struct target *t = run->t;

    if (!t->meta.some_gone)
        return;
    lock_take(&t->lock);
    target_meta_expire(&t->meta, &run->x->metas, t->rebuilt_at, t->scrape_nr);
    lock_release(&t->lock);
}

/* The page was good: markers for what it has no more, and its lines are the expected ones from now
 * on. */
static void
run_done(struct page_run *run)
{
    struct target *t = run->t;

    if (!run->rebuilding && run->next < t->cache.nr)
        start_rebuild(run); /* shorter than it was */
    if (!run->rebuilding) {
        forget_families(run);
        return;
    }
    page_rebuild_each_stale(&run->x->rebuild, &t->cache, append_marker, run);
    page_rebuild_finish(&run->x->rebuild, &t->cache);
    prefix_families(run);
    lock_take(&t->lock);
    target_meta_rebuilt(&t->meta, t->rebuilt_at, t->scrape_nr);
    t->rebuilt_at = t->scrape_nr;
    lock_release(&t->lock);
    t->good_lines_nr = t->cache.nr;
    forget_families(run);
}

static bool
run_page(struct page_run *run, struct error *err)
{
    for (;;) {
        if (run->plain)
            run_known(run);
        switch (next_entry(run, err)) {
        case PARSE_END:
            return true;
        case PARSE_ERROR:
            return false;
        case PARSE_SERIES:
        case PARSE_HISTOGRAM:
            if (!run_series(run, err))
                return false;
            break;
        case PARSE_TYPE:
            run_comment(run, PARSE_TYPE);
            break;
        case PARSE_HELP:
            run_comment(run, PARSE_HELP);
            break;
        case PARSE_UNIT:
            run_comment(run, PARSE_UNIT);
            break;
        case PARSE_COMMENT:
            run_comment(run, PARSE_COMMENT);
            break;
        }
    }
}

bool
page_append(struct page_append *x, struct target *t, const struct scrape_config *config,
            struct appender *app, enum page_format format, struct buf *page, int64_t t_ms,
            int64_t now_ms, struct page_result *r, struct error *err)
{
    const struct parse_options options = { .type_and_unit_labels = x->type_and_unit_labels,
                                           .skip_start_timestamp_series = x->parse_start_timestamps,
                                           .ignore_native_histograms = !t->native_histograms,
                                           .keep_classic_histograms = t->classic_histograms,
                                           .convert_classic_histograms = t->nhcb };
    struct page_run run = { .x = x, .t = t, .config = config, .app = app, .r = r };

    page_parser_start(&x->parser, format, page, &options);
    run.b = (const char *)page->p;
    run.n = page->n;
    run.t_ms = t_ms;
    run.max_t_ms = now_ms + AHEAD_MAX_MS;
    run.type_at = run.unit_at = NOWHERE;
    run.plain =
        format != PAGE_PROTOBUF && !x->parse_start_timestamps && !x->append_metadata && !t->nhcb;
    struct arena_mark mark = arena_mark(&x->scratch);
    bool ok = run_page(&run, err);
    arena_rewind(&x->scratch, mark);
    if (ok && r->sample_limit)
        ok = error_set(err, ERR_LIMIT, "sample limit exceeded");
    else if (ok && r->bucket_limit)
        ok = error_set(err, ERR_LIMIT, "histogram bucket limit exceeded");
    if (!ok) {
        run_failed(&run);
        return false;
    }
    run_done(&run);
    return true;
}

void
page_append_empty(struct target *t, struct appender *app, int64_t t_ms)
{
    struct page_run run = { .t = t, .app = app, .t_ms = t_ms };

    page_cache_each_tracked(&t->cache, append_marker, &run);
    page_cache_untrack(&t->cache);
}

void
page_append_failed(struct page_append *x, struct target *t, struct appender *app, int64_t t_ms)
{
    struct page_run run = { .t = t, .app = app, .t_ms = t_ms };

    for (size_t i = 0; i < x->stale_nr; i++)
        append_marker(&run, x->stale[i]);
    x->stale_nr = 0;
}
