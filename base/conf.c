/* The walk of a parsed text along tables.
 *
 * A mapping fills the struct of its table in the order of its keys, as Go's yaml.v2 does: a merge
 * key (<<) fills the same struct at the place where it stands, so what follows wins. A null zeroes
 * the field, also where the default is something else. Embedded structs keep what they hold; listed
 * and pointed ones start from their defaults. The first thing wrong ends the walk; its place is the
 * innermost mapping, list or key being read. */
#include "base/conf_priv.h"

#include <inttypes.h>

#include "base/conf_walk.h"
#include "base/mem.h"

/* After a text has been walked this often through aliases, more than a share of all steps may not
 * come from them: Go's own bound against a text that doubles itself with each line. */
#define ALIAS_FREE      100
#define STEPS_FREE      1000
#define STEPS_FEW       400000
#define STEPS_MANY      4000000
#define KEYS_PER_STRUCT 256

static bool
steps_allowed(const struct conf *c)
{
    double steps = (double)c->steps_nr, share = 0.99;

    if (c->alias_steps_nr <= ALIAS_FREE || c->steps_nr <= STEPS_FREE)
        return true;
    if (c->steps_nr >= STEPS_MANY)
        share = 0.10;
    else if (c->steps_nr > STEPS_FEW)
        share = 0.99 - 0.89 * (steps - STEPS_FEW) / (STEPS_MANY - STEPS_FEW);
    return (double)c->alias_steps_nr / steps <= share;
}

static void
path_print(const struct conf_path *path, struct buf *out)
{
    if (path == NULL)
        return;
    path_print(path->up, out);
    if (path->key.p == NULL) {
        buf_printf(out, "[%zu]", path->index);
        return;
    }
    if (out->n > 0)
        buf_byte(out, '.');
    buf_str(out, path->key);
}

bool
conf_place(struct conf *c, uint32_t line, struct error *err)
{
    struct buf path = { 0 };

    if (c->placed)
        return false;
    c->placed = true;
    path_print(c->path, &path);
    if (path.n == 0)
        error_wrap(err, "line %" PRIu32, line);
    else
        error_wrap(err, "line %" PRIu32 ": %s", line, buf_z(&path));
    buf_fini(&path);
    return false;
}

void *
conf_arg(const struct conf *c)
{
    return c->arg;
}

struct conf_pool *
conf_pool_of(const struct conf *c)
{
    return c->pool;
}

void
conf_blame(struct conf *c, const char *key)
{
    c->blamed = key;
}

static const struct conf_node *
node_real(const struct conf_node *node)
{
    while (node->kind == NODE_ALIAS)
        node = node->target;
    return node;
}

/* The key's node in a mapping, merged ones included (but not merges of merges). */
static const struct conf_node *
map_find(const struct conf_node *map, const char *key, bool merges)
{
    for (size_t i = 0; i < map->kids_nr; i += 2) {
        const struct conf_node *k = map->kids[i], *v = node_real(map->kids[i + 1]);
        if (k->kind == NODE_SCALAR && str_is(k->value, key))
            return k;
        const struct conf_node *hit =
            merges && conf_node_merge(k) && v->kind == NODE_MAP ? map_find(v, key, false) : NULL;
        if (hit != NULL)
            return hit;
    }
    return NULL;
}

bool
conf_has(const struct conf *c, const char *key)
{
    return c->map != NULL && map_find(c->map, key, true) != NULL;
}

bool
conf_given(const struct conf *c, const char *key)
{
    const struct conf_node *k = c->map == NULL ? NULL : map_find(c->map, key, true);

    for (size_t i = 0; k != NULL && i < c->map->kids_nr; i += 2)
        if (c->map->kids[i] == k)
            return !conf_node_null(node_real(c->map->kids[i + 1]));
    return k != NULL; /* merged in */
}

uint32_t
conf_line(const struct conf *c)
{
    return c->map == NULL ? 0 : c->map->line;
}

/* The row of a key, looking into included tables; *base gets the place of the struct that has it,
 * *nth its number over all. */
static const struct conf_row *
row_find(const struct conf_table *table, struct str key, char **base, size_t *nth)
{
    for (size_t i = 0; i < table->rows_nr; i++) {
        const struct conf_row *row = &table->rows[i];
        if (row->type == CONF_INLINE) {
            char *inner = *base + row->offset;
            const struct conf_row *hit = row_find(row->table, key, &inner, nth);
            if (hit != NULL) {
                *base = inner;
                return hit;
            }
            continue;
        }
        if (str_is(key, row->key))
            return row;
        ++*nth;
    }
    return NULL;
}

static bool
map_unknown(struct conf *c, const struct conf_table *table, const struct conf_node *key,
            struct str name, const char *what, struct error *err)
{
    if (c->unknown != NULL) {
        buf_printf(c->unknown, "\n  line %" PRIu32 ": field %.*s %s in type %s", key->line,
                   STR_ARG(name), what, table->type);
        return true;
    }
    error_set(err, ERR_INVALID, "field %.*s %s in type %s", STR_ARG(name), what, table->type);
    return conf_place(c, key->line, err);
}

static bool struct_fill(struct conf *c, struct conf_node *map, const struct conf_table *table,
                        void *obj, struct error *err);

/* The value of a merge key: one map, or a list of them of which the first ones win. */
bool
conf_merge(struct conf *c, struct conf_node *node, conf_fill_fn fill, void *arg, struct error *err)
{
    struct conf_node *real = node->kind == NODE_ALIAS ? node->target : node;
    bool ok = true;

    if (real->kind == NODE_MAP)
        return conf_expand(c, node, fill, arg, err);
    if (node->kind == NODE_LIST) {
        for (size_t i = node->kids_nr; ok && i-- > 0;) {
            if (node_real(node->kids[i])->kind != NODE_MAP)
                break;
            ok = conf_expand(c, node->kids[i], fill, arg, err);
            if (ok && i == 0)
                return true;
        }
        if (!ok || node->kids_nr == 0)
            return ok;
    }
    error_set(err, ERR_INVALID, "map merge requires map or sequence of maps as the value");
    return conf_place(c, node->line, err);
}

bool
conf_expand(struct conf *c, struct conf_node *node, conf_fill_fn fill, void *arg, struct error *err)
{
    bool ok;

    c->steps_nr++;
    c->alias_steps_nr += c->alias_depth > 0;
    if (!steps_allowed(c)) {
        error_set(err, ERR_LIMIT, "document contains excessive aliasing");
        return conf_place(c, node->line, err);
    }
    if (node->kind != NODE_ALIAS)
        return fill(c, node, arg, err);
    if (node->open) {
        error_set(err, ERR_INVALID, "anchor '%.*s' value contains itself", STR_ARG(node->value));
        return conf_place(c, node->line, err);
    }
    node->open = true;
    c->alias_depth++;
    ok = conf_expand(c, node->target, fill, arg, err);
    c->alias_depth--;
    node->open = false;
    return ok;
}

struct struct_target {
    const struct conf_table *table;
    void *obj;
};

static bool
struct_merge(struct conf *c, struct conf_node *node, void *arg, struct error *err)
{
    struct struct_target *t = arg;

    return struct_fill(c, node, t->table, t->obj, err);
}

/* One key and its value. */
static bool
struct_key(struct conf *c, const struct conf_table *table, void *obj, struct conf_node *key,
           struct conf_node *value, uint64_t *done, struct error *err)
{
    struct conf_scalar ignored;
    struct str name;
    char *base = obj;
    size_t nth = 0;

    if (node_real(key)->kind != NODE_SCALAR) {
        error_set(err, ERR_INVALID, "a key must be text");
        return conf_place(c, key->line, err);
    }
    if (!conf_scalar_of(conf_pool_arena(c->pool), node_real(key), &ignored, &name, err))
        return conf_place(c, key->line, err);
    struct conf_path path = { .up = c->path, .key = name.p == NULL ? STR("") : name };
    c->path = &path;
    const struct conf_row *row = row_find(table, name, &base, &nth);
    bool ok = row != NULL;
    if (row == NULL && table->open) {
        ok = true;
    } else if (row == NULL) {
        ok = map_unknown(c, table, key, name, "not found", err);
    } else if (done[nth / 64] >> nth % 64 & 1) {
        ok = map_unknown(c, table, key, name, "already set", err);
    } else {
        done[nth / 64] |= 1ull << nth % 64;
        if (row->pos_at != 0)
            memcpy(base + row->pos_at - 1, &(struct conf_pos){ value->line, value->column },
                   sizeof(struct conf_pos));
        ok = conf_value(c, value, row, base + row->offset, err);
    }
    c->path = path.up;
    return ok;
}

enum fill_pass { FILL_ALL, FILL_MERGES, FILL_KEYS };

static bool
struct_pass(struct conf *c, struct conf_node *map, struct struct_target *t, enum fill_pass pass,
            uint64_t *done, struct error *err)
{
    for (size_t i = 0; i < map->kids_nr; i += 2) {
        struct conf_node *key = map->kids[i], *value = map->kids[i + 1];
        bool merge = conf_node_merge(key);
        if (pass != FILL_ALL && merge != (pass == FILL_MERGES))
            continue;
        if (merge ? !conf_merge(c, value, struct_merge, t, err)
                  : !struct_key(c, t->table, t->obj, key, value, done, err))
            return false;
    }
    return true;
}

static bool
struct_fill(struct conf *c, struct conf_node *map, const struct conf_table *table, void *obj,
            struct error *err)
{
    uint64_t done[KEYS_PER_STRUCT / 64] = { 0 };
    struct struct_target t = { table, obj };

    if (!c->v3)
        return struct_pass(c, map, &t, FILL_ALL, done, err);
    return struct_pass(c, map, &t, FILL_MERGES, done, err) &&
           struct_pass(c, map, &t, FILL_KEYS, done, err);
}

static bool
struct_check(struct conf *c, const struct conf_node *map, const struct conf_table *table, void *obj,
             struct error *err)
{
    const struct conf_node *outer = c->map;
    uint32_t line = map->line;

    if (table->line_at != 0)
        memcpy((char *)obj + table->line_at - 1, &line, sizeof line);
    if (table->check == NULL)
        return true;
    c->map = map;
    c->blamed = NULL;
    bool ok = table->check(c, obj, err);
    c->map = outer;
    if (ok)
        return true;
    const struct conf_node *key = c->blamed == NULL ? NULL : map_find(map, c->blamed, true);
    struct conf_path path = { .up = c->path, .key = str_c(c->blamed) };
    if (key != NULL)
        c->path = &path;
    conf_place(c, key != NULL ? key->line : line, err);
    c->path = path.up;
    return false;
}

bool
conf_struct(struct conf *c, struct conf_node *node, const struct conf_table *table, void *obj,
            struct error *err)
{
    if (node->kind != NODE_MAP) {
        conf_mismatch(c, node, table->type, err);
        return conf_place(c, node->line, err);
    }
    return struct_fill(c, node, table, obj, err) && struct_check(c, node, table, obj, err);
}

/* Defaults are read by the same code as values, as unquoted scalars. */
static void
row_default(struct conf *c, const struct conf_row *row, void *value)
{
    struct error err = { 0 };
    struct conf_node node = { .kind = NODE_SCALAR, .plain = true, .value = str_c(row->dflt) };

    if (row->type == CONF_STRUCT || row->type == CONF_INLINE) {
        conf_defaults(c->pool, row->table, value);
        return;
    }
    if (row->dflt == NULL)
        return;
    if (row->type == CONF_STR || row->type == CONF_PATH || row->type == CONF_ENUM ||
        row->type == CONF_URL)
        node.plain = false;
    bool ok = conf_value(c, &node, row, value, &err);
    ASSERT(ok); /* a table with a bad default */
    error_clear(&err);
}

void
conf_defaults(struct conf_pool *pool, const struct conf_table *table, void *obj)
{
    struct conf c = { .pool = pool, .defaults = true };

    memset(obj, 0, table->bytes);
    for (size_t i = 0; i < table->rows_nr; i++)
        row_default(&c, &table->rows[i], (char *)obj + table->rows[i].offset);
    if (table->init != NULL)
        table->init(obj);
}

static bool
load_root(struct conf *c, struct conf_node *node, void *arg, struct error *err)
{
    struct struct_target *t = arg;

    return conf_node_null(node) ? true : conf_struct(c, node, t->table, t->obj, err);
}

static bool
load(struct conf *c, struct str text, const struct conf_table *table, void *obj, struct error *err)
{
    struct conf_node *root;

    conf_defaults(c->pool, table, obj);
    if (!conf_yaml_parse(c->pool, text, &root, err))
        return false;
    return root == NULL ||
           conf_expand(c, root, load_root, &(struct struct_target){ table, obj }, err);
}

bool
conf_load_v3(struct conf_pool *pool, struct str text, const struct conf_table *table, void *obj,
             struct buf *unknown, struct error *err)
{
    struct conf c = { .pool = pool, .v3 = true, .unknown = unknown };

    return load(&c, text, table, obj, err);
}

bool
conf_load(struct conf_pool *pool, struct str text, const struct conf_table *table, void *obj,
          void *arg, struct error *err)
{
    struct conf c = { .pool = pool, .arg = arg };

    return load(&c, text, table, obj, err);
}
