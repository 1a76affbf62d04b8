/* Clients that ask, pipeline, hang up and say nothing, all at once, while the server is started and
 * stopped. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "http/server.h"
#include "tests/http/client.h"

enum { CLIENTS = 6, CONNECTIONS_MAX = 16 };

struct stress {
    struct http_server *server;
    uint16_t port;
    _Atomic bool over;
    _Atomic uint64_t asked, answered, canceled;
};

static enum http_run
begin(void *arg, struct http_request *req, struct http_response *resp, size_t *body_max)
{
    (void)arg;
    (void)resp;
    (void)body_max;
    return str_starts(req->path, STR("/worker"))    ? HTTP_RUN_WORKER
           : str_starts(req->path, STR("/service")) ? HTTP_RUN_SERVICE
                                                    : HTTP_RUN_INLINE;
}

static enum http_run
run(void *arg, struct http_request *req, struct http_response *resp)
{
    struct stress *s = arg;

    for (int i = 0; i < 20 && str_is(req->path, "/worker/slow"); i++) {
        if (atomic_load(&req->canceled)) {
            atomic_fetch_add(&s->canceled, 1);
            break;
        }
        usleep(1000);
    }
    resp->status = 200;
    buf_printf(&resp->body, "%.*s", STR_ARG(req->path));
    return HTTP_RUN_INLINE;
}

static const char *const requests[] = {
    "GET /inline HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /worker HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /worker/slow HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /service HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /worker HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "GET /inl",
    "",
};

static void *
client(void *arg)
{
    struct stress *s = arg;
    struct buf out = { 0 };
    uint64_t state = (uint64_t)(uintptr_t)&out;

    while (!atomic_load(&s->over)) {
        int fd = client_open(s->port);
        for (int i = 0; i < 4; i++) {
            state = hash64_mix(state, (uint64_t)i);
            client_send(fd, requests[state % ARRAY_LEN(requests)]);
            atomic_fetch_add(&s->asked, 1);
            buf_reset(&out);
            if (state % ARRAY_LEN(requests) > 4 || state >> 62 == 0)
                break;
            if (client_read_response(fd, &out) == 0)
                break;
            atomic_fetch_add(&s->answered, 1);
        }
        close(fd);
    }
    buf_fini(&out);
    return NULL;
}

static void
round_run(struct pool *pool, struct stress *s, unsigned ms)
{
    static const struct str listen = { "127.0.0.1:0", 11 };
    struct http_callbacks callbacks = { .begin = begin, .run = run, .arg = s };
    struct http_server_options options = { .listen = &listen,
                                           .listen_nr = 1,
                                           .connections_max = CONNECTIONS_MAX,
                                           .io_threads = 2,
                                           .header_timeout_ms = 50,
                                           .pool = pool,
                                           .clock = clock_real(),
                                           .log = log_none };
    struct error err = { 0 };
    pthread_t threads[CLIENTS];

    if (!http_server_start(&options, &callbacks, &s->server, &err)) {
        fprintf(stderr, "%s\n", error_text(&err));
        exit(1);
    }
    s->port = http_server_port(s->server);
    atomic_store(&s->over, false);
    for (int i = 0; i < CLIENTS; i++)
        ASSERT(pthread_create(&threads[i], NULL, client, s) == 0);
    usleep(ms * 1000);
    atomic_store(&s->over, true);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    http_server_stop(s->server);
}

int
main(void)
{
    const char *seconds = getenv("NARTHEX_STRESS_SECONDS");
    unsigned rounds = seconds == NULL ? 4 : (unsigned)atoi(seconds) * 2;
    struct pool *pool = pool_new(3, "stress");
    struct stress s = { 0 };

    for (unsigned i = 0; i < rounds; i++)
        round_run(pool, &s, 500);
    pool_free(pool);
    printf("%llu asked, %llu answered, %llu canceled\n", (unsigned long long)s.asked,
           (unsigned long long)s.answered, (unsigned long long)s.canceled);
    return s.answered == 0 ? 1 : 0;
}
