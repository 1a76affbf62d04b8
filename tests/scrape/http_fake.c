#include "http_fake.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/gzip.h"
#include "base/mem.h"

struct http_fake {
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool stopping;
    _Atomic unsigned requests, open;
    _Atomic(const char *) page;
};

struct conversation {
    struct http_fake *h;
    int fd;
};

static bool
send_all(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void
reply(int fd, const char *status, const char *type, const char *more, const void *body, size_t n)
{
    char head[512];
    int len =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %s\r\n%s%s%s%sContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                 type[0] ? "Content-Type: " : "", type, type[0] ? "\r\n" : "", more, n);

    if (send_all(fd, head, (size_t)len))
        send_all(fd, body, n);
}

static void
bomb(int fd)
{
    struct buf plain = { 0 }, packed = { 0 };

    memset(buf_reserve(&plain, 64u << 20), '\n', 64u << 20);
    plain.n = 64u << 20;
    gzip_encode(GZIP_GZIP, buf_as_bytes(&plain), &packed);
    reply(fd, "200 OK", "text/plain", "Content-Encoding: gzip\r\n", packed.p, packed.n);
    buf_fini(&plain);
    buf_fini(&packed);
}

static void
big(int fd)
{
    struct buf page = { 0 };

    while (page.n < 1u << 20)
        buf_printf(&page, "a{x=\"%zu\"} 1\n", page.n);
    reply(fd, "200 OK", "text/plain", "", page.p, page.n);
    buf_fini(&page);
}

static void
endless(struct http_fake *h, int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
    static const char lines[] = "# again and again\n# again and again\n# again and again\n";

    send_all(fd, head, sizeof head - 1);
    while (!atomic_load(&h->stopping) && send_all(fd, lines, sizeof lines - 1))
        ;
}

static void
slow(struct http_fake *h, int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\na";

    send_all(fd, head, sizeof head - 1);
    while (!atomic_load(&h->stopping))
        usleep(20000);
}

static void
answer(struct http_fake *h, int fd, const char *path)
{
    const char *page = atomic_load(&h->page);

    if (strcmp(path, "/metrics") == 0) {
        atomic_fetch_add(&h->requests, 1);
        reply(fd, "200 OK", "text/plain; version=0.0.4", "", page, strlen(page));
    } else if (strcmp(path, "/big") == 0) {
        big(fd);
    } else if (strcmp(path, "/bomb") == 0) {
        bomb(fd);
    } else if (strcmp(path, "/endless") == 0) {
        endless(h, fd);
    } else if (strcmp(path, "/slow") == 0) {
        slow(h, fd);
    } else if (strcmp(path, "/plain") == 0) {
        reply(fd, "200 OK", "", "", "a 1\n", 4);
    } else if (strcmp(path, "/broken") == 0) {
        reply(fd, "200 OK", "text/plain", "", "a{", 2);
    } else if (strcmp(path, "/sd") == 0) {
        char json[128];
        int n =
            snprintf(json, sizeof json,
                     "[{\"targets\":[\"127.0.0.1:%u\"],\"labels\":{\"via\":\"http\"}}]", h->port);

        reply(fd, "200 OK", "application/json; charset=utf-8", "", json, (size_t)n);
    } else {
        reply(fd, "404 Not Found", "text/plain", "", "no\n", 3);
    }
}

static void *
converse(void *arg)
{
    struct conversation *c = arg;
    char request[8192], path[256];
    size_t n = 0;

    while (n < sizeof request - 1) {
        ssize_t got = recv(c->fd, request + n, sizeof request - 1 - n, 0);

        if (got <= 0)
            break;
        n += (size_t)got;
        request[n] = 0;
        if (strstr(request, "\r\n\r\n") == NULL)
            continue;
        if (sscanf(request, "GET %255s", path) == 1)
            answer(c->h, c->fd, path);
        break;
    }
    close(c->fd);
    atomic_fetch_sub(&c->h->open, 1);
    free(c);
    return NULL;
}

static void *
serve(void *arg)
{
    struct http_fake *h = arg;
    int fd;

    while ((fd = accept(h->listener, NULL, NULL)) >= 0) {
        struct conversation *c = MEM_NEW(struct conversation);
        pthread_t thread;

        *c = (struct conversation){ h, fd };
        atomic_fetch_add(&h->open, 1);
        if (pthread_create(&thread, NULL, converse, c) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

struct http_fake *
http_fake_new(void)
{
    struct http_fake *h = MEM_NEW(struct http_fake);
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof addr;

    atomic_store(&h->page, "a 1\n");
    h->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(h->listener, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        listen(h->listener, 64) != 0 ||
        getsockname(h->listener, (struct sockaddr *)&addr, &n) != 0 ||
        pthread_create(&h->thread, NULL, serve, h) != 0)
        abort();
    h->port = ntohs(addr.sin_port);
    return h;
}

void
http_fake_free(struct http_fake *h)
{
    atomic_store(&h->stopping, true);
    shutdown(h->listener, SHUT_RDWR);
    pthread_join(h->thread, NULL);
    close(h->listener);
    while (atomic_load(&h->open) != 0)
        usleep(1000);
    free(h);
}

uint16_t
http_fake_port(const struct http_fake *h)
{
    return h->port;
}

unsigned
http_fake_requests(struct http_fake *h)
{
    return atomic_load(&h->requests);
}

void
http_fake_set_page(struct http_fake *h, const char *page)
{
    atomic_store(&h->page, page);
}
