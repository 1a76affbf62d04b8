/* base/quote.h: text in double quotes as Go's strconv.Quote (and %q) writes it: error messages,
 * matchers, logs.
 *
 * Pure functions. Bytes that are not UTF-8 become \xNN, control and other unprintable runes \a, \n,
 * \x1b, \u200b, \U0010ffff. What is printable is decided by ranges (controls, separators, format
 * characters, private use, noncharacters); unassigned code points count as printable, unlike in Go.
 */
#pragma once
#include "base/buf.h"

void quote_go(struct str s, struct buf *out);
