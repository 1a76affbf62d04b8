/* scrape/page_cache.h: what a target's last page looked like, line by line, so that the next one is
 * recognised, not parsed.
 *
 * An exporter writes the same lines in the same order scrape after scrape; only the numbers change.
 * Per line the cache keeps the length and a 64-bit seeded hash of the text in front of the value,
 * and the series' ref: 20 bytes, where the page itself has 60 to 120. The seed is random per
 * server, so that no exporter can arrange for two of its series to look the same. A scrape walks
 * the list with a cursor. While every line is the expected one nothing is written; the first line
 * that is not starts a new list (page_rebuild), which replaces the old one when the scrape
 * succeeds. One owner: the target. The rebuild's memory belongs to the event loop and is shared by
 * its targets. */
#pragma once
#include "base/hash.h"
#include "base/table.h"
#include "tsdb/append.h"

enum line_flags {
    LINE_META = 1,       /* a comment line; hashed whole */
    LINE_TYPE = 2,       /* with LINE_META: sets the type of the lines below */
    LINE_UNIT = 4,       /* with LINE_META: sets their unit */
    LINE_DROPPED = 8,    /* relabelling dropped the series */
    LINE_DUPLICATE = 16, /* the series stands further up already */
    LINE_TRACKED = 32    /* a staleness marker is due when it vanishes */
};
#define LINE_FLAG_BITS 6
#define LINE_BYTES_MAX ((1u << (32 - LINE_FLAG_BITS)) - 1) /* longer lines are parsed every time \
                                                            */

struct page_line {
    series_ref ref; /* SERIES_REF_NONE: to be looked up again (or LINE_META, LINE_DROPPED) */
    uint64_t hash;
    uint32_t bytes_flags;
};

static inline uint32_t
line_bytes(uint32_t bytes_flags)
{
    return bytes_flags >> LINE_FLAG_BITS;
}

static inline uint32_t
line_pack(size_t bytes, unsigned flags)
{
    return (uint32_t)(bytes > LINE_BYTES_MAX ? LINE_BYTES_MAX : bytes) << LINE_FLAG_BITS | flags;
}

static inline uint64_t
line_hash(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

/* Three arrays in one allocation; zeroed is empty. */
struct page_cache {
    series_ref *refs; /* the allocation */
    uint64_t *hashes;
    uint32_t *bytes_flags;
    uint32_t nr;
};

void page_cache_fini(struct page_cache *c);
size_t page_cache_bytes(const struct page_cache *c);
static inline struct page_line
page_cache_line(const struct page_cache *c, uint32_t i)
{
    return (struct page_line){ c->refs[i], c->hashes[i], c->bytes_flags[i] };
}

/* A new list in the making. Reused from scrape to scrape; zeroed is ready. */
struct page_rebuild {
    struct page_line *lines;
    size_t nr, cap;
    uint8_t *seen; /* enum page_seen of each line of the old list */
    size_t seen_cap;
    struct rebuild_slot *slots; /* by hash: the first line with it, old or new */
    unsigned slots_log;
    size_t slots_cap;
    series_ref *refs; /* for page_rebuild_each_stale() */
    size_t refs_cap;
};

void page_rebuild_fini(struct page_rebuild *r);
/* The first `same` lines of c are on the page as they were. */
void page_rebuild_start(struct page_rebuild *r, const struct page_cache *c, uint32_t same);
/* fresh: page_rebuild_find() did not know it (comment lines are never looked for: false). */
void page_rebuild_add(struct page_rebuild *r, const struct page_cache *c, struct page_line line,
                      bool fresh);

/* Where a line's text was met before. */
struct rebuild_found {
    bool known;   /* by the old list, or further up on this page */
    bool on_page; /* further up on this page */
    uint32_t old; /* its index in the old list; UINT32_MAX: only on this page */
    struct page_line line;
};
struct rebuild_found
page_rebuild_find(const struct page_rebuild *r, const struct page_cache *c, uint64_t hash);
/* Old line i is on the page. */
enum page_seen { PAGE_UNSEEN, PAGE_SEEN, PAGE_SEEN_TRACKED };
static inline void
page_rebuild_saw(struct page_rebuild *r, uint32_t i, bool tracked)
{
    r->seen[i] = tracked ? PAGE_SEEN_TRACKED : MAX(r->seen[i], PAGE_SEEN);
}

/* Calls fn for the ref of every series that was tracked and is not any more. */
typedef bool (*page_stale_fn)(void *arg, series_ref ref);
bool page_rebuild_each_stale(struct page_rebuild *r, const struct page_cache *c, page_stale_fn fn,
                             void *arg);

/* The new list replaces the old one. */
void page_rebuild_finish(struct page_rebuild *r, struct page_cache *c);

/* All tracked series, for a failed scrape or a removed target; page_cache_untrack() then forgets
 * that they were. */
bool page_cache_each_tracked(const struct page_cache *c, page_stale_fn fn, void *arg);
void page_cache_untrack(struct page_cache *c);
