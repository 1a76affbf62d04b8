/* static_configs: what the configuration says, once. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "discovery/mechanism.h"

struct static_sd {
    struct discoverer base;
    const struct static_sd_config *configs;
    size_t nr;
};

static int64_t
look(struct discoverer *base, int64_t now_ns)
{
    struct static_sd *d = CONTAINER_OF(base, struct static_sd, base);
    struct target_group **groups = MEM_NEW_ARRAY(struct target_group *, d->nr + 1);
    char source[32];

    (void)now_ns;
    for (size_t i = 0; i < d->nr; i++) {
        int n = snprintf(source, sizeof source, "%zu", i);

        groups[i] = target_group_new((struct str){ source, (size_t)n }, d->configs[i].labels,
                                     d->configs[i].targets.items, d->configs[i].targets.nr);
    }
    discovery_publish(base, groups, d->nr);
    return INT64_MAX;
}

static void
static_free(struct discoverer *base)
{
    free(CONTAINER_OF(base, struct static_sd, base));
}

static const struct discovery_ops static_ops = { .name = "static",
                                                 .look = look,
                                                 .free = static_free };

struct discoverer *
static_sd_new(const struct discoverer_env *env, const struct static_sd_config *configs, size_t nr)
{
    struct static_sd *d = MEM_NEW(struct static_sd);

    d->base = (struct discoverer){ .ops = &static_ops, .env = *env, .fd = -1 };
    d->configs = configs;
    d->nr = nr;
    return &d->base;
}
