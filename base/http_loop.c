/* One thread, one epoll, curl's multi interface driven by sockets: a round costs as much as there
 * are ready sockets, however many targets there are. Other threads reach the loop through a queue
 * of calls and an eventfd.
 *
 * A request that fails before its transfer begins still ends later, on the loop: it waits in
 * `stillborn`. Handles whose client's options are set are kept for the next request of that client.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/http_priv.h"
#include "base/mem.h"

enum { EVENTS_NR = 256, IDLE_HANDLES_MAX = 128, WAIT_MS_MAX = 60000 };

struct call {
    struct call *next;
    void (*fn)(void *arg);
    void *arg;
};

struct idle {
    CURL *easy;
    struct http_client *client; /* a reference */
};

struct http_loop {
    char name[16];
    const struct clock *clock;
    http_tick_fn tick;
    void *tick_arg;
    pthread_t thread;
    int epoll, event;

    struct lock lock; /* guards the calls */
    struct call *calls, **last_call;
    atomic_bool stopping;

    /* The loop's thread only. */
    CURLM *multi;
    struct http_request *running, *stillborn;
    int64_t curl_at_ns; /* when curl wants to be called, INT64_MAX: never */
    int64_t tick_at_ns;
    struct idle idle[IDLE_HANDLES_MAX];
    size_t idle_nr;
};

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_loop *loop = arg;

    loop->curl_at_ns = timeout_ms < 0 ? INT64_MAX : http_now_ns() + (int64_t)timeout_ms * 1000000;
    return 0;
}

/* `known` tells sockets that epoll has already. */
static int
on_interest(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct http_loop *loop = arg;
    struct epoll_event ev = { .data.fd = fd };

    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    ev.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    if (known == NULL) {
        curl_multi_assign(loop->multi, fd, loop);
        if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &ev) == 0)
            return 0;
    }
    epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &ev);
    return 0;
}

static void
list_push(struct http_request **list, struct http_request *r)
{
    r->next = *list;
    r->link = list;
    if (r->next != NULL)
        r->next->link = &r->next;
    *list = r;
}

static void
list_remove(struct http_request *r)
{
    *r->link = r->next;
    if (r->next != NULL)
        r->next->link = r->link;
    r->link = NULL;
}

CURL *
http_loop_handle(struct http_loop *loop, struct http_client *client)
{
    for (size_t i = loop->idle_nr; i-- > 0;) {
        if (loop->idle[i].client != client)
            continue;
        CURL *easy = loop->idle[i].easy;
        loop->idle[i] = loop->idle[--loop->idle_nr];
        http_client_unref(client); /* the request has its own reference */
        return easy;
    }
    return NULL;
}

static void
idle_drop(struct http_loop *loop, size_t i)
{
    curl_easy_cleanup(loop->idle[i].easy);
    http_client_unref(loop->idle[i].client);
    loop->idle[i] = loop->idle[--loop->idle_nr];
}

void
http_loop_give_back(struct http_loop *loop, struct http_client *client, CURL *easy)
{
    /* Nothing of the request may stay behind in the handle. */
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, NULL);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    if (loop->idle_nr == IDLE_HANDLES_MAX)
        idle_drop(loop, 0);
    loop->idle[loop->idle_nr++] = (struct idle){ easy, http_client_ref(client) };
}

/* Calls done() and frees the request; it is in no list any more. */
static void
request_finish(struct http_request *r)
{
    r->done(r->arg, &r->reply);
    if (r->easy != NULL)
        http_loop_give_back(r->loop, r->client, r->easy);
    http_request_fini(r);
    mem_free(r);
}

static void
request_run(struct http_request *r)
{
    CURL *easy = http_request_prepare(r);

    if (easy != NULL && curl_multi_add_handle(r->loop->multi, easy) == CURLM_OK) {
        list_push(&r->loop->running, r);
        return;
    }
    if (r->token_easy != NULL)
        curl_easy_cleanup(r->token_easy);
    r->token_easy = NULL;
    list_push(&r->loop->stillborn, r);
}

struct http_request *
http_request_start(struct http_loop *loop, struct http_client *client, const struct http_send *send,
                   http_done_fn done, void *arg)
{
    struct http_request *r = MEM_NEW(struct http_request);

    http_request_init(r, client, send);
    r->loop = loop;
    r->done = done;
    r->arg = arg;
    request_run(r);
    return r;
}

void
http_request_cancel(struct http_request *r)
{
    CURL *easy = r->token_easy != NULL ? r->token_easy : r->easy;

    list_remove(r);
    if (easy != NULL)
        curl_multi_remove_handle(r->loop->multi, easy);
    r->failed = true;
    error_set(&r->err, ERR_CANCELED, "context canceled");
    r->reply.ok = false;
    r->reply.err = &r->err;
    r->reply.duration_ns = http_now_ns() - r->started_ns;
    request_finish(r);
}

static void
transfer_ended(struct http_loop *loop, CURL *easy, CURLcode code)
{
    char *private = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct http_request *r = (void *)private;
    list_remove(r);
    curl_multi_remove_handle(loop->multi, easy);
    if (http_request_ended(r, code))
        request_run(r);
    else
        request_finish(r);
}

static void
reap(struct http_loop *loop)
{
    int left;

    for (CURLMsg *m; (m = curl_multi_info_read(loop->multi, &left)) != NULL;) {
        if (m->msg == CURLMSG_DONE)
            transfer_ended(loop, m->easy_handle, m->data.result);
    }
    while (loop->stillborn != NULL) {
        struct http_request *r = loop->stillborn;
        list_remove(r);
        http_request_ended(r, CURLE_FAILED_INIT);
        request_finish(r);
    }
}

static void
run_calls(struct http_loop *loop)
{
    lock_take(&loop->lock);
    struct call *call = loop->calls;
    loop->calls = NULL;
    loop->last_call = &loop->calls;
    lock_release(&loop->lock);
    while (call != NULL) {
        struct call *next = call->next;
        call->fn(call->arg);
        mem_free(call);
        call = next;
    }
}

static void
run_tick(struct http_loop *loop, bool woken)
{
    int64_t now = clock_monotonic_ns(loop->clock);

    if (loop->tick != NULL && (woken || now >= loop->tick_at_ns))
        loop->tick_at_ns = loop->tick(loop->tick_arg, now);
}

/* Rounded up, so that the loop does not spin through the last fraction of a millisecond. */
static int
wait_ms(const struct http_loop *loop)
{
    int64_t left = WAIT_MS_MAX * INT64_C(1000000);

    if (loop->stillborn != NULL)
        return 0;
    if (loop->curl_at_ns != INT64_MAX)
        left = MIN(left, loop->curl_at_ns - http_now_ns());
    if (loop->tick != NULL && loop->tick_at_ns != INT64_MAX)
        left = MIN(left, loop->tick_at_ns - clock_monotonic_ns(loop->clock));
    return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

static bool
drain_event(struct http_loop *loop)
{
    uint64_t count;

    return read(loop->event, &count, sizeof count) == (ssize_t)sizeof count;
}

/* One wait and what became ready; true when another thread called. */
static bool
poll_once(struct http_loop *loop)
{
    struct epoll_event events[EVENTS_NR];
    int nr = epoll_wait(loop->epoll, events, EVENTS_NR, wait_ms(loop)), running;
    bool woken = false;

    for (int i = 0; i < nr; i++) {
        if (events[i].data.fd == loop->event) {
            woken = drain_event(loop);
            continue;
        }
        int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(loop->multi, events[i].data.fd, what, &running);
    }
    if (loop->curl_at_ns <= http_now_ns()) {
        loop->curl_at_ns = INT64_MAX;
        curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    return woken;
}

static void *
loop_thread(void *arg)
{
    struct http_loop *loop = arg;

    pthread_setname_np(pthread_self(), loop->name);
    while (!atomic_load(&loop->stopping)) {
        bool woken = poll_once(loop);
        reap(loop);
        if (woken)
            run_calls(loop);
        run_tick(loop, woken);
    }
    while (loop->running != NULL)
        http_request_cancel(loop->running);
    while (loop->stillborn != NULL)
        http_request_cancel(loop->stillborn);
    run_calls(loop); /* who waits for its call to have run is not left waiting */
    while (loop->running != NULL)
        http_request_cancel(loop->running);
    while (loop->stillborn != NULL)
        http_request_cancel(loop->stillborn);
    return NULL;
}

struct http_loop *
http_loop_new(const char *name, const struct clock *clock, http_tick_fn tick, void *arg)
{
    struct http_loop *loop = MEM_NEW(struct http_loop);
    struct epoll_event ev = { .events = EPOLLIN };

    curl_global_init(CURL_GLOBAL_DEFAULT);
    snprintf(loop->name, sizeof loop->name, "%s", name);
    loop->clock = clock;
    loop->tick = tick;
    loop->tick_arg = arg;
    loop->last_call = &loop->calls;
    loop->curl_at_ns = INT64_MAX;
    lock_init(&loop->lock, LOCK_RANK_NONE, "http loop");
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->multi = curl_multi_init();
    ASSERT(loop->epoll >= 0 && loop->event >= 0 && loop->multi != NULL);
    ev.data.fd = loop->event;
    ASSERT(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->event, &ev) == 0);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_interest);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    ASSERT(pthread_create(&loop->thread, NULL, loop_thread, loop) == 0);
    return loop;
}

void
http_loop_free(struct http_loop *loop)
{
    if (loop == NULL)
        return;
    atomic_store(&loop->stopping, true);
    http_loop_wake(loop);
    pthread_join(loop->thread, NULL);
    while (loop->idle_nr > 0)
        idle_drop(loop, loop->idle_nr - 1);
    curl_multi_cleanup(loop->multi);
    close(loop->epoll);
    close(loop->event);
    lock_fini(&loop->lock);
    mem_free(loop);
}

/* Above the number of targets, or every round connects anew. */
void
http_loop_set_connections(struct http_loop *loop, unsigned connections_max)
{
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)connections_max);
}

void
http_loop_wake(struct http_loop *loop)
{
    uint64_t one = 1;
    ssize_t ignored = write(loop->event, &one, sizeof one); /* full means awake already */

    (void)ignored;
}

void
http_loop_call(struct http_loop *loop, void (*fn)(void *arg), void *arg)
{
    struct call *call = MEM_NEW(struct call);

    *call = (struct call){ .fn = fn, .arg = arg };
    lock_take(&loop->lock);
    *loop->last_call = call;
    loop->last_call = &call->next;
    lock_release(&loop->lock);
    http_loop_wake(loop);
}
