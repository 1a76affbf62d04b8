#include "bench_target.h"

#include <criterion/criterion.h>
#include <math.h>
#include "discovery/mechanism.h"
#include "model/sample.h"

void
bench_init(struct bench_target *b, const char *yaml)
{
    struct error err = { 0 };
    struct global_config global;
    struct labels_builder builder;
    struct target_group *group;
    struct buf text = { 0 };
    struct str address = STR("localhost:9090");
    enum target_built built;

    memset(b, 0, sizeof *b);
    fake_storage_init(&b->storage);
    clock_virtual_init(&b->clock, 1000000, 1);
    b->registry = metrics_new();
    scrape_metrics_init(&b->metrics, b->registry);
    b->options = (struct scrape_options){ .storage = &b->storage.base,
                                          .clock = &b->clock.base,
                                          .log = log_none };
    b->shared =
        (struct scrape_shared){ .options = &b->options, .metrics = &b->metrics, .line_seed = 42 };
    page_append_init(&b->x, 42);
    b->pool = conf_pool_new();
    buf_printf(&text, "job_name: test\n%s", yaml);
    global_config_init(b->pool, &global, &(struct scrape_config_options){ 0 });
    cr_assert(conf_load(b->pool, buf_as_str(&text), &scrape_config_table, &b->config, NULL, &err),
              "%s", error_text(&err));
    cr_assert(scrape_config_complete(b->pool, &b->config, &global, &err), "%s", error_text(&err));
    b->setup = target_setup_new(&b->config, b->pool, NULL, NULL);
    group = target_group_new(STR("0"), LABELS_NONE, &address, 1);
    labels_builder_init(&builder);
    built = target_build(b->setup, group, 0, &builder, &b->t, &err);
    cr_assert_eq(built, TARGET_BUILT, "%s", error_text(&err));
    labels_builder_fini(&builder);
    target_group_unref(group);
    buf_fini(&text);
}

void
bench_fini(struct bench_target *b)
{
    target_unref(b->t, &b->x.metas);
    page_append_fini(&b->x);
    target_setup_unref(b->setup);
    conf_pool_unref(b->pool);
    metrics_free(b->registry);
    fake_storage_fini(&b->storage);
}

void
bench_scrape_as(struct bench_target *b, const char *content_type, const char *page, size_t n,
                int64_t t_ms)
{
    struct buf body = { 0 };
    struct error err = { 0 };
    struct scrape_fetched f = {
        .ok = page != NULL, .content_type = content_type, .body = &body, .err = &err
    };

    if (page != NULL)
        buf_add(&body, page, n);
    else
        error_set(&err, ERR_IO, "no answer");
    b->clock.now_ns = t_ms * 1000000;
    scrape_once(&b->shared, &b->x, b->t, b->setup, &f, t_ms * 1000000,
                clock_monotonic_ns(&b->clock.base));
    buf_fini(&body);
    error_clear(&err);
}

void
bench_scrape(struct bench_target *b, const char *page, int64_t t_ms)
{
    bench_scrape_as(b, "text/plain", page, page == NULL ? 0 : strlen(page), t_ms);
}

/* {__name__="a", instance="localhost:9090", job="test", x="1"} for a{x="1"}: labels here sort
 * behind "job". */
static void
full_labels(const char *short_form, struct buf *out)
{
    const char *brace = strchr(short_form, '{');
    size_t n = brace == NULL ? strlen(short_form) : (size_t)(brace - short_form);

    buf_printf(out, "{__name__=\"%.*s\", instance=\"localhost:9090\", job=\"test\"", (int)n,
               short_form);
    if (brace != NULL)
        buf_printf(out, ", %s", brace + 1);
    else
        buf_byte(out, '}');
}

double
bench_at(struct bench_target *b, const char *labels, int64_t t_ms)
{
    struct buf text = { 0 };
    double v = NAN;

    if (labels[0] == '{')
        buf_c(&text, labels);
    else
        full_labels(labels, &text);
    if (!fake_storage_at(&b->storage, buf_z(&text), t_ms, &v))
        v = NAN;
    buf_fini(&text);
    return v;
}

bool
bench_stale_at(struct bench_target *b, const char *labels, int64_t t_ms)
{
    return is_stale(bench_at(b, labels, t_ms));
}

const char *
bench_error(struct bench_target *b)
{
    return b->t->last_error == NULL ? "" : b->t->last_error;
}
