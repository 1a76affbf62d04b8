/* tests/http/client.h: a raw HTTP/1.1 client for tests: bytes out, bytes in, nothing clever. */
#pragma once
#include "base/buf.h"

/* A connected socket on loopback, with a receive timeout of 20 s. */
int client_open(uint16_t port);
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const void *p, size_t n);
/* Reads until the end of the connection. */
void client_read_all(int fd, struct buf *out);
/* Reads one response with a Content-Length; returns its status, 0 when the connection ended first.
 * out: head and body. */
unsigned client_read_response(int fd, struct buf *out);
/* One request on a connection of its own; the body of the answer is in *body (NUL-terminated). */
unsigned client_get(uint16_t port, const char *method, const char *target, const char *headers,
                    const char *request_body, struct buf *head, struct buf *body);
/* The value of a header of a response head, "" when there is none; in a static buffer. */
const char *client_header(const struct buf *head, const char *name);
