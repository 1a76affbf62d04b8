/* tests/tsdb/db_dump.h: everything readable in a database, one line per sample as `promtool tsdb
 * dump` prints it, sorted. */
#pragma once
#include "base/buf.h"
#include "tsdb/db.h"

struct dump {
    struct buf text;
    char **lines; /* sorted; borrowed from text */
    size_t nr;
};

/* Asserts that everything could be read. */
void db_dump(struct db *db, struct dump *d);
void dump_fini(struct dump *d);
/* The same of a file of the conformance data (plain or .gz), whose lines are sorted already. */
bool dump_load(struct dump *d, const char *path);
/* How many lines of a are not in b; prints the first few. */
size_t dump_missing(const struct dump *a, const struct dump *b, const char *what);

/* A fresh directory below /tmp-like $TMPDIR with a copy of `from` (NULL: empty); removed by
 * dir_remove(). */
char *dir_copy(const char *from);
void dir_remove(char *dir);
