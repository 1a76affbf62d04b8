#include "base/conf_priv.h"

#include <stdatomic.h>

#include "base/mem.h"

struct conf_pool {
    _Atomic uint32_t refs_nr;
    struct arena arena;
    struct regex **regexes; /* owned */
    size_t regexes_nr, regexes_cap;
};

struct conf_pool *
conf_pool_new(void)
{
    struct conf_pool *pool = MEM_NEW(struct conf_pool);

    pool->refs_nr = 1;
    arena_init(&pool->arena, SIZE_MAX); /* texts and nodes are limited where they are read */
    return pool;
}

struct conf_pool *
conf_pool_ref(struct conf_pool *pool)
{
    atomic_fetch_add_explicit(&pool->refs_nr, 1, memory_order_relaxed);
    return pool;
}

void
conf_pool_unref(struct conf_pool *pool)
{
    if (pool == NULL || atomic_fetch_sub_explicit(&pool->refs_nr, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < pool->regexes_nr; i++)
        regex_unref(pool->regexes[i]);
    mem_free(pool->regexes);
    arena_fini(&pool->arena);
    mem_free(pool);
}

struct arena *
conf_pool_arena(struct conf_pool *pool)
{
    return &pool->arena;
}

void
conf_pool_own_regex(struct conf_pool *pool, struct regex *re)
{
    MEM_GROW(pool->regexes, pool->regexes_nr + 1, &pool->regexes_cap);
    pool->regexes[pool->regexes_nr++] = re;
}

struct str
conf_dir(struct str path)
{
    size_t n = path.n;

    while (n > 0 && path.p[n - 1] != '/')
        n--;
    if (n == 0)
        return STR(".");
    while (n > 1 && path.p[n - 1] == '/')
        n--;
    return (struct str){ path.p, n };
}

/* Appends one element to a path that is clean so far: "." changes nothing, ".." takes one away
 * where it can. */
static void
path_push(struct buf *path, bool rooted, struct str element)
{
    size_t start = path->n;

    if (element.n == 0 || str_is(element, "."))
        return;
    while (start > 0 && path->p[start - 1] != '/')
        start--;
    struct str last = { (const char *)path->p + start, path->n - start };
    if (!str_is(element, "..") || (path->n == 0 && !rooted) || str_is(last, "..")) {
        if (path->n > 0 && path->p[path->n - 1] != '/')
            buf_byte(path, '/');
        buf_str(path, element);
        return;
    }
    path->n = start > 1 || (start == 1 && !rooted) ? start - 1 : start;
}

static void
path_push_all(struct buf *path, bool rooted, struct str all)
{
    for (size_t from = 0; from < all.n;) {
        size_t end = str_find(all, '/', from);
        path_push(path, rooted, (struct str){ all.p + from, end - from });
        from = end + 1;
    }
}

struct str
conf_join_dir(struct conf_pool *pool, struct str dir, struct str path)
{
    struct buf clean = { 0 };
    bool rooted = dir.n > 0 && dir.p[0] == '/';

    if (path.n == 0 || path.p[0] == '/')
        return path;
    if (rooted)
        buf_byte(&clean, '/');
    path_push_all(&clean, rooted, dir);
    path_push_all(&clean, rooted, path);
    struct str out = arena_str(&pool->arena, clean.n == 0 ? STR(".") : buf_as_str(&clean));
    buf_fini(&clean);
    return out;
}
