#include "tsdb/compact.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conformance.h"

enum { BLOCKS_MAX = 16, H = 3600000 };

/* ---- planning ---- */

struct spec {
    int64_t min_h, max_h;
    uint64_t tombstones_nr, series_nr;
    bool failed;
    const char *hint;
};

static const struct {
    const char *name;
    struct spec blocks[8];
    bool overlapping;
    size_t want[8], want_nr;
} plans[] = {
    { "nothing", { { 0 } }, true, { 0 }, 0 },
    { "one range is not full yet",
      { { .min_h = 0, .max_h = 2 }, { .min_h = 2, .max_h = 4 }, { .min_h = 4, .max_h = 6 } },
      true,
      { 0 },
      0 },
    { "a full range, the newest waits",
      { { .min_h = 0, .max_h = 2 },
        { .min_h = 2, .max_h = 4 },
        { .min_h = 4, .max_h = 6 },
        { .min_h = 6, .max_h = 8 } },
      true,
      { 0, 1, 2 },
      3 },
    { "a gap, and a newer block behind",
      { { .min_h = 0, .max_h = 2 },
        { .min_h = 4, .max_h = 6 },
        { .min_h = 6, .max_h = 8 },
        { .min_h = 8, .max_h = 10 } },
      true,
      { 0, 1 },
      2 },
    { "failed ones are left alone",
      { { .min_h = 0, .max_h = 2 },
        { .min_h = 2, .max_h = 4, .failed = true },
        { .min_h = 4, .max_h = 6 },
        { .min_h = 6, .max_h = 8 } },
      true,
      { 0 },
      0 },
    { "levels",
      { { .min_h = 0, .max_h = 6 },
        { .min_h = 6, .max_h = 12 },
        { .min_h = 12, .max_h = 18 },
        { .min_h = 18, .max_h = 20 } },
      true,
      { 0, 1, 2 },
      3 },
    { "overlap first",
      { { .min_h = 0, .max_h = 6 },
        { .min_h = 2, .max_h = 4 },
        { .min_h = 6, .max_h = 8 },
        { .min_h = 8, .max_h = 10 } },
      true,
      { 0, 1 },
      2 },
    { "overlap switched off, still one range",
      { { .min_h = 0, .max_h = 6 },
        { .min_h = 2, .max_h = 4 },
        { .min_h = 6, .max_h = 8 },
        { .min_h = 8, .max_h = 10 } },
      false,
      { 0, 1 },
      2 },
    { "many deletions",
      { { .min_h = 0, .max_h = 18, .tombstones_nr = 6, .series_nr = 100 },
        { .min_h = 18, .max_h = 20 } },
      true,
      { 0 },
      1 },
    { "few deletions",
      { { .min_h = 0, .max_h = 18, .tombstones_nr = 5, .series_nr = 100 },
        { .min_h = 18, .max_h = 20 } },
      true,
      { 0 },
      0 },
    { "small block, all series deleted",
      { { .min_h = 0, .max_h = 2, .tombstones_nr = 9, .series_nr = 9 },
        { .min_h = 2, .max_h = 4 } },
      true,
      { 0 },
      1 },
    { "stale blocks stay by themselves",
      { { .min_h = 0, .max_h = 2 },
        { .min_h = 2, .max_h = 4, .hint = BLOCK_HINT_STALE },
        { .min_h = 4, .max_h = 6 },
        { .min_h = 6, .max_h = 8 } },
      true,
      { 0, 2 },
      2 },
};

Test(compact, plans_as_prometheus_does)
{
    struct compact_ranges ranges = compact_ranges_of(2 * H, 18 * H);

    cr_assert_eq(ranges.nr, 3);
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        struct block_meta metas[8] = { 0 };
        const struct block_meta *sorted[8];
        struct compact_plan plan;
        size_t nr = 0;
        for (; nr < 8 && plans[i].blocks[nr].max_h != 0; nr++) {
            const struct spec *s = &plans[i].blocks[nr];
            metas[nr] = (struct block_meta){ .min_ms = s->min_h * H,
                                             .max_ms = s->max_h * H,
                                             .failed = s->failed };
            metas[nr].tombstones_nr = s->tombstones_nr;
            metas[nr].series_nr = s->series_nr;
            if (s->hint != NULL)
                block_meta_add_hint(&metas[nr], s->hint);
            sorted[nr] = &metas[nr];
        }
        compact_plan(sorted, nr, &ranges, plans[i].overlapping, &plan);
        cr_expect_eq(plan.nr, plans[i].want_nr, "%s: %zu blocks", plans[i].name, plan.nr);
        for (size_t k = 0; k < plan.nr && k < plans[i].want_nr; k++)
            cr_expect_eq(plan.index[k], plans[i].want[k], "%s", plans[i].name);
        compact_plan_fini(&plan);
        for (size_t k = 0; k < nr; k++)
            block_meta_fini(&metas[k]);
    }
}

Test(compact, ranges_grow_threefold_up_to_the_maximum)
{
    struct compact_ranges r = compact_ranges_of(2 * H, 36 * H);

    cr_assert_eq(r.nr, 3);
    cr_expect(r.ms[0] == 2 * H && r.ms[1] == 6 * H && r.ms[2] == 18 * H);
    cr_expect_eq(compact_ranges_of(2 * H, H).nr, 1);
    cr_expect_eq(compact_ranges_of(2 * H, INT64_MAX).nr, 10);
}

static const struct {
    const char *name;
    struct retention r;
    bool want[4]; /* blocks 0-2 h, 2-4 h, 4-6 h, 6-8 h of 100 bytes each, 50 bytes beside them */
} retentions[] = {
    { "off", { 0, 0 }, { false, false, false, false } },
    { "just long enough", { 6 * H + 1, 0 }, { false, false, false, false } },
    { "the oldest", { 6 * H, 0 }, { true, false, false, false } },
    { "all but the newest", { 1, 0 }, { true, true, true, false } },
    { "bytes just enough", { 0, 450 }, { false, false, false, false } },
    { "bytes", { 0, 449 }, { true, false, false, false } },
    { "bytes for nothing", { 0, 1 }, { true, true, true, true } },
};

Test(compact, retention_takes_the_oldest)
{
    for (size_t i = 0; i < ARRAY_LEN(retentions); i++) {
        struct block_meta metas[4] = { 0 };
        struct retention_block blocks[4];
        bool gone[4];
        for (int k = 0; k < 4; k++) {
            metas[k] = (struct block_meta){ .min_ms = 2 * k * H, .max_ms = (2 * k + 2) * H };
            metas[k].id.z[0] = (char)('0' + k);
            blocks[k] = (struct retention_block){ &metas[k], 100 };
        }
        retention_apply(&retentions[i].r, blocks, 4, 50, gone);
        for (int k = 0; k < 4; k++)
            cr_expect_eq(gone[k], retentions[i].want[k], "%s: block %d", retentions[i].name, k);
    }
}

/* ---- merging ---- */

struct opened {
    struct symbols *symbols;
    struct block *b[BLOCKS_MAX];
    size_t nr;
};

static int
by_min(const void *a, const void *b)
{
    const struct block_meta *x = block_meta(*(struct block *const *)a),
                            *y = block_meta(*(struct block *const *)b);

    return (x->min_ms > y->min_ms) - (x->min_ms < y->min_ms);
}

static void
open_all(struct opened *o, const char *dir)
{
    struct error err = { 0 };
    struct dirent *e;
    DIR *d = opendir(dir);

    *o = (struct opened){ .symbols = symbols_new() };
    while ((e = readdir(d)) != NULL) {
        char path[4200];
        if (strlen(e->d_name) != BLOCK_ULID_BYTES - 1)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        cr_assert(block_open(&o->b[o->nr++], io_posix(), path, o->symbols, &err), "%s", err.msg);
    }
    closedir(d);
    qsort(o->b, o->nr, sizeof *o->b, by_min);
}

static void
close_all(struct opened *o)
{
    for (size_t i = 0; i < o->nr; i++)
        block_unref(o->b[i]);
    symbols_free(o->symbols);
}

static void
expect_same_file(const char *a_dir, const char *b_dir, const char *name)
{
    char path[4300], *a = NULL, *b = NULL;
    struct error err = { 0 };
    size_t a_n, b_n;

    snprintf(path, sizeof path, "%s/%s", a_dir, name);
    cr_assert(io_read_file(io_posix(), path, 1 << 30, &a, &a_n, &err));
    snprintf(path, sizeof path, "%s/%s", b_dir, name);
    cr_assert(io_read_file(io_posix(), path, 1 << 30, &b, &b_n, &err));
    cr_expect(a_n == b_n && memcmp(a, b, a_n) == 0, "%s differs: %zu and %zu bytes", name, a_n,
              b_n);
    mem_free(a);
    mem_free(b);
}

static bool
compact_to(struct opened *o, const char *tmp, struct block_id *id, bool *empty)
{
    struct clock_virtual clock;
    struct error err = { 0 };

    clock_virtual_init(&clock, 1767225600000, 1);
    struct compact_options options = {
        .io = io_posix(), .clock = &clock.base, .dir = tmp, .segment_bytes = BLOCK_SEGMENT_BYTES
    };
    bool ok = compact_blocks(&options, o->b, o->nr, id, empty, &err);
    cr_expect(ok, "%s", err.msg);
    return ok;
}

Test(compact, overlapping_blocks_give_the_bytes_of_the_conformance_block)
{
    char tmp[] = "/tmp/narthex-test-XXXXXX", made[128];
    const char *dir = conformance_path("tsdb/blocks-overlapping/data");
    struct opened in, want;
    struct error err = { 0 };
    struct block_id id;
    bool empty;

    if (dir == NULL)
        return;
    cr_assert(mkdtemp(tmp) != NULL);
    open_all(&in, dir);
    open_all(&want, conformance_path("tsdb/blocks-vertical/data"));
    cr_assert(in.nr == 3 && want.nr == 1);
    cr_assert(compact_to(&in, tmp, &id, &empty) && !empty);
    snprintf(made, sizeof made, "%s/%s", tmp, id.z);
    expect_same_file(block_dir(want.b[0]), made, "index");
    expect_same_file(block_dir(want.b[0]), made, "chunks/000001");
    close_all(&in);
    close_all(&want);
    cr_expect(io_remove_tree(io_posix(), tmp, &err));
}

/* All samples of all series, as one number. */
static uint64_t
digest(struct opened *o, size_t *samples_nr)
{
    uint64_t sum = 0;

    *samples_nr = 0;
    for (size_t i = 0; i < o->nr; i++) {
        struct error err = { 0 };
        struct sample_buf s;
        struct postings refs;
        struct arena a, h;
        arena_init(&a, SIZE_MAX);
        arena_init(&h, SIZE_MAX);
        sample_buf_init(&s, &h);
        cr_assert(block_select(o->b[i], NULL, 0, NULL, &a, &refs, &err));
        for (size_t k = 0; k < refs.nr; k++) {
            struct labels labels;
            sample_buf_reset(&s);
            cr_assert(block_labels(o->b[i], refs.v[k], &a, &labels, &err));
            cr_assert(block_read(o->b[i], refs.v[k], TIME_MIN_MS, TIME_MAX_MS, &s, &err), "%s",
                      err.msg);
            for (size_t n = 0; n < s.nr; n++) {
                double v = s.h != NULL && s.h[n] != NULL ? s.h[n]->sum : s.v[n];
                sum += (labels_hash(labels) ^ (uint64_t)s.t_ms[n]) * (double_bits(v) | 1);
            }
            *samples_nr += s.nr;
        }
        sample_buf_fini(&s);
        arena_fini(&a);
        arena_fini(&h);
    }
    return sum;
}

Test(compact, deleted_samples_stay_away)
{
    static const char *dirs[] = { "tombstones", "native-histograms", "st-storage", "wal-checkpoint",
                                  "blocks-levels" };

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        char tmp[] = "/tmp/narthex-test-XXXXXX", relative[64];
        struct opened in, out;
        struct error err = { 0 };
        struct block_id id;
        size_t before_nr, after_nr;
        bool empty;
        snprintf(relative, sizeof relative, "tsdb/%s/data", dirs[i]);
        const char *dir = conformance_path(relative);
        if (dir == NULL)
            return;
        cr_assert(mkdtemp(tmp) != NULL);
        open_all(&in, dir);
        uint64_t before = digest(&in, &before_nr);
        cr_assert(compact_to(&in, tmp, &id, &empty) && !empty);
        open_all(&out, tmp);
        cr_assert_eq(out.nr, 1);
        uint64_t after = digest(&out, &after_nr);
        cr_expect(before == after && before_nr == after_nr, "%s: %zu samples, then %zu", dirs[i],
                  before_nr, after_nr);
        cr_expect_eq(block_meta(out.b[0])->samples_nr, after_nr);
        cr_expect_eq(block_meta(out.b[0])->parents_nr, in.nr);
        cr_expect_eq(tombstones_ranges_nr(block_tombstones(out.b[0])), 0);
        close_all(&in);
        close_all(&out);
        cr_expect(io_remove_tree(io_posix(), tmp, &err));
    }
}
