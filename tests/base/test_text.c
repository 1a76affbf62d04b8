/* error, str, buf, arena, dec, varint, bits: the small ground that everything stands on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/bits.h"
#include "base/dec.h"
#include "base/error.h"
#include "base/mem.h"

Test(error, keeps_kind_and_errno_through_wrapping)
{
    struct error err = { 0 };

    errno = ENOSPC;
    cr_expect_not(error_sys(&err, "write %s", "f"));
    cr_expect_not(error_wrap(&err, "segment %d", 7));
    cr_expect_str_eq(error_text(&err), "segment 7: write f: No space left on device");
    cr_expect(err.kind == ERR_FULL && err.sys == ENOSPC);
    error_clear(&err);
    cr_expect(err.kind == ERR_NONE && error_text(&err)[0] == '\0');
}

Test(error, keeps_long_texts_whole_up_to_a_limit)
{
    struct error err = { 0 }, copy = { 0 };
    struct buf text = { 0 };

    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "%d,", i);
    error_set(&err, ERR_INVALID, "%s", buf_z(&text));
    cr_expect_eq(strlen(error_text(&err)), ERROR_MORE_MAX);
    error_wrap(&err, "%s", error_text(&err)); /* its own text as an argument */
    error_copy(&copy, &err);
    cr_expect_str_eq(error_text(&copy), error_text(&err));
    error_set(&err, ERR_INVALID, "short");
    cr_expect_str_eq(error_text(&err), "short");
    error_clear(&err);
    error_clear(&copy);
    buf_fini(&text);
}

static const struct {
    const char *text;
    size_t n;
    bool valid;
} utf8[] = {
    { "plain ascii text", 16, true }, { "\xC3\xA9", 2, true },
    { "\xF0\x9F\x98\x80", 4, true },  { "\xC0\x80", 2, false },
    { "\xED\xA0\x80", 3, false },     { "\xF4\x90\x80\x80", 4, false },
    { "\xE2\x82", 2, false },         { "\x80", 1, false },
    { "12345678\xFF", 9, false },     { "", 0, true },
    { "\xF5\x80\x80\x80", 4, false }, { "\xFF", 1, false },
    { "\xEF\xBF\xBD", 3, true },
};

Test(str, tells_utf8)
{
    for (size_t i = 0; i < ARRAY_LEN(utf8); i++)
        cr_expect_eq(str_utf8_valid((struct str){ utf8[i].text, utf8[i].n }), utf8[i].valid,
                     "case %zu", i);
}

Test(str, compares_finds_and_trims)
{
    cr_expect(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("b"), STR("ab")) > 0 &&
              str_cmp(STR_NONE, STR_NONE) == 0);
    cr_expect(str_cmp(STR("\xFF"), STR("a")) > 0);
    cr_expect(str_starts(STR("abc"), STR("ab")) && !str_starts(STR("a"), STR("ab")) &&
              str_ends(STR("abc"), STR("bc")));
    cr_expect_eq(str_find(STR("a.b.c"), '.', 2), 3);
    cr_expect_eq(str_find(STR("abc"), '.', 9), 3);
    cr_expect(str_eq(str_trim(STR(" \t x y\r\n")), STR("x y")) && str_trim(STR("  ")).n == 0);
}

Test(arena, gives_aligned_memory_and_tells_when_over)
{
    struct arena a;

    arena_init(&a, 100000);
    for (size_t n = 1; n < 3000; n += 7) {
        uint8_t *p = arena_alloc(&a, n);
        cr_assert_eq((uintptr_t)p % 16, 0);
        memset(p, 1, n);
    }
    cr_expect(arena_over(&a)); /* about 640 kB were asked for */
    arena_fini(&a);
    arena_init(&a, 100000);
    cr_expect(str_eq(arena_printf(&a, "%0300d", 7), arena_printf(&a, "%0300d", 7)));
    cr_expect_not(arena_over(&a));
    arena_fini(&a);
}

Test(arena, rewinds_to_a_mark)
{
    struct arena a;

    arena_init(&a, 1 << 20);
    arena_alloc(&a, 100);
    struct arena_mark mark = arena_mark(&a);
    size_t bytes = arena_bytes(&a);
    for (int i = 0; i < 1000; i++)
        arena_alloc(&a, 333);
    cr_expect_gt(arena_bytes(&a), bytes);
    arena_rewind(&a, mark);
    cr_expect_eq(arena_bytes(&a), bytes);
    memset(arena_alloc(&a, 1000), 2, 1000);
    arena_fini(&a);
}

Test(dec, reads_and_keeps_its_first_error)
{
    static const uint8_t bytes[] = { 0x01, 0x00, 0x02, 0xAC, 0x02, 0x03, 'a', 'b', 'c' };
    struct dec d = dec_of((struct bytes){ bytes, sizeof bytes });
    struct error err = { 0 };

    cr_expect_eq(dec_u8(&d), 1);
    cr_expect_eq(dec_u16(&d), 2);
    cr_expect_eq(dec_uvarint(&d), 300);
    cr_expect(str_is(dec_uvarint_str(&d), "abc"));
    cr_expect(dec_end(&d, &err));
    cr_expect_eq(dec_u32(&d), 0);
    cr_expect_not(dec_ok(&d));
    cr_expect_not(dec_check(&d, &err));
    cr_expect_eq(err.kind, ERR_CORRUPT);
    error_clear(&err);
}

Test(varint, round_trips_and_refuses_overflow)
{
    static const int64_t values[] = { 0, 1, -1, 63, 64, -64, -65, INT64_MAX, INT64_MIN, 1 << 20 };
    static const uint8_t overflow[] = {
        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02
    };

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        uint8_t bytes[VARINT_BYTES_MAX];
        int64_t back = 0;
        size_t n = varint_put(bytes, values[i]);
        cr_expect_eq(varint_get(bytes, n, &back), n);
        cr_expect_eq(back, values[i]);
        cr_expect_eq(varint_get(bytes, n - 1, &back), 0);
    }
    uint64_t u;
    cr_expect_eq(uvarint_get(overflow, sizeof overflow, &u), 0);
}

/* Random fields of 0 to 64 bits are read back, and nothing is read past the end. */
Test(bits, round_trips_any_width)
{
    struct buf b = { 0 };
    struct bit_writer w = { .out = &b };
    uint64_t state = 1, values[500];
    unsigned widths[500];

    for (int i = 0; i < 500; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        widths[i] = (unsigned)(state >> 32) % 65;
        values[i] = widths[i] == 0 ? 0 : (state ^ state >> 29) >> (64 - widths[i]);
        bits_put(&w, values[i], widths[i]);
    }
    uint8_t *exact = mem_dup(b.p, b.n);
    struct bit_reader r = bit_reader_of((struct bytes){ exact, b.n });
    for (int i = 0; i < 500; i++)
        cr_assert_eq(bits_take64(&r, widths[i]), values[i], "field %d of %u bits", i, widths[i]);
    cr_expect_not(r.bad);
    cr_expect_eq(bits_take(&r, 56), 0);
    cr_expect(r.bad);
    mem_free(exact);
    buf_fini(&b);
}

Test(buf, grows_and_hands_over)
{
    struct buf b = { 0 };
    size_t n;

    buf_u16be(&b, 0x0102);
    buf_u32be(&b, 0x03040506);
    buf_u64be(&b, 7);
    cr_expect(b.n == 14 && b.p[0] == 1 && b.p[5] == 6 && b.p[13] == 7);
    buf_reset(&b);
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d", i % 10);
    uint8_t *p = buf_take(&b, &n);
    cr_expect(n == 1000 && p[999] == '9' && b.p == NULL);
    mem_free(p);
}
