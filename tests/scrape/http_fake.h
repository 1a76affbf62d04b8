/* tests/scrape/http_fake.h: a small HTTP server on a thread of its own: each path is a behaviour.
 *
 * /metrics a page; /big 1 MiB of it; /bomb gzip that inflates to 64 MiB; /endless bytes without
 * end; /slow one byte and then nothing; /404; /plain no Content-Type; /broken half a line; /sd an
 * http_sd document that names the server itself. */
#pragma once
#include <stdint.h>

struct http_fake;
struct http_fake *http_fake_new(void);
void http_fake_free(struct http_fake *h);
uint16_t http_fake_port(const struct http_fake *h);
/* Requests so far for /metrics. */
unsigned http_fake_requests(struct http_fake *h);
/* The page of /metrics from now on; static storage. */
void http_fake_set_page(struct http_fake *h, const char *page);
