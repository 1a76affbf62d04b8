#include "remote/remote_config.h"

#include <strings.h>

#include "base/quote.h"

#define ROW(struct_, key_, type_, flags_, field_, dflt_)                                        \
    {                                                                                           \
        .key = (key_), .type = (type_), .flags = (flags_), .offset = offsetof(struct_, field_), \
        .dflt = (dflt_)                                                                         \
    }
#define BLOCK(struct_, key_, type_, field_, table_)              \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct_, field_), .table = &(table_)  \
    }

extern const struct conf_table azuread_config_table; /* azuread_config.c */

#define Q(key_, type_, field_, dflt_) \
    ROW(struct remote_queue_config, key_, type_, CONF_OMITEMPTY, field_, dflt_)

static const struct conf_row queue_rows[] = {
    Q("capacity", CONF_INT, capacity, "10000"),
    Q("max_shards", CONF_INT, max_shards, "50"),
    Q("min_shards", CONF_INT, min_shards, "1"),
    Q("max_samples_per_send", CONF_INT, max_samples_per_send, "2000"),
    Q("batch_send_deadline", CONF_DURATION, batch_send_deadline_ms, "5s"),
    Q("min_backoff", CONF_DURATION, min_backoff_ms, "30ms"),
    Q("max_backoff", CONF_DURATION, max_backoff_ms, "5s"),
    Q("retry_on_http_429", CONF_BOOL, retry_on_http_429, NULL),
    Q("sample_age_limit", CONF_DURATION, sample_age_limit_ms, NULL),
};

static const struct conf_table queue_table = {
    .type = "config.QueueConfig",
    .bytes = sizeof(struct remote_queue_config),
    CONF_ROWS(queue_rows),
};

#define M(key_, type_, flags_, field_, dflt_) \
    ROW(struct remote_metadata_config, key_, type_, flags_, field_, dflt_)

static const struct conf_row metadata_rows[] = {
    M("send", CONF_BOOL, 0, send, "true"),
    M("send_interval", CONF_DURATION, 0, send_interval_ms, "1m"),
    M("max_samples_per_send", CONF_INT, CONF_OMITEMPTY, max_samples_per_send, "2000"),
};

static const struct conf_table metadata_table = {
    .type = "config.MetadataConfig",
    .bytes = sizeof(struct remote_metadata_config),
    CONF_ROWS(metadata_rows),
};

static const struct conf_row google_rows[] = {
    ROW(struct google_iam_config, "credentials_file", CONF_STR, CONF_OMITEMPTY, credentials_file,
        NULL),
};

static const struct conf_table google_table = {
    .type = "googleiam.Config",
    .bytes = sizeof(struct google_iam_config),
    CONF_ROWS(google_rows),
};

#define W(key_, type_, field_, dflt_) \
    ROW(struct remote_write_config, key_, type_, CONF_OMITEMPTY, field_, dflt_)

static const struct conf_row write_rows[] = {
    ROW(struct remote_write_config, "url", CONF_URL, 0, url, NULL),
    W("remote_timeout", CONF_DURATION, remote_timeout_ms, "30s"),
    W("headers", CONF_MAP, headers, NULL),
    RELABEL_ROW("write_relabel_configs", struct remote_write_config, write_relabel_configs,
                "empty or null relabeling rule in remote write config"),
    W("name", CONF_STR, name, NULL),
    W("send_exemplars", CONF_BOOL, send_exemplars, NULL),
    W("send_native_histograms", CONF_BOOL, send_native_histograms, NULL),
    W("round_robin_dns", CONF_BOOL, round_robin_dns, NULL),
    W("protobuf_message", CONF_STR, protobuf_message, "prometheus.WriteRequest"),
    W("failed_request_logging", CONF_BOOL, failed_request_logging, NULL),
    { .type = CONF_INLINE,
      .offset = offsetof(struct remote_write_config, http),
      .table = &http_client_config_table },
    BLOCK(struct remote_write_config, "queue_config", CONF_STRUCT, queue, queue_table),
    BLOCK(struct remote_write_config, "metadata_config", CONF_STRUCT, metadata, metadata_table),
    BLOCK(struct remote_write_config, "sigv4", CONF_STRUCT_PTR, sigv4, sigv4_config_table),
    BLOCK(struct remote_write_config, "azuread", CONF_STRUCT_PTR, azuread, azuread_config_table),
    BLOCK(struct remote_write_config, "google_iam", CONF_STRUCT_PTR, google_iam, google_table),
};

static bool
is_same(struct str a, const char *b)
{
    return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

bool
remote_config_check_headers(const struct conf_map *headers, const char *authorization_text,
                            struct error *err)
{
    for (size_t i = 0; i < headers->nr; i++) {
        struct str name = headers->items[i].name;
        if (is_same(name, "authorization"))
            return error_set(err, ERR_INVALID, "%s", authorization_text);
        /* The scrape timeout is reserved for scrapes only. */
        if (http_header_reserved(name) && !is_same(name, "x-prometheus-scrape-timeout-seconds"))
            return error_set(err, ERR_INVALID, "%.*s is a reserved header. It must not be changed",
                             STR_ARG(name));
    }
    return true;
}

#define AUTHORIZATION_TEXT                                                                    \
    "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, " \
    "azuread or google_iam "                                                                  \
    "parameter"

static bool
queue_check(const struct remote_queue_config *q, struct error *err)
{
    const char *why = NULL;

    if (q->max_shards <= 0)
        why = "max_shards must be positive";
    else if (q->min_shards <= 0)
        why = "min_shards must be positive";
    else if (q->min_shards > q->max_shards)
        why = "min_shards must not be greater than max_shards";
    else if (q->max_samples_per_send <= 0)
        why = "max_samples_per_send must be positive";
    else if (q->capacity <= 0)
        why = "capacity must be positive";
    else if (q->max_backoff_ms < q->min_backoff_ms)
        why = "max_backoff must not be less than min_backoff";
    return why == NULL ? true : error_set(err, ERR_INVALID, "remote write queue %s", why);
}

static bool
auth_check(const struct remote_write_config *w, struct error *err)
{
    const struct {
        const char *name;
        bool on;
    } ways[] = {
        { "basic_auth", w->http.basic_auth != NULL },
        { "authorization", w->http.authorization != NULL },
        { "oauth2", w->http.oauth2 != NULL },
        { "sigv4", w->sigv4 != NULL },
        { "azuread", w->azuread != NULL },
        { "google_iam", w->google_iam != NULL },
    };
    struct buf shown = { 0 };
    size_t nr = 0;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (ways[i].on)
            buf_printf(&shown, "%s%s", nr++ == 0 ? "" : " ", ways[i].name);
    if (nr > 1)
        error_set(err, ERR_INVALID,
                  "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam "
                  "must be configured. "
                  "Currently configured: [%s]",
                  buf_z(&shown));
    buf_fini(&shown);
    return nr <= 1;
}

static bool
message_check(struct str message, struct error *err)
{
    if (str_is(message, "prometheus.WriteRequest") ||
        str_is(message, "io.prometheus.write.v2.Request"))
        return true;
    return error_set(err, ERR_INVALID,
                     "invalid protobuf_message value: unknown type for remote write protobuf "
                     "message %.*s, supported: "
                     "prometheus.WriteRequest, io.prometheus.write.v2.Request",
                     STR_ARG(message));
}

static void
write_init(void *obj)
{
    ((struct remote_write_config *)obj)->http.enable_http2 = false;
}

static bool
write_check(struct conf *c, void *obj, struct error *err)
{
    struct remote_write_config *w = obj;

    if (!w->url.given)
        return error_set(err, ERR_INVALID, "url for remote_write is empty");
    conf_blame(c, "headers");
    if (!remote_config_check_headers(&w->headers, AUTHORIZATION_TEXT, err))
        return false;
    conf_blame(c, "protobuf_message");
    if (!message_check(w->protobuf_message, err))
        return false;
    conf_blame(c, NULL);
    if (!http_client_config_check(c, &w->http, err))
        return false;
    conf_blame(c, "queue_config");
    if (!queue_check(&w->queue, err))
        return false;
    conf_blame(c, NULL);
    return auth_check(w, err);
}

static const struct conf_table write_table = {
    .type = "config.plain",
    .bytes = sizeof(struct remote_write_config),
    CONF_ROWS(write_rows),
    .init = write_init,
    .check = write_check,
    .line_at = CONF_LINE_AT(struct remote_write_config, line),
};

#define R(key_, type_, field_, dflt_) \
    ROW(struct remote_read_config, key_, type_, CONF_OMITEMPTY, field_, dflt_)

static const struct conf_row read_rows[] = {
    ROW(struct remote_read_config, "url", CONF_URL, 0, url, NULL),
    R("remote_timeout", CONF_DURATION, remote_timeout_ms, "1m"),
    R("chunked_read_limit", CONF_UINT, chunked_read_limit, "50000000"),
    R("headers", CONF_MAP, headers, NULL),
    R("read_recent", CONF_BOOL, read_recent, NULL),
    R("name", CONF_STR, name, NULL),
    { .type = CONF_INLINE,
      .offset = offsetof(struct remote_read_config, http),
      .table = &http_client_config_table },
    ROW(struct remote_read_config, "required_matchers", CONF_MAP, CONF_OMITEMPTY | CONF_LABEL_NAME,
        required_matchers, NULL),
    R("filter_external_labels", CONF_BOOL, filter_external_labels, "true"),
};

static bool
read_check(struct conf *c, void *obj, struct error *err)
{
    struct remote_read_config *r = obj;

    if (!r->url.given)
        return error_set(err, ERR_INVALID, "url for remote_read is empty");
    conf_blame(c, "headers");
    if (!remote_config_check_headers(&r->headers, AUTHORIZATION_TEXT, err))
        return false;
    conf_blame(c, NULL);
    return http_client_config_check(c, &r->http, err);
}

static const struct conf_table read_table = {
    .type = "config.plain",
    .bytes = sizeof(struct remote_read_config),
    CONF_ROWS(read_rows),
    .check = read_check,
    .line_at = CONF_LINE_AT(struct remote_read_config, line),
};

#define O(key_, type_, field_, dflt_) \
    ROW(struct otlp_config, key_, type_, CONF_OMITEMPTY, field_, dflt_)

static const struct conf_row otlp_rows[] = {
    O("promote_all_resource_attributes", CONF_BOOL, promote_all_resource_attributes, NULL),
    O("promote_resource_attributes", CONF_STRS, promote_resource_attributes, NULL),
    O("ignore_resource_attributes", CONF_STRS, ignore_resource_attributes, NULL),
    O("translation_strategy", CONF_STR, translation_strategy, "UnderscoreEscapingWithSuffixes"),
    O("keep_identifying_resource_attributes", CONF_BOOL, keep_identifying_resource_attributes,
      NULL),
    O("convert_histograms_to_nhcb", CONF_BOOL, convert_histograms_to_nhcb, NULL),
    O("promote_scope_metadata", CONF_BOOL, promote_scope_metadata, NULL),
    O("label_name_underscore_sanitization", CONF_BOOL, label_name_underscore_sanitization, "true"),
    O("label_name_preserve_multiple_underscores", CONF_BOOL,
      label_name_preserve_multiple_underscores, "true"),
};

/* Trims each, and collects every complaint, as one line each. */
static bool
attributes_clean(struct conf_strs *list, const char *kind, const char *key, struct error *err)
{
    struct buf wrong = { 0 };

    for (size_t i = 0; i < list->nr; i++) {
        struct str *s = &list->items[i];
        bool twice = false;
        *s = str_trim(*s);
        for (size_t k = 0; k < i; k++)
            twice = twice || str_eq(*s, list->items[k]);
        if (s->n > 0 && !twice)
            continue;
        buf_c(&wrong, wrong.n == 0 ? "" : "\n");
        buf_printf(&wrong,
                   s->n == 0 ? "empty %s OTel resource attribute"
                             : "duplicated %s OTel resource attribute ",
                   kind);
        if (s->n > 0)
            quote_go(*s, &wrong);
    }
    bool ok = wrong.n == 0;
    if (!ok)
        error_set(err, ERR_INVALID, "invalid '%s': %s", key, buf_z(&wrong));
    buf_fini(&wrong);
    return ok;
}

static bool
otlp_check(struct conf *c, void *obj, struct error *err)
{
    struct otlp_config *o = obj;

    (void)c;
    if (!o->promote_all_resource_attributes) {
        if (o->ignore_resource_attributes.nr > 0)
            return error_set(err, ERR_INVALID,
                             "'ignore_resource_attributes' cannot be configured unless "
                             "'promote_all_resource_attributes' is true");
        return attributes_clean(&o->promote_resource_attributes, "promoted",
                                "promote_resource_attributes", err);
    }
    if (o->promote_resource_attributes.nr > 0)
        return error_set(err, ERR_INVALID,
                         "'promote_all_resource_attributes' and 'promote_resource_attributes' "
                         "cannot be configured "
                         "simultaneously");
    return attributes_clean(&o->ignore_resource_attributes, "ignored", "ignore_resource_attributes",
                            err);
}

static const struct conf_table otlp_table = {
    .type = "config.plain",
    .bytes = sizeof(struct otlp_config),
    CONF_ROWS(otlp_rows),
    .check = otlp_check,
    .line_at = CONF_LINE_AT(struct otlp_config, line),
};

static const struct conf_row remote_rows[] = {
    { .key = "remote_write",
      .type = CONF_STRUCTS,
      .flags = CONF_OMITEMPTY | CONF_UNBUILT,
      .offset = offsetof(struct remote_config, write),
      .table = &write_table,
      .bad = "empty or null remote write config section" },
    { .key = "remote_read",
      .type = CONF_STRUCTS,
      .flags = CONF_OMITEMPTY | CONF_UNBUILT,
      .offset = offsetof(struct remote_config, read),
      .table = &read_table,
      .bad = "empty or null remote read config section" },
    BLOCK(struct remote_config, "otlp", CONF_STRUCT, otlp, otlp_table),
};

const struct conf_table remote_config_table = {
    .type = "config.plain",
    .bytes = sizeof(struct remote_config),
    CONF_ROWS(remote_rows),
};

static bool
name_twice(const char *what, struct str name, uint32_t line, struct error *err)
{
    struct buf quoted = { 0 };

    quote_go(name, &quoted);
    error_set(err, ERR_INVALID, "line %u: found multiple %s configs with job name %s", line, what,
              buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

static bool
names_check(const struct remote_config *r, struct error *err)
{
    for (size_t i = 0; i < r->write.nr; i++)
        for (size_t k = 0; k < i; k++)
            if (r->write.items[i].name.n > 0 &&
                str_eq(r->write.items[i].name, r->write.items[k].name))
                return name_twice("remote write", r->write.items[i].name, r->write.items[i].line,
                                  err);
    for (size_t i = 0; i < r->read.nr; i++)
        for (size_t k = 0; k < i; k++)
            if (r->read.items[i].name.n > 0 && str_eq(r->read.items[i].name, r->read.items[k].name))
                return name_twice("remote read", r->read.items[i].name, r->read.items[i].line, err);
    return true;
}

static bool
strategy_check(struct str strategy, int name_scheme, struct error *err)
{
    struct buf quoted = { 0 };
    bool utf8 = str_is(strategy, "NoTranslation") || str_is(strategy, "NoUTF8EscapingWithSuffixes");
    bool known = utf8 || strategy.n == 0 || str_is(strategy, "UnderscoreEscapingWithSuffixes") ||
                 str_is(strategy, "UnderscoreEscapingWithoutSuffixes");

    if (known && !(utf8 && name_scheme == NAME_SCHEME_LEGACY))
        return true;
    quote_go(strategy, &quoted);
    if (known)
        error_set(err, ERR_INVALID,
                  "OTLP translation strategy %s is not allowed when UTF8 is disabled",
                  buf_z(&quoted));
    else
        error_set(err, ERR_INVALID, "unsupported OTLP translation strategy %s", buf_z(&quoted));
    buf_fini(&quoted);
    return false;
}

bool
remote_config_complete(struct conf_pool *pool, struct remote_config *r, int name_scheme,
                       struct error *err)
{
    if (!names_check(r, err))
        return false;
    for (size_t i = 0; i < r->write.nr; i++)
        if (!relabel_list_check(pool, &r->write.items[i].write_relabel_configs,
                                (enum name_scheme)name_scheme, err))
            return false;
    if (!strategy_check(r->otlp.translation_strategy, name_scheme, err))
        return error_wrap(err, "line %u: otlp.translation_strategy", r->otlp.line);
    return true;
}
