#include "model/relabel_config.h"

#include "base/quote.h"

/* In the order of enum relabel_action. */
static const char *const actions[] = {
    "replace",   "keep",      "drop",      "hashmod",   "labelmap",  "labeldrop",
    "labelkeep", "lowercase", "uppercase", "keepequal", "dropequal", NULL,
};

#define AT(field_) .offset = offsetof(struct relabel_config, field_)

static const struct conf_row rows[] = {
    { .key = "source_labels",
      .type = CONF_STRS,
      .flags = CONF_OMITEMPTY | CONF_FLOW | CONF_LABEL_NAME,
      AT(source_labels) },
    { .key = "separator", .type = CONF_STR, AT(separator), .dflt = ";" },
    { .key = "regex", .type = CONF_REGEX, .flags = CONF_OMITEMPTY, AT(regex) },
    { .key = "modulus", .type = CONF_UINT, .flags = CONF_OMITEMPTY, AT(modulus) },
    { .key = "target_label", .type = CONF_STR, .flags = CONF_OMITEMPTY, AT(target_label) },
    { .key = "replacement", .type = CONF_STR, AT(replacement), .dflt = "$1" },
    { .key = "action",
      .type = CONF_ENUM,
      .flags = CONF_NOCASE,
      AT(action),
      .dflt = "replace",
      .names = actions,
      .bad = "unknown relabel action %q" },
};

/* A regex that is there but null is the empty expression, not the default. */
static bool
relabel_read(struct conf *c, void *obj, struct error *err)
{
    struct relabel_config *r = obj;

    if (r->regex != NULL || !conf_has(c, "regex"))
        return true;
    r->regex = regex_compile(STR(""), REGEX_ANCHORED, err);
    if (r->regex == NULL)
        return false;
    conf_pool_own_regex(conf_pool_of(c), r->regex);
    return true;
}

const struct conf_table relabel_config_table = {
    .type = "relabel.plain",
    .bytes = sizeof(struct relabel_config),
    CONF_ROWS(rows),
    .check = relabel_read,
    .line_at = CONF_LINE_AT(struct relabel_config, line),
};

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Length of a variable at the front: $name or ${name}; 0 when there is none. */
static size_t
variable_n(struct str s)
{
    size_t n = 1;

    if (s.n < 2 || s.p[0] != '$')
        return 0;
    bool braces = s.p[1] == '{';
    n += braces;
    size_t start = n;
    while (n < s.n && is_word(s.p[n]))
        n++;
    if (n == start || (braces && (n == s.n || s.p[n] != '}')))
        return 0;
    return n + braces;
}

static bool
has_variable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (variable_n(str_skip(s, i)) > 0)
            return true;
    return false;
}

/* A legacy name in which variables may stand for any part: ((letter|variable)+ word*)+. */
static bool
template_legacy(struct str s)
{
    if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9'))
        return false;
    while (s.n > 0) {
        size_t n = variable_n(s);
        if (n == 0 && !is_word(s.p[0]))
            return false;
        s = str_skip(s, n == 0 ? 1 : n);
    }
    return true;
}

static bool
name_ok(struct str name, enum name_scheme scheme)
{
    return scheme == NAME_SCHEME_LEGACY ? label_name_legacy(name) : label_name_valid(name);
}

static bool
template_ok(struct str name, enum name_scheme scheme)
{
    return scheme == NAME_SCHEME_LEGACY ? template_legacy(name) : label_name_valid(name);
}

static bool
refuse_field(const struct relabel_config *r, const char *field, struct str value, struct error *err)
{
    struct buf quoted = { 0 };

    quote_go(value, &quoted);
    error_set(err, ERR_INVALID, "%s is invalid '%s' for %s action", buf_z(&quoted), field,
              actions[r->action]);
    buf_fini(&quoted);
    return false;
}

static bool
is_one_of(const struct relabel_config *r, unsigned actions_set)
{
    return actions_set >> r->action & 1;
}

#define A(name) (1u << RELABEL_##name)

static bool
check_needed(const struct relabel_config *r, struct error *err)
{
    const unsigned targeted =
        A(REPLACE) | A(HASHMOD) | A(LOWERCASE) | A(UPPERCASE) | A(KEEPEQUAL) | A(DROPEQUAL);

    if (r->modulus == 0 && r->action == RELABEL_HASHMOD)
        return error_set(err, ERR_INVALID,
                         "relabel configuration for hashmod requires non-zero modulus");
    if (is_one_of(r, targeted) && r->target_label.n == 0)
        return error_set(err, ERR_INVALID,
                         "relabel configuration for %s action requires 'target_label' value",
                         actions[r->action]);
    return true;
}

static bool
check_names(const struct relabel_config *r, enum name_scheme scheme, struct error *err)
{
    const unsigned fixed = A(LOWERCASE) | A(UPPERCASE) | A(KEEPEQUAL) | A(DROPEQUAL);
    bool template = has_variable(r->target_label);

    if (r->action == RELABEL_REPLACE &&
        !(template ? template_ok(r->target_label, scheme) : name_ok(r->target_label, scheme)))
        return refuse_field(r, "target_label", r->target_label, err);
    if (is_one_of(r, fixed) && !name_ok(r->target_label, scheme))
        return refuse_field(r, "target_label", r->target_label, err);
    if (is_one_of(r, fixed) && !str_is(r->replacement, "$1"))
        return error_set(err, ERR_INVALID, "'replacement' can not be set for %s action",
                         actions[r->action]);
    if (r->action == RELABEL_LABELMAP && !template_ok(r->replacement, scheme))
        return refuse_field(r, "replacement", r->replacement, err);
    if (r->action == RELABEL_HASHMOD && !name_ok(r->target_label, scheme))
        return refuse_field(r, "target_label", r->target_label, err);
    return true;
}

/* Fields that an action does not look at must be left alone. */
static bool
check_unused(const struct relabel_config *r, struct error *err)
{
    bool plain = r->modulus == 0 && str_is(r->separator, ";") && str_is(r->replacement, "$1");

    if (is_one_of(r, A(DROPEQUAL) | A(KEEPEQUAL)) && (r->regex != NULL || !plain))
        return error_set(
            err, ERR_INVALID,
            "%s action requires only 'source_labels' and `target_label`, and no other fields",
            actions[r->action]);
    if (is_one_of(r, A(LABELDROP) | A(LABELKEEP)) &&
        (r->source_labels.given || r->target_label.n > 0 || !plain))
        return error_set(err, ERR_INVALID, "%s action requires only 'regex', and no other fields",
                         actions[r->action]);
    return true;
}

static void
rule_fill(struct relabel_rule *rule, const struct relabel_config *r, const struct regex *all,
          enum name_scheme scheme)
{
    *rule = (struct relabel_rule){
        .action = (enum relabel_action)r->action,
        .source_labels = r->source_labels.items,
        .source_labels_nr = r->source_labels.nr,
        .separator = r->separator,
        .re = r->regex != NULL ? r->regex : all,
        .modulus = r->modulus,
        .target_label = r->target_label,
        .replacement = r->replacement,
        .legacy_names = scheme == NAME_SCHEME_LEGACY,
    };
}

bool
relabel_list_check(struct conf_pool *pool, struct relabel_list *list, enum name_scheme scheme,
                   struct error *err)
{
    if (list->nr == 0)
        return true;
    struct regex *all = regex_compile(STR("(.*)"), REGEX_ANCHORED, err);
    if (all == NULL)
        return false;
    conf_pool_own_regex(pool, all);
    list->rules = ARENA_NEW_ARRAY(conf_pool_arena(pool), struct relabel_rule, list->nr);
    for (size_t i = 0; i < list->nr; i++) {
        const struct relabel_config *r = &list->items[i];
        if (!check_needed(r, err) || !check_names(r, scheme, err) || !check_unused(r, err))
            return error_wrap(err, "line %u", r->line);
        rule_fill(&list->rules[i], r, all, scheme);
    }
    return true;
}
