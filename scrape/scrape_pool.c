/* One job's targets: sync turns what discovery says into targets, and tells the loops who is new
 * and who is gone. */
#include <inttypes.h>
#include <stdlib.h>
#include "scrape/scrape_pool.h"
#include "base/mem.h"

struct scrape_pool *
scrape_pool_new(struct scrape_shared *shared, struct scrape_loop *const *loops, unsigned loops_nr,
                struct target_setup *setup)
{
    struct scrape_pool *p = MEM_NEW(struct scrape_pool);
    struct str job[] = { setup->config->job_name };

    lock_init(&p->lock, LOCK_GROUP, "scrape pool");
    p->shared = shared;
    p->loops = loops;
    p->loops_nr = loops_nr;
    p->setup = setup;
    metric_set(metrics_child(shared->metrics->target_limit, job),
               (double)setup->config->target_limit);
    return p;
}

static void
dropped_clear(struct scrape_pool *p)
{
    for (size_t i = 0; i < p->dropped_nr; i++)
        target_group_unref(p->dropped[i].group);
    p->dropped_nr = 0;
    p->dropped_count = 0;
}

static void
pool_target_free(struct pool_target *pt)
{
    scrape_loop_unref(pt->loop, pt->t);
    free(pt);
}

void
scrape_pool_free(struct scrape_pool *p)
{
    struct pool_target *pt;

    if (p == NULL)
        return;
    for (size_t at = 0; (pt = table_next(&p->active, &at)) != NULL;) {
        scrape_loop_remove(pt->loop, pt->t, false);
        pool_target_free(pt);
    }
    scrape_metrics_forget(p->shared->metrics, p->setup->config->job_name);
    table_fini(&p->active);
    dropped_clear(p);
    free(p->dropped);
    free(p->error);
    target_setup_unref(p->setup);
    lock_fini(&p->lock);
    free(p);
}

static bool
is_target(const void *item, const void *key)
{
    return ((const struct pool_target *)item)->t->hash == *(const uint64_t *)key;
}

static void
add_target(struct scrape_pool *p, struct target *t)
{
    struct pool_target *pt = MEM_NEW(struct pool_target);

    pt->t = t;
    pt->loop = p->loops[t->hash % p->loops_nr];
    pt->sync = p->sync;
    table_add(&p->active, t->hash, pt);
    scrape_loop_add(pt->loop, t, p->error);
}

/* A target that is there already shows the labels that discovery gave last. */
static void
update_target(struct scrape_pool *p, struct pool_target *pt, struct target *t)
{
    pt->sync = p->sync;
    lock_take(&pt->t->lock);
    target_group_unref(pt->t->group);
    pt->t->group = target_group_ref(t->group);
    pt->t->group_index = t->group_index;
    lock_release(&pt->t->lock);
    target_unref(t, NULL);
}

static void
drop_target(struct scrape_pool *p, struct target_group *group, size_t index)
{
    uint64_t keep = p->setup->config->keep_dropped_targets;

    p->dropped_count++;
    if (keep != 0 && p->dropped_nr >= keep)
        return;
    MEM_GROW(p->dropped, p->dropped_nr + 1, &p->dropped_cap);
    p->dropped[p->dropped_nr++] = (struct dropped_target){ target_group_ref(group), index };
}

static void
fail_target(struct scrape_pool *p, const struct target_group *group, size_t index,
            const struct error *err)
{
    struct str job[] = { p->setup->config->job_name };

    log_error(&p->shared->options->log, "Creating target failed", LOG_S("scrape_pool", job[0]),
              LOG_S("group", group->source), LOG_I("instance", index), LOG_E(err));
    metric_inc(metrics_child(p->shared->metrics->sync_failed, job));
}

static void
sync_group(struct scrape_pool *p, struct target_group *group, struct labels_builder *b)
{
    for (size_t i = 0; i < group->targets_nr; i++) {
        struct error err = { 0 };
        struct pool_target *pt;
        struct target *t;

        switch (target_build(p->setup, group, i, b, &t, &err)) {
        case TARGET_FAILED:
            fail_target(p, group, i, &err);
            break;
        case TARGET_DROPPED:
            drop_target(p, group, i);
            break;
        case TARGET_BUILT:
            pt = table_find(&p->active, t->hash, is_target, &t->hash);
            if (pt != NULL)
                update_target(p, pt, t);
            else
                add_target(p, t);
            break;
        }
        error_clear(&err);
    }
}

static struct pool_target *
first_gone(struct scrape_pool *p)
{
    struct pool_target *pt;

    for (size_t at = 0; (pt = table_next(&p->active, &at)) != NULL;)
        if (pt->sync != p->sync)
            return pt;
    return NULL;
}

/* Collected first: the walk does not survive a removal. */
static void
remove_gone(struct scrape_pool *p)
{
    struct pool_target *pt, **gone = MEM_NEW_ARRAY(struct pool_target *, p->active.nr + 1);
    size_t nr = 0;

    if (first_gone(p) != NULL)
        for (size_t at = 0; (pt = table_next(&p->active, &at)) != NULL;)
            if (pt->sync != p->sync)
                gone[nr++] = pt;
    for (size_t i = 0; i < nr; i++) {
        pt = gone[i];
        table_remove(&p->active, pt->t->hash, is_target, &pt->t->hash);
        scrape_loop_remove(pt->loop, pt->t, true);
        pool_target_free(pt);
    }
    free(gone);
}

/* Too many targets fail them all. */
static void
check_target_limit(struct scrape_pool *p)
{
    uint64_t limit = p->setup->config->target_limit;
    struct buf text = { 0 };
    struct pool_target *pt;

    if (limit != 0 && p->active.nr > limit) {
        metric_inc(p->shared->metrics->exceeded_target_limit);
        buf_printf(&text, "target_limit exceeded (number of targets: %zu, limit: %" PRIu64 ")",
                   p->active.nr, limit);
    }
    if (text.n == 0 ? p->error == NULL : p->error != NULL && str_is(buf_as_str(&text), p->error)) {
        buf_fini(&text);
        return;
    }
    free(p->error);
    p->error = text.n == 0 ? NULL : mem_strdup(buf_z(&text));
    buf_fini(&text);
    for (size_t at = 0; (pt = table_next(&p->active, &at)) != NULL;)
        scrape_loop_set_error(pt->loop, pt->t, p->error);
}

void
scrape_pool_sync(struct scrape_pool *p, struct target_group *const *groups, size_t groups_nr)
{
    const struct clock *clock = p->shared->options->clock;
    struct str job[] = { p->setup->config->job_name };
    int64_t began_ns = clock_monotonic_ns(clock), ended_ns;
    struct labels_builder b;

    labels_builder_init(&b);
    lock_take(&p->lock);
    p->sync++;
    if (p->fresh)
        remove_gone(p); /* none has been marked yet: all */
    p->fresh = false;
    dropped_clear(p);
    for (size_t i = 0; i < groups_nr; i++)
        sync_group(p, groups[i], &b);
    remove_gone(p);
    check_target_limit(p);
    metric_set(metrics_child(p->shared->metrics->targets, job), (double)p->active.nr);
    metric_set(metrics_child(p->shared->metrics->symbols, job), 0);
    lock_release(&p->lock);
    labels_builder_fini(&b);
    ended_ns = clock_monotonic_ns(clock);
    scrape_metrics_sync(p->shared->metrics, job[0], (double)(ended_ns - began_ns) / 1e9, ended_ns);
}

void
scrape_pool_reload(struct scrape_pool *p, struct target_setup *setup, bool keep_cache)
{
    const struct clock *clock = p->shared->options->clock;
    int64_t began_ns = clock_monotonic_ns(clock), ended_ns;
    struct str job[] = { setup->config->job_name };
    struct pool_target *pt;

    lock_take(&p->lock);
    metric_inc(p->shared->metrics->reloads);
    target_setup_unref(p->setup);
    p->setup = setup;
    p->fresh = p->fresh || !keep_cache;
    for (size_t at = 0; keep_cache && (pt = table_next(&p->active, &at)) != NULL;) {
        lock_take(&pt->t->lock);
        target_setup_unref(pt->t->setup);
        pt->t->setup = target_setup_ref(setup);
        lock_release(&pt->t->lock);
    }
    check_target_limit(p);
    metric_set(metrics_child(p->shared->metrics->target_limit, job),
               (double)setup->config->target_limit);
    lock_release(&p->lock);
    ended_ns = clock_monotonic_ns(clock);
    scrape_metrics_reload(p->shared->metrics, setup->config->scrape_interval_ms,
                          (double)(ended_ns - began_ns) / 1e9, ended_ns);
}
