/* Event loops of scraping.
 *
 * A target_turn is a target as its loop sees it: its place in the heap of due times, its request
 * while one is under way, and what is to become of it when it was removed. Times in the heap are
 * monotonic; the wall clock is read once per scrape, for the timestamp. States: waiting in the
 * heap; fetching, outside of it; ending, in the heap again for the two waits before the markers. */
#include <stdio.h>
#include <stdlib.h>
#include "scrape/loop.h"
#include "base/mem.h"

#define BODIES_KEPT   8
#define BODY_KEPT_MAX (4u << 20) /* larger buffers go back to the allocator */

enum turn_state { TURN_WAITING, TURN_FETCHING, TURN_ENDING, TURN_MARKING };

struct target_turn {
    struct scrape_loop *loop;
    struct target *t;           /* a reference */
    struct target_setup *setup; /* a reference: the one the running scrape uses */
    enum turn_state state;
    bool removed, markers;
    bool unix_socket; /* the client cannot dial one, and must not dial the address instead */
    size_t heap_at;
    int64_t due_ns;
    int64_t aligned_ns;    /* wall: the schedule */
    int64_t last_began_ns; /* 0: never scraped */
    int64_t began_ns,
        t_ns; /* of the scrape under way: monotonic, and the wall time it is stamped with */
    int64_t stale_t_ms;
    char *error;
    struct buf *body;
    struct http_request *request;
    char timeout_header[64];
    const char *headers[5]; /* must live as long as the request */
};

struct scrape_loop {
    struct scrape_shared *shared;
    struct http_loop *http;
    struct page_append x;
    struct target_turn **heap;
    size_t heap_nr, heap_cap, turns_nr, fetching_nr;
    struct buf *bodies[BODIES_KEPT];
    size_t bodies_nr;
    int64_t asked_ns; /* when tick() wants to be called */
    char *agent_header;
    bool stopping;
};

/* ---- the heap of due times */

static void
heap_place(struct scrape_loop *l, size_t at, struct target_turn *turn)
{
    l->heap[at] = turn;
    turn->heap_at = at;
}

static void
heap_up(struct scrape_loop *l, size_t at)
{
    struct target_turn *turn = l->heap[at];

    while (at > 0 && l->heap[(at - 1) / 2]->due_ns > turn->due_ns) {
        heap_place(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(l, at, turn);
}

static void
heap_down(struct scrape_loop *l, size_t at)
{
    struct target_turn *turn = l->heap[at];

    for (;;) {
        size_t kid = at * 2 + 1;

        if (kid + 1 < l->heap_nr && l->heap[kid + 1]->due_ns < l->heap[kid]->due_ns)
            kid++;
        if (kid >= l->heap_nr || l->heap[kid]->due_ns >= turn->due_ns)
            break;
        heap_place(l, at, l->heap[kid]);
        at = kid;
    }
    heap_place(l, at, turn);
}

static void
heap_add(struct scrape_loop *l, struct target_turn *turn)
{
    MEM_GROW(l->heap, l->heap_nr + 1, &l->heap_cap);
    l->heap[l->heap_nr] = turn;
    heap_up(l, l->heap_nr++);
}

static void
heap_remove(struct scrape_loop *l, struct target_turn *turn)
{
    struct target_turn *last = l->heap[--l->heap_nr];
    size_t at = turn->heap_at;

    if (last == turn)
        return;
    heap_place(l, at, last);
    heap_up(l, at);
    heap_down(l, last->heap_at);
}

/* ---- bodies */

static struct buf *
body_get(struct scrape_loop *l, size_t bytes)
{
    struct buf *b = l->bodies_nr != 0 ? l->bodies[--l->bodies_nr] : MEM_NEW(struct buf);

    buf_reset(b);
    if (bytes != 0)
        buf_reserve(b, bytes + bytes / 16 + 2);
    return b;
}

static void
body_put(struct scrape_loop *l, struct buf *b)
{
    if (b == NULL)
        return;
    if (l->bodies_nr < BODIES_KEPT && b->cap <= BODY_KEPT_MAX) {
        l->bodies[l->bodies_nr++] = b;
        return;
    }
    buf_fini(b);
    free(b);
}

/* ---- turns */

static void
turn_free(struct target_turn *turn)
{
    struct scrape_loop *l = turn->loop;

    turn->t->turn = NULL;
    l->turns_nr--;
    target_unref(turn->t, &l->x.metas);
    target_setup_unref(turn->setup);
    free(turn->error);
    free(turn);
}

/* Removed and not fetching: markers later, or nothing. */
static void
turn_end(struct target_turn *turn)
{
    if (!turn->markers || turn->last_began_ns == 0) {
        turn_free(turn);
        return;
    }
    turn->state = TURN_ENDING;
    heap_add(turn->loop, turn);
}

/* The next tick of a target's interval; ticks that were missed are skipped, but the newest. */
static void
turn_next(struct target_turn *turn, int64_t now_ns)
{
    int64_t interval_ns = turn->t->interval_ms * 1000000;

    turn->due_ns += interval_ns;
    if (turn->due_ns + interval_ns <= now_ns)
        turn->due_ns += (now_ns - turn->due_ns) / interval_ns * interval_ns;
}

int64_t
scrape_align(int64_t now_ns, int64_t *aligned_ns, int64_t interval_ns, bool adjust,
             int64_t tolerance_ns)
{
    int64_t ahead;

    if (!adjust)
        return now_ns;
    tolerance_ns = MIN(tolerance_ns, interval_ns / 100);
    ahead = now_ns - *aligned_ns;
    if (ahead >= interval_ns)
        *aligned_ns += ahead / interval_ns * interval_ns;
    if (ahead < -tolerance_ns)
        *aligned_ns = now_ns; /* somebody set the clock back */
    ahead = now_ns - *aligned_ns;
    /* Just before a tick counts as that tick: the loop's clock and the wall's do not run in step.
     */
    if (interval_ns - ahead <= tolerance_ns)
        *aligned_ns += interval_ns;
    return ahead <= tolerance_ns || now_ns < *aligned_ns ? *aligned_ns : now_ns;
}

static void
observe_interval(struct target_turn *turn)
{
    if (turn->last_began_ns != 0)
        scrape_metrics_interval(turn->loop->shared->metrics, turn->t->interval_ms,
                                (double)(turn->began_ns - turn->last_began_ns) / 1e9,
                                turn->began_ns);
    turn->last_began_ns = turn->began_ns;
}

static void
turn_append(struct target_turn *turn, const struct scrape_fetched *f)
{
    struct scrape_loop *l = turn->loop;

    scrape_once(l->shared, &l->x, turn->t, turn->setup, f, turn->t_ns, turn->began_ns);
    body_put(l, turn->body);
    turn->body = NULL;
}

static void
turn_fail(struct target_turn *turn, struct error *err)
{
    turn_append(turn, &(struct scrape_fetched){ .err = err });
    error_clear(err);
}

static void
turn_resume(struct target_turn *turn)
{
    turn_next(turn, clock_monotonic_ns(turn->loop->shared->options->clock));
    if (turn->removed) {
        turn_end(turn);
        return;
    }
    turn->state = TURN_WAITING;
    heap_add(turn->loop, turn);
}

static void
judge_reply(const struct target_turn *turn, const struct http_reply *reply,
            struct scrape_fetched *f, struct error *err)
{
    int64_t limit = turn->setup->config->body_size_limit;

    f->content_type = reply->content_type;
    f->body = turn->body;
    f->err = err;
    if (!reply->ok && reply->err->kind == ERR_LIMIT && limit > 0)
        f->over_body_limit = true;
    else if (!reply->ok)
        error_copy(err, reply->err);
    else if (reply->status != 200)
        error_set(err, ERR_IO, "server returned HTTP status %s", reply->status_text);
    else if (limit > 0 && turn->body->n >= (uint64_t)limit)
        f->over_body_limit = true;
    else
        f->ok = true;
    if (f->over_body_limit)
        error_set(err, ERR_LIMIT, "body size limit exceeded");
}

static void
done(void *arg, const struct http_reply *reply)
{
    struct target_turn *turn = arg;
    struct scrape_fetched f = { 0 };
    struct scrape_loop *loop;
    struct error err = { 0 };

    turn->request = NULL;
    turn->loop->fetching_nr--;
    if (turn->loop->stopping || (!reply->ok && reply->err->kind == ERR_CANCELED)) {
        body_put(turn->loop, turn->body);
        turn_free(turn);
        return;
    }
    judge_reply(turn, reply, &f, &err);
    turn_append(turn, &f);
    error_clear(&err);
    loop = turn->loop;
    turn_resume(turn); /* may free it */
    if (loop->heap_nr != 0 && loop->heap[0]->due_ns < loop->asked_ns)
        http_loop_wake(loop->http); /* before tick() asked to be called */
}

static void
turn_fetch(struct target_turn *turn)
{
    struct scrape_loop *l = turn->loop;
    const struct scrape_config *config = turn->setup->config;

    snprintf(turn->timeout_header, sizeof turn->timeout_header,
             "X-Prometheus-Scrape-Timeout-Seconds: %.15g", (double)turn->t->timeout_ms / 1000);
    turn->headers[0] = turn->setup->accept;
    turn->headers[1] =
        config->enable_compression ? "Accept-Encoding: gzip" : "Accept-Encoding: identity";
    turn->headers[2] = l->agent_header;
    turn->headers[3] = turn->timeout_header;
    turn->state = TURN_FETCHING;
    turn->body = body_get(l, turn->t->page_bytes);
    l->fetching_nr++;
    turn->request = http_request_start(l->http, turn->setup->client,
                                       &(struct http_send){
                                           .method = "GET",
                                           .url = turn->t->url.p,
                                           .headers = turn->headers,
                                           .timeout_ms = turn->t->timeout_ms,
                                           .bytes_max = (uint64_t)MAX(config->body_size_limit, 0),
                                           .body_into = turn->body,
                                       },
                                       done, turn);
}

/* The configuration that the pool wants now. */
static void
take_setup(struct target_turn *turn)
{
    struct target_setup *setup;

    lock_take(&turn->t->lock);
    setup = turn->t->setup == turn->setup ? NULL : target_setup_ref(turn->t->setup);
    lock_release(&turn->t->lock);
    if (setup == NULL)
        return;
    target_setup_unref(turn->setup);
    turn->setup = setup;
}

static void
turn_scrape(struct target_turn *turn, int64_t now_ns)
{
    const struct scrape_options *o = turn->loop->shared->options;
    struct error err = { 0 };

    heap_remove(turn->loop, turn);
    take_setup(turn);
    turn->began_ns = now_ns;
    turn->t_ns =
        scrape_align(clock_now_ns(o->clock), &turn->aligned_ns, turn->t->interval_ms * 1000000,
                     o->align_timestamps, o->timestamp_tolerance_ns);
    observe_interval(turn);
    if (turn->error == NULL && !turn->unix_socket) {
        turn_fetch(turn);
        return;
    }
    error_set(&err, ERR_LIMIT, "%s",
              turn->error != NULL ? turn->error
                                  : "scraping through a unix socket is not supported");
    turn_fail(turn, &err);
    turn_resume(turn);
}

/* The next scrape would have been now: its time goes on the markers, which wait for one interval
 * and a tenth more. */
static void
turn_ending(struct target_turn *turn)
{
    int64_t interval_ns = turn->t->interval_ms * 1000000;

    turn->stale_t_ms = clock_now_ms(turn->loop->shared->options->clock);
    turn->due_ns += interval_ns + interval_ns / 10;
    turn->state = TURN_MARKING;
    heap_down(turn->loop, turn->heap_at);
}

static void
turn_mark(struct target_turn *turn)
{
    struct scrape_loop *l = turn->loop;

    heap_remove(l, turn);
    scrape_end(l->shared, &l->x, turn->t, turn->setup, turn->stale_t_ms);
    turn_free(turn);
}

static int64_t
tick(void *arg, int64_t now_ns)
{
    struct scrape_loop *l = arg;

    while (!l->stopping && l->heap_nr != 0 && l->heap[0]->due_ns <= now_ns) {
        struct target_turn *turn = l->heap[0];

        if (turn->state == TURN_WAITING)
            turn_scrape(turn, now_ns);
        else if (turn->state == TURN_ENDING)
            turn_ending(turn);
        else
            turn_mark(turn);
    }
    l->asked_ns = l->heap_nr != 0 ? l->heap[0]->due_ns : INT64_MAX;
    return l->asked_ns;
}

/* ---- calls from other threads */

struct message {
    struct scrape_loop *loop;
    struct target *t; /* a reference */
    char *error;
    bool markers;
};

static void
send_message(struct scrape_loop *l, void (*fn)(void *), struct target *t, const char *error,
             bool markers)
{
    struct message *m = MEM_NEW(struct message);

    *m = (struct message){ l, target_ref(t), error == NULL ? NULL : mem_strdup(error), markers };
    http_loop_call(l->http, fn, m);
    http_loop_wake(l->http);
}

static void
message_free(struct message *m)
{
    target_unref(m->t, &m->loop->x.metas);
    free(m->error);
    free(m);
}

static void
add_target(void *arg)
{
    struct message *m = arg;
    struct scrape_loop *l = m->loop;
    const struct scrape_options *o = l->shared->options;
    struct target_turn *turn = MEM_NEW(struct target_turn);
    int64_t wall_ns = clock_now_ns(o->clock);
    int64_t wait_ns = target_offset_ns(m->t->hash, m->t->interval_ms * 1000000,
                                       atomic_load(&l->shared->offset_seed), wall_ns);

    turn->loop = l;
    turn->t = target_ref(m->t);
    lock_take(&m->t->lock);
    turn->setup = target_setup_ref(m->t->setup);
    lock_release(&m->t->lock);
    turn->unix_socket = labels_has(m->t->labels, STR("__unix_socket__"));
    turn->error = m->error;
    m->error = NULL;
    turn->due_ns = clock_monotonic_ns(o->clock) + wait_ns;
    turn->aligned_ns = wall_ns + wait_ns;
    m->t->turn = turn;
    l->turns_nr++;
    heap_add(l, turn);
    http_loop_set_connections(l->http, (unsigned)l->turns_nr + 16);
    message_free(m);
}

static void
remove_target(void *arg)
{
    struct message *m = arg;
    struct target_turn *turn = m->t->turn;

    if (turn != NULL) {
        turn->removed = true;
        turn->markers = m->markers;
        if (turn->state == TURN_WAITING) {
            heap_remove(m->loop, turn);
            turn_end(turn);
        } else if (turn->state == TURN_FETCHING && !m->markers) {
            http_request_cancel(turn->request);
        }
    }
    message_free(m);
}

static void
set_error(void *arg)
{
    struct message *m = arg;

    if (m->t->turn != NULL) {
        free(m->t->turn->error);
        m->t->turn->error = m->error;
        m->error = NULL;
    }
    message_free(m);
}

static void
drop_reference(void *arg)
{
    struct message *m = arg;

    target_unref(m->t, &m->loop->x.metas);
    message_free(m);
}

void
scrape_loop_add(struct scrape_loop *loop, struct target *t, const char *error)
{
    send_message(loop, add_target, t, error, false);
}

void
scrape_loop_remove(struct scrape_loop *loop, struct target *t, bool markers)
{
    send_message(loop, remove_target, t, NULL, markers);
}

void
scrape_loop_set_error(struct scrape_loop *loop, struct target *t, const char *error)
{
    send_message(loop, set_error, t, error, false);
}

void
scrape_loop_unref(struct scrape_loop *loop, struct target *t)
{
    send_message(loop, drop_reference, t, NULL, false);
}

struct scrape_loop *
scrape_loop_new(struct scrape_shared *shared, unsigned index)
{
    struct scrape_loop *l = MEM_NEW(struct scrape_loop);
    struct buf header = { 0 };
    char name[16];
    size_t n;

    l->shared = shared;
    page_append_init(&l->x, shared->line_seed);
    l->x.append_metadata = shared->options->append_metadata;
    l->x.type_and_unit_labels = shared->options->type_and_unit_labels;
    l->x.parse_start_timestamps = shared->options->parse_start_timestamps;
    buf_printf(&header, "User-Agent: %s",
               shared->options->user_agent == NULL ? "Prometheus/3.14.0"
                                                   : shared->options->user_agent);
    buf_byte(&header, 0);
    l->agent_header = (char *)buf_take(&header, &n);
    snprintf(name, sizeof name, "scrape-%u", index);
    l->http = http_loop_new(name, shared->options->clock, tick, l);
    return l;
}

static void
stop(void *arg)
{
    ((struct scrape_loop *)arg)->stopping = true;
}

void
scrape_loop_free(struct scrape_loop *l)
{
    if (l == NULL)
        return;
    http_loop_call(l->http, stop, l);
    http_loop_free(l->http);
    while (l->heap_nr != 0) {
        struct target_turn *turn = l->heap[0];

        heap_remove(l, turn);
        turn_free(turn);
    }
    free(l->heap);
    while (l->bodies_nr != 0) {
        struct buf *b = l->bodies[--l->bodies_nr];

        buf_fini(b);
        free(b);
    }
    page_append_fini(&l->x);
    free(l->agent_header);
    free(l);
}
