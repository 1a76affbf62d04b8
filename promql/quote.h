/* promql/quote.h: string literals both ways: PromQL's unquoting and Go's strconv.Quote.
 *
 * Pure functions; thread-safe. */
#pragma once
#include "base/buf.h"

/* The longest literal is the text itself, so `out` never grows past text.n bytes. Takes a whole
 * literal with its quotes ("..", '..', `..`); false when it is malformed, and then out holds a
 * part. The result may hold any bytes
 * (\xff). */
MUST_CHECK bool unquote(struct str text, struct buf *out);

/* Appends text in double quotes as Go's strconv.Quote does: printable runes as they are, \n, \x00,
 * \u200b, and \xff for bytes that are not UTF-8. */
void quote(struct buf *out, struct str text);
/* The same for a rune in single quotes; what is no rune shows as U+FFFD. */
void quote_rune(struct buf *out, uint32_t rune);

/* Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
bool rune_is_print(uint32_t rune);

void rune_put(struct buf *out, uint32_t rune);
