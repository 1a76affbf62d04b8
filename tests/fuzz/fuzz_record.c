/* A record of any bytes: every decoder ends inside it, and what one gives, encoded again, decodes
 * to the same number of entries. */
#include <stdlib.h>
#include "tsdb/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
samples(struct bytes rec, struct buf *again)
{
    static struct record_sample v[4096];
    struct record_iter it;
    size_t nr = 0;

    record_iter_init(&it, rec);
    while (nr < 4096 && record_next_sample(&it, &v[nr]))
        nr++;
    if (nr > 0)
        record_put_samples(again, v, nr);
    return nr;
}

static void
fast_path(struct bytes rec)
{
    struct record_samples_v1 r;
    uint64_t ref;
    int64_t t_ms;
    double v;

    if (record_samples_v1_init(&r, rec))
        while (record_samples_v1_next(&r, &ref, &t_ms, &v))
            continue;
}

static void
walk(struct bytes rec, struct arena *arena)
{
    struct record_iter it;
    struct labels labels;
    struct record_histogram h;
    struct record_tombstone t;
    struct record_exemplar e;
    struct record_metadata m;
    struct record_marker marker;
    uint64_t ref;

    record_iter_init(&it, rec);
    switch (it.type) {
    case RECORD_SERIES:
        while (record_next_series(&it, &ref, &labels, arena))
            continue;
        break;
    case RECORD_TOMBSTONES:
        while (record_next_tombstone(&it, &t))
            continue;
        break;
    case RECORD_EXEMPLARS:
        while (record_next_exemplar(&it, &e, arena))
            continue;
        break;
    case RECORD_METADATA:
        while (record_next_metadata(&it, &m))
            continue;
        break;
    case RECORD_MMAP_MARKERS:
        while (record_next_marker(&it, &marker))
            continue;
        break;
    default:
        while (record_next_histogram(&it, &h, arena))
            continue;
    }
    struct error err = { 0 };
    error_ignored(record_end(&it, &err));
    error_clear(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rec = { data, size };
    struct arena arena;
    struct buf again = { 0 }, third = { 0 };

    arena_init(&arena, 64 << 20);
    enum record_type type = record_type_of(rec);
    if (type == RECORD_SAMPLES || type == RECORD_SAMPLES_V2) {
        size_t nr = samples(rec, &again);
        if (nr > 0 && samples(buf_as_bytes(&again), &third) != nr)
            abort();
        fast_path(rec);
    } else if (type != RECORD_UNKNOWN) {
        walk(rec, &arena);
    }
    buf_fini(&again);
    buf_fini(&third);
    arena_fini(&arena);
    return 0;
}
