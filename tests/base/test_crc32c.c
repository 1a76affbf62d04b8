#include "base/crc32c.h"

#include <criterion/criterion.h>

/* RFC 3720, B.4, and the check value of the catalogue. */
Test(crc32c, gives_known_values)
{
    uint8_t zeros[32] = { 0 }, ones[32], up[32];

    for (uint8_t i = 0; i < 32; i++)
        ones[i] = 0xFF, up[i] = i;
    cr_expect_eq(crc32c(0, zeros, 32), 0x8A9136AAu);
    cr_expect_eq(crc32c(0, ones, 32), 0x62A8AB43u);
    cr_expect_eq(crc32c(0, up, 32), 0x46DD794Eu);
    cr_expect_eq(crc32c(0, "123456789", 9), 0xE3069283u);
    cr_expect_eq(crc32c(0, "", 0), 0);
}

Test(crc32c, wide_and_plain_agree_and_chain)
{
    uint8_t bytes[300];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 131 + i / 7);
    for (size_t start = 0; start < 9; start++) {
        for (size_t n = 0; start + n <= sizeof bytes; n++) {
            uint32_t want = crc32c_plain(0, bytes + start, n);
            cr_assert_eq(crc32c(0, bytes + start, n), want);
            cr_assert_eq(crc32c(crc32c(0, bytes + start, n / 3), bytes + start + n / 3, n - n / 3),
                         want);
        }
    }
}
