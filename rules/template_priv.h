/* rules/template_priv.h: the parts of the template engine among themselves, and its tests.
 *
 * template_lex.c cuts the text into items, template_parse.c makes the tree, template_exec.c walks
 * it, template_funcs.c holds the table of functions, template_value.c prints values as Go's fmt
 * does. Nodes live in the template's arena, values in the arena of one expansion. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "rules/template.h"

/* ---- items ---- */

enum item_kind {
    ITEM_ERROR, /* text says what */
    ITEM_EOF,
    ITEM_TEXT,
    ITEM_LEFT,  /* {{ */
    ITEM_RIGHT, /* }} */
    ITEM_SPACE,
    ITEM_BOOL,
    ITEM_CHAR_CONSTANT,
    ITEM_NUMBER,
    ITEM_STRING,
    ITEM_RAW_STRING,
    ITEM_DOT,
    ITEM_FIELD,      /* .name */
    ITEM_IDENTIFIER, /* a function */
    ITEM_VARIABLE,   /* $name */
    ITEM_LPAREN,
    ITEM_RPAREN,
    ITEM_PIPE,
    ITEM_COMMA,
    ITEM_ASSIGN,  /* = */
    ITEM_DECLARE, /* := */
    ITEM_CHAR,    /* any other printable character */
    ITEM_NIL,
    ITEM_KEYWORD_FIRST, /* keywords from here on */
    ITEM_BLOCK = ITEM_KEYWORD_FIRST,
    ITEM_BREAK,
    ITEM_CONTINUE,
    ITEM_DEFINE,
    ITEM_ELSE,
    ITEM_END,
    ITEM_IF,
    ITEM_RANGE,
    ITEM_TEMPLATE,
    ITEM_WITH
};

struct item {
    enum item_kind kind;
    size_t pos; /* byte offset in the text */
    unsigned line;
    struct str text;
};

struct lex {
    struct str text;
    size_t pos;
    unsigned line, parens;
    bool inside; /* between delimiters */
    bool stopped;
    char message[128];
};

void lex_init(struct lex *l, struct str text);
struct item lex_next(struct lex *l);

/* ---- tree ---- */

enum node_kind {
    NODE_LIST,
    NODE_TEXT,
    NODE_ACTION, /* pipe */
    NODE_IF,     /* pipe, list, else_list */
    NODE_RANGE,
    NODE_WITH,
    NODE_TEMPLATE, /* text: name; pipe may be NULL */
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_PIPE,    /* decls, items: commands */
    NODE_COMMAND, /* items: arguments */
    NODE_BOOL,
    NODE_NUMBER,
    NODE_STRING,
    NODE_DOT,
    NODE_NIL,
    NODE_FIELD,     /* names */
    NODE_VARIABLE,  /* names[0] with the dollar, then fields */
    NODE_CHAIN,     /* pipe (the operand), names */
    NODE_IDENTIFIER /* text */
};

struct tnode {
    enum node_kind kind;
    size_t pos;
    unsigned line;
    struct str text;   /* as written; NODE_STRING: quoted */
    struct str string; /* NODE_STRING: the value */
    bool boolean, is_int, is_float,
        is_assign; /* number: what it can be; pipe: '=' instead of ':=' */
    int64_t integer;
    double number;
    struct tnode **items; /* list, pipe, command */
    size_t items_nr, items_cap;
    struct str *names; /* field, variable, chain */
    size_t names_nr, names_cap;
    struct tnode **decls; /* pipe: NODE_VARIABLE each */
    size_t decls_nr, decls_cap;
    struct tnode *pipe, *list, *else_list;
};

struct named_tree {
    struct str name;
    struct tnode *list;
};

struct template
{
    struct arena arena;
    struct str name, text;
    struct tnode *root;
    struct named_tree *defined; /* {{define}} and {{block}} */
    size_t defined_nr, defined_cap;
    bool plain;
};

/* Without the prefix that alerts get. */
struct template *template_parse_text(struct str name, struct str text, struct error *err);
/* A node as Go prints it in errors. */
void tnode_print(const struct tnode *n, struct buf *out);

/* ---- values ---- */

enum tvalue_kind {
    TV_NONE, /* nil, a missing key of a map of any */
    TV_BOOL,
    TV_INT,
    TV_UINT,
    TV_FLOAT,
    TV_STRING,
    TV_LABELS, /* map[string]string */
    TV_MAP,    /* map[string]interface {}: args */
    TV_LIST,   /* of values, as tests pass in */
    TV_RESULT, /* template.queryResult */
    TV_SAMPLE, /* *template.sample */
    TV_TIME,
    TV_DURATION,
    TV_HISTOGRAM,
    TV_ALERT /* the root of an alert's data */
};

struct tvalue;

struct tsample {
    struct labels labels;
    double v;
    const struct histogram *h;
};

struct tpair {
    struct str name;
    struct tvalue *value;
};

struct tvalue {
    enum tvalue_kind kind;
    const char
        *type; /* Go's name where the kind leaves it open: "int64", "[]string"; NULL: by kind */
    union {
        bool b;
        int64_t i; /* also ns of TV_TIME and TV_DURATION */
        uint64_t u;
        double f;
        struct str s;
        struct labels labels;
        const struct tsample *sample;
        const struct histogram *histogram;
        const struct template_alert *alert;
        struct {
            struct tpair *pairs;
            size_t nr;
        } map;
        struct {
            struct tvalue *v;
            size_t nr;
        } list;
        struct {
            const struct tsample *v;
            size_t nr;
        } result;
    };
};

const char *tvalue_type(const struct tvalue *v);
bool tvalue_truth(const struct tvalue *v);
/* fmt.Fprint of one value. */
void tvalue_print(const struct tvalue *v, struct buf *out);
/* Go's time.Time.Format and Duration.String. */
void tvalue_time_format(int64_t ns, struct str layout, struct buf *out);
/* fmt.Sprintf. */
void tvalue_printf(struct str format, const struct tvalue *args, size_t args_nr, struct buf *out);

/* ---- execution ---- */

struct texec {
    const struct template *template;
    const struct template_env *env;
    struct arena *arena;
    struct buf *out;
    size_t out_start;       /* bytes of out that were there before */
    struct str tree_name;   /* the tree being executed */
    const struct tnode *at; /* for error positions */
    struct tvalue_var {
        struct str name;
        struct tvalue value;
    } * vars;
    size_t vars_nr, vars_cap;
    unsigned steps, depth;
    bool missing_is_error;        /* the option missingkey=error */
    struct query_result *results; /* of query(), released at the end */
    size_t results_nr, results_cap;
    struct error *err;
};

/* Fails at x->at: "template: name:1:3: executing "name" at <node>: " in front. Returns false. */
bool texec_fail(struct texec *x, const char *fmt, ...) PRINTF(2, 3);

/* Executes with any data; the tests' door. */
bool template_execute(const struct template *t, const struct tvalue *data,
                      const struct template_env *env, bool missing_is_error, struct buf *out,
                      struct error *err);

/* What a parameter of a function takes. */
enum targ { TA_ANY, TA_STRING, TA_FLOAT, TA_RESULT, TA_SAMPLE, TA_INT, TA_DURATION };

struct tfunc {
    const char *name;
    unsigned args_min;
    bool variadic; /* the last of types may repeat, also not at all beyond args_min */
    enum targ types[3];
    /* Fills *result; on failure sets err to the bare message ("strconv.ParseFloat: ..."). */
    bool (*call)(struct texec *x, const struct tvalue *args, size_t args_nr, struct tvalue *result,
                 struct error *err);
};

/* NULL when there is no such function. `and` and `or` are there for parsing, but the walker
 * evaluates them. */
const struct tfunc *tfunc_find(struct str name);
