/* cmd/tool_test_text.h: what a rule test expected and what it got, as people are shown it. */
#pragma once
#include "base/buf.h"
#include "model/histogram.h"
#include "model/labels.h"

/* An alert that fires, or should. */
struct shown_alert {
    struct labels labels, annotations;
};

struct shown_alerts {
    struct shown_alert *v; /* sorted */
    size_t nr, cap;
};

void shown_alerts_sort(struct shown_alerts *a);
bool shown_alerts_equal(const struct shown_alerts *a, const struct shown_alerts *b);
/* Every line but the first is indented by 12. */
void shown_alerts_print(const struct shown_alerts *a, struct buf *out);
/* Both as one JSON text: red is only expected, green only got, yellow differs; indented alike. */
void
shown_alerts_diff(const struct shown_alerts *want, const struct shown_alerts *got, struct buf *out);

/* A sample of an expression's result. */
struct shown_sample {
    struct labels labels;
    double v;
    struct str histogram; /* in the notation of series descriptions; empty: a float */
};

struct shown_samples {
    struct shown_sample *v; /* sorted */
    size_t nr, cap;
};

void shown_samples_sort(struct shown_samples *s);
/* fuzzy: values may be apart by the last bit. */
bool shown_samples_equal(const struct shown_samples *a, const struct shown_samples *b, bool fuzzy);
void shown_samples_print(const struct shown_samples *s, struct buf *out);
