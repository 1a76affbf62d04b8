#include "cmd/config.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/mem.h"
#include "base/quote.h"
#include "cmd/config_priv.h"

#define DEFAULT_GOGC 75

static const struct conf_row runtime_rows[] = {
    { .key = "gogc",
      .type = CONF_INT,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(struct runtime_config, gogc) },
};

static const struct conf_table runtime_table = {
    .type = "config.RuntimeConfig",
    .bytes = sizeof(struct runtime_config),
    CONF_ROWS(runtime_rows),
};

#define AT(field_) .flags = CONF_OMITEMPTY, .offset = offsetof(struct config, field_)

/* In Prometheus's order, which is that of rendering. */
static const struct conf_row config_rows[] = {
    { .key = "global",
      .type = CONF_STRUCT,
      .flags = CONF_CLEAN,
      .offset = offsetof(struct config, global),
      .table = &global_config_table },
    { .key = "runtime", .type = CONF_STRUCT, AT(runtime), .table = &runtime_table },
    { .key = "alerting", .type = CONF_STRUCT, AT(alerting), .table = &alerting_config_table },
    { .key = "rule_files", .type = CONF_PATHS, AT(rule_files) },
    { .key = "scrape_config_files", .type = CONF_PATHS, AT(scrape_config_files) },
    { .key = "scrape_configs",
      .type = CONF_STRUCTS,
      AT(main_jobs),
      .table = &scrape_config_table,
      .bad = "empty or null scrape config section" },
    { .key = "storage", .type = CONF_STRUCT, AT(storage), .table = &storage_config_table },
    { .key = "tracing",
      .type = CONF_STRUCT_PTR,
      .flags = CONF_OMITEMPTY | CONF_UNBUILT,
      .offset = offsetof(struct config, tracing),
      .table = &tracing_config_table },
    { .type = CONF_INLINE,
      .offset = offsetof(struct config, remote),
      .table = &remote_config_table },
};

static bool
check_globs(const struct conf_strs *globs, const char *what, struct error *err)
{
    for (size_t i = 0; i < globs->nr; i++) {
        if (rules_config_glob_valid(globs->items[i]))
            continue;
        struct buf quoted = { 0 };
        quote_go(globs->items[i], &quoted);
        error_set(err, ERR_INVALID, "invalid %s file path %s", what, buf_z(&quoted));
        buf_fini(&quoted);
        return false;
    }
    return true;
}

static bool
config_check(struct conf *c, void *obj, struct error *err)
{
    const struct config *cfg = obj;

    conf_blame(c, "rule_files");
    if (!check_globs(&cfg->rule_files, "rule", err))
        return false;
    conf_blame(c, "scrape_config_files");
    return check_globs(&cfg->scrape_config_files, "scrape config", err);
}

const struct conf_table config_table = {
    .type = "config.plain",
    .bytes = sizeof(struct config),
    CONF_ROWS(config_rows),
    .check = config_check,
};

static const char *
env_get(const struct config_options *options, const char *name)
{
    const char *v = options->env == NULL ? NULL : options->env(name);

    return v == NULL ? "" : v;
}

/* Go's own variable is the default of runtime.gogc. */
static int64_t
default_gogc(const struct config_options *options)
{
    const char *text = env_get(options, "GOGC");
    char *end;

    if (strcasecmp(text, "off") == 0)
        return -1;
    long long v = strtoll(text, &end, 10);
    return text[0] != '\0' && *end == '\0' ? v : DEFAULT_GOGC;
}

/* Blocks that are missing or were left empty. */
static void
fill_blocks(struct config *cfg, const struct config_options *options)
{
    if (conf_zero(&global_config_table, &cfg->global))
        global_config_init(cfg->pool, &cfg->global, &options->scrape);
    if (cfg->runtime.gogc == 0)
        cfg->runtime.gogc = default_gogc(options);
    storage_config_complete(cfg->pool, &cfg->storage);
}

static bool
job_twice(struct str name, const char *where, struct error *err)
{
    struct buf quoted = { 0 };

    quote_go(name, &quoted);
    error_set(err, ERR_INVALID, "found multiple scrape configs with job name %s%s", buf_z(&quoted),
              where);
    buf_fini(&quoted);
    return false;
}

static bool
complete_jobs(struct config *cfg, struct error *err)
{
    for (size_t i = 0; i < cfg->main_jobs.nr; i++) {
        struct scrape_config *job = &cfg->main_jobs.items[i];
        if (!scrape_config_complete(cfg->pool, job, &cfg->global, err))
            return false;
        for (size_t k = 0; k < i; k++)
            if (str_eq(job->job_name, cfg->main_jobs.items[k].job_name)) {
                job_twice(job->job_name, "", err);
                return error_wrap(err, "line %u", job->line);
            }
    }
    return true;
}

static bool
complete(struct config *cfg, const struct config_options *options, struct error *err)
{
    fill_blocks(cfg, options);
    if (!complete_jobs(cfg, err) ||
        !alerting_config_complete(cfg->pool, &cfg->alerting, cfg->global.name_validation, err))
        return false;
    config_expand_labels(cfg, options);
    return remote_config_complete(cfg->pool, &cfg->remote, cfg->global.name_validation, err);
}

static bool
check_agent(const struct config *cfg, struct error *err)
{
    const char *key = NULL;

    if (cfg->alerting.alertmanagers.nr > 0 || cfg->alerting.alert_relabel_configs.nr > 0)
        key = "alerting";
    else if (cfg->rule_files.nr > 0)
        key = "rule_files";
    else if (cfg->remote.read.nr > 0)
        key = "remote_read";
    return key == NULL ? true
                       : error_set(err, ERR_INVALID, "field %s is not allowed in agent mode", key);
}

static struct str
absolute(struct conf_pool *pool, struct str path)
{
    char dir[4096];

    if (path.n > 0 && path.p[0] == '/')
        return path;
    return getcwd(dir, sizeof dir) == NULL ? path : conf_join_dir(pool, str_c(dir), path);
}

static bool
wrap_file(struct conf_pool *pool, struct str path, struct error *err)
{
    struct buf quoted = { 0 };

    quote_go(absolute(pool, path), &quoted);
    error_wrap(err, "%s", buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

struct job_list {
    const struct scrape_config **jobs;
    struct str *files; /* where each comes from; empty for the main file */
    size_t nr, cap, files_cap;
};

static void
push_job(struct conf_pool *pool, struct job_list *list, const struct scrape_config *job,
         struct str file)
{
    ARENA_GROW(conf_pool_arena(pool), list->jobs, list->nr, list->nr + 1, &list->cap);
    ARENA_GROW(conf_pool_arena(pool), list->files, list->nr, list->nr + 1, &list->files_cap);
    list->jobs[list->nr] = job;
    list->files[list->nr++] = file;
}

static bool
add_job(struct config *cfg, struct job_list *list, struct scrape_config *job, struct str file,
        struct error *err)
{
    struct buf where = { 0 };
    bool ok = true;

    if (!scrape_config_complete(cfg->pool, job, &cfg->global, err))
        return false;
    for (size_t i = 0; ok && i < list->nr; i++) {
        if (!str_eq(list->jobs[i]->job_name, job->job_name))
            continue;
        buf_c(&where, ", first found in ");
        if (list->files[i].n == 0)
            buf_c(&where, "main config file");
        else
            quote_go(absolute(cfg->pool, list->files[i]), &where);
        ok = job_twice(job->job_name, buf_z(&where), err);
        error_wrap(err, "line %u", job->line);
    }
    buf_fini(&where);
    push_job(cfg->pool, list, job, file);
    return ok;
}

static bool
load_job_file(const struct io *io, struct config *cfg, struct job_list *list, struct str path,
              struct error *err)
{
    struct scrape_config_list *file =
        ARENA_NEW(conf_pool_arena(cfg->pool), struct scrape_config_list);
    char *text = NULL;
    size_t n = 0;
    bool ok =
        io_read_file(io, path.p, CONFIG_FILE_BYTES_MAX, &text, &n, err) &&
        conf_load(cfg->pool, (struct str){ text, n }, &scrape_config_file_table, file, NULL, err);

    for (size_t i = 0; ok && i < file->nr; i++)
        ok = add_job(cfg, list, &file->items[i], path, err);
    mem_free(text);
    if (!ok)
        return wrap_file(cfg->pool, path, err);
    conf_relocate(cfg->pool, &scrape_config_file_table, file, conf_dir(path));
    return true;
}

/* The main file's jobs are relative to its directory by now; those of other files are made so here,
 * each by its own. */
static bool
load_job_files(const struct io *io, struct config *cfg, struct error *err)
{
    struct job_list list = { 0 };

    for (size_t i = 0; i < cfg->main_jobs.nr; i++)
        push_job(cfg->pool, &list, &cfg->main_jobs.items[i], STR_NONE);
    for (size_t i = 0; i < cfg->scrape_config_files.nr; i++) {
        struct conf_strs paths;
        if (!glob_list(io, cfg->scrape_config_files.items[i], conf_pool_arena(cfg->pool), &paths,
                       err))
            return error_wrap(err, "error retrieving scrape config files for \"%.*s\"",
                              STR_ARG(cfg->scrape_config_files.items[i]));
        for (size_t k = 0; k < paths.nr; k++)
            if (!load_job_file(io, cfg, &list, paths.items[k], err))
                return false;
    }
    cfg->jobs = list.jobs;
    cfg->jobs_nr = list.nr;
    return true;
}

bool
config_parse(const struct io *io, struct str text, const char *path,
             const struct config_options *options, struct config **config, struct error *err)
{
    struct config *cfg = MEM_NEW(struct config);
    struct conf_pool *pool = conf_pool_new();
    bool ok = conf_load(pool, text, &config_table, cfg, (void *)(uintptr_t)&options->scrape, err);

    cfg->pool = pool;
    cfg->refs_nr = 1;
    ok = ok && complete(cfg, options, err);
    if (!ok)
        error_wrap(err, "parsing YAML file %s", path);
    ok = ok && (!options->agent || check_agent(cfg, err));
    if (ok) {
        conf_relocate(pool, &config_table, cfg, conf_dir(str_c(path)));
        ok = load_job_files(io, cfg, err);
    }
    if (ok)
        *config = cfg;
    else
        config_unref(cfg);
    return ok;
}

bool
config_load(const struct io *io, const char *path, const struct config_options *options,
            struct config **config, struct error *err)
{
    char *text = NULL;
    size_t n = 0;
    bool ok = io_read_file(io, path, CONFIG_FILE_BYTES_MAX, &text, &n, err) &&
              config_parse(io, (struct str){ text, n }, path, options, config, err);

    mem_free(text);
    return ok;
}

struct config *
config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&config->refs_nr, 1, memory_order_relaxed);
    return config;
}

void
config_unref(struct config *config)
{
    if (config == NULL || atomic_fetch_sub_explicit(&config->refs_nr, 1, memory_order_acq_rel) != 1)
        return;
    conf_pool_unref(config->pool);
    mem_free(config);
}

void
config_write(const struct config *config, struct buf *out)
{
    conf_write(&config_table, config, out);
}

void
config_unbuilt(const struct config *config, void (*fn)(void *arg, const char *path), void *arg)
{
    conf_unbuilt_each(&config_table, config, fn, arg);
    for (size_t i = config->main_jobs.nr; i < config->jobs_nr; i++)
        conf_unbuilt_each(&scrape_config_table, config->jobs[i], fn, arg);
}

/* What stands in the place of keys to come. */
static const struct conf_table narthex_table = {
    .type = "narthex",
    .bytes = sizeof(struct narthex_config),
};

bool
narthex_config_load(const struct io *io, const char *path, struct narthex_config *config,
                    struct error *err)
{
    struct conf_pool *pool = conf_pool_new();
    char *text = NULL;
    size_t n = 0;
    bool ok = io_read_file(io, path, CONFIG_FILE_BYTES_MAX, &text, &n, err);

    if (ok && !conf_load(pool, (struct str){ text, n }, &narthex_table, config, NULL, err))
        ok = error_wrap(err, "parsing YAML file %s", path);
    mem_free(text);
    config->pool = pool;
    if (!ok)
        narthex_config_fini(config);
    return ok;
}

void
narthex_config_fini(struct narthex_config *config)
{
    conf_pool_unref(config->pool);
    config->pool = NULL;
}
