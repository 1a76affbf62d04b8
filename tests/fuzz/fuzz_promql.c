/* Any bytes as a query: it is refused with a place inside the text, or printed in a form that
 * parses again to the same text. */
#include <stdlib.h>
#include "promql/ast_json.h"
#include "promql/parser.h"
#include "promql/printer.h"

static const struct promql_parse_options options = {
    .experimental_functions = true,
    .duration_expressions = true,
    .extended_ranges = true,
    .fill_modifiers = true,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Parses and prints; false when refused. */
static bool
print_again(struct str text, struct buf *out)
{
    struct promql_errors errors = { 0 };
    struct buf other = { 0 };
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    struct expr *e = promql_parse_all(&arena, text, &options, &errors);
    for (size_t i = 0; i < errors.nr; i++)
        ASSERT(errors.items[i].pos.start <= text.n && errors.items[i].msg.n != 0);
    ASSERT((e == NULL) == (errors.nr != 0));
    if (e != NULL) {
        expr_print(e, out);
        expr_print_pretty(e, &other);
        expr_json(e, &other);
        struct error err = { 0 };
        error_ignored(promql_resolve_durations(e, 0, 3600000, 15000, &err));
        error_clear(&err);
    }
    expr_fini(e);
    arena_fini(&arena);
    buf_fini(&other);
    return e != NULL;
}

/* A range under a millisecond prints as 0s, which is refused. */
static bool
has_zero_range(const struct buf *text)
{
    const char *z = (const char *)text->p;

    return memmem(z, text->n, "[0s", 3) != NULL || memmem(z, text->n, "0s]", 3) != NULL ||
           memmem(z, text->n, "[-", 2) != NULL || memmem(z, text->n, ":-", 2) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf first = { 0 }, second = { 0 }, third = { 0 };

    if (n <= 65536 && print_again((struct str){ (const char *)data, n }, &first) &&
        first.n <= 65536 && !has_zero_range(&first)) {
        ASSERT(print_again(buf_as_str(&first), &second));
        ASSERT(print_again(buf_as_str(&second), &third));
        ASSERT(str_eq(buf_as_str(&second), buf_as_str(&third)));
    }
    buf_fini(&first);
    buf_fini(&second);
    buf_fini(&third);
    return 0;
}
