#include "fuzz_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_page(PAGE_TEXT, data, n);
    return 0;
}
