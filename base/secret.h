/* base/secret.h: a string that must not be shown: passwords, tokens, private keys.
 *
 * A type of its own, so that no printer takes it by mistake: whoever needs the bytes says
 * secret_reveal(), and only code that sends credentials does. Everything else prints secret_text().
 * Borrowed like a str; the owner is the memory it was loaded into. */
#pragma once
#include "base/str.h"

struct secret {
    struct str hidden; /* read it through secret_reveal() */
};

static inline struct str
secret_reveal(struct secret s)
{
    return s.hidden;
}

static inline bool
secret_empty(struct secret s)
{
    return s.hidden.n == 0;
}

/* What people may see. */
static inline struct str
secret_text(struct secret s)
{
    return secret_empty(s) ? STR("") : STR("<secret>");
}
