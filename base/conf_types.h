/* base/conf_types.h: the values of which loaded configurations are made.
 *
 * Plain data without owners of their own: everything points into the conf_pool that the file was
 * loaded into (see base/conf.h) and is immutable once loading is done. Zero is the empty value of
 * each. */
#pragma once
#include "base/secret.h"
#include "base/str.h"

/* Where a value stands in its file, from 1; zero when it is not there. */
struct conf_pos {
    uint32_t line, column;
};

/* A bool that may be left out. */
enum conf_tri { CONF_UNSET, CONF_NO, CONF_YES };

/* A list; `items` is one array. `given` tells "[]" from "not there". */
#define CONF_LIST(item_type) \
    struct {                 \
        item_type *items;    \
        size_t nr;           \
        bool given;          \
    }

struct conf_strs {
    struct str *items;
    size_t nr;
    bool given;
};

struct conf_secrets {
    struct secret *items;
    size_t nr;
    bool given;
};

/* Names and values, sorted bytewise by name, each name once. */
struct conf_pair {
    struct str name, value;
};

struct conf_map {
    struct conf_pair *items;
    size_t nr;
    bool given;
};

/* Names with several values (URL parameters), sorted by name. */
struct conf_multi {
    struct str name;
    struct conf_strs values;
};

struct conf_multimap {
    struct conf_multi *items;
    size_t nr;
    bool given;
};

/* A URL that Go's net/url accepts. `text` is as written and may hold a password: print
 * conf_url_redacted(). */
struct conf_url {
    struct str text;
    struct str scheme, host; /* lower-case scheme; host with port */
    bool given;
};
