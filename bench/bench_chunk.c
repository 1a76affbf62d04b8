/* Nanoseconds per sample of XOR chunks of 120 samples: appending, reading one by one, and reading a
 * series' chunks together. Thread CPU time, the best of several rounds over a set that does not fit
 * the first-level cache. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/mem.h"
#include "tsdb/chunk_xor.h"

enum { CHUNKS = 800, SAMPLES = 120, CHUNK_BYTES = 2048, ROUNDS = 30 };

static const struct {
    const char *name;
    int jitter_ms;
    enum { COUNTER, WALK, CONSTANT } kind;
} patterns[] = {
    { "counter, regular", 0, COUNTER },   { "counter, jittered", 5, COUNTER },
    { "random walk, regular", 0, WALK },  { "random walk, jittered", 5, WALK },
    { "constant, regular", 0, CONSTANT }, { "constant, jittered", 5, CONSTANT },
};

static double
thread_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct set {
    uint8_t *bytes;
    struct chunk chunks[CHUNKS];
    int64_t t_ms[CHUNKS * SAMPLES];
    double v[CHUNKS * SAMPLES];
};

static void
fill(struct set *s, size_t pattern)
{
    uint64_t state = 88172645463325252u;
    double v = 1000;

    for (size_t i = 0; i < CHUNKS * SAMPLES; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        int jitter = patterns[pattern].jitter_ms == 0
                         ? 0
                         : (int)(state % (unsigned)patterns[pattern].jitter_ms);
        if (patterns[pattern].kind == COUNTER)
            v += (double)(state >> 58);
        else if (patterns[pattern].kind == WALK)
            v += (double)(int64_t)state / 1e19;
        s->t_ms[i] = 1700000000000 + (int64_t)i * 15000 + jitter;
        s->v[i] = v;
    }
}

static void
encode(struct set *s)
{
    for (size_t c = 0; c < CHUNKS; c++) {
        uint8_t *p = s->bytes + c * CHUNK_BYTES;
        const int64_t *t = s->t_ms + c * SAMPLES;
        size_t n = CHUNK_XOR_HEADER_BYTES;
        struct chunk_xor x;
        chunk_xor_start(&x, p);
        for (size_t i = 0; i < SAMPLES; i++)
            if (!chunk_xor_append(&x, p, &n, CHUNK_BYTES, t[i], s->v[c * SAMPLES + i]))
                abort();
        s->chunks[c] = (struct chunk){ CHUNK_XOR, { p, n }, t[0], t[SAMPLES - 1] };
    }
}

static void
read_all(struct set *s, size_t at_once, struct sample_buf *out)
{
    struct error err = { 0 };

    for (size_t c = 0; c < CHUNKS; c += at_once) {
        sample_buf_reset(out);
        if (!chunk_read_many(s->chunks + c, at_once, TIME_MIN_MS, TIME_MAX_MS, out, &err) ||
            out->nr != at_once * SAMPLES)
            abort();
    }
}

int
main(void)
{
    struct set *s = MEM_NEW(struct set);
    struct sample_buf out;

    s->bytes = mem_alloc(CHUNKS * CHUNK_BYTES);
    sample_buf_init(&out, NULL);
    printf("%-24s %8s %8s %8s %8s\n", "ns per sample", "append", "read", "read 8", "bytes");
    for (size_t p = 0; p < ARRAY_LEN(patterns); p++) {
        double best[3] = { 1e18, 1e18, 1e18 }, bytes = 0;
        fill(s, p);
        for (int round = 0; round < ROUNDS; round++) {
            double a = thread_ns();
            encode(s);
            double b = thread_ns();
            read_all(s, 1, &out);
            double c = thread_ns();
            read_all(s, 8, &out);
            double d = thread_ns();
            best[0] = MIN(best[0], b - a);
            best[1] = MIN(best[1], c - b);
            best[2] = MIN(best[2], d - c);
        }
        for (size_t c = 0; c < CHUNKS; c++)
            bytes += (double)s->chunks[c].data.n;
        double nr = CHUNKS * SAMPLES;
        printf("%-24s %8.2f %8.2f %8.2f %8.2f\n", patterns[p].name, best[0] / nr, best[1] / nr,
               best[2] / nr, bytes / nr);
    }
    sample_buf_fini(&out);
    mem_free(s->bytes);
    mem_free(s);
    return 0;
}
