#include "base/digest.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>

void
digest_md5(struct str s, uint8_t out[DIGEST_MD5_BYTES])
{
    struct md5_ctx ctx;

    md5_init(&ctx);
    md5_update(&ctx, s.n, (const uint8_t *)s.p);
    md5_digest(&ctx, DIGEST_MD5_BYTES, out);
}

void
digest_sha256(struct str s, uint8_t out[DIGEST_SHA256_BYTES])
{
    struct sha256_ctx ctx;

    sha256_init(&ctx);
    sha256_update(&ctx, s.n, (const uint8_t *)s.p);
    sha256_digest(&ctx, DIGEST_SHA256_BYTES, out);
}

void
digest_hex(const uint8_t *p, size_t n, char *out)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = hex[p[i] >> 4];
        *out++ = hex[p[i] & 15];
    }
    *out = '\0';
}
