/* The registry of connections and the thread that watches them.
 *
 * A socket belongs to libmicrohttpd; we only ever shut it down, and only while the registry holds
 * its connection: libmicrohttpd tells connection_close() before it closes the descriptor, so under
 * the lock a registered descriptor is the right one. The epoll set holds the sockets of suspended
 * requests alone (libmicrohttpd does not look at those). An event names a descriptor which may be
 * somebody else's by the time the lock is taken, so the socket itself is asked again. */
#include "http/server_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { TICK_MS = 500, EVENTS_NR = 64 };

static void
list_append(struct waiting_list *list, struct http_connection *conn)
{
    conn->prev = list->last;
    conn->next = NULL;
    if (list->last != NULL)
        list->last->next = conn;
    else
        list->first = conn;
    list->last = conn;
}

static void
list_remove(struct waiting_list *list, struct http_connection *conn)
{
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        list->first = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    else
        list->last = conn->prev;
}

static void
state_enter(struct connections *c, struct http_connection *conn, enum connection_state state)
{
    conn->state = state;
    if (state == CONNECTION_BUSY)
        return;
    conn->since_ns = clock_monotonic_ns(c->clock);
    list_append(&c->waiting[state], conn);
    c->waiting_nr++;
}

static void
state_leave(struct connections *c, struct http_connection *conn)
{
    if (conn->state == CONNECTION_BUSY)
        return;
    list_remove(&c->waiting[conn->state], conn);
    conn->state = CONNECTION_BUSY;
    c->waiting_nr--;
}

/* The connection stays registered until libmicrohttpd has seen the end of file. */
static void
evict(struct connections *c, struct http_connection *conn)
{
    state_leave(c, conn);
    conn->evicted = true;
    shutdown(conn->fd, SHUT_RDWR);
}

/* Who sends a body goes last: at least it has said what it wants. */
static void
evict_oldest(struct connections *c)
{
    struct http_connection *fresh = c->waiting[CONNECTION_FRESH].first;
    struct http_connection *kept = c->waiting[CONNECTION_KEPT].first;
    struct http_connection *victim =
        kept == NULL || (fresh != NULL && fresh->since_ns <= kept->since_ns) ? fresh : kept;

    if (victim == NULL)
        victim = c->waiting[CONNECTION_SENDING].first;
    if (victim == NULL)
        return;
    evict(c, victim);
    c->evicted++;
}

struct http_connection *
connection_open(struct connections *c, int fd)
{
    struct http_connection *conn = MEM_NEW(struct http_connection);

    conn->fd = fd;
    lock_take(&c->lock);
    if (c->nr >= c->max)
        evict_oldest(c);
    c->nr++;
    c->accepted++;
    if ((size_t)fd >= c->by_fd_cap) {
        size_t old = c->by_fd_cap;
        MEM_GROW(c->by_fd, (size_t)fd + 1, &c->by_fd_cap);
        memset(&c->by_fd[old], 0, (c->by_fd_cap - old) * sizeof c->by_fd[0]);
    }
    c->by_fd[fd] = conn;
    state_enter(c, conn, CONNECTION_FRESH);
    lock_release(&c->lock);
    return conn;
}

void
connection_close(struct connections *c, struct http_connection *conn)
{
    lock_take(&c->lock);
    state_leave(c, conn);
    c->by_fd[conn->fd] = NULL;
    c->nr--;
    lock_release(&c->lock);
    mem_free(conn);
}

void
connection_move(struct connections *c, struct http_connection *conn, enum connection_state state)
{
    lock_take(&c->lock);
    if (!conn->evicted) {
        state_leave(c, conn);
        state_enter(c, conn, state);
    }
    lock_release(&c->lock);
}

bool
connection_suspend(struct connections *c, struct http_connection *conn, struct http_request *req)
{
    struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT, .data.fd = conn->fd };

    lock_take(&c->lock);
    bool go = !c->stopping;
    if (go) {
        conn->running = req;
        c->running_nr++;
        /* Without the watch a hang-up is noticed late, which is no reason to refuse the request. */
        (void)epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
    }
    lock_release(&c->lock);
    return go;
}

void
connection_unwatch(struct connections *c, struct http_connection *conn)
{
    lock_take(&c->lock);
    (void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
    conn->running = NULL;
    lock_release(&c->lock);
}

void
connections_run_end(struct connections *c)
{
    lock_take(&c->lock);
    if (--c->running_nr == 0)
        cond_broadcast(&c->idle);
    lock_release(&c->lock);
}

/* ---- the watcher */

static bool
hung_up(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static void
look_at(struct connections *c, int fd)
{
    lock_take(&c->lock);
    struct http_connection *conn = (size_t)fd < c->by_fd_cap ? c->by_fd[fd] : NULL;
    if (conn != NULL && conn->running != NULL && hung_up(fd)) {
        atomic_store(&conn->running->canceled, true);
        c->canceled++;
    }
    lock_release(&c->lock);
}

static void
close_older(struct connections *c, enum connection_state state, int64_t age_ns)
{
    int64_t oldest_ns = clock_monotonic_ns(c->clock) - age_ns;

    while (c->waiting[state].first != NULL && c->waiting[state].first->since_ns < oldest_ns) {
        evict(c, c->waiting[state].first);
        c->late++;
    }
}

/* A byte now and then keeps libmicrohttpd's own timeout away, so what counts is when the request
 * began. Connections between requests are left to that timeout. */
static void
close_late(struct connections *c)
{
    lock_take(&c->lock);
    close_older(c, CONNECTION_FRESH, c->header_timeout_ns);
    if (c->body_timeout_ns > 0)
        close_older(c, CONNECTION_SENDING, c->body_timeout_ns);
    lock_release(&c->lock);
}

static void *
watch(void *arg)
{
    struct connections *c = arg;
    struct epoll_event events[EVENTS_NR];

    for (;;) {
        int nr = epoll_wait(c->epoll_fd, events, EVENTS_NR, TICK_MS);
        for (int i = 0; i < nr; i++) {
            if (events[i].data.fd == c->wake_fd)
                return NULL;
            look_at(c, events[i].data.fd);
        }
        close_late(c);
    }
}

bool
connections_init(struct connections *c, const struct http_server_options *options,
                 struct error *err)
{
    struct epoll_event wake = { .events = EPOLLIN };

    *c = (struct connections){
        .max = options->connections_max,
        .header_timeout_ns =
            (options->header_timeout_ms > 0 ? options->header_timeout_ms : 10000) * 1000000,
        .body_timeout_ns = options->idle_timeout_ms * 1000000,
        .clock = options->clock,
    };
    lock_init(&c->lock, LOCK_HTTP, "http connections");
    cond_init(&c->idle);
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wake.data.fd = c->wake_fd;
    if (c->epoll_fd < 0 || c->wake_fd < 0 ||
        epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->wake_fd, &wake) != 0) {
        error_sys(err, "http: watch connections");
        goto fail;
    }
    errno = pthread_create(&c->thread, NULL, watch, c);
    if (errno != 0) {
        error_sys(err, "http: start the connections' watcher");
        goto fail;
    }
    return true;
fail:
    if (c->epoll_fd >= 0)
        close(c->epoll_fd);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    cond_fini(&c->idle);
    lock_fini(&c->lock);
    return false;
}

void
connections_drain(struct connections *c)
{
    lock_take(&c->lock);
    c->stopping = true;
    for (size_t fd = 0; fd < c->by_fd_cap; fd++)
        if (c->by_fd[fd] != NULL && c->by_fd[fd]->running != NULL)
            atomic_store(&c->by_fd[fd]->running->canceled, true);
    while (c->running_nr > 0)
        cond_wait(&c->idle, &c->lock);
    lock_release(&c->lock);
}

void
connections_fini(struct connections *c)
{
    (void)eventfd_write(c->wake_fd, 1);
    pthread_join(c->thread, NULL);
    close(c->epoll_fd);
    close(c->wake_fd);
    mem_free(c->by_fd);
    cond_fini(&c->idle);
    lock_fini(&c->lock);
}
