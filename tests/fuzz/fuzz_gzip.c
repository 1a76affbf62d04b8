/* Compressed bodies of all formats under a limit: never more than the limit, and nothing kept after
 * a failure. */
#include "base/gzip.h"

#include <stdlib.h>

enum { LIMIT = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum gzip_format formats[] = { GZIP_GZIP, GZIP_DEFLATE, GZIP_ZSTD };

    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        struct buf out = { 0 };
        struct error err = { 0 };
        bool ok = gzip_decode(formats[i], (struct bytes){ data, n }, LIMIT, &out, &err);
        if (out.n > LIMIT || (!ok && (out.n != 0 || err.kind == ERR_NONE)))
            abort();
        buf_fini(&out);
        error_clear(&err);
    }
    return 0;
}
