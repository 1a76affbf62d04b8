/* discovery/mechanism.h: what a discovery mechanism is to the manager. One file implements one
 * discovery_ops.
 *
 * All calls come from the manager's thread. A mechanism says what it found with
 * discovery_publish(), at once or later; what it does not publish again stays as it was, so failing
 * is doing nothing but counting and logging. */
#pragma once
#include "base/arena.h"
#include "discovery/discovery.h"

struct discoverer;

struct discovery_ops {
    const char *name; /* the label `mechanism`: "file" */
    /* Looks for targets, when it is time or when its fd is readable; returns the monotonic time at
     * which to look again (INT64_MAX: only when woken). */
    int64_t (*look)(struct discoverer *d, int64_t now_ns);
    void (*free)(struct discoverer *d);
    /* After a reload: whether former asks the same, so that its groups may stand until d has its
     * own. NULL: never. */
    bool (*same)(const struct discoverer *d, const struct discoverer *former);
};

struct discoverer_env {
    const struct clock *clock;
    const struct io *io;
    struct log log;
    struct metrics *metrics; /* NULL: none */
    const char *manager;     /* "scrape", "notify" */
    struct str set;
    void (*wake)(void *arg); /* from any thread: look() runs soon */
    void *wake_arg;
};

/* Starts each mechanism's struct. */
struct discoverer {
    const struct discovery_ops *ops;
    struct discoverer_env env;
    int fd; /* readable: look() is called; -1: none */
    int64_t next_ns;
    _Atomic bool woken;
    struct target_group **groups; /* what it published last; references */
    size_t groups_nr;
    bool published, changed; /* since the manager took them */
};

/* Replaces all groups of d; takes over the references and the array (malloc'ed). Groups without
 * targets are left out. */
void discovery_publish(struct discoverer *d, struct target_group **groups, size_t groups_nr);

/* Makes a group: everything copied. Labels must be sorted. */
struct target_group *target_group_new(struct str source, struct labels labels,
                                      const struct str *addresses, size_t addresses_nr);

/* Reads the documents of file_sd (JSON and YAML) and http_sd (JSON): a list of {targets, labels}.
 * Group i gets the source "name:i" and the label extra=name. *groups is malloc'ed. False: nothing
 * is returned, err says what is wrong. */
enum group_format { GROUPS_JSON, GROUPS_YAML };
#define GROUPS_BYTES_MAX (64u << 20)
MUST_CHECK bool
target_groups_parse(enum group_format format, struct str text, struct str name, struct str extra,
                    struct target_group ***groups, size_t *groups_nr, struct error *err);

struct discoverer *
static_sd_new(const struct discoverer_env *env, const struct static_sd_config *configs, size_t nr);
struct discoverer *
file_sd_new(const struct discoverer_env *env, const struct file_sd_config *config);
/* NULL when the HTTP client cannot be made. */
struct discoverer *http_sd_new(const struct discoverer_env *env,
                               const struct http_sd_config *config, struct error *err);
