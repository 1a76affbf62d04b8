#include "cmd/tool_suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/duration.h"
#include "base/mem.h"
#include "cmd/tool.h"
#include "discovery/discovery_config.h"
#include "promql/series_desc.h"

#define DAY_MS      INT64_C(86400000)
#define NS_PER_MS   INT64_C(1000000)
/* What promtool gives a test's queries. */
#define SAMPLES_MAX 10000
#define TIMEOUT_MS  100000
#define LOOKBACK_MS 300000

struct suite_sample {
    int64_t t_ms;
    double v;
    const struct histogram *h; /* NULL: a float */
};

void
suite_error(struct suite_errors *errors, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        mem_exhausted(0);
    va_end(ap);
    MEM_GROW(errors->v, errors->nr + 1, &errors->cap);
    errors->v[errors->nr++] = text;
}

void
suite_errors_fini(struct suite_errors *errors)
{
    for (size_t i = 0; i < errors->nr; i++)
        mem_free(errors->v[i]);
    mem_free(errors->v);
    *errors = (struct suite_errors){ 0 };
}

/* ---- input series ---- */

/* A later line of the same series takes the place of an earlier one. */
static struct suite_input *
input_get(struct suite *s, struct labels labels)
{
    for (size_t i = 0; i < s->inputs_nr; i++)
        if (labels_eq(s->inputs[i].labels, labels))
            return &s->inputs[i];
    ARENA_GROW(&s->arena, s->inputs, s->inputs_nr, s->inputs_nr + 1, &s->inputs_cap);
    s->inputs[s->inputs_nr] = (struct suite_input){ .labels = labels };
    return &s->inputs[s->inputs_nr++];
}

static void
input_add(struct suite *s, const struct series_desc *desc)
{
    struct suite_input *in = input_get(s, desc->labels);
    int64_t t_ms = s->test->start_ns / NS_PER_MS;

    in->nr = 0;
    for (size_t i = 0; i < desc->nr; i++, t_ms += s->test->interval_ms) {
        if (desc->values[i].omitted)
            continue;
        ARENA_GROW(&s->arena, in->samples, in->nr, in->nr + 1, &in->cap);
        in->samples[in->nr++] = (struct suite_sample){ t_ms, desc->values[i].v, desc->values[i].h };
    }
}

/* Series are read as lines of a load command, of which the first line is the command: errors count
 * lines from there. */
static bool
input_line(struct suite *s, struct str line, size_t line_nr, struct error *err)
{
    struct series_desc desc;
    struct error why = { 0 };

    if (series_desc_parse(&s->arena, line, &desc, &why)) {
        input_add(s, &desc);
        return true;
    }
    const char *text = error_text(&why), *behind = strchr(text, ':');
    if (behind != NULL && strncmp(text, "1:", 2) == 0)
        error_set(err, ERR_INVALID, "%zu%s", line_nr, behind);
    else
        error_copy(err, &why);
    error_clear(&why);
    return false;
}

/* An empty line ends the command, as in promtool. */
static bool
load_inputs(struct suite *s, struct error *err)
{
    struct buf text = { 0 };
    size_t line_nr = 2;
    bool ok = true;

    for (size_t i = 0; i < s->test->series.nr; i++)
        buf_printf(&text, "  %.*s %.*s\n", STR_ARG(s->test->series.items[i].series),
                   STR_ARG(s->test->series.items[i].values));
    struct str all = arena_str(&s->arena, buf_as_str(&text));
    buf_fini(&text);
    for (size_t from = 0; ok && from < all.n; line_nr++) {
        size_t end = str_find(all, '\n', from);
        struct str line = str_trim((struct str){ all.p + from, end - from });
        if (line.n == 0 || line.p[0] == '#')
            break;
        ok = input_line(s, line, line_nr, err);
        from = end + 1;
    }
    return ok;
}

static bool
append_one(struct appender *app, const struct suite_input *in, const struct suite_sample *sample,
           struct error *err)
{
    series_ref ref = SERIES_REF_NONE;
    enum append_outcome o =
        sample->h != NULL ? append_histogram(app, &ref, in->labels, 0, sample->t_ms, sample->h)
                          : append_sample(app, &ref, in->labels, 0, sample->t_ms, sample->v);

    return o == APPEND_OK || o == APPEND_DUPLICATE ||
           error_set(err, ERR_CONFLICT, "%s", append_outcome_text(o));
}

bool
suite_append(struct suite *s, int64_t t_ms, struct error *err)
{
    const struct append_options options = { .start_ms = t_ms };

    clock_virtual_step_wall(&s->clock, t_ms - clock_now_ms(&s->clock.base));
    struct appender *app = append_begin(db_appendable(s->db), &options);
    for (size_t i = 0; i < s->inputs_nr; i++) {
        struct suite_input *in = &s->inputs[i];
        for (; in->next < in->nr && in->samples[in->next].t_ms <= t_ms; in->next++)
            if (!append_one(app, in, &in->samples[in->next], err)) {
                append_rollback(app);
                return false;
            }
    }
    return append_commit(app, err);
}

/* ---- rules ---- */

/* Every error of the first file that has any. */
static struct rule_file *
parse_file(struct suite *s, const char *path, struct suite_errors *errors)
{
    struct rule_file_options options = { .ignore_unknown =
                                             tool_bool(&s->t->line, "ignore-unknown-fields"),
                                         .parser = &s->t->parse };
    struct rule_file_errors found = { 0 };
    struct rule_file *file = NULL;
    struct error err = { 0 };
    char *text = NULL;
    size_t n = 0;

    if (io_read_file(s->t->io, path, CONF_FILE_BYTES_MAX, &text, &n, &err))
        file = rule_file_parse_all((struct str){ text, n }, &options, &found);
    else
        suite_error(errors, "%s: %s", path, error_text(&err));
    for (size_t i = 0; i < found.nr; i++)
        suite_error(errors, "%s: %s", path, found.items[i]);
    rule_file_errors_fini(&found);
    error_clear(&err);
    mem_free(text);
    return file;
}

static bool
load_groups(struct suite *s, struct rule_source *source, struct suite_errors *errors)
{
    struct error err = { 0 };
    bool ok = true;

    for (size_t i = 0; ok && i < source->file->groups.nr; i++) {
        struct rule_group *g =
            rule_group_new(&s->options, &s->metrics, source, &source->file->groups.items[i],
                           s->test->interval_ms, true, &err);
        ok = g != NULL;
        if (!ok) {
            suite_error(errors, "%s", error_text(&err));
            break;
        }
        /* No alert is sent, so only its end time would know of the interval; that end is computed
         * all the same, and a test may stand at the end of what nanoseconds can hold. */
        g->interval_ns = NS_PER_MS;
        MEM_GROW(s->groups, s->groups_nr + 1, &s->groups_cap);
        s->groups[s->groups_nr++] = g;
    }
    error_clear(&err);
    return ok;
}

static bool
load_file(struct suite *s, struct str path, struct suite_errors *errors)
{
    char *z = str_dup(path);
    struct rule_file *file = parse_file(s, z, errors);

    if (file == NULL) {
        mem_free(z);
        return false;
    }
    struct rule_source *source = MEM_NEW(struct rule_source);
    *source = (struct rule_source){ .file = file, .path = { z, path.n }, .refs = 1 };
    bool ok = load_groups(s, source, errors);
    rule_source_unref(source); /* each group keeps its own */
    return ok;
}

static size_t
place_of(const struct test_file *file, const struct rule_group *g)
{
    for (size_t i = 0; i < file->group_order.nr; i++)
        if (str_eq(file->group_order.items[i], g->name))
            return i;
    return 0;
}

/* Groups that the order does not name count as its first; otherwise as they were loaded. */
static void
order_groups(struct suite *s, const struct test_file *file)
{
    for (size_t i = 1; i < s->groups_nr; i++) {
        struct rule_group *g = s->groups[i];
        size_t k = i;
        for (; k > 0 && place_of(file, s->groups[k - 1]) > place_of(file, g); k--)
            s->groups[k] = s->groups[k - 1];
        s->groups[k] = g;
    }
}

bool
suite_evaluate(struct suite *s, int64_t ts_ns, struct suite_errors *errors)
{
    char when[DURATION_TEXT_MAX];
    bool ok = true;

    for (size_t i = 0; i < s->groups_nr; i++) {
        struct rule_group *g = s->groups[i];
        rule_group_evaluate(g, &s->options, s->external_labels, s->test->external_url, 0, ts_ns,
                            NULL);
        for (size_t k = 0; k < g->rules_nr; k++) {
            if (g->rules[k]->last_error.kind == ERR_NONE)
                continue;
            suite_error(errors, "    rule: %.*s, time: %s, err: %s", STR_ARG(g->rules[k]->name),
                        duration_go_text(ts_ns, when), error_text(&g->rules[k]->last_error));
            ok = false;
        }
    }
    return ok;
}

/* ---- the world ---- */

static void
engine_open(struct suite *s, int64_t subquery_step_ms)
{
    struct engine_options o = { .lookback_ms = LOOKBACK_MS,
                                .timeout_ms = TIMEOUT_MS,
                                .samples_max = SAMPLES_MAX,
                                .subquery_step_ms = subquery_step_ms,
                                .experimental_functions = s->t->parse.experimental_functions,
                                .extended_range_selectors = s->t->parse.extended_ranges,
                                .binop_fill = s->t->parse.fill_modifiers,
                                .delayed_name_removal = s->t->delayed_name_removal,
                                .clock = s->t->clock };

    s->engine = engine_new(&o);
    s->options = (struct rules_options){
        .engine = s->engine,
        .queryable = db_queryable(s->db),
        .appendable = db_appendable(s->db),
        .io = s->t->io,
        .clock = s->t->clock,
        .log = log_none,
        .experimental_functions = o.experimental_functions,
        .extended_range_selectors = o.extended_range_selectors,
        .binop_fill = o.binop_fill,
    };
}

bool
suite_open(struct suite *s, struct tool *t, const struct test_file *file,
           const struct test_group *test, struct suite_errors *errors)
{
    /* A day as the head's range: the input of all series is appended at the same pace, but rules
     * may write into the past. */
    struct db_options o = { .log = log_none,
                            .min_block_ms = DAY_MS,
                            .wal_sync = DB_SYNC_OFF,
                            .no_lockfile = true,
                            .no_maintenance = true };
    struct error err = { 0 };
    bool ok = true;

    *s = (struct suite){ .t = t, .test = test };
    arena_init(&s->arena, SIZE_MAX);
    mem_io_init(&s->fs);
    clock_virtual_init(&s->clock, test->start_ns / NS_PER_MS, 1);
    s->external_labels = discovery_config_labels(file->pool, &test->external_labels);
    if (!load_inputs(s, &err) || !db_open("/db", &s->fs.io, &s->clock.base, &o, &s->db, &err)) {
        suite_error(errors, "%s", error_text(&err));
        error_clear(&err);
        return false;
    }
    engine_open(s, file->interval_ms);
    for (size_t i = 0; ok && i < file->rule_files.nr; i++)
        ok = load_file(s, file->rule_files.items[i], errors);
    order_groups(s, file);
    return ok;
}

void
suite_close(struct suite *s)
{
    for (size_t i = 0; i < s->groups_nr; i++)
        rule_group_free(s->groups[i]);
    mem_free(s->groups);
    engine_free(s->engine);
    db_close(s->db);
    mem_io_fini(&s->fs);
    arena_fini(&s->arena);
}
