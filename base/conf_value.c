/* One value into one field: what each type of row accepts, which is what Go's yaml.v2 would decode
 * into the same type. */
#include "base/conf_walk.h"

#include <math.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/quote.h"
#include "base/units.h"

enum { SHOWN_BYTES_MAX = 10 };

size_t
conf_row_bytes(const struct conf_row *row)
{
    switch (row->type) {
    case CONF_BOOL:
        return sizeof(bool);
    case CONF_TRI:
    case CONF_ENUM:
        return sizeof(int);
    case CONF_INT:
    case CONF_UINT:
    case CONF_FLOAT:
    case CONF_DURATION:
    case CONF_GO_DURATION:
    case CONF_BYTES:
        return sizeof(int64_t);
    case CONF_STR:
    case CONF_PATH:
    case CONF_SECRET:
        return sizeof(struct str);
    case CONF_REGEX:
    case CONF_STRUCT_PTR:
    case CONF_ANY:
        return sizeof(void *);
    case CONF_URL:
        return sizeof(struct conf_url);
    case CONF_STRUCT:
    case CONF_INLINE:
        return row->table->bytes;
    case CONF_IGNORED:
        return 0;
    default:
        return sizeof(struct conf_any_list);
    }
}

static const char *
node_tag(const struct conf_node *node, enum conf_scalar_kind kind)
{
    return node->kind == NODE_MAP    ? "!!map"
           : node->kind == NODE_LIST ? "!!seq"
                                     : conf_scalar_tag(kind);
}

bool
conf_mismatch(struct conf *c, const struct conf_node *node, const char *into, struct error *err)
{
    struct conf_scalar s = { .kind = SCALAR_STR };

    if (node->kind != NODE_SCALAR)
        return error_set(err, ERR_INVALID, "cannot unmarshal %s into %s", node_tag(node, s.kind),
                         into);
    if (node->plain)
        s = conf_scalar_resolve(node->value);
    if (node->value.n > SHOWN_BYTES_MAX)
        return error_set(err, ERR_INVALID, "cannot unmarshal %s `%.7s...` into %s",
                         node_tag(node, s.kind), node->value.p, into);
    return error_set(err, ERR_INVALID, "cannot unmarshal %s `%.*s` into %s", node_tag(node, s.kind),
                     STR_ARG(node->value), into);
}

static bool
read_bool(struct conf *c, const struct conf_node *node, const struct conf_scalar *s, bool *v,
          struct error *err)
{
    if (s->kind != SCALAR_BOOL)
        return conf_mismatch(c, node, "bool", err);
    *v = s->b;
    return true;
}

/* Go's decoder cuts floats towards zero where an integer is wanted. */
static bool
read_int(struct conf *c, const struct conf_node *node, const struct conf_scalar *s, int64_t *v,
         struct error *err)
{
    if (s->kind == SCALAR_INT)
        *v = s->i;
    else if (s->kind == SCALAR_FLOAT && s->f < 0x1p63 && s->f >= -0x1p63)
        *v = (int64_t)s->f;
    else
        return conf_mismatch(c, node, "int", err);
    return true;
}

static bool
read_uint(struct conf *c, const struct conf_node *node, const struct conf_scalar *s, uint64_t *v,
          struct error *err)
{
    if (s->kind == SCALAR_INT && s->i >= 0)
        *v = (uint64_t)s->i;
    else if (s->kind == SCALAR_UINT)
        *v = s->u;
    else if (s->kind == SCALAR_FLOAT && s->f >= 0 && s->f < 0x1p64)
        *v = (uint64_t)s->f;
    else
        return conf_mismatch(c, node, "uint", err);
    return true;
}

static bool
read_float(struct conf *c, const struct conf_node *node, const struct conf_scalar *s, double *v,
           struct error *err)
{
    if (s->kind == SCALAR_FLOAT)
        *v = s->f;
    else if (s->kind == SCALAR_INT)
        *v = (double)s->i;
    else if (s->kind == SCALAR_UINT)
        *v = (double)s->u;
    else
        return conf_mismatch(c, node, "float64", err);
    return true;
}

static bool
read_regex(struct conf *c, struct str text, struct regex **re, struct error *err)
{
    *re = regex_compile(text, REGEX_ANCHORED, err);
    if (*re == NULL)
        return false;
    conf_pool_own_regex(c->pool, *re);
    return true;
}

static bool
same_nocase(struct str a, struct str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

/* `bad` with %s replaced by the text and %q by the quoted text. */
static bool
enum_refuse(const char *bad, struct str text, struct error *err)
{
    struct buf said = { 0 };

    for (const char *p = bad; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == 's')
            buf_str(&said, text);
        else if (p[0] == '%' && p[1] == 'q')
            quote_go(text, &said);
        else
            buf_byte(&said, (uint8_t)*p);
        p += p[0] == '%' && (p[1] == 's' || p[1] == 'q');
    }
    error_set(err, ERR_INVALID, "%s", buf_z(&said));
    buf_fini(&said);
    return false;
}

static bool
read_enum(const struct conf_row *row, struct str text, int *v, struct error *err)
{
    for (int i = row->flags & CONF_NOT_EMPTY ? 1 : 0; row->names[i] != NULL; i++) {
        struct str name = str_c(row->names[i]);
        if (str_eq(text, name) || (row->flags & CONF_NOCASE && same_nocase(text, name))) {
            *v = i;
            return true;
        }
    }
    return enum_refuse(row->bad, text, err);
}

static bool
check_label_name(const struct conf_row *row, struct str name, struct error *err)
{
    if (!(row->flags & CONF_LABEL_NAME) || (name.n > 0 && str_utf8_valid(name)))
        return true;
    return enum_refuse("%q is not a valid label name", name, err);
}

static bool
read_scalar(struct conf *c, const struct conf_row *row, const struct conf_node *node,
            const struct conf_scalar *s, struct str text, void *value, struct error *err)
{
    bool b = false;

    switch (row->type) {
    case CONF_BOOL:
        return read_bool(c, node, s, value, err);
    case CONF_TRI:
        if (!read_bool(c, node, s, &b, err))
            return false;
        *(int *)value = b ? CONF_YES : CONF_NO;
        return true;
    case CONF_INT:
        return read_int(c, node, s, value, err);
    case CONF_UINT:
        return read_uint(c, node, s, value, err);
    case CONF_FLOAT:
        return read_float(c, node, s, value, err);
    case CONF_DURATION:
        return duration_parse(text, value, err);
    case CONF_GO_DURATION:
        return s->kind == SCALAR_INT ? read_int(c, node, s, value, err)
                                     : duration_go_parse(text, value, err);
    case CONF_BYTES:
        return units_bytes_parse(text, value, err);
    case CONF_STR:
    case CONF_PATH:
        *(struct str *)value = text;
        return true;
    case CONF_SECRET:
        ((struct secret *)value)->hidden = text;
        return true;
    case CONF_REGEX:
        return read_regex(c, text, value, err);
    case CONF_URL:
        return conf_url_parse(text, value, err);
    case CONF_ENUM:
        return read_enum(row, text, value, err);
    default:
        ASSERT(!"a scalar type");
        return false;
    }
}

/* A string, for lists and maps: text gives "", when null. */
static bool
node_text(struct conf *c, const struct conf_node *node, struct str *text, struct error *err)
{
    struct conf_scalar s;

    if (node->kind != NODE_SCALAR)
        return conf_mismatch(c, node, "string", err);
    if (!conf_scalar_of(conf_pool_arena(c->pool), node, &s, text, err))
        return false;
    if (s.kind == SCALAR_NULL)
        *text = STR("");
    return true;
}

struct text_target {
    const struct conf_row *row;
    struct str *text;
};

static bool
text_fill(struct conf *c, struct conf_node *node, void *arg, struct error *err)
{
    struct text_target *t = arg;

    if (!node_text(c, node, t->text, err))
        return conf_place(c, node->line, err);
    if (t->row->type != CONF_MAP && !check_label_name(t->row, *t->text, err))
        return conf_place(c, node->line, err);
    return true;
}

/* Lists of str or secret; a single struct str is what both are. */
static bool
read_strs(struct conf *c, const struct conf_row *row, struct conf_node *node, void *value,
          struct error *err)
{
    struct str *items = ARENA_NEW_ARRAY(conf_pool_arena(c->pool), struct str, node->kids_nr);

    _Static_assert(sizeof(struct secret) == sizeof(struct str),
                   "a secret is a str in another coat");
    if (node->kind != NODE_LIST) {
        conf_mismatch(c, node, "[]string", err);
        return conf_place(c, node->line, err);
    }
    for (size_t i = 0; i < node->kids_nr; i++) {
        struct conf_path path = { .up = c->path, .index = i };
        c->path = &path;
        bool ok =
            conf_expand(c, node->kids[i], text_fill, &(struct text_target){ row, &items[i] }, err);
        c->path = path.up;
        if (!ok)
            return false;
    }
    conf_list_set(value, items, node->kids_nr);
    return true;
}

static bool
read_structs(struct conf *c, const struct conf_row *row, struct conf_node *node, void *value,
             struct error *err)
{
    size_t bytes = row->table->bytes;

    if (node->kind != NODE_LIST) {
        conf_mismatch(c, node, row->table->type, err);
        return conf_place(c, node->line, err);
    }
    char *items = arena_zalloc(conf_pool_arena(c->pool), arena_array_bytes(node->kids_nr, bytes));
    struct conf_row item = { .type = CONF_STRUCT, .table = row->table };
    for (size_t i = 0; i < node->kids_nr; i++) {
        struct conf_node *kid = node->kids[i];
        struct conf_path path = { .up = c->path, .index = i };
        c->path = &path;
        bool ok = true;
        if (conf_node_null(kid) && row->bad != NULL)
            ok = (error_set(err, ERR_INVALID, "%s", row->bad), conf_place(c, kid->line, err));
        if (ok) {
            conf_defaults(c->pool, row->table, items + i * bytes);
            ok = conf_value(c, kid, &item, items + i * bytes, err);
        }
        c->path = path.up;
        if (!ok)
            return false;
    }
    conf_list_set(value, items, node->kids_nr);
    return true;
}

/* A mapping with free keys, collected before it is sorted. Each item starts with struct str name.
 */
struct named {
    const struct conf_row *row;
    char *items;
    size_t item_bytes, nr, cap;
    size_t merged_nr; /* the first ones come from merge keys and give way to written ones */
};

static bool named_fill(struct conf *c, struct conf_node *map, void *arg, struct error *err);

/* The part of an item behind its name. */
static bool
named_value(struct conf *c, struct named *m, struct conf_node *node, char *item, struct error *err)
{
    struct conf_row row = { .flags = m->row->flags & ~(unsigned)CONF_LABEL_NAME };
    struct conf_pair *pair = (struct conf_pair *)(void *)item;

    switch (m->row->type) {
    case CONF_MAP:
        return conf_expand(c, node, text_fill, &(struct text_target){ m->row, &pair->value }, err);
    case CONF_NAMED:
        row.type = CONF_STRUCT;
        row.table = m->row->table;
        struct str name = pair->name;
        conf_defaults(c->pool, row.table, item);
        bool ok = conf_value(c, node, &row, item, err);
        pair->name = name; /* a null value has wiped it out */
        return ok;
    default:
        row.type = CONF_STRS;
        return conf_value(c, node, &row, item + sizeof(struct str), err);
    }
}

static size_t
named_find(const struct named *m, struct str name)
{
    size_t i = 0;

    while (i < m->nr &&
           !str_eq(((struct conf_pair *)(void *)(m->items + i * m->item_bytes))->name, name))
        i++;
    return i;
}

static bool
named_key(struct conf *c, struct named *m, struct conf_node *key, struct conf_node *value,
          struct error *err)
{
    struct arena *arena = conf_pool_arena(c->pool);
    struct str name = STR_NONE;
    const struct conf_row plain = { .type = CONF_STR, .flags = m->row->flags };

    if (!conf_expand(c, key, text_fill, &(struct text_target){ &plain, &name }, err))
        return false;
    struct conf_path path = { .up = c->path, .key = name };
    c->path = &path;
    m->items = arena_grow(arena, m->items, m->nr, m->nr + 1, &m->cap, m->item_bytes);
    char *item = m->items + m->nr * m->item_bytes;
    memset(item, 0, m->item_bytes);
    ((struct conf_pair *)(void *)item)->name = name;
    bool ok = named_value(c, m, value, item, err);
    size_t twin = named_find(m, name);
    if (ok && twin < m->merged_nr) {
        /* v3: what is written takes the place of what was merged. */
        memcpy(m->items + twin * m->item_bytes, item, m->item_bytes);
        c->path = path.up;
        return true;
    }
    if (ok && twin < m->nr) {
        enum_refuse("key %q already set in map", name, err);
        ok = conf_place(c, value->line, err);
    }
    m->nr += ok;
    c->path = path.up;
    return ok;
}

static bool
named_merged(struct conf *c, struct conf_node *map, void *arg, struct error *err)
{
    struct named *m = arg;
    bool ok = named_fill(c, map, arg, err);

    if (c->v3)
        m->merged_nr = m->nr;
    return ok;
}

/* v3 looks at all merge keys first. */
static bool
named_fill(struct conf *c, struct conf_node *map, void *arg, struct error *err)
{
    for (int pass = c->v3 ? 0 : 1; pass < 2; pass++)
        for (size_t i = 0; i < map->kids_nr; i += 2) {
            struct conf_node *key = map->kids[i], *value = map->kids[i + 1];
            bool merge = conf_node_merge(key);
            if (c->v3 && merge != (pass == 0))
                continue;
            if (merge ? !conf_merge(c, value, named_merged, arg, err)
                      : !named_key(c, arg, key, value, err))
                return false;
        }
    return true;
}

static int
name_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct conf_pair *)a)->name, ((const struct conf_pair *)b)->name);
}

static bool
read_named(struct conf *c, const struct conf_row *row, struct conf_node *node, void *value,
           struct error *err)
{
    struct named m = { .row = row, .item_bytes = sizeof(struct conf_pair) };

    if (row->type == CONF_NAMED)
        m.item_bytes = row->table->bytes;
    else if (row->type != CONF_MAP)
        m.item_bytes = sizeof(struct conf_multi);
    if (node->kind != NODE_MAP) {
        conf_mismatch(c, node, "map[string]string", err);
        return conf_place(c, node->line, err);
    }
    if (!named_fill(c, node, &m, err))
        return false;
    if (m.nr > 1)
        qsort(m.items, m.nr, m.item_bytes, name_cmp);
    conf_list_set(value, m.items, m.nr);
    return true;
}

struct value_target {
    const struct conf_row *row;
    void *value;
};

static bool
read_block(struct conf *c, const struct conf_row *row, struct conf_node *node, void *value,
           struct error *err)
{
    if (row->type == CONF_STRUCT_PTR) {
        void *obj;
        memcpy(&obj, value, sizeof obj);
        if (obj == NULL) {
            obj = arena_alloc(conf_pool_arena(c->pool), row->table->bytes);
            conf_defaults(c->pool, row->table, obj);
            memcpy(value, &obj, sizeof obj);
        }
        return conf_struct(c, node, row->table, obj, err);
    }
    if (row->flags & CONF_CLEAN)
        memset(value, 0, row->table->bytes);
    return conf_struct(c, node, row->table, value, err);
}

static bool
read_one(struct conf *c, const struct conf_row *row, struct conf_node *node, void *value,
         struct error *err)
{
    struct conf_scalar s;
    struct str text;

    if (node->kind != NODE_SCALAR) {
        conf_mismatch(c, node, row->type == CONF_BOOL ? "bool" : "string", err);
        return conf_place(c, node->line, err);
    }
    if (!conf_scalar_of(conf_pool_arena(c->pool), node, &s, &text, err) ||
        !read_scalar(c, row, node, &s, text, value, err))
        return conf_place(c, node->line, err);
    return true;
}

static bool any_fill(struct conf *c, struct conf_node *node, void *arg, struct error *err);

static struct conf_node *
any_copy(struct conf *c, const struct conf_node *node)
{
    struct arena *arena = conf_pool_arena(c->pool);
    struct conf_node *copy = ARENA_NEW(arena, struct conf_node);

    *copy = *node;
    copy->kids = ARENA_NEW_ARRAY(arena, struct conf_node *, node->kids_nr);
    copy->kids_nr = 0;
    return copy;
}

/* Puts a pair where it belongs in the order of writing; the same key twice is an error. */
static bool
any_insert(struct conf *c, struct conf_node *map, struct conf_node *key, struct conf_node *value,
           struct error *err)
{
    size_t at = map->kids_nr;

    for (; at > 0; at -= 2) {
        int cmp = conf_key_cmp(map->kids[at - 2]->value, key->value);
        if (cmp == 0) {
            enum_refuse("key %q already set in map", key->value, err);
            return conf_place(c, value->line, err);
        }
        if (cmp < 0)
            break;
        map->kids[at] = map->kids[at - 2];
        map->kids[at + 1] = map->kids[at - 1];
    }
    map->kids[at] = key;
    map->kids[at + 1] = value;
    map->kids_nr += 2;
    return true;
}

/* A tree of its own without aliases, counted like every other expansion: what is written back must
 * not grow beyond it. */
static bool
any_fill(struct conf *c, struct conf_node *node, void *arg, struct error *err)
{
    struct conf_node *copy = any_copy(c, node);

    memcpy(arg, &copy, sizeof copy);
    for (size_t i = 0; i < node->kids_nr; i++) {
        struct conf_node *kid = NULL, *value = NULL;
        if (!conf_expand(c, node->kids[i], any_fill, &kid, err))
            return false;
        if (node->kind == NODE_LIST) {
            copy->kids[copy->kids_nr++] = kid;
            continue;
        }
        if (kid->kind != NODE_SCALAR) {
            error_set(err, ERR_INVALID, "a key must be text");
            return conf_place(c, kid->line, err);
        }
        if (!conf_expand(c, node->kids[++i], any_fill, &value, err) ||
            !any_insert(c, copy, kid, value, err))
            return false;
    }
    return true;
}

static bool
value_fill(struct conf *c, struct conf_node *node, void *arg, struct error *err)
{
    struct value_target *t = arg;
    const struct conf_row *row = t->row;
    bool ok;

    if (conf_node_null(node)) {
        memset(t->value, 0, conf_row_bytes(row));
        return true;
    }
    switch (row->type) {
    case CONF_STRS:
    case CONF_PATHS:
    case CONF_SECRETS:
        ok = read_strs(c, row, node, t->value, err);
        break;
    case CONF_MAP:
    case CONF_MULTIMAP:
    case CONF_NAMED:
    case CONF_NAMED_SECRETS:
        ok = read_named(c, row, node, t->value, err);
        break;
    case CONF_STRUCTS:
        ok = read_structs(c, row, node, t->value, err);
        break;
    case CONF_STRUCT:
    case CONF_STRUCT_PTR:
        ok = read_block(c, row, node, t->value, err);
        break;
    case CONF_ANY:
        ok = any_fill(c, node, t->value, err);
        break;
    case CONF_IGNORED:
        return true;
    default:
        ok = read_one(c, row, node, t->value, err);
    }
    if (ok && row->check != NULL && !c->defaults && !row->check(c, t->value, err))
        ok = conf_place(c, node->line, err);
    return ok;
}

bool
conf_value(struct conf *c, struct conf_node *node, const struct conf_row *row, void *value,
           struct error *err)
{
    return conf_expand(c, node, value_fill, &(struct value_target){ row, value }, err);
}
