/* One scrape's outcome becomes one batch: the page, or markers when there is none, then the
 * synthetic series.
 *
 * A page that fails half way is rolled back whole; then, as for a target that did not answer,
 * everything it had is marked stale. Either way the synthetic series are written. */
#include <stdlib.h>
#include "scrape/loop.h"
#include "base/mem.h"
#include "model/sample.h"

struct outcome {
    struct page_result page;
    struct error err; /* kind ERR_NONE: the target is up */
    double body_bytes;
};

static struct appender *
begin(const struct scrape_shared *shared, int64_t t_ms, bool markers)
{
    return append_begin(shared->options->storage,
                        &(struct append_options){ .start_ms = t_ms, .discard_ooo = markers });
}

/* Which parser; a target that is all wrong about its type fails, one with a fallback only says so.
 */
static bool
format_of(const struct scrape_shared *shared, struct target *t, struct target_setup *setup,
          const char *content_type, enum page_format *format, struct error *err)
{
    struct error why = { 0 };
    bool warned, ok = page_format_of(content_type, setup->fallback, format, &warned, &why);

    if (!ok) {
        error_copy(err, &why);
        log_error(&shared->options->log, "Failed to determine correct type of scrape target.",
                  LOG_S("target", t->url), LOG_C("content_type", content_type),
                  LOG_C("fallback_media_type", setup->fallback), LOG_E(err));
    } else if (warned) {
        log_debug(&shared->options->log, "Invalid content type on scrape, using fallback setting.",
                  LOG_S("target", t->url), LOG_C("content_type", content_type),
                  LOG_C("fallback_media_type", setup->fallback), LOG_E(&why));
    }
    error_clear(&why);
    return ok;
}

/* The page, into *app, which is another one afterwards when it failed. */
static void
append_fetched(struct scrape_shared *shared, struct page_append *x, struct target *t,
               struct target_setup *setup, const struct scrape_fetched *f, int64_t t_ms,
               struct appender **app, struct outcome *o)
{
    enum page_format format;
    bool has_page = f->ok && f->body->n != 0, has_format;
    size_t bytes = f->ok ? f->body->n : 0;

    if (!f->ok)
        error_copy(&o->err, f->err);
    o->body_bytes = f->over_body_limit ? -1 : (double)bytes;
    has_format = has_page && format_of(shared, t, setup, f->content_type, &format, &o->err);
    if (has_format && page_append(x, t, setup->config, *app, format, f->body, t_ms,
                                  clock_now_ms(shared->options->clock), &o->page, &o->err)) {
        t->page_bytes = bytes;
        return;
    }
    if (has_page) {
        append_rollback(*app);
        *app = begin(shared, t_ms, false);
    }
    if (has_format)
        page_append_failed(x, t, *app, t_ms);
    else
        page_append_empty(t, *app, t_ms);
}

static void
append_reports(struct page_append *x, struct target *t, const struct scrape_config *config,
               struct appender *app, const struct outcome *o, int64_t t_ms, double seconds)
{
    const double values[REPORTS_NR] = {
        [REPORT_UP] = o->err.kind == ERR_NONE,
        [REPORT_DURATION] = seconds,
        [REPORT_SAMPLES] = (double)o->page.total,
        [REPORT_POST_RELABEL] = (double)o->page.added,
        [REPORT_SERIES_ADDED] = (double)o->page.series_added,
        [REPORT_TIMEOUT] = (double)t->timeout_ms / 1000,
        [REPORT_SAMPLE_LIMIT] = (double)config->sample_limit,
        [REPORT_BODY_BYTES] = o->body_bytes,
    };
    int nr = config->extra_scrape_metrics == CONF_YES ? REPORTS_NR : REPORT_TIMEOUT;

    for (int i = 0; i < nr; i++)
        report_append(x, t, app, (enum report_series)i, t_ms, values[i]);
}

static void
log_dropped(const struct log *log, const struct target *t, const struct page_result *r)
{
    if (r->out_of_order != 0)
        log_warn(log, "Error on ingesting out-of-order samples", LOG_S("target", t->url),
                 LOG_I("num_dropped", r->out_of_order));
    if (r->duplicates != 0)
        log_warn(log, "Error on ingesting samples with different value but same timestamp",
                 LOG_S("target", t->url), LOG_I("num_dropped", r->duplicates));
    if (r->out_of_bounds != 0)
        log_warn(log, "Error on ingesting samples that are too old or are too far into the future",
                 LOG_S("target", t->url), LOG_I("num_dropped", r->out_of_bounds));
    if (r->exemplars_out_of_order != 0)
        log_warn(log, "Error on ingesting out-of-order exemplars", LOG_S("target", t->url),
                 LOG_I("num_dropped", r->exemplars_out_of_order));
    if (r->refused != 0)
        log_warn(log, "Error on ingesting samples of new series, memory is short",
                 LOG_S("target", t->url), LOG_I("num_dropped", r->refused));
}

static void
set_status(struct target *t, const struct outcome *o, int64_t t_ns, double seconds)
{
    bool up = o->err.kind == ERR_NONE;

    lock_take(&t->lock);
    free(t->last_error);
    t->last_error = up ? NULL : mem_strdup(error_text(&o->err));
    t->last_scrape_ns = t_ns;
    t->last_duration_s = seconds;
    t->health = up ? TARGET_UP : TARGET_DOWN;
    lock_release(&t->lock);
}

void
scrape_once(struct scrape_shared *shared, struct page_append *x, struct target *t,
            struct target_setup *setup, const struct scrape_fetched *fetched, int64_t t_ns,
            int64_t began_ns)
{
    const struct clock *clock = shared->options->clock;
    int64_t t_ms = t_ns / 1000000 - (t_ns % 1000000 < 0);
    struct appender *app = begin(shared, t_ms, false);
    struct error err = { 0 };
    struct outcome o = { 0 };
    double seconds;

    t->scrape_nr++;
    append_fetched(shared, x, t, setup, fetched, t_ms, &app, &o);
    seconds = (double)(clock_monotonic_ns(clock) - began_ns) / 1e9;
    set_status(t, &o, t_ns, seconds);
    append_reports(x, t, setup->config, app, &o, t_ms, seconds);
    if (!append_commit(app, &err))
        log_error(&shared->options->log, "Scrape commit failed", LOG_S("target", t->url),
                  LOG_E(&err));
    if (setup->config->extra_scrape_metrics == CONF_YES)
        metric_histogram_observe(shared->metrics->duration,
                                 (double)(clock_monotonic_ns(clock) - began_ns) / 1e9);
    if (fetched->over_body_limit)
        metric_inc(shared->metrics->body_limit);
    scrape_metrics_page(shared->metrics, &o.page);
    log_dropped(&shared->options->log, t, &o.page);
    if (o.err.kind != ERR_NONE) {
        log_debug(&shared->options->log, "Scrape failed", LOG_S("target", t->url), LOG_E(&o.err));
        failure_log_write(setup->failures, clock, error_text(&o.err), setup->config->job_name,
                          t->url);
    }
    error_clear(&o.err);
    error_clear(&err);
}

void
scrape_end(struct scrape_shared *shared, struct page_append *x, struct target *t,
           struct target_setup *setup, int64_t t_ms)
{
    struct appender *app = begin(shared, t_ms, true);
    int nr = setup->config->extra_scrape_metrics == CONF_YES ? REPORTS_NR : REPORT_TIMEOUT;
    struct error err = { 0 };

    page_append_empty(t, app, t_ms);
    for (int i = 0; i < nr; i++)
        report_append(x, t, app, (enum report_series)i, t_ms, double_of_bits(STALE_NAN_BITS));
    if (!append_commit(app, &err))
        log_warn(&shared->options->log, "Stale commit failed", LOG_S("target", t->url),
                 LOG_E(&err));
    error_clear(&err);
}
