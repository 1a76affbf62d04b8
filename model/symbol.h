/* model/symbol.h: the symbol table: every label name and value once, under a 32-bit id,
 * reference-counted.
 *
 * One table per database, shared by the head, opened blocks and queries, so that equal ids mean
 * equal strings and matching, grouping and joining compare integers. Ids are reused after their
 * last reference goes; who holds an id holds a reference (a series holds one per pair; a query pins
 * the series it reads). Internally locked by shard; symbol_text() takes no lock: text never moves
 * while referenced. Memory per symbol: the bytes of the string plus 24 or less. */
#pragma once
#include "base/str.h"

typedef uint32_t symbol_id;
#define SYMBOL_NONE  0u /* never a symbol; the empty string is SYMBOL_EMPTY */
#define SYMBOL_EMPTY 1u

struct symbols;

/* One label of a series. */
struct symbol_pair {
    symbol_id name, value;
};

struct symbols *symbols_new(void);
void symbols_free(struct symbols *s);

/* The id of text, with one more reference; made when missing. */
symbol_id symbols_intern(struct symbols *s, struct str text);
/* The id or SYMBOL_NONE; takes no reference: valid only while somebody else holds one. */
symbol_id symbols_find(struct symbols *s, struct str text);
void symbols_ref(struct symbols *s, symbol_id id);
void symbols_unref(struct symbols *s, symbol_id id);
/* Borrowed; valid while a reference is held. */
struct str symbols_text(const struct symbols *s, symbol_id id);
/* xxHash64 of the text, kept beside it. */
uint64_t symbols_hash(const struct symbols *s, symbol_id id);

struct symbols_stats {
    size_t symbols_nr, bytes; /* bytes: everything the table holds */
};
void symbols_stats(struct symbols *s, struct symbols_stats *st);
