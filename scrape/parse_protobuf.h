/* scrape/parse_protobuf.h: the delimited protobuf format, behind parse.h. */
#pragma once
#include "scrape/parse.h"

struct protobuf_page *protobuf_page_new(void);
void protobuf_page_free(struct protobuf_page *g); /* accepts NULL */
void protobuf_page_start(struct protobuf_page *g, struct bytes page);

enum parse_entry parse_protobuf_next(struct page_parser *p, struct error *err);
struct labels parse_protobuf_labels(struct page_parser *p, struct arena *scratch);
bool parse_protobuf_exemplar(struct page_parser *p, struct exemplar *e, struct arena *scratch);
int64_t parse_protobuf_start_timestamp(struct page_parser *p);
