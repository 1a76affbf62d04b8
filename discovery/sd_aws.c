/* Amazon's mechanisms: the settings of each service, and aws_sd_configs, which names the service by
 * `role`. */
#include "discovery/sd_configs.h"

#define S struct sd_filter
static const struct conf_row filter_rows[] = {
    KEEP("name", CONF_STR, name, NULL),
    KEEP("values", CONF_STRS, values, NULL),
};
#undef S

const struct conf_table sd_filter_table = {
    .type = "aws.Filter",
    .bytes = sizeof(struct sd_filter),
    CONF_ROWS(filter_rows),
};

#define ACCESS_REST                                               \
    OMIT("access_key", CONF_STR, access.access_key, NULL),        \
        OMIT("secret_key", CONF_SECRET, access.secret_key, NULL), \
        OMIT("profile", CONF_STR, access.profile, NULL),          \
        OMIT("role_arn", CONF_STR, access.role_arn, NULL),        \
        OMIT("external_id", CONF_STR, access.external_id, NULL)

#define S struct aws_sd_config
static const struct conf_row aws_rows[] = {
    KEEP("role", CONF_STR, role, NULL),
    OMIT("region", CONF_STR, access.region, NULL),
    OMIT("endpoint", CONF_STR, access.endpoint, NULL),
    ACCESS_REST,
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, NULL),
    OMIT("port", CONF_INT, port, NULL),
    HTTP_ROW,
    FILTERS_ROW(CONF_OMITEMPTY),
    OMIT("clusters", CONF_STRS, clusters, NULL),
};
#undef S

/* Each role has defaults of its own, which Prometheus does not show; nor does it check the client
 * block here. */
static void
aws_init(void *obj)
{
    ((struct aws_sd_config *)obj)->http = (struct http_client_config){ 0 };
}

static bool
aws_check(struct conf *c, void *obj, struct error *err)
{
    static const char *const roles[] = { "ec2", "ecs", "elasticache", "lightsail", "msk", "rds" };
    const struct aws_sd_config *aws = obj;

    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (str_is(aws->role, roles[i]))
            return true;
    conf_blame(c, "role");
    return sd_refuse_quoted(err, "unknown AWS SD role ", aws->role, "");
}

const struct conf_table sd_aws_table = {
    .type = "aws.plain",
    .bytes = sizeof(struct aws_sd_config),
    CONF_ROWS(aws_rows),
    .init = aws_init,
    .check = aws_check,
};

#define S struct ec2_sd_config
static const struct conf_row ec2_rows[] = {
    KEEP("endpoint", CONF_STR, access.endpoint, NULL),
    KEEP("region", CONF_STR, access.region, NULL),
    ACCESS_REST,
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    FILTERS_ROW(0),
    HTTP_ROW,
};
#undef S

static bool
ec2_check(struct conf *c, void *obj, struct error *err)
{
    struct ec2_sd_config *ec2 = obj;

    for (size_t i = 0; i < ec2->filters.nr; i++)
        if (ec2->filters.items[i].values.nr == 0) {
            conf_blame(c, "filters");
            return error_set(err, ERR_INVALID,
                             "EC2 SD configuration filter values cannot be empty");
        }
    return http_client_config_check(c, &ec2->http, err);
}

const struct conf_table sd_ec2_table = {
    .type = "aws.plain",
    .bytes = sizeof(struct ec2_sd_config),
    CONF_ROWS(ec2_rows),
    .check = ec2_check,
};

#define S struct lightsail_sd_config
static const struct conf_row lightsail_rows[] = {
    KEEP("endpoint", CONF_STR, access.endpoint, NULL),
    KEEP("region", CONF_STR, access.region, NULL),
    ACCESS_REST,
    OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m"),
    KEEP("port", CONF_INT, port, "80"),
    HTTP_ROW,
};
#undef S

static bool
lightsail_check(struct conf *c, void *obj, struct error *err)
{
    return http_client_config_check(c, &((struct lightsail_sd_config *)obj)->http, err);
}

const struct conf_table sd_lightsail_table = {
    .type = "aws.plain",
    .bytes = sizeof(struct lightsail_sd_config),
    CONF_ROWS(lightsail_rows),
    .check = lightsail_check,
};

#define S struct ecs_sd_config
#define ECS_FIRST                                                                        \
    KEEP("region", CONF_STR, access.region, NULL),                                       \
        KEEP("endpoint", CONF_STR, access.endpoint, NULL), ACCESS_REST,                  \
        OMIT("clusters", CONF_STRS, clusters, NULL), KEEP("port", CONF_INT, port, "80"), \
        OMIT("refresh_interval", CONF_DURATION, refresh_interval_ms, "1m")

/* 20 requests a second is what ECS sustains; the others have no figure to follow. */
static const struct conf_row ecs_rows[] = {
    ECS_FIRST,
    OMIT("request_concurrency", CONF_INT, request_concurrency, "20"),
    HTTP_ROW,
};

static const struct conf_row msk_rows[] = {
    ECS_FIRST,
    OMIT("request_concurrency", CONF_INT, request_concurrency, "10"),
    HTTP_ROW,
};

static const struct conf_row rds_rows[] = {
    ECS_FIRST,
    FILTERS_ROW(0),
    OMIT("request_concurrency", CONF_INT, request_concurrency, "10"),
    HTTP_ROW,
};
#undef S

static bool
ecs_check(struct conf *c, void *obj, struct error *err)
{
    return http_client_config_check(c, &((struct ecs_sd_config *)obj)->http, err);
}

#define ECS_TABLE(rows_)                                                              \
    {                                                                                 \
        .type = "aws.plain", .bytes = sizeof(struct ecs_sd_config), CONF_ROWS(rows_), \
        .check = ecs_check                                                            \
    }

const struct conf_table sd_ecs_table = ECS_TABLE(ecs_rows);
const struct conf_table sd_elasticache_table = ECS_TABLE(msk_rows);
const struct conf_table sd_msk_table = ECS_TABLE(msk_rows);
const struct conf_table sd_rds_table = ECS_TABLE(rds_rows);
