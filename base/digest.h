/* base/digest.h: MD5 (hashmod, rule hashes) and SHA-256, by nettle. Pure; thread-safe. */
#pragma once
#include "base/str.h"

#define DIGEST_MD5_BYTES    16
#define DIGEST_SHA256_BYTES 32

void digest_md5(struct str s, uint8_t out[DIGEST_MD5_BYTES]);
void digest_sha256(struct str s, uint8_t out[DIGEST_SHA256_BYTES]);
/* Lower-case hexadecimal of n bytes; out has room for 2n + 1. */
void digest_hex(const uint8_t *p, size_t n, char *out);
