/* Usage texts of narthextool, from the table of commands. */
#include "cmd/tool_line.h"

static void
print_flag(const struct tool_param *p, struct buf *out)
{
    if (p->letter != '\0')
        buf_printf(out, "  -%c, ", p->letter);
    else
        buf_c(out, "      ");
    if (p->type == TOOL_BOOL)
        buf_printf(out, "--[no-]%s", p->name);
    else if (p->dflt != NULL)
        buf_printf(out, "--%s=%s", p->name, p->dflt);
    else
        buf_printf(out, "--%s=", p->name);
    buf_printf(out, "%s\n          %s\n", p->many ? " ..." : "", p->help);
}

static void
print_flags(const struct tool_line *l, const struct tool_command *c, struct buf *out)
{
    buf_c(out, "\nFlags:\n");
    for (size_t i = 0; i < l->commands_nr; i++) {
        if (!tool_below(&l->commands[i], c))
            continue;
        for (size_t k = 0; k < l->commands[i].flags_nr; k++)
            if (!l->commands[i].flags[k].hidden)
                print_flag(&l->commands[i].flags[k], out);
    }
}

static void
print_arg_name(const struct tool_param *p, struct buf *out)
{
    buf_printf(out, p->required ? " <%s>%s" : " [<%s>%s]", p->name, p->many ? "..." : "");
}

static void
print_args(const struct tool_command *c, struct buf *out)
{
    if (c->args_nr == 0)
        return;
    buf_c(out, "\nArgs:\n");
    for (size_t i = 0; i < c->args_nr; i++) {
        buf_byte(out, ' ');
        print_arg_name(&c->args[i], out);
        buf_printf(out, "\n          %s\n", c->args[i].help);
    }
}

/* All commands below c, those that run something. */
static void
print_commands(const struct tool_line *l, const struct tool_command *c, struct buf *out)
{
    bool any = false;

    for (size_t i = 1; i < l->commands_nr; i++) {
        const struct tool_command *below = &l->commands[i];
        if (below == c || !tool_below(c, below) || below->run == NULL || below->hidden)
            continue;
        if (!any)
            buf_printf(out, "\n%s:\n", c == l->commands ? "Commands" : "Subcommands");
        any = true;
        buf_printf(out, "  %s", below->name);
        for (size_t k = 0; k < below->args_nr; k++)
            print_arg_name(&below->args[k], out);
        buf_printf(out, "\n          %s\n", below->help);
    }
}

void
tool_help(const struct tool_line *l, const struct tool_command *c, struct buf *out)
{
    buf_printf(out, "usage: %s%s%s [<flags>]", l->program, *c->name == '\0' ? "" : " ", c->name);
    if (c->run == NULL)
        buf_c(out, " <command> [<args> ...]");
    for (size_t i = 0; i < c->args_nr; i++)
        print_arg_name(&c->args[i], out);
    buf_printf(out, "\n\n%s\n", c->help);
    print_flags(l, c, out);
    print_args(c, out);
    print_commands(l, c, out);
}
