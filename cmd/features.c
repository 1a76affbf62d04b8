#include "cmd/features.h"

/* Features that exist here and are off until --enable-feature says otherwise. */
static const struct {
    const char *category, *name;
    size_t at; /* a bool of struct feature_flags */
} rows[] = {
#define ROW(category, name, field)                            \
    {                                                         \
        category, name, offsetof(struct feature_flags, field) \
    }
    ROW("promql", "anchored", promql_extended_range_selectors),
    ROW("promql", "delayed_name_removal", promql_delayed_name_removal),
    ROW("promql", "fill", promql_binop_fill_modifiers),
    ROW("promql", "fill_left", promql_binop_fill_modifiers),
    ROW("promql", "fill_right", promql_binop_fill_modifiers),
    ROW("promql", "per_step_stats", promql_per_step_stats),
    ROW("promql", "smoothed", promql_extended_range_selectors),
    ROW("rules", "concurrent_rule_eval", concurrent_rule_eval),
    ROW("scrape", "type_and_unit_labels", type_and_unit_labels),
    ROW("tsdb", "exemplar_storage", exemplar_storage),
#undef ROW
};

struct http_feature *
features_list(const struct flags *flags, struct arena *arena, size_t *nr)
{
    struct http_feature *list = ARENA_NEW_ARRAY(arena, struct http_feature, ARRAY_LEN(rows) + 2);

    for (*nr = 0; *nr < ARRAY_LEN(rows); ++*nr)
        list[*nr] =
            (struct http_feature){ rows[*nr].category, rows[*nr].name,
                                   *(const bool *)((const char *)&flags->feature + rows[*nr].at) };
    list[(*nr)++] = (struct http_feature){ "api", "admin", flags->web_enable_admin_api };
    list[(*nr)++] = (struct http_feature){ "api", "lifecycle", flags->web_enable_lifecycle };
    return list;
}
