/* The life of a target and of the setup that a pool's targets share. */
#include <stdio.h>
#include <stdlib.h>
#include "scrape/target.h"
#include "base/http_client.h"
#include "base/mem.h"

const char *
target_health_text(enum target_health h)
{
    static const char *const names[] = { "unknown", "up", "down" };

    return names[h];
}

static const char *
escaping_name(enum escaping_scheme e)
{
    static const char *const names[] = { "allow-utf-8", "underscores", "dots", "values" };

    return names[e];
}

/* First protocol first, with falling weights; anything at all comes last. */
static char *
accept_header(const struct scrape_config *config)
{
    struct buf b = { 0 };
    int weight = SCRAPE_PROTOCOLS_NR + 1;
    size_t n;

    buf_c(&b, "Accept: ");
    for (size_t i = 0; i < config->protocols_nr; i++) {
        enum scrape_protocol p = config->protocols[i];

        buf_c(&b, scrape_protocol_media_type(p));
        if (p == SCRAPE_TEXT_1 || p == SCRAPE_OPENMETRICS_1)
            buf_printf(&b, ";escaping=%s", escaping_name(config->escaping));
        buf_printf(&b, ";q=0.%d,", weight--);
    }
    buf_printf(&b, "*/*;q=0.%d", weight);
    buf_byte(&b, 0);
    return (char *)buf_take(&b, &n);
}

struct target_setup *
target_setup_new(const struct scrape_config *config, struct conf_pool *keep,
                 struct http_client *client, struct failure_log *failures)
{
    struct target_setup *s = MEM_NEW(struct target_setup);

    atomic_init(&s->refs, 1);
    s->config = config;
    s->keep = keep == NULL ? NULL : conf_pool_ref(keep);
    s->client = client;
    s->failures = failures;
    s->accept = accept_header(config);
    s->fallback =
        config->fallback == SCRAPE_NO_PROTOCOL ? "" : scrape_protocol_media_type(config->fallback);
    return s;
}

struct target_setup *
target_setup_ref(struct target_setup *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void
target_setup_unref(struct target_setup *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    if (s->client != NULL)
        http_client_unref(s->client);
    failure_log_unref(s->failures);
    conf_pool_unref(s->keep);
    free(s->accept);
    free(s);
}

struct target *
target_ref(struct target *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void
target_unref(struct target *t, struct meta_store *metas)
{
    if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    if (metas != NULL)
        target_meta_fini(&t->meta, metas);
    page_cache_fini(&t->cache);
    target_setup_unref(t->setup);
    target_group_unref(t->group);
    free(t->last_error);
    lock_fini(&t->lock);
    arena_fini(&t->arena);
    free(t);
}
