/* Any bytes as a query over a few series with resets, gaps, NaN and a native histogram: an answer
 * or an error, within the limits. The first byte chooses the bounds. */
#include <math.h>
#include "mem_storage.h"
#include "promql/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
add(struct mem_storage *s, const char *name, const char *le, double step)
{
    struct label l[] = { { LABEL_NAME, str_c(name) },
                         { STR("job"), STR("x") },
                         { STR("le"), str_c(le) } };

    for (int i = 0; i < 40; i++)
        if (i % 7 != 3)
            mem_storage_add(s, (struct labels){ l, 3 }, i * 15000, i == 11 ? NAN : i % 13 * step,
                            NULL);
}

static struct mem_storage *
storage_new(void)
{
    static const struct histogram_span span = { 0, 3 };
    static const double counts[] = { 1, 2, 3 };
    struct histogram h = {
        .schema = 1, .count = 6, .sum = 9, .pos = { &span, 1, { .counts = counts }, 3 }
    };
    struct label l[] = { { LABEL_NAME, STR("h") }, { STR("job"), STR("x") } };
    struct mem_storage *s = mem_storage_new();

    add(s, "a", "1", 1);
    add(s, "a", "2", 2.5);
    add(s, "a", "+Inf", -3);
    add(s, "b_total", "1", 1e300);
    for (int i = 0; i < 40; i++)
        mem_storage_add(s, (struct labels){ l, 2 }, i * 15000, 0, i % 5 == 4 ? NULL : &h);
    return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct engine_options o = { .samples_max = 20000,
                                .query_bytes_max = 16 << 20,
                                .timeout_ms = 1000,
                                .experimental_functions = true,
                                .extended_range_selectors = true,
                                .binop_fill = true };
    struct query_result result;
    struct error err = { 0 };

    if (n < 1 || n > 4096)
        return 0;
    o.delayed_name_removal = (data[0] & 1) != 0;
    struct query q = { .text = { (const char *)data + 1, n - 1 },
                       .start_ms = (data[0] & 0x70) * 3000 };
    q.end_ms = q.start_ms + (data[0] & 2 ? 300000 : 0);
    q.step_ms = data[0] & 2 ? (data[0] & 4 ? 7000 : 60000) : 0;
    struct mem_storage *s = storage_new();
    struct engine *e = engine_new(&o);
    if (engine_query(e, mem_storage_queryable(s), &q, &result, &err))
        query_result_fini(&result);
    error_clear(&err);
    engine_free(e);
    mem_storage_free(s);
    return 0;
}
