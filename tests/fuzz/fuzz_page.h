/* A page through its parser: labels, exemplars and start timestamp of every entry are asked for. */
#pragma once
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "scrape/parse.h"

static inline void
fuzz_page(enum page_format format, const uint8_t *data, size_t n)
{
    const struct parse_options options = { .type_and_unit_labels = n % 2 == 0,
                                           .skip_start_timestamp_series = n % 3 == 0,
                                           .keep_classic_histograms = n % 5 == 0,
                                           .convert_classic_histograms = n % 7 == 0 };
    struct page_parser p;
    struct buf page = { 0 };
    struct error err = { 0 };
    struct exemplar e;
    struct arena arena;
    enum parse_entry entry;

    buf_reserve(&page, n + 1);
    if (n != 0)
        buf_add(&page, data, n);
    arena_init(&arena, SIZE_MAX);
    page_parser_init(&p);
    page_parser_start(&p, format, &page, &options);
    while ((entry = page_parser_next(&p, &err)) != PARSE_END && entry != PARSE_ERROR) {
        if (entry != PARSE_SERIES && entry != PARSE_HISTOGRAM)
            continue;
        page_parser_labels(&p, &arena);
        while (page_parser_exemplar(&p, &e, &arena))
            ;
        page_parser_start_timestamp(&p);
    }
    if (entry == PARSE_ERROR && error_text(&err)[0] == 0)
        abort(); /* every refusal says why */
    error_clear(&err);
    page_parser_fini(&p);
    arena_fini(&arena);
    buf_fini(&page);
}
