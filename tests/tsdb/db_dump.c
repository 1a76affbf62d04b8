#include "db_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include "base/decimal.h"
#include "base/mem.h"
#include "model/histogram_math.h"

static int
line_cmp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Puts NULs at the line ends and notes where lines begin. */
static void
split(struct dump *d)
{
    size_t cap = 0;

    buf_byte(&d->text, '\0');
    for (char *p = (char *)d->text.p, *end; *p != '\0'; p = end + 1) {
        end = strchr(p, '\n');
        if (end == NULL)
            break;
        *end = '\0';
        MEM_GROW(d->lines, d->nr + 1, &cap);
        d->lines[d->nr++] = p;
    }
    if (d->nr > 0)
        qsort(d->lines, d->nr, sizeof *d->lines, line_cmp);
}

static void
print_sample(struct buf *out, struct labels labels, const struct sample_buf *b, size_t i)
{
    char number[DECIMAL_BYTES_MAX];

    labels_print(labels, out);
    buf_byte(out, ' ');
    if (b->h != NULL && b->h[i] != NULL) {
        if (is_stale(b->h[i]->sum))
            buf_c(out, "{count:0, sum:NaN}");
        else
            histogram_print(b->h[i], out);
    } else {
        buf_str(out, (struct str){ number, decimal_format_general(b->v[i], number) });
    }
    buf_printf(out, " %lld\n", (long long)b->t_ms[i]);
}

void
db_dump(struct db *db, struct dump *d)
{
    struct querier *q;
    struct series_set *set;
    struct error err = { 0 };
    struct arena arena;
    struct sample_buf b;

    *d = (struct dump){ 0 };
    ASSERT(querier_open(db_queryable(db), INT64_MIN, INT64_MAX, &q, &err));
    struct select_hints hints = { .min_ms = INT64_MIN, .max_ms = INT64_MAX, .sorted = true };
    if (!querier_select(q, NULL, 0, &hints, &set, &err)) {
        fprintf(stderr, "%s\n", error_text(&err));
        ASSERT(false);
    }
    arena_init(&arena, SIZE_MAX);
    sample_buf_init(&b, &arena);
    for (uint32_t i = 0; i < set->nr; i++) {
        sample_buf_reset(&b);
        if (!series_read(set, i, INT64_MIN, INT64_MAX, &b, &err)) {
            fprintf(stderr, "%s\n", error_text(&err));
            ASSERT(false);
        }
        struct labels labels = series_labels(set, i, &arena);
        for (size_t k = 0; k < b.nr; k++)
            print_sample(&d->text, labels, &b, k);
    }
    sample_buf_fini(&b);
    arena_fini(&arena);
    querier_close(q);
    split(d);
}

void
dump_fini(struct dump *d)
{
    buf_fini(&d->text);
    mem_free(d->lines);
    *d = (struct dump){ 0 };
}

bool
dump_load(struct dump *d, const char *path)
{
    static char block[1 << 16];
    gzFile f = gzopen(path, "rb");
    int n;

    *d = (struct dump){ 0 };
    if (f == NULL)
        return false;
    while ((n = gzread(f, block, sizeof block)) > 0)
        buf_add(&d->text, block, (size_t)n);
    gzclose(f);
    split(d);
    return true;
}

size_t
dump_missing(const struct dump *a, const struct dump *b, const char *what)
{
    size_t at = 0, missing = 0;

    for (size_t i = 0; i < a->nr; i++) {
        while (at < b->nr && strcmp(b->lines[at], a->lines[i]) < 0)
            at++;
        if (at < b->nr && strcmp(b->lines[at], a->lines[i]) == 0) {
            at++;
            continue;
        }
        if (missing++ < 3)
            fprintf(stderr, "%s: %.200s\n", what, a->lines[i]);
    }
    return missing;
}

char *
dir_copy(const char *from)
{
    char template[256], command[8192];
    const char *tmp = getenv("TMPDIR");

    snprintf(template, sizeof template, "%s/narthex-test-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    ASSERT(mkdtemp(template) != NULL);
    if (from != NULL) {
        snprintf(command, sizeof command, "cp -r '%s'/. '%s' && chmod -R u+w '%s'", from, template,
                 template);
        ASSERT(system(command) == 0);
    }
    return mem_strdup(template);
}

void
dir_remove(char *dir)
{
    char command[4096];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ASSERT(system(command) == 0);
    mem_free(dir);
}
