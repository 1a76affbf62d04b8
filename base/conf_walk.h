/* base/conf_walk.h: between conf.c, which walks mappings, and conf_value.c, which reads values.
 * Internal to base/conf. */
#pragma once
#include "base/conf_priv.h"

/* Where the walk stands: a chain on the stack. key.p is NULL for an index. */
struct conf_path {
    const struct conf_path *up;
    struct str key;
    size_t index;
};

struct conf {
    struct conf_pool *pool;
    void *arg;
    const struct conf_path *path;
    const struct conf_node *map; /* whose check is running */
    const char *blamed;
    bool placed;         /* the error already says where */
    bool defaults;       /* reading defaults: no checks of rows */
    bool v3;             /* merged keys give way to written ones */
    struct buf *unknown; /* where unknown keys are collected; NULL: the first is an error */
    unsigned alias_depth;
    uint64_t steps_nr, alias_steps_nr;
};

typedef bool (*conf_fill_fn)(struct conf *c, struct conf_node *node, void *arg, struct error *err);

/* Calls fill() with the node or, for an alias, with what it stands for; counts steps. */
MUST_CHECK bool conf_expand(struct conf *c, struct conf_node *node, conf_fill_fn fill, void *arg,
                            struct error *err);
/* The value of a merge key. */
MUST_CHECK bool
conf_merge(struct conf *c, struct conf_node *node, conf_fill_fn fill, void *arg, struct error *err);
/* Puts line and path in front of err, once. Returns false. */
bool conf_place(struct conf *c, uint32_t line, struct error *err);
/* "cannot unmarshal !!str `abc` into int". Returns false. */
bool
conf_mismatch(struct conf *c, const struct conf_node *node, const char *into, struct error *err);

MUST_CHECK bool conf_value(struct conf *c, struct conf_node *node, const struct conf_row *row,
                           void *value, struct error *err);
MUST_CHECK bool conf_struct(struct conf *c, struct conf_node *node, const struct conf_table *table,
                            void *obj, struct error *err);
