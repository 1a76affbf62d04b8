/* base/units.h: byte sizes as people write them, in powers of 1024: "15MB" and "15MiB" are the
 * same.
 *
 * Several parts add up ("1GB512MB"), fractions are allowed ("1.5GB"), a number without a unit is
 * not, except 0. Pure functions. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

#define UNITS_TEXT_MAX 96

MUST_CHECK bool units_bytes_parse(struct str text, int64_t *bytes, struct error *err);
/* The canonical form, NUL-terminated: 15728640 -> "15MiB", 0 -> "0B", 1025 -> "1KiB1B". Returns
 * out. */
const char *units_bytes_text(int64_t bytes, char out[UNITS_TEXT_MAX]);
