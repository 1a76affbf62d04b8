/* tsdb/record.h: what stands inside WAL, WBL and checkpoint records: bytes to values and back.
 *
 * A record is a type byte and its entries (docs/formats/wal.md). Decoders walk the entries, borrow
 * the record's bytes, and keep the error: ask record_end() once after the walk. Entries before the
 * damage were good. Encoders append to a struct buf; several entries go into one record. Pure;
 * thread-safe. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/dec.h"
#include "base/error.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"

enum record_type {
    RECORD_UNKNOWN = 255,
    RECORD_SERIES = 1,
    RECORD_SAMPLES = 2,
    RECORD_TOMBSTONES = 3,
    RECORD_EXEMPLARS = 4,
    RECORD_MMAP_MARKERS = 5, /* WBL only */
    RECORD_METADATA = 6,
    RECORD_HISTOGRAMS = 7,
    RECORD_FLOAT_HISTOGRAMS = 8,
    RECORD_CUSTOM_HISTOGRAMS = 9,
    RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
    RECORD_SAMPLES_V2 = 11, /* with start timestamps */
    RECORD_HISTOGRAMS_V2 = 12,
    RECORD_FLOAT_HISTOGRAMS_V2 = 13
};
#define RECORD_LABELS_MAX 10000 /* of one series: a damaged count must not become an allocation */

struct record_sample {
    uint64_t ref;
    int64_t t_ms, st_ms;
    double v;
};

struct record_histogram {
    uint64_t ref;
    int64_t t_ms, st_ms;
    struct histogram h; /* decoding: in the arena; encoding: borrowed */
};

struct record_tombstone {
    uint64_t ref;
    int64_t min_ms, max_ms;
};

struct record_exemplar {
    uint64_t ref;
    int64_t t_ms;
    double v;
    struct labels labels;
};

struct record_metadata {
    uint64_t ref;
    struct metadata m; /* an unknown type byte reads as METADATA_UNKNOWN */
};

struct record_marker {
    uint64_t ref, chunk_ref;
};

/* RECORD_UNKNOWN for an empty record and for types of later versions. */
enum record_type record_type_of(struct bytes rec);
/* "series", "samples", ...: as Prometheus labels its counters. */
const char *record_type_text(enum record_type type);

/* A walk over the entries of one record of any type but RECORD_UNKNOWN. */
struct record_iter {
    struct dec d;
    enum record_type type;
    uint64_t base_ref; /* of the first entry; V2: of the previous */
    int64_t base_t_ms, first_st_ms, prev_st_ms;
    bool first;
};

void record_iter_init(struct record_iter *it, struct bytes rec);
/* Each fits its types; false at the end and on damage. */
bool record_next_series(struct record_iter *it, uint64_t *ref, struct labels *labels,
                        struct arena *arena);
bool record_next_sample(struct record_iter *it, struct record_sample *s);
bool record_next_histogram(struct record_iter *it, struct record_histogram *h, struct arena *arena);
bool record_next_tombstone(struct record_iter *it, struct record_tombstone *t);
bool record_next_exemplar(struct record_iter *it, struct record_exemplar *e, struct arena *arena);
bool record_next_metadata(struct record_iter *it, struct record_metadata *m);
bool record_next_marker(struct record_iter *it, struct record_marker *m);
/* True when the walk came to the end of the record. */
MUST_CHECK bool record_end(const struct record_iter *it, struct error *err);

/* Type 2 only, the loop of replay: decodes the entries in place without a call each. */
struct record_samples_v1 {
    const uint8_t *p, *end;
    uint64_t base_ref;
    int64_t base_t_ms;
};
static inline int64_t
record_unzigzag(uint32_t u)
{
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

/* Up to three bytes are nearly all there is. */
static inline size_t
record_varint(const uint8_t *p, size_t n, int64_t *v)
{
    if (UNLIKELY(n < 3))
        return varint_get(p, n, v);
    if (p[0] < 0x80) {
        *v = record_unzigzag(p[0]);
        return 1;
    }
    if (p[1] < 0x80) {
        *v = record_unzigzag((p[0] & 0x7Fu) | (uint32_t)p[1] << 7);
        return 2;
    }
    if (p[2] < 0x80) {
        *v = record_unzigzag((p[0] & 0x7Fu) | (p[1] & 0x7Fu) << 7 | (uint32_t)p[2] << 14);
        return 3;
    }
    return varint_get(p, n, v);
}

static inline bool
record_samples_v1_next(struct record_samples_v1 *r, uint64_t *ref, int64_t *t_ms, double *v)
{
    uint64_t bits;
    int64_t dref, dt;
    size_t n, left = (size_t)(r->end - r->p);

    if ((n = record_varint(r->p, left, &dref)) == 0)
        return false;
    r->p += n;
    left -= n;
    if ((n = record_varint(r->p, left, &dt)) == 0 || left - n < 8)
        return false;
    r->p += n;
    memcpy(&bits, r->p, 8);
    bits = __builtin_bswap64(bits);
    memcpy(v, &bits, 8);
    r->p += 8;
    *ref = r->base_ref + (uint64_t)dref;
    *t_ms = (int64_t)((uint64_t)r->base_t_ms + (uint64_t)dt);
    return true;
}
/* False when rec is too short to have a base. */
bool record_samples_v1_init(struct record_samples_v1 *r, struct bytes rec);

/* Encoders. Series, tombstones and metadata records are begun once and added to; the others take
 * all entries at once (nr >= 1) since they are relative to the first. */
void record_begin(struct buf *out, enum record_type type);
void record_add_series(struct buf *out, uint64_t ref, struct labels labels);
void record_add_tombstone(struct buf *out, const struct record_tombstone *t);
void record_add_metadata(struct buf *out, const struct record_metadata *m);
void record_put_samples(struct buf *out, const struct record_sample *s, size_t nr);
/* One record's worth: types 7 to 10; all of one kind (integer or float, custom buckets or not). */
void record_put_histograms(struct buf *out, enum record_type type, const struct record_histogram *h,
                           size_t nr);
void record_put_exemplars(struct buf *out, const struct record_exemplar *e, size_t nr);
/* The record type that holds h. */
enum record_type record_histogram_type(const struct histogram *h);
