/* Metadata of targets: shared texts, and per target a table from family to text. */
#include <stdlib.h>
#include "scrape/target_meta.h"
#include "base/hash.h"
#include "base/mem.h"

static uint64_t
text_hash(struct str name, const struct metadata *meta)
{
    uint64_t hash = hash64_mix(hash64_str(name), (uint64_t)meta->type);

    return hash64_mix(hash64_mix(hash, hash64_str(meta->help)), hash64_str(meta->unit));
}

static bool
text_is(const void *item, const void *key)
{
    const struct meta_text *a = item, *b = key;

    return a->meta.type == b->meta.type && str_eq(a->name, b->name) &&
           str_eq(a->meta.help, b->meta.help) && str_eq(a->meta.unit, b->meta.unit);
}

static struct str
place(char **at, struct str s)
{
    struct str copy = { *at, s.n };

    if (s.n != 0)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

/* The shared text, with one more reference. */
static struct meta_text *
text_get(struct meta_store *s, struct str name, const struct metadata *meta)
{
    struct meta_text key = { .name = name, .meta = *meta };
    uint64_t hash = text_hash(name, meta);
    struct meta_text *t = table_find(&s->texts, hash, text_is, &key);
    char *at;

    if (t == NULL) {
        t = mem_alloc(sizeof *t + name.n + meta->help.n + meta->unit.n);
        at = (char *)(t + 1);
        *t = (struct meta_text){ .hash = hash, .meta.type = meta->type };
        t->name = place(&at, name);
        t->meta.help = place(&at, meta->help);
        t->meta.unit = place(&at, meta->unit);
        table_add(&s->texts, hash, t);
    }
    t->refs++;
    return t;
}

static void
text_put(struct meta_store *s, struct meta_text *t)
{
    if (--t->refs != 0)
        return;
    table_remove(&s->texts, t->hash, text_is, t);
    free(t);
}

void
meta_store_fini(struct meta_store *s)
{
    ASSERT(s->texts.nr == 0);
    table_fini(&s->texts);
}

static bool
family_is(const void *item, const void *key)
{
    return str_eq(((const struct target_family *)item)->text->name, *(const struct str *)key);
}

static size_t
text_bytes(const struct meta_text *t)
{
    return t->meta.help.n + t->meta.unit.n + strlen(metadata_type_text(t->meta.type));
}

static void
family_free(struct target_meta *m, struct meta_store *s, struct target_family *f)
{
    m->bytes -= text_bytes(f->text);
    text_put(s, f->text);
    free(f);
}

void
target_meta_fini(struct target_meta *m, struct meta_store *s)
{
    struct target_family *f;

    for (size_t at = 0; (f = table_next(&m->families, &at)) != NULL;)
        family_free(m, s, f);
    table_fini(&m->families);
}

const struct target_family *
target_meta_find(const struct target_meta *m, struct str name)
{
    return table_find(&m->families, hash64_str(name), family_is, &name);
}

static struct metadata
changed(struct metadata meta, enum meta_field what, enum metadata_type type, struct str text)
{
    switch (what) {
    case META_TYPE:
        meta.type = type;
        break;
    case META_HELP:
        meta.help = text;
        break;
    case META_UNIT:
        meta.unit = text;
        break;
    }
    return meta;
}

const struct target_family *
target_meta_set(struct target_meta *m, struct meta_store *s, struct str name, enum meta_field what,
                enum metadata_type type, struct str text, uint64_t scrape)
{
    struct target_family *f = table_find(&m->families, hash64_str(name), family_is, &name);
    struct metadata meta = { .type = METADATA_UNKNOWN };
    struct meta_text *t;

    if (f == NULL) {
        f = MEM_NEW(struct target_family);
        f->text = text_get(s, name, &meta);
        m->bytes += text_bytes(f->text);
        table_add(&m->families, hash64_str(name), f);
    }
    meta = changed(f->text->meta, what, type, text);
    t = text_get(s, name, &meta);
    if (t != f->text)
        f->changed = scrape;
    m->bytes += text_bytes(t) - text_bytes(f->text);
    text_put(s, f->text);
    f->text = t;
    f->seen = scrape;
    return f;
}

void
target_meta_rebuilt(struct target_meta *m, uint64_t before, uint64_t scrape)
{
    struct target_family *f;

    for (size_t at = 0; (f = table_next(&m->families, &at)) != NULL;)
        if (f->seen == before && before != scrape) {
            f->seen = scrape - 1;
            m->some_gone = true;
        }
}

static struct target_family *
expired(const struct target_meta *m, uint64_t page, uint64_t scrape, bool *gone)
{
    struct target_family *f, *first = NULL;

    *gone = false;
    for (size_t at = 0; (f = table_next(&m->families, &at)) != NULL;) {
        if (f->seen == page)
            continue;
        *gone = true;
        if (f->seen + META_KEPT_SCRAPES < scrape)
            first = f;
    }
    return first;
}

void
target_meta_expire(struct target_meta *m, struct meta_store *s, uint64_t page, uint64_t scrape)
{
    struct target_family *f;

    while ((f = expired(m, page, scrape, &m->some_gone)) != NULL) {
        struct str name = f->text->name;

        table_remove(&m->families, hash64_str(name), family_is, &name);
        family_free(m, s, f);
    }
}
