#include "base/metrics.h"

#include <criterion/criterion.h>

#include "base/proto.h"

static const char *const two_labels[] = { "handler", "code", NULL };

static void
collect(void *arg, struct metrics_out *out)
{
    metrics_emit(out, (struct str[]){ STR("/b"), STR("200") }, 2);
    metrics_emit(out, (struct str[]){ STR("/a"), STR("500") }, *(const double *)arg);
}

static struct metrics *
filled(double *collected)
{
    static const double bounds[] = { 0.1, 1 }, quantiles[] = { 0.5, 0.99 };
    struct metrics *m = metrics_new();

    metric_add(metrics_counter(m, "z_total", "Last \\ by\nname."), 1e6);
    struct metric_family *f = metrics_family(m, METRIC_GAUGE, "a_gauge", "First.", two_labels);
    metric_set(metrics_child(f, (struct str[]){ STR("/x\"\\\n"), STR("404") }), -1.5);
    metrics_collector(m, f, collect, collected);
    struct metric_family *h = metrics_family(m, METRIC_HISTOGRAM, "h_seconds", "H.", NULL);
    struct metric_histogram *hist = metrics_histogram(h, NULL, bounds, 2);
    metric_histogram_observe(hist, 0.1);
    metric_histogram_observe(hist, 0.5);
    metric_histogram_observe(hist, 5);
    struct metric_family *s = metrics_family(m, METRIC_SUMMARY, "s_seconds", "S.", NULL);
    struct metric_summary *summary = metrics_summary(s, NULL, quantiles, 2);
    for (int i = 1; i <= 100; i++)
        metric_summary_observe(summary, i, 1000);
    metrics_family(m, METRIC_COUNTER, "never_seen", "No series: not shown.", two_labels);
    return m;
}

Test(metrics, writes_text_sorted_and_escaped)
{
    double collected = 7;
    struct buf out = { 0 };
    struct metrics *m = filled(&collected);

    metrics_write_text(m, &out, 2000);
    cr_expect_str_eq(buf_z(&out),
                     "# HELP a_gauge First.\n"
                     "# TYPE a_gauge gauge\n"
                     "a_gauge{code=\"500\",handler=\"/a\"} 7\n"
                     "a_gauge{code=\"200\",handler=\"/b\"} 2\n"
                     "a_gauge{code=\"404\",handler=\"/x\\\"\\\\\\n\"} -1.5\n"
                     "# HELP h_seconds H.\n"
                     "# TYPE h_seconds histogram\n"
                     "h_seconds_bucket{le=\"0.1\"} 1\n"
                     "h_seconds_bucket{le=\"1\"} 2\n"
                     "h_seconds_bucket{le=\"+Inf\"} 3\n"
                     "h_seconds_sum 5.6\n"
                     "h_seconds_count 3\n"
                     "# HELP s_seconds S.\n"
                     "# TYPE s_seconds summary\n"
                     "s_seconds{quantile=\"0.5\"} 50\n"
                     "s_seconds{quantile=\"0.99\"} 99\n"
                     "s_seconds_sum 5050\n"
                     "s_seconds_count 100\n"
                     "# HELP z_total Last \\\\ by\\nname.\n"
                     "# TYPE z_total counter\n"
                     "z_total 1e+06\n",
                     "%s", buf_z(&out));
    buf_fini(&out);
    metrics_free(m);
}

Test(metrics, summaries_forget_after_ten_minutes_but_keep_their_count)
{
    double collected = 0;
    struct buf out = { 0 };
    struct metrics *m = filled(&collected);

    metrics_write_text(m, &out, INT64_C(601) * 1000000000);
    cr_expect(strstr(buf_z(&out), "s_seconds{quantile=\"0.5\"} NaN\n") != NULL);
    cr_expect(strstr(buf_z(&out), "s_seconds_count 100\n") != NULL);
    buf_fini(&out);
    metrics_free(m);
}

Test(metrics, the_same_labels_are_the_same_series_and_removed_ones_begin_anew)
{
    struct metrics *m = metrics_new();
    struct metric_family *f = metrics_family(m, METRIC_COUNTER, "c", "C.", two_labels);
    struct str values[] = { STR("a"), STR("b") }, swapped[] = { STR("b"), STR("a") };
    struct metric *x = metrics_child(f, values);
    struct buf out = { 0 };

    metric_inc(x);
    cr_expect_eq(metrics_child(f, values), x);
    cr_expect_neq(metrics_child(f, swapped), x);
    metrics_child_remove(f, values);
    metrics_write_text(m, &out, 0);
    cr_expect(strstr(buf_z(&out), "handler=\"a\"") == NULL);
    metric_inc(x); /* a kept pointer does no harm */
    cr_expect_eq(metric_get(metrics_child(f, values)), 0);
    buf_fini(&out);
    metrics_free(m);
}

Test(metrics, writes_delimited_protobuf)
{
    double collected = 7;
    struct buf out = { 0 };
    struct metrics *m = filled(&collected);
    struct error err = { 0 };
    unsigned families_nr = 0, metrics_nr = 0;

    metrics_write_protobuf(m, &out, 2000);
    struct dec d = dec_of(buf_as_bytes(&out));
    while (dec_left(&d) != 0) {
        struct str message = dec_uvarint_str(&d);
        struct proto p = proto_of((struct bytes){ (const uint8_t *)message.p, message.n });
        families_nr++;
        while (proto_next(&p))
            metrics_nr += p.field == 4;
        cr_expect(proto_end(&p, &err));
    }
    cr_expect(dec_end(&d, &err));
    cr_expect(families_nr == 4 && metrics_nr == 6, "%u %u", families_nr, metrics_nr);
    buf_fini(&out);
    metrics_free(m);
}
