/* base/conf_priv.h: what the files of base/conf share. */
#pragma once
#include "base/conf.h"

enum conf_node_kind { NODE_SCALAR, NODE_MAP, NODE_LIST, NODE_ALIAS };

/* One node of the parsed text; in the pool's arena. */
struct conf_node {
    enum conf_node_kind kind;
    uint32_t line, column;   /* from 1 */
    bool plain;              /* scalar without quotes: its text decides its type */
    bool open;               /* alias being expanded: meeting it again means that it holds itself */
    struct str tag;          /* "" when none was written */
    struct str value;        /* scalar text */
    struct conf_node **kids; /* of a map: key, value, key, value */
    size_t kids_nr;
    struct conf_node *target; /* of an alias */
};

/* Parses the first document of text. *root is NULL for a text without any. */
MUST_CHECK bool conf_yaml_parse(struct conf_pool *pool, struct str text, struct conf_node **root,
                                struct error *err);

/* What a scalar means: YAML 1.1 as Go's yaml.v2 resolves it. */
enum conf_scalar_kind {
    SCALAR_NULL,
    SCALAR_STR,
    SCALAR_BOOL,
    SCALAR_INT,  /* fits into int64_t */
    SCALAR_UINT, /* only into uint64_t */
    SCALAR_FLOAT,
    SCALAR_TIMESTAMP
};

struct conf_scalar {
    enum conf_scalar_kind kind;
    bool b;
    int64_t i;
    uint64_t u;
    double f;
};

/* Of an unquoted text without a tag. */
struct conf_scalar conf_scalar_resolve(struct str text);
/* "!!int", "!!str", ... */
const char *conf_scalar_tag(enum conf_scalar_kind kind);
/* Of a node, tags included; *text is the string it stands for (decoded from base64 for !!binary; in
 * the arena). */
MUST_CHECK bool conf_scalar_of(struct arena *arena, const struct conf_node *node,
                               struct conf_scalar *s, struct str *text, struct error *err);
bool conf_node_null(const struct conf_node *node);
bool conf_node_merge(const struct conf_node *node);

/* Bytes of the C type that a row's value has. */
size_t conf_row_bytes(const struct conf_row *row);
/* Go's zero value, which omitempty leaves out. */
bool conf_row_zero(const struct conf_row *row, const void *value);

/* All list types (CONF_LIST, conf_strs, conf_map, ...) start with these members. */
struct conf_any_list {
    void *items;
    size_t nr;
    bool given;
};

static inline struct conf_any_list
conf_list_get(const void *value)
{
    struct conf_any_list list;

    memcpy(&list, value, sizeof list);
    return list;
}

static inline void
conf_list_set(void *value, void *items, size_t nr)
{
    struct conf_any_list list = { items, nr, true };

    /* Not by assignment: the member's own type has another type of pointer. */
    memcpy(value, &list, offsetof(struct conf_any_list, given) + sizeof list.given);
}

/* The order in which Go's yaml.v2 writes the keys of a map: runs of digits count as numbers,
 * letters after others. */
int conf_key_cmp(struct str a, struct str b);
