/* The notifier against Alertmanagers of our own: threads that read posts and answer as told. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "discovery/mechanism.h"
#include "rules/notify/notifier.h"

/* ---- an Alertmanager ---- */

struct am {
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    const char *refuse; /* 400 for a post that has this in it */
    bool silent;        /* takes posts and never answers */
    unsigned posts, refused;
    struct buf taken;     /* bodies that got a 200 */
    struct buf headers;   /* of the last post */
    atomic_int silent_fd; /* the connection that waits; -1: none */
};

/* One post, head and body; false when the peer is gone. */
static bool
post_read(int fd, struct buf *head, struct buf *body)
{
    char chunk[4096];
    struct buf all = { 0 };
    size_t want = SIZE_MAX, head_n = 0;

    while (all.n < want) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0)
            break;
        buf_add(&all, chunk, (size_t)n);
        char *end = head_n == 0 ? memmem(all.p, all.n, "\r\n\r\n", 4) : NULL;
        if (end != NULL) {
            head_n = (size_t)(end - (char *)all.p) + 4;
            const char *length = strcasestr(buf_z(&all), "content-length:");
            want = head_n + (length == NULL ? 0 : strtoul(length + 15, NULL, 10));
            if (strcasestr(buf_z(&all), "expect: 100") != NULL)
                send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
        }
    }
    bool ok = all.n >= want;
    if (ok) {
        buf_add(head, all.p, head_n);
        buf_add(body, (char *)all.p + head_n, all.n - head_n);
    }
    buf_fini(&all);
    return ok;
}

static void
am_answer(struct am *am, int fd)
{
    struct buf head = { 0 }, body = { 0 };

    if (!post_read(fd, &head, &body))
        goto out;
    pthread_mutex_lock(&am->lock);
    am->posts++;
    bool refused = am->refuse != NULL && strstr(buf_z(&body), am->refuse) != NULL;
    am->refused += refused;
    if (!refused)
        buf_add(&am->taken, body.p, body.n);
    am->headers.n = 0;
    buf_add(&am->headers, head.p, head.n);
    bool silent = am->silent;
    pthread_mutex_unlock(&am->lock);
    const char *answer =
        refused ? "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    char byte;
    if (silent) {
        atomic_store(&am->silent_fd, fd);
        recv(fd, &byte, 1, 0); /* until the client gives up, or am_hang_up() */
        atomic_store(&am->silent_fd, -1);
    } else {
        send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
out:
    buf_fini(&head);
    buf_fini(&body);
    close(fd);
}

static void *
am_serve(void *arg)
{
    struct am *am = arg;
    int fd;

    while ((fd = accept(am->listener, NULL, NULL)) >= 0)
        am_answer(am, fd);
    return NULL;
}

static struct am *
am_new(void)
{
    struct am *am = MEM_NEW(struct am);
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof addr;

    pthread_mutex_init(&am->lock, NULL);
    atomic_store(&am->silent_fd, -1);
    am->listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(am->listener, (struct sockaddr *)&addr, sizeof addr), 0);
    cr_assert_eq(listen(am->listener, 64), 0);
    cr_assert_eq(getsockname(am->listener, (struct sockaddr *)&addr, &n), 0);
    am->port = ntohs(addr.sin_port);
    cr_assert_eq(pthread_create(&am->thread, NULL, am_serve, am), 0);
    return am;
}

static void
am_free(struct am *am)
{
    shutdown(am->listener, SHUT_RDWR);
    pthread_join(am->thread, NULL);
    close(am->listener);
    buf_fini(&am->taken);
    buf_fini(&am->headers);
    pthread_mutex_destroy(&am->lock);
    mem_free(am);
}

/* How many alerts it has taken. */
static unsigned
am_taken(struct am *am)
{
    unsigned nr = 0;

    pthread_mutex_lock(&am->lock);
    for (const char *at = buf_z(&am->taken); (at = strstr(at, "\"startsAt\"")) != NULL; at++)
        nr++;
    pthread_mutex_unlock(&am->lock);
    return nr;
}

static void
am_wait_taken(struct am *am, unsigned nr)
{
    for (unsigned i = 0; i < 10000 && am_taken(am) < nr; i++)
        usleep(1000);
    cr_expect_eq(am_taken(am), nr);
}

/* ---- a notifier with one section per Alertmanager ---- */

struct post_office {
    struct notifier *n;
    struct conf_pool *pool;
    struct alerting_config config;
    struct alertmanager_config sections[2];
};

static void
targets_set(struct post_office *o, size_t index, const struct am *am)
{
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u", am->port);
    const struct str target = str_c(address);
    struct target_group *group = target_group_new(STR("0"), LABELS_NONE, &target, 1);

    notifier_set_targets(o->n, index, &group, 1);
    target_group_unref(group);
}

static void
office_apply(struct post_office *o, struct labels external)
{
    struct error err = { 0 };

    cr_assert(notifier_apply(o->n, &o->config, o->pool, external, &err), "%s", error_text(&err));
}

static struct post_office *
office_new(size_t sections_nr, size_t batch_max)
{
    struct post_office *o = MEM_NEW(struct post_office);
    const struct notifier_options options = {
        .capacity = 10000,
        .batch_max = batch_max,
        .drain = true,
        .clock = clock_real(),
        .log = log_none,
    };

    o->n = notifier_new(&options);
    o->pool = conf_pool_new();
    for (size_t i = 0; i < sections_nr; i++) {
        http_client_config_init(&o->sections[i].http);
        o->sections[i].scheme = STR("http");
        o->sections[i].timeout_ms = 300;
        o->sections[i].api_version = STR("v2");
    }
    o->config.alertmanagers.items = o->sections;
    o->config.alertmanagers.nr = sections_nr;
    office_apply(o, LABELS_NONE);
    return o;
}

static void
office_free(struct post_office *o)
{
    notifier_free(o->n);
    conf_pool_unref(o->pool);
    mem_free(o);
}

/* nr alerts; those at `bad` (of `bad_nr`) have "bad" in a label. */
static void
send_alerts(struct post_office *o, size_t nr, const size_t *bad, size_t bad_nr)
{
    struct alert_message *v = MEM_NEW_ARRAY(struct alert_message, nr);
    struct label(*ls)[2] = mem_zalloc(nr * sizeof *ls);
    char(*texts)[32] = mem_zalloc(nr * sizeof *texts);

    for (size_t i = 0; i < nr; i++) {
        snprintf(texts[i], sizeof texts[i], "n%zu", i);
        for (size_t j = 0; j < bad_nr; j++)
            if (bad[j] == i)
                snprintf(texts[i], sizeof texts[i], "bad%zu", i);
        ls[i][0] = (struct label){ STR("alertname"), STR("A") };
        ls[i][1] = (struct label){ STR("n"), str_c(texts[i]) };
        v[i] = (struct alert_message){ .labels = { ls[i], 2 }, .starts_at_ns = 1 };
    }
    notifier_send(o->n, v, nr);
    mem_free(v);
    mem_free(ls);
    mem_free(texts);
}

Test(notifier, a_refused_batch_loses_only_what_is_bad)
{
    static const struct {
        size_t nr, bad_nr, bad[3];
    } cases[] = { { 256, 1, { 0 } },           { 256, 1, { 255 } },  { 256, 1, { 100 } },
                  { 256, 3, { 3, 128, 250 } }, { 1, 1, { 0 } },      { 2, 1, { 1 } },
                  { 256, 0, { 0 } },           { 7, 3, { 0, 1, 2 } } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct am *am = am_new();
        struct post_office *o = office_new(1, 256);
        am->refuse = "bad";
        targets_set(o, 0, am);
        send_alerts(o, cases[i].nr, cases[i].bad, cases[i].bad_nr);
        am_wait_taken(am, (unsigned)(cases[i].nr - cases[i].bad_nr));
        office_free(o);
        cr_expect_leq(am->posts, 51, "case %zu: %u posts", i, am->posts);
        am_free(am);
    }
}

Test(notifier, an_alertmanager_that_refuses_all_gets_a_bounded_number_of_posts)
{
    struct am *am = am_new();
    struct post_office *o = office_new(1, 256);

    am->refuse = "alertname";
    targets_set(o, 0, am);
    send_alerts(o, 256, NULL, 0);
    office_free(o); /* drains: all of it was tried */
    cr_expect_eq(am_taken(am), 0);
    cr_expect_gt(am->posts, 1);
    cr_expect_leq(am->posts, 51, "%u", am->posts);
    am_free(am);
}

Test(notifier, a_silent_alertmanager_delays_neither_the_other_nor_the_end)
{
    struct am *silent = am_new(), *good = am_new();
    struct post_office *o = office_new(2, 10);

    silent->silent = true;
    targets_set(o, 0, silent);
    targets_set(o, 1, good);
    send_alerts(o, 1000, NULL, 0);
    am_wait_taken(good, 1000);
    office_free(o);
    cr_expect_lt(silent->posts, 100, "draining ends at the first silence");
    am_free(silent);
    am_free(good);
}

Test(notifier, what_is_queued_is_drained_at_the_end)
{
    struct am *am = am_new();
    struct post_office *o = office_new(1, 10);

    targets_set(o, 0, am);
    send_alerts(o, 500, NULL, 0);
    office_free(o);
    cr_expect_eq(am_taken(am), 500);
    am_free(am);
}

static unsigned
active_nr(struct post_office *o, const char *want)
{
    struct alertmanagers_view view;
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    notifier_view(o->n, &arena, &view);
    unsigned nr = (unsigned)view.active_nr;
    for (size_t i = 0; i < view.active_nr; i++)
        cr_expect_not_null(memmem(view.active[i].p, view.active[i].n, want, strlen(want)), "%.*s",
                           STR_ARG(view.active[i]));
    arena_fini(&arena);
    return nr;
}

Test(notifier, reload_changes_paths_without_news_from_discovery)
{
    struct am *am = am_new();
    struct post_office *o = office_new(1, 10);

    targets_set(o, 0, am);
    cr_expect_eq(active_nr(o, "/api/v2/alerts"), 1);
    struct alertmanager_config section = o->sections[0];
    section.path_prefix = STR("/am");
    o->config.alertmanagers.items = &section;
    office_apply(o, LABELS_NONE);
    cr_expect_eq(active_nr(o, "/am/api/v2/alerts"), 1);
    send_alerts(o, 1, NULL, 0);
    am_wait_taken(am, 1);
    cr_expect_not_null(strstr(buf_z(&am->headers), "POST /am/api/v2/alerts HTTP/1.1"));
    office_free(o);
    am_free(am);
}

Test(notifier, credentials_follow_the_section_and_change_with_a_reload)
{
    struct am *am = am_new();
    struct post_office *o = office_new(1, 10);
    struct alertmanager_config section = o->sections[0];
    struct http_authorization auth = { .type = STR("Bearer") };

    targets_set(o, 0, am);
    auth.credentials.hidden = STR("s3cret");
    section.http.authorization = &auth;
    o->config.alertmanagers.items = &section;
    office_apply(o, LABELS_NONE);
    send_alerts(o, 1, NULL, 0);
    am_wait_taken(am, 1);
    cr_expect_not_null(strstr(buf_z(&am->headers), "Authorization: Bearer s3cret"), "%s",
                       buf_z(&am->headers));
    office_free(o);
    am_free(am);
}

Test(notifier, external_labels_are_added_where_missing)
{
    const struct label external[] = { { STR("n"), STR("no") }, { STR("region"), STR("eu") } };
    struct am *am = am_new();
    struct post_office *o = office_new(1, 10);

    office_apply(o, (struct labels){ external, 2 });
    targets_set(o, 0, am);
    send_alerts(o, 1, NULL, 0);
    am_wait_taken(am, 1);
    cr_expect_not_null(
        strstr(buf_z(&am->taken), "{\"alertname\":\"A\",\"n\":\"n0\",\"region\":\"eu\"}"), "%s",
        buf_z(&am->taken));
    office_free(o);
    am_free(am);
}

Test(notifier, a_removed_alertmanager_that_hangs_holds_nothing_up)
{
    struct am *silent = am_new(), *good = am_new();
    struct post_office *o = office_new(1, 10);

    silent->silent = true;
    o->sections[0].timeout_ms = 600000; /* the next call must not wait so long */
    office_apply(o, LABELS_NONE);
    targets_set(o, 0, silent);
    send_alerts(o, 10, NULL, 0);
    for (unsigned i = 0; i < 10000 && atomic_load(&silent->silent_fd) < 0; i++)
        usleep(1000);
    targets_set(o, 0, good);
    cr_expect_eq(active_nr(o, "127.0.0.1"), 1);
    send_alerts(o, 10, NULL, 0);
    am_wait_taken(good, 10);
    shutdown(atomic_load(&silent->silent_fd), SHUT_RDWR);
    office_free(o);
    am_free(silent);
    am_free(good);
}
