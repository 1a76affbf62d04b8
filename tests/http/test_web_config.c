/* http/web_config.c: what the web configuration file may say, and users. */
#include <criterion/criterion.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <unistd.h>

#include "http/web_config.h"

/* Writes text to a file of its own and loads it. */
static struct web_config *
load(const char *text, struct error *err)
{
    char path[] = "/tmp/narthex-web-XXXXXX";
    struct web_config *w = NULL;
    int fd = mkstemp(path);

    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    error_clear(err);
    bool ok = web_config_load(io_posix(), path, &w, err);
    unlink(path);
    return ok ? w : NULL;
}

Test(web_config, no_file_means_no_tls_and_no_users)
{
    struct error err = { 0 };
    struct web_config *w;

    cr_assert(web_config_load(io_posix(), "", &w, &err));
    cr_expect(!w->tls_on && !web_config_has_users(w) && w->http.http2);
    web_config_free(w);
}

Test(web_config, refuses_what_prometheus_refuses)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "tls_server_config: {cert_file: a}", "missing one of key or key_file" },
        { "tls_server_config: {key_file: a}", "missing one of cert or cert_file" },
        { "tls_server_config: {cert: a, key: b, client_ca: c}",
          "client CA's have been configured without" },
        { "tls_server_config: {cert: a, key: b, client_auth_type: Maybe}",
          "invalid ClientAuth: Maybe" },
        { "tls_server_config: {min_version: TLS9}", "unknown TLS version: TLS9" },
        { "tls_server_config: {cipher_suites: [ROT13]}", "unknown cipher: ROT13" },
        { "tls_server_config: {curve_preferences: [X]}", "unknown curve: X" },
        { "http_server_config: {headers: {X-Foo: a}}",
          "HTTP header \"X-Foo\" can not be configured" },
        { "http_server_config: {headers: {X-Frame-Options: a}}",
          "invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: "
          "\"a\"" },
        { "basic_auth_users: {a: plain}", "too short to be a bcrypted password" },
        { "nope: 1", "field nope not found in type web.Config" },
    };
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_expect_null(load(cases[i].text, &err), "%s", cases[i].text);
        cr_expect_not_null(strstr(error_text(&err), cases[i].want), "%s", error_text(&err));
    }
    error_clear(&err);
}

Test(web_config, makes_priorities_that_the_library_takes)
{
    static const char *const texts[] = {
        "tls_server_config: {cert: a, key: b}",
        "tls_server_config: {cert: a, key: b, max_version: TLS12, curve_preferences: [X25519, "
        "CurveP256]}",
        "tls_server_config: {cert: a, key: b, cipher_suites: "
        "[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}",
    };
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct web_config *w = load(texts[i], &err);
        gnutls_priority_t priority;
        cr_assert_not_null(w, "%s", error_text(&err));
        cr_expect_eq(gnutls_priority_init(&priority, w->priorities, NULL), 0, "%s", w->priorities);
        gnutls_priority_deinit(priority);
        web_config_free(w);
    }
}

Test(web_config, checks_passwords_against_bcrypt)
{
    /* "test", at the lowest cost. */
    struct error err = { 0 };
    struct web_config *w =
        load("basic_auth_users:\n"
             "  alice: $2b$04$zhXFA0AKWR1U0uMC2Kx1MO0z2HqQ4OFK4EyakbS3.WRb2yT2TvssS\n",
             &err);

    cr_assert_not_null(w, "%s", error_text(&err));
    cr_expect(web_config_authorize(w, STR("alice"), STR("test")));
    cr_expect(web_config_authorize(w, STR("alice"), STR("test")), "also when remembered");
    cr_expect(!web_config_authorize(w, STR("alice"), STR("wrong")));
    cr_expect(!web_config_authorize(w, STR("alice"), STR("wrong")), "also when remembered");
    cr_expect(!web_config_authorize(w, STR("bob"), STR("test")));
    web_config_free(w);
}
