/* base/crc32c.h: CRC-32 with the Castagnoli polynomial, as every file of Prometheus carries it.
 *
 * crc32c(0, p, n) of the whole, or chained: crc32c(crc32c(0, a), b). The CPU's instruction is used
 * where there is one (chosen through base/kernels.h); all versions give the same value. Pure,
 * thread-safe. */
#pragma once
#include "base/str.h"

uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* The table version, always: what the wide ones are compared with. */
uint32_t crc32c_plain(uint32_t crc, const void *p, size_t n);
