/* promql/series_hist.h: {{...}} within a series description. Shared by series_desc.c and
 * series_hist.c only. */
#pragma once
#include "model/histogram.h"
#include "promql/parse_priv.h"

/* From "{{" to "}}". False on a syntax error. *hint_set says whether counter_reset_hint is there.
 */
bool series_hist_parse(struct parser *p, const struct histogram **h, bool *hint_set);
