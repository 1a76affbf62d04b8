/* Sets of labels, made anew in the arena each time. */
#include "oracle_priv.h"

#include "base/buf.h"

static const char *const metadata[] = { "__name__", "__type__", "__unit__" };

struct str
name_of(struct labels ls)
{
    return labels_get(ls, LABEL_NAME);
}

static bool
among(struct str name, const struct str *names, size_t nr)
{
    for (size_t i = 0; i < nr; i++)
        if (str_eq(name, names[i]))
            return true;
    return false;
}

struct labels
labels_keep(struct arena *a, struct labels ls, const struct str *names, size_t nr)
{
    struct label *out = ARENA_NEW_ARRAY(a, struct label, ls.nr + 1);
    size_t out_nr = 0;

    for (size_t i = 0; i < ls.nr; i++)
        if (among(ls.v[i].name, names, nr))
            out[out_nr++] = ls.v[i];
    return (struct labels){ out, out_nr };
}

struct labels
labels_drop(struct arena *a, struct labels ls, const struct str *names, size_t nr, bool with_name)
{
    struct label *out = ARENA_NEW_ARRAY(a, struct label, ls.nr + 1);
    size_t out_nr = 0;

    for (size_t i = 0; i < ls.nr; i++)
        if (!among(ls.v[i].name, names, nr) && !(with_name && str_eq(ls.v[i].name, LABEL_NAME)))
            out[out_nr++] = ls.v[i];
    return (struct labels){ out, out_nr };
}

struct labels
labels_set(struct arena *a, struct labels ls, struct str name, struct str value)
{
    struct labels rest = labels_drop(a, ls, &name, 1, false);
    struct label *out = ARENA_NEW_ARRAY(a, struct label, rest.nr + 1);
    size_t at = 0;

    if (value.n == 0)
        return rest;
    while (at < rest.nr && str_cmp(rest.v[at].name, name) < 0) {
        out[at] = rest.v[at];
        at++;
    }
    out[at] = (struct label){ arena_str(a, name), arena_str(a, value) };
    for (size_t i = at; i < rest.nr; i++)
        out[i + 1] = rest.v[i];
    return (struct labels){ out, rest.nr + 1 };
}

struct labels
labels_unnamed(struct arena *a, struct labels ls)
{
    struct str names[ARRAY_LEN(metadata)];

    for (size_t i = 0; i < ARRAY_LEN(metadata); i++)
        names[i] = str_c(metadata[i]);
    return labels_drop(a, ls, names, ARRAY_LEN(names), false);
}

struct labels
labels_for_match(struct arena *a, struct labels ls, const struct vector_matching *m)
{
    return m->on ? labels_keep(a, ls, m->labels, m->labels_nr)
                 : labels_drop(a, ls, m->labels, m->labels_nr, true);
}

struct str
labels_text(struct arena *a, struct labels ls)
{
    struct buf b = { 0 };

    labels_print(ls, &b);
    struct str text = arena_str(a, buf_as_str(&b));
    buf_fini(&b);
    return text;
}

struct labels
dropped_now(struct oracle *o, struct labels ls)
{
    return o->options.all_features ? ls : labels_unnamed(o->arena, ls);
}
