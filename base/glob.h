/* base/glob.h: file names by pattern, as Go's filepath.Glob for patterns with wildcards in the last
 * element only.
 *
 * That is all that configuration files allow. `*`, `?`, `[a-z]`, `[^a-z]` and `\` as in Go; a
 * directory that is missing or cannot be read holds no match. Pure functions over a struct io. */
#pragma once
#include "base/arena.h"
#include "base/conf_types.h"
#include "base/io.h"

/* Existing paths that match, sorted bytewise; strings and list in the arena. ERR_INVALID for a
 * malformed pattern. */
MUST_CHECK bool glob_list(const struct io *io, struct str pattern, struct arena *arena,
                          struct conf_strs *paths, struct error *err);
