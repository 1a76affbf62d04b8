/* base/regex_syntax.h: what regex.cc needs to know about a pattern without compiling it. Private to
 * base/.
 *
 * Patterns are Go's. Pure functions; thread-safe. */
#pragma once
#include "base/regex.h"

/* Appends `pattern` as RE2 wants it: (?<name>...) becomes (?P<name>...). False with Go's words when
 * the pattern uses what RE2 takes and Go does not (\C). */
MUST_CHECK bool regex_syntax_rewrite(struct str pattern, struct buf *out, struct error *err);

/* The start of every text that the (anchored) pattern matches. */
struct regex_starts {
    struct str *items; /* each item and the array are on the heap, sorted, without duplicates; nr 0:
                          nothing is known */
    size_t nr;
    bool whole; /* the items are all texts that match, not only how they start */
};

void regex_syntax_starts(struct str pattern, struct regex_starts *starts);
void regex_starts_fini(struct regex_starts *starts);
