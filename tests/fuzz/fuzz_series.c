/* Any bytes as a series description: refused, or read within the limit. */
#include <stdlib.h>
#include "promql/series_desc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct error err = { 0 };
    struct series_desc s;
    struct arena arena;
    struct buf text = { 0 };

    arena_init(&arena, 64u << 20);
    if (series_desc_parse(&arena, (struct str){ (const char *)data, n }, &s, &err)) {
        ASSERT(s.nr <= SERIES_DESC_VALUES_MAX);
        for (size_t i = 0; i < s.nr && i < 10; i++) {
            if (!s.values[i].omitted && s.values[i].h != NULL)
                series_desc_print_histogram(s.values[i].h, &arena, &text);
        }
    }
    error_clear(&err);
    buf_fini(&text);
    arena_fini(&arena);
    return 0;
}
