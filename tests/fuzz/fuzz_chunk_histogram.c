/* The four histogram encodings: the first byte chooses. What was read is appended again, which must
 * not fail. */
#include "base/mem.h"
#include "tsdb/chunk_histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const enum chunk_encoding encodings[] = { CHUNK_HISTOGRAM, CHUNK_FLOAT_HISTOGRAM,
                                                 CHUNK_HISTOGRAM_ST, CHUNK_FLOAT_HISTOGRAM_ST };

static void
append_all(enum chunk_encoding encoding, const struct sample_buf *s)
{
    struct chunk_histogram *c = chunk_histogram_new(encoding), *next;
    struct error err = { 0 };

    for (size_t i = 0; i < s->nr && i < 200; i++) {
        ASSERT(chunk_histogram_append(c, NULL, s->st_ms[i], s->t_ms[i], s->h[i], &next, &err));
        if (next != NULL) {
            chunk_histogram_free(c);
            c = next;
        }
    }
    chunk_histogram_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct error err = { 0 };
    struct sample_buf s;
    struct arena a;

    if (n == 0 || n > 1 << 16)
        return 0;
    enum chunk_encoding encoding = encodings[data[0] % 4];
    arena_init(&a, SIZE_MAX);
    sample_buf_init(&s, &a);
    sample_buf_reserve(&s, 1);
    s.st_ms = mem_zalloc(s.cap * sizeof *s.st_ms);
    if (chunk_read(encoding, (struct bytes){ data + 1, n - 1 }, TIME_MIN_MS, TIME_MAX_MS, &s, &err))
        append_all(encoding, &s);
    sample_buf_fini(&s);
    arena_fini(&a);
    error_clear(&err);
    return 0;
}
