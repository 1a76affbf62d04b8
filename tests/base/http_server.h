/* A tiny HTTP/1.1 server for the tests of the client: one thread per connection, keep-alive,
 * answers by path. */
#pragma once
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/gzip.h"

struct server {
    int fd;
    unsigned port;
    pthread_t thread;
    gnutls_certificate_credentials_t tls; /* NULL: plain */
    _Atomic unsigned connections_nr, tokens_nr;
};

struct connection {
    struct server *server;
    int fd;
    gnutls_session_t tls;
};

static ssize_t
conn_read(struct connection *c, void *p, size_t n)
{
    return c->tls != NULL ? gnutls_record_recv(c->tls, p, n) : recv(c->fd, p, n, 0);
}

static bool
conn_write(struct connection *c, const void *p, size_t n)
{
    while (n > 0) {
        ssize_t put =
            c->tls != NULL ? gnutls_record_send(c->tls, p, n) : send(c->fd, p, n, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        p = (const char *)p + put;
        n -= (size_t)put;
    }
    return true;
}

static bool
reply(struct connection *c, const char *status, const char *headers, struct bytes body)
{
    struct buf out = { 0 };

    buf_printf(&out, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, headers, body.n);
    buf_add(&out, body.p, body.n);
    bool ok = conn_write(c, out.p, out.n);
    buf_fini(&out);
    return ok;
}

static struct bytes
bytes_z(const char *z)
{
    return (struct bytes){ (const uint8_t *)z, strlen(z) };
}

static bool
reply_gzip(struct connection *c, size_t bytes)
{
    struct buf out = { 0 };
    uint8_t *zeros = calloc(1, bytes);

    memset(zeros, 'x', bytes);
    gzip_encode(GZIP_GZIP, (struct bytes){ zeros, bytes }, &out);
    bool ok = reply(c, "200 OK", "Content-Encoding: gzip\r\n", buf_as_bytes(&out));
    free(zeros);
    buf_fini(&out);
    return ok;
}

static bool
reply_endless(struct connection *c, unsigned pause_us)
{
    char chunk[4096];

    memset(chunk, 'y', sizeof chunk);
    conn_write(c, "HTTP/1.1 200 OK\r\n\r\n", 19);
    while (conn_write(c, chunk, pause_us == 0 ? sizeof chunk : 1))
        usleep(pause_us);
    return false;
}

static bool
reply_token(struct connection *c, const char *request)
{
    char token[128];

    if (strstr(request, "client_secret=s%26cret") == NULL &&
        strstr(request, "/token-header") == NULL)
        return reply(c, "401 Unauthorized", "", bytes_z("no"));
    snprintf(token, sizeof token,
             "{\"access_token\":\"t%u\",\"token_type\":\"bearer\",\"expires_in\":3600}",
             ++c->server->tokens_nr);
    return reply(c, "200 OK", "Content-Type: application/json\r\n", bytes_z(token));
}

static bool
answer(struct connection *c, const char *request)
{
    const char *path = strchr(request, '/');

    if (path[1] == '/') /* as proxies are asked: a whole URL */
        path = strchr(path + 2, '/');

    if (strncmp(path, "/gzip ", 6) == 0)
        return reply_gzip(c, 1000);
    if (strncmp(path, "/bomb", 5) == 0)
        return reply_gzip(c, 50u << 20);
    if (strncmp(path, "/endless", 8) == 0)
        return reply_endless(c, 0);
    if (strncmp(path, "/slow", 5) == 0)
        return reply_endless(c, 1000);
    if (strncmp(path, "/short", 6) == 0) {
        conn_write(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 42);
        return false;
    }
    if (strncmp(path, "/garbage", 8) == 0) {
        conn_write(c, "no HTTP at all, not even a little\n", 34);
        return false;
    }
    if (strncmp(path, "/hangup", 7) == 0)
        return false;
    if (strncmp(path, "/redirect", 9) == 0)
        return reply(c, "302 Found", "Location: /hello\r\n", bytes_z("moved"));
    if (strncmp(path, "/loop", 5) == 0)
        return reply(c, "302 Found", "Location: /loop\r\n", bytes_z(""));
    if (strncmp(path, "/missing", 8) == 0)
        return reply(c, "404 Not Found", "", bytes_z("nothing here"));
    if (strncmp(path, "/token", 6) == 0)
        return reply_token(c, request);
    if (strncmp(path, "/echo", 5) == 0)
        return reply(c, "200 OK", "Content-Type: text/plain; version=0.0.4\r\n", bytes_z(request));
    return reply(c, "200 OK", "Content-Type: text/plain\r\n", bytes_z("hello"));
}

/* The whole request with its body; false at the end of the connection. */
static bool
read_request(struct connection *c, char *request, size_t room)
{
    size_t n = 0, want = SIZE_MAX;

    while (n < want && n + 1 < room) {
        ssize_t got = conn_read(c, request + n, room - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        request[n] = '\0';
        if (request[0] == 0x16) { /* a TLS greeting at the plain port */
            conn_write(c, "HTTP/1.0 400 Bad Request\r\n\r\n", 28);
            return false;
        }
        const char *end = strstr(request, "\r\n\r\n"),
                   *length = strstr(request, "Content-Length: ");
        if (end != NULL)
            want = (size_t)(end - request) + 4 + (length == NULL ? 0 : (size_t)atol(length + 16));
    }
    return true;
}

static void *
serve_connection(void *arg)
{
    struct connection *c = arg;
    char request[16384];
    bool ok = true;

    if (c->server->tls != NULL) {
        gnutls_init(&c->tls, GNUTLS_SERVER);
        gnutls_set_default_priority(c->tls);
        gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, c->server->tls);
        gnutls_transport_set_int(c->tls, c->fd);
        ok = gnutls_handshake(c->tls) == 0;
    }
    while (ok && read_request(c, request, sizeof request))
        ok = answer(c, request);
    if (c->tls != NULL)
        gnutls_deinit(c->tls);
    close(c->fd);
    free(c);
    return NULL;
}

static void *
serve(void *arg)
{
    struct server *s = arg;
    pthread_t thread;

    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        struct connection *c = calloc(1, sizeof *c);
        *c = (struct connection){ s, fd, NULL };
        s->connections_nr++;
        pthread_create(&thread, NULL, serve_connection, c);
        pthread_detach(thread);
    }
    return NULL;
}

static void
server_start(struct server *s, gnutls_certificate_credentials_t tls)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof in;

    *s = (struct server){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .tls = tls };
    bind(s->fd, (void *)&in, sizeof in);
    listen(s->fd, 128);
    getsockname(s->fd, (void *)&in, &n);
    s->port = ntohs(in.sin_port);
    pthread_create(&s->thread, NULL, serve, s);
}

static void
server_stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}
