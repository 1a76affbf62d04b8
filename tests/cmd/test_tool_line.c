/* cmd/tool_line.c: which command, which values, which complaint. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "cmd/tool_line.h"

static int
nothing(struct tool *t)
{
    (void)t;
    return 0;
}

static const struct tool_param root_flags[] = {
    { .name = "help", .type = TOOL_BOOL, .letter = 'h', .help = "h" },
    { .name = "version", .type = TOOL_BOOL, .help = "v" },
};
static const struct tool_param a_flags[] = {
    { .name = "level", .type = TOOL_INT, .dflt = "3", .letter = 'l', .help = "l" },
    { .name = "quick", .type = TOOL_BOOL, .letter = 'q', .help = "q" },
};
static const struct tool_param b_flags[] = {
    { .name = "pair", .type = TOOL_MAP, .many = true, .help = "p" },
    { .name = "kind", .type = TOOL_ENUM, .choices = "x,y", .dflt = "x", .help = "k" },
    { .name = "span", .type = TOOL_DURATION, .help = "s" },
    { .name = "must", .type = TOOL_STR, .required = true, .help = "m" },
};
static const struct tool_param b_args[] = {
    { .name = "first", .type = TOOL_STR, .required = true, .help = "f" },
    { .name = "rest", .type = TOOL_STR, .many = true, .help = "r" },
};
static const struct tool_command commands[] = {
    { "", root_flags, ARRAY_LEN(root_flags), NULL, 0, NULL, "root", false },
    { "a", a_flags, ARRAY_LEN(a_flags), NULL, 0, NULL, "a", false },
    { "a b", b_flags, ARRAY_LEN(b_flags), b_args, ARRAY_LEN(b_args), nothing, "b", false },
    { "ab", NULL, 0, NULL, 0, nothing, "ab", false },
};

#define ARGS_MAX 20

/* Splits at spaces. */
static int
parse(const char *text, char *room, struct tool_line *line, struct buf *out, struct buf *err)
{
    char *argv[ARGS_MAX] = { "/bin/tool" };
    int argc = 1;

    strcpy(room, text);
    for (char *p = strtok(room, " "); p != NULL; p = strtok(NULL, " "))
        argv[argc++] = p;
    return tool_line_parse(line, commands, ARRAY_LEN(commands), argc, argv, io_posix(), out, err);
}

static const struct {
    const char *line;
    int status;
    const char *err; /* without "tool: error: " and ", try --help\n" */
} refused[] = {
    { "a", 1, "must select a subcommand of 'a'" },
    { "c", 1, "expected command but got \"c\"" },
    { "a c", 1, "expected command but got \"c\"" },
    { "ab x", 1, "unexpected x" },
    { "--level=1 a b x", 1, "unknown long flag '--level'" },
    { "ab --quick", 1, "unknown long flag '--quick'" },
    { "a b x", 1, "required flag(s) '--must' not provided" },
    { "a b --must=1", 1, "required argument 'first' not provided" },
    { "a b --must", 1, "expected argument for flag '--must'" },
    { "a b --must --quick x", 1, "expected argument for flag '--must'" },
    { "a b --must=1 --must=2 x", 1, "flag 'must' cannot be repeated" },
    { "a b --must=1 --pair=x y", 1, "expected KEY=VALUE got 'x'" },
    { "a b --must=1 --kind=z y", 1, "enum value must be one of x,y, got 'z'" },
    { "a b --must=1 --span=z y", 1, "time: invalid duration \"z\"" },
    { "a b --must=1 -l z y", 1, "strconv.ParseFloat: parsing \"z\": invalid syntax" },
    { "a b --no-kind y", 1, "unknown long flag '--no-kind'" },
    { "a b -z y", 1, "unknown short flag '-z'" },
};

Test(tool_line, refuses_in_words)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct buf out = { 0 }, err = { 0 };
        struct tool_line line;
        char room[200], want[300];
        int status = parse(refused[i].line, room, &line, &out, &err);
        snprintf(want, sizeof want, "tool: error: %s, try --help\n", refused[i].err);
        cr_expect_eq(status, refused[i].status, "%s", refused[i].line);
        cr_expect_str_eq(buf_z(&err), want, "%s", refused[i].line);
        tool_line_fini(&line);
        buf_fini(&out);
        buf_fini(&err);
    }
}

Test(tool_line, reads_flags_of_parents_anywhere)
{
    struct buf out = { 0 }, err = { 0 };
    struct tool_line line;
    char room[200];
    size_t nr;

    int status = parse("a --quick b one -l7 --must v --pair=k=1 two --pair k=2 -- --three", room,
                       &line, &out, &err);
    cr_assert_eq(status, -1, "%s", buf_z(&err));
    cr_expect_str_eq(line.command->name, "a b");
    cr_expect(tool_bool(&line, "quick") && !tool_bool(&line, "version"));
    cr_expect_eq(tool_int(&line, "level"), 7);
    cr_expect(str_is(tool_str(&line, "must"), "v") && str_is(tool_str(&line, "kind"), "x"));
    cr_expect(tool_given(&line, "must") && !tool_given(&line, "kind"));
    const struct str *rest = tool_strs(&line, "rest", &nr);
    cr_assert_eq(nr, 2);
    cr_expect(str_is(rest[0], "two") && str_is(rest[1], "--three"));
    cr_expect(str_is(tool_strs(&line, "pair", &nr)[1], "k=2") && nr == 2);
    tool_line_fini(&line);
    buf_fini(&out);
    buf_fini(&err);
}

Test(tool_line, helps_where_it_stands)
{
    static const struct {
        const char *line, *usage;
    } cases[] = { { "", "usage: tool [<flags>] <command>" },
                  { "a -h", "usage: tool a [<flags>] <command>" },
                  { "help a b", "usage: tool a b [<flags>] <first> [<rest>...]" },
                  { "a b --help", "usage: tool a b [<flags>]" } };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = { 0 }, err = { 0 };
        struct tool_line line;
        char room[200];
        cr_expect_eq(parse(cases[i].line, room, &line, &out, &err), 0, "%s", cases[i].line);
        cr_expect(str_starts(buf_as_str(&out), str_c(cases[i].usage)), "%s: %s", cases[i].line,
                  buf_z(&out));
        tool_line_fini(&line);
        buf_fini(&out);
        buf_fini(&err);
    }
}
