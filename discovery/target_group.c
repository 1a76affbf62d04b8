/* Target groups: immutable, counted; and the documents that file_sd and http_sd read them from.
 *
 * JSON goes through jansson, YAML through the parser of base/conf. Both accept exactly two keys per
 * group; anything else, a null group or a malformed name refuses the whole document. */
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>
#include "base/conf_priv.h"
#include "base/mem.h"
#include "base/quote.h"
#include "discovery/mechanism.h"

struct counted_group {
    struct target_group group;
    _Atomic unsigned refs;
    struct arena arena;
};

struct target_group *
target_group_new(struct str source, struct labels labels, const struct str *addresses,
                 size_t addresses_nr)
{
    struct counted_group *g = MEM_NEW(struct counted_group);
    struct labels *targets;

    atomic_init(&g->refs, 1);
    arena_init(&g->arena, SIZE_MAX);
    g->group.source = arena_str(&g->arena, source);
    g->group.labels = labels_copy(&g->arena, labels);
    targets = ARENA_NEW_ARRAY(&g->arena, struct labels, addresses_nr);
    for (size_t i = 0; i < addresses_nr; i++) {
        struct label *l = ARENA_NEW(&g->arena, struct label);

        *l = (struct label){ STR("__address__"), arena_str(&g->arena, addresses[i]) };
        targets[i] = (struct labels){ l, addresses[i].n != 0 };
    }
    g->group.targets = targets;
    g->group.targets_nr = addresses_nr;
    return &g->group;
}

struct target_group *
target_group_ref(struct target_group *g)
{
    atomic_fetch_add(&CONTAINER_OF(g, struct counted_group, group)->refs, 1);
    return g;
}

void
target_group_unref(struct target_group *group)
{
    struct counted_group *g;

    if (group == NULL)
        return;
    g = CONTAINER_OF(group, struct counted_group, group);
    if (atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    arena_fini(&g->arena);
    free(g);
}

/* ---- documents */

/* One group being read. */
struct draft {
    struct labels_builder labels;
    struct str *addresses;
    size_t addresses_nr, addresses_cap;
};

static bool
add_address(struct draft *d, struct str s)
{
    MEM_GROW(d->addresses, d->addresses_nr + 1, &d->addresses_cap);
    d->addresses[d->addresses_nr++] = s;
    return true;
}

static bool
add_label(struct draft *d, struct str name, struct str value, struct error *err)
{
    struct buf quoted = { 0 };

    if (label_name_valid(name)) {
        labels_builder_set(&d->labels, name, value);
        return true;
    }
    quote_go(name, &quoted);
    error_set(err, ERR_INVALID, "%s is not a valid label name", buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

/* The draft becomes a group; the builder and the list of addresses are used again. */
static struct target_group *
finish(struct draft *d, struct str name, struct str extra, size_t index)
{
    struct buf source = { 0 };
    struct target_group *g;

    buf_str(&source, name);
    buf_printf(&source, ":%zu", index);
    labels_builder_set(&d->labels, extra, name);
    g = target_group_new(buf_as_str(&source), labels_builder_view(&d->labels), d->addresses,
                         d->addresses_nr);
    buf_fini(&source);
    return g;
}

static struct str
json_text(json_t *v)
{
    return (struct str){ json_string_value(v), json_string_length(v) };
}

static bool
json_targets(struct draft *d, json_t *list, struct error *err)
{
    json_t *item;
    size_t i;

    if (json_is_null(list))
        return true;
    if (!json_is_array(list))
        return error_set(err, ERR_INVALID, "targets: expected a list of strings");
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item) && !json_is_null(item))
            return error_set(err, ERR_INVALID, "targets[%zu]: expected a string", i);
        add_address(d, json_is_null(item) ? STR("") : json_text(item));
    }
    return true;
}

static bool
json_labels(struct draft *d, json_t *map, struct error *err)
{
    const char *key;
    json_t *value;

    if (json_is_null(map))
        return true;
    if (!json_is_object(map))
        return error_set(err, ERR_INVALID, "labels: expected an object of strings");
    json_object_foreach(map, key, value)
    {
        if (!json_is_string(value))
            return error_set(err, ERR_INVALID, "labels.%s: expected a string", key);
        if (!add_label(d, str_c(key), json_text(value), err))
            return false;
    }
    return true;
}

static bool
json_group(struct draft *d, json_t *group, struct error *err)
{
    const char *key;
    json_t *value;

    if (json_is_null(group))
        return error_set(err, ERR_INVALID, "nil target group item found");
    if (!json_is_object(group))
        return error_set(err, ERR_INVALID, "expected an object with targets and labels");
    json_object_foreach(group, key, value)
    {
        bool ok;

        if (strcasecmp(key, "targets") == 0)
            ok = json_targets(d, value, err);
        else if (strcasecmp(key, "labels") == 0)
            ok = json_labels(d, value, err);
        else
            ok = error_set(err, ERR_INVALID, "json: unknown field \"%s\"", key);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- YAML */

static const struct conf_node *
yaml_value(const struct conf_node *n)
{
    return n->kind == NODE_ALIAS ? n->target : n;
}

static bool
yaml_text(struct arena *arena, const struct conf_node *n, struct str *text, struct error *err)
{
    struct conf_scalar s;

    n = yaml_value(n);
    if (n->kind != NODE_SCALAR)
        return error_set(err, ERR_INVALID, "line %u: expected a string", n->line);
    if (!conf_scalar_of(arena, n, &s, text, err))
        return false;
    if (s.kind == SCALAR_NULL)
        *text = STR("");
    return true;
}

static bool
yaml_targets(struct draft *d, struct arena *arena, const struct conf_node *list, struct error *err)
{
    struct str s;

    if (conf_node_null(list))
        return true;
    if (list->kind != NODE_LIST)
        return error_set(err, ERR_INVALID, "line %u: targets: expected a list of strings",
                         list->line);
    for (size_t i = 0; i < list->kids_nr; i++)
        if (!yaml_text(arena, list->kids[i], &s, err) || !add_address(d, s))
            return false;
    return true;
}

static bool
yaml_labels(struct draft *d, struct arena *arena, const struct conf_node *map, struct error *err)
{
    struct str name, value;

    if (conf_node_null(map))
        return true;
    if (map->kind != NODE_MAP)
        return error_set(err, ERR_INVALID, "line %u: labels: expected a mapping of strings",
                         map->line);
    for (size_t i = 0; i + 1 < map->kids_nr; i += 2) {
        if (!yaml_text(arena, map->kids[i], &name, err) ||
            !yaml_text(arena, map->kids[i + 1], &value, err))
            return false;
        for (size_t j = 0; j < d->labels.nr; j++)
            if (str_eq(d->labels.v[j].name, name))
                return error_set(err, ERR_INVALID, "line %u: key \"%.*s\" already set in map",
                                 map->kids[i]->line, STR_ARG(name));
        if (!add_label(d, name, value, err))
            return false;
    }
    return true;
}

static bool
yaml_group(struct draft *d, struct arena *arena, const struct conf_node *group, struct error *err)
{
    struct str key;

    group = yaml_value(group);
    if (conf_node_null(group))
        return error_set(err, ERR_INVALID, "nil target group item found");
    if (group->kind != NODE_MAP)
        return error_set(err, ERR_INVALID, "line %u: expected a mapping with targets and labels",
                         group->line);
    for (size_t i = 0; i + 1 < group->kids_nr; i += 2) {
        const struct conf_node *value = yaml_value(group->kids[i + 1]);
        bool ok;

        if (!yaml_text(arena, group->kids[i], &key, err))
            return false;
        if (str_is(key, "targets"))
            ok = yaml_targets(d, arena, value, err);
        else if (str_is(key, "labels"))
            ok = yaml_labels(d, arena, value, err);
        else
            ok = error_set(err, ERR_INVALID, "line %u: field %.*s not found in type struct",
                           group->kids[i]->line, STR_ARG(key));
        if (!ok)
            return false;
    }
    return true;
}

/* ---- either */

struct document {
    json_t *json;
    struct conf_pool *pool;
    struct conf_node *yaml;
    size_t nr;
};

static bool
document_open(struct document *doc, enum group_format format, struct str text, struct error *err)
{
    json_error_t why;

    *doc = (struct document){ 0 };
    if (text.n > GROUPS_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "target groups have more than %u bytes", GROUPS_BYTES_MAX);
    if (format == GROUPS_JSON) {
        doc->json = json_loadb(text.p == NULL ? "" : text.p, text.n,
                               JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
        if (doc->json == NULL)
            return error_set(err, ERR_INVALID, "line %d: %s", why.line, why.text);
        if (!json_is_array(doc->json) && !json_is_null(doc->json))
            return error_set(err, ERR_INVALID, "expected a list of target groups");
        doc->nr = json_array_size(doc->json);
        return true;
    }
    doc->pool = conf_pool_new();
    if (!conf_yaml_parse(doc->pool, text, &doc->yaml, err))
        return false;
    if (doc->yaml == NULL || conf_node_null(doc->yaml))
        return true;
    if (doc->yaml->kind != NODE_LIST)
        return error_set(err, ERR_INVALID, "line %u: expected a list of target groups",
                         doc->yaml->line);
    doc->nr = doc->yaml->kids_nr;
    return true;
}

static bool
document_group(const struct document *doc, size_t i, struct draft *d, struct error *err)
{
    labels_builder_reset(&d->labels, LABELS_NONE);
    d->addresses_nr = 0;
    if (doc->json != NULL)
        return json_group(d, json_array_get(doc->json, i), err);
    return yaml_group(d, conf_pool_arena(doc->pool), doc->yaml->kids[i], err);
}

bool
target_groups_parse(enum group_format format, struct str text, struct str name, struct str extra,
                    struct target_group ***groups, size_t *groups_nr, struct error *err)
{
    struct document doc;
    struct draft d = { 0 };
    struct target_group **list = NULL;
    size_t nr = 0;
    bool ok = document_open(&doc, format, text, err);

    labels_builder_init(&d.labels);
    if (ok)
        list = MEM_NEW_ARRAY(struct target_group *, doc.nr + 1);
    for (size_t i = 0; ok && i < doc.nr; i++) {
        ok = document_group(&doc, i, &d, err);
        if (ok)
            list[nr++] = finish(&d, name, extra, i);
    }
    if (ok) {
        *groups = list;
        *groups_nr = nr;
    } else {
        while (nr > 0)
            target_group_unref(list[--nr]);
        free(list);
    }
    free(d.addresses);
    labels_builder_fini(&d.labels);
    json_decref(doc.json);
    conf_pool_unref(doc.pool);
    return ok;
}
