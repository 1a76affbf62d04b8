#include "base/clock.h"

#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int64_t
read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t
real_now_ns(const struct clock *c)
{
    return read_clock(CLOCK_REALTIME);
}

static int64_t
real_monotonic_ns(const struct clock *c)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t
splitmix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* The kernel's generator; it can only be interrupted before it was seeded once at boot. */
static uint64_t
real_random(const struct clock *c)
{
    uint64_t bits;

    if (getrandom(&bits, sizeof bits, 0) == (ssize_t)sizeof bits)
        return bits;
    return splitmix((uint64_t)read_clock(CLOCK_MONOTONIC) ^ (uint64_t)getpid() << 48);
}

static const struct clock_ops real_ops = { real_now_ns, real_monotonic_ns, real_random };

const struct clock *
clock_real(void)
{
    static const struct clock real = { &real_ops };

    return &real;
}

static int64_t
virtual_now_ns(const struct clock *c)
{
    return atomic_load(&((const struct clock_virtual *)c)->now_ns);
}

static int64_t
virtual_monotonic_ns(const struct clock *c)
{
    return atomic_load(&((const struct clock_virtual *)c)->monotonic_ns);
}

static uint64_t
virtual_random(const struct clock *c)
{
    struct clock_virtual *v = (struct clock_virtual *)(uintptr_t)c; /* its state is atomic */

    return splitmix(atomic_fetch_add(&v->random_state, 0x9E3779B97F4A7C15u));
}

static const struct clock_ops virtual_ops = { virtual_now_ns, virtual_monotonic_ns,
                                              virtual_random };

void
clock_virtual_init(struct clock_virtual *c, int64_t now_ms, uint64_t seed)
{
    c->base.ops = &virtual_ops;
    atomic_init(&c->now_ns, now_ms * 1000000);
    atomic_init(&c->monotonic_ns, 1000000000);
    atomic_init(&c->random_state, seed);
}

void
clock_virtual_advance(struct clock_virtual *c, int64_t ms)
{
    atomic_fetch_add(&c->now_ns, ms * 1000000);
    atomic_fetch_add(&c->monotonic_ns, ms * 1000000);
}

void
clock_virtual_step_wall(struct clock_virtual *c, int64_t ms)
{
    atomic_fetch_add(&c->now_ns, ms * 1000000);
}
