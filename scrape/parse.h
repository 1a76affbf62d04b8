/* scrape/parse.h: walk the entries of one exposition page: text 0.0.4, OpenMetrics 1.0, delimited
 * protobuf.
 *
 * A page_parser is embedded by its user and reused from page to page (page_parser_start() keeps the
 * room of its arrays). The page is borrowed and everything an entry gives points into it or into
 * the parser's scratch, valid until the next call. A malformed page ends with PARSE_ERROR and
 * Prometheus's words; entries before it count. Not thread-safe. */
#pragma once
#include "base/arena.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"

enum page_format { PAGE_TEXT, PAGE_OPENMETRICS, PAGE_PROTOBUF };

enum parse_entry {
    PARSE_END,
    PARSE_ERROR,
    PARSE_TYPE,
    PARSE_HELP,
    PARSE_UNIT,
    PARSE_COMMENT,
    PARSE_SERIES,
    PARSE_HISTOGRAM /* protobuf only */
};

struct parse_options {
    bool type_and_unit_labels;        /* __type__ and __unit__ from the family */
    bool skip_start_timestamp_series; /* OpenMetrics: _created lines are start timestamps, not
                                         series */
    bool ignore_native_histograms;    /* protobuf: classic parts only */
    bool keep_classic_histograms;     /* protobuf: both, when a histogram has both */
    bool convert_classic_histograms; /* classic histograms become native ones with custom buckets */
};

/* Pieces of the line at hand, as offsets into the page. */
struct parse_pair {
    size_t name, name_end, value, value_end;
};

struct parse_pairs {
    struct parse_pair *v;
    size_t nr, cap;
};

/* Where a lexer stands. */
struct page_lexer {
    const char *b;
    size_t n;
    size_t i, start; /* behind and at the first byte of the token */
    int state;
};

struct protobuf_page; /* parse_protobuf.h */
struct nhcb;          /* parse_nhcb.h */

struct page_parser {
    /* The entry at hand. */
    struct str name;         /* PARSE_TYPE, _HELP, _UNIT: the family */
    struct str text;         /* PARSE_HELP, _UNIT, _COMMENT */
    enum metadata_type type; /* PARSE_TYPE; stays for the lines that follow */
    struct str unit;         /* likewise */
    struct str
        series; /* PARSE_SERIES, _HISTOGRAM: the text that identifies the series on this page */
    double value;
    int64_t t_ms;
    bool has_t;
    const struct histogram *histogram;

    /* Inside. */
    enum page_format format;
    struct parse_options options;
    struct page_lexer lex;
    size_t start; /* of the line at hand */
    size_t metric, metric_end;
    bool has_metric;
    struct parse_pairs pairs;
    struct {
        bool given, has_t;
        double value;
        int64_t t_ms;
        struct parse_pairs pairs;
    } exemplar;
    size_t family_bytes; /* length of the family's name in the last metadata line */
    bool peeking;        /* a start timestamp is looked for further down */
    bool st_known;
    uint64_t st_hash; /* of the series st_ms belongs to */
    int64_t st_ms;
    struct buf scratch;   /* unescaped help */
    struct label *labels; /* room of page_parser_labels() */
    size_t labels_cap;
    struct nhcb *nhcb;              /* owned; NULL until the first page that converts */
    struct protobuf_page *protobuf; /* owned; NULL until the first such page */
};

void page_parser_init(struct page_parser *p);
void page_parser_fini(struct page_parser *p);

/* Stands before the first entry. The text format needs a line break behind its last line: one is
 * added to the page. */
void page_parser_start(struct page_parser *p, enum page_format format, struct buf *page,
                       const struct parse_options *options);
/* PARSE_ERROR fills err and then stays. */
enum parse_entry page_parser_next(struct page_parser *p, struct error *err);

/* The labels of the series at hand, __name__ among them, sorted by name; unlike a struct labels
 * elsewhere they may hold empty values and equal names: what to do with them is the caller's
 * decision. The array is the parser's, valid until the next call; strings that had escapes live in
 * scratch, others in the page. */
struct labels page_parser_labels(struct page_parser *p, struct arena *scratch);

/* The next exemplar of the series at hand; false when there is no more. Labels live in scratch and
 * the page. */
bool page_parser_exemplar(struct page_parser *p, struct exemplar *e, struct arena *scratch);

/* The start timestamp of the series at hand, 0 when it has none. OpenMetrics looks ahead for the
 * _created line, so asking has a cost; the parser stands where it stood. */
int64_t page_parser_start_timestamp(struct page_parser *p);

/* The parser behind a series text that the caller has recognised at [start, end) of the page: reads
 * the rest of that line (value, timestamp, exemplar) as page_parser_next() would. Text formats
 * only. */
enum parse_entry
page_parser_rest(struct page_parser *p, size_t start, size_t end, struct error *err);
/* Moves to a line that the caller has not read; text formats only. */
void page_parser_seek(struct page_parser *p, size_t at);

/* Which format a Content-Type names. fallback: the media type of fallback_scrape_protocol, or "".
 * False: the scrape fails with err. warned: the fallback had to be used; err then says why. */
MUST_CHECK bool page_format_of(const char *content_type, const char *fallback,
                               enum page_format *format, bool *warned, struct error *err);
