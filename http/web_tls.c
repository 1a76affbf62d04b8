/* Versions, cipher suites and curves in Go's names, put into GnuTLS's priority string.
 *
 * GnuTLS has no suites up to TLS 1.2, only their parts: key exchange and cipher are allowed by
 * themselves, so a list of suites allows also their mixtures. In TLS 1.3 suites are not chosen, as
 * in Go. */
#include "http/web_config_priv.h"

static const struct {
    const char *name, *parts;
} ciphers[] = {
    { "TLS_AES_128_GCM_SHA256", "" },
    { "TLS_AES_256_GCM_SHA384", "" },
    { "TLS_CHACHA20_POLY1305_SHA256", "" },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", ":+ECDHE-ECDSA:+AES-128-CBC:+SHA1" },
    { "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", ":+ECDHE-ECDSA:+AES-256-CBC:+SHA1" },
    { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", ":+ECDHE-RSA:+AES-128-CBC:+SHA1" },
    { "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", ":+ECDHE-RSA:+AES-256-CBC:+SHA1" },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", ":+ECDHE-ECDSA:+AES-128-GCM:+AEAD" },
    { "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", ":+ECDHE-ECDSA:+AES-256-GCM:+AEAD" },
    { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ":+ECDHE-RSA:+AES-128-GCM:+AEAD" },
    { "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", ":+ECDHE-RSA:+AES-256-GCM:+AEAD" },
    { "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ":+ECDHE-RSA:+CHACHA20-POLY1305:+AEAD" },
    { "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", ":+ECDHE-ECDSA:+CHACHA20-POLY1305:+AEAD" },
};

static const struct {
    const char *name, *group;
} curves[] = {
    { "CurveP256", ":+GROUP-SECP256R1" },
    { "CurveP384", ":+GROUP-SECP384R1" },
    { "CurveP521", ":+GROUP-SECP521R1" },
    { "X25519", ":+GROUP-X25519" },
};

const char *
web_cipher_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(ciphers); i++)
        if (str_is(name, ciphers[i].name))
            return ciphers[i].parts;
    return NULL;
}

const char *
web_curve_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(curves); i++)
        if (str_is(name, curves[i].name))
            return curves[i].group;
    return NULL;
}

static int
version_nr(struct str name)
{
    return name.n == 5 ? name.p[4] - '0' : 3;
}

/* Adds the parts of listed suites. Suites of TLS 1.3 say nothing about older versions, as in Go. */
static void
add_ciphers(const struct conf_strs *list, struct buf *out)
{
    bool old = false;

    for (size_t i = 0; i < list->nr; i++)
        old = old || web_cipher_find(list->items[i])[0] != '\0';
    if (!old)
        return;
    buf_c(out, ":-KX-ALL:-CIPHER-ALL:-MAC-ALL");
    for (size_t i = 0; i < list->nr; i++)
        buf_c(out, web_cipher_find(list->items[i]));
    /* TLS 1.3 keeps its own. */
    buf_c(out, ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD");
}

const char *
web_priorities(struct arena *arena, const struct web_tls_config *tls)
{
    static const char *const versions[] = { ":+VERS-TLS1.0", ":+VERS-TLS1.1", ":+VERS-TLS1.2",
                                            ":+VERS-TLS1.3" };
    struct buf out = { 0 };

    buf_c(&out, "NORMAL:-VERS-ALL");
    for (int v = version_nr(tls->min_version); v <= version_nr(tls->max_version); v++)
        buf_c(&out, versions[v]);
    add_ciphers(&tls->cipher_suites, &out);
    if (tls->curve_preferences.nr > 0) {
        buf_c(&out, ":-GROUP-ALL");
        for (size_t i = 0; i < tls->curve_preferences.nr; i++)
            buf_c(&out, web_curve_find(tls->curve_preferences.items[i]));
    }
    if (tls->prefer_server_cipher_suites)
        buf_c(&out, ":%SERVER_PRECEDENCE");
    const char *text = arena_str(arena, buf_as_str(&out)).p;
    buf_fini(&out);
    return text;
}
