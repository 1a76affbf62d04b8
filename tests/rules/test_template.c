/* The template engine against the shared cases, and the corners of Go's language that alerts meet.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/mem.h"
#include "rules/template_priv.h"

#define T_MS INT64_C(1353755652000)

/* The vector that query() gives in a case. */
struct fake_query {
    json_t *samples;
};

static bool
fake_query(void *arg, struct str expr, int64_t t_ms, struct query_result *result, struct error *err)
{
    struct fake_query *q = arg;
    size_t nr = json_array_size(q->samples);

    *result = (struct query_result){ .type = VALUE_VECTOR, .series_nr = nr };
    result->arena = MEM_NEW(struct arena);
    arena_init(result->arena, SIZE_MAX);
    result->series = ARENA_NEW_ARRAY(result->arena, struct result_series, nr);
    for (size_t i = 0; i < nr; i++) {
        json_t *s = json_array_get(q->samples, i);
        const char *name;
        json_t *value;
        struct labels_builder b;
        double *v = ARENA_NEW(result->arena, double);
        labels_builder_init(&b);
        json_object_foreach(json_object_get(s, "metric"), name, value)
            labels_builder_set(&b, str_c(name), str_c(json_string_value(value)));
        result->series[i].labels = labels_builder_finish(&b, result->arena);
        labels_builder_fini(&b);
        cr_assert(decimal_parse(str_c(json_string_value(json_object_get(s, "v"))), v));
        result->series[i].v = v;
        result->series[i].nr = 1;
    }
    return true;
}

/* The engine itself is not linked into what these tests exercise: the result is made above. */
static struct tvalue
value_of(struct arena *a, const char *type, const char *text)
{
    struct tvalue v = { .type = type };

    if (strcmp(type, "float64") == 0) {
        v.kind = TV_FLOAT;
        cr_assert(decimal_parse(str_c(text), &v.f));
    } else if (strcmp(type, "string") == 0) {
        v.kind = TV_STRING;
        v.s = arena_str(a, str_c(text));
    } else if (type[0] == 'u') {
        v.kind = TV_UINT;
        v.u = strtoull(text, NULL, 10);
    } else {
        v.kind = TV_INT;
        v.i = strtoll(text, NULL, 10);
    }
    return v;
}

static struct tvalue
input_of(struct arena *a, json_t *input)
{
    struct tvalue v = { .kind = TV_NONE };
    const char *key;
    json_t *value, *list = json_object_get(input, "list_of");

    if (list != NULL) {
        json_t *values = json_object_get(input, "values");
        v.kind = TV_LIST;
        v.list.nr = json_array_size(values);
        v.list.v = ARENA_NEW_ARRAY(a, struct tvalue, v.list.nr);
        for (size_t i = 0; i < v.list.nr; i++)
            v.list.v[i] =
                value_of(a, json_string_value(list), json_string_value(json_array_get(values, i)));
    } else if (json_is_object(input)) {
        json_object_foreach(input, key, value) v = value_of(a, key, json_string_value(value));
    }
    return v;
}

static void
run_case(json_t *c, unsigned *passed)
{
    struct str text = str_c(json_string_value(json_object_get(c, "text")));
    struct fake_query query = { json_object_get(c, "query_result") };
    struct template_env env = { T_MS, STR("http://testhost:9090/path/prefix"), fake_query, &query };
    struct error err = { 0 };
    struct buf out = { 0 };
    struct arena arena;
    json_t *option;
    size_t i;
    bool missing_is_error = false, ok = false;

    json_array_foreach(json_object_get(c, "options"), i, option) missing_is_error |=
        strcmp(json_string_value(option), "missingkey=error") == 0;
    arena_init(&arena, SIZE_MAX);
    struct tvalue input = input_of(&arena, json_object_get(c, "input"));
    struct template *t = template_parse_text(STR("test"), text, &err);
    if (t == NULL)
        error_wrap(&err, "error parsing template test");
    else if (template_execute(t, &input, &env, missing_is_error, &out, &err))
        ok = true;
    else
        error_wrap(&err, "error executing template test");
    const char *want = json_string_value(json_object_get(c, ok ? "output" : "error"));
    const char *got = ok ? buf_z(&out) : error_text(&err);
    cr_expect(ok == json_is_true(json_object_get(c, "ok")), "%.*s: %s", STR_ARG(text), got);
    cr_expect(want != NULL && strcmp(got, want) == 0, "%.*s: got %s, want %s", STR_ARG(text), got,
              want);
    *passed += want != NULL && strcmp(got, want) == 0;
    template_free(t);
    buf_fini(&out);
    error_clear(&err);
    arena_fini(&arena);
}

Test(template, passes_the_shared_cases)
{
    const char *dir = getenv("NARTHEX_CONFORMANCE");
    char path[4096], *line = NULL;
    unsigned passed = 0, cases = 0, html = 0;
    size_t cap = 0;

    snprintf(path, sizeof path, "%s/template/template.jsonl",
             dir != NULL ? dir : SOURCE_DIR "/../shared/conformance");
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        printf("SKIP the shared template cases are not here\n");
        return;
    }
    while (getline(&line, &cap, f) > 0) {
        json_t *c = json_loads(line, 0, NULL);
        cr_assert_not_null(c);
        if (json_is_true(json_object_get(c, "html"))) {
            html++; /* console templates, which this server does not have */
        } else {
            cases++;
            run_case(c, &passed);
        }
        json_decref(c);
    }
    free(line);
    fclose(f);
    printf("%u of %u template cases passed, %u of html/template left out\n", passed, cases, html);
    cr_assert_eq(passed, cases);
}

/* What an alert's text becomes; errors as their text. */
static void
expand(const char *text, char *out, size_t out_bytes)
{
    static const struct label labels[] = { { STR("instance"), STR("a:1") },
                                           { STR("job"), STR("<node>") } };
    static const struct label external[] = { { STR("site"), STR("lab") } };
    struct template_alert alert = { { labels, 2 }, { external, 1 }, STR("http://x/p"), 0.25, NULL };
    struct template_env env = { .t_ms = T_MS, .external_url = STR("http://x/p") };
    struct error err = { 0 };
    struct buf b = { 0 };
    struct template *t = template_parse(STR("__alert_X"), str_c(text), &err);

    if (t != NULL && template_expand(t, &alert, &env, &b, &err))
        snprintf(out, out_bytes, "%s", buf_z(&b));
    else
        snprintf(out, out_bytes, "%s", error_text(&err));
    template_free(t);
    buf_fini(&b);
    error_clear(&err);
}

static const struct {
    const char *text, *want;
} cases[] = {
    { "{{ $labels.instance }} is {{ $value }}", "a:1 is 0.25" },
    { "{{ .Labels.job }} {{ $externalLabels.site }} {{ $externalURL }}", "<node> lab http://x/p" },
    { "{{ $labels.missing }}|", "|" },
    { "{{ $labels }}", "map[instance:a:1 job:<node>]" },
    { "{{ printf \"%.1f %s %5d|%-5s|%q\" $value $labels.job 7 \"x\" \"y\" }}",
      "0.2 <node>     7|x    |\"y\"" },
    { "{{ printf \"%d\" $value }}", "%!d(float64=0.25)" },
    { "{{ if gt $value 0.1 }}high{{ else if eq $value 0.0 }}zero{{ else }}low{{ end }}", "high" },
    { "{{ if and (gt $value 0.1) (lt $value 0.2) }}a{{ else }}b{{ end }}", "b" },
    { "{{ with $labels.job }}[{{ . }}]{{ end }}{{ with $labels.no }}x{{ else }}none{{ end }}",
      "[<node>]none" },
    { "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "instance=a:1;job=<node>;" },
    { "{{ range $k, $v := $labels }}{{ if eq $k \"job\" }}{{ break }}{{ end }}{{ $k }}{{ end }}",
      "instance" },
    { "{{ range 3 }}{{ . }}{{ end }}", "012" },
    { "a {{- 1 -}} b", "a1b" },
    { "{{/* nothing */}}x{{- /* trimmed */ -}} y", "xy" },
    { "{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" $value }}", "<0.25>" },
    { "{{ block \"b\" $labels.job }}({{ . }}){{ end }}", "(<node>)" },
    { "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2" },
    { "{{ len $labels }} {{ index $labels \"job\" }} {{ slice \"abcdef\" 1 3 }}", "2 <node> bc" },
    { "{{ html $labels.job }} {{ urlquery \"a b&c\" }} {{ js \"it's\" }}",
      "&lt;node&gt; a+b%26c it\\'s" },
    { "{{ not true }} {{ or \"\" \"x\" }} {{ and 1 0 }} {{ ne 1 2 }}", "false x 0 true" },
    { "{{ print 1 2 \"x\" 3 4 }}", "1 2x3 4" },
    { "{{ 0x10 }} {{ 1e3 }} {{ 'a' }} {{ `raw\\n` }} {{ \"\\u00e9\\x41\\101\" }}",
      "16 1000 97 raw\\n \u00e9AA" },
    { "{{ (args 1 \"b\").arg1 }}", "b" },
    { "{{ title \"one two\" }} {{ match \"b+\" \"abbc\" }}", "One Two true" },
    { "{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", "a" },
    { "{{ externalURL }}{{ pathPrefix }}", "http://x/p/p" },
    { "{{ $value | humanizePercentage }}", "25%" },
    /* errors, with the column after Prometheus's prefix of 112 bytes */
    { "{{ $labels.x.y }}", "error executing template __alert_X: template: __alert_X:1:122: "
                           "executing \"__alert_X\" at <$labels.x.y>: can't "
                           "evaluate field y in type string" },
    { "{{ nope }}", "template: __alert_X:1: function \"nope\" not defined" },
    { "{{ $nope }}", "template: __alert_X:1: undefined variable \"$nope\"" },
    { "{{ if true }}", "template: __alert_X:1: unexpected EOF" },
    { "x\n{{ end }}", "template: __alert_X:2: unexpected {{end}}" },
    { "{{ \"x }}", "template: __alert_X:1: unterminated quoted string" },
    { "{{ break }}", "template: __alert_X:1: {{break}} outside {{range}}" },
    { "{{ humanize }}",
      "error executing template __alert_X: template: __alert_X:1:115: executing \"__alert_X\" at "
      "<humanize>: wrong number of args for humanize: want 1 got 0" },
    { "{{ .Nothing.There }}",
      "error executing template __alert_X: template: __alert_X:1:123: executing \"__alert_X\" at "
      "<.Nothing.There>: can't evaluate field Nothing in type struct { Labels map[string]string; "
      "ExternalLabels map[string]string; ExternalURL string; Value interface {} }" },
    { "{{ query \"up\" }}",
      "error executing template __alert_X: template: __alert_X:1:115: executing \"__alert_X\" at "
      "<query \"up\">: error calling query: queries are not available here" },
};

Test(template, expands_alert_texts)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[1024];
        expand(cases[i].text, got, sizeof got);
        cr_expect_str_eq(got, cases[i].want, "%s: %s", cases[i].text, got);
    }
}

Test(template, stops_endless_output_and_recursion)
{
    char got[1024];

    expand("{{ range 1000000000 }}{{ end }}", got, sizeof got);
    cr_expect_not_null(strstr(got, "template runs for too long"), "%s", got);
    expand("{{ range 100000 }}0123456789abcdef{{ end }}", got, sizeof got);
    cr_expect_not_null(strstr(got, "output is longer than 1048576 bytes"), "%s", got);
    expand("{{ define \"r\" }}{{ template \"r\" }}{{ end }}{{ template \"r\" }}", got, sizeof got);
    cr_expect_not_null(strstr(got, "exceeded maximum template depth (1000)"), "%s", got);
}

Test(template, refuses_deep_nesting)
{
    struct buf text = { 0 };
    char got[256];

    for (unsigned i = 0; i < 100000; i++)
        buf_c(&text, i == 0 ? "{{ (" : "(");
    expand(buf_z(&text), got, sizeof got);
    cr_expect_not_null(strstr(got, "template nested more than 100 deep"), "%s", got);
    buf_fini(&text);
}
