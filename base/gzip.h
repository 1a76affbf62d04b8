/* base/gzip.h: compressed bodies, both ways, under a limit: a bomb stops at bytes_max.
 *
 * Pure functions over the caller's memory; thread-safe. Whole bodies go through libdeflate, which
 * inflates three times as fast as zlib; what it cannot take (several members, sizes that do not add
 * up) is streamed through zlib. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

enum gzip_format {
    GZIP_GZIP,    /* Content-Encoding: gzip */
    GZIP_DEFLATE, /* Content-Encoding: deflate: zlib's wrapper */
    GZIP_ZSTD
};

/* Appends the decoded bytes to out. ERR_LIMIT when they are more than bytes_max, ERR_CORRUPT when
 * they do not decode or end early; then out is as it was. */
MUST_CHECK bool gzip_decode(enum gzip_format format, struct bytes in, size_t bytes_max,
                            struct buf *out, struct error *err);

/* Appends the encoded bytes to out. Never fails. */
void gzip_encode(enum gzip_format format, struct bytes in, struct buf *out);
