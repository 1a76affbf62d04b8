#include "tsdb/head_chunks.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conformance.h"
#include "tsdb/chunk_xor.h"

enum { CHUNKS_MAX = 4096 };

struct seen {
    struct head_chunk v[CHUNKS_MAX];
    size_t nr;
};

static bool
remember(void *arg, const struct head_chunk *c, struct error *err)
{
    struct seen *seen = arg;

    cr_assert(seen->nr < CHUNKS_MAX);
    seen->v[seen->nr++] = *c;
    return true;
}

/* Reads every chunk of one directory, writes all to another, and compares the files up to the zeros
 * behind. */
static size_t
copy_dir(const char *dir, const char *tmp)
{
    static struct seen seen, none;
    struct head_chunks *from, *to;
    struct head_chunks_damage damage;
    struct error err = { 0 };
    struct buf scratch = { 0 };
    struct sample_buf samples;
    struct arena a;
    char path[4200], *old = NULL, *new = NULL;
    size_t old_n, new_n;

    seen.nr = none.nr = 0;
    arena_init(&a, SIZE_MAX);
    sample_buf_init(&samples, &a);
    cr_assert(head_chunks_open(&from, io_posix(), dir, tmp, HEAD_CHUNKS_FILE_BYTES, remember, &seen,
                               &damage, &err),
              "%s: %s", dir, err.msg);
    cr_expect_not(damage.found, "%s", damage.why);
    cr_assert(head_chunks_open(&to, io_posix(), tmp, tmp, HEAD_CHUNKS_FILE_BYTES, remember, &none,
                               &damage, &err));
    for (size_t i = 0; i < seen.nr && seen.v[i].ref >> 32 == seen.v[0].ref >> 32; i++) {
        struct chunk c = { .min_ms = seen.v[i].min_ms, .max_ms = seen.v[i].max_ms };
        uint64_t ref;
        cr_assert(head_chunks_copy(from, seen.v[i].ref, &scratch, &c.encoding, &c.data, &err), "%s",
                  err.msg);
        cr_expect(chunk_read(c.encoding, c.data, TIME_MIN_MS, TIME_MAX_MS, &samples, &err), "%s",
                  err.msg);
        cr_assert(head_chunks_write(to, seen.v[i].series, &c, seen.v[i].is_ooo, &ref, &err));
        cr_expect_eq((uint32_t)ref, (uint32_t)seen.v[i].ref, "%s: chunk %zu", dir, i);
    }
    head_chunks_close(from);
    head_chunks_close(to);
    if (seen.nr > 0) {
        snprintf(path, sizeof path, "%s/%06u", dir, (unsigned)(seen.v[0].ref >> 32));
        cr_assert(io_read_file(io_posix(), path, 1 << 30, &old, &old_n, &err));
        snprintf(path, sizeof path, "%s/000001", tmp);
        cr_assert(io_read_file(io_posix(), path, 1 << 30, &new, &new_n, &err));
        cr_expect(new_n <= old_n && memcmp(old, new, new_n) == 0, "%s: other bytes", dir);
        mem_free(old);
        mem_free(new);
    }
    buf_fini(&scratch);
    sample_buf_fini(&samples);
    arena_fini(&a);
    return seen.nr;
}

Test(head_chunks, copies_of_conformance_directories_have_their_bytes)
{
    const char *root = conformance_path("tsdb");
    struct error err = { 0 };
    struct dirent *e;
    size_t chunks_nr = 0, dirs_nr = 0;

    if (root == NULL)
        return;
    DIR *d = opendir(root);
    while ((e = readdir(d)) != NULL) {
        char dir[4200], tmp[] = "/tmp/narthex-test-XXXXXX";
        snprintf(dir, sizeof dir, "%s/%s/data/chunks_head", root, e->d_name);
        if (access(dir, R_OK) != 0)
            continue;
        cr_assert(mkdtemp(tmp) != NULL);
        chunks_nr += copy_dir(dir, tmp);
        dirs_nr++;
        cr_expect(io_remove_tree(io_posix(), tmp, &err));
    }
    closedir(d);
    fprintf(stderr, "%zu chunks of %zu directories passed\n", chunks_nr, dirs_nr);
}

static struct chunk
make_chunk(uint8_t *p, size_t cap, int64_t start_ms)
{
    struct chunk_xor x;
    size_t n = CHUNK_XOR_HEADER_BYTES;

    chunk_xor_start(&x, p);
    for (int i = 0; i < 20; i++)
        cr_assert(chunk_xor_append(&x, p, &n, cap, start_ms + i, i * 1.7));
    return (struct chunk){ CHUNK_XOR, { p, n }, start_ms, start_ms + 19 };
}

/* Three files; fills refs. */
static void
fill(const char *dir, const char *aside, uint64_t *refs, size_t nr)
{
    static struct seen seen;
    struct head_chunks_damage damage;
    struct error err = { 0 };
    struct head_chunks *hc;
    struct buf scratch = { 0 };
    uint8_t p[1024];

    seen.nr = 0;
    cr_assert(head_chunks_open(&hc, io_posix(), dir, aside, 4096, remember, &seen, &damage, &err),
              "%s", err.msg);
    for (size_t i = 0; i < nr; i++) {
        struct chunk c = make_chunk(p, sizeof p, 100000000 + (int64_t)i * 1000), back = c;
        cr_assert(head_chunks_write(hc, i + 1, &c, i % 3 == 0, &refs[i], &err));
        if (i % 7 == 0)
            cr_assert(head_chunks_flush(hc, &err));
        cr_assert(head_chunks_copy(hc, refs[i / 2], &scratch, &back.encoding, &back.data, &err),
                  "%s", err.msg);
        cr_expect_eq(back.data.n, c.data.n);
    }
    head_chunks_close(hc);
    buf_fini(&scratch);
}

Test(head_chunks, damage_sets_files_aside_and_the_rest_is_served)
{
    enum { NR = 50 };
    static struct seen seen;
    char tmp[] = "/tmp/narthex-test-XXXXXX", dir[64], aside[64], path[128], *old;
    struct head_chunks_damage damage;
    struct head_chunks *hc;
    struct error err = { 0 };
    uint64_t refs[NR];
    io_file file;
    size_t n;

    cr_assert(mkdtemp(tmp) != NULL);
    snprintf(dir, sizeof dir, "%s/chunks_head", tmp);
    snprintf(aside, sizeof aside, "%s/narthex/damaged", tmp);
    fill(dir, aside, refs, NR);
    cr_assert_geq(refs[NR - 1] >> 32, 3);
    /* One bit of the second file. */
    snprintf(path, sizeof path, "%s/000002", dir);
    cr_assert(io_read_file(io_posix(), path, 1 << 20, &old, &n, &err));
    old[n / 2] ^= 4;
    cr_assert(io_open(io_posix(), path, IO_WRITE, &file, &err));
    cr_assert(io_write(io_posix(), file, old, n, 0, &err));
    io_close(io_posix(), file);
    mem_free(old);
    cr_assert(head_chunks_open(&hc, io_posix(), dir, aside, 4096, remember, &seen, &damage, &err),
              "%s", err.msg);
    cr_expect(damage.found && damage.first_bad_file == 2 &&
              damage.files_nr == (refs[NR - 1] >> 32) - 1);
    head_chunks_close(hc);
    seen.nr = 0;
    cr_assert(head_chunks_open(&hc, io_posix(), dir, aside, 4096, remember, &seen, &damage, &err));
    cr_expect(!damage.found && seen.nr > 0 && seen.v[seen.nr - 1].ref >> 32 == 1);
    head_chunks_close(hc);
    snprintf(path, sizeof path, "%s/000002", aside);
    cr_expect_eq(access(path, R_OK), 0);
    cr_expect(io_remove_tree(io_posix(), tmp, &err));
}

Test(head_chunks, truncation_removes_whole_old_files)
{
    enum { NR = 50 };
    static struct seen seen;
    char tmp[] = "/tmp/narthex-test-XXXXXX";
    struct head_chunks_damage damage;
    struct head_chunks *hc;
    struct error err = { 0 };
    uint64_t refs[NR];

    cr_assert(mkdtemp(tmp) != NULL);
    fill(tmp, tmp, refs, NR);
    cr_assert(head_chunks_open(&hc, io_posix(), tmp, tmp, 4096, remember, &seen, &damage, &err));
    cr_expect_eq(seen.nr, NR);
    uint64_t before = head_chunks_bytes(hc);
    cr_assert(head_chunks_truncate(hc, 0, &err));
    cr_expect_eq(head_chunks_bytes(hc), before);
    cr_assert(head_chunks_truncate(hc, INT64_MAX, &err));
    cr_expect_lt(head_chunks_bytes(hc), before);
    head_chunks_close(hc);
    seen.nr = 0;
    cr_assert(head_chunks_open(&hc, io_posix(), tmp, tmp, 4096, remember, &seen, &damage, &err));
    cr_expect(!damage.found && seen.nr > 0 && seen.v[0].ref >> 32 == refs[NR - 1] >> 32);
    head_chunks_close(hc);
    cr_expect(io_remove_tree(io_posix(), tmp, &err));
}
