/* parser/expr.jsonl: text to canonical form, pretty form, syntax tree as JSON, or errors with their
 * places. */
#include <criterion/criterion.h>
#include "conformance.h"
#include "promql/ast_json.h"
#include "promql/parser.h"
#include "promql/printer.h"

static const struct promql_parse_options by_default = { .duration_expressions = true };
static const struct promql_parse_options experimental = {
    .experimental_functions = true,
    .duration_expressions = true,
    .extended_ranges = true,
    .fill_modifiers = true,
};

static bool
differs(const char *what, const json_t *want, struct str got)
{
    if (!json_is_string(want))
        return false;
    struct str w = { json_string_value(want), json_string_length(want) };
    if (str_eq(w, got))
        return false;
    fprintf(stderr, "  %s:\n    want %.*s\n    got  %.*s\n", what, STR_ARG(w), STR_ARG(got));
    return true;
}

/* True when the tree is the wanted one. */
static bool
ast_matches(const json_t *want, const struct expr *e)
{
    struct buf text = { 0 };
    json_error_t err;

    if (want == NULL)
        return true;
    expr_json(e, &text);
    json_t *got = json_loadb((const char *)text.p, text.n, JSON_ALLOW_NUL, &err);
    bool same = got != NULL && json_equal(got, want);
    if (!same) {
        char *w = json_dumps(want, JSON_COMPACT | JSON_SORT_KEYS);
        fprintf(stderr, "  ast:\n    want %s\n    got  %s\n", w, buf_z(&text));
        free(w);
    }
    json_decref(got);
    buf_fini(&text);
    return same;
}

static bool
tree_matches(const json_t *want, const struct expr *e)
{
    struct buf canonical = { 0 }, pretty = { 0 };
    bool ok = true;

    expr_print(e, &canonical);
    expr_print_pretty(e, &pretty);
    ok &= !differs("type", json_object_get(want, "type"), str_c(value_type_text(e->type)));
    ok &= !differs("canonical", json_object_get(want, "canonical"), buf_as_str(&canonical));
    ok &= !differs("pretty", json_object_get(want, "pretty"), buf_as_str(&pretty));
    ok &= ast_matches(json_object_get(want, "ast"), e);
    buf_fini(&canonical);
    buf_fini(&pretty);
    return ok;
}

static bool
errors_match(const json_t *want, struct str text, const struct promql_errors *errors)
{
    const json_t *list = json_object_get(want, "errors");
    struct error err = { 0 };
    bool ok = json_array_size(list) == errors->nr;

    for (size_t i = 0; i < errors->nr; i++) {
        const json_t *w = json_array_get(list, i);
        const struct promql_error *e = &errors->items[i];

        ok &= json_integer_value(json_object_get(w, "start")) == e->pos.start;
        ok &= json_integer_value(json_object_get(w, "end")) == e->pos.end;
        ok &= json_is_string(json_object_get(w, "msg")) &&
              str_is(e->msg, json_string_value(json_object_get(w, "msg")));
        if (!ok) {
            fprintf(stderr, "  error %zu: %u-%u %.*s\n", i, e->pos.start, e->pos.end,
                    STR_ARG(e->msg));
            break;
        }
    }
    if (errors->nr != 0) {
        promql_error_set(&err, text, &errors->items[0]);
        ok &= !differs("error", json_object_get(want, "error"), str_c(error_text(&err)));
        error_clear(&err);
    }
    return ok;
}

static bool
row_passes(const json_t *row, const char *key, const struct promql_parse_options *options)
{
    const json_t *want = json_object_get(row, key);
    struct promql_errors errors = { 0 };
    struct buf input = { 0 };
    struct arena arena;

    if (!json_is_object(want)) /* "same" */
        want = json_object_get(row, "default");
    cr_assert(conformance_text(row, "input", &input));
    arena_init(&arena, SIZE_MAX);
    struct expr *e = promql_parse_all(&arena, buf_as_str(&input), options, &errors);
    bool ok = (e != NULL) == json_is_true(json_object_get(want, "ok"));
    ok =
        ok && (e != NULL ? tree_matches(want, e) : errors_match(want, buf_as_str(&input), &errors));
    if (!ok)
        fprintf(stderr, "%s failed: %.200s\n", key, buf_z(&input));
    expr_fini(e);
    arena_fini(&arena);
    buf_fini(&input);
    return ok;
}

Test(conformance_expr, every_row)
{
    FILE *f = conformance_open("parser/expr.jsonl");
    size_t nr = 0, passed = 0;
    json_t *row;

    if (f == NULL) {
        fprintf(stderr, "parser/expr.jsonl: all cases skipped, there is no conformance data\n");
        return;
    }
    while ((row = conformance_next(f)) != NULL) {
        bool ok = row_passes(row, "default", &by_default);

        ok = row_passes(row, "experimental", &experimental) && ok;
        nr++;
        passed += ok;
        json_decref(row);
    }
    fclose(f);
    fprintf(stderr, "parser/expr.jsonl: %zu of %zu passed\n", passed, nr);
    cr_assert_eq(passed, nr);
}
