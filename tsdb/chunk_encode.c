#include "tsdb/chunk_encode.h"

#include "base/mem.h"
#include "tsdb/chunk_histogram.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/chunk_xor2.h"

/* The chunk being filled: one of three kinds by its encoding. */
struct open_chunk {
    enum chunk_encoding encoding; /* CHUNK_NONE: there is none */
    size_t nr;
    int64_t min_ms, max_ms;
    struct chunk_xor xor_state;
    struct buf xor_bytes;
    struct chunk_xor2 xor2;
    struct chunk_histogram *histogram;
};

static void
open_free(struct open_chunk *o)
{
    if (o->encoding == CHUNK_XOR2)
        chunk_xor2_fini(&o->xor2);
    chunk_histogram_free(o->histogram);
    o->histogram = NULL;
    o->encoding = CHUNK_NONE;
}

static void
open_start(struct open_chunk *o, enum chunk_encoding encoding)
{
    o->encoding = encoding;
    o->nr = 0;
    if (encoding == CHUNK_XOR) {
        buf_reset(&o->xor_bytes);
        chunk_xor_start(&o->xor_state, buf_reserve(&o->xor_bytes, CHUNK_XOR_HEADER_BYTES));
        o->xor_bytes.n = CHUNK_XOR_HEADER_BYTES;
    } else if (encoding == CHUNK_XOR2) {
        chunk_xor2_init(&o->xor2);
    } else {
        o->histogram = chunk_histogram_new(encoding);
    }
}

/* Copies the finished chunk out and leaves none open. */
static void
open_seal(struct open_chunk *o, struct arena *arena, struct chunk_list *out)
{
    struct bytes data;

    if (o->encoding == CHUNK_NONE)
        return;
    if (o->encoding == CHUNK_XOR)
        data = buf_as_bytes(&o->xor_bytes);
    else if (o->encoding == CHUNK_XOR2)
        data = buf_as_bytes(&o->xor2.bytes);
    else
        data = chunk_histogram_bytes(o->histogram);
    uint8_t *copy = arena_alloc(arena, data.n);
    memcpy(copy, data.p, data.n);
    ARENA_GROW(arena, out->v, out->nr, out->nr + 1, &out->cap);
    out->v[out->nr++] = (struct chunk){ o->encoding, { copy, data.n }, o->min_ms, o->max_ms };
    open_free(o);
}

static bool
open_append(struct open_chunk *o, const struct sample_buf *s, size_t i, struct arena *arena,
            struct chunk_list *out, struct error *err)
{
    int64_t st_ms = s->st_ms == NULL ? 0 : s->st_ms[i];
    struct chunk_histogram *next = NULL;

    if (o->encoding == CHUNK_XOR) {
        struct buf *b = &o->xor_bytes;
        buf_reserve(b, CHUNK_XOR_SAMPLE_BYTES_MAX);
        if (!chunk_xor_append(&o->xor_state, b->p, &b->n, b->cap, s->t_ms[i], s->v[i]))
            return error_set(err, ERR_INTERNAL, "XOR chunk is full");
    } else if (o->encoding == CHUNK_XOR2) {
        if (!chunk_xor2_append(&o->xor2, st_ms, s->t_ms[i], s->v[i]))
            return error_set(err, ERR_INTERNAL, "XOR2 chunk is full");
    } else if (!chunk_histogram_append(o->histogram, NULL, st_ms, s->t_ms[i], s->h[i], &next,
                                       err)) {
        return false;
    }
    if (next != NULL) {
        enum chunk_encoding encoding = o->encoding;
        open_seal(o, arena, out);
        o->encoding = encoding;
        o->histogram = next;
        o->nr = 0;
    }
    if (o->nr++ == 0)
        o->min_ms = s->t_ms[i];
    o->max_ms = s->t_ms[i];
    return true;
}

static enum chunk_encoding
encoding_for(const struct sample_buf *s, size_t i, enum chunk_encoding floats)
{
    bool has_st = s->st_ms != NULL && s->st_ms[i] != 0;

    if (s->h == NULL || s->h[i] == NULL)
        return has_st ? CHUNK_XOR2 : floats;
    if (s->h[i]->is_int)
        return has_st ? CHUNK_HISTOGRAM_ST : CHUNK_HISTOGRAM;
    return has_st ? CHUNK_FLOAT_HISTOGRAM_ST : CHUNK_FLOAT_HISTOGRAM;
}

/* An open XOR2 chunk takes floats without start timestamps too; nothing else may change within a
 * chunk. */
static bool
may_follow(enum chunk_encoding open, enum chunk_encoding wanted)
{
    return open == wanted || (open == CHUNK_XOR2 && wanted == CHUNK_XOR);
}

bool
chunk_encode(const struct sample_buf *samples, enum chunk_encoding floats, size_t samples_max,
             struct arena *arena, struct chunk_list *out, struct error *err)
{
    struct open_chunk open = { .encoding = CHUNK_NONE };
    bool ok = true;

    for (size_t i = 0; ok && i < samples->nr; i++) {
        enum chunk_encoding wanted = encoding_for(samples, i, floats);
        if (open.encoding == CHUNK_NONE || !may_follow(open.encoding, wanted) ||
            open.nr >= samples_max) {
            open_seal(&open, arena, out);
            open_start(&open, wanted);
        }
        ok = open_append(&open, samples, i, arena, out, err);
    }
    if (ok)
        open_seal(&open, arena, out);
    open_free(&open);
    buf_fini(&open.xor_bytes);
    return ok;
}
