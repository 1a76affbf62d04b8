/* check service-discovery: the targets of one job before and after relabelling, as JSON. Targets of
 * static_configs and file_sd_configs are there at once; other mechanisms are refused by name. */
#include <stdio.h>
#include <stdlib.h>

#include "base/glob.h"
#include "base/json.h"
#include "base/mem.h"
#include "cmd/config.h"
#include "cmd/tool.h"
#include "discovery/mechanism.h"
#include "scrape/target.h"

struct shown {
    struct tool *t;
    struct target_setup *setup;
    struct arena arena;
    struct str *items; /* JSON of each, unique */
    size_t nr, cap;
};

static void
put_labels(struct buf *out, const char *key, struct labels labels, bool last)
{
    buf_printf(out, "    \"%s\": {", key);
    for (size_t i = 0; i < labels.nr; i++) {
        buf_printf(out, "%s\n      ", i == 0 ? "" : ",");
        json_quote(out, labels.v[i].name, true);
        buf_c(out, ": ");
        json_quote(out, labels.v[i].value, true);
    }
    buf_printf(out, "%s}%s\n", labels.nr == 0 ? "" : "\n    ", last ? "" : ",");
}

static void
add_unique(struct shown *s, struct buf *text)
{
    for (size_t i = 0; i < s->nr; i++)
        if (str_eq(s->items[i], buf_as_str(text)))
            return;
    ARENA_GROW(&s->arena, s->items, s->nr, s->nr + 1, &s->cap);
    s->items[s->nr++] = arena_str(&s->arena, buf_as_str(text));
}

static void
show_target(struct shown *s, struct target_group *group, size_t i)
{
    struct labels_builder b;
    struct target *target = NULL;
    struct error err = { 0 };
    struct buf text = { 0 };

    labels_builder_init(&b);
    target_discovered(s->setup->config, group, i, &b, &s->arena);
    struct labels before = labels_builder_finish(&b, &s->arena), after = LABELS_NONE;
    enum target_built built = target_build(s->setup, group, i, &b, &target, &err);
    if (built == TARGET_BUILT)
        after = labels_copy(&s->arena, target->labels);
    buf_c(&text, "  {\n");
    put_labels(&text, "discoveredLabels", before, false);
    put_labels(&text, "labels", after, built != TARGET_FAILED);
    /* An error has no fields of its own in Go, so that promtool only shows that there is one. */
    if (built == TARGET_FAILED)
        buf_c(&text, "    \"error\": {}\n");
    buf_c(&text, "  }");
    add_unique(s, &text);
    if (built == TARGET_BUILT)
        target_unref(target, NULL);
    buf_fini(&text);
    error_clear(&err);
    labels_builder_fini(&b);
}

static void
show_groups(struct shown *s, struct target_group **groups, size_t nr)
{
    for (size_t i = 0; i < nr; i++) {
        for (size_t k = 0; k < groups[i]->targets_nr; k++)
            show_target(s, groups[i], k);
        target_group_unref(groups[i]);
    }
}

static void
show_statics(struct shown *s, const struct discovery_config *d)
{
    for (size_t i = 0; i < d->statics.nr; i++) {
        const struct static_sd_config *c = &d->statics.items[i];
        struct str source = arena_printf(&s->arena, "%zu", i);
        struct target_group *group =
            target_group_new(source, c->labels, c->targets.items, c->targets.nr);
        show_groups(s, &group, 1);
    }
}

/* A file that cannot be read has no targets, as in a server; what is wrong goes to standard error.
 */
static void
show_file(struct shown *s, struct str path)
{
    struct target_group **groups = NULL;
    struct error err = { 0 };
    char *text = NULL;
    size_t n = 0, nr = 0;
    bool json = str_ends(path, STR(".json"));

    if (io_read_file(s->t->io, path.p, GROUPS_BYTES_MAX, &text, &n, &err) &&
        target_groups_parse(json ? GROUPS_JSON : GROUPS_YAML, (struct str){ text, n }, path,
                            STR("__meta_filepath"), &groups, &nr, &err)) {
        show_groups(s, groups, nr);
        free(groups);
    } else {
        fprintf(stderr, "%.*s: %s\n", STR_ARG(path), error_text(&err));
    }
    mem_free(text);
    error_clear(&err);
}

static bool
show_files(struct shown *s, const struct discovery_config *d, struct error *err)
{
    struct conf_strs paths;

    for (size_t i = 0; i < d->file.nr; i++)
        for (size_t k = 0; k < d->file.items[i].files.nr; k++) {
            if (!glob_list(s->t->io, d->file.items[i].files.items[k], &s->arena, &paths, err))
                return false;
            for (size_t j = 0; j < paths.nr; j++)
                show_file(s, paths.items[j]);
        }
    return true;
}

static const struct scrape_config *
find_job(const struct config *cfg, struct str name)
{
    for (size_t i = 0; i < cfg->jobs_nr; i++)
        if (str_eq(cfg->jobs[i]->job_name, name))
            return cfg->jobs[i];
    fprintf(stderr, "Job %.*s not found. Select one of:\n", STR_ARG(name));
    for (size_t i = 0; i < cfg->jobs_nr; i++)
        fprintf(stderr, "\t%.*s\n", STR_ARG(cfg->jobs[i]->job_name));
    return NULL;
}

/* The first mechanism that cannot be asked from here. */
static void
note_other(void *arg, const char *path)
{
    struct buf *said = arg;

    if (said->n == 0)
        buf_c(said, path);
}

static int
show_job(struct tool *t, const struct config *cfg, const struct scrape_config *job)
{
    struct shown s = { .t = t, .setup = target_setup_new(job, cfg->pool, NULL, NULL) };
    struct error err = { 0 };
    struct buf other = { 0 };

    arena_init(&s.arena, SIZE_MAX);
    if (job->discovery.http.nr > 0)
        buf_c(&other, "http_sd_configs");
    conf_unbuilt_each(&discovery_config_table, &job->discovery, note_other, &other);
    bool ok =
        other.n == 0 || error_set(&err, ERR_UNAVAILABLE,
                                  "check service-discovery: %s is not built yet", buf_z(&other));
    if (ok) {
        show_statics(&s, &job->discovery);
        ok = show_files(&s, &job->discovery, &err);
    }
    if (ok && s.nr == 0)
        printf("[]");
    for (size_t i = 0; ok && i < s.nr; i++)
        printf("%s\n%s%s", i == 0 ? "[" : ",", s.items[i].p, i + 1 == s.nr ? "\n]" : "");
    buf_fini(&other);
    target_setup_unref(s.setup);
    arena_fini(&s.arena);
    return ok ? TOOL_OK : tool_fail(&err);
}

static const char *
environment(const char *name)
{
    return getenv(name);
}

int
tool_check_sd(struct tool *t)
{
    struct config_options options = { .env = environment, .log = &t->log };
    struct config *cfg = NULL;
    struct error err = { 0 };

    if (!config_load(t->io, tool_z(&t->line, "config-file"), &options, &cfg, &err)) {
        tool_yaml_words(&err);
        fprintf(stderr, "Cannot load config %s\n", error_text(&err));
        error_clear(&err);
        return TOOL_FAILED;
    }
    const struct scrape_config *job = find_job(cfg, tool_str(&t->line, "job"));
    int status = job == NULL ? TOOL_FAILED : show_job(t, cfg, job);
    config_unref(cfg);
    return status;
}
