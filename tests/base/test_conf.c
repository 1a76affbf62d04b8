/* base/conf: YAML into structs by tables, and back as Go writes it. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/conf.h"

struct inner {
    struct str name;
    int64_t port;
};

struct sample {
    bool b;
    int64_t i;
    uint64_t u;
    double f;
    int64_t duration_ms, bytes;
    struct str s;
    struct secret secret;
    int color;
    struct conf_strs list;
    struct conf_map map;
    struct inner block;
    struct inner *pointer;
    CONF_LIST(struct inner) blocks;
    struct conf_node *any;
    struct conf_url url;
};

static const struct conf_row inner_rows[] = {
    { .key = "name", .type = CONF_STR, .offset = offsetof(struct inner, name) },
    { .key = "port", .type = CONF_INT, .offset = offsetof(struct inner, port), .dflt = "80" },
};

static const struct conf_table inner_table = { .type = "t.Inner",
                                               .bytes = sizeof(struct inner),
                                               CONF_ROWS(inner_rows) };

static const char *const colors[] = { "", "red", "green", NULL };

#define AT(field_) .flags = CONF_OMITEMPTY, .offset = offsetof(struct sample, field_)

static const struct conf_row rows[] = {
    { .key = "b", .type = CONF_BOOL, AT(b) },
    { .key = "i", .type = CONF_INT, AT(i), .dflt = "7" },
    { .key = "u", .type = CONF_UINT, AT(u) },
    { .key = "f", .type = CONF_FLOAT, AT(f) },
    { .key = "duration", .type = CONF_DURATION, AT(duration_ms) },
    { .key = "bytes", .type = CONF_BYTES, AT(bytes) },
    { .key = "s", .type = CONF_STR, AT(s) },
    { .key = "secret", .type = CONF_SECRET, AT(secret) },
    { .key = "color", .type = CONF_ENUM, AT(color), .names = colors, .bad = "no color %q" },
    { .key = "list", .type = CONF_STRS, AT(list) },
    { .key = "map", .type = CONF_MAP, AT(map) },
    { .key = "block", .type = CONF_STRUCT, AT(block), .table = &inner_table },
    { .key = "pointer", .type = CONF_STRUCT_PTR, AT(pointer), .table = &inner_table },
    { .key = "blocks",
      .type = CONF_STRUCTS,
      AT(blocks),
      .table = &inner_table,
      .bad = "null block" },
    { .key = "any", .type = CONF_ANY, AT(any) },
    { .key = "url", .type = CONF_URL, AT(url) },
};

static const struct conf_table table = { .type = "t.Sample",
                                         .bytes = sizeof(struct sample),
                                         CONF_ROWS(rows) };

/* The text as it is written back, or the error; valid until the next call. */
static const char *
through(const char *text)
{
    static char out[4096];
    struct conf_pool *pool = conf_pool_new();
    struct error err = { 0 };
    struct buf got = { 0 };
    struct sample s;

    if (conf_load(pool, str_c(text), &table, &s, NULL, &err)) {
        conf_write(&table, &s, &got);
        snprintf(out, sizeof out, "%s", buf_z(&got));
    } else {
        snprintf(out, sizeof out, "error: %s", error_text(&err));
    }
    buf_fini(&got);
    error_clear(&err);
    conf_pool_unref(pool);
    return out;
}

#define REST "block:\n  name: \"\"\n  port: 80\n"

/* What Go's yaml.v2 makes of each. */
static const struct {
    const char *text, *want;
} cases[] = {
    { "", "i: 7\n" REST },
    { "# nothing\n", "i: 7\n" REST },
    { "b: yes", "b: true\ni: 7\n" REST },
    { "b: Off", "i: 7\n" REST },
    { "b: 'true'", "error: line 1: b: cannot unmarshal !!str `true` into bool" },
    { "i: 0x1F", "i: 31\n" REST },
    { "i: 017", "i: 15\n" REST },
    { "i: 0b101", "i: 5\n" REST },
    { "i: 1_000", "i: 1000\n" REST },
    { "i: 1.9", "i: 1\n" REST },
    { "i: 1e3", "i: 1000\n" REST },
    { "i: '1'", "error: line 1: i: cannot unmarshal !!str `1` into int" },
    { "i: 9223372036854775808", "error: line 1: i: cannot unmarshal !!int `9223372...` into int" },
    { "i: ~", REST },
    { "u: 18446744073709551615", "i: 7\nu: 18446744073709551615\n" REST },
    { "u: -1", "error: line 1: u: cannot unmarshal !!int `-1` into uint" },
    { "f: 1", "i: 7\nf: 1\n" REST },
    { "f: .5", "i: 7\nf: 0.5\n" REST },
    { "f: -.inf", "i: 7\nf: -.inf\n" REST },
    { "f: 1e100", "i: 7\nf: 1e+100\n" REST },
    { "duration: 90s", "i: 7\nduration: 1m30s\n" REST },
    { "duration: 90", "error: line 1: duration: not a valid duration string: \"90\"" },
    { "bytes: 1.5MB", "i: 7\nbytes: 1MiB512KiB\n" REST },
    { "s: yes", "i: 7\ns: \"yes\"\n" REST },
    { "s: 12:30:45", "i: 7\ns: \"12:30:45\"\n" REST },
    { "s: 2024-02-29", "i: 7\ns: \"2024-02-29\"\n" REST },
    { "s: 2023-02-29", "i: 7\ns: 2023-02-29\n" REST },
    { "s: \"a\\nb\"", "i: 7\ns: |-\n  a\n  b\n" REST },
    { "s: 'null'", "i: 7\ns: \"null\"\n" REST },
    { "s: null", "i: 7\n" REST },
    { "s: '<<'", "i: 7\ns: <<\n" REST },
    { "s: ''", "i: 7\n" REST },
    { "s: 'a: b'", "i: 7\ns: 'a: b'\n" REST },
    { "s: '# x'", "i: 7\ns: '# x'\n" REST },
    { "s: '$1'", "i: 7\ns: $1\n" REST },
    { "s: \"caf\\u00e9\"", "i: 7\ns: caf\xc3\xa9\n" REST },
    { "s: \"\\t\"", "i: 7\ns: \"\\t\"\n" REST },
    { "s: !!binary /w==", "i: 7\ns: !!binary /w==\n" REST },
    { "s: !!binary '!'", "error: line 1: s: !!binary value contains invalid base64 data" },
    { "s: [a]", "error: line 1: s: cannot unmarshal !!seq into string" },
    { "secret: hunter2", "i: 7\nsecret: <secret>\n" REST },
    { "color: red", "i: 7\ncolor: red\n" REST },
    { "color: blue", "error: line 1: color: no color \"blue\"" },
    { "list: [a, 1, ~]", "i: 7\nlist:\n- a\n- \"1\"\n- \"\"\n" REST },
    { "map: {z: 1, a10: x, a9: y, _: u}",
      "i: 7\nmap:\n  _: u\n  a9: \"y\"\n  a10: x\n  z: \"1\"\n" REST },
    { "map: {a: 1, a: 2}", "error: line 1: map.a: key \"a\" already set in map" },
    { "block: {name: x}", "i: 7\nblock:\n  name: x\n  port: 80\n" },
    { "block: ~", "i: 7\n" },
    { "pointer: {}", "i: 7\n" REST "pointer:\n  name: \"\"\n  port: 80\n" },
    { "blocks:\n- name: a\n- port: 1\n",
      "i: 7\n" REST "blocks:\n- name: a\n  port: 80\n- name: \"\"\n  port: 1\n" },
    { "blocks:\n- name: a\n-\n", "error: line 3: blocks[1]: null block" },
    { "blocks:\n- {name: a, x: 1}\n",
      "error: line 2: blocks[0].x: field x not found in type t.Inner" },
    { "any: {k: [1, 0x10, yes, 'no']}",
      "i: 7\n" REST "any:\n  k:\n  - 1\n  - 16\n  - true\n  - \"no\"\n" },
    { "url: http://u:p@h:1/x", "i: 7\n" REST "url: http://u:xxxxx@h:1/x\n" },
    { "url: ':'", "error: line 1: url: parse \":\": missing protocol scheme" },
    { "url: 'http://h:x'",
      "error: line 1: url: parse \"http://h:x\": invalid port \":x\" after host" },
    { "b: true\nb: false\n", "error: line 2: b: field b already set in type t.Sample" },
    { "<<: {i: 1}\nb: on\n", "b: true\ni: 1\n" REST },
    { "i: 2\n<<: {i: 1}\n", "i: 1\n" REST }, /* as v2: the later one wins */
    { "<<: [{i: 1}, {i: 2, u: 3}]\n", "i: 1\nu: 3\n" REST },
    { "<<: 5\n", "error: line 1: map merge requires map or sequence of maps as the value" },
    { "any: &x 1\ns: *x\n", "i: 7\ns: \"1\"\n" REST "any: 1\n" },
    { "s: *nope\n", "error: line 1: yaml: unknown anchor 'nope' referenced" },
    { "- a\n", "error: line 1: cannot unmarshal !!seq into t.Sample" },
    { "i: 1\n---\nnope: 2\n", "i: 1\n" REST }, /* only the first document counts */
    { "? [a]\n: b\n", "error: line 1: a key must be text" },
};

Test(conf, reads_and_writes_as_go_does)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_str_eq(through(cases[i].text), cases[i].want, "%s", cases[i].text);
}

Test(conf, refuses_a_text_that_multiplies_itself)
{
    struct buf text = { 0 };

    buf_c(&text, "any:\n- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&text, "- &a%d [", i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "%s*a%d", k == 0 ? "" : ", ", i - 1);
        buf_c(&text, "]\n");
    }
    cr_expect_not_null(strstr(through(buf_z(&text)), "excessive aliasing"));
    buf_fini(&text);
}

Test(conf, bounds_nesting_just_at_the_limit)
{
    for (int over = 0; over < 2; over++) {
        struct buf text = { 0 };
        buf_c(&text, "any: ");
        for (int i = 0; i < CONF_DEPTH_MAX + over; i++)
            buf_byte(&text, '[');
        for (int i = 0; i < CONF_DEPTH_MAX + over; i++)
            buf_byte(&text, ']');
        bool refused = strstr(through(buf_z(&text)), "nested deeper") != NULL;
        cr_expect_eq(refused, over == 1, "%d", over);
        buf_fini(&text);
    }
}

Test(conf, cleans_joined_paths)
{
    static const struct {
        const char *dir, *path, *want;
    } paths[] = {
        { "good", "a.yml", "good/a.yml" },
        { "good", "../a.yml", "a.yml" },
        { ".", "a", "a" },
        { "/x/y", "../../../a", "/a" },
        { "d", "/abs//x", "/abs//x" },
        { "d", "", "" },
        { ".", "../a", "../a" },
        { "..", "../a", "../../a" },
        { "a/b/", "./c/./d//e", "a/b/c/d/e" },
        { "a", "..", "." },
        { "/", "a", "/a" },
    };
    struct conf_pool *pool = conf_pool_new();

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct str got = conf_join_dir(pool, str_c(paths[i].dir), str_c(paths[i].path));
        cr_expect(str_is(got, paths[i].want), "%s + %s: %.*s", paths[i].dir, paths[i].path,
                  STR_ARG(got));
    }
    conf_pool_unref(pool);
}
