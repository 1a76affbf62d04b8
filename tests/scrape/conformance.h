/* tests/scrape/conformance.h: the shared textparse cases: NNN.in is a page, NNN.jsonl what it
 * holds. */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "scrape/parse.h"

/* The directory of shared cases, or NULL when it is not here. */
const char *conformance_dir(char path[4096]);
bool read_whole(const char *path, struct buf *out);

/* One case: page against expectations. Prints the first difference. */
bool textparse_case(const char *dir, const char *kind, const char *name);
/* All cases of a kind: counts. */
struct case_counts {
    unsigned passed, failed;
    bool here;
};
struct case_counts textparse_all(const char *kind);
