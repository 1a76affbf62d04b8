/* One whole server for NARTHEX_STRESS_SECONDS (default 6): an exporter in the same process is
 * scraped by many targets, rules record and alert, clients ask, reload and hang up, and the head is
 * cut to blocks every few seconds. Then the server stops in the middle of it all, starts again on
 * what it left, and must still know what was seen. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/io.h"
#include "base/mem.h"
#include "cmd/flags.h"
#include "cmd/server.h"
#include "http/server.h"
#include "tests/http/client.h"

enum { TARGETS = 12, SERIES = 60, CLIENTS = 4, LATE_CONNECTIONS = 6 };

struct stress {
    char dir[256], config_path[300], rules_path[300];
    uint16_t exporter_port;
    struct server *server;
    uint16_t port;
    _Atomic bool over, late_ready;
    _Atomic uint64_t pages, asked, answered, reloads;
};

static void
fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* ---- the exporter */

static enum http_run
exporter_begin(void *arg, struct http_request *req, struct http_response *resp, size_t *body_max)
{
    (void)arg;
    (void)req;
    (void)resp;
    (void)body_max;
    return HTTP_RUN_INLINE;
}

/* A page whose counters go up, with some series that come and go. */
static enum http_run
exporter_run(void *arg, struct http_request *req, struct http_response *resp)
{
    struct stress *s = arg;
    uint64_t n = atomic_fetch_add(&s->pages, 1);

    (void)req;
    resp->status = 200;
    http_response_header(resp, STR("Content-Type"), STR("text/plain; version=0.0.4"));
    buf_c(&resp->body, "# TYPE c_total counter\n");
    for (unsigned i = 0; i < SERIES; i++)
        buf_printf(&resp->body, "c_total{i=\"%u\"} %llu\n", i, (unsigned long long)(n * i));
    buf_printf(&resp->body, "churn{n=\"%llu\"} 1\n", (unsigned long long)(n / 50));
    for (unsigned i = 1; i <= 4; i++)
        buf_printf(&resp->body, "h_bucket{le=\"%u\"} %llu\n", i, (unsigned long long)(n * i));
    buf_printf(&resp->body, "h_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)(n * 5));
    return HTTP_RUN_INLINE;
}

static struct http_server *
exporter_start(struct stress *s)
{
    static const struct str listen = { "127.0.0.1:0", 11 };
    struct http_callbacks callbacks = { .begin = exporter_begin, .run = exporter_run, .arg = s };
    struct http_server_options options = { .listen = &listen,
                                           .listen_nr = 1,
                                           .connections_max = 100,
                                           .io_threads = 1,
                                           .clock = clock_real(),
                                           .log = log_none };
    struct http_server *server;
    struct error err = { 0 };

    if (!http_server_start(&options, &callbacks, &server, &err))
        fail("exporter", error_text(&err));
    s->exporter_port = http_server_port(server);
    return server;
}

/* ---- the server under stress */

static void
write_file(const char *path, const struct buf *text)
{
    char tmp[320];

    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    FILE *f = fopen(tmp, "w");
    if (f == NULL || fwrite(text->p, 1, text->n, f) != text->n || fclose(f) != 0 ||
        rename(tmp, path) != 0)
        fail(path, "cannot be written");
}

/* Every reload changes a label of half of the targets and drops or brings back others. */
static void
write_config(struct stress *s, unsigned generation)
{
    struct buf b = { 0 };

    buf_printf(&b,
               "global: {scrape_interval: 100ms, scrape_timeout: 90ms, "
               "evaluation_interval: 100ms}\nrule_files: ['%s']\n"
               "alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:%u']}]}]}\n"
               "scrape_configs:\n",
               s->rules_path, (unsigned)s->exporter_port);
    for (unsigned i = 0; i < TARGETS; i++) {
        if (i % 4 == 3 && generation % 2 == 1)
            continue;
        buf_printf(&b,
                   "  - job_name: job-%u\n    static_configs: [{targets: ['127.0.0.1:%u'], "
                   "labels: {generation: '%u'}}]\n",
                   i, (unsigned)s->exporter_port, i % 2 == 0 ? 0 : generation % 3);
    }
    write_file(s->config_path, &b);
    buf_fini(&b);
}

static void
write_rules(struct stress *s)
{
    static const char text[] =
        "groups:\n"
        "  - name: a\n"
        "    rules:\n"
        "      - {record: 'job:c:rate', expr: 'sum by (job) (rate(c_total[2s]))'}\n"
        "      - {record: 'job:c:max', expr: 'max(job:c:rate)'}\n"
        "  - name: b\n"
        "    rules:\n"
        "      - alert: Busy\n"
        "        expr: c_total{i=\"3\"} > 10\n"
        "        for: 200ms\n"
        "        annotations: {text: 'is {{ $value | humanize }} at {{ $labels.job }}'}\n"
        "      - {alert: Down, expr: up == 0}\n";
    struct buf b = { 0 };

    buf_c(&b, text);
    write_file(s->rules_path, &b);
    buf_fini(&b);
}

static void
quit(void *arg)
{
    (void)arg;
}

struct run {
    struct flags flags;
    struct log_sink *sink;
    struct log log;
};

static void
start(struct stress *s, struct run *r)
{
    char config[320], data[320];
    char *argv[] = { "narthex",
                     config,
                     data,
                     "--web.listen-address=127.0.0.1:0",
                     "--web.enable-lifecycle",
                     "--web.enable-admin-api",
                     "--storage.tsdb.min-block-duration=2s",
                     "--storage.tsdb.max-block-duration=8s",
                     "--enable-feature=exemplar-storage" };
    struct buf out = { 0 }, err_text = { 0 };
    struct error err = { 0 };
    int status;

    snprintf(config, sizeof config, "--config.file=%s", s->config_path);
    snprintf(data, sizeof data, "--storage.tsdb.path=%s/data", s->dir);
    if (flags_parse(&r->flags, ARRAY_LEN(argv), argv, io_posix(), &out, &err_text) >= 0)
        fail("flags", buf_z(&err_text));
    r->sink = log_sink_new(STDERR_FILENO, LOG_ERROR, LOG_LOGFMT);
    r->log = (struct log){ .sink = r->sink };
    if (!flags_features(&r->flags, &r->log, &err) ||
        !server_start(&r->flags, &r->log, quit, NULL, &s->server, &status, &err))
        fail("server", error_text(&err));
    s->port = server_port(s->server);
    buf_fini(&out);
    buf_fini(&err_text);
}

static void
stop(struct stress *s, struct run *r)
{
    server_stop(s->server);
    log_sink_free(r->sink);
    flags_fini(&r->flags);
}

/* ---- those who ask */

static const char *const targets[] = {
    "/api/v1/query?query=sum(rate(c_total[2s]))",
    "/api/v1/query?query=up",
    "/api/v1/query?query=count({__name__!=%27%27})",
    "/api/v1/query?query=histogram_quantile(0.9,sum%20by(le)(rate(h_bucket[3s])))",
    "/api/v1/query?query=topk(3,max_over_time(c_total[5s:100ms]))",
    "/api/v1/query?query=job:c:max",
    "/api/v1/query_range?query=avg%20by(job)(c_total)&start=NOW-20&end=NOW&step=0.1",
    "/api/v1/series?match[]={__name__=~%27c.*%27}",
    "/api/v1/labels",
    "/api/v1/label/generation/values",
    "/api/v1/targets",
    "/api/v1/targets/metadata",
    "/api/v1/metadata",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/alertmanagers",
    "/api/v1/status/tsdb",
    "/api/v1/status/config",
    "/api/v1/status/runtimeinfo",
    "/federate?match[]=up",
    "/metrics",
    "/-/ready",
};

static void
target_of(const char *pattern, struct buf *out)
{
    int64_t now_s = clock_now_ms(clock_real()) / 1000;

    for (const char *p = pattern; *p != '\0';) {
        if (strncmp(p, "NOW", 3) == 0) {
            /* "NOW-20" is the only difference there is. */
            int64_t back = strncmp(p, "NOW-20", 6) == 0 ? 20 : 0;
            buf_printf(out, "%lld", (long long)(now_s - back));
            p += back != 0 ? 6 : 3;
        } else {
            buf_add(out, p++, 1);
        }
    }
}

static void
ask(struct stress *s, unsigned i)
{
    struct buf target = { 0 }, head = { 0 }, body = { 0 };

    target_of(targets[i % ARRAY_LEN(targets)], &target);
    unsigned status = client_get(s->port, "GET", buf_z(&target), "", NULL, &head, &body);
    atomic_fetch_add(&s->asked, 1);
    if (status == 200)
        atomic_fetch_add(&s->answered, 1);
    else if (!atomic_load(&s->over))
        fail(buf_z(&target), body.n != 0 ? buf_z(&body) : "no answer");
    buf_fini(&target);
    buf_fini(&head);
    buf_fini(&body);
}

/* Asks for something long and goes. */
static void
hang_up(struct stress *s)
{
    int fd = client_open(s->port);

    client_send(fd, "GET /api/v1/query?query=sum(max_over_time(rate(c_total[10s])[60s:1ms])) "
                    "HTTP/1.1\r\nHost: a\r\n\r\n");
    usleep(2000);
    close(fd);
}

/* Goes on asking on connections that it has while the server stops. */
static void *
late_client(void *arg)
{
    struct stress *s = arg;
    struct buf target = { 0 }, out = { 0 };
    int fds[LATE_CONNECTIONS];
    unsigned open_nr = LATE_CONNECTIONS;

    for (unsigned i = 0; i < LATE_CONNECTIONS; i++)
        fds[i] = client_open(s->port);
    atomic_store(&s->late_ready, true);
    for (unsigned n = 0; open_nr > 0; n++) {
        for (unsigned i = 0; i < LATE_CONNECTIONS; i++) {
            if (fds[i] < 0)
                continue;
            buf_reset(&target);
            buf_c(&target, "GET ");
            target_of(targets[(n + i) % ARRAY_LEN(targets)], &target);
            buf_c(&target, " HTTP/1.1\r\nHost: a\r\n\r\n");
            client_send(fds[i], buf_z(&target));
            buf_reset(&out);
            if (client_read_response(fds[i], &out) != 0)
                continue;
            close(fds[i]);
            fds[i] = -1;
            open_nr--;
        }
    }
    buf_fini(&target);
    buf_fini(&out);
    return NULL;
}

struct client {
    struct stress *s;
    unsigned seed;
};

static void *
client(void *arg)
{
    struct client *c = arg;

    for (unsigned i = c->seed; !atomic_load(&c->s->over); i += 7) {
        ask(c->s, i);
        if (i % 10 == 0)
            hang_up(c->s);
    }
    return NULL;
}

static void *
reloader(void *arg)
{
    struct stress *s = arg;

    for (unsigned generation = 0; !atomic_load(&s->over); generation++) {
        struct error err = { 0 };
        write_config(s, generation);
        if (!server_reload(s->server, &err))
            fail("reload", error_text(&err));
        atomic_fetch_add(&s->reloads, 1);
        usleep(150000);
    }
    return NULL;
}

/* The one number of an instant query. */
static double
number(struct stress *s, const char *target)
{
    struct buf head = { 0 }, body = { 0 };
    unsigned status = client_get(s->port, "GET", target, "", NULL, &head, &body);
    const char *value = strstr(buf_z(&body), "\"value\":[");
    double v = -1;

    if (status == 200 && value != NULL && (value = strchr(value, ',')) != NULL)
        v = strtod(value + 2, NULL);
    buf_fini(&head);
    buf_fini(&body);
    return v;
}

static void
run_all(struct stress *s, unsigned seconds)
{
    pthread_t threads[CLIENTS + 1];
    struct client clients[CLIENTS];

    atomic_store(&s->over, false);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ s, i * 3 };
        ASSERT(pthread_create(&threads[i], NULL, client, &clients[i]) == 0);
    }
    ASSERT(pthread_create(&threads[CLIENTS], NULL, reloader, s) == 0);
    sleep(seconds);
    atomic_store(&s->over, true);
    for (unsigned i = 0; i <= CLIENTS; i++)
        pthread_join(threads[i], NULL);
}

static unsigned
blocks_nr(struct stress *s)
{
    struct conf_strs found;
    struct error err = { 0 };
    struct arena arena;
    char pattern[320];

    arena_init(&arena, SIZE_MAX);
    snprintf(pattern, sizeof pattern, "%s/data/01*", s->dir); /* ULIDs of this century */
    bool ok = glob_list(io_posix(), str_c(pattern), &arena, &found, &err);
    unsigned nr = ok ? (unsigned)found.nr : 0;
    arena_fini(&arena);
    error_clear(&err);
    return nr;
}

int
main(void)
{
    const char *seconds = getenv("NARTHEX_STRESS_SECONDS"), *tmp = getenv("TMPDIR");
    const char *samples =
        "/api/v1/query?query=sum(count_over_time(c_total{generation=%220%22}[1h]))";
    struct stress s = { 0 };
    struct run r;
    char command[300];

    snprintf(s.dir, sizeof s.dir, "%s/narthex-stress-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(s.dir) == NULL)
        fail(s.dir, "cannot be made");
    snprintf(s.config_path, sizeof s.config_path, "%s/prometheus.yml", s.dir);
    snprintf(s.rules_path, sizeof s.rules_path, "%s/rules.yml", s.dir);
    struct http_server *exporter = exporter_start(&s);
    write_rules(&s);
    write_config(&s, 0);
    start(&s, &r);
    run_all(&s, seconds == NULL ? 6 : (unsigned)atoi(seconds));
    double before = number(&s, samples);
    pthread_t late;
    ASSERT(pthread_create(&late, NULL, late_client, &s) == 0);
    while (!atomic_load(&s.late_ready))
        usleep(1000);
    usleep(50000);
    stop(&s, &r);
    pthread_join(late, NULL);
    unsigned blocks = blocks_nr(&s);
    start(&s, &r);
    double after = number(&s, samples);
    stop(&s, &r);
    http_server_stop(exporter);
    printf(
        "%llu pages, %llu of %llu requests answered, %llu reloads, %u blocks, %.0f samples before "
        "and %.0f after a restart\n",
        (unsigned long long)s.pages, (unsigned long long)s.answered, (unsigned long long)s.asked,
        (unsigned long long)s.reloads, blocks, before, after);
    snprintf(command, sizeof command, "rm -rf '%s'", s.dir);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", s.dir);
    return before > 0 && after >= before && blocks > 0 && s.reloads > 0 ? 0 : 1;
}
