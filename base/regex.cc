/* RE2 with Go's face. Three things answer before RE2 is asked: a finite set of texts (sorted,
 * binary search), a literal prefix, and ".*", which matches everything. */
extern "C" {
#include "base/mem.h"
#include "base/regex.h"
#include "base/regex_syntax.h"
}

#include <atomic>
#include <memory>
#include <string>
#include <vector>
#include <re2/re2.h>

struct regex {
    std::atomic<unsigned> refs{ 1 };
    std::string pattern;
    std::unique_ptr<RE2> re2;
    struct regex_starts starts = {};
    struct str prefix = {};
    bool anchored = false, matches_all = false, matches_empty = false;
};

namespace
{

/* Go's budget for a program is 128 MiB; most patterns get RE2's default, so that a pattern's states
 * cannot eat memory. */
const int64_t MEMORY_STEPS[] = { 8 << 20, 64 << 20, 512 << 20 };

const char *
go_words(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "expression nests too deeply";
    }
}

size_t
valid_length(const std::string &text)
{
    struct str rest = { text.data(), text.size() };

    while (rest.n > 0) {
        uint32_t rune;
        size_t n = str_rune(rest, &rune);
        if (n == 1 && static_cast<unsigned char>(rest.p[0]) >= 0x80)
            break;
        rest = str_skip(rest, n);
    }
    return text.size() - rest.n;
}

/* `shown` is the whole pattern as Go would have it, `given` what RE2 got after the rewrite. */
bool
refuse(const RE2 &re, const std::string &given, const std::string &shown, struct error *err)
{
    RE2::ErrorCode code = re.error_code();
    std::string arg = re.error_arg();

    if (arg == given || code == RE2::ErrorMissingParen || code == RE2::ErrorUnexpectedParen)
        arg = shown;
    if (code == RE2::ErrorTrailingBackslash)
        arg.clear();
    if (code == RE2::ErrorBadUTF8)
        arg = shown.substr(valid_length(shown));
    if (code == RE2::ErrorBadNamedCapture && arg.rfind("(?P<", 0) == 0 &&
        shown.find(arg) == std::string::npos)
        arg.erase(2, 1);
    if (code == RE2::ErrorPatternTooLarge || code == RE2::ErrorInternal)
        return error_set(err, ERR_INVALID, "error parsing regexp: %s", go_words(code));
    return error_set(err, ERR_INVALID, "error parsing regexp: %s: `%s`", go_words(code),
                     arg.c_str());
}

std::unique_ptr<RE2>
compile(const std::string &given)
{
    std::unique_ptr<RE2> re;
    RE2::Options options;

    options.set_log_errors(false);
    for (int64_t bytes : MEMORY_STEPS) {
        options.set_max_mem(bytes);
        re.reset(new RE2(given, options));
        if (re->error_code() != RE2::ErrorPatternTooLarge)
            break;
    }
    return re;
}

std::string
anchored_form(const std::string &pattern)
{
    return "^(?s:" + pattern + ")$";
}

struct str
common_prefix(const struct regex_starts &starts)
{
    if (starts.nr == 0)
        return STR_NONE;
    /* Sorted, so the first and the last differ the earliest. */
    struct str first = starts.items[0], last = starts.items[starts.nr - 1];
    size_t n = 0;
    while (n < first.n && n < last.n && first.p[n] == last.p[n])
        n++;
    return { first.p, n };
}

void
learn(struct regex *re)
{
    regex_syntax_starts({ re->pattern.data(), re->pattern.size() }, &re->starts);
    re->prefix = common_prefix(re->starts);
    /* An empty text among them would be found in every series without the label: left to the
     * general way. */
    if (re->starts.nr > 0 && re->starts.items[0].n == 0)
        re->starts.whole = false;
    re->matches_all = re->pattern == ".*" || re->pattern == "(.*)" || re->pattern == "(?:.*)" ||
                      re->pattern == "^.*$" || re->pattern == "(?s:.*)";
}

inline re2::StringPiece
piece(struct str s)
{
    return re2::StringPiece(s.p == nullptr ? "" : s.p, s.n);
}

bool
in_set(const struct regex *re, struct str text)
{
    size_t low = 0, high = re->starts.nr;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = str_cmp(re->starts.items[mid], text);
        if (c == 0)
            return true;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

bool
is_name(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* Go takes any letter or digit of Unicode in a name: bytes above ASCII count when they are part of
 * a well-formed rune. */
size_t
name_length(struct str s)
{
    size_t n = 0;

    while (n < s.n) {
        uint32_t rune;
        size_t len = str_rune(str_skip(s, n), &rune);
        if (len == 1 && !is_name(s.p[n]))
            break;
        n += len;
    }
    return n;
}

/* Takes the $name or ${name} behind a dollar; returns its length with the braces, 0 when it is
 * malformed. */
size_t
take_name(struct str s, struct str *name)
{
    bool braces = s.n > 0 && s.p[0] == '{';
    struct str inside = braces ? str_skip(s, 1) : s;

    name->p = inside.p;
    name->n = name_length(inside);
    if (name->n == 0 || (braces && (name->n == inside.n || inside.p[name->n] != '}')))
        return 0;
    return name->n + 2 * braces;
}

/* The group's number, or -1. A number with a leading zero or more than 8 digits is a name. */
int
group_of(const RE2 &re, struct str name)
{
    int number = 0;
    bool digits = true;

    for (size_t i = 0; i < name.n && digits; i++) {
        digits = name.p[i] >= '0' && name.p[i] <= '9' && number < 100000000 / 10;
        if (digits)
            number = number * 10 + (name.p[i] - '0');
    }
    if (digits && !(name.n > 1 && name.p[0] == '0'))
        return number;
    auto found = re.NamedCapturingGroups().find(std::string(name.p, name.n));
    return found == re.NamedCapturingGroups().end() ? -1 : found->second;
}

void
expand(const RE2 &re, const std::vector<re2::StringPiece> &groups, struct str tmpl, struct buf *out)
{
    size_t i = 0;

    while (i < tmpl.n) {
        size_t dollar = str_find(tmpl, '$', i);
        buf_add(out, tmpl.p + i, dollar - i);
        if (dollar == tmpl.n)
            return;
        i = dollar + 1;
        if (i < tmpl.n && tmpl.p[i] == '$') {
            buf_byte(out, '$');
            i++;
            continue;
        }
        struct str name;
        size_t taken = take_name(str_skip(tmpl, i), &name);
        if (taken == 0) {
            buf_byte(out, '$');
            continue;
        }
        int group = group_of(re, name);
        if (group >= 0 && static_cast<size_t>(group) < groups.size())
            buf_add(out, groups[static_cast<size_t>(group)].data(),
                    groups[static_cast<size_t>(group)].size());
        i += taken;
    }
}

size_t
groups_of(const struct regex *re)
{
    return static_cast<size_t>(re->re2->NumberOfCapturingGroups()) + 1;
}

} // namespace

struct regex *
regex_compile(struct str pattern, unsigned flags, struct error *err)
{
    struct buf rewritten = {};
    std::unique_ptr<regex> re(new regex);

    if (pattern.n > REGEX_PATTERN_BYTES_MAX) {
        error_set(err, ERR_LIMIT, "regular expression of %zu bytes is over the limit of %u",
                  pattern.n, REGEX_PATTERN_BYTES_MAX);
        return nullptr;
    }
    re->pattern.assign(pattern.p == nullptr ? "" : pattern.p, pattern.n);
    re->anchored = (flags & REGEX_ANCHORED) != 0;
    bool ok = regex_syntax_rewrite(pattern, &rewritten, err);
    std::string given(reinterpret_cast<const char *>(rewritten.p), ok ? rewritten.n : 0);
    buf_fini(&rewritten);
    if (!ok)
        return nullptr;
    if ((flags & REGEX_MATCHER) != 0) {
        std::unique_ptr<RE2> bare = compile(given);
        if (!bare->ok()) {
            refuse(*bare, given, re->pattern, err);
            return nullptr;
        }
    }
    given = re->anchored ? anchored_form(given) : given;
    re->re2 = compile(given);
    if (!re->re2->ok()) {
        refuse(*re->re2, given, re->anchored ? anchored_form(re->pattern) : re->pattern, err);
        return nullptr;
    }
    re->matches_empty = re->re2->Match("", 0, 0, RE2::UNANCHORED, nullptr, 0);
    if (re->anchored)
        learn(re.get());
    return re.release();
}

struct regex *
regex_ref(struct regex *re)
{
    re->refs.fetch_add(1, std::memory_order_relaxed);
    return re;
}

void
regex_unref(struct regex *re)
{
    if (re == nullptr || re->refs.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    regex_starts_fini(&re->starts);
    delete re;
}

struct str
regex_pattern(const struct regex *re)
{
    return { re->pattern.data(), re->pattern.size() };
}

bool
regex_match(const struct regex *re, struct str text)
{
    if (re->matches_all)
        return true;
    if (re->starts.whole)
        return in_set(re, text);
    if (!str_starts(text, re->prefix))
        return false;
    return re->re2->Match(piece(text), 0, text.n, RE2::UNANCHORED, nullptr, 0);
}

bool
regex_expand(const struct regex *re, struct str text, struct str tmpl, struct buf *out)
{
    std::vector<re2::StringPiece> groups(groups_of(re));

    if (!re->re2->Match(piece(text), 0, text.n, RE2::UNANCHORED, groups.data(),
                        static_cast<int>(groups.size())))
        return false;
    expand(*re->re2, groups, tmpl, out);
    return true;
}

void
regex_replace_all(const struct regex *re, struct str text, struct str tmpl, struct buf *out)
{
    std::vector<re2::StringPiece> groups(groups_of(re));
    re2::StringPiece whole = piece(text);
    size_t copied = 0, search = 0, match_end = 0;

    while (search <= text.n && re->re2->Match(whole, search, text.n, RE2::UNANCHORED, groups.data(),
                                              static_cast<int>(groups.size()))) {
        size_t start = static_cast<size_t>(groups[0].data() - whole.data()),
               end = start + groups[0].size();
        buf_add(out, whole.data() + copied, start - copied);
        /* An empty match right behind a match is none. */
        if (end > match_end || start == 0)
            expand(*re->re2, groups, tmpl, out);
        copied = match_end = end;
        uint32_t rune;
        size_t width = search < text.n ? str_rune(str_skip(text, search), &rune) : 1;
        search = search + width > end ? search + width : search + 1 > end ? search + 1 : end;
    }
    buf_add(out, whole.data() + copied, text.n - copied);
}

size_t
regex_set(const struct regex *re, const struct str **literals)
{
    if (!re->starts.whole)
        return 0;
    *literals = re->starts.items;
    return re->starts.nr;
}

struct str
regex_prefix(const struct regex *re)
{
    return re->prefix;
}

bool
regex_matches_all(const struct regex *re)
{
    return re->matches_all;
}

bool
regex_matches_empty(const struct regex *re)
{
    return re->matches_empty;
}
