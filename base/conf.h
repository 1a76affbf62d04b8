/* base/conf.h: YAML files walked by const tables: keys, types, defaults, checks; and written back
 * as Go would.
 *
 * A part describes each of its structs by one table: a row per key with its place in the struct.
 * conf_load() parses the text (YAML 1.1 as Go's yaml.v2 resolves it: anchors, merge keys, bounded
 * aliases), fills the struct and refuses unknown keys, duplicates and bad values with one line:
 * "line 12: scrape_configs[0].scrape_interval: not a valid duration string: "x"" (the caller puts
 * the file's name in front). conf_write() renders a struct as `/api/v1/status/config` shows it.
 * Rows stand in the order in which Prometheus renders the keys.
 *
 * Everything loaded lives in a conf_pool, which is reference counted and freed as a whole: who
 * keeps a pointer into a configuration holds a reference. Loading has one owner thread; what is
 * loaded is immutable and may be read by any thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/conf_types.h"
#include "base/error.h"
#include "base/regex.h"

#define CONF_FILE_BYTES_MAX (64u << 20) /* a text over this is refused */
#define CONF_DEPTH_MAX      100         /* nesting; nothing valid comes near */

struct conf_pool;
struct conf_node; /* parsed YAML, kept where a key takes any value */
struct conf;      /* one load in progress */

struct conf_pool *conf_pool_new(void);
struct conf_pool *conf_pool_ref(struct conf_pool *pool);
void conf_pool_unref(struct conf_pool *pool); /* accepts NULL */
struct arena *conf_pool_arena(struct conf_pool *pool);
/* Hands over the caller's reference: released together with the pool. */
void conf_pool_own_regex(struct conf_pool *pool, struct regex *re);

/* Type of a row, and the C type that stands at its offset. */
enum conf_type {
    CONF_BOOL,        /* bool */
    CONF_TRI,         /* enum conf_tri as int */
    CONF_INT,         /* int64_t */
    CONF_UINT,        /* uint64_t */
    CONF_FLOAT,       /* double */
    CONF_DURATION,    /* int64_t milliseconds */
    CONF_GO_DURATION, /* int64_t nanoseconds, Go's notation */
    CONF_BYTES,       /* int64_t */
    CONF_STR,         /* struct str */
    CONF_PATH,        /* struct str; conf_relocate() makes it relative to the file */
    CONF_SECRET,      /* struct secret */
    CONF_REGEX,       /* struct regex *, anchored; owned by the pool */
    CONF_URL,         /* struct conf_url */
    CONF_ENUM,        /* int: index into `names` */
    CONF_STRS,        /* struct conf_strs */
    CONF_PATHS,       /* struct conf_strs of paths */
    CONF_SECRETS,     /* struct conf_secrets */
    CONF_MAP,         /* struct conf_map */
    CONF_MULTIMAP,    /* struct conf_multimap */
    CONF_STRUCT,      /* the struct of `table`, embedded */
    CONF_STRUCT_PTR,  /* pointer to it, NULL when the key is absent */
    CONF_INLINE,      /* embedded, its keys stand among ours; `key` is NULL */
    CONF_STRUCTS,     /* CONF_LIST of the struct of `table` */
    CONF_NAMED, /* a mapping of names to structs: CONF_LIST; each struct starts with struct str name
                 */
    CONF_NAMED_SECRETS, /* a mapping of names to lists of secrets: CONF_LIST of { struct str name;
                           struct conf_secrets } */
    CONF_ANY,           /* struct conf_node *: any YAML */
    CONF_IGNORED        /* accepted, kept nowhere */
};

enum conf_flags {
    CONF_OMITEMPTY = 1, /* not written when zero, as Go's omitempty */
    CONF_FLOW = 2,      /* a list written as [a, b] */
    CONF_CLEAN = 4,     /* CONF_STRUCT: a given block starts from zero instead of its defaults */
    CONF_HIDDEN = 8,    /* never written */
    CONF_DEPRECATED = 16,
    CONF_UNBUILT = 32, /* understood, without effect yet: conf_unbuilt_each() names it when given */
    CONF_LABEL_NAME = 64, /* CONF_MAP, CONF_STRS: names must be label names under UTF-8 (not empty,
                             well-formed) */
    CONF_NOCASE = 128,    /* CONF_ENUM: upper and lower case are the same */
    CONF_NOT_EMPTY = 256  /* CONF_ENUM: "" only means not given, it cannot be written */
};

struct conf_table;

/* A check of one value right after it was read; `value` points at it. */
typedef bool (*conf_check_fn)(struct conf *c, void *value, struct error *err);

struct conf_row {
    const char *key;
    enum conf_type type;
    unsigned flags;
    size_t offset;
    const char *dflt; /* as one would write it in the file; NULL: zero */
    const struct conf_table *table;
    const char *const *names; /* CONF_ENUM: NULL-terminated; "" stands for "not given" */
    const char
        *bad; /* CONF_ENUM: what to say, with one %.*s for the value; lists: for a null entry */
    conf_check_fn check;
    size_t
        pos_at; /* CONF_POS_AT() of the struct conf_pos that gets the place of the value; 0: none */
};

struct conf_table {
    const char *type; /* how unknown keys name it: "field x not found in type config.plain" */
    size_t bytes;     /* of the struct */
    const struct conf_row *rows;
    size_t rows_nr;
    void (*init)(void *obj); /* after the rows' defaults; may be NULL */
    conf_check_fn check;     /* after all keys were read; may be NULL */
    size_t line_at; /* CONF_LINE_AT() of the uint32_t that gets the line of the block; 0: none */
    bool open;      /* unknown keys are no error */
};

#define CONF_POS_AT(struct_, field_)  (offsetof(struct_, field_) + 1)
#define CONF_LINE_AT(struct_, field_) (offsetof(struct_, field_) + 1)
#define CONF_ROWS(array)              .rows = (array), .rows_nr = ARRAY_LEN(array)

/* Fills obj (table->bytes, any content) with defaults and then the text's keys. False: ERR_INVALID
 * (ERR_LIMIT for size), the pool may hold leftovers. `arg` is for check functions, by conf_arg().
 * An empty text gives the defaults without calling table->check. */
MUST_CHECK bool conf_load(struct conf_pool *pool, struct str text, const struct conf_table *table,
                          void *obj, void *arg, struct error *err);
/* The same as Go's yaml.v3 would read it: keys win over merged ones wherever they stand, and every
 * unknown key is collected in `unknown` ("\n  line 6: field x not found in type rulefmt.Rule"), so
 * that all can be told at once. */
MUST_CHECK bool
conf_load_v3(struct conf_pool *pool, struct str text, const struct conf_table *table, void *obj,
             struct buf *unknown, struct error *err);
/* Only the defaults, as if the block were given empty but without checks. */
void conf_defaults(struct conf_pool *pool, const struct conf_table *table, void *obj);

/* For check functions. */
void *conf_arg(const struct conf *c);
struct conf_pool *conf_pool_of(const struct conf *c);
/* Names the key inside the struct at hand that an error of a table's check is about, so that its
 * line is given. */
void conf_blame(struct conf *c, const char *key);
/* True when the mapping at hand has this key (null counts for conf_has(), not for conf_given()). */
bool conf_has(const struct conf *c, const char *key);
bool conf_given(const struct conf *c, const char *key);
/* Line of the struct at hand. */
uint32_t conf_line(const struct conf *c);

/* Makes every CONF_PATH and CONF_PATHS of obj relative to dir, cleaned; empty and absolute ones
 * stay. */
void
conf_relocate(struct conf_pool *pool, const struct conf_table *table, void *obj, struct str dir);

/* Appends obj as YAML, in Go's style. */
void conf_write(const struct conf_table *table, const void *obj, struct buf *out);

/* True when every value of the struct is Go's zero, as after a null block. */
bool conf_zero(const struct conf_table *table, const void *obj);

/* Calls fn for every row flagged CONF_UNBUILT whose value is not zero, with the path of keys. */
void conf_unbuilt_each(const struct conf_table *table, const void *obj,
                       void (*fn)(void *arg, const char *path), void *arg);

/* The URL with a password replaced by xxxxx. */
void conf_url_redacted(const struct conf_url *url, struct buf *out);
/* Go's url.Parse as far as it can fail; fills url with pieces of text (which must live as long). */
MUST_CHECK bool conf_url_parse(struct str text, struct conf_url *url, struct error *err);

/* dir and path joined and cleaned unless path is empty or absolute; in the pool. */
struct str conf_join_dir(struct conf_pool *pool, struct str dir, struct str path);
/* The directory part of a path, "." when it has none; a piece of path or a literal. */
struct str conf_dir(struct str path);
