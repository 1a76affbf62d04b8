#include "scrape/parse_protobuf.h"
struct protobuf_page *
protobuf_page_new(void)
{
    return NULL;
}
void
protobuf_page_free(struct protobuf_page *g)
{
    (void)g;
}
void
protobuf_page_start(struct protobuf_page *g, struct bytes page)
{
    (void)g;
    (void)page;
}
enum parse_entry
parse_protobuf_next(struct page_parser *p, struct error *err)
{
    (void)p;
    error_set(err, ERR_INVALID, "protobuf");
    return PARSE_ERROR;
}
struct labels
parse_protobuf_labels(struct page_parser *p, struct arena *scratch)
{
    (void)p;
    (void)scratch;
    return LABELS_NONE;
}
bool
parse_protobuf_exemplar(struct page_parser *p, struct exemplar *e, struct arena *scratch)
{
    (void)p;
    (void)e;
    (void)scratch;
    return false;
}
int64_t
parse_protobuf_start_timestamp(struct page_parser *p)
{
    (void)p;
    return 0;
}
