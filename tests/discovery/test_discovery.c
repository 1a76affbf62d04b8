#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/conf.h"
#include "base/lock.h"
#include "base/mem.h"
#include "discovery/mechanism.h"

/* ---- documents */

static bool
parse(enum group_format format, struct str text, struct target_group ***groups, size_t *nr,
      struct error *err)
{
    return target_groups_parse(format, text, STR("f.yml"), STR("__meta_filepath"), groups, nr, err);
}

static void
groups_free(struct target_group **groups, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        target_group_unref(groups[i]);
    free(groups);
}

static const struct {
    const char *name;
    enum group_format format;
    const char *text, *want; /* "2: a:1 b:2 {x=y} ..." or the error */
    bool ok;
} documents[] = {
    { "two groups", GROUPS_JSON,
      "[{\"targets\":[\"a:1\",\"b:2\"],\"labels\":{\"x\":\"y\"}},{\"targets\":[\"c\"]}]",
      "[a:1 b:2 | {__meta_filepath=\"f.yml\", x=\"y\"} | f.yml:0][c | {__meta_filepath=\"f.yml\"} "
      "| f.yml:1]",
      true },
    { "two groups in YAML", GROUPS_YAML,
      "- targets: [a:1, 'b:2']\n  labels:\n    x: 5\n- targets:\n  - c\n",
      "[a:1 b:2 | {__meta_filepath=\"f.yml\", x=\"5\"} | f.yml:0][c | {__meta_filepath=\"f.yml\"} "
      "| f.yml:1]",
      true },
    { "nothing", GROUPS_YAML, "", "", true },
    { "a null list", GROUPS_JSON, "null", "", true },
    { "a null group", GROUPS_JSON, "[null]", "nil target group item found", false },
    { "a null group in YAML", GROUPS_YAML, "- null\n", "nil target group item found", false },
    { "an unknown field", GROUPS_JSON, "[{\"targats\":[]}]", "json: unknown field \"targats\"",
      false },
    { "an unknown field in YAML", GROUPS_YAML, "- targats: []\n",
      "line 1: field targats not found in type struct", false },
    { "a bad label name", GROUPS_JSON, "[{\"labels\":{\"\":\"x\"}}]",
      "\"\" is not a valid label name", false },
    { "a number for a target", GROUPS_JSON, "[{\"targets\":[1]}]", "targets[0]: expected a string",
      false },
    { "no list", GROUPS_JSON, "{}", "expected a list of target groups", false },
    { "half a list", GROUPS_JSON, "[{", "", false },
};

static void
print_groups(struct target_group **groups, size_t nr, struct buf *out)
{
    for (size_t i = 0; i < nr; i++) {
        buf_byte(out, '[');
        for (size_t j = 0; j < groups[i]->targets_nr; j++)
            buf_printf(out, "%.*s ",
                       STR_ARG(labels_get(groups[i]->targets[j], STR("__address__"))));
        buf_c(out, "| ");
        labels_print(groups[i]->labels, out);
        buf_printf(out, " | %.*s]", STR_ARG(groups[i]->source));
    }
}

Test(discovery, documents_become_groups_or_are_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        struct target_group **groups;
        struct error err = { 0 };
        struct buf text = { 0 };
        size_t nr;
        bool ok = parse(documents[i].format, str_c(documents[i].text), &groups, &nr, &err);

        cr_expect_eq(ok, documents[i].ok, "%s: %s", documents[i].name, error_text(&err));
        if (ok) {
            print_groups(groups, nr, &text);
            groups_free(groups, nr);
            cr_expect_str_eq(buf_z(&text), documents[i].want, "%s", documents[i].name);
        } else if (documents[i].want[0] != 0) {
            cr_expect_str_eq(error_text(&err), documents[i].want, "%s", documents[i].name);
        }
        error_clear(&err);
        buf_fini(&text);
    }
}

static const struct {
    const char *file;
    bool ok;
    size_t groups_nr, targets_nr;
} shared[] = {
    { "file/valid.json", true, 2, 3 },        { "file/valid.yml", true, 2, 3 },
    { "file/valid2.yml", true, 3, 3 },        { "file/valid3.yml", true, 2, 3 },
    { "file/good-sd-file.json", true, 1, 1 }, { "file/good-sd-file.yml", true, 2, 1 },
    { "file/good-sd-file.yaml", true, 2, 1 }, { "file/invalid_nil.json", false, 0, 0 },
    { "file/invalid_nil.yml", false, 0, 0 },  { "file/bad-sd-file-format.yml", false, 0, 0 },
    { "http/http_sd.good.json", true, 1, 1 },
};

Test(discovery, shared_documents_give_their_targets)
{
    const char *dir = getenv("NARTHEX_CONFORMANCE");
    size_t passed = 0;
    char path[4096];

    for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
        struct target_group **groups = NULL;
        struct error err = { 0 };
        size_t n, nr = 0, targets_nr = 0;
        char *text;

        snprintf(path, sizeof path, "%s/discovery/%s",
                 dir == NULL ? SOURCE_DIR "/../shared/conformance" : dir, shared[i].file);
        if (!io_read_file(io_posix(), path, GROUPS_BYTES_MAX, &text, &n, &err)) {
            fprintf(stderr, "discovery: the shared cases are not here: %zu skipped\n",
                    ARRAY_LEN(shared));
            error_clear(&err);
            return;
        }
        bool ok = parse(strstr(path, ".json") != NULL ? GROUPS_JSON : GROUPS_YAML,
                        (struct str){ text, n }, &groups, &nr, &err);
        for (size_t j = 0; ok && j < nr; j++)
            targets_nr += groups[j]->targets_nr;
        bool good =
            ok == shared[i].ok && nr == shared[i].groups_nr && targets_nr == shared[i].targets_nr;
        cr_expect(good, "%s: %s", shared[i].file, error_text(&err));
        passed += good;
        if (ok)
            groups_free(groups, nr);
        free(text);
        error_clear(&err);
    }
    fprintf(
        stderr,
        "discovery: %zu of %zu passed; a file of another extension is tested by a_file_changes\n",
        passed, ARRAY_LEN(shared));
}

/* ---- the manager */

struct heard {
    struct lock lock;
    unsigned updates;
    char text[1024]; /* of the last update of any set */
};

static void
update(void *arg, struct str set, struct target_group *const *groups, size_t nr)
{
    struct heard *h = arg;
    struct buf text = { 0 };

    buf_printf(&text, "%.*s:", STR_ARG(set));
    for (size_t i = 0; i < nr; i++)
        for (size_t j = 0; j < groups[i]->targets_nr; j++)
            buf_printf(&text, " %.*s",
                       STR_ARG(labels_get(groups[i]->targets[j], STR("__address__"))));
    lock_take(&h->lock);
    h->updates++;
    snprintf(h->text, sizeof h->text, "%s", buf_z(&text));
    lock_release(&h->lock);
    buf_fini(&text);
}

static bool
hears(struct heard *h, const char *want)
{
    for (int i = 0; i < 3000; i++) {
        lock_take(&h->lock);
        bool same = strcmp(h->text, want) == 0;
        lock_release(&h->lock);
        if (same)
            return true;
        usleep(10000);
    }
    fprintf(stderr, "last heard: %s\n", h->text);
    return false;
}

static struct discovery_manager *
manager(struct heard *h, struct metrics *metrics)
{
    memset(h, 0, sizeof *h);
    lock_init(&h->lock, LOCK_RANK_NONE, "heard");
    return discovery_manager_new(&(struct discovery_options){ .name = "scrape",
                                                              .throttle_ms = 20,
                                                              .clock = clock_real(),
                                                              .io = io_posix(),
                                                              .log = log_none,
                                                              .metrics = metrics,
                                                              .update = update,
                                                              .arg = h });
}

static void
apply(struct discovery_manager *m, const char *set, const char *yaml)
{
    struct conf_pool *pool = conf_pool_new();
    struct discovery_config *config = arena_alloc(conf_pool_arena(pool), sizeof *config);
    struct error err = { 0 };
    char *name = mem_strdup(set);
    struct discovery_set s = { str_c(name), config };

    cr_assert(conf_load(pool, arena_str(conf_pool_arena(pool), str_c(yaml)),
                        &discovery_config_table, config, NULL, &err),
              "%s", error_text(&err));
    discovery_manager_apply(m, &s, 1, pool);
    mem_free(name); /* only the configuration has to stay */
    conf_pool_unref(pool);
}

Test(discovery, static_targets_are_there_when_apply_returns)
{
    struct metrics *metrics = metrics_new();
    struct heard h;
    struct discovery_manager *m = manager(&h, metrics);
    struct buf text = { 0 };

    apply(m, "one", "static_configs: [{targets: [a, b], labels: {x: y}}, {targets: [c]}]");
    cr_expect_str_eq(h.text, "one: a b c");
    metrics_write_text(metrics, &text, 0);
    cr_expect_not_null(
        strstr(buf_z(&text), "prometheus_sd_discovered_targets{config=\"one\",name=\"scrape\"} 3"));
    apply(m, "two", "static_configs: []");
    cr_expect_str_eq(h.text, "two:");
    buf_reset(&text);
    metrics_write_text(metrics, &text, 0);
    cr_expect_null(strstr(buf_z(&text), "config=\"one\""));
    discovery_manager_free(m);
    buf_fini(&text);
    metrics_free(metrics);
    lock_fini(&h.lock);
}

static void
write_file(const char *dir, const char *name, const char *text)
{
    char path[256], tmp[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(tmp, sizeof tmp, "%s/tmp", dir);
    f = fopen(tmp, "w");
    fputs(text, f);
    fclose(f);
    cr_assert_eq(rename(tmp, path), 0);
}

Test(discovery, a_file_changes)
{
    struct metrics *metrics = metrics_new();
    char dir[128], yaml[512], path[256];
    struct heard h;
    struct discovery_manager *m = manager(&h, metrics);
    struct metric *errors = metrics_counter(metrics, "prometheus_sd_file_read_errors_total", "");

    snprintf(dir, sizeof dir, "%s/narthex-sd-XXXXXX",
             getenv("TMPDIR") == NULL ? P_tmpdir : getenv("TMPDIR"));
    cr_assert_not_null(mkdtemp(dir));
    write_file(dir, "a.json", "[{\"targets\":[\"a\"]}]");
    snprintf(yaml, sizeof yaml,
             "file_sd_configs: [{files: [\"%s/*.json\", \"%s/*.yml\"], refresh_interval: 1h}]", dir,
             dir);
    apply(m, "s", yaml);
    cr_expect(hears(&h, "s: a"));
    write_file(dir, "b.yml", "- targets: [b]\n");
    cr_expect(hears(&h, "s: a b"));
    /* A bad file keeps what it said; another file changes meanwhile. */
    write_file(dir, "a.json", "[{\"targets\":");
    write_file(dir, "b.yml", "- targets: [b, c]\n");
    cr_expect(hears(&h, "s: a b c"));
    cr_expect_gt(metric_get(errors), 0);
    write_file(dir, "a.json", "[{\"targets\":[\"d\"]}]");
    cr_expect(hears(&h, "s: d b c"));
    snprintf(path, sizeof path, "%s/b.yml", dir);
    unlink(path);
    cr_expect(hears(&h, "s: d"));
    snprintf(path, sizeof path, "%s/a.json", dir);
    unlink(path);
    cr_expect(hears(&h, "s:"));
    discovery_manager_free(m);
    rmdir(dir);
    metrics_free(metrics);
    lock_fini(&h.lock);
}
