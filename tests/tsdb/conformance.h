/* tests/tsdb/conformance.h: finding and reading the shared conformance data; without it a test says
 * what it skips. */
#pragma once
#include <jansson.h>
#include <stdio.h>
#include "base/error.h"
#include "base/mem.h"
#include "model/sample.h"

/* The path of a conformance file or directory in a static buffer, or NULL (then it says "skipped").
 */
const char *conformance_path(const char *relative);

/* Calls fn for each line of a JSON-lines file, plain or .gz. False when the file is not there. */
typedef void (*json_line_fn)(json_t *line, void *arg);
bool conformance_lines(const char *relative, json_line_fn fn, void *arg);

/* Bytes of a hex string; the caller frees. */
uint8_t *hex_bytes(const char *hex, size_t *n);
uint64_t hex_u64(const char *hex);

/* A histogram's JSON against a histogram; prints the first difference to why. */
bool histogram_is_json(const struct histogram *h, json_t *want, char *why, size_t why_bytes);
