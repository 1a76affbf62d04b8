/* The section `tracing`: understood, not built. */
#include "cmd/config_priv.h"

static const char *const client_types[] = { "http", "grpc", NULL };

#define T(key_, type_, field_)                                   \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct tracing_config, field_)        \
    }

static const struct conf_row tracing_rows[] = {
    { .key = "client_type",
      .type = CONF_ENUM,
      .offset = offsetof(struct tracing_config, client_type),
      .dflt = "grpc",
      .names = client_types,
      .bad = "expected tracing client type to be to be http or grpc, but got %s" },
    T("endpoint", CONF_STR, endpoint),
    T("sampling_fraction", CONF_FLOAT, sampling_fraction),
    T("insecure", CONF_BOOL, insecure),
    { .key = "tls_config",
      .type = CONF_STRUCT,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(struct tracing_config, tls),
      .table = &tls_config_table },
    T("headers", CONF_MAP, headers),
    T("compression", CONF_STR, compression),
    T("timeout", CONF_DURATION, timeout_ms),
};

static bool
tracing_check(struct conf *c, void *obj, struct error *err)
{
    const struct tracing_config *t = obj;

    conf_blame(c, "headers");
    if (!remote_config_check_headers(
            &t->headers, "custom authorization header configuration is not yet supported", err))
        return false;
    conf_blame(c, NULL);
    if (t->endpoint.n == 0)
        return error_set(err, ERR_INVALID, "tracing endpoint must be set");
    conf_blame(c, "compression");
    if (t->compression.n > 0 && !str_is(t->compression, "gzip"))
        return error_set(err, ERR_INVALID,
                         "invalid compression type %.*s provided, valid options: gzip",
                         STR_ARG(t->compression));
    return true;
}

const struct conf_table tracing_config_table = {
    .type = "config.plain",
    .bytes = sizeof(struct tracing_config),
    CONF_ROWS(tracing_rows),
    .check = tracing_check,
};
