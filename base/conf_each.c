/* Walks over loaded structs: paths made relative to their file, and the keys that have no effect
 * yet. */
#include "base/conf_priv.h"

#include "base/mem.h"

struct relocation {
    struct conf_pool *pool;
    struct str dir;
};

static void relocate_table(const struct relocation *r, const struct conf_table *table, void *obj);

static void
relocate_value(const struct relocation *r, const struct conf_row *row, void *value)
{
    struct conf_any_list list;

    switch (row->type) {
    case CONF_PATH:
        *(struct str *)value = conf_join_dir(r->pool, r->dir, *(struct str *)value);
        break;
    case CONF_PATHS:
        list = conf_list_get(value);
        for (size_t i = 0; i < list.nr; i++)
            ((struct str *)list.items)[i] =
                conf_join_dir(r->pool, r->dir, ((struct str *)list.items)[i]);
        break;
    case CONF_STRUCT:
    case CONF_INLINE:
        relocate_table(r, row->table, value);
        break;
    case CONF_STRUCT_PTR:
        memcpy(&list.items, value, sizeof list.items);
        if (list.items != NULL)
            relocate_table(r, row->table, list.items);
        break;
    case CONF_STRUCTS:
    case CONF_NAMED:
        list = conf_list_get(value);
        for (size_t i = 0; i < list.nr; i++)
            relocate_table(r, row->table, (char *)list.items + i * row->table->bytes);
        break;
    default:
        break;
    }
}

static void
relocate_table(const struct relocation *r, const struct conf_table *table, void *obj)
{
    for (size_t i = 0; i < table->rows_nr; i++)
        relocate_value(r, &table->rows[i], (char *)obj + table->rows[i].offset);
}

void
conf_relocate(struct conf_pool *pool, const struct conf_table *table, void *obj, struct str dir)
{
    relocate_table(&(struct relocation){ pool, dir }, table, obj);
}

struct unbuilt {
    struct buf path;
    void (*fn)(void *arg, const char *path);
    void *arg;
};

static void unbuilt_table(struct unbuilt *u, const struct conf_table *table, const void *obj);

static void
unbuilt_list(struct unbuilt *u, const struct conf_row *row, const void *value)
{
    struct conf_any_list list = conf_list_get(value);
    size_t keep = u->path.n;

    for (size_t i = 0; i < list.nr; i++) {
        buf_printf(&u->path, "[%zu]", i);
        unbuilt_table(u, row->table, (const char *)list.items + i * row->table->bytes);
        u->path.n = keep;
    }
}

static void
unbuilt_row(struct unbuilt *u, const struct conf_row *row, const void *value)
{
    size_t keep = u->path.n;
    const void *inner = value;

    if (row->type == CONF_INLINE) {
        unbuilt_table(u, row->table, value);
        return;
    }
    if (conf_row_zero(row, value))
        return;
    buf_printf(&u->path, keep == 0 ? "%s" : ".%s", row->key);
    if (row->type == CONF_STRUCT_PTR)
        memcpy(&inner, value, sizeof inner);
    if (row->flags & CONF_UNBUILT)
        u->fn(u->arg, buf_z(&u->path));
    else if (row->type == CONF_STRUCT || row->type == CONF_STRUCT_PTR)
        unbuilt_table(u, row->table, inner);
    else if (row->type == CONF_STRUCTS)
        unbuilt_list(u, row, value);
    u->path.n = keep;
}

static void
unbuilt_table(struct unbuilt *u, const struct conf_table *table, const void *obj)
{
    for (size_t i = 0; i < table->rows_nr; i++)
        unbuilt_row(u, &table->rows[i], (const char *)obj + table->rows[i].offset);
}

void
conf_unbuilt_each(const struct conf_table *table, const void *obj,
                  void (*fn)(void *arg, const char *path), void *arg)
{
    struct unbuilt u = { .fn = fn, .arg = arg };

    unbuilt_table(&u, table, obj);
    buf_fini(&u.path);
}
