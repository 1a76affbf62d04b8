/* load_generator: many exporters in one process, cheap enough not to be what is measured.
 *
 *     load_generator --port 9300 --targets 200 --series 1000 --interval-ms 10000 --sd targets.json
 *
 * Listens on all loopback addresses (targets are 127.0.0.1:port, 127.0.0.2:port, ...: each its own
 * instance) and serves every target the same page, which is made anew once per interval, as text
 * and gzip. --churn P: P percent of the series get a new label value every interval. --no-gzip:
 * never compresses. One thread, epoll, keep-alive. Ends with its standard input when
 * --until-eof is given, else runs until killed. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/gzip.h"
#include "base/mem.h"

struct settings {
    unsigned port, targets, series, interval_ms, churn;
    bool gzip, until_eof;
    const char *sd;
};

struct page {
    uint64_t generation;
    struct buf text, reply, gzip_reply; /* replies have their headers in front */
};

struct connection {
    int fd;
    size_t n;
    char request[4096];
    const struct buf *reply;
    size_t sent;
};

static uint64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A number between 0 and 1 that depends on nothing but i and generation. */
static double
noise(uint64_t i, uint64_t generation)
{
    uint64_t x = i * 0x9E3779B97F4A7C15u + generation * 0xD6E8FEB86659FD93u;

    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    x ^= x >> 32;
    return (double)(x >> 11) / 9007199254740992.0;
}

/* Of ten series five count, three wander, two stand still. */
static void
print_value(struct buf *b, uint64_t i, uint64_t generation)
{
    if (i % 10 < 5)
        buf_printf(
            b, " %llu\n",
            (unsigned long long)(generation * (1 + i % 97) + (uint64_t)(noise(i, generation) * 5)));
    else if (i % 10 < 8)
        buf_printf(b, " %.3f\n", 1000 * noise(i, 0) + 10 * noise(i, generation));
    else
        buf_printf(b, " %llu\n", (unsigned long long)(i * 17));
}

static void
print_series(const struct settings *s, struct buf *b, uint64_t i, uint64_t generation)
{
    static const char *const codes[] = { "200", "204", "301", "404", "500" };
    uint64_t family = i / 20;

    if (i % 20 == 0)
        buf_printf(b,
                   "# HELP bench_requests_%llu_total What family %llu of the load generator "
                   "counts.\n# TYPE bench_requests_%llu_total counter\n",
                   (unsigned long long)family, (unsigned long long)family,
                   (unsigned long long)family);
    buf_printf(b,
               "bench_requests_%llu_total{method=\"%s\",code=\"%s\",handler=\"/api/v1/item/%llu\"",
               (unsigned long long)family, i % 2 == 0 ? "GET" : "POST", codes[i % 5],
               (unsigned long long)(i % 20));
    if (s->churn != 0 && i % 100 < s->churn)
        buf_printf(b, ",pod=\"pod-%llu\"", (unsigned long long)generation);
    buf_c(b, "}");
    print_value(b, i, generation);
}

static void
with_headers(struct buf *reply, struct bytes body, const char *more)
{
    buf_reset(reply);
    buf_printf(reply,
               "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; "
               "charset=utf-8\r\n%sContent-Length: %zu\r\n\r\n",
               more, body.n);
    buf_add(reply, body.p, body.n);
}

/* A page that is being sent stays as it is until the last byte has gone: two pages take turns. */
static const struct page *
current_page(const struct settings *s, struct page pages[2])
{
    uint64_t generation = now_ms() / s->interval_ms + 1;
    struct page *p = &pages[generation % 2];
    struct buf packed = { 0 };

    if (p->generation == generation)
        return p;
    p->generation = generation;
    buf_reset(&p->text);
    for (unsigned i = 0; i < s->series; i++)
        print_series(s, &p->text, i, generation);
    with_headers(&p->reply, buf_as_bytes(&p->text), "");
    gzip_encode(GZIP_GZIP, buf_as_bytes(&p->text), &packed);
    with_headers(&p->gzip_reply, buf_as_bytes(&packed), "Content-Encoding: gzip\r\n");
    buf_fini(&packed);
    return p;
}

static void
watch(int epoll, struct connection *c, uint32_t events, int op)
{
    struct epoll_event e = { .events = events, .data.ptr = c };

    epoll_ctl(epoll, op, c->fd, &e);
}

static void
hang_up(struct connection *c)
{
    close(c->fd);
    free(c);
}

/* False: the connection is gone. */
static bool
send_reply(int epoll, struct connection *c)
{
    while (c->reply != NULL && c->sent < c->reply->n) {
        ssize_t n = send(c->fd, c->reply->p + c->sent, c->reply->n - c->sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            watch(epoll, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return true;
        }
        if (n <= 0)
            return hang_up(c), false;
        c->sent += (size_t)n;
    }
    if (c->sent != 0)
        watch(epoll, c, EPOLLIN, EPOLL_CTL_MOD);
    c->reply = NULL;
    c->sent = 0;
    return true;
}

static void
on_ready(const struct settings *s, struct page pages[2], int epoll, struct connection *c)
{
    const struct page *page;
    ssize_t n;

    if (c->reply != NULL && !send_reply(epoll, c))
        return;
    n = recv(c->fd, c->request + c->n, sizeof c->request - 1 - c->n, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        hang_up(c);
        return;
    }
    c->n += (size_t)n;
    c->request[c->n] = 0;
    if (strstr(c->request, "\r\n\r\n") == NULL) {
        if (c->n == sizeof c->request - 1)
            hang_up(c);
        return;
    }
    page = current_page(s, pages);
    c->reply = s->gzip && strstr(c->request, "gzip") != NULL ? &page->gzip_reply : &page->reply;
    c->n = 0;
    send_reply(epoll, c);
}

static void
on_connect(int epoll, int listener)
{
    int fd, one = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *c = MEM_NEW(struct connection);

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        watch(epoll, c, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static bool
stdin_ended(void)
{
    char ignored[256];

    return read(0, ignored, sizeof ignored) <= 0;
}

static void
serve(const struct settings *s, int listener)
{
    int epoll = epoll_create1(0);
    struct connection listening = { .fd = listener }, input = { .fd = 0 };
    struct epoll_event ready[64];
    struct page pages[2] = { 0 };

    watch(epoll, &listening, EPOLLIN, EPOLL_CTL_ADD);
    if (s->until_eof)
        watch(epoll, &input, EPOLLIN, EPOLL_CTL_ADD);
    for (;;) {
        int nr = epoll_wait(epoll, ready, 64, -1);

        for (int i = 0; i < nr; i++) {
            if (ready[i].data.ptr == &listening)
                on_connect(epoll, listener);
            else if (ready[i].data.ptr == &input && stdin_ended())
                return;
            else if (ready[i].data.ptr != &input)
                on_ready(s, pages, epoll, ready[i].data.ptr);
        }
    }
}

static int
listen_on(unsigned port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 1024) != 0) {
        perror("load_generator: listen");
        exit(1);
    }
    return fd;
}

static void
write_sd(const struct settings *s)
{
    FILE *f = fopen(s->sd, "w");

    if (f == NULL) {
        perror(s->sd);
        exit(1);
    }
    fputs("[{\"targets\":[", f);
    for (unsigned i = 0; i < s->targets; i++)
        fprintf(f, "%s\"127.0.%u.%u:%u\"", i == 0 ? "" : ",", i / 250, i % 250 + 1, s->port);
    fputs("]}]\n", f);
    fclose(f);
}

static unsigned
number(const char *name, const char *text)
{
    char *end;
    unsigned long v = text == NULL ? 0 : strtoul(text, &end, 10);

    if (text == NULL || *text == 0 || *end != 0 || v > 100000000) {
        fprintf(stderr, "load_generator: %s needs a number\n", name);
        exit(1);
    }
    return (unsigned)v;
}

static void
parse_arguments(struct settings *s, int argc, char **argv)
{
    struct {
        const char *name;
        unsigned *v;
    } numbers[] = {
        { "--port", &s->port },   { "--targets", &s->targets },         { "--series", &s->series },
        { "--churn", &s->churn }, { "--interval-ms", &s->interval_ms },
    };

    for (int i = 1; i < argc; i++) {
        bool known = false;

        for (size_t j = 0; j < ARRAY_LEN(numbers) && !known; j++)
            if (strcmp(argv[i], numbers[j].name) == 0) {
                *numbers[j].v = number(argv[i], argv[i + 1]);
                known = true;
                i++;
            }
        if (known)
            continue;
        if (strcmp(argv[i], "--no-gzip") == 0)
            s->gzip = false;
        else if (strcmp(argv[i], "--until-eof") == 0)
            s->until_eof = true;
        else if (strcmp(argv[i], "--sd") == 0 && i + 1 < argc)
            s->sd = argv[++i];
        else {
            fprintf(stderr, "load_generator: unknown argument %s\n", argv[i]);
            exit(1);
        }
    }
}

int
main(int argc, char **argv)
{
    struct settings s = {
        .port = 9300, .targets = 200, .series = 1000, .interval_ms = 10000, .gzip = true
    };
    struct rlimit files = { 0 };
    int listener;

    parse_arguments(&s, argc, argv);
    if (s.interval_ms == 0)
        s.interval_ms = 1;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    listener = listen_on(s.port);
    if (s.sd != NULL)
        write_sd(&s);
    printf("listening on port %u\n", s.port);
    fflush(stdout);
    serve(&s, listener);
    return 0;
}
