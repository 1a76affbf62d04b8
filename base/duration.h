/* base/duration.h: durations as people write them: "1h30m" of configuration files and "1.5s" of Go.
 *
 * The first form is Prometheus's: whole numbers with the units y, w, d, h, m, s, ms, each at most
 * once and from large to small; "0" alone; never negative. A year has 365 days. It counts
 * milliseconds and ends where Go's does (2^63 - 1 nanoseconds). Pure functions. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

#define DURATION_MS_MAX   (INT64_MAX / 1000000)
#define DURATION_TEXT_MAX 64

/* ERR_INVALID in Prometheus's words: `not a valid duration string: "x"`, `unknown unit "x" in
 * duration "1x"`. */
MUST_CHECK bool duration_parse(struct str text, int64_t *ms, struct error *err);

/* Writes the canonical form, NUL-terminated, and returns it: 90000 -> "1m30s", 0 -> "0s". Weeks and
 * years only when nothing is left over (90d, not 12w6d). */
const char *duration_text(int64_t ms, char out[DURATION_TEXT_MAX]);
void duration_print(int64_t ms, struct buf *out);

/* Go's time.ParseDuration and Duration.String: "1h15m30.918s", "2ms", "1.5h", a sign, units ns, us,
 * ms, s, m, h. */
MUST_CHECK bool duration_go_parse(struct str text, int64_t *ns, struct error *err);
const char *duration_go_text(int64_t ns, char out[DURATION_TEXT_MAX]);
