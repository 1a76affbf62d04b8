/* tsdb/wal_repair.h: taking damage out of WAL segments before the first append, so that
 * Prometheus's reader, which would delete every later segment, walks the result without an error.
 *
 * A damaged segment is rewritten without its bad records (a torn tail is cut); whole records keep
 * their bytes. What is removed is kept under the aside directory as `<log>-<segment>-<offset>`. A
 * crash leaves the old or the new segment. Single-threaded: at start. */
#pragma once
#include "tsdb/wal_reader.h"

struct wal_damage {
    uint32_t segment;
    uint64_t start, end; /* bytes that go: holes between records, and records that did not decode */
};

struct wal_damages {
    struct wal_damage
        *v; /* owned; in the order of segment and start after wal_repair() sorted them */
    size_t nr, cap;
};

void wal_damages_add(struct wal_damages *d, uint32_t segment, uint64_t start, uint64_t end);
void wal_damages_fini(struct wal_damages *d);

/* log names the kept files ("wal"). */
MUST_CHECK bool wal_repair(const struct io *io, const char *dir, const char *aside_dir,
                           const char *log, struct wal_damages *d, struct error *err);

/* Makes an empty segment for every number that is missing between the first and the last
 * (Prometheus refuses a gap). How many were missing comes back in *missing. More than 10,000 is
 * refused with ERR_CORRUPT. */
MUST_CHECK bool wal_fill_gaps(const struct io *io, const char *dir, const struct wal_segments *s,
                              size_t *missing, struct error *err);
