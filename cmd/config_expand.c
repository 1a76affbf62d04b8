/* Environment variables in external labels, as Go's os.Expand reads them: $name, ${name}, and $$
 * for a dollar sign. */
#include "cmd/config_priv.h"

static bool
is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool
is_special(char c)
{
    return c != '\0' && strchr("*#$@!?-0123456789", c) != NULL;
}

/* The name behind a dollar sign, and how many bytes it takes; an empty name with bytes is bad
 * syntax, which vanishes. */
static struct str
shell_name(struct str s, size_t *taken)
{
    size_t n = 0;

    if (s.p[0] == '{') {
        size_t end = str_find(s, '}', 1);
        *taken = end < s.n ? end + 1 : 1;
        return end < s.n ? (struct str){ s.p + 1, end - 1 } : STR_NONE;
    }
    if (is_special(s.p[0])) {
        *taken = 1;
        return (struct str){ s.p, 1 };
    }
    while (n < s.n && is_name(s.p[n]))
        n++;
    *taken = n;
    return (struct str){ s.p, n };
}

static void
expand_name(const struct config_options *options, struct str name, struct arena *arena,
            struct buf *out)
{
    const char *value;

    if (str_is(name, "$")) {
        buf_byte(out, '$');
        return;
    }
    value = options->env == NULL ? NULL : options->env(arena_str(arena, name).p);
    if (value == NULL || *value == '\0') {
        if (options->log != NULL)
            log_warn(options->log, "Empty environment variable", LOG_S("name", name));
        return;
    }
    buf_c(out, value);
}

static struct str
expand(struct arena *arena, const struct config_options *options, struct str text)
{
    struct buf out = { 0 };
    size_t i = 0;

    if (str_find(text, '$', 0) == text.n)
        return text;
    while (i < text.n) {
        if (text.p[i] != '$' || i + 1 == text.n) {
            buf_byte(&out, (uint8_t)text.p[i++]);
            continue;
        }
        size_t taken;
        struct str name = shell_name(str_skip(text, i + 1), &taken);
        if (taken == 0)
            buf_byte(&out, '$');
        else if (name.n > 0)
            expand_name(options, name, arena, &out);
        i += 1 + taken;
    }
    struct str done = arena_str(arena, buf_as_str(&out));
    buf_fini(&out);
    return done;
}

void
config_expand_labels(struct config *config, const struct config_options *options)
{
    struct conf_map *map = &config->global.external_label_map;

    for (size_t i = 0; i < map->nr; i++)
        map->items[i].value = expand(conf_pool_arena(config->pool), options, map->items[i].value);
    config->global.external_labels = discovery_config_labels(config->pool, map);
}
