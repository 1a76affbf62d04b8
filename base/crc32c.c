/* Three versions of one value: a slicing-by-8 table, SSE 4.2 and the arm64 CRC extension. One
 * stream of the CPU's instruction does 8 bytes in 3 cycles, about 8 GB/s: records are short, so
 * interleaved streams would not pay. */
#include "base/crc32c.h"

#include <pthread.h>

#include "base/kernels.h"

#define CRC32C_POLYNOMIAL 0x82F63B78u /* reflected */

static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void
table_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? CRC32C_POLYNOMIAL : 0);
        crc_table[0][i] = crc;
    }
    for (int row = 1; row < 8; row++) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t before = crc_table[row - 1][i];
            crc_table[row][i] = before >> 8 ^ crc_table[0][before & 0xFF];
        }
    }
}

static uint64_t
load_le64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static uint32_t
crc_plain(uint32_t crc, const uint8_t *p, size_t n)
{
    pthread_once(&crc_once, table_fill);
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word = load_le64(p) ^ crc;
        crc = 0;
        for (unsigned i = 0; i < 8; i++)
            crc ^= crc_table[7 - i][word >> (8 * i) & 0xFF];
    }
    for (; n > 0; p++, n--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 0xFF];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_wide(uint32_t crc32, const uint8_t *p, size_t n)
{
    uint64_t crc = crc32;

    for (; n >= 8; p += 8, n -= 8)
        crc = __builtin_ia32_crc32di(crc, load_le64(p));
    uint32_t low = (uint32_t)crc;
    for (; n > 0; p++, n--)
        low = __builtin_ia32_crc32qi(low, *p);
    return low;
}
#elif defined(__aarch64__)
#include <arm_acle.h>
__attribute__((target("+crc"))) static uint32_t
crc_wide(uint32_t crc, const uint8_t *p, size_t n)
{
    for (; n >= 8; p += 8, n -= 8)
        crc = __crc32cd(crc, load_le64(p));
    for (; n > 0; p++, n--)
        crc = __crc32cb(crc, *p);
    return crc;
}
#else
static uint32_t
crc_wide(uint32_t crc, const uint8_t *p, size_t n)
{
    return crc_plain(crc, p, n);
}
#endif

uint32_t
crc32c_plain(uint32_t crc, const void *p, size_t n)
{
    return ~crc_plain(~crc, p, n);
}

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
    const struct cpu_features *cpu = cpu_features();

    if (LIKELY(cpu->sse42 || cpu->arm_crc))
        return ~crc_wide(~crc, p, n);
    return crc32c_plain(crc, p, n);
}
