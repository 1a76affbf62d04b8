#include "http/params.h"

#include <criterion/criterion.h>
#include <inttypes.h>

static const struct {
    const char *text;
    bool ok;
    int64_t t_ms;
} times[] = {
    { "0", true, 0 },
    { "1767228000", true, 1767228000000 },
    { "1767228000.123", true, 1767228000123 },
    { "1767228000.1239", true, 1767228000124 },
    { "-1.5", true, -1500 },
    { "1e3", true, 1000000 },
    { "2026-01-01T00:40:00Z", true, 1767228000000 },
    { "2025-12-31T16:40:00.5-08:00", true, 1767228000500 },
    { "2026-01-01T00:40:00.123456789Z", true, 1767228000123 },
    { "1969-12-31T23:59:59.5Z", true, -500 },
    { "2024-02-29T00:00:00Z", true, 1709164800000 },
    { "-292273086-05-16T16:47:06Z", true, PARAM_TIME_MIN },
    { "292277025-08-18T07:12:54.999999999Z", true, PARAM_TIME_MAX },
    { "2023-02-29T00:00:00Z", false, 0 },
    { "2026-01-01T24:00:00Z", false, 0 },
    { "2026-01-01 00:40:00Z", false, 0 },
    { "2026-01-01T00:40:00", false, 0 },
    { "2026-01-01T00:40:00.Z", false, 0 },
    { "x", false, 0 },
    { "", false, 0 },
};

Test(params, reads_times)
{
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        int64_t t_ms = 0;
        cr_expect_eq(param_time(str_c(times[i].text), &t_ms), times[i].ok, "%s", times[i].text);
        cr_expect_eq(t_ms, times[i].t_ms, "%s: %" PRId64, times[i].text, t_ms);
    }
}

static const struct {
    const char *text;
    int64_t ns;
    const char *error;
} durations[] = {
    { "60", 60000000000, NULL },
    { "0.5", 500000000, NULL },
    { "-1", -1000000000, NULL },
    { "1h30m", 5400000000000, NULL },
    { "0.5s", 0, "cannot parse \"0.5s\" to a valid duration" },
    { "1e30", 0, "cannot parse \"1e30\" to a valid duration. It overflows int64" },
    { "", 0, "cannot parse \"\" to a valid duration" },
};

Test(params, reads_durations)
{
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
        int64_t ns = 0;
        bool ok = param_duration(str_c(durations[i].text), &ns, &err);
        cr_expect_eq(ok, durations[i].error == NULL, "%s", durations[i].text);
        if (ok)
            cr_expect_eq(ns, durations[i].ns, "%s", durations[i].text);
        else
            cr_expect_str_eq(error_text(&err), durations[i].error);
    }
    error_clear(&err);
}

static const struct {
    const char *text;
    int64_t v;
    const char *error;
} numbers[] = {
    { "+7", 7, NULL },
    { "-9223372036854775808", INT64_MIN, NULL },
    { "9223372036854775807", INT64_MAX, NULL },
    { "9223372036854775808", 0,
      "strconv.Atoi: parsing \"9223372036854775808\": value out of range" },
    { "-", 0, "strconv.Atoi: parsing \"-\": invalid syntax" },
    { "1x", 0, "strconv.Atoi: parsing \"1x\": invalid syntax" },
};

Test(params, reads_numbers_as_go_does)
{
    struct error err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int64_t v = 0;
        bool ok = param_int(str_c(numbers[i].text), "Atoi", &v, &err);
        cr_expect_eq(ok, numbers[i].error == NULL, "%s", numbers[i].text);
        if (ok)
            cr_expect_eq(v, numbers[i].v, "%s", numbers[i].text);
        else
            cr_expect_str_eq(error_text(&err), numbers[i].error);
    }
    error_clear(&err);
}

static const struct {
    const char *query, *body, *a, *error;
} forms[] = {
    { "a=1&a=2", "", "1", "" },
    { "a=1", "a=2", "2", "" },
    { "a=x+y%26", "", "x y&", "" },
    { "b=%zz&a=1", "", "1", "invalid URL escape \"%zz\"" },
    { "b=%4", "a=1", "1", "invalid URL escape \"%4\"" },
    { "b=1;c=2&a=1", "", "1", "invalid semicolon separator in query" },
    { "a", "", "", "" },
    { "&&a=1&", "", "1", "" },
    { "a=%00%ff", "", "", "" },
};

Test(params, reads_forms_as_go_does)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct http_request req = { .method = HTTP_POST,
                                    .query = str_c(forms[i].query),
                                    .body = str_c(forms[i].body) };
        arena_init(&req.arena, 1 << 20);
        http_request_params(&req, STR("application/x-www-form-urlencoded; charset=utf-8"));
        if (i + 1 < ARRAY_LEN(forms))
            cr_expect(str_is(http_param(&req, "a"), forms[i].a), "%s", forms[i].query);
        else
            cr_expect_eq(http_param(&req, "a").n, 2);
        cr_expect(str_is(req.params_error, forms[i].error), "%s", forms[i].query);
        arena_fini(&req.arena);
    }
}
