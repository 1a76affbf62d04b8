/* cmd/config.c against the shared files (conformance/config): what loads, how it is rendered, what
 * is refused and why. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/config_priv.h"

static const char *
no_env(const char *name)
{
    return strcmp(name, "NARTHEX_TEST") == 0 ? "from env" : NULL;
}

static const struct config_options options = { .env = no_env };

/* Into the directory that the files' paths are relative to; false when the shared data is not
 * there. */
static bool
enter_conformance(void)
{
    const char *dir = getenv("NARTHEX_CONFORMANCE");
    char path[4096];

    snprintf(path, sizeof path, "%s/config",
             dir != NULL ? dir : SOURCE_DIR "/../shared/conformance");
    if (chdir(path) == 0)
        return true;
    printf("config: skipped, no %s\n", path);
    return false;
}

/* Cuts the next cell of a row in place: cells end at a tab, \n \t \\ stand for what they say. */
static char *
next_cell(char **row)
{
    char *cell = *row, *out = cell, *p = cell;

    while (*p != '\0' && *p != '\t' && *p != '\n') {
        if (*p == '\\' && p[1] != '\0') {
            p++;
            *out++ = (char)(*p == 'n' ? '\n' : *p == 't' ? '\t' : *p);
            p++;
        } else {
            *out++ = *p++;
        }
    }
    *row = p + (*p != '\0');
    *out = '\0';
    return cell;
}

static bool
same_as_expected(const struct config *cfg, const char *file)
{
    struct error err = { 0 };
    struct buf got = { 0 };
    char path[1024], *want = NULL;
    size_t n = 0;

    snprintf(path, sizeof path, "%.*s.expected", (int)(strlen(file) - strlen(".yml")), file);
    if (!io_read_file(io_posix(), path, 1 << 20, &want, &n, &err)) {
        error_clear(&err);
        return true; /* an agent's row of the same file */
    }
    config_write(cfg, &got);
    bool same = got.n == n && memcmp(got.p, want, n) == 0;
    if (!same) {
        size_t line = 1, i = 0;
        for (; i < n && i < got.n && (char)got.p[i] == want[i]; i++)
            line += want[i] == '\n';
        printf("%s: differs in line %zu: got \"%.80s\" want \"%.80s\"\n", file, line,
               buf_z(&got) + i, want + i);
    }
    buf_fini(&got);
    mem_free(want);
    return same;
}

static bool
row_passes(char *row)
{
    struct error err = { 0 };
    struct config *cfg = NULL;
    const char *file = next_cell(&row), *agent = next_cell(&row), *ok_cell = next_cell(&row);
    next_cell(&row);
    const char *must_contain = next_cell(&row), *full = next_cell(&row);
    struct config_options o = options;
    bool ok;

    o.agent = agent[0] == '1';
    bool loaded = config_load(io_posix(), file, &o, &cfg, &err);
    if (ok_cell[0] == '1') {
        ok = loaded && same_as_expected(cfg, file);
        if (!loaded)
            printf("%s: refused: %s\n", file, error_text(&err));
    } else {
        ok = !loaded && strstr(error_text(&err), must_contain) != NULL &&
             strstr(error_text(&err), "line ") != NULL;
        if (o.agent)
            ok = !loaded && strcmp(error_text(&err), full) == 0;
        if (!ok)
            printf("%s: got \"%s\" want \"%s\"\n", file, loaded ? "loaded" : error_text(&err),
                   full);
    }
    config_unref(cfg);
    error_clear(&err);
    return ok;
}

Test(config, agrees_with_the_shared_files)
{
    char *line = NULL;
    size_t cap = 0, passed = 0, total = 0;

    if (!enter_conformance())
        return;
    FILE *f = fopen("expected.tsv", "r");
    cr_assert_not_null(f);
    cr_assert(getline(&line, &cap, f) > 0);
    while (getline(&line, &cap, f) > 0) {
        total++;
        passed += row_passes(line);
    }
    free(line);
    fclose(f);
    printf("config: %zu of %zu passed\n", passed, total);
    cr_expect_eq(passed, total);
}

static struct config *
load(const char *text, struct error *err)
{
    struct config *cfg = NULL;

    error_clear(err);
    return config_parse(io_posix(), str_c(text), "dir/x.yml", &options, &cfg, err) ? cfg : NULL;
}

Test(config, expands_variables_in_external_labels)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "$NARTHEX_TEST", "from env" },
        { "a${NARTHEX_TEST}b", "afrom envb" },
        { "$$x", "$x" },
        { "1$", "1$" },
        { "x${}y", "xy" },
        { "a$MISSING-b", "a-b" },
        { "x${open", "xopen" },
        { "$ y", "$ y" },
    };
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof text, "global: {external_labels: {a: '%s', gone: $NOTHING}}",
                 cases[i].in);
        struct config *cfg = load(text, &err);
        cr_assert_not_null(cfg, "%s: %s", cases[i].in, error_text(&err));
        struct str got = labels_get(cfg->global.external_labels, STR("a"));
        cr_expect(str_is(got, cases[i].want), "%s: %.*s", cases[i].in, STR_ARG(got));
        cr_expect_eq(cfg->global.external_labels.nr, 1, "an empty value is no label");
        cr_expect_eq(cfg->global.external_label_map.nr, 2, "but it is shown");
        config_unref(cfg);
    }
    error_clear(&err);
}

/* The whole error, so that file, line, path and reason stay together in one line. */
Test(config, says_where_and_what)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "global:\n  scrape_interval: 1x\n",
          "parsing YAML file dir/x.yml: line 2: global.scrape_interval: unknown unit \"x\" in "
          "duration \"1x\"" },
        { "scrape_configs:\n- job_name: a\n- job_name: b\n  sample_limit: lots\n",
          "parsing YAML file dir/x.yml: line 4: scrape_configs[1].sample_limit: cannot unmarshal "
          "!!str `lots` into uint" },
        { "globall: {}\n", "parsing YAML file dir/x.yml: line 1: globall: field globall not found "
                           "in type config.plain" },
        { "global: {}\n\nglobal: {}\n", "parsing YAML file dir/x.yml: line 3: global: field global "
                                        "already set in type config.plain" },
        { "rule_files: [ok.yml, 'a*/b.yml']\n",
          "parsing YAML file dir/x.yml: line 1: rule_files: invalid rule file path \"a*/b.yml\"" },
        { "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - target_label: x\n  - action: "
          "hashmod\n",
          "parsing YAML file dir/x.yml: line 5: relabel configuration for hashmod requires "
          "non-zero modulus" },
        { "a: [1, 2\n",
          "parsing YAML file dir/x.yml: line 2: yaml: did not find expected ',' or ']'" },
        { "global: &x {external_labels: *x}\n",
          "parsing YAML file dir/x.yml: line 1: global.external_labels.external_labels: anchor 'x' "
          "value contains itself" },
    };
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_expect_null(load(cases[i].text, &err), "%s", cases[i].text);
        cr_expect_str_eq(error_text(&err), cases[i].want);
    }
    error_clear(&err);
}

Test(config, jobs_inherit_from_global_and_know_their_protocols)
{
    struct error err = { 0 };
    struct config *cfg = load(
        "global: {scrape_interval: 5s, sample_limit: 7}\n"
        "scrape_configs:\n"
        "- {job_name: a, static_configs: [{targets: [x:1], labels: {l: v, e: ''}}]}\n"
        "- {job_name: b, scrape_interval: 1m, sample_limit: 9, scrape_native_histograms: true,\n"
        "   tls_config: {ca_file: ca.pem}}\n",
        &err);

    cr_assert_not_null(cfg, "%s", error_text(&err));
    cr_assert_eq(cfg->jobs_nr, 2);
    const struct scrape_config *a = cfg->jobs[0], *b = cfg->jobs[1];
    cr_expect_eq(a->scrape_interval_ms, 5000);
    cr_expect_eq(a->scrape_timeout_ms, 5000);
    cr_expect_eq(a->sample_limit, 7);
    cr_expect_eq(a->protocols_nr, 4);
    cr_expect_eq(a->protocols[0], SCRAPE_OPENMETRICS_1);
    cr_expect_eq(a->fallback, SCRAPE_NO_PROTOCOL);
    cr_expect_eq(a->discovery.statics.items[0].labels.nr, 1);
    cr_expect_eq(a->line, 3);
    cr_expect_eq(b->scrape_timeout_ms, 5000);
    cr_expect_eq(b->sample_limit, 9);
    cr_expect_eq(b->protocols[0], SCRAPE_PROTO);
    cr_expect(str_is(b->http.tls.ca_file, "dir/ca.pem"));
    config_unref(cfg);
}

static void
collect(void *arg, const char *path)
{
    buf_printf(arg, "%s;", path);
}

Test(config, names_what_is_not_built)
{
    struct error err = { 0 };
    struct buf got = { 0 };
    struct config *cfg = load("scrape_configs:\n- job_name: a\n  dns_sd_configs: [{names: [x]}]\n"
                              "remote_write: [{url: http://x}]\ntracing: {endpoint: x}\n",
                              &err);

    cr_assert_not_null(cfg, "%s", error_text(&err));
    config_unbuilt(cfg, collect, &got);
    cr_expect_str_eq(buf_z(&got), "scrape_configs[0].dns_sd_configs;tracing;remote_write;");
    buf_fini(&got);
    config_unref(cfg);
}

static const struct conf_row *
find_row(const struct conf_table *table, struct str key)
{
    for (size_t i = 0; i < table->rows_nr; i++) {
        const struct conf_row *row = &table->rows[i];
        const struct conf_row *hit = row->type == CONF_INLINE ? find_row(row->table, key)
                                     : str_is(key, row->key)  ? row
                                                              : NULL;
        if (hit != NULL)
            return hit;
    }
    return NULL;
}

/* True when the tables know "scrape_configs[].tls_config.ca"; parts in angle brackets stand for
 * something else. */
static bool
knows_path(struct str path)
{
    const struct conf_table *table = &config_table;

    for (size_t from = 0; from < path.n;) {
        size_t end = str_find(path, '.', from);
        struct str part = { path.p + from, end - from };
        if (str_ends(part, STR("[]")))
            part.n -= 2;
        from = end + 1;
        if (part.n > 0 && part.p[0] == '<')
            continue;
        const struct conf_row *row = table == NULL ? NULL : find_row(table, part);
        if (row == NULL)
            return false;
        table = row->table;
    }
    return true;
}

Test(config, has_a_row_for_every_listed_key)
{
    char *line = NULL;
    size_t cap = 0, known = 0, total = 0;
    FILE *f = fopen(SOURCE_DIR "/../shared/surface/config_keys.tsv", "r");

    if (f == NULL) {
        printf("config keys: skipped, no surface/config_keys.tsv\n");
        return;
    }
    while (getline(&line, &cap, f) > 0) {
        char *row = line;
        if (strcmp(next_cell(&row), "main") != 0)
            continue;
        const char *path = next_cell(&row);
        bool ok = knows_path(str_c(path));
        cr_expect(ok, "%s", path);
        total++;
        known += ok;
    }
    free(line);
    fclose(f);
    printf("config keys: %zu of %zu passed\n", known, total);
}
