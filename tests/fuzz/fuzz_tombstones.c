/* A tombstones file with its checksum made right. What parses prints and parses to the same. */
#include "base/crc32c.h"
#include "base/mem.h"
#include "tsdb/tombstones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct tombstones t = { 0 }, again = { 0 };
    struct error err = { 0 };
    struct buf file = { 0 };

    uint8_t *p = mem_dup(data, n);
    if (n >= 9) {
        uint32_t crc = __builtin_bswap32(crc32c(0, p + 5, n - 9));
        memcpy(p + n - 4, &crc, sizeof crc);
    }
    if (tombstones_parse(&t, (struct bytes){ p, n }, &err)) {
        tombstones_print(&t, &file);
        ASSERT(tombstones_parse(&again, buf_as_bytes(&file), &err));
        ASSERT(tombstones_ranges_nr(&t) == tombstones_ranges_nr(&again));
    }
    tombstones_fini(&t);
    tombstones_fini(&again);
    buf_fini(&file);
    error_clear(&err);
    mem_free(p);
    return 0;
}
