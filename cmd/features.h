/* cmd/features.h: what /api/v1/features says: every feature of Prometheus 3.14 by category, and
 * whether this server has it on.
 *
 * Names are Prometheus's; a feature that is not built yet is false, whatever Prometheus would say
 * of itself. */
#pragma once
#include "cmd/flags.h"
#include "http/http.h"

/* Sorted by category, then name; in the arena. */
struct http_feature *features_list(const struct flags *flags, struct arena *arena, size_t *nr);
