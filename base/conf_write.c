/* Structs back to YAML as Go's yaml.v2 marshals them, through libyaml's emitter, of which Go's is a
 * port. */
#include "base/conf_priv.h"

#include <math.h>
#include <yaml.h>

#include "base/decimal.h"
#include "base/duration.h"
#include "base/mem.h"
#include "base/units.h"

#define BINARY_TAG "tag:yaml.org,2002:binary"

enum { BASE64_LINE_BYTES = 70 };

static int
write_out(void *arg, unsigned char *p, size_t n)
{
    buf_add(arg, p, n);
    return 1;
}

/* The emitter's only failures are memory and misuse. */
static void
emit(yaml_emitter_t *e, int made, yaml_event_t *event)
{
    if (!made || !yaml_emitter_emit(e, event))
        mem_exhausted(0);
}

static void
emit_scalar(yaml_emitter_t *e, struct str text, const char *tag, yaml_scalar_style_t style)
{
    yaml_event_t event;
    int made = yaml_scalar_event_initialize(&event, NULL, (const yaml_char_t *)tag,
                                            (const yaml_char_t *)(text.n == 0 ? "" : text.p),
                                            (int)text.n, tag == NULL, tag == NULL, style);

    emit(e, made, &event);
}

static void
emit_plain(yaml_emitter_t *e, const char *text)
{
    emit_scalar(e, str_c(text), NULL, YAML_PLAIN_SCALAR_STYLE);
}

static void
base64_encode(struct str s, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t line_n = 0, total = (s.n + 2) / 3 * 4;

    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (i + k < s.n ? (uint8_t)s.p[i + k] : 0u);
        for (size_t k = 0; k < 4; k++) {
            buf_byte(out, (uint8_t)(i + k > s.n ? '=' : digits[group >> (18 - 6 * k) & 63]));
            if (++line_n % BASE64_LINE_BYTES == 0 && total > BASE64_LINE_BYTES)
                buf_byte(out, '\n');
        }
    }
    if (total > BASE64_LINE_BYTES && line_n % BASE64_LINE_BYTES != 0)
        buf_byte(out, '\n');
}

/* [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)? would be a number in base 60 to other readers. */
static bool
is_base60(struct str s)
{
    size_t i = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-'), groups = 0;

    if (i >= s.n || s.p[i] < '0' || s.p[i] > '9')
        return false;
    while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
        i++;
    while (i < s.n && s.p[i] == ':') {
        size_t start = ++i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
            i++;
        if (i == start || i - start > 2 || (i - start == 2 && s.p[start] > '5'))
            return false;
        groups++;
    }
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_');)
            i++;
    return groups > 0 && i == s.n;
}

static void
emit_str(yaml_emitter_t *e, struct str s)
{
    struct buf encoded = { 0 };
    const char *tag = NULL;
    yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;

    if (!str_utf8_valid(s)) {
        base64_encode(s, &encoded);
        s = buf_as_str(&encoded);
        tag = BINARY_TAG;
    } else if (conf_scalar_resolve(s).kind != SCALAR_STR || is_base60(s)) {
        style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    }
    if (str_find(s, '\n', 0) < s.n)
        style = YAML_LITERAL_SCALAR_STYLE;
    emit_scalar(e, s, tag, style);
    buf_fini(&encoded);
}

static void
emit_map_start(yaml_emitter_t *e)
{
    yaml_event_t event;

    emit(e, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE),
         &event);
}

static void
emit_map_end(yaml_emitter_t *e)
{
    yaml_event_t event;

    emit(e, yaml_mapping_end_event_initialize(&event), &event);
}

static void
emit_list_start(yaml_emitter_t *e, bool flow)
{
    yaml_event_t event;
    yaml_sequence_style_t style = flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;

    emit(e, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style), &event);
}

static void
emit_list_end(yaml_emitter_t *e)
{
    yaml_event_t event;

    emit(e, yaml_sequence_end_event_initialize(&event), &event);
}

bool
conf_zero(const struct conf_table *table, const void *obj)
{
    for (size_t i = 0; i < table->rows_nr; i++)
        if (!conf_row_zero(&table->rows[i], (const char *)obj + table->rows[i].offset))
            return false;
    return true;
}

bool
conf_row_zero(const struct conf_row *row, const void *value)
{
    static const char zeros[sizeof(struct conf_url)];

    switch (row->type) {
    case CONF_STR:
    case CONF_PATH:
    case CONF_SECRET:
        return ((const struct str *)value)->n == 0;
    case CONF_URL:
        return !((const struct conf_url *)value)->given;
    case CONF_STRUCT:
    case CONF_INLINE:
        return conf_zero(row->table, value);
    case CONF_FLOAT:
        return *(const double *)value == 0;
    case CONF_STRS:
    case CONF_PATHS:
    case CONF_SECRETS:
    case CONF_MAP:
    case CONF_MULTIMAP:
    case CONF_STRUCTS:
    case CONF_NAMED:
    case CONF_NAMED_SECRETS:
        return conf_list_get(value).nr == 0;
    default:
        return memcmp(value, zeros, conf_row_bytes(row)) == 0;
    }
}

static bool
is_letter(uint32_t rune)
{
    return (rune | 0x20) - 'a' < 26 || rune >= 0xaa;
}

static bool
is_digit(uint32_t rune)
{
    return rune - '0' < 10;
}

/* A run of digits as a number; leading zeros of the rest of a longer run count as they stand. */
static int64_t
key_number(struct str s, size_t from, size_t *end, int64_t v)
{
    for (*end = from; *end < s.n && is_digit((uint8_t)s.p[*end]); ++*end)
        v = (int64_t)((uint64_t)v * 10 + (uint64_t)(s.p[*end] - '0'));
    return v;
}

int
conf_key_cmp(struct str a, struct str b)
{
    size_t i = 0;

    while (i < a.n && i < b.n && a.p[i] == b.p[i])
        i++;
    if (i == a.n || i == b.n)
        return (a.n > b.n) - (a.n < b.n);
    while (i > 0 && ((uint8_t)a.p[i] & 0xc0) == 0x80) /* back to where the rune starts */
        i--;
    uint32_t ar, br;
    str_rune(str_skip(a, i), &ar);
    str_rune(str_skip(b, i), &br);
    if (is_letter(ar) || is_letter(br))
        return is_letter(ar) && is_letter(br) ? (ar > br) - (ar < br) : is_letter(br) ? -1 : 1;
    int64_t start = 0;
    if (ar == '0' || br == '0')
        for (size_t j = i; start == 0 && j-- > 0 && is_digit((uint8_t)a.p[j]);)
            start = a.p[j] != '0';
    size_t a_end, b_end;
    int64_t an = key_number(a, i, &a_end, start), bn = key_number(b, i, &b_end, start);
    if (an != bn)
        return an < bn ? -1 : 1;
    if (a_end != b_end)
        return a_end < b_end ? -1 : 1;
    return (ar > br) - (ar < br);
}

static void write_table(yaml_emitter_t *e, const struct conf_table *table, const void *obj);
static void write_rows(yaml_emitter_t *e, const struct conf_table *table, const void *obj);

static void
write_strs(yaml_emitter_t *e, const void *value, bool secret, bool flow)
{
    struct conf_any_list list = conf_list_get(value);

    emit_list_start(e, flow);
    for (size_t i = 0; i < list.nr; i++) {
        struct str s = ((struct str *)list.items)[i];
        if (!secret)
            emit_str(e, s);
        else if (s.n > 0)
            emit_str(e, secret_text((struct secret){ s }));
        else
            emit_plain(e, "null");
    }
    emit_list_end(e);
}

static int
index_cmp(const void *a, const void *b)
{
    return conf_key_cmp((*(const struct conf_pair *const *)a)->name,
                        (*(const struct conf_pair *const *)b)->name);
}

static void
write_named(yaml_emitter_t *e, const struct conf_row *row, const void *value)
{
    struct conf_any_list list = conf_list_get(value);
    size_t bytes = row->type == CONF_MAP     ? sizeof(struct conf_pair)
                   : row->type == CONF_NAMED ? row->table->bytes
                                             : sizeof(struct conf_multi);
    const struct conf_pair **order = MEM_NEW_ARRAY(const struct conf_pair *, list.nr + 1);

    for (size_t i = 0; i < list.nr; i++)
        order[i] = (const struct conf_pair *)(const void *)((const char *)list.items + i * bytes);
    qsort(order, list.nr, sizeof *order, index_cmp);
    emit_map_start(e);
    for (size_t i = 0; i < list.nr; i++) {
        emit_str(e, order[i]->name);
        if (row->type == CONF_MAP)
            emit_str(e, order[i]->value);
        else if (row->type == CONF_NAMED)
            write_table(e, row->table, order[i]);
        else
            write_strs(e, (const char *)order[i] + sizeof(struct str),
                       row->type == CONF_NAMED_SECRETS, false);
    }
    emit_map_end(e);
    mem_free(order);
}

static void
write_float(yaml_emitter_t *e, double v)
{
    char text[DECIMAL_BYTES_MAX];

    if (isnan(v))
        emit_plain(e, ".nan");
    else if (isinf(v))
        emit_plain(e, v > 0 ? ".inf" : "-.inf");
    else
        emit_scalar(e, (struct str){ text, decimal_format_general(v, text) }, NULL,
                    YAML_PLAIN_SCALAR_STYLE);
}

static void
write_scalar(yaml_emitter_t *e, const struct conf_node *node)
{
    struct conf_scalar s = { .kind = SCALAR_STR };
    char text[32];

    if (node->plain)
        s = conf_scalar_resolve(node->value);
    switch (s.kind) {
    case SCALAR_NULL:
        emit_plain(e, "null");
        break;
    case SCALAR_BOOL:
        emit_plain(e, s.b ? "true" : "false");
        break;
    case SCALAR_INT:
        snprintf(text, sizeof text, "%lld", (long long)s.i);
        emit_plain(e, text);
        break;
    case SCALAR_FLOAT:
        write_float(e, s.f);
        break;
    case SCALAR_UINT:
        emit_scalar(e, node->value, NULL, YAML_PLAIN_SCALAR_STYLE);
        break;
    default:
        emit_str(e, node->value);
    }
}

/* Without aliases and sorted since it was read. */
static void
write_node(yaml_emitter_t *e, const struct conf_node *node)
{
    if (node->kind == NODE_SCALAR) {
        write_scalar(e, node);
        return;
    }
    if (node->kind == NODE_LIST)
        emit_list_start(e, false);
    else
        emit_map_start(e);
    for (size_t i = 0; i < node->kids_nr; i++)
        write_node(e, node->kids[i]);
    if (node->kind == NODE_LIST)
        emit_list_end(e);
    else
        emit_map_end(e);
}

static void
write_number(yaml_emitter_t *e, const struct conf_row *row, const void *value)
{
    int64_t v = *(const int64_t *)value;
    char text[UNITS_TEXT_MAX];

    switch (row->type) {
    case CONF_INT:
        snprintf(text, sizeof text, "%lld", (long long)v);
        break;
    case CONF_UINT:
        snprintf(text, sizeof text, "%llu", (unsigned long long)v);
        break;
    case CONF_BYTES:
        units_bytes_text(v, text);
        break;
    case CONF_GO_DURATION:
        duration_go_text(v, text);
        break;
    default:
        duration_text(v, text);
    }
    emit_plain(e, text);
}

static void
write_url(yaml_emitter_t *e, const struct conf_url *url)
{
    struct buf shown = { 0 };

    if (!url->given) {
        emit_plain(e, "null");
        return;
    }
    conf_url_redacted(url, &shown);
    emit_str(e, buf_as_str(&shown));
    buf_fini(&shown);
}

static void
write_structs(yaml_emitter_t *e, const struct conf_row *row, const void *value)
{
    struct conf_any_list list = conf_list_get(value);

    emit_list_start(e, false);
    for (size_t i = 0; i < list.nr; i++)
        write_table(e, row->table, (const char *)list.items + i * row->table->bytes);
    emit_list_end(e);
}

static void
write_pointer(yaml_emitter_t *e, const struct conf_row *row, const void *value)
{
    const void *p;

    memcpy(&p, value, sizeof p);
    if (p == NULL)
        emit_plain(e, "null");
    else if (row->type == CONF_REGEX)
        emit_str(e, regex_pattern(p));
    else if (row->type == CONF_ANY)
        write_node(e, p);
    else
        write_table(e, row->table, p);
}

static void
write_value(yaml_emitter_t *e, const struct conf_row *row, const void *value)
{
    switch (row->type) {
    case CONF_BOOL:
        emit_plain(e, *(const bool *)value ? "true" : "false");
        break;
    case CONF_TRI:
        emit_plain(e, *(const int *)value == CONF_UNSET ? "null"
                      : *(const int *)value == CONF_YES ? "true"
                                                        : "false");
        break;
    case CONF_ENUM:
        emit_str(e, str_c(row->names[*(const int *)value]));
        break;
    case CONF_FLOAT:
        write_float(e, *(const double *)value);
        break;
    case CONF_STR:
    case CONF_PATH:
        emit_str(e, *(const struct str *)value);
        break;
    case CONF_SECRET:
        if (secret_empty(*(const struct secret *)value))
            emit_plain(e, "null");
        else
            emit_str(e, secret_text(*(const struct secret *)value));
        break;
    case CONF_URL:
        write_url(e, value);
        break;
    case CONF_STRS:
    case CONF_PATHS:
    case CONF_SECRETS:
        write_strs(e, value, row->type == CONF_SECRETS, row->flags & CONF_FLOW);
        break;
    case CONF_MAP:
    case CONF_MULTIMAP:
    case CONF_NAMED:
    case CONF_NAMED_SECRETS:
        write_named(e, row, value);
        break;
    case CONF_STRUCTS:
        write_structs(e, row, value);
        break;
    case CONF_STRUCT:
        write_table(e, row->table, value);
        break;
    case CONF_REGEX:
    case CONF_ANY:
    case CONF_STRUCT_PTR:
        write_pointer(e, row, value);
        break;
    default:
        write_number(e, row, value);
    }
}

static void
write_rows(yaml_emitter_t *e, const struct conf_table *table, const void *obj)
{
    for (size_t i = 0; i < table->rows_nr; i++) {
        const struct conf_row *row = &table->rows[i];
        const void *value = (const char *)obj + row->offset;
        if (row->type == CONF_INLINE) {
            write_rows(e, row->table, value);
            continue;
        }
        if (row->flags & CONF_HIDDEN || row->type == CONF_IGNORED ||
            (row->flags & CONF_OMITEMPTY && conf_row_zero(row, value)))
            continue;
        emit_plain(e, row->key);
        write_value(e, row, value);
    }
}

static void
write_table(yaml_emitter_t *e, const struct conf_table *table, const void *obj)
{
    emit_map_start(e);
    write_rows(e, table, obj);
    emit_map_end(e);
}

void
conf_write(const struct conf_table *table, const void *obj, struct buf *out)
{
    yaml_emitter_t e;
    yaml_event_t event;

    if (!yaml_emitter_initialize(&e))
        mem_exhausted(0);
    yaml_emitter_set_output(&e, write_out, out);
    yaml_emitter_set_unicode(&e, 1);
    emit(&e, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event);
    emit(&e, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1), &event);
    write_table(&e, table, obj);
    emit(&e, yaml_document_end_event_initialize(&event, 1), &event);
    /* Go forgets here that the last scalar was open (|+), which libyaml would mark with "...". */
    e.open_ended = 0;
    emit(&e, yaml_stream_end_event_initialize(&event), &event);
    yaml_emitter_delete(&e);
}
