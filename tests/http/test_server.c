#include "http/server.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "client.h"

/* /fast answers inline, /work on a worker, /wait until it is canceled, /body says how long the body
 * was, /refuse is refused. */
struct fixture {
    struct http_server *server;
    struct pool *pool;
    uint16_t port;
    _Atomic unsigned waiting, canceled;
};

static bool
path_is(const struct http_request *req, const char *path)
{
    return str_is(req->path, path);
}

static enum http_run
begin(void *arg, struct http_request *req, struct http_response *resp, size_t *body_max)
{
    (void)arg;
    (void)body_max;
    if (path_is(req, "/refuse")) {
        resp->status = 404;
        buf_c(&resp->body, "no");
        return HTTP_RUN_REFUSE;
    }
    if (path_is(req, "/service") || path_is(req, "/both"))
        return HTTP_RUN_SERVICE;
    return path_is(req, "/work") || path_is(req, "/wait") ? HTTP_RUN_WORKER : HTTP_RUN_INLINE;
}

static enum http_run
run(void *arg, struct http_request *req, struct http_response *resp)
{
    struct fixture *f = arg;

    if (path_is(req, "/both") && req->route == NULL) {
        req->route = f;
        return HTTP_RUN_WORKER;
    }
    resp->status = 200;
    if (path_is(req, "/wait")) {
        atomic_fetch_add(&f->waiting, 1);
        while (!atomic_load(&req->canceled))
            usleep(1000);
        atomic_fetch_add(&f->canceled, 1);
    }
    if (path_is(req, "/body"))
        buf_printf(&resp->body, "%zu", req->body.n);
    else
        buf_printf(&resp->body, "%.*s?%.*s", STR_ARG(req->path), STR_ARG(req->query));
    return HTTP_RUN_INLINE;
}

static void
start_with(struct fixture *f, unsigned connections_max, int64_t header_timeout_ms,
           int64_t idle_timeout_ms)
{
    static const struct str listen = { "127.0.0.1:0", 11 };
    struct error err = { 0 };
    struct http_callbacks callbacks = { .begin = begin, .run = run, .arg = f };

    *f = (struct fixture){ .pool = pool_new(4, "test") };
    struct http_server_options options = {
        .listen = &listen,
        .listen_nr = 1,
        .connections_max = connections_max,
        .io_threads = 2,
        .header_timeout_ms = header_timeout_ms,
        .idle_timeout_ms = idle_timeout_ms,
        .body_max = 1 << 20,
        .bodies_max = 3 << 20,
        .pool = f->pool,
        .clock = clock_real(),
        .log = log_none,
    };
    cr_assert(http_server_start(&options, &callbacks, &f->server, &err), "%s", error_text(&err));
    f->port = http_server_port(f->server);
}

static void
start(struct fixture *f, unsigned connections_max, int64_t header_timeout_ms)
{
    start_with(f, connections_max, header_timeout_ms, 0);
}

static void
stop(struct fixture *f)
{
    http_server_stop(f->server);
    pool_free(f->pool);
}

static void
until(_Atomic unsigned *counter, unsigned nr)
{
    for (int i = 0; i < 20000 && atomic_load(counter) < nr; i++)
        usleep(1000);
    cr_assert_geq(atomic_load(counter), nr);
}

Test(server, answers_inline_and_on_workers)
{
    struct fixture f;
    struct buf head = { 0 }, body = { 0 };

    start(&f, 100, 0);
    cr_expect_eq(client_get(f.port, "GET", "/fast%20x?a=b", "", NULL, &head, &body), 200);
    cr_expect_str_eq((char *)body.p, "/fast x?a=b");
    cr_expect_eq(client_get(f.port, "GET", "/work?q", "", NULL, &head, &body), 200);
    cr_expect_str_eq((char *)body.p, "/work?q");
    cr_expect_eq(client_get(f.port, "POST", "/body", "", "12345", &head, &body), 200);
    cr_expect_str_eq((char *)body.p, "5");
    cr_expect_eq(client_get(f.port, "POST", "/refuse", "", "12345", &head, &body), 404);
    cr_expect_eq(client_get(f.port, "GET", "/%zz", "", NULL, &head, &body), 400);
    buf_fini(&head);
    buf_fini(&body);
    stop(&f);
}

/* Three requests in one packet, the middle one on a worker: the answers come in order. */
Test(server, answers_pipelined_requests_in_order)
{
    struct fixture f;
    struct buf out = { 0 };
    static const char *const want[] = { "/fast?1", "/work?2", "/fast?3" };

    start(&f, 100, 0);
    int fd = client_open(f.port);
    client_send(fd, "GET /fast?1 HTTP/1.1\r\nHost: a\r\n\r\nGET /work?2 HTTP/1.1\r\nHost: a\r\n\r\n"
                    "GET /fast?3 HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        buf_reset(&out);
        cr_assert_eq(client_read_response(fd, &out), 200);
        cr_expect(str_ends(buf_as_str(&out), str_c(want[i])), "%zu", i);
    }
    close(fd);
    buf_fini(&out);
    stop(&f);
}

static const struct {
    const char *name, *request;
} bad_framing[] = {
    { "two lengths",
      "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n" },
    { "space before the colon",
      "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n12345" },
    { "space before the colon of encoding",
      "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" },
    { "tab before the colon", "GET /fast HTTP/1.1\r\nHost: a\r\nX\t: 5\r\n\r\n" },
    { "a length that is none",
      "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5x\r\n\r\n12345" },
    { "two values of a length",
      "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456" },
    { "an encoding that is none of ours",
      "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n12345" },
    { "a control character in a value", "GET /fast HTTP/1.1\r\nHost: a\r\nX: 1\0012\r\n\r\n" },
    { "no host", "GET /fast HTTP/1.1\r\n\r\n" },
};

/* What a proxy in front could read in another way is refused, and nothing behind it is read. */
Test(server, refuses_ambiguous_framing)
{
    struct fixture f;

    start(&f, 100, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad_framing); i++) {
        struct buf out = { 0 };
        int fd = client_open(f.port);
        client_send(fd, bad_framing[i].request);
        client_read_all(fd, &out);
        cr_expect(str_starts(buf_as_str(&out), STR("HTTP/1.1 400")) ||
                      str_starts(buf_as_str(&out), STR("HTTP/1.0 400")),
                  "%s: %.60s", bad_framing[i].name, (char *)out.p);
        cr_expect_null(strstr((char *)out.p, " 200 "), "%s", bad_framing[i].name);
        close(fd);
        buf_fini(&out);
    }
    stop(&f);
}

Test(server, refuses_large_bodies_by_their_length)
{
    struct fixture f;
    struct buf out = { 0 };

    start(&f, 100, 0);
    int fd = client_open(f.port);
    client_send(fd, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 104857600\r\n\r\n");
    client_read_all(fd, &out);
    cr_expect(str_starts(buf_as_str(&out), STR("HTTP/1.1 413")), "%.60s", (char *)out.p);
    close(fd);
    buf_fini(&out);
    stop(&f);
}

static unsigned
send_chunked(uint16_t port, size_t bytes, struct buf *out)
{
    size_t chunk = 64 << 10;
    char *data = mem_zalloc(chunk);
    char line[32];
    int fd = client_open(port);

    client_send(fd, "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (; bytes > 0; bytes -= chunk) {
        chunk = MIN(chunk, bytes);
        snprintf(line, sizeof line, "%zx\r\n", chunk);
        client_send(fd, line);
        client_send_bytes(fd, data, chunk);
        client_send(fd, "\r\n");
    }
    client_send(fd, "0\r\n\r\n");
    unsigned status = client_read_response(fd, out);
    close(fd);
    mem_free(data);
    return status;
}

/* The limit is 1 MiB: just at it, just above it, and far above, where the connection ends. */
Test(server, limits_chunked_bodies)
{
    struct fixture f;
    struct buf out = { 0 };

    start(&f, 100, 0);
    cr_expect_eq(send_chunked(f.port, 1 << 20, &out), 200);
    cr_expect(str_ends(buf_as_str(&out), STR("1048576")));
    buf_reset(&out);
    cr_expect_eq(send_chunked(f.port, (1 << 20) + 1, &out), 413);
    buf_reset(&out);
    cr_expect_eq(send_chunked(f.port, 100 << 20, &out), 0);
    buf_fini(&out);
    stop(&f);
}

/* Three bodies of nearly 1 MiB wait for their last byte: there is no room for a fourth until they
 * are gone. */
Test(server, limits_all_bodies_together)
{
    enum { WAITING = 3, BYTES = 1000000 };
    struct fixture f;
    struct buf out = { 0 };
    char *data = mem_zalloc(BYTES);
    int fds[WAITING];
    struct http_server_stats st = { 0 };

    start(&f, 100, 0);
    for (int i = 0; i < WAITING; i++) {
        fds[i] = client_open(f.port);
        client_send(fds[i], "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
        client_send_bytes(fds[i], data, BYTES - 1);
    }
    /* They must all be there first: else the fourth takes the room and one of them is refused. */
    for (int i = 0; i < 20000 && st.bodies_bytes < (size_t)WAITING * (BYTES - 1); i++) {
        usleep(1000);
        http_server_stats(f.server, &st);
    }
    cr_expect_eq(st.bodies_bytes, (size_t)WAITING * (BYTES - 1));
    cr_expect_eq(send_chunked(f.port, 400000, &out), 503);
    for (int i = 0; i < WAITING; i++) {
        client_send(fds[i], "x");
        buf_reset(&out);
        cr_expect_eq(client_read_response(fds[i], &out), 200);
        close(fds[i]);
    }
    buf_reset(&out);
    cr_expect_eq(send_chunked(f.port, 400000, &out), 200);
    mem_free(data);
    buf_fini(&out);
    stop(&f);
}

Test(server, cancels_when_the_client_hangs_up)
{
    struct fixture f;
    struct http_server_stats st;

    start(&f, 100, 0);
    int fd = client_open(f.port);
    client_send(fd, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    until(&f.waiting, 1);
    close(fd);
    until(&f.canceled, 1);
    http_server_stats(f.server, &st);
    cr_expect_eq(st.canceled, 1);
    stop(&f);
}

/* A second request on the connection of a waiting one is no hang-up. */
Test(server, keeps_waiting_while_the_client_is_there)
{
    struct fixture f;

    start(&f, 100, 0);
    int fd = client_open(f.port);
    client_send(fd, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    until(&f.waiting, 1);
    client_send(fd, "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n");
    usleep(50000);
    cr_expect_eq(atomic_load(&f.canceled), 0);
    close(fd);
    until(&f.canceled, 1);
    stop(&f);
}

/* As many waiting requests as there are workers: what is not for them goes on. */
Test(server, serves_while_every_worker_is_busy)
{
    struct fixture f;
    struct buf head = { 0 }, body = { 0 };
    int fds[4];

    start(&f, 100, 0);
    for (int i = 0; i < 4; i++) {
        fds[i] = client_open(f.port);
        client_send(fds[i], "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    until(&f.waiting, 4);
    cr_expect_eq(client_get(f.port, "GET", "/service", "", NULL, &head, &body), 200);
    cr_expect_eq(client_get(f.port, "GET", "/fast", "", NULL, &head, &body), 200);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    cr_expect_eq(client_get(f.port, "GET", "/both?x", "", NULL, &head, &body), 200);
    cr_expect_str_eq((char *)body.p, "/both?x");
    buf_fini(&head);
    buf_fini(&body);
    stop(&f);
}

Test(server, stops_while_requests_run)
{
    struct fixture f;
    int fds[3];

    start(&f, 100, 0);
    for (int i = 0; i < 3; i++) {
        fds[i] = client_open(f.port);
        client_send(fds[i], "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    until(&f.waiting, 3);
    stop(&f);
    cr_expect_eq(atomic_load(&f.canceled), 3);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

Test(server, closes_connections_whose_headers_do_not_come)
{
    struct fixture f;
    struct buf out = { 0 };
    struct http_server_stats st;

    start(&f, 100, 200);
    int silent = client_open(f.port), slow = client_open(f.port);
    client_send(slow, "GET /fast HTTP/1.1\r\nHost:");
    client_read_all(silent, &out);
    client_read_all(slow, &out);
    cr_expect_eq(out.n, 0);
    http_server_stats(f.server, &st);
    cr_expect_eq(st.late, 2);
    close(silent);
    close(slow);
    buf_fini(&out);
    stop(&f);
}

/* A body that comes byte by byte has as long as the read timeout, however often a byte comes. */
Test(server, closes_connections_whose_body_does_not_end)
{
    struct fixture f;
    struct http_server_stats st = { 0 };

    start_with(&f, 100, 0, 1000);
    int fd = client_open(f.port);
    client_send(fd, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 10000 && st.late == 0; i++) {
        client_send(fd, "x");
        usleep(2000);
        http_server_stats(f.server, &st);
    }
    cr_expect_eq(st.late, 1);
    close(fd);
    stop(&f);
}

/* More silent sockets than there is room for: the oldest go, and a client with a request is
 * answered. */
Test(server, makes_room_among_silent_connections)
{
    enum { SILENT = 40 };
    struct fixture f;
    struct buf head = { 0 }, body = { 0 };
    struct http_server_stats st;
    int fds[SILENT];

    start(&f, 8, 60000);
    for (int i = 0; i < SILENT; i++) {
        fds[i] = client_open(f.port);
        client_send(fds[i], "GET /fast HTT");
    }
    for (int i = 0; i < 5; i++)
        cr_expect_eq(client_get(f.port, "GET", "/work", "", NULL, &head, &body), 200, "%d", i);
    http_server_stats(f.server, &st);
    cr_expect_geq(st.evicted, (uint64_t)(SILENT - 8));
    for (int i = 0; i < SILENT; i++)
        close(fds[i]);
    buf_fini(&head);
    buf_fini(&body);
    stop(&f);
}

Test(server, says_what_is_wrong_with_an_address)
{
    struct fixture f;
    struct error err = { 0 };
    struct http_callbacks callbacks = { .begin = begin, .run = run };
    struct http_server *second = NULL;
    char address[64];

    start(&f, 10, 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", f.port);
    struct str listen[] = { str_c(address), STR("127.0.0.1") };
    struct http_server_options options = { .listen = listen,
                                           .listen_nr = 1,
                                           .connections_max = 10,
                                           .clock = clock_real(),
                                           .log = log_none };
    cr_expect_not(http_server_start(&options, &callbacks, &second, &err));
    cr_expect_not_null(strstr(error_text(&err), "Address already in use"), "%s", error_text(&err));
    options.listen = &listen[1];
    cr_expect_not(http_server_start(&options, &callbacks, &second, &err));
    cr_expect_not_null(strstr(error_text(&err), "missing port in address"), "%s", error_text(&err));
    error_clear(&err);
    stop(&f);
}
