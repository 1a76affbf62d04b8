/* rules/template.h: Go's text/template as far as alerts use it: the language with its builtins, and
 * Prometheus's functions (surface/templates.tsv), for the labels and annotations of alerts.
 *
 * A template is parsed once when its rule is loaded and expanded for every alert. Immutable after
 * template_parse(); any number of threads may expand. Output is limited
 * (TEMPLATE_OUTPUT_BYTES_MAX), and so are steps: a template cannot loop for ever. Error texts
 * follow Go's, column shift by Prometheus's prefix included, since people see them in annotations:
 * `template: __alert_X:1:78: executing "__alert_X" at <foo>: ...`. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/labels.h"
#include "promql/engine.h"

#define TEMPLATE_OUTPUT_BYTES_MAX (1u << 20)

struct template;

/* What a template sees besides its data. Borrowed during template_expand(). */
struct template_env {
    int64_t t_ms;            /* the evaluation's time: now, and the time of query */
    struct str external_url; /* for externalURL, pathPrefix */
    /* Runs an instant query at t_ms; NULL: `query` fails. The result's memory is the callee's arena
     * until it releases it. */
    bool (*query)(void *arg, struct str expr, int64_t t_ms, struct query_result *result,
                  struct error *err);
    void *query_arg;
};

/* .Labels, .ExternalLabels, .ExternalURL, .Value, and $labels, $externalLabels, $externalURL,
 * $value. */
struct template_alert {
    struct labels labels, external_labels;
    struct str external_url;
    double value;
    const struct histogram *histogram; /* NULL: the value is a float */
};

/* Parses text under the name that errors show ("__alert_" + the alert's name). NULL and ERR_INVALID
 * with Go's text. */
struct template *template_parse(struct str name, struct str text, struct error *err);
void template_free(struct template *t); /* accepts NULL */
/* True when the text has no action, so that expanding is copying. */
bool template_is_plain(const struct template *t);

/* Appends to out. False: out is as before, err has the text that goes into "<error expanding
 * template: ...>". */
MUST_CHECK bool template_expand(const struct template *t, const struct template_alert *alert,
                                const struct template_env *env, struct buf *out, struct error *err);

/* Calls fn for the text of each `query` that is a constant. False: one is put together when the
 * template runs, and may ask for anything. */
bool
template_queries_each(const struct template *t, void (*fn)(void *arg, struct str expr), void *arg);
