/* From libyaml's events to a tree of nodes, for the first document of a text.
 *
 * Bounds, so that a hostile file fails instead of growing: bytes and nodes before allocation,
 * nesting while descending. Aliases are kept as references here; expanding them is counted by the
 * walk (conf.c). */
#include "base/conf_priv.h"

#include <yaml.h>

#include "base/mem.h"

#define NODES_MAX (4u << 20)

struct anchor {
    struct str name;
    struct conf_node *node;
};

struct loader {
    struct arena *arena;
    yaml_parser_t parser;
    yaml_event_t event;
    size_t nodes_nr;
    struct anchor *anchors; /* the newest of a name counts */
    size_t anchors_nr, anchors_cap;
};

static bool
loader_fail(struct loader *l, struct error *err)
{
    const yaml_parser_t *p = &l->parser;
    size_t line = p->problem_mark.line != 0 ? p->problem_mark.line : p->context_mark.line;

    return error_set(err, ERR_INVALID, "line %zu: yaml: %s", line + 1,
                     p->problem != NULL ? p->problem : "malformed text");
}

static bool
loader_next(struct loader *l, struct error *err)
{
    yaml_event_delete(&l->event);
    return yaml_parser_parse(&l->parser, &l->event) ? true : loader_fail(l, err);
}

static struct str
loader_str(struct loader *l, const yaml_char_t *p, size_t n)
{
    return p == NULL ? STR_NONE : arena_str(l->arena, (struct str){ (const char *)p, n });
}

static struct str
loader_z(struct loader *l, const yaml_char_t *z)
{
    return loader_str(l, z, z == NULL ? 0 : strlen((const char *)z));
}

static struct conf_node *
loader_node(struct loader *l, enum conf_node_kind kind, const yaml_char_t *tag)
{
    struct conf_node *node = ARENA_NEW(l->arena, struct conf_node);

    l->nodes_nr++;
    node->kind = kind;
    node->line = (uint32_t)l->event.start_mark.line + 1;
    node->column = (uint32_t)l->event.start_mark.column + 1;
    node->tag = loader_z(l, tag);
    return node;
}

static void
loader_anchor(struct loader *l, const yaml_char_t *name, struct conf_node *node)
{
    if (name == NULL)
        return;
    ARENA_GROW(l->arena, l->anchors, l->anchors_nr, l->anchors_nr + 1, &l->anchors_cap);
    l->anchors[l->anchors_nr++] = (struct anchor){ loader_z(l, name), node };
}

static bool
loader_alias(struct loader *l, struct conf_node *node, struct error *err)
{
    node->value = loader_z(l, l->event.data.alias.anchor);
    for (size_t i = l->anchors_nr; i-- > 0 && node->target == NULL;)
        if (str_eq(l->anchors[i].name, node->value))
            node->target = l->anchors[i].node;
    if (node->target == NULL)
        return error_set(err, ERR_INVALID, "line %u: yaml: unknown anchor '%.*s' referenced",
                         node->line, STR_ARG(node->value));
    return true;
}

static bool
loader_value(struct loader *l, unsigned depth, struct conf_node **node, struct error *err);

/* The children of a map or list up to its end event. */
static bool
loader_kids(struct loader *l, unsigned depth, yaml_event_type_t end, struct conf_node *node,
            struct error *err)
{
    size_t cap = 0;

    for (;;) {
        if (!loader_next(l, err))
            return false;
        if (l->event.type == end)
            return true;
        ARENA_GROW(l->arena, node->kids, node->kids_nr, node->kids_nr + 1, &cap);
        if (!loader_value(l, depth + 1, &node->kids[node->kids_nr], err))
            return false;
        node->kids_nr++;
    }
}

static bool
loader_value(struct loader *l, unsigned depth, struct conf_node **out, struct error *err)
{
    uint32_t line = (uint32_t)l->event.start_mark.line + 1;
    struct conf_node *node;

    if (depth > CONF_DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "line %u: nested deeper than %d levels", line,
                         CONF_DEPTH_MAX);
    if (l->nodes_nr >= NODES_MAX)
        return error_set(err, ERR_LIMIT, "line %u: more than %u values", line, NODES_MAX);
    switch (l->event.type) {
    case YAML_SCALAR_EVENT:
        node = *out = loader_node(l, NODE_SCALAR, l->event.data.scalar.tag);
        node->plain = l->event.data.scalar.plain_implicit;
        node->value = loader_str(l, l->event.data.scalar.value, l->event.data.scalar.length);
        loader_anchor(l, l->event.data.scalar.anchor, node);
        return true;
    case YAML_ALIAS_EVENT:
        node = *out = loader_node(l, NODE_ALIAS, NULL);
        return loader_alias(l, node, err);
    case YAML_MAPPING_START_EVENT:
        node = *out = loader_node(l, NODE_MAP, l->event.data.mapping_start.tag);
        loader_anchor(l, l->event.data.mapping_start.anchor, node);
        return loader_kids(l, depth, YAML_MAPPING_END_EVENT, node, err);
    case YAML_SEQUENCE_START_EVENT:
        node = *out = loader_node(l, NODE_LIST, l->event.data.sequence_start.tag);
        loader_anchor(l, l->event.data.sequence_start.anchor, node);
        return loader_kids(l, depth, YAML_SEQUENCE_END_EVENT, node, err);
    default:
        return error_set(err, ERR_INVALID, "line %u: yaml: value expected", line);
    }
}

static bool
loader_document(struct loader *l, struct conf_node **root, struct error *err)
{
    if (!loader_next(l, err) || !loader_next(l, err)) /* stream, then document */
        return false;
    if (l->event.type == YAML_STREAM_END_EVENT)
        return true;
    /* The end of the document is read too: what follows the value on its line must be well-formed.
     */
    return loader_next(l, err) && loader_value(l, 0, root, err) && loader_next(l, err);
}

bool
conf_yaml_parse(struct conf_pool *pool, struct str text, struct conf_node **root, struct error *err)
{
    struct loader l = { .arena = conf_pool_arena(pool) };

    *root = NULL;
    if (text.n > CONF_FILE_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "%zu bytes, more than %u", text.n, CONF_FILE_BYTES_MAX);
    if (!yaml_parser_initialize(&l.parser))
        mem_exhausted(0);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)(text.n == 0 ? "" : text.p),
                                 text.n);
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    bool ok = loader_document(&l, root, err);
    yaml_event_delete(&l.event);
    yaml_parser_delete(&l.parser);
    return ok;
}
