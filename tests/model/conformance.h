/* tests/model/conformance.h: finding and reading the shared conformance data. */
#pragma once
#include <jansson.h>
#include "base/str.h"

/* Calls fn for each line of a JSON-lines file below the conformance directory; prints "skipped"
 * when it is not there. */
typedef bool (*conformance_fn)(json_t *line);
/* True unless fn said no for some line; prints how many passed. */
bool conformance_each(const char *relative, conformance_fn fn);
struct str conformance_str(json_t *text);
