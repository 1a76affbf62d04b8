/* http/paths.h: paths of requests as Go's multiplexer and net/url treat them. Pure. */
#pragma once
#include "base/arena.h"

/* "/a//b/../c" is "/a/c"; a slash at the end stays. */
struct str path_clean(struct arena *a, struct str path);
/* A decoded path as one writes it in a URL: nothing that could end a header line or begin a query.
 */
struct str path_escape(struct arena *a, struct str path);
