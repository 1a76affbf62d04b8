/* Native histograms in the head: the open chunk is an encoder of chunk_histogram.h beside the
 * series (series_ext), since few series have one. The newest histogram is not kept: who must
 * compare with it (a second sample of the same time, which is rare) decodes it. */
#include "base/mem.h"
#include "model/histogram_math.h"
#include "tsdb/chunk_histogram.h"
#include "tsdb/head_priv.h"

struct head_histogram {
    struct chunk_histogram *open;
    int64_t min_ms, max_ms;
};

void
head_histogram_free(struct head_histogram *hh)
{
    if (hh == NULL)
        return;
    chunk_histogram_free(hh->open);
    mem_free(hh);
}

static struct head_histogram *
histogram_of(const struct head_series *s)
{
    return s->ext == NULL ? NULL : s->ext->histogram;
}

bool
head_histogram_open(const struct head_series *s)
{
    return histogram_of(s) != NULL;
}

bool
head_histogram_chunk(struct head_series *s, struct chunk *c)
{
    struct head_histogram *hh = histogram_of(s);

    if (hh == NULL)
        return false;
    *c = (struct chunk){ .encoding = chunk_histogram_encoding(hh->open),
                         .data = chunk_histogram_bytes(hh->open),
                         .min_ms = hh->min_ms,
                         .max_ms = hh->max_ms };
    return true;
}

void
head_histogram_drop_chunk(struct head_series *s)
{
    head_histogram_free(s->ext->histogram);
    s->ext->histogram = NULL;
}

static bool
encoding_is_float(enum chunk_encoding e)
{
    return e == CHUNK_FLOAT_HISTOGRAM || e == CHUNK_FLOAT_HISTOGRAM_ST;
}

enum head_kind
head_newest_kind(const struct head_series *s)
{
    enum chunk_encoding e = CHUNK_XOR;

    if (s->data != NULL)
        return HEAD_FLOAT;
    if (histogram_of(s) != NULL)
        e = chunk_histogram_encoding(s->ext->histogram->open);
    else if (s->sealed_nr > 0)
        e = (enum chunk_encoding)s->sealed[s->sealed_nr - 1].encoding;
    return chunk_is_float(e)      ? HEAD_FLOAT
           : encoding_is_float(e) ? HEAD_FLOAT_HISTOGRAM
                                  : HEAD_HISTOGRAM;
}

bool
head_histogram_is_newest(const struct head_series *s, const struct histogram *h)
{
    struct head_histogram *hh = histogram_of(s);
    struct arena arena;
    struct sample_buf b;
    struct error err = { 0 };
    bool same = false;

    if (hh == NULL)
        return false;
    arena_init(&arena, SIZE_MAX);
    sample_buf_init(&b, &arena);
    if (chunk_read(chunk_histogram_encoding(hh->open), chunk_histogram_bytes(hh->open), hh->max_ms,
                   hh->max_ms, &b, &err) &&
        b.nr == 1 && b.h != NULL && b.h[0] != NULL)
        same = b.h[0]->is_int == h->is_int && histogram_eq(b.h[0], h);
    error_clear(&err);
    sample_buf_fini(&b);
    arena_fini(&arena);
    return same;
}

/* Puts c in the place of the open chunk, which was sealed. */
static void
open_replace(struct head *h, struct head_series *s, struct chunk_histogram *c, int64_t t_ms)
{
    if (s->ext == NULL)
        s->ext = MEM_NEW(struct series_ext);
    head_histogram_free(s->ext->histogram);
    s->ext->histogram = MEM_NEW(struct head_histogram);
    *s->ext->histogram = (struct head_histogram){ .open = c, .min_ms = t_ms, .max_ms = t_ms };
    atomic_fetch_add_explicit(&h->chunks_nr, 1, memory_order_relaxed);
    metric_inc(h->m.chunks_created);
}

/* Takes the encoder out of the series after its bytes were sealed: a new chunk looks at it once
 * more. */
static struct chunk_histogram *
open_take(struct head *h, struct head_series *s, struct head_seals *seals)
{
    struct chunk_histogram *prev = NULL;
    struct head_histogram *hh = histogram_of(s);

    if (hh == NULL) {
        head_chunk_finish(h, s, seals);
        return NULL;
    }
    head_chunk_seal(s, seals);
    prev = hh->open;
    hh->open = NULL;
    head_histogram_drop_chunk(s);
    return prev;
}

static bool
append_new_chunk(struct head *h, struct head_series *s, enum chunk_encoding wanted, int64_t t_ms,
                 const struct histogram *hist, struct head_seals *seals)
{
    struct chunk_histogram *prev = open_take(h, s, seals), *next, *c = chunk_histogram_new(wanted);
    struct error err = { 0 };
    bool ok = chunk_histogram_append(c, prev, 0, t_ms, hist, &next, &err);

    chunk_histogram_free(prev);
    error_clear(&err);
    if (!ok) {
        chunk_histogram_free(c);
        return false;
    }
    if (next != NULL) { /* not for the first sample of a chunk */
        chunk_histogram_free(c);
        c = next;
    }
    open_replace(h, s, c, t_ms);
    return true;
}

static bool
append_open_chunk(struct head *h, struct head_series *s, int64_t t_ms, const struct histogram *hist,
                  struct head_seals *seals)
{
    struct head_histogram *hh = histogram_of(s);
    struct chunk_histogram *next;
    struct error err = { 0 };

    if (!chunk_histogram_append(hh->open, NULL, 0, t_ms, hist, &next, &err)) {
        error_clear(&err);
        return false;
    }
    if (next == NULL) {
        hh->max_ms = t_ms;
        return true;
    }
    head_chunk_seal(s, seals);
    open_replace(h, s, next, t_ms);
    s->next_ms = chunk_cut_range_end(t_ms, h->o.range_ms);
    return true;
}

bool
head_histogram_append(struct head *h, struct head_series *s, int64_t t_ms,
                      const struct histogram *hist, struct head_seals *seals)
{
    enum chunk_encoding wanted = hist->is_int ? CHUNK_HISTOGRAM : CHUNK_FLOAT_HISTOGRAM;
    struct chunk_open open = { 0 };
    struct chunk c;
    bool has_open = head_open_chunk(s, &c), computed = (s->flags & SERIES_CUT_KNOWN) != 0;

    if (has_open)
        open = (struct chunk_open){ .encoding = c.encoding,
                                    .min_ms = c.min_ms,
                                    .max_ms = c.max_ms,
                                    .samples_nr = chunk_samples_nr(c.encoding, c.data),
                                    .bytes = c.data.n };
    bool cut = chunk_cut_histogram(has_open ? &open : NULL, wanted, t_ms, h->o.range_ms,
                                   &s->next_ms, &computed);
    s->flags = (uint8_t)(computed ? s->flags | SERIES_CUT_KNOWN : s->flags & ~SERIES_CUT_KNOWN);
    if (!(cut ? append_new_chunk(h, s, wanted, t_ms, hist, seals)
              : append_open_chunk(h, s, t_ms, hist, seals)))
        return false;
    s->xor.t_ms = t_ms;
    head_note_newest(h, s, is_stale(hist->sum), true);
    return true;
}
