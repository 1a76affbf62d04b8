/* scrape/target_meta.h: type, help and unit of the metric families that targets expose.
 *
 * The same exporter runs on many targets, so the texts are kept once per event loop (meta_store)
 * and a target holds references. A family stays for META_KEPT_SCRAPES scrapes after it vanished. A
 * store and the tables that use it belong to one loop's thread; other threads read a target's table
 * under that target's lock, which the loop takes to change it. */
#pragma once
#include "base/table.h"
#include "model/metadata.h"

#define META_KEPT_SCRAPES 10

/* One family as somebody exposes it: immutable, counted by the tables that hold it. */
struct meta_text {
    uint64_t hash;
    uint32_t refs;
    struct str name;
    struct metadata meta;
};

struct meta_store {
    struct table texts;
};

void meta_store_fini(struct meta_store *s); /* all tables are gone */

struct target_family {
    struct meta_text *text;
    uint64_t seen;    /* the scrape whose page had it: the last one that brought other lines */
    uint64_t changed; /* the scrape in which its text changed last */
};

struct target_meta {
    struct table families; /* by hash of the name */
    bool some_gone;        /* families that are not on the page any more */
    size_t bytes; /* of type, help and unit, as prometheus_target_metadata_cache_bytes counts */
};

void target_meta_fini(struct target_meta *m, struct meta_store *s);
/* Sets one of the three; the family appears when it is new. what: 0 type, 1 help, 2 unit. The
 * family, valid until the next change. */
enum meta_field { META_TYPE, META_HELP, META_UNIT };
const struct target_family *
target_meta_set(struct target_meta *m, struct meta_store *s, struct str name, enum meta_field what,
                enum metadata_type type, struct str text, uint64_t scrape);
const struct target_family *target_meta_find(const struct target_meta *m, struct str name);
/* The page of this scrape had other lines than the one before, whose families were seen in scrape
 * `before`: those that it does not have count as seen until the scrape before this one. */
void target_meta_rebuilt(struct target_meta *m, uint64_t before, uint64_t scrape);
/* Forgets families that are not on the page (seen == page) and were last there more than
 * META_KEPT_SCRAPES ago. */
void
target_meta_expire(struct target_meta *m, struct meta_store *s, uint64_t page, uint64_t scrape);
