#include "tsdb/chunk.h"

#include <criterion/criterion.h>

#include "conformance.h"
#include "tsdb/chunk_histogram.h"
#include "tsdb/chunk_xor.h"
#include "tsdb/chunk_xor2.h"

struct tally {
    unsigned nr, passed;
};

static enum chunk_encoding
encoding_of(json_t *line)
{
    return (enum chunk_encoding)json_integer_value(json_object_get(line, "code"));
}

/* Whether sample i of the buffer is what the case says; ST is the third element where there is one.
 */
static bool
sample_is(const struct sample_buf *got, size_t i, json_t *want, char *why, size_t why_bytes)
{
    json_t *value = json_array_get(want, 1);
    json_t *st = json_array_get(want, 2);

    snprintf(why, why_bytes, "time");
    if (json_integer_value(json_array_get(want, 0)) != got->t_ms[i])
        return false;
    snprintf(why, why_bytes, "start timestamp");
    if (st != NULL && json_integer_value(st) != got->st_ms[i])
        return false;
    if (json_is_string(value)) {
        snprintf(why, why_bytes, "value");
        return hex_u64(json_string_value(value)) == double_bits(got->v[i]);
    }
    return got->h != NULL && got->h[i] != NULL &&
           histogram_is_json(got->h[i], value, why, why_bytes);
}

static bool
case_reads(json_t *line, struct bytes data, char *why, size_t why_bytes)
{
    json_t *samples = json_object_get(line, "samples");
    struct error err = { 0 };
    struct sample_buf buf;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    sample_buf_init(&buf, &arena);
    sample_buf_reserve(&buf, 1);
    buf.st_ms = mem_alloc(buf.cap * sizeof *buf.st_ms);
    bool ok = chunk_read(encoding_of(line), data, TIME_MIN_MS, TIME_MAX_MS, &buf, &err);
    if (!ok)
        snprintf(why, why_bytes, "%s", error_text(&err));
    else if ((ok = buf.nr == json_array_size(samples)) == false)
        snprintf(why, why_bytes, "%zu samples", buf.nr);
    for (size_t i = 0; ok && i < buf.nr; i++)
        ok = sample_is(&buf, i, json_array_get(samples, i), why, why_bytes);
    error_clear(&err);
    sample_buf_fini(&buf);
    arena_fini(&arena);
    return ok;
}

static void
read_case(json_t *line, void *arg)
{
    struct tally *tally = arg;
    char why[256] = "";
    size_t n;
    uint8_t *p = hex_bytes(json_string_value(json_object_get(line, "bytes")), &n);
    bool ok = case_reads(line, (struct bytes){ p, n }, why, sizeof why);

    cr_expect(ok, "case %u (%s): %s", tally->nr,
              json_string_value(json_object_get(line, "encoding")), why);
    tally->nr++;
    tally->passed += ok;
    mem_free(p);
}

Test(chunk, reads_every_conformance_chunk)
{
    static const char *files[] = { "chunks/chunks.jsonl", "chunks/chunks2.jsonl" };

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct tally tally = { 0 };
        if (conformance_lines(files[i], read_case, &tally))
            fprintf(stderr, "%s: %u of %u passed\n", files[i], tally.passed, tally.nr);
    }
}

/* Appends in a buffer that grows by one byte at a time where the encoder says that it is too small.
 */
static void
write_case(json_t *line, void *arg)
{
    struct tally *tally = arg;
    json_t *samples = json_object_get(line, "samples"), *sample;
    size_t i, n, got_n = CHUNK_XOR_HEADER_BYTES, cap = got_n;
    struct chunk_xor x;

    if (encoding_of(line) != CHUNK_XOR)
        return;
    uint8_t *want = hex_bytes(json_string_value(json_object_get(line, "bytes")), &n);
    uint8_t *got = mem_alloc(cap);
    chunk_xor_start(&x, got);
    json_array_foreach(samples, i, sample)
    {
        struct chunk_xor again;
        struct error err = { 0 };
        double v = double_of_bits(hex_u64(json_string_value(json_array_get(sample, 1))));
        if (i > 0) {
            cr_assert(chunk_xor_resume(&again, (struct bytes){ got, got_n }, &err), "%s", err.msg);
            cr_expect(memcmp(&again, &x, sizeof x) == 0, "case %u: state after %zu", tally->nr, i);
        }
        while (!chunk_xor_append(&x, got, &got_n, cap,
                                 json_integer_value(json_array_get(sample, 0)), v))
            got = mem_realloc(got, ++cap);
    }
    bool ok = got_n == n && memcmp(got, want, n) == 0;
    cr_expect(ok, "case %u: other bytes", tally->nr);
    tally->nr++;
    tally->passed += ok;
    mem_free(got);
    mem_free(want);
}

Test(chunk, xor_appends_to_the_conformance_bytes)
{
    struct tally tally = { 0 };

    if (conformance_lines("chunks/chunks.jsonl", write_case, &tally))
        fprintf(stderr, "xor writing: %u of %u passed\n", tally.passed, tally.nr);
}

static void
write_xor2_case(json_t *line, void *arg)
{
    struct tally *tally = arg;
    json_t *samples = json_object_get(line, "samples"), *sample;
    struct chunk_xor2 x;
    size_t i, n;

    if (encoding_of(line) != CHUNK_XOR2)
        return;
    uint8_t *want = hex_bytes(json_string_value(json_object_get(line, "bytes")), &n);
    chunk_xor2_init(&x);
    json_array_foreach(samples, i, sample)
    {
        double v = double_of_bits(hex_u64(json_string_value(json_array_get(sample, 1))));
        cr_assert(chunk_xor2_append(&x, json_integer_value(json_array_get(sample, 2)),
                                    json_integer_value(json_array_get(sample, 0)), v));
    }
    bool ok = x.bytes.n == n && memcmp(x.bytes.p, want, n) == 0;
    cr_expect(ok, "case %u: other bytes", tally->nr);
    tally->nr++;
    tally->passed += ok;
    chunk_xor2_fini(&x);
    mem_free(want);
}

/* Appending what a histogram chunk holds gives a chunk with the same samples; mostly the same bytes
 * (a recoded chunk may come out with other spans), which is counted. */
static void
write_histogram_case(json_t *line, void *arg)
{
    struct tally *tally = arg;
    enum chunk_encoding encoding = encoding_of(line);
    struct error err = { 0 };
    struct sample_buf old;
    struct arena a;
    char why[256] = "";
    size_t n;

    if (chunk_is_float(encoding))
        return;
    uint8_t *p = hex_bytes(json_string_value(json_object_get(line, "bytes")), &n);
    arena_init(&a, SIZE_MAX);
    sample_buf_init(&old, &a);
    sample_buf_reserve(&old, 1);
    old.st_ms = mem_alloc(old.cap * sizeof *old.st_ms);
    cr_assert(chunk_read(encoding, (struct bytes){ p, n }, TIME_MIN_MS, TIME_MAX_MS, &old, &err));
    struct chunk_histogram *c = chunk_histogram_new(encoding), *next;
    for (size_t i = 0; i < old.nr; i++) {
        struct histogram h = *old.h[i];
        /* Read back, a stale marker has lost whether it stood in a gauge chunk. */
        if (chunk_reset_of(encoding, (struct bytes){ p, n }) == CHUNK_RESET_GAUGE)
            h.hint = HINT_GAUGE;
        cr_assert(chunk_histogram_append(c, NULL, old.st_ms[i], old.t_ms[i], &h, &next, &err));
        cr_expect(next == NULL, "case %u: sample %zu does not fit its chunk", tally->nr, i);
        chunk_histogram_free(next);
    }
    struct bytes got = chunk_histogram_bytes(c);
    cr_expect(case_reads(line, got, why, sizeof why) || old.h[0]->hint == HINT_UNKNOWN,
              "case %u: %s", tally->nr, why);
    size_t header = encoding == CHUNK_HISTOGRAM || encoding == CHUNK_FLOAT_HISTOGRAM ? 3 : 2;
    tally->nr++;
    tally->passed += got.n == n && memcmp(got.p + header, p + header, n - header) == 0;
    chunk_histogram_free(c);
    sample_buf_fini(&old);
    arena_fini(&a);
    mem_free(p);
}

Test(chunk, xor2_and_histograms_append_to_the_conformance_bytes)
{
    struct tally xor2 = { 0 }, histograms = { 0 };

    if (!conformance_lines("chunks/chunks2.jsonl", write_xor2_case, &xor2))
        return;
    conformance_lines("chunks/chunks.jsonl", write_histogram_case, &histograms);
    conformance_lines("chunks/chunks2.jsonl", write_histogram_case, &histograms);
    fprintf(stderr, "xor2 writing: %u of %u passed\n", xor2.passed, xor2.nr);
    fprintf(stderr, "histogram writing: %u of %u byte-equal behind the header\n", histograms.passed,
            histograms.nr);
    cr_expect_eq(histograms.passed, histograms.nr);
}

static size_t
make_xor(uint8_t *p, size_t cap, size_t nr, int64_t start_ms, unsigned seed)
{
    struct chunk_xor x;
    size_t n = CHUNK_XOR_HEADER_BYTES;
    double v = 0;

    chunk_xor_start(&x, p);
    for (size_t i = 0; i < nr; i++) {
        seed = seed * 1103515245 + 12345;
        if (seed >> 28 > 6)
            v += seed >> 20;
        cr_assert(chunk_xor_append(&x, p, &n, cap, start_ms + (int64_t)i * 15000, v));
    }
    return n;
}

Test(chunk, reads_a_range_only)
{
    static const struct {
        int64_t min_ms, max_ms;
        size_t want;
    } cases[] = {
        { 0, 1785000, 120 }, { 1, 1784999, 118 },     { 15000, 15000, 1 },
        { 1, 14999, 0 },     { 1785001, 9999999, 0 }, { -5, 0, 1 },
    };
    uint8_t p[4096];
    struct bytes data = { p, make_xor(p, sizeof p, 120, 0, 7) };
    struct sample_buf buf;
    struct error err = { 0 };

    sample_buf_init(&buf, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t before = buf.nr;
        cr_assert(chunk_read(CHUNK_XOR, data, cases[i].min_ms, cases[i].max_ms, &buf, &err));
        cr_expect_eq(buf.nr - before, cases[i].want, "case %zu: %zu", i, buf.nr - before);
    }
    sample_buf_fini(&buf);
}

Test(chunk, cut_bytes_are_an_error_that_keeps_the_samples_before)
{
    uint8_t p[4096], cut[4096];
    size_t n = make_xor(p, sizeof p, 120, 0, 9);

    for (size_t i = 0; i < n; i++) {
        struct sample_buf buf;
        struct error err = { 0 };
        memcpy(cut, p, i);
        sample_buf_init(&buf, NULL);
        bool ok =
            chunk_read(CHUNK_XOR, (struct bytes){ cut, i }, TIME_MIN_MS, TIME_MAX_MS, &buf, &err);
        cr_expect(i < 2 || !ok, "%zu of %zu bytes", i, n);
        cr_expect_eq(ok ? ERR_NONE : err.kind, ok ? ERR_NONE : ERR_CORRUPT);
        sample_buf_fini(&buf);
    }
}

Test(chunk, many_at_once_equal_one_by_one)
{
    enum { CHUNKS = 11 };
    static uint8_t p[CHUNKS][4096];
    struct chunk chunks[CHUNKS];
    struct sample_buf one, many;
    struct error err = { 0 };

    sample_buf_init(&one, NULL);
    sample_buf_init(&many, NULL);
    for (size_t i = 0; i < CHUNKS; i++) {
        size_t nr = i == 3 ? 1 : i == 4 ? 2 : 50 + 13 * i;
        int64_t start_ms = (int64_t)i * 10000000;
        chunks[i] = (struct chunk){ .encoding = CHUNK_XOR,
                                    .data = { p[i], make_xor(p[i], sizeof p[i], nr, start_ms,
                                                             (unsigned)i) },
                                    .min_ms = start_ms,
                                    .max_ms = start_ms + (int64_t)(nr - 1) * 15000 };
        cr_assert(chunk_read(CHUNK_XOR, chunks[i].data, 30000, 100500000, &one, &err));
    }
    cr_assert(chunk_read_many(chunks, CHUNKS, 30000, 100500000, &many, &err));
    cr_assert_eq(one.nr, many.nr);
    cr_expect(memcmp(one.t_ms, many.t_ms, one.nr * 8) == 0);
    cr_expect(memcmp(one.v, many.v, one.nr * 8) == 0);
    sample_buf_fini(&one);
    sample_buf_fini(&many);
}
