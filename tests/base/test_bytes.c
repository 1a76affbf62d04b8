/* proto, gzip, digest, fnv, ulid, json: forms of bytes and text. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/fnv.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/proto.h"
#include "base/ulid.h"

Test(proto, reads_back_what_it_wrote)
{
    struct buf b = { 0 };
    struct error err = { 0 };

    proto_put_uint(&b, 1, 300);
    proto_put_sint(&b, 2, -5);
    proto_put_double(&b, 3, 1.5);
    size_t outer = proto_open(&b, 4), inner = proto_open(&b, 1);
    for (int i = 0; i < 100; i++)
        proto_put_str(&b, 7, STR("text"));
    proto_close(&b, inner);
    proto_close(&b, outer);
    struct proto p = proto_of(buf_as_bytes(&b));
    cr_expect(proto_next(&p) && p.field == 1 && proto_uint(&p) == 300);
    struct dec packed = proto_packed(&p);
    cr_expect(dec_uvarint(&packed) == 300 && dec_left(&packed) == 0);
    cr_expect(proto_next(&p) && p.field == 2 && proto_sint(&p) == -5);
    cr_expect(proto_next(&p) && p.field == 3 && proto_double(&p) == 1.5);
    cr_assert(proto_next(&p) && p.field == 4);
    struct proto q = proto_of(proto_bytes(&p));
    cr_assert(proto_next(&q));
    struct proto s = proto_of(proto_bytes(&q));
    unsigned nr = 0;
    while (proto_next(&s))
        nr += str_is(proto_str(&s), "text");
    cr_expect_eq(nr, 100);
    cr_expect(proto_end(&s, &err) && !proto_next(&q) && proto_end(&q, &err) && !proto_next(&p) &&
              proto_end(&p, &err));
    buf_fini(&b);
}

static const struct {
    const char *name, *bytes;
    size_t n;
} damaged[] = {
    { "length beyond the end",
      "\x0A\x05"
      "abc",
      5 },
    { "huge length", "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11 },
    { "field zero", "\x00\x01", 2 },
    { "group", "\x0B\x0C", 2 },
    { "cut varint", "\x08\x80", 2 },
    { "cut fixed64", "\x09\x01\x02", 3 },
};

Test(proto, stops_at_damage)
{
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        struct error err = { 0 };
        struct proto p =
            proto_of((struct bytes){ (const uint8_t *)damaged[i].bytes, damaged[i].n });
        while (proto_next(&p))
            ;
        cr_expect_not(proto_end(&p, &err), "%s", damaged[i].name);
        cr_expect_eq(err.kind, ERR_CORRUPT);
        error_clear(&err);
    }
}

Test(proto, a_value_of_another_type_is_damage)
{
    struct buf b = { 0 };
    struct error err = { 0 };

    proto_put_uint(&b, 1, 1);
    struct proto p = proto_of(buf_as_bytes(&b));
    cr_assert(proto_next(&p));
    cr_expect_eq(proto_str(&p).n, 0);
    cr_expect_not(proto_end(&p, &err));
    buf_fini(&b);
    error_clear(&err);
}

Test(gzip, round_trips_and_keeps_the_limit)
{
    static const size_t sizes[] = { 0, 1, 1000, 200000 };
    static const enum gzip_format formats[] = { GZIP_GZIP, GZIP_DEFLATE, GZIP_ZSTD };

    for (size_t i = 0; i < ARRAY_LEN(sizes) * ARRAY_LEN(formats); i++) {
        size_t n = sizes[i / 3];
        enum gzip_format format = formats[i % 3];
        struct buf packed = { 0 }, out = { 0 };
        struct error err = { 0 };
        uint8_t *bytes = mem_alloc(n);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)(k * k >> 7);
        gzip_encode(format, (struct bytes){ bytes, n }, &packed);
        buf_c(&out, "kept");
        cr_assert(gzip_decode(format, buf_as_bytes(&packed), n, &out, &err), "%zu: %s", i,
                  error_text(&err));
        cr_expect(out.n == n + 4 && memcmp(out.p, "kept", 4) == 0 &&
                  memcmp(out.p + 4, bytes, n) == 0);
        if (n > 0) {
            cr_expect_not(gzip_decode(format, buf_as_bytes(&packed), n - 1, &out, &err));
            cr_expect_eq(err.kind, ERR_LIMIT);
        }
        cr_expect_not(
            gzip_decode(format, (struct bytes){ packed.p, packed.n - 1 }, 1 << 20, &out, &err));
        cr_expect_eq(err.kind, ERR_CORRUPT);
        cr_expect_eq(out.n, n + 4);
        mem_free(bytes);
        buf_fini(&packed);
        buf_fini(&out);
        error_clear(&err);
    }
}

Test(gzip, says_what_is_wrong)
{
    static const struct {
        const char *in, *want;
    } cases[] = { { "a_metric 1\n", "gzip: invalid header" },
                  { "", "unexpected EOF" },
                  { "\x1f\x8b\x08", "unexpected EOF" },
                  { "\x1f\x8b\x08\xff\xff\xff\xff\xff\xff\xff",
                    "gzip: invalid checksum or data" } };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes in = { (const uint8_t *)cases[i].in, strlen(cases[i].in) };
        struct buf out = { 0 };
        struct error err = { 0 };
        cr_expect_not(gzip_decode(GZIP_GZIP, in, 100, &out, &err));
        cr_expect_str_eq(error_text(&err), cases[i].want, "case %zu", i);
        error_clear(&err);
        buf_fini(&out);
    }
}

Test(gzip, takes_several_members_in_a_row)
{
    struct buf packed = { 0 }, out = { 0 };
    struct error err = { 0 };

    gzip_encode(GZIP_GZIP, (struct bytes){ (const uint8_t *)"one", 3 }, &packed);
    gzip_encode(GZIP_GZIP, (struct bytes){ (const uint8_t *)"two", 3 }, &packed);
    cr_assert(gzip_decode(GZIP_GZIP, buf_as_bytes(&packed), 100, &out, &err), "%s",
              error_text(&err));
    cr_expect_str_eq(buf_z(&out), "onetwo");
    cr_expect_not(gzip_decode(GZIP_GZIP, buf_as_bytes(&packed), 5, &out, &err));
    buf_add(&packed, "junk", 4);
    cr_expect_not(gzip_decode(GZIP_GZIP, buf_as_bytes(&packed), 100, &out, &err));
    buf_fini(&packed);
    buf_fini(&out);
    error_clear(&err);
}

Test(digest, gives_known_values)
{
    uint8_t md5[DIGEST_MD5_BYTES], sha[DIGEST_SHA256_BYTES];
    char hex[65];

    digest_md5(STR("abc"), md5);
    digest_hex(md5, sizeof md5, hex);
    cr_expect_str_eq(hex, "900150983cd24fb0d6963f7d28e17f72");
    digest_sha256(STR("abc"), sha);
    digest_hex(sha, sizeof sha, hex);
    cr_expect_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_expect_eq(fnv64a(fnv64a(FNV64_START, STR("foo")), STR("bar")), 0x85944171f73967e8u);
    cr_expect_eq(fnv32a(FNV32_START, STR("foobar")), 0xbf9cf968u);
    cr_expect_eq(hash64_str(STR("")), 0xef46db3751d8e999u);
}

Test(ulid, sorts_by_time_and_round_trips)
{
    struct clock_virtual clock;
    char text[ULID_CHARS + 1], later[ULID_CHARS + 1];
    struct ulid back;

    clock_virtual_init(&clock, 1469918176385, 5);
    struct ulid id = ulid_new(&clock.base);
    ulid_format(&id, text);
    cr_expect(strncmp(text, "01ARYZ6S41", 10) == 0, "%s", text);
    cr_assert(ulid_parse(str_c(text), &back));
    cr_expect(ulid_cmp(&id, &back) == 0 && ulid_ms(&back) == 1469918176385);
    clock_virtual_advance(&clock, 1);
    struct ulid next = ulid_new(&clock.base);
    ulid_format(&next, later);
    cr_expect(strcmp(later, text) > 0 && ulid_cmp(&next, &id) > 0);
}

Test(ulid, refuses_what_is_none)
{
    static const char *const bad[] = { "",
                                       "01ARYZ6S41TSV4RRFFQ69G5FA",
                                       "01ARYZ6S41TSV4RRFFQ69G5FAVX",
                                       "81ARYZ6S41TSV4RRFFQ69G5FAV",
                                       "01ARYZ6S41TSV4RRFFQ69G5FAU",
                                       "01ARYZ6S41TSV4RRFFQ69G5F-V" };
    struct ulid id;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_not(ulid_parse(str_c(bad[i]), &id), "%s", bad[i]);
    cr_expect(ulid_parse(STR("01ARYZ6S41TSV4RRFFQ69G5FAV"), &id));
}

Test(json, writes_values_with_commas)
{
    struct buf b = { 0 };
    struct json j = json_to(&b);

    json_open(&j, '{');
    json_key(&j, "a");
    json_open(&j, '[');
    json_int(&j, -1);
    json_uint(&j, UINT64_MAX);
    json_float(&j, 1e-7);
    json_float(&j, 1e21);
    json_float(&j, 0.25);
    json_float(&j, (double)NAN);
    json_open(&j, '{');
    json_close(&j, '}');
    json_close(&j, ']');
    json_key_str(&j, STR("b\n"));
    json_bool(&j, true);
    json_key(&j, "c");
    json_null(&j);
    json_close(&j, '}');
    cr_expect_str_eq(
        buf_z(&b),
        "{\"a\":[-1,18446744073709551615,1e-7,1e+21,0.25,null,{}],\"b\\n\":true,\"c\":null}");
    buf_fini(&b);
}

static const struct {
    const char *text, *want, *html;
} quoted[] = {
    { "plain", "\"plain\"", "\"plain\"" },
    { "q\"b\\s/", "\"q\\\"b\\\\s/\"", "\"q\\\"b\\\\s/\"" },
    { "\n\r\t\x01\x1f\x7f", "\"\\n\\r\\t\\u0001\\u001f\x7f\"", "\"\\n\\r\\t\\u0001\\u001f\x7f\"" },
    { "<a&b>", "\"<a&b>\"", "\"\\u003ca\\u0026b\\u003e\"" },
    { "\xC3\xA9\xFF\xE2\x82", "\"\xC3\xA9\\ufffd\\ufffd\\ufffd\"",
      "\"\xC3\xA9\\ufffd\\ufffd\\ufffd\"" },
    { "\xE2\x80\xA8", "\"\xE2\x80\xA8\"", "\"\\u2028\"" },
};

Test(json, quotes_strings_as_go_does)
{
    for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
        struct buf b = { 0 };
        json_quote(&b, str_c(quoted[i].text), false);
        cr_expect_str_eq(buf_z(&b), quoted[i].want);
        buf_reset(&b);
        json_quote(&b, str_c(quoted[i].text), true);
        cr_expect_str_eq(buf_z(&b), quoted[i].html);
        buf_fini(&b);
    }
}
