/* Users and bcrypt hashes. A check costs tens of milliseconds by design, and every request carries
 * the password, so what was found is remembered: the SHA-256 of user, hash and password, in a small
 * table that forgets by being overwritten. */
#include <crypt.h>

#include "base/digest.h"
#include "base/lock.h"
#include "base/mem.h"
#include "http/web_config_priv.h"

enum { CACHE_NR = 256, BCRYPT_BYTES = 60, PASSWORD_BYTES_MAX = 4096 };

/* Of a password that nobody has, at the usual cost: an unknown user must not be told apart by the
 * time it takes. */
#define NOBODY_HASH "$2b$10$1BCXIxMQgZxcK6t2ovugdO1fJ.tyL1pRhrnfBiIswck2rrSmUteZO"

struct cached {
    uint8_t digest[DIGEST_SHA256_BYTES];
    bool known, ok;
};

struct web_auth_cache {
    struct lock lock; /* guards entries */
    struct cached entries[CACHE_NR];
};

struct web_auth_cache *
web_auth_cache_new(void)
{
    struct web_auth_cache *cache = MEM_NEW(struct web_auth_cache);

    lock_init(&cache->lock, LOCK_HTTP, "web users");
    return cache;
}

void
web_auth_cache_free(struct web_auth_cache *cache)
{
    if (cache == NULL)
        return;
    lock_fini(&cache->lock);
    mem_free(cache);
}

/* $2a$, $2b$ or $2y$, two digits of cost (4 to 31), 53 characters. */
bool
web_hash_check(struct str hash, struct error *err)
{
    static const char alphabet[] =
        "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    if (hash.n < BCRYPT_BYTES)
        return error_set(err, ERR_INVALID,
                         "crypto/bcrypt: hashedSecret too short to be a bcrypted password");
    if (hash.p[0] != '$' || hash.p[1] != '2')
        return error_set(err, ERR_INVALID, "crypto/bcrypt: bcrypt hashes must start with '$2'");
    int cost = (hash.p[4] - '0') * 10 + hash.p[5] - '0';
    bool form = strchr("abxy", hash.p[2]) != NULL && hash.p[3] == '$' && hash.p[6] == '$' &&
                hash.n == BCRYPT_BYTES;
    for (size_t i = 7; form && i < hash.n; i++)
        form = hash.p[i] != '\0' && strchr(alphabet, hash.p[i]) != NULL;
    if (!form)
        return error_set(err, ERR_INVALID, "crypto/bcrypt: malformed hash");
    if (cost < 4 || cost > 31)
        return error_set(err, ERR_INVALID, "crypto/bcrypt: cost %d is outside allowed range (4,31)",
                         cost);
    return true;
}

/* Equal in a time that does not tell where they differ. */
static bool
same_text(const char *a, const char *b, size_t n)
{
    unsigned different = 0;

    for (size_t i = 0; i < n; i++)
        different |= (unsigned)(a[i] ^ b[i]);
    return different == 0;
}

static bool
hash_matches(struct str hash, struct str password)
{
    struct crypt_data *data = MEM_NEW(struct crypt_data);
    char *setting = str_dup(hash), *phrase = str_dup(password);
    const char *made = crypt_r(phrase, setting, data);
    bool ok = made != NULL && strlen(made) == hash.n && same_text(made, hash.p, hash.n);

    explicit_bzero(phrase, password.n);
    mem_free(phrase);
    mem_free(setting);
    mem_free(data);
    return ok;
}

static void
digest_of(struct str user, struct str hash, struct str password, uint8_t out[DIGEST_SHA256_BYTES])
{
    struct buf all = { 0 };

    buf_uvarint_str(&all, user);
    buf_uvarint_str(&all, hash);
    buf_uvarint_str(&all, password);
    digest_sha256(buf_as_str(&all), out);
    explicit_bzero(all.p, all.n);
    buf_fini(&all);
}

bool
web_config_has_users(const struct web_config *config)
{
    return config->users.nr > 0;
}

bool
web_config_authorize(const struct web_config *config, struct str user, struct str password)
{
    struct web_auth_cache *cache = config->cache;
    struct str hash = STR(NOBODY_HASH);
    struct cached found = { 0 };
    bool known = false;

    if (password.n > PASSWORD_BYTES_MAX)
        return false;
    for (size_t i = 0; i < config->users.nr; i++)
        if (str_eq(config->users.items[i].name, user)) {
            hash = config->users.items[i].value;
            known = true;
        }
    digest_of(user, hash, password, found.digest);
    struct cached *entry = &cache->entries[found.digest[0] % CACHE_NR];
    lock_take(&cache->lock);
    bool hit = entry->known && memcmp(entry->digest, found.digest, sizeof found.digest) == 0;
    found.ok = hit && entry->ok;
    lock_release(&cache->lock);
    if (hit)
        return found.ok;
    found.ok = hash_matches(hash, password) && known;
    found.known = true;
    lock_take(&cache->lock);
    *entry = found;
    lock_release(&cache->lock);
    return found.ok;
}
