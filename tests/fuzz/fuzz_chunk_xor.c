/* XOR and XOR2 chunks: the first byte chooses. Times that were read must grow, whatever the bytes;
 * what reads cleanly and resumes takes one more sample. Reading in one go and four at once give
 * what a walk sample by sample gives. */
#include "base/mem.h"
#include "tsdb/chunk_priv.h"
#include "tsdb/chunk_xor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
resume_and_append(struct bytes chunk)
{
    struct error err = { 0 };
    struct chunk_xor x;
    size_t n = chunk.n, cap = n + CHUNK_XOR_SAMPLE_BYTES_MAX;

    if (!chunk_xor_resume(&x, chunk, &err) || x.nr == 0 || x.nr == CHUNK_SAMPLES_MAX ||
        x.t_ms > INT64_MAX - 1000) {
        error_clear(&err);
        return;
    }
    uint8_t *copy = mem_alloc(cap);
    memcpy(copy, chunk.p, n);
    ASSERT(chunk_xor_append(&x, copy, &n, cap, x.t_ms + 1000, 42.5));
    mem_free(copy);
}

static void
as_walked(struct bytes chunk, const struct sample_buf *s, bool ok)
{
    struct xor_reader r;
    size_t i = 0;

    if (chunk.n < CHUNK_XOR_HEADER_BYTES)
        return;
    xor_reader_init(&r, chunk);
    for (; i < s->nr; i++) {
        ASSERT(xor_reader_next(&r));
        ASSERT(s->t_ms[i] == r.t_ms && double_bits(s->v[i]) == r.v);
    }
    ASSERT(!ok || (r.left_nr == 0 && !r.bits.bad));
}

static void
four_at_once(struct bytes chunk, const struct sample_buf *one, bool ok)
{
    struct chunk four[CHUNK_XOR_LANES];
    struct sample_buf s;

    if (!chunk_xor_is_dense(chunk))
        return;
    for (size_t k = 0; k < CHUNK_XOR_LANES; k++)
        four[k] = (struct chunk){ .encoding = CHUNK_XOR, .data = chunk };
    sample_buf_init(&s, NULL);
    /* The same chunk again is not in time order, which is refused behind the reading. */
    ASSERT(!chunk_xor_read_lanes(four, &s));
    for (size_t i = 0; ok && i < one->nr * CHUNK_XOR_LANES; i++)
        ASSERT(s.t_ms[i] == one->t_ms[i % one->nr] &&
               double_bits(s.v[i]) == double_bits(one->v[i % one->nr]));
    sample_buf_fini(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct error err = { 0 };
    struct sample_buf s;

    if (n == 0)
        return 0;
    struct bytes chunk = { data + 1, n - 1 };
    sample_buf_init(&s, NULL);
    bool ok = chunk_read(data[0] % 2 == 0 ? CHUNK_XOR : CHUNK_XOR2, chunk, TIME_MIN_MS, TIME_MAX_MS,
                         &s, &err);
    for (size_t i = 1; i < s.nr; i++)
        ASSERT(s.t_ms[i] > s.t_ms[i - 1]);
    if (data[0] % 2 == 0) {
        as_walked(chunk, &s, ok);
        four_at_once(chunk, &s, ok);
    }
    if (ok && data[0] % 2 == 0)
        resume_and_append(chunk);
    sample_buf_fini(&s);
    error_clear(&err);
    return 0;
}
