/* base/regex.h: RE2 behind a C header, with the syntax and the error texts of Go's regexp/syntax.
 *
 * Linear time in the text, whatever the pattern. Immutable once compiled: any number of threads may
 * match at once. Patterns are anchored at both ends and `.` matches newlines when REGEX_ANCHORED is
 * given, as label matchers and relabelling want it ("^(?s:" pattern ")$"). */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct regex;

enum regex_flags {
    REGEX_ANCHORED = 1,
    /* With REGEX_ANCHORED: the pattern must compile by itself, and errors quote it bare ("missing
     * closing ): `a(`"), as label matchers do. Relabelling does not ask for it: there errors quote
     * the anchored form, and `a)(b` is a pattern. */
    REGEX_MATCHER = 2
};

/* NULL and ERR_INVALID with Go's wording ("error parsing regexp: missing closing ): `^(?s:a()$`")
 * when it does not compile; patterns over REGEX_PATTERN_BYTES_MAX are refused with ERR_LIMIT.
 * regex_unref() releases. */
struct regex *regex_compile(struct str pattern, unsigned flags, struct error *err);
struct regex *regex_ref(struct regex *re);
void regex_unref(struct regex *re); /* accepts NULL */

#define REGEX_PATTERN_BYTES_MAX (1u << 20)

/* The pattern as given, without the anchors. Borrowed. */
struct str regex_pattern(const struct regex *re);
bool regex_match(const struct regex *re, struct str text);

/* Appends the expansion of `tmpl` ($1, ${name}, $$) for the match of re in text, as Go's
 * Regexp.ExpandString; false (nothing appended) when text does not match. Used by relabelling and
 * label_replace. */
bool regex_expand(const struct regex *re, struct str text, struct str tmpl, struct buf *out);
/* Go's Regexp.ReplaceAllString(text, tmpl) for unanchored patterns (templates' reReplaceAll). */
void regex_replace_all(const struct regex *re, struct str text, struct str tmpl, struct buf *out);

/* What is known without matching: a finite set of literals (`a|b|c`, `web-(1|2)`), a literal prefix
 * or suffix that every match has. Borrowed from re. set_nr is 0 when the set is not known; at most
 * REGEX_SET_MAX members. */
#define REGEX_SET_MAX 1000
size_t regex_set(const struct regex *re, const struct str **literals);
struct str regex_prefix(const struct regex *re);
/* True when every text matches (".*"); false is "not known". */
bool regex_matches_all(const struct regex *re);
/* True when re matches the empty text. */
bool regex_matches_empty(const struct regex *re);
