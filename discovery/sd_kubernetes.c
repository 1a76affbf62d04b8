/* kubernetes_sd_configs, with the check of field and label selectors that the API server would
 * otherwise refuse. */
#include "discovery/sd_configs.h"

#define S struct kubernetes_selector
static const struct conf_row selector_rows[] = {
    OMIT("role", CONF_STR, role, NULL),
    OMIT("label", CONF_STR, label, NULL),
    OMIT("field", CONF_STR, field, NULL),
};
#undef S

/* Which selectors a role may have; the first names of each row are what the error lists. */
static const struct {
    const char *role, *selectors[3], *shown;
} roles[] = {
    { "pod", { "pod", "node" }, "pod, node" },
    { "service", { "service" }, "service" },
    { "endpointslice", { "pod", "service", "endpointslice" }, "pod, service, endpointslice" },
    { "endpoints", { "pod", "service", "endpoints" }, "pod, service, endpoints" },
    { "node", { "node" }, "node" },
    { "ingress", { "ingress" }, "ingress" },
};

static size_t
role_index(struct str role)
{
    size_t i = 0;

    while (i < ARRAY_LEN(roles) && !str_is(role, roles[i].role))
        i++;
    return i;
}

static bool
check_role(struct conf *c, struct str role, struct error *err)
{
    if (role.n == 0 || role_index(role) < ARRAY_LEN(roles))
        return true;
    conf_blame(c, "role");
    return sd_refuse_quoted(err, "unknown Kubernetes SD role ", role, "");
}

static bool
selector_check(struct conf *c, void *obj, struct error *err)
{
    return check_role(c, ((const struct kubernetes_selector *)obj)->role, err);
}

static const struct conf_table selector_table = {
    .type = "kubernetes.SelectorConfig",
    .bytes = sizeof(struct kubernetes_selector),
    CONF_ROWS(selector_rows),
    .check = selector_check,
};

#define S struct kubernetes_namespaces
static const struct conf_row namespaces_rows[] = {
    KEEP("own_namespace", CONF_BOOL, own_namespace, NULL),
    KEEP("names", CONF_STRS, names, NULL),
};
#undef S

static const struct conf_table namespaces_table = {
    .type = "kubernetes.plain",
    .bytes = sizeof(struct kubernetes_namespaces),
    CONF_ROWS(namespaces_rows),
};

#define S struct kubernetes_attach_metadata
static const struct conf_row attach_rows[] = {
    KEEP("node", CONF_BOOL, node, NULL),
    KEEP("namespace", CONF_BOOL, namespace, NULL),
    KEEP("deployment", CONF_BOOL, deployment, NULL),
    KEEP("job", CONF_BOOL, job, NULL),
    KEEP("cronjob", CONF_BOOL, cronjob, NULL),
};
#undef S

static const struct conf_table attach_table = {
    .type = "kubernetes.AttachMetadataConfig",
    .bytes = sizeof(struct kubernetes_attach_metadata),
    CONF_ROWS(attach_rows),
};

#define S struct kubernetes_sd_config
static const struct conf_row kubernetes_rows[] = {
    OMIT("api_server", CONF_URL, api_server, NULL),
    KEEP("role", CONF_STR, role, NULL),
    KEEP("kubeconfig_file", CONF_PATH, kubeconfig_file, NULL),
    HTTP_ROW,
    { .key = "namespaces",
      .type = CONF_STRUCT,
      .flags = CONF_OMITEMPTY | CONF_CLEAN,
      .offset = offsetof(S, namespaces),
      .table = &namespaces_table },
    { .key = "selectors",
      .type = CONF_STRUCTS,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(S, selectors),
      .table = &selector_table },
    { .key = "attach_metadata",
      .type = CONF_STRUCT,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(S, attach_metadata),
      .table = &attach_table },
};
#undef S

/* True when the block is as if it had not been written. */
static bool
http_is_default(const struct http_client_config *h)
{
    const struct tls_config *t = &h->tls;
    size_t tls = t->ca.n + t->cert.n + t->ca_file.n + t->cert_file.n + t->key_file.n + t->ca_ref.n +
                 t->cert_ref.n + t->key_ref.n + t->server_name.n + secret_reveal(t->key).n;

    return h->basic_auth == NULL && h->authorization == NULL && h->oauth2 == NULL &&
           h->follow_redirects && h->enable_http2 && tls == 0 && !t->insecure_skip_verify &&
           t->min_version == 0 && t->max_version == 0 && !h->proxy.url.given &&
           h->proxy.no_proxy.n == 0 && !h->proxy.from_environment &&
           !h->proxy.connect_headers.given && !h->headers.given;
}

static bool
check_access(const struct kubernetes_sd_config *k, struct error *err)
{
    bool server = k->api_server.given, kubeconfig = k->kubeconfig_file.n > 0;

    if (server && kubeconfig)
        return sd_refuse(err, "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    if (kubeconfig && !http_is_default(&k->http))
        return sd_refuse(
            err, "cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
    if (!server && !http_is_default(&k->http))
        return sd_refuse(err, "to use custom HTTP client configuration please provide the "
                              "'api_server' URL explicitly");
    if (server && k->namespaces.own_namespace)
        return sd_refuse(err,
                         "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
    if (kubeconfig && k->namespaces.own_namespace)
        return sd_refuse(
            err, "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
    return true;
}

/* The value behind the operator: \ escapes only itself, comma and equals sign, which need it. */
static bool
field_value(struct str value, struct error *err)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == ',' || c == '=')
            return sd_refuse(err, "invalid field selector: unescaped character in value: %c", c);
        if (c != '\\')
            continue;
        if (++i == value.n || strchr("\\,=", value.p[i]) == NULL)
            return sd_refuse(err, "invalid field selector: invalid escape sequence: \\%.*s",
                             (int)(i < value.n), value.p + i);
    }
    return true;
}

/* One "path=value", "path==value" or "path!=value". */
static bool
field_term(struct str all, struct str term, struct error *err)
{
    for (size_t i = 0; i < term.n; i++) {
        struct str rest = str_skip(term, i);
        size_t op =
            str_starts(rest, STR("!=")) || str_starts(rest, STR("==")) ? 2 : rest.p[0] == '=';
        if (op > 0)
            return field_value(str_skip(rest, op), err);
    }
    return sd_refuse(err, "invalid selector: '%.*s'; can't understand '%.*s'", STR_ARG(all),
                     STR_ARG(term));
}

static bool
check_field(struct str all, struct error *err)
{
    size_t start = 0;

    for (size_t i = 0; i <= all.n; i++) {
        if (i < all.n && all.p[i] == '\\') {
            i++;
            continue;
        }
        if (i < all.n && all.p[i] != ',')
            continue;
        struct str term = { all.p + start, i - start };
        if (term.n > 0 && !field_term(all, term, err))
            return false;
        start = i + 1;
    }
    return true;
}

/* A label selector: requirements by comma, each "[!]key", "key op value" or "key in (a, b)". */
static struct str
label_token(struct str *s)
{
    size_t n = 0;

    *s = str_trim(*s);
    if (s->n == 0)
        return STR_NONE;
    if (strchr("=!<>(),", s->p[0]) != NULL) {
        n = 1;
        if ((s->p[0] == '=' || s->p[0] == '!') && s->n > 1 && s->p[1] == '=')
            n = 2;
    } else {
        while (n < s->n && strchr("=!<>(), \t\r\n", s->p[n]) == NULL)
            n++;
    }
    struct str token = { s->p, n };
    *s = str_skip(*s, n);
    return token;
}

/* [prefix/]name of letters, digits, -_. that starts and ends with a letter or digit, 63 at most. */
static bool
label_word(struct str word, bool empty_ok)
{
    size_t slash = str_find(word, '/', 0);
    struct str name = slash < word.n ? str_skip(word, slash + 1) : word;

    if (word.n == 0)
        return empty_ok;
    if (name.n == 0 || name.n > 63)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (i == 0 || i + 1 == name.n || strchr("-_.", c) == NULL))
            return false;
    }
    return true;
}

static bool
label_set(struct str *s)
{
    if (!str_is(label_token(s), "("))
        return false;
    for (;;) {
        struct str token = label_token(s);
        if (str_is(token, ")"))
            return true;
        if (token.n == 0 || (!str_is(token, ",") && !label_word(token, false)))
            return false;
    }
}

/* One requirement; *end is the comma behind it or nothing. */
static bool
label_requirement(struct str *s, struct str *end)
{
    struct str key = label_token(s);
    bool absent = str_is(key, "!");

    if (absent)
        key = label_token(s);
    if (!label_word(key, false))
        return false;
    struct str op = label_token(s);
    *end = op;
    if (op.n == 0 || str_is(op, ","))
        return true;
    if (absent)
        return false;
    if (str_is(op, "in") || str_is(op, "notin")) {
        if (!label_set(s))
            return false;
        *end = label_token(s);
        return end->n == 0 || str_is(*end, ",");
    }
    if (!str_is(op, "=") && !str_is(op, "==") && !str_is(op, "!=") && !str_is(op, "<") &&
        !str_is(op, ">"))
        return false;
    struct str value = label_token(s);
    *end = value.n == 0 || str_is(value, ",") ? value : label_token(s);
    return (str_is(value, ",") || label_word(value, true)) && (end->n == 0 || str_is(*end, ","));
}

static bool
check_label(struct str all, struct error *err)
{
    struct str rest = str_trim(all), end = STR(",");

    if (rest.n == 0)
        return true;
    while (end.n > 0)
        if (!label_requirement(&rest, &end))
            return sd_refuse(err, "unable to parse requirement: '%.*s'", STR_ARG(all));
    return true;
}

static bool
check_selector(const struct kubernetes_sd_config *k, size_t nth, struct error *err)
{
    const struct kubernetes_selector *s = &k->selectors.items[nth];
    size_t role = role_index(k->role);
    bool allowed = false;

    for (size_t i = 0; i < nth; i++)
        if (str_eq(k->selectors.items[i].role, s->role))
            return sd_refuse(err, "duplicated selector role: %.*s", STR_ARG(s->role));
    for (size_t i = 0; i < ARRAY_LEN(roles[role].selectors) && roles[role].selectors[i] != NULL;
         i++)
        allowed = allowed || str_is(s->role, roles[role].selectors[i]);
    if (!allowed)
        return sd_refuse(err, "%s role supports only %s selectors", roles[role].role,
                         roles[role].shown);
    return check_field(s->field, err) && check_label(s->label, err);
}

static bool
kubernetes_check(struct conf *c, void *obj, struct error *err)
{
    struct kubernetes_sd_config *k = obj;

    if (k->role.n == 0)
        return sd_refuse(
            err, "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)");
    if (!check_role(c, k->role, err) || !http_client_config_check(c, &k->http, err) ||
        !check_access(k, err))
        return false;
    conf_blame(c, "selectors");
    for (size_t i = 0; i < k->selectors.nr; i++)
        if (!check_selector(k, i, err))
            return false;
    return true;
}

const struct conf_table sd_kubernetes_table = {
    .type = "kubernetes.plain",
    .bytes = sizeof(struct kubernetes_sd_config),
    CONF_ROWS(kubernetes_rows),
    .check = kubernetes_check,
};
