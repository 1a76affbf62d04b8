/* base/clock.h: time and chance as objects, so that days can be simulated in seconds.
 *
 * Real: clock_real(). Virtual (tests): clock_virtual.h advances by hand and wakes the sleepers that
 * are due. Thread-safe. Wall time can step; durations are taken from monotonic time. */
#pragma once
#include "base/util.h"

struct clock;

struct clock_ops {
    int64_t (*now_ns)(const struct clock *c);       /* wall time since the epoch */
    int64_t (*monotonic_ns)(const struct clock *c); /* never steps back; origin unspecified */
    uint64_t (*random)(const struct clock *c);      /* 64 uniform bits; seeded in tests */
};

struct clock {
    const struct clock_ops *ops;
};

const struct clock *clock_real(void); /* stateless, shared */

static inline int64_t
clock_now_ns(const struct clock *c)
{
    return c->ops->now_ns(c);
}

static inline int64_t
clock_now_ms(const struct clock *c)
{
    int64_t ns = c->ops->now_ns(c);
    return ns / 1000000 - (ns % 1000000 < 0);
}

static inline int64_t
clock_monotonic_ns(const struct clock *c)
{
    return c->ops->monotonic_ns(c);
}

static inline uint64_t
clock_random(const struct clock *c)
{
    return c->ops->random(c);
}

/* Tests: a clock that moves only when told. Embedded; atomic inside. */
struct clock_virtual {
    struct clock base;
    _Atomic int64_t now_ns, monotonic_ns;
    _Atomic uint64_t random_state;
};

void clock_virtual_init(struct clock_virtual *c, int64_t now_ms, uint64_t seed);
void clock_virtual_advance(struct clock_virtual *c, int64_t ms); /* both times */
void clock_virtual_step_wall(struct clock_virtual *c,
                             int64_t ms); /* as if somebody set the machine's clock */
