/* A small recursive descent over Go's regular expressions that computes a finite set of texts with
 * which every match must start, and whether these texts are all there is. It gives up (an empty
 * text, not whole) at anything it does not know: that is always a true statement about the pattern.
 *
 * An atom or a concatenation is a `struct starts`: texts, and for each whether it is complete
 * (nothing but this text), so that a later part of a concatenation extends complete texts only. */
#include "base/regex_syntax.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"

enum { STARTS_MAX = REGEX_SET_MAX, NESTING_MAX = 50, TEXT_BYTES_MAX = 1 << 20 };

struct start {
    struct buf text;
    bool complete;
};

struct starts {
    struct start *items;
    size_t nr, cap;
    size_t bytes;
};

struct walk {
    struct str s;
    size_t at;
    unsigned depth;
    bool
        unknown; /* met something that changes what stands before it (flags): nothing may be said */
};

static void
starts_fini(struct starts *set)
{
    for (size_t i = 0; i < set->nr; i++)
        buf_fini(&set->items[i].text);
    mem_free(set->items);
    *set = (struct starts){ 0 };
}

static void
starts_add(struct starts *set, struct str a, struct str b, bool complete)
{
    MEM_GROW(set->items, set->nr + 1, &set->cap);
    struct start *item = &set->items[set->nr++];
    *item = (struct start){ .complete = complete };
    buf_str(&item->text, a);
    buf_str(&item->text, b);
    set->bytes += a.n + b.n;
}

static void
starts_give_up(struct starts *set)
{
    starts_fini(set);
    starts_add(set, STR_NONE, STR_NONE, false);
}

/* Nothing is known of what follows. */
static void
starts_open_ended(struct starts *set)
{
    for (size_t i = 0; i < set->nr; i++)
        set->items[i].complete = false;
}

/* The common case, without copying: one literal character. */
static void
starts_append(struct starts *left, const struct start *right)
{
    for (size_t i = 0; i < left->nr; i++) {
        if (!left->items[i].complete)
            continue;
        buf_str(&left->items[i].text, buf_as_str(&right->text));
        left->items[i].complete = right->complete;
        left->bytes += right->text.n;
    }
    if (left->bytes > TEXT_BYTES_MAX)
        starts_open_ended(left);
}

static bool
starts_any_complete(const struct starts *set)
{
    for (size_t i = 0; i < set->nr; i++) {
        if (set->items[i].complete)
            return true;
    }
    return false;
}

/* left := left followed by right. */
static void
starts_join(struct starts *left, const struct starts *right)
{
    struct starts out = { 0 };

    if (right->nr == 1) {
        starts_append(left, &right->items[0]);
        return;
    }
    for (size_t i = 0; i < left->nr; i++) {
        const struct start *l = &left->items[i];
        for (size_t j = 0; l->complete && j < right->nr; j++) {
            const struct start *r = &right->items[j];
            starts_add(&out, buf_as_str(&l->text), buf_as_str(&r->text), r->complete);
            if (out.nr > STARTS_MAX || out.bytes > TEXT_BYTES_MAX) {
                starts_fini(&out);
                starts_open_ended(left);
                return;
            }
        }
        if (!l->complete)
            starts_add(&out, buf_as_str(&l->text), STR_NONE, false);
    }
    starts_fini(left);
    *left = out;
}

static void
starts_merge(struct starts *into, struct starts *more)
{
    for (size_t i = 0; i < more->nr; i++)
        starts_add(into, buf_as_str(&more->items[i].text), STR_NONE, more->items[i].complete);
    if (into->nr > STARTS_MAX || into->bytes > TEXT_BYTES_MAX)
        starts_give_up(into);
}

static int
peek(const struct walk *w)
{
    return w->at < w->s.n ? (unsigned char)w->s.p[w->at] : -1;
}

static bool
take(struct walk *w, const char *z)
{
    if (!str_starts(str_skip(w->s, w->at), str_c(z)))
        return false;
    w->at += strlen(z);
    return true;
}

static void walk_alternation(struct walk *w, struct starts *out);

static bool
is_word(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* A backslash and punctuation stand for the punctuation; anything else is not looked into. */
static bool
take_escaped(struct walk *w, char *c)
{
    if (w->at + 1 >= w->s.n)
        return false;
    *c = w->s.p[w->at + 1];
    if (is_word((unsigned char)*c) || (unsigned char)*c >= 0x80)
        return false;
    w->at += 2;
    return true;
}

/* One member of a class: an ASCII character, plain or escaped. */
static bool
class_char(struct walk *w, char *c)
{
    int next = peek(w);

    if (next == '\\')
        return take_escaped(w, c);
    if (next < 0 || next >= 0x80 || next == '[')
        return false;
    *c = (char)next;
    w->at++;
    return true;
}

/* [abc], [a-c] of ASCII characters. */
static bool
walk_class(struct walk *w, struct starts *out)
{
    bool member[128] = { false };

    w->at++;
    if (peek(w) == '^')
        return false;
    for (bool first = true; first || peek(w) != ']'; first = false) {
        char low, high;
        if (!class_char(w, &low))
            return false;
        high = low;
        if (peek(w) == '-' && w->at + 1 < w->s.n && w->s.p[w->at + 1] != ']') {
            w->at++;
            if (!class_char(w, &high))
                return false;
        }
        for (int c = low; c <= high; c++)
            member[c] = true;
    }
    w->at++;
    for (int c = 0; c < 128; c++) {
        char text = (char)c;
        if (member[c])
            starts_add(out, (struct str){ &text, 1 }, STR_NONE, true);
    }
    return true;
}

/* Behind "(?": skips what does not change the meaning of literals; false for everything else. */
static bool
group_header(struct walk *w)
{
    if (take(w, ":") || take(w, "s:") || take(w, "-s:"))
        return true;
    if (!take(w, "P<") && !take(w, "<"))
        return false;
    while (is_word(peek(w)))
        w->at++;
    return take(w, ">");
}

static bool
walk_group(struct walk *w, struct starts *out)
{
    if (++w->depth > NESTING_MAX)
        return false;
    w->at++;
    if (take(w, "?") && !group_header(w))
        return false;
    walk_alternation(w, out);
    w->depth--;
    return !w->unknown && take(w, ")");
}

/* One atom without its quantifier. False: not known. */
static bool
walk_atom(struct walk *w, struct starts *out)
{
    uint32_t rune;
    char c;

    switch (peek(w)) {
    case '(':
        return walk_group(w, out);
    case '[':
        return walk_class(w, out);
    case '\\':
        if (!take_escaped(w, &c))
            return false;
        starts_add(out, (struct str){ &c, 1 }, STR_NONE, true);
        return true;
    case '.':
        w->at++;
        starts_add(out, STR_NONE, STR_NONE, false);
        return true;
    case '^':
    case '$':
    case '*':
    case '+':
    case '?':
    case '{':
        return false;
    default: {
        struct str rest = str_skip(w->s, w->at);
        size_t n = str_rune(rest, &rune);
        w->at += n;
        starts_add(out, (struct str){ rest.p, n }, STR_NONE, true);
        return true;
    }
    }
}

/* Applies *, +, ? behind an atom. */
static bool
walk_quantifier(struct walk *w, struct starts *atom)
{
    int c = peek(w);

    if (c == '{')
        return false;
    if (c != '*' && c != '+' && c != '?')
        return true;
    w->at++;
    if (peek(w) == '?')
        w->at++;
    if (c == '+') {
        starts_open_ended(atom);
    } else if (c == '?') {
        starts_add(atom, STR_NONE, STR_NONE, true);
    } else {
        starts_give_up(atom);
    }
    return true;
}

static void
walk_concatenation(struct walk *w, struct starts *out)
{
    bool open = false; /* nothing that follows can be told any more */

    starts_add(out, STR_NONE, STR_NONE, true);
    while (!w->unknown && peek(w) >= 0 && peek(w) != '|' && peek(w) != ')') {
        struct starts atom = { 0 };
        w->unknown = !walk_atom(w, &atom) || !walk_quantifier(w, &atom);
        if (!w->unknown && !open)
            starts_join(out, &atom);
        open = open || (atom.nr > 0 && !atom.items[0].complete && !starts_any_complete(out));
        starts_fini(&atom);
    }
}

static void
walk_alternation(struct walk *w, struct starts *out)
{
    walk_concatenation(w, out);
    while (!w->unknown && peek(w) == '|') {
        struct starts branch = { 0 };
        w->at++;
        walk_concatenation(w, &branch);
        starts_merge(out, &branch);
        starts_fini(&branch);
    }
}

/* True when a | or an unbalanced ) stands outside of any group: then the start of the text is no
 * start of every match. A backslash or a class may hide or fake either; with one of them in it any
 * | or ) counts. */
static bool
splits(struct str s)
{
    bool tricky = memchr(s.p, '\\', s.n) != NULL || memchr(s.p, '[', s.n) != NULL;

    for (size_t i = 0, depth = 0; i < s.n; i++) {
        if (s.p[i] == '(')
            depth++;
        else if ((s.p[i] == '|' || s.p[i] == ')') && (depth == 0 || tricky))
            return true;
        else if (s.p[i] == ')')
            depth--;
    }
    return false;
}

/* What stands before the unknown part is still how every match starts, if it is a plain run of
 * characters outside of any group or alternative. The last one is not: a repetition may follow,
 * even behind a (?i). */
static void
literal_run(struct str s, struct starts *out)
{
    size_t n = 0;

    starts_fini(out);
    while (n < s.n && s.p[n] != '\0' &&
           (is_word((unsigned char)s.p[n]) || strchr("-/:,=@%&;<>~#!' \"", s.p[n]) != NULL))
        n++;
    if (n < s.n)
        n = n > 0 && !splits(s) ? n - 1 : 0;
    starts_add(out, (struct str){ s.p, n }, STR_NONE, false);
}

static int
start_cmp(const void *a, const void *b)
{
    const struct start *x = a, *y = b;

    return str_cmp(buf_as_str(&x->text), buf_as_str(&y->text));
}

static void
starts_publish(struct starts *set, struct regex_starts *out)
{
    *out =
        (struct regex_starts){ .items = MEM_NEW_ARRAY(struct str, set->nr), .whole = set->nr > 0 };
    qsort(set->items, set->nr, sizeof *set->items, start_cmp);
    for (size_t i = 0; i < set->nr; i++) {
        struct str text = buf_as_str(&set->items[i].text);
        out->whole = out->whole && set->items[i].complete;
        if (out->nr == 0 || !str_eq(out->items[out->nr - 1], text))
            out->items[out->nr++] = (struct str){ str_dup(text), text.n };
    }
}

void
regex_syntax_starts(struct str pattern, struct regex_starts *starts)
{
    struct starts set = { 0 };

    /* Anchors at the very ends add nothing, unless they bind to one alternative only. */
    if (pattern.n > 0 && memchr(pattern.p, '|', pattern.n) == NULL) {
        if (pattern.p[0] == '^')
            pattern = str_skip(pattern, 1);
        if (pattern.n > 0 && pattern.p[pattern.n - 1] == '$' &&
            (pattern.n < 2 || pattern.p[pattern.n - 2] != '\\'))
            pattern.n--;
    }
    struct walk w = { .s = pattern };
    walk_alternation(&w, &set);
    if (w.unknown || w.at != pattern.n)
        literal_run(pattern, &set);
    starts_publish(&set, starts);
    starts_fini(&set);
}

void
regex_starts_fini(struct regex_starts *starts)
{
    for (size_t i = 0; i < starts->nr; i++)
        mem_free((void *)(uintptr_t)starts->items[i].p);
    mem_free(starts->items);
    *starts = (struct regex_starts){ 0 };
}

/* Copies one character class; ] right behind [ or [^ is a member, and [:name:] stands inside. */
static size_t
class_end(struct str s, size_t at)
{
    size_t i = at + 1;

    if (i < s.n && s.p[i] == '^')
        i++;
    if (i < s.n && s.p[i] == ']')
        i++;
    for (; i < s.n && s.p[i] != ']'; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '[' && i + 1 < s.n && s.p[i + 1] == ':') {
            const char *close = memmem(s.p + i + 2, s.n - i - 2, ":]", 2);
            i = close == NULL ? i : (size_t)(close - s.p) + 1;
        }
    }
    return MIN(i + 1, s.n);
}

static size_t
escape_end(struct str s, size_t at)
{
    if (at + 1 < s.n && s.p[at + 1] == 'Q') {
        const char *close = memmem(s.p + at, s.n - at, "\\E", 2);
        return close == NULL ? s.n : (size_t)(close - s.p) + 2;
    }
    return MIN(at + 2, s.n);
}

static bool
name_is(const void *item, const void *key)
{
    return str_eq(*(const struct str *)item, *(const struct str *)key);
}

/* True when the name is new. */
static bool
names_add(struct table *names, struct arena *a, struct str name)
{
    uint64_t hash = hash64_str(name);

    if (table_find(names, hash, name_is, &name) != NULL)
        return false;
    struct str *item = ARENA_NEW(a, struct str);
    *item = name;
    table_add(names, hash, item);
    return true;
}

/* Copies the head of a group at pattern[at] = "(?"; returns its end, 0 when it is not a named
 * group. The library that Prometheus uses takes the same name twice; RE2 does not, so the second
 * one loses its name. */
static size_t
rewrite_group(struct table *names, struct arena *a, struct str pattern, size_t at, struct buf *out)
{
    struct str rest = str_skip(pattern, at);
    size_t start = str_starts(rest, STR("(?P<")) ? 4 : str_starts(rest, STR("(?<")) ? 3 : 0;
    size_t n = 0;

    if (start == 0)
        return 0;
    while (start + n < rest.n && is_word((unsigned char)rest.p[start + n]))
        n++;
    if (n == 0 || start + n == rest.n || rest.p[start + n] != '>') {
        /* Malformed: RE2 says so only of its own form. */
        buf_c(out, "(?P<");
        return at + start;
    }
    struct str name = { rest.p + start, n };
    if (names_add(names, a, name))
        buf_printf(out, "(?P<%.*s>", STR_ARG(name));
    else
        buf_printf(out, "(?P<narthex_%zu>", at);
    return at + start + n + 1;
}

bool
regex_syntax_rewrite(struct str pattern, struct buf *out, struct error *err)
{
    struct table names = { 0 };
    struct arena arena;
    bool ok = true;

    arena_init(&arena, SIZE_MAX);
    for (size_t i = 0, end; ok && i < pattern.n; i = end) {
        struct str rest = str_skip(pattern, i);
        end = rest.p[0] == '(' ? rewrite_group(&names, &arena, pattern, i, out) : 0;
        if (end != 0)
            continue;
        end = rest.p[0] == '\\'  ? escape_end(pattern, i)
              : rest.p[0] == '[' ? class_end(pattern, i)
                                 : i + 1;
        buf_add(out, rest.p, end - i);
        if (str_starts(rest, STR("\\C")))
            ok =
                error_set(err, ERR_INVALID, "error parsing regexp: invalid escape sequence: `\\C`");
    }
    table_fini(&names);
    arena_fini(&arena);
    return ok;
}
