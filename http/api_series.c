/* series, labels, label values: what storage holds, without samples. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/quote.h"
#include "http/http_priv.h"

/* What the three calls have in common. */
struct lookup {
    size_t limit;
    int64_t start_ms, end_ms;
    struct matcher_sets sets;
    struct querier *q;
    struct query_guard guard;
    const struct http_request *req;
};

bool
storage_error(struct error *err)
{
    if (err->kind != ERR_CANCELED && err->kind != ERR_TIMEOUT)
        err->kind = ERR_EXECUTION;
    return false;
}

static bool
client_gone(struct query_guard *g, struct error *err)
{
    const struct lookup *l = CONTAINER_OF(g, struct lookup, guard);

    if (!atomic_load_explicit(&l->req->canceled, memory_order_relaxed))
        return false;
    error_set(err, ERR_CANCELED, "context canceled");
    return true;
}

static bool
lookup_params(struct call *c, struct lookup *l, struct error *err)
{
    *l = (struct lookup){ .req = c->req, .guard = { client_gone } };
    return request_limit(c->req, &l->limit, err) &&
           request_time(c->req, "start", PARAM_TIME_MIN, &l->start_ms, err) &&
           request_time(c->req, "end", PARAM_TIME_MAX, &l->end_ms, err);
}

static bool
lookup_open(struct call *c, struct lookup *l, struct error *err)
{
    if (c->h->deps.queryable == NULL)
        return error_set(err, ERR_UNAVAILABLE, "no storage to query");
    if (!querier_open(c->h->deps.queryable, l->start_ms, l->end_ms, &l->q, err))
        return storage_error(err);
    l->q->guard = &l->guard;
    return true;
}

static void
lookup_close(struct lookup *l)
{
    querier_close(l->q);
    matcher_sets_fini(&l->sets);
}

/* ---- lists of texts */

struct texts {
    struct str *v;
    size_t nr;
};

/* name "": label names. */
static bool
texts_of_set(struct call *c, struct lookup *l, struct str name, const struct matcher_set *set,
             struct texts *t, struct error *err)
{
    size_t limit = l->limit == 0 ? 0 : l->limit + 1;
    bool truncated;

    if (name.n == 0)
        return l->q->ops->label_names(l->q, set->v, set->nr, limit, call_arena(c), &t->v, &t->nr,
                                      &truncated, err);
    return l->q->ops->label_values(l->q, name, set->v, set->nr, limit, call_arena(c), &t->v, &t->nr,
                                   &truncated, err);
}

static int
cmp_str(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void
texts_merge(struct call *c, struct texts *all, const struct texts *more)
{
    struct str *v = ARENA_NEW_ARRAY(call_arena(c), struct str, all->nr + more->nr);
    size_t nr = 0;

    for (size_t i = 0; i < all->nr; i++)
        v[nr++] = all->v[i];
    for (size_t i = 0; i < more->nr; i++)
        v[nr++] = more->v[i];
    qsort(v, nr, sizeof *v, cmp_str);
    size_t kept = 0;
    for (size_t i = 0; i < nr; i++)
        if (kept == 0 || !str_eq(v[kept - 1], v[i]))
            v[kept++] = v[i];
    *all = (struct texts){ v, kept };
}

static bool
texts_find(struct call *c, struct lookup *l, struct str name, struct texts *all, struct error *err)
{
    static const struct matcher_set none = { 0 };

    *all = (struct texts){ 0 };
    if (l->sets.nr == 0)
        return texts_of_set(c, l, name, &none, all, err) || storage_error(err);
    for (size_t i = 0; i < l->sets.nr; i++) {
        struct texts more = { 0 };
        if (!texts_of_set(c, l, name, &l->sets.v[i], &more, err))
            return storage_error(err);
        texts_merge(c, all, &more);
    }
    return true;
}

static void
texts_write(struct call *c, const struct lookup *l, const struct texts *t)
{
    size_t nr = l->limit == 0 ? t->nr : MIN(t->nr, l->limit);

    json_open(&c->j, '[');
    for (size_t i = 0; i < nr; i++)
        json_str_html(&c->j, t->v[i]);
    json_close(&c->j, ']');
    if (nr < t->nr)
        call_warn(c, STR("results truncated due to limit"));
}

static bool
texts_answer(struct call *c, struct str name, struct error *err)
{
    struct lookup l;
    struct texts t;

    if (!lookup_params(c, &l, err) || !call_matchers(c, &l.sets, err))
        return false;
    bool ok = lookup_open(c, &l, err) && texts_find(c, &l, name, &t, err);
    if (ok)
        texts_write(c, &l, &t);
    lookup_close(&l);
    return ok;
}

bool
api_labels(struct call *c, struct error *err)
{
    return texts_answer(c, STR_NONE, err);
}

static int
hex_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
put_rune(char *out, size_t *n, uint32_t r)
{
    if (r < 0x80) {
        out[(*n)++] = (char)r;
        return;
    }
    unsigned more = r < 0x800 ? 1 : r < 0x10000 ? 2 : 3;
    out[(*n)++] = (char)((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | r >> (6 * more));
    while (more-- > 0)
        out[(*n)++] = (char)(0x80 | (r >> (6 * more) & 0x3F));
}

/* "U__a_20_b" is "a b": after the mark "__" is an underscore and _hex_ a rune. What does not decode
 * stays as it is. */
static struct str
unescape_name(struct arena *a, struct str name)
{
    char *out = arena_alloc(a, name.n + 1);
    size_t n = 0;

    for (size_t i = 3; i < name.n; i++) {
        if (name.p[i] != '_') {
            out[n++] = name.p[i];
            continue;
        }
        size_t end = str_find(name, '_', i + 1);
        uint32_t rune = 0;
        if (end == name.n || end - i - 1 > 6)
            return name;
        if (end == i + 1) {
            out[n++] = '_';
            i = end;
            continue;
        }
        for (size_t k = i + 1; k < end; k++) {
            if (hex_of(name.p[k]) < 0)
                return name;
            rune = rune * 16 + (uint32_t)hex_of(name.p[k]);
        }
        if (rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF))
            return name;
        put_rune(out, &n, rune);
        i = end;
    }
    return (struct str){ out, n };
}

bool
api_label_values(struct call *c, struct error *err)
{
    struct str name = c->req->route_param;

    if (str_starts(name, STR("U__")))
        name = unescape_name(call_arena(c), name);
    if (!label_name_valid(name)) {
        struct buf quoted = { 0 };
        quote_go(name, &quoted);
        error_set(err, ERR_INVALID, "invalid label name: %s", buf_z(&quoted));
        buf_fini(&quoted);
        return false;
    }
    return texts_answer(c, name, err);
}

/* ---- series */

struct found {
    struct labels *v;
    size_t nr, cap;
};

static bool
series_of_set(struct call *c, struct lookup *l, const struct matcher_set *set, struct found *found,
              struct error *err)
{
    struct select_hints hints = { .min_ms = l->start_ms,
                                  .max_ms = l->end_ms,
                                  .sorted = true,
                                  .limit = l->limit == 0 ? 0 : l->limit + 1,
                                  .series_only = true,
                                  .func = STR("series") };
    struct series_set *series;

    if (!querier_select(l->q, set->v, set->nr, &hints, &series, err))
        return storage_error(err);
    for (uint32_t i = 0; i < series->nr; i++) {
        ARENA_GROW(call_arena(c), found->v, found->nr, found->nr + 1, &found->cap);
        found->v[found->nr++] = series_labels(series, i, call_arena(c));
    }
    return true;
}

static int
cmp_labels(const void *a, const void *b)
{
    return labels_cmp(*(const struct labels *)a, *(const struct labels *)b);
}

static void
series_write(struct call *c, const struct lookup *l, struct found *found)
{
    size_t written = 0;

    if (l->sets.nr > 1)
        qsort(found->v, found->nr, sizeof found->v[0], cmp_labels);
    json_open(&c->j, '[');
    for (size_t i = 0; i < found->nr; i++) {
        if (i > 0 && labels_eq(found->v[i - 1], found->v[i]))
            continue;
        if (l->limit != 0 && written++ == l->limit) {
            call_warn(c, STR("results truncated due to limit"));
            break;
        }
        json_labels(&c->j, found->v[i]);
    }
    json_close(&c->j, ']');
}

bool
api_series(struct call *c, struct error *err)
{
    struct lookup l;
    struct found found = { 0 };
    struct str text;
    size_t at = 0;

    if (c->req->params_error.n != 0)
        return error_set(err, ERR_INVALID, "error parsing form values: %.*s",
                         STR_ARG(c->req->params_error));
    if (!http_param_each(c->req, "match[]", &at, &text))
        return error_set(err, ERR_INVALID, "no match[] parameter provided");
    if (!lookup_params(c, &l, err))
        return false;
    if (!call_matchers(c, &l.sets, err))
        return error_wrap(err, "invalid parameter \"match[]\"");
    bool ok = lookup_open(c, &l, err);
    for (size_t i = 0; ok && i < l.sets.nr; i++)
        ok = series_of_set(c, &l, &l.sets.v[i], &found, err);
    if (ok)
        series_write(c, &l, &found);
    lookup_close(&l);
    return ok;
}
