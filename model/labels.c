#include "model/labels.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/quote.h"

/* Sets are small (a dozen labels) and sorted: a linear walk that compares lengths first beats a
 * binary search. */
static const struct label *
find(const struct label *v, size_t nr, struct str name)
{
    for (size_t i = 0; i < nr; i++)
        if (str_eq(v[i].name, name))
            return &v[i];
    return NULL;
}

struct str
labels_get(struct labels ls, struct str name)
{
    const struct label *hit = find(ls.v, ls.nr, name);

    return hit == NULL ? STR("") : hit->value;
}

bool
labels_has(struct labels ls, struct str name)
{
    return find(ls.v, ls.nr, name) != NULL;
}

bool
labels_eq(struct labels a, struct labels b)
{
    if (a.nr != b.nr)
        return false;
    for (size_t i = 0; i < a.nr; i++)
        if (!str_eq(a.v[i].name, b.v[i].name) || !str_eq(a.v[i].value, b.v[i].value))
            return false;
    return true;
}

int
labels_cmp(struct labels a, struct labels b)
{
    for (size_t i = 0; i < a.nr && i < b.nr; i++) {
        int c = str_cmp(a.v[i].name, b.v[i].name);
        if (c == 0)
            c = str_cmp(a.v[i].value, b.v[i].value);
        if (c != 0)
            return c;
    }
    return (a.nr > b.nr) - (a.nr < b.nr);
}

/* The length before a text: one byte below 255, else 255 and three bytes, little-endian. */
static size_t
hash_head(uint8_t *p, size_t n)
{
    if (n < 255) {
        p[0] = (uint8_t)n;
        return 1;
    }
    p[0] = 255;
    for (size_t i = 1; i < 4; i++)
        p[i] = (uint8_t)(n >> (8 * (i - 1)));
    return 4;
}

/* 0 when there is no room. */
static size_t
hash_piece(uint8_t *p, size_t room, struct str s)
{
    if (room < s.n || room - s.n < 4)
        return 0;
    size_t head = hash_head(p, s.n);
    if (s.n != 0)
        memcpy(p + head, s.p, s.n);
    return head + s.n;
}

static void
hash_update(XXH64_state_t *state, struct str s)
{
    uint8_t head[4];

    XXH64_update(state, head, hash_head(head, s.n));
    XXH64_update(state, s.p == NULL ? "" : s.p, s.n);
}

static uint64_t
hash_long(struct labels ls)
{
    XXH64_state_t state;

    XXH64_reset(&state, 0);
    for (size_t i = 0; i < ls.nr; i++) {
        hash_update(&state, ls.v[i].name);
        hash_update(&state, ls.v[i].value);
    }
    return XXH64_digest(&state);
}

uint64_t
labels_hash(struct labels ls)
{
    uint8_t bytes[1024];
    size_t n = 0;

    for (size_t i = 0; i < ls.nr; i++) {
        size_t name_n = hash_piece(bytes + n, sizeof bytes - n, ls.v[i].name);
        size_t value_n =
            name_n == 0 ? 0
                        : hash_piece(bytes + n + name_n, sizeof bytes - n - name_n, ls.v[i].value);
        if (value_n == 0)
            return hash_long(ls);
        n += name_n + value_n;
    }
    return hash64(bytes, n);
}

static struct str
copy_text(char **at, struct str s)
{
    struct str copy = { *at, s.n };

    if (s.n != 0)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

struct labels
labels_copy(struct arena *a, struct labels ls)
{
    size_t text_n = 0;

    if (ls.nr == 0)
        return LABELS_NONE;
    for (size_t i = 0; i < ls.nr; i++)
        text_n += ls.v[i].name.n + ls.v[i].value.n;
    struct label *v = arena_alloc(a, arena_array_bytes(ls.nr, sizeof *v) + text_n);
    char *text = (char *)(v + ls.nr);
    for (size_t i = 0; i < ls.nr; i++) {
        v[i].name = copy_text(&text, ls.v[i].name);
        v[i].value = copy_text(&text, ls.v[i].value);
    }
    return (struct labels){ v, ls.nr };
}

static void
print_name(struct str name, bool legacy, struct buf *out)
{
    if (legacy)
        buf_str(out, name);
    else
        quote_go(name, out);
}

static void
print_pair(const struct label *l, struct buf *out)
{
    print_name(l->name, label_name_legacy(l->name), out);
    buf_byte(out, '=');
    quote_go(l->value, out);
}

void
labels_print(struct labels ls, struct buf *out)
{
    buf_byte(out, '{');
    for (size_t i = 0; i < ls.nr; i++) {
        if (i > 0)
            buf_c(out, ", ");
        print_pair(&ls.v[i], out);
    }
    buf_byte(out, '}');
}

void
labels_print_metric(struct labels ls, struct buf *out)
{
    const struct label *name = find(ls.v, ls.nr, LABEL_NAME);
    bool front = name != NULL && metric_name_legacy(name->value);

    if (front)
        buf_str(out, name->value);
    if (front && ls.nr == 1)
        return;
    buf_byte(out, '{');
    if (name != NULL && !front)
        quote_go(name->value, out);
    bool first = name == NULL || front;
    for (size_t i = 0; i < ls.nr; i++) {
        if (&ls.v[i] == name)
            continue;
        if (!first)
            buf_c(out, ", ");
        first = false;
        print_pair(&ls.v[i], out);
    }
    buf_byte(out, '}');
}

void
labels_json(struct labels ls, struct buf *out)
{
    buf_byte(out, '{');
    for (size_t i = 0; i < ls.nr; i++) {
        if (i > 0)
            buf_byte(out, ',');
        json_quote(out, ls.v[i].name, false);
        buf_byte(out, ':');
        json_quote(out, ls.v[i].value, false);
    }
    buf_byte(out, '}');
}

/* ---- builder: unsorted while being changed, sorted when looked at */

void
labels_builder_init(struct labels_builder *b)
{
    *b = (struct labels_builder){ 0 };
}

void
labels_builder_fini(struct labels_builder *b)
{
    mem_free(b->v);
    *b = (struct labels_builder){ 0 };
}

void
labels_builder_reset(struct labels_builder *b, struct labels base)
{
    b->nr = 0;
    MEM_GROW(b->v, base.nr, &b->cap);
    for (size_t i = 0; i < base.nr; i++)
        if (base.v[i].value.n != 0)
            b->v[b->nr++] = base.v[i];
}

void
labels_builder_set(struct labels_builder *b, struct str name, struct str value)
{
    if (value.n == 0) {
        labels_builder_del(b, name);
        return;
    }
    struct label *hit = (struct label *)find(b->v, b->nr, name);
    if (hit != NULL) {
        hit->value = value;
        return;
    }
    MEM_GROW(b->v, b->nr + 1, &b->cap);
    b->v[b->nr++] = (struct label){ name, value };
}

void
labels_builder_del(struct labels_builder *b, struct str name)
{
    const struct label *hit = find(b->v, b->nr, name);

    if (hit == NULL)
        return;
    size_t at = (size_t)(hit - b->v);
    memmove(&b->v[at], &b->v[at + 1], (b->nr - at - 1) * sizeof b->v[0]);
    b->nr--;
}

struct str
labels_builder_get(const struct labels_builder *b, struct str name)
{
    return labels_get((struct labels){ b->v, b->nr }, name);
}

static int
label_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

struct labels
labels_builder_view(struct labels_builder *b)
{
    for (size_t i = 1; i < b->nr; i++) {
        if (str_cmp(b->v[i - 1].name, b->v[i].name) > 0) {
            qsort(b->v, b->nr, sizeof b->v[0], label_cmp);
            break;
        }
    }
    return (struct labels){ b->v, b->nr };
}

struct labels
labels_builder_finish(struct labels_builder *b, struct arena *a)
{
    return labels_copy(a, labels_builder_view(b));
}

/* ---- names */

static bool
name_legacy(struct str name, bool colon)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9') && !(colon && c == ':'))
            return false;
    }
    return name.n != 0;
}

bool
label_name_legacy(struct str name)
{
    return name_legacy(name, false);
}

bool
metric_name_legacy(struct str name)
{
    return name_legacy(name, true);
}

bool
label_name_valid(struct str name)
{
    return name.n != 0 && str_utf8_valid(name);
}
