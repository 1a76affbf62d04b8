#include "model/symbol.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"

Test(symbol, same_text_same_id)
{
    struct symbols *s = symbols_new();
    symbol_id a = symbols_intern(s, STR("node"));

    cr_expect_eq(symbols_intern(s, STR("node")), a);
    cr_expect_eq(symbols_find(s, STR("node")), a);
    cr_expect_eq(symbols_find(s, STR("other")), SYMBOL_NONE);
    cr_expect_eq(symbols_intern(s, STR("")), SYMBOL_EMPTY);
    cr_expect_eq(symbols_text(s, SYMBOL_EMPTY).n, 0);
    cr_expect(str_is(symbols_text(s, a), "node"));
    cr_expect_eq(symbols_hash(s, a), hash64("node", 4));
    symbols_unref(s, a);
    cr_expect_eq(symbols_find(s, STR("node")), a);
    symbols_unref(s, a);
    cr_expect_eq(symbols_find(s, STR("node")), SYMBOL_NONE);
    symbols_free(s);
}

/* Text i: lengths from 1 byte to some that need a page of their own. */
static struct str
text_of(unsigned i, char *room)
{
    int n = snprintf(room, 32, "%u", i);
    size_t more = i % 100 == 7 ? 300 : i % 500 == 3 ? 90000 : i % 17;

    memset(room + n, 'x', more);
    return (struct str){ room, (size_t)n + more };
}

/* Against an array of ids and counts, with a seeded row of references and releases. */
Test(symbol, keeps_text_while_referenced)
{
    enum { TEXTS = 3000, ROUNDS = 30000 };
    static symbol_id ids[TEXTS];
    static unsigned refs[TEXTS];
    char *room = mem_alloc(100000);
    struct symbols *s = symbols_new();
    uint64_t state = 42;
    size_t live = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        state = hash64_mix(state, round);
        unsigned i = (unsigned)(state % TEXTS);
        struct str text = text_of(i, room);
        if (state >> 63 || refs[i] == 0) {
            symbol_id id = symbols_intern(s, text);
            cr_assert(refs[i] == 0 || ids[i] == id);
            live += refs[i]++ == 0;
            ids[i] = id;
        } else {
            cr_assert(str_eq(symbols_text(s, ids[i]), text), "text %u", i);
            symbols_unref(s, ids[i]);
            live -= --refs[i] == 0;
        }
    }
    struct symbols_stats st;
    symbols_stats(s, &st);
    cr_expect_eq(st.symbols_nr, live);
    for (unsigned i = 0; i < TEXTS; i++)
        cr_assert_eq(symbols_find(s, text_of(i, room)), refs[i] == 0 ? SYMBOL_NONE : ids[i]);
    symbols_free(s);
    mem_free(room);
}

Test(symbol, takes_at_most_24_bytes_over_the_text)
{
    enum { TEXTS = 200000 };
    struct symbols *s = symbols_new();
    struct symbols_stats st;
    size_t text_bytes = 0;
    char room[64];

    for (unsigned i = 0; i < TEXTS; i++) {
        int n = snprintf(room, sizeof room, "instance-%u:9100", i * 7919);
        symbols_intern(s, (struct str){ room, (size_t)n });
        text_bytes += (size_t)n;
    }
    symbols_stats(s, &st);
    cr_expect_leq((double)(st.bytes - text_bytes) / TEXTS, 24.0, "%f bytes",
                  (double)(st.bytes - text_bytes) / TEXTS);
    symbols_free(s);
}

Test(symbol, freed_places_are_used_again)
{
    struct symbols *s = symbols_new();
    struct symbols_stats first, last;
    char room[64];

    for (unsigned round = 0; round < 20; round++) {
        symbol_id ids[2000];
        for (unsigned i = 0; i < 2000; i++) {
            int n = snprintf(room, sizeof room, "%u-%08u", round % 10, i);
            ids[i] = symbols_intern(s, (struct str){ room, (size_t)n });
        }
        for (unsigned i = 0; i < 2000; i++)
            symbols_unref(s, ids[i]);
        symbols_stats(s, round == 0 ? &first : &last);
    }
    cr_expect_eq(last.symbols_nr, 0);
    cr_expect_leq(last.bytes, first.bytes + 16 * 16384);
    symbols_free(s);
}
