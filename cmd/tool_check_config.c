/* Configuration files: loaded whole, then the files they name and the targets they list. */
#include <stdio.h>
#include <stdlib.h>

#include "base/duration.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/quote.h"
#include "cmd/config.h"
#include "cmd/tool.h"
#include "discovery/mechanism.h"
#include "http/web_config.h"
#include "scrape/target.h"

#define NS_PER_MS INT64_C(1000000)

struct checker {
    struct tool *t;
    bool syntax_only;
    struct arena arena;
    struct conf_strs rule_files; /* in the arena */
    size_t rule_files_cap;
};

static bool
fail_quoted(struct error *err, const char *before, struct str what, const char *after)
{
    struct buf quoted = { 0 };

    quote_go(what, &quoted);
    error_set(err, ERR_INVALID, "%s%s%s", before, buf_z(&quoted), after);
    buf_fini(&quoted);
    return false;
}

/* kind: "client cert file", ...; an empty path is nothing to check. */
static bool
check_exists(struct checker *c, const char *kind, struct str path, struct error *err)
{
    struct buf said = { 0 };
    struct error why = { 0 };
    struct io_stat st;

    if (path.n == 0 || io_stat_path(c->t->io, arena_str(&c->arena, path).p, &st, &why)) {
        error_clear(&why);
        return true;
    }
    buf_printf(&said, "error checking %s ", kind);
    quote_go(path, &said);
    error_set(err, ERR_NOT_FOUND, "%s: stat %.*s: %s", buf_z(&said), STR_ARG(path),
              why.kind == ERR_NOT_FOUND ? "no such file or directory" : error_text(&why));
    error_clear(&why);
    buf_fini(&said);
    return false;
}

static bool
check_tls(struct checker *c, const struct tls_config *tls, struct error *err)
{
    if (tls->cert_file.n > 0 && tls->key_file.n == 0)
        return fail_quoted(err, "client cert file ", tls->cert_file,
                           " specified without client key file");
    if (tls->key_file.n > 0 && tls->cert_file.n == 0)
        return fail_quoted(err, "client key file ", tls->key_file,
                           " specified without client cert file");
    return c->syntax_only || (check_exists(c, "client cert file", tls->cert_file, err) &&
                              check_exists(c, "client key file", tls->key_file, err));
}

/* ---- targets ---- */

static bool
check_job_group(struct target_setup *setup, struct target_group *group, struct error *err)
{
    struct labels_builder b;
    bool ok = true;

    labels_builder_init(&b);
    for (size_t i = 0; ok && i < group->targets_nr; i++) {
        struct target *target;
        switch (target_build(setup, group, i, &b, &target, err)) {
        case TARGET_BUILT:
            target_unref(target, NULL);
            break;
        case TARGET_DROPPED:
            break;
        case TARGET_FAILED:
            ok = error_wrap(err, "instance %zu in group %.*s", i, STR_ARG(group->source));
            break;
        }
    }
    labels_builder_fini(&b);
    return ok;
}

/* The target's labels over the group's, then the section's relabelling: what is left must be an
 * address. */
static bool
check_alertmanager(const struct alertmanager_config *config, const struct target_group *group,
                   struct labels target, struct error *err)
{
    struct labels_builder b;
    struct arena arena;
    bool ok = true;

    arena_init(&arena, SIZE_MAX);
    labels_builder_init(&b);
    labels_builder_reset(&b, group->labels);
    for (size_t i = 0; i < target.nr; i++)
        labels_builder_set(&b, target.v[i].name, target.v[i].value);
    labels_builder_set(&b, STR("__scheme__"), config->scheme);
    labels_builder_set(&b, STR("__alerts_path__"), STR("/api/v2/alerts"));
    if (relabel_apply(config->relabel_configs.rules, config->relabel_configs.nr, &b, &arena)) {
        struct str address = labels_builder_get(&b, STR("__address__"));
        if (str_find(address, '/', 0) < address.n)
            ok = fail_quoted(err, "", address, " is not a valid hostname");
    }
    labels_builder_fini(&b);
    arena_fini(&arena);
    return ok;
}

/* Who the groups are for: one of the two is set. */
struct section {
    struct target_setup *setup;
    const struct alertmanager_config *alertmanager;
};

static bool
check_groups(const struct section *s, struct target_group *const *groups, size_t nr,
             struct error *err)
{
    bool ok = true;

    for (size_t i = 0; ok && i < nr; i++) {
        if (s->setup != NULL)
            ok = check_job_group(s->setup, groups[i], err);
        for (size_t k = 0; ok && s->setup == NULL && k < groups[i]->targets_nr; k++)
            ok = check_alertmanager(s->alertmanager, groups[i], groups[i]->targets[k], err);
    }
    return ok;
}

static bool
check_statics(const struct section *s, const struct discovery_config *d, struct error *err)
{
    bool ok = true;

    for (size_t i = 0; ok && i < d->statics.nr; i++) {
        const struct static_sd_config *c = &d->statics.items[i];
        struct buf source = { 0 };
        buf_printf(&source, "%zu", i);
        struct target_group *group =
            target_group_new(buf_as_str(&source), c->labels, c->targets.items, c->targets.nr);
        ok = check_groups(s, &group, 1, err);
        target_group_unref(group);
        buf_fini(&source);
    }
    return ok;
}

static struct str
extension(struct str path)
{
    for (size_t i = path.n; i-- > 0 && path.p[i] != '/';)
        if (path.p[i] == '.')
            return str_skip(path, i);
    return STR("");
}

static bool
load_groups(struct checker *c, struct str path, struct target_group ***groups, size_t *nr,
            struct error *err)
{
    struct str ext = extension(path);
    enum group_format format = str_is(ext, ".json") ? GROUPS_JSON : GROUPS_YAML;
    char *text = NULL;
    size_t n = 0;

    if (format == GROUPS_YAML && !str_is(ext, ".yml") && !str_is(ext, ".yaml"))
        return fail_quoted(err, "invalid file extension: ", ext, "");
    bool ok = io_read_file(c->t->io, path.p, GROUPS_BYTES_MAX, &text, &n, err) &&
              target_groups_parse(format, (struct str){ text, n }, path, STR("__meta_filepath"),
                                  groups, nr, err);
    mem_free(text);
    return ok;
}

/* One file of a file_sd section; pattern is how the configuration names it. */
static bool
check_sd_file(struct checker *c, const struct section *s, struct str path, struct str pattern,
              struct error *err)
{
    struct target_group **groups = NULL;
    struct buf quoted = { 0 };
    size_t nr = 0;

    if (!load_groups(c, path, &groups, &nr, err)) {
        quote_go(pattern, &quoted);
        error_wrap(err, "checking SD file %s", buf_z(&quoted));
        buf_fini(&quoted);
        return false;
    }
    bool ok = check_groups(s, groups, nr, err);
    for (size_t i = 0; i < nr; i++)
        target_group_unref(groups[i]);
    free(groups);
    return ok;
}

static void
warn_missing(struct str pattern, const struct section *s)
{
    struct buf said = { 0 };

    buf_c(&said, "  WARNING: file ");
    quote_go(pattern, &said);
    if (s->setup != NULL) {
        buf_c(&said, " for file_sd in scrape job ");
        quote_go(s->setup->config->job_name, &said);
    } else {
        buf_c(&said, " for file_sd in alertmanager config");
    }
    printf("%s does not exist\n", buf_z(&said));
    buf_fini(&said);
}

static bool
check_sd_files(struct checker *c, const struct section *s, const struct discovery_config *d,
               struct error *err)
{
    for (size_t i = 0; !c->syntax_only && i < d->file.nr; i++) {
        for (size_t k = 0; k < d->file.items[i].files.nr; k++) {
            struct str pattern = d->file.items[i].files.items[k];
            struct conf_strs paths;
            if (!glob_list(c->t->io, pattern, &c->arena, &paths, err))
                return false;
            if (paths.nr == 0)
                warn_missing(pattern, s);
            for (size_t j = 0; j < paths.nr; j++)
                if (!check_sd_file(c, s, paths.items[j], pattern, err))
                    return false;
        }
    }
    return true;
}

/* ---- sections ---- */

static bool
check_job(struct checker *c, const struct config *cfg, const struct scrape_config *job,
          struct error *err)
{
    struct section s = { .setup = target_setup_new(job, cfg->pool, NULL, NULL) };
    bool ok = true;

    if (!c->syntax_only && job->http.authorization != NULL)
        ok = check_exists(c, "authorization credentials or bearer token file",
                          job->http.authorization->credentials_file, err);
    ok = ok && check_tls(c, &job->http.tls, err);
    ok = ok && check_sd_files(c, &s, &job->discovery, err) &&
         check_statics(&s, &job->discovery, err);
    target_setup_unref(s.setup);
    return ok;
}

static bool
check_alerting(struct checker *c, const struct config *cfg, struct error *err)
{
    for (size_t i = 0; i < cfg->alerting.alertmanagers.nr; i++) {
        struct section s = { .alertmanager = &cfg->alerting.alertmanagers.items[i] };
        if (!check_sd_files(c, &s, &s.alertmanager->discovery, err) ||
            !check_statics(&s, &s.alertmanager->discovery, err))
            return false;
    }
    return true;
}

static void
add_rule_file(struct checker *c, struct str path)
{
    ARENA_GROW(&c->arena, c->rule_files.items, c->rule_files.nr, c->rule_files.nr + 1,
               &c->rule_files_cap);
    c->rule_files.items[c->rule_files.nr++] = path;
}

static bool
list_rule_files(struct checker *c, const struct config *cfg, struct error *err)
{
    for (size_t i = 0; !c->syntax_only && i < cfg->rule_files.nr; i++) {
        struct str pattern = cfg->rule_files.items[i];
        struct conf_strs paths;
        if (!glob_list(c->t->io, pattern, &c->arena, &paths, err))
            return false;
        if (paths.nr == 0 && str_find(pattern, '*', 0) == pattern.n)
            return fail_quoted(err, "", pattern, " does not point to an existing file");
        for (size_t k = 0; k < paths.nr; k++)
            add_rule_file(c, paths.items[k]);
    }
    return true;
}

static bool
check_sections(struct checker *c, const struct config *cfg, struct error *err)
{
    if (!list_rule_files(c, cfg, err))
        return false;
    size_t jobs_nr = c->syntax_only ? cfg->main_jobs.nr : cfg->jobs_nr;
    for (size_t i = 0; i < jobs_nr; i++)
        if (!check_job(c, cfg, cfg->jobs[i], err))
            return false;
    return check_alerting(c, cfg, err);
}

/* ---- lint ---- */

struct config_lint {
    struct rules_lint rules;
    int64_t lookback_ms; /* 0: intervals are not looked at */
};

static struct config_lint
config_lint(struct tool *t)
{
    struct config_lint lint = { 0 };
    struct str options = tool_str(&t->line, "lint");
    struct buf for_rules = { 0 };
    bool none = false;

    for (size_t from = 0; from <= options.n;) {
        size_t end = str_find(options, ',', from);
        struct str one = { options.p + from, end - from };
        if (str_is(one, "all") || str_is(one, "too-long-scrape-interval"))
            lint.lookback_ms = tool_duration_ns(&t->line, "query.lookback-delta") / NS_PER_MS;
        if (str_is(one, "none"))
            none = true;
        else if (!str_is(one, "too-long-scrape-interval"))
            buf_printf(&for_rules, "%s%.*s", for_rules.n == 0 ? "" : ",", STR_ARG(one));
        from = end + 1;
    }
    if (none) {
        lint.lookback_ms = 0;
        buf_reset(&for_rules);
    }
    lint.rules = tool_rules_lint(buf_as_str(&for_rules), tool_bool(&t->line, "lint-fatal"),
                                 tool_bool(&t->line, "ignore-unknown-fields"));
    buf_fini(&for_rules);
    return lint;
}

/* True: a finding, said. Only the first counts. */
static bool
lint_intervals(const struct config *cfg, const struct config_lint *lint)
{
    char text[DURATION_TEXT_MAX];

    for (size_t i = 0; lint->lookback_ms > 0 && i < cfg->jobs_nr; i++) {
        if (cfg->jobs[i]->scrape_interval_ms < lint->lookback_ms)
            continue;
        fprintf(stderr,
                "  FAILED: too long scrape interval found, data point will be marked as stale - "
                "job: %.*s, interval: %s\n",
                STR_ARG(cfg->jobs[i]->job_name),
                duration_text(cfg->jobs[i]->scrape_interval_ms, text));
        return true;
    }
    return false;
}

/* ---- the file ---- */

static const char *
environment(const char *name)
{
    return getenv(name);
}

static bool
load_and_check(struct checker *c, const char *path, struct config **cfg, struct error *err)
{
    struct config_options options = { .agent = tool_bool(&c->t->line, "agent"),
                                      .env = environment,
                                      .log = &c->t->log };

    *cfg = NULL;
    if (config_load(c->t->io, path, &options, cfg, err) && check_sections(c, *cfg, err))
        return true;
    config_unref(*cfg);
    *cfg = NULL;
    return false;
}

static struct lint_verdict
check_one(struct tool *t, const struct config_lint *lint, struct str file)
{
    struct checker c = { .t = t, .syntax_only = tool_bool(&t->line, "syntax-only") };
    struct lint_verdict verdict = { 0 };
    struct config *cfg;
    struct error err = { 0 };

    arena_init(&c.arena, SIZE_MAX);
    const char *path = arena_str(&c.arena, file).p;
    printf("Checking %s\n", path);
    if (!load_and_check(&c, path, &cfg, &err)) {
        tool_yaml_words(&err);
        fprintf(stderr, "  FAILED: %s\n", error_text(&err));
        verdict = (struct lint_verdict){ true, true };
        c.rule_files.nr = 0;
    } else {
        if (c.rule_files.nr > 0)
            printf("  SUCCESS: %zu rule files found\n", c.rule_files.nr);
        printf(" SUCCESS: %s is valid prometheus config file syntax\n", path);
    }
    printf("\n");
    if (!c.syntax_only && cfg != NULL)
        verdict.failed = lint_intervals(cfg, lint) || verdict.failed;
    struct lint_verdict rules =
        tool_lint_rule_files(t, &lint->rules, c.rule_files.items, c.rule_files.nr);
    verdict.failed = verdict.failed || rules.failed;
    verdict.errors = verdict.errors || rules.errors;
    config_unref(cfg);
    error_clear(&err);
    arena_fini(&c.arena);
    return verdict;
}

int
tool_check_config(struct tool *t)
{
    struct config_lint lint = config_lint(t);
    struct lint_verdict all = { 0 };
    size_t nr;
    const struct str *files = tool_strs(&t->line, "config-files", &nr);

    for (size_t i = 0; i < nr; i++) {
        struct lint_verdict one = check_one(t, &lint, files[i]);
        all.failed = all.failed || one.failed;
        all.errors = all.errors || one.errors;
    }
    return tool_lint_status(all, lint.rules.fatal);
}

int
tool_check_web_config(struct tool *t)
{
    size_t nr;
    const struct str *files = tool_strs(&t->line, "web-config-files", &nr);
    int status = TOOL_OK;

    for (size_t i = 0; i < nr; i++) {
        const char *path = arena_str(&t->line.arena, files[i]).p;
        struct web_config *config = NULL;
        struct error err = { 0 };
        if (web_config_load(t->io, path, &config, &err)) {
            fprintf(stderr, "%s SUCCESS\n", path);
        } else {
            fprintf(stderr, "%s FAILED: %s\n", path, error_text(&err));
            status = TOOL_FAILED;
        }
        web_config_free(config);
        error_clear(&err);
    }
    return status;
}
