/* The synthetic series that every scrape leaves: up and its fellows. */
#include "scrape/page_append.h"
#include "scrape/scrape_limits.h"

static const struct {
    const char *name;
    struct metadata meta;
} reports[REPORTS_NR] = {
#define REPORT(n, u, h)                           \
    {                                             \
        n,                                        \
        {                                         \
            METADATA_GAUGE, { h, sizeof(h) - 1 }, \
            {                                     \
                u, sizeof(u) - 1                  \
            }                                     \
        }                                         \
    }
    [REPORT_UP] = REPORT(
        "up", "targets",
        "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed."),
    [REPORT_DURATION] =
        REPORT("scrape_duration_seconds", "seconds", "Duration of the last scrape in seconds."),
    [REPORT_SAMPLES] =
        REPORT("scrape_samples_scraped", "samples", "Number of samples last scraped."),
    [REPORT_POST_RELABEL] =
        REPORT("scrape_samples_post_metric_relabeling", "samples",
               "Number of samples remaining after metric relabeling was applied."),
    [REPORT_SERIES_ADDED] =
        REPORT("scrape_series_added", "series", "Number of series in the last scrape."),
    [REPORT_TIMEOUT] =
        REPORT("scrape_timeout_seconds", "seconds", "The configured scrape timeout for a target."),
    [REPORT_SAMPLE_LIMIT] = REPORT(
        "scrape_sample_limit", "samples",
        "The configured sample limit for a target. Returns zero if there is no limit configured."),
    [REPORT_BODY_BYTES] = REPORT(
        "scrape_body_size_bytes", "bytes",
        "The uncompressed size of the last scrape response, if successful. Scrapes failing because "
        "body_size_limit is exceeded report -1, other scrape failures report 0."),
#undef REPORT
};

void
report_append(struct page_append *x, struct target *t, struct appender *app,
              enum report_series which, int64_t t_ms, double value)
{
    series_ref *ref = &t->reports[which];
    struct arena_mark mark;
    bool is_new;

    /* Out of order or twice at one time happens when a target comes back to a new loop: nothing to
     * say about. */
    if (*ref != SERIES_REF_NONE &&
        append_sample(app, ref, LABELS_NONE, 0, t_ms, value) != APPEND_REF_UNKNOWN)
        return;
    is_new = *ref == SERIES_REF_NONE;
    mark = arena_mark(&x->scratch);
    labels_builder_reset(&x->builder, LABELS_NONE);
    labels_builder_set(&x->builder, LABEL_NAME, str_c(reports[which].name));
    target_label_report(t->public, &x->builder, &x->scratch);
    *ref = SERIES_REF_NONE;
    if (append_sample(app, ref, labels_builder_view(&x->builder), 0, t_ms, value) >
        APPEND_DUPLICATE)
        *ref = SERIES_REF_NONE;
    else if (is_new && x->append_metadata)
        append_metadata(app, *ref, &reports[which].meta);
    arena_rewind(&x->scratch, mark);
}
