#include "tsdb/block_meta.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/mem.h"

enum { META_BYTES_MAX = 16 << 20, ULID_CHARS = BLOCK_ULID_BYTES - 1 };

void
block_meta_fini(struct block_meta *m)
{
    for (size_t i = 0; i < m->hints_nr; i++)
        mem_free(m->hints[i]);
    mem_free(m->hints);
    mem_free(m->sources);
    mem_free(m->parents);
    *m = (struct block_meta){ 0 };
}

void
block_meta_copy(struct block_meta *dst, const struct block_meta *src)
{
    *dst = *src;
    dst->sources = mem_dup(src->sources, src->sources_nr * sizeof *src->sources);
    dst->parents = mem_dup(src->parents, src->parents_nr * sizeof *src->parents);
    dst->hints = MEM_NEW_ARRAY(char *, src->hints_nr + 1);
    for (size_t i = 0; i < src->hints_nr; i++)
        dst->hints[i] = mem_strdup(src->hints[i]);
}

bool
block_meta_has_hint(const struct block_meta *m, const char *hint)
{
    for (size_t i = 0; i < m->hints_nr; i++)
        if (strcmp(m->hints[i], hint) == 0)
            return true;
    return false;
}

void
block_meta_add_hint(struct block_meta *m, const char *hint)
{
    size_t at = m->hints_nr;

    if (block_meta_has_hint(m, hint))
        return;
    m->hints = mem_realloc(m->hints, (m->hints_nr + 1) * sizeof *m->hints);
    for (; at > 0 && strcmp(m->hints[at - 1], hint) > 0; at--)
        m->hints[at] = m->hints[at - 1];
    m->hints[at] = mem_strdup(hint);
    m->hints_nr++;
}

void
block_meta_add_source(struct block_meta *m, struct block_id id)
{
    size_t at = m->sources_nr;

    for (; at > 0 && strcmp(m->sources[at - 1].z, id.z) >= 0; at--)
        if (strcmp(m->sources[at - 1].z, id.z) == 0)
            return;
    m->sources = mem_realloc(m->sources, (m->sources_nr + 1) * sizeof *m->sources);
    memmove(m->sources + at + 1, m->sources + at, (m->sources_nr - at) * sizeof *m->sources);
    m->sources[at] = id;
    m->sources_nr++;
}

void
block_meta_add_parent(struct block_meta *m, const struct block_meta *parent)
{
    m->parents = mem_realloc(m->parents, (m->parents_nr + 1) * sizeof *m->parents);
    m->parents[m->parents_nr++] =
        (struct block_parent){ parent->id, parent->min_ms, parent->max_ms };
}

static bool
id_parse(json_t *json, struct block_id *id)
{
    const char *z = json_string_value(json);

    if (z == NULL || strlen(z) != ULID_CHARS ||
        strspn(z, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != ULID_CHARS)
        return false;
    memcpy(id->z, z, sizeof id->z);
    return true;
}

/* A missing key is 0, as in Go. */
static int64_t
int_of(json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void
stats_parse(struct block_meta *m, json_t *stats)
{
    m->samples_nr = (uint64_t)int_of(stats, "numSamples");
    m->float_samples_nr = (uint64_t)int_of(stats, "numFloatSamples");
    m->histogram_samples_nr = (uint64_t)int_of(stats, "numHistogramSamples");
    m->series_nr = (uint64_t)int_of(stats, "numSeries");
    m->chunks_nr = (uint64_t)int_of(stats, "numChunks");
    m->tombstones_nr = (uint64_t)int_of(stats, "numTombstones");
}

static bool
compaction_parse(struct block_meta *m, json_t *compaction)
{
    json_t *item;
    size_t i;

    m->level = (int)int_of(compaction, "level");
    m->deletable = json_is_true(json_object_get(compaction, "deletable"));
    m->failed = json_is_true(json_object_get(compaction, "failed"));
    json_array_foreach(json_object_get(compaction, "sources"), i, item)
    {
        struct block_id id;
        if (!id_parse(item, &id))
            return false;
        block_meta_add_source(m, id);
    }
    json_array_foreach(json_object_get(compaction, "parents"), i, item)
    {
        struct block_meta parent = { .min_ms = int_of(item, "minTime"),
                                     .max_ms = int_of(item, "maxTime") };
        if (!id_parse(json_object_get(item, "ulid"), &parent.id))
            return false;
        block_meta_add_parent(m, &parent);
    }
    json_array_foreach(json_object_get(compaction, "hints"), i, item)
    {
        if (json_is_string(item))
            block_meta_add_hint(m, json_string_value(item));
    }
    return true;
}

bool
block_meta_parse(struct block_meta *m, struct str text, struct error *err)
{
    json_error_t where;
    json_t *json = json_loadb(text.p, text.n, JSON_DISABLE_EOF_CHECK, &where);
    bool ok = false;

    *m = (struct block_meta){ 0 };
    if (json == NULL)
        return error_set(err, ERR_CORRUPT, "line %d: %s", where.line, where.text);
    if (int_of(json, "version") != 1) {
        error_set(err, ERR_CORRUPT, "unexpected meta file version %" PRId64,
                  int_of(json, "version"));
        goto out;
    }
    m->min_ms = int_of(json, "minTime");
    m->max_ms = int_of(json, "maxTime");
    stats_parse(m, json_object_get(json, "stats"));
    if (!id_parse(json_object_get(json, "ulid"), &m->id) ||
        !compaction_parse(m, json_object_get(json, "compaction"))) {
        error_set(err, ERR_CORRUPT, "not a ULID");
        goto out;
    }
    ok = true;
out:
    if (!ok)
        block_meta_fini(m);
    json_decref(json);
    return ok;
}

struct counter {
    const char *key;
    uint64_t v;
};

static void
stats_print(const struct block_meta *m, struct buf *out)
{
    const struct counter counters[] = {
        { "numSamples", m->samples_nr },
        { "numFloatSamples", m->float_samples_nr },
        { "numHistogramSamples", m->histogram_samples_nr },
        { "numSeries", m->series_nr },
        { "numChunks", m->chunks_nr },
        { "numTombstones", m->tombstones_nr },
    };
    const char *before = "\n";

    buf_c(out, "\t\"stats\": {");
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        if (counters[i].v == 0)
            continue;
        buf_printf(out, "%s\t\t\"%s\": %" PRIu64, before, counters[i].key, counters[i].v);
        before = ",\n";
    }
    buf_c(out, *before == ',' ? "\n\t},\n" : "},\n");
}

static void
parents_print(const struct block_meta *m, struct buf *out)
{
    buf_c(out, ",\n\t\t\"parents\": [\n");
    for (size_t i = 0; i < m->parents_nr; i++)
        buf_printf(out,
                   "\t\t\t{\n\t\t\t\t\"ulid\": \"%s\",\n\t\t\t\t\"minTime\": %" PRId64
                   ",\n\t\t\t\t\"maxTime\": %" PRId64 "\n\t\t\t}%s\n",
                   m->parents[i].id.z, m->parents[i].min_ms, m->parents[i].max_ms,
                   i + 1 < m->parents_nr ? "," : "");
    buf_c(out, "\t\t]");
}

static void
compaction_print(const struct block_meta *m, struct buf *out)
{
    buf_printf(out, "\t\"compaction\": {\n\t\t\"level\": %d", m->level);
    if (m->sources_nr != 0) {
        buf_c(out, ",\n\t\t\"sources\": [\n");
        for (size_t i = 0; i < m->sources_nr; i++)
            buf_printf(out, "\t\t\t\"%s\"%s\n", m->sources[i].z, i + 1 < m->sources_nr ? "," : "");
        buf_c(out, "\t\t]");
    }
    if (m->deletable)
        buf_c(out, ",\n\t\t\"deletable\": true");
    if (m->parents_nr != 0)
        parents_print(m, out);
    if (m->failed)
        buf_c(out, ",\n\t\t\"failed\": true");
    if (m->hints_nr != 0) {
        buf_c(out, ",\n\t\t\"hints\": [\n");
        for (size_t i = 0; i < m->hints_nr; i++)
            buf_printf(out, "\t\t\t\"%s\"%s\n", m->hints[i], i + 1 < m->hints_nr ? "," : "");
        buf_c(out, "\t\t]");
    }
    buf_c(out, "\n\t},\n");
}

void
block_meta_print(const struct block_meta *m, struct buf *out)
{
    buf_printf(out,
               "{\n\t\"ulid\": \"%s\",\n\t\"minTime\": %" PRId64 ",\n\t\"maxTime\": %" PRId64 ",\n",
               m->id.z, m->min_ms, m->max_ms);
    stats_print(m, out);
    compaction_print(m, out);
    buf_c(out, "\t\"version\": 1\n}");
}

static const char *
meta_path(struct buf *path, const char *dir)
{
    buf_printf(path, "%s/meta.json", dir);
    return buf_z(path);
}

bool
block_meta_read(struct block_meta *m, const struct io *io, const char *dir, struct error *err)
{
    struct buf path = { 0 };
    char *text = NULL;
    size_t n;
    bool ok = io_read_file(io, meta_path(&path, dir), META_BYTES_MAX, &text, &n, err);

    if (ok && !block_meta_parse(m, (struct str){ text, n }, err))
        ok = error_wrap(err, "%s", buf_z(&path));
    mem_free(text);
    buf_fini(&path);
    return ok;
}

bool
block_meta_write(const struct block_meta *m, const struct io *io, const char *dir,
                 struct error *err)
{
    struct buf path = { 0 }, text = { 0 };

    block_meta_print(m, &text);
    bool ok = io_replace_file(io, meta_path(&path, dir), buf_as_bytes(&text), err);
    buf_fini(&path);
    buf_fini(&text);
    return ok;
}
