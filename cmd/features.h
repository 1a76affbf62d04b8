/* cmd/features.h: which features of /api/v1/features the command line switched on.
 *
 * http/features.c knows every feature and what is built; here is only what hangs on a flag. Names
 * are Prometheus's. */
#pragma once
#include "cmd/flags.h"
#include "http/http.h"

/* In the arena. */
struct http_feature *features_list(const struct flags *flags, struct arena *arena, size_t *nr);
