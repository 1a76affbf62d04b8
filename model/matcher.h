/* model/matcher.h: one condition on one label: =, !=, =~, !~.
 *
 * A label that a series lacks has the value "". Immutable once made; names and values are borrowed
 * from the arena it was made in, the compiled expression is owned and released by matcher_fini().
 * Any number of threads may match. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "base/regex.h"

enum match_type { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };

struct matcher {
    enum match_type type;
    struct str name, value; /* value is the expression text for MATCH_RE and MATCH_NRE */
    struct regex *re;       /* owned; NULL for MATCH_EQ and MATCH_NE */
};

/* Copies name and value into the arena and compiles the expression. ERR_INVALID when it does not
 * compile. An expression that is a plain literal keeps its type (it is printed back as written). */
MUST_CHECK bool matcher_init(struct matcher *m, enum match_type type, struct str name,
                             struct str value, struct arena *arena, struct error *err);
void matcher_fini(struct matcher *m);

bool matcher_matches(const struct matcher *m, struct str value);
static inline bool
matcher_matches_empty(const struct matcher *m)
{
    return matcher_matches(m, STR_NONE);
}

/* "=", "!=", "=~", "!~" */
const char *match_type_text(enum match_type type);
/* Appends name, operator, quoted value, as Prometheus prints a matcher: job="node", or "utf8
 * name"="x". */
void matcher_print(const struct matcher *m, struct buf *out);
