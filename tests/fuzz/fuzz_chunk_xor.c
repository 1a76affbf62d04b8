/* XOR and XOR2 chunks: the first byte chooses. Times that were read must grow, whatever the bytes;
 * what reads cleanly and resumes takes one more sample. */
#include "base/mem.h"
#include "tsdb/chunk.h"
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
    if (ok && data[0] % 2 == 0)
        resume_and_append(chunk);
    sample_buf_fini(&s);
    error_clear(&err);
    return 0;
}
