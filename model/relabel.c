#include "model/relabel.h"

#include <inttypes.h>
#include <locale.h>
#include <strings.h>
#include <wctype.h>

#include "base/digest.h"

static const char *const action_texts[RELABEL_ACTIONS_NR] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",
    [RELABEL_DROP] = "drop",           [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop",
    [RELABEL_LABELKEEP] = "labelkeep", [RELABEL_LOWERCASE] = "lowercase",
    [RELABEL_UPPERCASE] = "uppercase", [RELABEL_KEEPEQUAL] = "keepequal",
    [RELABEL_DROPEQUAL] = "dropequal",
};

const char *
relabel_action_text(enum relabel_action action)
{
    return action_texts[action];
}

bool
relabel_action_of(struct str text, enum relabel_action *action)
{
    for (int i = 0; i < RELABEL_ACTIONS_NR; i++) {
        if (strlen(action_texts[i]) == text.n &&
            strncasecmp(action_texts[i], text.p, text.n) == 0) {
            *action = (enum relabel_action)i;
            return true;
        }
    }
    return false;
}

/* One rule at work. The buffer is shared by the rules of a call. */
struct work {
    const struct relabel_rule *rule;
    struct labels_builder *b;
    struct arena *arena;
    struct buf scratch;
};

/* The source labels joined; in the arena when there are several. */
static struct str
source_text(struct work *w)
{
    const struct relabel_rule *rule = w->rule;

    if (rule->source_labels_nr == 0)
        return STR("");
    if (rule->source_labels_nr == 1)
        return labels_builder_get(w->b, rule->source_labels[0]);
    buf_reset(&w->scratch);
    for (size_t i = 0; i < rule->source_labels_nr; i++) {
        if (i > 0)
            buf_str(&w->scratch, rule->separator);
        buf_str(&w->scratch, labels_builder_get(w->b, rule->source_labels[i]));
    }
    return arena_str(w->arena, buf_as_str(&w->scratch));
}

/* False when text does not match. A template without '$' is its own expansion. */
static bool
expand(struct work *w, struct str text, struct str tmpl, struct str *expanded)
{
    if (str_find(tmpl, '$', 0) == tmpl.n) {
        *expanded = tmpl;
        return regex_match(w->rule->re, text);
    }
    buf_reset(&w->scratch);
    if (!regex_expand(w->rule->re, text, tmpl, &w->scratch))
        return false;
    *expanded = arena_str(w->arena, buf_as_str(&w->scratch));
    return true;
}

static void
replace(struct work *w, struct str text)
{
    struct str target, value;

    if (!expand(w, text, w->rule->target_label, &target))
        return;
    if (w->rule->legacy_names ? !label_name_legacy(target) : !label_name_valid(target))
        return;
    if (expand(w, text, w->rule->replacement, &value))
        labels_builder_set(w->b, target, value);
}

static void
hashmod(struct work *w, struct str text)
{
    uint8_t sum[DIGEST_MD5_BYTES];
    uint64_t low;

    digest_md5(text, sum);
    memcpy(&low, sum + 8, sizeof low);
    low = __builtin_bswap64(low) % w->rule->modulus;
    labels_builder_set(w->b, w->rule->target_label, arena_printf(w->arena, "%" PRIu64, low));
}

static void
put_utf8(struct buf *out, uint32_t rune)
{
    static const uint8_t marks[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    unsigned n = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;

    buf_byte(out, (uint8_t)(rune >> (6 * (n - 1)) | marks[n == 1 ? 0 : n]));
    for (unsigned i = n - 1; i-- > 0;)
        buf_byte(out, (uint8_t)((rune >> (6 * i) & 0x3F) | 0x80));
}

static bool
is_ascii(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] >= 0x80)
            return false;
    return true;
}

static void
change_case_utf8(struct buf *out, struct str text, bool upper)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

    for (size_t i = 0; i < text.n;) {
        uint32_t rune;
        i += str_rune(str_skip(text, i), &rune);
        if (utf8 != (locale_t)0)
            rune = upper ? towupper_l(rune, utf8) : towlower_l(rune, utf8);
        put_utf8(out, rune);
    }
    if (utf8 != (locale_t)0)
        freelocale(utf8);
}

static void
change_case(struct work *w, struct str text, bool upper)
{
    char first = upper ? 'a' : 'A';

    buf_reset(&w->scratch);
    if (is_ascii(text)) {
        for (size_t i = 0; i < text.n; i++) {
            char c = text.p[i];
            buf_byte(&w->scratch, (uint8_t)(c >= first && c <= first + 25 ? c ^ 0x20 : c));
        }
    } else {
        change_case_utf8(&w->scratch, text, upper);
    }
    labels_builder_set(w->b, w->rule->target_label, arena_str(w->arena, buf_as_str(&w->scratch)));
}

/* labelmap, labeldrop and labelkeep look at the labels as they were before the rule. */
static void
each_name(struct work *w)
{
    const struct relabel_rule *rule = w->rule;
    struct labels view = labels_builder_view(w->b);
    struct label *before = arena_alloc(w->arena, arena_array_bytes(view.nr, sizeof *before));

    if (view.nr != 0)
        memcpy(before, view.v, view.nr * sizeof *before);
    for (size_t i = 0; i < view.nr; i++) {
        bool hit = regex_match(rule->re, before[i].name);
        struct str name;
        if (rule->action == RELABEL_LABELMAP) {
            if (hit && expand(w, before[i].name, rule->replacement, &name))
                labels_builder_set(w->b, name, before[i].value);
        } else if (hit == (rule->action == RELABEL_LABELDROP)) {
            labels_builder_del(w->b, before[i].name);
        }
    }
}

/* False drops the set. */
static bool
apply(struct work *w)
{
    const struct relabel_rule *rule = w->rule;
    struct str text = source_text(w);

    switch (rule->action) {
    case RELABEL_KEEP:
        return regex_match(rule->re, text);
    case RELABEL_DROP:
        return !regex_match(rule->re, text);
    case RELABEL_KEEPEQUAL:
        return str_eq(labels_builder_get(w->b, rule->target_label), text);
    case RELABEL_DROPEQUAL:
        return !str_eq(labels_builder_get(w->b, rule->target_label), text);
    case RELABEL_REPLACE:
        replace(w, text);
        return true;
    case RELABEL_HASHMOD:
        hashmod(w, text);
        return true;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        change_case(w, text, rule->action == RELABEL_UPPERCASE);
        return true;
    case RELABEL_LABELMAP:
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        each_name(w);
        return true;
    }
    return true;
}

bool
relabel_apply(const struct relabel_rule *rules, size_t rules_nr, struct labels_builder *b,
              struct arena *arena)
{
    struct work w = { .b = b, .arena = arena };
    bool keep = true;

    for (size_t i = 0; i < rules_nr && keep; i++) {
        w.rule = &rules[i];
        keep = apply(&w);
    }
    buf_fini(&w.scratch);
    return keep;
}
