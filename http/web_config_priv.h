/* http/web_config_priv.h: what the files of http/web_config share. */
#pragma once
#include "http/web_config.h"

/* GnuTLS's words for Go's name of a cipher suite ("+ECDHE-RSA:+AES-128-GCM") or curve
 * ("+GROUP-X25519"); NULL: unknown. */
const char *web_cipher_find(struct str name);
const char *web_curve_find(struct str name);
const char *web_priorities(struct arena *arena, const struct web_tls_config *tls);

/* True for a well-formed bcrypt hash. */
MUST_CHECK bool web_hash_check(struct str hash, struct error *err);

struct web_auth_cache *web_auth_cache_new(void);
void web_auth_cache_free(struct web_auth_cache *cache);
