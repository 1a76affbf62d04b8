/* cmd/external_url.h: under which URL users reach the server, and where its routes start, from the
 * flags. Pure; results on the heap. */
#pragma once
#include "base/error.h"
#include "base/str.h"

struct external_url {
    char *url;          /* http://host:9090/prefix, no trailing slash */
    char *route_prefix; /* "/" or "/prefix" */
};

/* flag: --web.external-url, may be empty: http://<hostname>:<port of listen>/. prefix:
 * --web.route-prefix; empty: the URL's path. */
MUST_CHECK bool external_url_make(struct str flag, struct str prefix, struct str hostname,
                                  struct str listen, struct external_url *out, struct error *err);
void external_url_fini(struct external_url *u);
