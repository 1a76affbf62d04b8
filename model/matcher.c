#include "model/matcher.h"

#include "base/quote.h"
#include "model/labels.h"

bool
matcher_init(struct matcher *m, enum match_type type, struct str name, struct str value,
             struct arena *arena, struct error *err)
{
    struct regex *re = NULL;

    if (type == MATCH_RE || type == MATCH_NRE) {
        re = regex_compile(value, REGEX_ANCHORED, err);
        if (re == NULL)
            return false;
    }
    *m = (struct matcher){ type, arena_str(arena, name), arena_str(arena, value), re };
    return true;
}

void
matcher_fini(struct matcher *m)
{
    regex_unref(m->re);
    m->re = NULL;
}

bool
matcher_matches(const struct matcher *m, struct str value)
{
    switch (m->type) {
    case MATCH_EQ:
        return str_eq(value, m->value);
    case MATCH_NE:
        return !str_eq(value, m->value);
    case MATCH_RE:
        return regex_match(m->re, value);
    case MATCH_NRE:
        return !regex_match(m->re, value);
    }
    return false;
}

const char *
match_type_text(enum match_type type)
{
    static const char *const texts[] = { "=", "!=", "=~", "!~" };

    return texts[type];
}

void
matcher_print(const struct matcher *m, struct buf *out)
{
    if (label_name_legacy(m->name))
        buf_str(out, m->name);
    else
        quote_go(m->name, out);
    buf_c(out, match_type_text(m->type));
    quote_go(m->value, out);
}
