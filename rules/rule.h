/* rules/rule.h: one rule and its state, shared by the files of this directory only.
 *
 * A rule belongs to one group. What its configuration gave is immutable; the rest is written by the
 * one thread that evaluates the group and read by others under the group's lock. */
#pragma once
#include "base/lock.h"
#include "base/table.h"
#include "promql/parser.h"
#include "rules/rule_file.h"
#include "rules/rules.h"
#include "rules/template.h"

#define ALERT_NAME_LABEL  STR("alertname")
#define ALERT_STATE_LABEL STR("alertstate")

/* Go's zero time does not fit into ns since 1970; 0 stands for "not set". */
struct alert {
    uint64_t hash;             /* of labels */
    struct labels labels;      /* owned */
    struct labels annotations; /* owned */
    enum alert_state state;    /* PENDING, FIRING, or INACTIVE: resolved and kept for a while */
    double value;
    int64_t active_at_ns, fired_at_ns, resolved_at_ns, last_sent_at_ns, valid_until_ns,
        keep_firing_since_ns;
    bool seen; /* in the result of the evaluation at hand */
};

/* A series that the last evaluation wrote. */
struct rule_series {
    uint64_t hash;
    struct labels labels; /* owned */
    series_ref ref;
    uint64_t generation; /* the last evaluation that returned it */
};

#define RULE_EVALUATIONS_MAX 100

/* One evaluation, as the API shows it. */
struct rule_evaluation {
    int64_t slot_ns, took_ns;
    size_t samples_nr;
    char *error; /* owned; NULL: none */
};

struct rule_template {
    struct str name; /* of the label or annotation; in the file's pool */
    struct template *text;
};

struct rule {
    bool is_alert;
    struct str name;           /* borrowed from the rule file */
    struct str query;          /* canonical text; owned */
    struct prepared *prepared; /* owned */
    struct labels labels;      /* group and rule labels, templates unexpanded; owned */
    struct labels annotations; /* owned */
    struct str identity;       /* everything that makes two rules equal; owned */
    int64_t for_ns, keep_firing_for_ns;

    /* alerting */
    struct rule_template *label_templates, *annotation_templates;
    size_t label_templates_nr, annotation_templates_nr;
    struct table active;   /* struct alert by labels */
    bool moved;            /* an alert changed its state since it was kept last */
    bool has_state;        /* while state is loaded: this rule has got its own */
    int64_t hold_until_ns; /* after an outage: alerts do not end before */
    bool restored;         /* ALERTS series are written only once restoration was tried */

    /* what the last evaluation wrote */
    struct table series; /* struct rule_series by labels */
    uint64_t generation;

    /* shown */
    const char *health;
    struct error last_error;
    int64_t evaluation_ns, last_evaluation_ns;
    /* The last ones, a ring: the n-th evaluation is at n % RULE_EVALUATIONS_MAX. */
    struct rule_evaluation *evaluations; /* owned; NULL before the first */
    uint64_t evaluations_nr;             /* in all */
};

/* A sample to be written. */
struct rule_sample {
    struct labels labels;
    double v;
    const struct histogram *h; /* NULL: a float */
};

struct rule_samples {
    struct rule_sample *v;
    size_t nr, cap;
};

/* What an evaluation needs from its surroundings. */
struct rule_context {
    const struct rules_options *options;
    struct labels external_labels;
    struct str external_url;
    struct arena *arena; /* of this evaluation */
    int64_t ts_ns, query_offset_ms;
    int64_t limit;
    const _Atomic bool *canceled;
};

/* Milliseconds of the samples of an evaluation at ts. */
int64_t rule_sample_ms(const struct rule_context *cx);

/* A deep copy on the heap, one allocation; released by rule_labels_free(). */
struct labels rule_labels_own(struct labels ls);
void rule_labels_free(struct labels ls);

/* Which parts of the language rules may use. */
struct promql_parse_options rule_parse_options(const struct rules_options *options);

/* Compiles one rule of a file. pool is what config lives in: the group keeps it. */
struct rule *rule_new(const struct rules_options *options, const struct rule_group_config *group,
                      const struct rule_config *config, bool restored, struct error *err);
void rule_free(struct rule *r);

/* Runs the expression at ts - offset; the vector is in result (a scalar counts as one sample
 * without labels). */
MUST_CHECK bool rule_query(const struct rule *r, const struct rule_context *cx,
                           struct query_result *result, struct error *err);

/* Recording: the samples to write. */
MUST_CHECK bool
recording_samples(const struct rule *r, const struct rule_context *cx,
                  const struct query_result *result, struct rule_samples *out, struct error *err);

/* Alerting, in two halves, so that templates (which may query) run without the group's lock: first
 * what the result says, then the new state. */
struct alert_candidates {
    struct alert *v; /* in the arena; labels and annotations too */
    size_t nr;
};
MUST_CHECK bool alerting_candidates(const struct rule *r, const struct rule_context *cx,
                                    const struct query_result *result, struct alert_candidates *out,
                                    struct error *err);
/* Under the group's lock: moves alerts between states and gives the ALERTS and ALERTS_FOR_STATE
 * samples. */
MUST_CHECK bool
alerting_update(struct rule *r, const struct rule_context *cx, const struct alert_candidates *found,
                struct rule_samples *out, struct error *err);
/* Under the group's lock: the alerts that are due for sending at ts, in the arena, marked as sent.
 */
size_t alerting_due(struct rule *r, const struct rule_context *cx, int64_t interval_ns,
                    struct alert_message **messages);
/* Before the first evaluation: alerts that fire according to the kept state, to be sent at once. */
size_t alerting_restored(struct rule *r, const struct rule_context *cx, int64_t interval_ns,
                         struct alert_message **messages);
/* The greatest state of the rule's alerts. */
enum alert_state alerting_state(const struct rule *r);
void alert_free(struct alert *a);

/* Sets ActiveAt of the rule's alerts from the stored ALERTS_FOR_STATE series. Storage is read
 * without the group's lock, which is taken to change an alert: only the evaluating thread changes
 * the table. q NULL: storage cannot be asked, and the rule counts as restored. */
void alerting_restore(struct rule *r, const struct rule_context *cx, struct querier *q,
                      struct lock *lock);

/* A label set in the arena: base, then `over` on top, then name (when not empty) as __name__. */
struct labels
rule_labels_merge(struct arena *arena, struct labels base, struct labels over, struct str name);
