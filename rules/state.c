#include "rules/state.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/dec.h"
#include "base/mem.h"

#define MAGIC           STR("NXALERT1")
#define CRC_BYTES       4
/* A label set has at least a byte per length: what a count may promise is bounded by the bytes
 * left.
 */
#define LABEL_BYTES_MIN 2

void
state_path(const struct rule_group *g, const char *dir, char path[STATE_PATH_MAX])
{
    snprintf(path, STATE_PATH_MAX, "%s/%016" PRIx64, dir, g->hash);
}

/* ---- writing ---- */

static void
put_labels(struct buf *out, struct labels ls)
{
    buf_uvarint(out, ls.nr);
    for (size_t i = 0; i < ls.nr; i++) {
        buf_uvarint_str(out, ls.v[i].name);
        buf_uvarint_str(out, ls.v[i].value);
    }
}

static void
put_alert(struct buf *out, const struct alert *a)
{
    put_labels(out, a->labels);
    put_labels(out, a->annotations);
    buf_byte(out, (uint8_t)a->state);
    buf_u64be(out, double_bits(a->value));
    buf_varint(out, a->active_at_ns);
    buf_varint(out, a->fired_at_ns);
    buf_varint(out, a->resolved_at_ns);
    buf_varint(out, a->keep_firing_since_ns);
}

static size_t
alerting_rules_nr(const struct rule_group *g)
{
    size_t nr = 0;

    for (size_t i = 0; i < g->rules_nr; i++)
        nr += g->rules[i]->is_alert;
    return nr;
}

void
state_encode(const struct rule_group *g, int64_t now_ns, struct buf *out)
{
    buf_str(out, MAGIC);
    buf_uvarint_str(out, str_c(g->key));
    buf_varint(out, now_ns);
    buf_uvarint(out, alerting_rules_nr(g));
    for (size_t i = 0; i < g->rules_nr; i++) {
        const struct rule *r = g->rules[i];
        struct alert *a;
        if (!r->is_alert)
            continue;
        buf_uvarint_str(out, r->name);
        put_labels(out, r->labels);
        buf_uvarint(out, r->active.nr);
        for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;)
            put_alert(out, a);
    }
    uint32_t crc = crc32c(0, out->p, out->n);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_byte(out, (uint8_t)(crc >> shift));
}

static size_t
alerts_nr(const struct rule_group *g)
{
    size_t nr = 0;

    for (size_t i = 0; i < g->rules_nr; i++)
        nr += g->rules[i]->active.nr;
    return nr;
}

static bool
group_moved(const struct rule_group *g)
{
    for (size_t i = 0; i < g->rules_nr; i++)
        if (g->rules[i]->moved)
            return true;
    return false;
}

static bool
state_write(const struct rule_group *g, const struct rules_options *options, const char *path,
            int64_t now_ns, struct error *err)
{
    struct buf content = { 0 };

    state_encode(g, now_ns, &content);
    bool ok = content.n <= STATE_BYTES_MAX ||
              error_set(err, ERR_LIMIT, "more than %u bytes of alerts", STATE_BYTES_MAX);
    ok = ok && io_mkdir(options->io, options->state_dir, err) &&
         io_replace_file(options->io, path, buf_as_bytes(&content), err);
    buf_fini(&content);
    return ok;
}

void
state_save(struct rule_group *g, const struct rules_options *options, int64_t now_ns)
{
    size_t nr = alerts_nr(g);
    bool old = nr != 0 && (now_ns - g->saved_at_ns >= STATE_SAVE_NS || now_ns < g->saved_at_ns);
    char path[STATE_PATH_MAX];
    struct error err = { 0 };

    if (options->state_dir == NULL || (!group_moved(g) && !old))
        return;
    state_path(g, options->state_dir, path);
    bool ok = nr != 0 ? state_write(g, options, path, now_ns, &err)
                      : io_remove(options->io, path, &err) || err.kind == ERR_NOT_FOUND;
    if (ok) {
        g->saved_at_ns = now_ns;
        for (size_t i = 0; i < g->rules_nr; i++)
            g->rules[i]->moved = false;
    } else {
        log_warn(&options->log, "Alert state could not be written, tried again next time",
                 LOG_C("group", g->key), LOG_E(&err));
    }
    error_clear(&err);
}

void
state_remove(const struct rule_group *g, const struct rules_options *options)
{
    char path[STATE_PATH_MAX];
    struct error err = { 0 };

    if (options->state_dir == NULL)
        return;
    state_path(g, options->state_dir, path);
    error_ignored(io_remove(options->io, path, &err));
    error_clear(&err);
}

static bool
file_is_of(const char *name, struct rule_group *const *groups, size_t groups_nr)
{
    char want[17];

    for (size_t i = 0; i < groups_nr; i++) {
        snprintf(want, sizeof want, "%016" PRIx64, groups[i]->hash);
        if (strcmp(name, want) == 0)
            return true;
    }
    return false;
}

void
state_sweep(const struct rules_options *options, struct rule_group *const *groups, size_t groups_nr)
{
    struct io_dir_list list;
    struct error err = { 0 };
    char path[STATE_PATH_MAX];

    if (options->state_dir == NULL || !io_list(options->io, options->state_dir, &list, &err)) {
        error_clear(&err); /* nothing was ever kept */
        return;
    }
    for (size_t i = 0; i < list.nr; i++) {
        if (list.entries[i].is_dir || file_is_of(list.entries[i].name, groups, groups_nr))
            continue;
        snprintf(path, sizeof path, "%s/%s", options->state_dir, list.entries[i].name);
        error_ignored(io_remove(options->io, path, &err));
        error_clear(&err);
    }
    io_dir_list_fini(&list);
}

/* ---- reading ---- */

static struct labels
get_labels(struct dec *d, struct arena *arena)
{
    uint64_t nr = dec_uvarint(d);

    if (nr > dec_left(d) / LABEL_BYTES_MIN) {
        dec_fail(d);
        return LABELS_NONE;
    }
    struct label *v = ARENA_NEW_ARRAY(arena, struct label, (size_t)nr);
    for (size_t i = 0; i < nr; i++) {
        v[i].name = dec_uvarint_str(d);
        v[i].value = dec_uvarint_str(d);
        /* Equality and hashes count on the order. */
        if (i > 0 && str_cmp(v[i - 1].name, v[i].name) >= 0)
            dec_fail(d);
    }
    return (struct labels){ v, dec_ok(d) ? (size_t)nr : 0 };
}

static struct alert
get_alert(struct dec *d, struct arena *arena)
{
    struct alert a = { .labels = get_labels(d, arena), .annotations = get_labels(d, arena) };
    uint8_t state = dec_u8(d);

    if (state < ALERT_INACTIVE || state > ALERT_FIRING)
        dec_fail(d);
    a.state = state;
    a.value = double_of_bits(dec_be(d, 8));
    a.active_at_ns = dec_varint(d);
    a.fired_at_ns = dec_varint(d);
    a.resolved_at_ns = dec_varint(d);
    a.keep_firing_since_ns = dec_varint(d);
    a.hash = labels_hash(a.labels);
    return a;
}

static bool
alert_labels_eq(const void *item, const void *key)
{
    return labels_eq(((const struct alert *)item)->labels, *(const struct labels *)key);
}

static void
alert_restore(struct rule *r, const struct alert *from)
{
    if (table_find(&r->active, from->hash, alert_labels_eq, &from->labels) != NULL)
        return;
    struct alert *a = mem_dup(from, sizeof *from);
    a->labels = rule_labels_own(from->labels);
    a->annotations = rule_labels_own(from->annotations);
    table_add(&r->active, a->hash, a);
}

/* The first alerting rule with this name and labels that has no state yet. */
static struct rule *
rule_find(struct rule_group *g, struct str name, struct labels ls)
{
    for (size_t i = 0; i < g->rules_nr; i++) {
        struct rule *r = g->rules[i];
        if (r->is_alert && !r->has_state && str_eq(r->name, name) && labels_eq(r->labels, ls)) {
            r->has_state = true;
            return r;
        }
    }
    return NULL;
}

static void
get_rule(struct rule_group *g, struct dec *d, struct arena *arena, struct state_info *info)
{
    struct str name = dec_uvarint_str(d);
    struct labels ls = get_labels(d, arena);
    uint64_t nr = dec_uvarint(d);
    struct rule *r = dec_ok(d) ? rule_find(g, name, ls) : NULL;

    for (uint64_t i = 0; i < nr && dec_ok(d); i++) {
        struct alert a = get_alert(d, arena);
        if (!dec_ok(d) || r == NULL)
            continue;
        alert_restore(r, &a);
        info->alerts_nr++;
    }
}

bool
state_decode(struct rule_group *g, struct bytes content, struct state_info *info, struct error *err)
{
    struct arena arena;
    struct dec crc, d;

    *info = (struct state_info){ 0 };
    if (content.n < MAGIC.n + CRC_BYTES || memcmp(content.p, MAGIC.p, MAGIC.n) != 0)
        return error_set(err, ERR_CORRUPT, "not a file of alerts");
    size_t body_n = content.n - CRC_BYTES;
    crc = dec_of((struct bytes){ content.p + body_n, CRC_BYTES });
    if (dec_u32(&crc) != crc32c(0, content.p, body_n))
        return error_set(err, ERR_CORRUPT, "checksum does not match");
    d = dec_of((struct bytes){ content.p + MAGIC.n, body_n - MAGIC.n });
    struct str key = dec_uvarint_str(&d);
    info->saved_at_ns = dec_varint(&d);
    if (!dec_ok(&d) || !str_is(key, g->key))
        return error_set(err, ERR_CORRUPT, "of another group: '%.*s'", STR_ARG(key));
    arena_init(&arena, SIZE_MAX);
    uint64_t rules_nr = dec_uvarint(&d);
    for (uint64_t i = 0; i < rules_nr && dec_ok(&d); i++)
        get_rule(g, &d, &arena, info);
    arena_fini(&arena);
    return dec_ok(&d) || error_set(err, ERR_CORRUPT, "ends early");
}

/* How much of the time since the file was written nobody looked, surely. Below that a restart is
 * as if nothing had happened. */
static int64_t
outage_ns(const struct rule_group *g, int64_t saved_at_ns, int64_t now_ns)
{
    return MAX(now_ns - saved_at_ns - STATE_SAVE_NS - 2 * g->interval_ns, INT64_C(0));
}

/* An alert that was pending waits for the time of the outage again, as in Prometheus; and what was
 * not scraped again yet does not resolve an alert at once. */
static void
rule_resume(struct rule *r, int64_t outage, int64_t interval_ns, int64_t now_ns)
{
    struct alert *a;

    r->restored = true;
    r->has_state = false;
    if (outage == 0)
        return;
    r->hold_until_ns = now_ns + MAX(3 * interval_ns, STATE_SAVE_NS);
    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;)
        if (a->state == ALERT_PENDING)
            a->active_at_ns += outage;
}

/* After a damaged file: as if it had not been there. */
static void
rule_forget(struct rule *r)
{
    struct alert *a;

    r->has_state = false;
    for (size_t at = 0; (a = table_next(&r->active, &at)) != NULL;)
        alert_free(a);
    table_reset(&r->active);
}

static bool
state_usable(const struct rule_group *g, const struct rules_options *options,
             const struct state_info *info, int64_t now_ns)
{
    int64_t age_ns = now_ns - info->saved_at_ns;

    return age_ns >= -STATE_SAVE_NS &&
           outage_ns(g, info->saved_at_ns, now_ns) <= options->outage_tolerance_ms * 1000000;
}

bool
state_load(struct rule_group *g, const struct rules_options *options, int64_t now_ns)
{
    struct state_info info = { 0 };
    struct error err = { 0 };
    char path[STATE_PATH_MAX], *text = NULL;
    size_t n = 0;

    if (options->state_dir == NULL)
        return false;
    state_path(g, options->state_dir, path);
    bool ok = io_read_file(options->io, path, STATE_BYTES_MAX, &text, &n, &err) &&
              state_decode(g, (struct bytes){ (const uint8_t *)text, n }, &info, &err);
    if (!ok && err.kind != ERR_NOT_FOUND)
        log_warn(&options->log, "Alert state cannot be used, restored from series instead",
                 LOG_C("group", g->key), LOG_C("path", path), LOG_E(&err));
    mem_free(text);
    error_clear(&err);
    ok = ok && state_usable(g, options, &info, now_ns);
    int64_t outage = ok ? outage_ns(g, info.saved_at_ns, now_ns) : 0;
    for (size_t i = 0; i < g->rules_nr; i++) {
        if (!g->rules[i]->is_alert)
            continue;
        if (ok)
            rule_resume(g->rules[i], outage, g->interval_ns, now_ns);
        else
            rule_forget(g->rules[i]);
    }
    g->saved_at_ns = ok ? info.saved_at_ns : 0;
    return ok;
}
