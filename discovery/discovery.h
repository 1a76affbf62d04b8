/* discovery/discovery.h: who there is to scrape or to notify: target groups from all mechanisms of
 * a configuration.
 *
 * A manager runs the *_sd_configs of several sets (a set is one scrape job, or one Alertmanager
 * section) on one thread of its own and hands out, at most every throttle_ms, the groups of the
 * sets that have changed. A group is what one source (a file, a URL, an element of static_configs)
 * says: labels in common and a label set with __address__ per target. Groups are immutable and
 * reference counted. A source that fails keeps its last good groups. Two sets with an equal
 * configuration each run their own mechanism. A new mechanism is one file that implements
 * discovery_ops (discovery/mechanism.h). */
#pragma once
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/metrics.h"
#include "discovery/discovery_config.h"

struct target_group {
    struct str source;    /* unique within its mechanism */
    struct labels labels; /* in common */
    const struct labels
        *targets; /* each with __address__ and what the mechanism says of it (__meta_*) */
    size_t targets_nr;
};

struct target_group *target_group_ref(struct target_group *g);
void target_group_unref(struct target_group *g); /* accepts NULL */

/* One set: all groups it has now, in the order of its mechanisms and sources. */
struct discovery_set {
    struct str name;
    const struct discovery_config *config;
};

/* On the manager's thread: the groups of one set that has changed (also when it has none). Borrowed
 * during the call: keep one with target_group_ref(). Must not call discovery_manager_free(). */
typedef void (*discovery_update_fn)(void *arg, struct str set, struct target_group *const *groups,
                                    size_t groups_nr);

struct discovery_options {
    const char
        *name; /* "scrape" or "notify": the label `name` of prometheus_sd_*; static storage */
    int64_t throttle_ms; /* --scrape.discovery-reload-interval; 0: 5 s */
    const struct clock *clock;
    const struct io *io;
    struct log log;
    struct metrics *metrics; /* NULL: none */
    discovery_update_fn update;
    void *arg;
};

struct discovery_manager;

/* Starts the thread. Without sets it sleeps. */
struct discovery_manager *discovery_manager_new(const struct discovery_options *options);
/* Joins the thread; no update is called afterwards. Accepts NULL. */
void discovery_manager_free(struct discovery_manager *m);

/* Replaces all sets. Mechanisms whose configuration stays the same go on; the first update of new
 * ones comes as soon as they have answered once, and the names of static and file targets are there
 * before this returns. Copies the names; the configurations must live as long as keep, to which it
 * holds a reference. */
void discovery_manager_apply(struct discovery_manager *m, const struct discovery_set *sets,
                             size_t sets_nr, struct conf_pool *keep);
