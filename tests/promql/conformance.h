/* tests/promql/conformance.h: where the shared conformance cases are, and reading JSON lines. */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/error.h"

/* Opens <conformance>/<path>; NULL when there is none. The directory is $NARTHEX_CONFORMANCE or
 * ../shared/conformance next to the source tree. */
FILE *conformance_open(const char *path);
/* The full path, in a static buffer; false when it cannot be read. */
bool conformance_path(const char *path, char *out, size_t out_bytes);

/* The next line as JSON, or NULL at the end. The caller calls json_decref(). */
json_t *conformance_next(FILE *f);

/* A string member, also one given as <key>_b64; the caller frees with buf_fini(). False when there
 * is none. */
bool conformance_text(const json_t *row, const char *key, struct buf *out);

/* The whole file; the caller frees with buf_fini(). */
MUST_CHECK bool read_file(const char *path, struct buf *out, struct error *err);
