#include "tsdb/tsdb_config.h"

#include "base/decimal.h"
#include "base/quote.h"
#include "base/units.h"

#define OMIT(struct_, key_, type_, field_)                       \
    {                                                            \
        .key = (key_), .type = (type_), .flags = CONF_OMITEMPTY, \
        .offset = offsetof(struct_, field_)                      \
    }

static const struct conf_row retention_rows[] = {
    OMIT(struct tsdb_retention_config, "time", CONF_DURATION, time_ms),
    OMIT(struct tsdb_retention_config, "size", CONF_BYTES, size_bytes),
    OMIT(struct tsdb_retention_config, "percentage", CONF_FLOAT, percentage),
};

static bool
retention_check(struct conf *c, void *obj, struct error *err)
{
    const struct tsdb_retention_config *r = obj;
    char size[UNITS_TEXT_MAX], share[DECIMAL_BYTES_MAX];

    if (r->size_bytes < 0) {
        conf_blame(c, "size");
        return error_set(err, ERR_INVALID,
                         "'storage.tsdb.retention.size' must be greater than or equal to 0, got %s",
                         units_bytes_text(r->size_bytes, size));
    }
    if (r->percentage < 0 || r->percentage > 100) {
        conf_blame(c, "percentage");
        return error_set(
            err, ERR_INVALID,
            "'storage.tsdb.retention.percentage' must be in the range [0, 100], got %.*s",
            (int)decimal_format_general(r->percentage, share), share);
    }
    return true;
}

static const struct conf_table retention_table = {
    .type = "config.plain",
    .bytes = sizeof(struct tsdb_retention_config),
    CONF_ROWS(retention_rows),
    .check = retention_check,
};

static const struct conf_row encoding_rows[] = {
    OMIT(struct tsdb_chunk_encoding_config, "floats", CONF_STR, floats),
};

static const struct conf_table encoding_table = {
    .type = "config.ChunkEncodingConfig",
    .bytes = sizeof(struct tsdb_chunk_encoding_config),
    CONF_ROWS(encoding_rows),
};

#define T(field_) .flags = CONF_OMITEMPTY, .offset = offsetof(struct tsdb_config, field_)

static const struct conf_row tsdb_rows[] = {
    /* The window in milliseconds, which Prometheus shows because it forgot to hide it; also read,
       then overwritten. */
    { .key = "outofordertimewindow",
      .type = CONF_INT,
      .offset = offsetof(struct tsdb_config, out_of_order_shown_ms) },
    { .key = "out_of_order_time_window", .type = CONF_DURATION, T(out_of_order_time_window_ms) },
    { .key = "stale_series_compaction_threshold",
      .type = CONF_FLOAT,
      T(stale_series_compaction_threshold) },
    { .key = "chunk_encoding", .type = CONF_STRUCT, T(chunk_encoding), .table = &encoding_table },
    { .key = "retention", .type = CONF_STRUCT_PTR, T(retention), .table = &retention_table },
};

static bool
tsdb_check(struct conf *c, void *obj, struct error *err)
{
    struct tsdb_config *t = obj;
    struct str floats = t->chunk_encoding.floats;
    struct buf quoted = { 0 };

    if (floats.n > 0 && !str_is(floats, "xor") && !str_is(floats, "xor2")) {
        conf_blame(c, "chunk_encoding");
        quote_go(floats, &quoted);
        error_set(err, ERR_INVALID,
                  "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must "
                  "be omitted "
                  "entirely, got %s",
                  buf_z(&quoted));
        buf_fini(&quoted);
        return false;
    }
    t->out_of_order_shown_ms = t->out_of_order_time_window_ms;
    t->retention_given = t->retention != NULL;
    if (t->retention == NULL)
        t->retention = ARENA_NEW(conf_pool_arena(conf_pool_of(c)), struct tsdb_retention_config);
    return true;
}

static const struct conf_table tsdb_table = {
    .type = "config.plain",
    .bytes = sizeof(struct tsdb_config),
    CONF_ROWS(tsdb_rows),
    .check = tsdb_check,
};

static const struct conf_row exemplars_rows[] = {
    OMIT(struct tsdb_exemplars_config, "max_exemplars", CONF_INT, max_exemplars),
};

static const struct conf_table exemplars_table = {
    .type = "config.ExemplarsConfig",
    .bytes = sizeof(struct tsdb_exemplars_config),
    CONF_ROWS(exemplars_rows),
};

static const struct conf_row storage_rows[] = {
    { .key = "tsdb",
      .type = CONF_STRUCT_PTR,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(struct storage_config, tsdb),
      .table = &tsdb_table },
    { .key = "exemplars",
      .type = CONF_STRUCT_PTR,
      .flags = CONF_OMITEMPTY,
      .offset = offsetof(struct storage_config, exemplars),
      .table = &exemplars_table },
};

const struct conf_table storage_config_table = {
    .type = "config.StorageConfig",
    .bytes = sizeof(struct storage_config),
    CONF_ROWS(storage_rows),
};

void
storage_config_complete(struct conf_pool *pool, struct storage_config *s)
{
    if (s->tsdb == NULL)
        s->tsdb = ARENA_NEW(conf_pool_arena(pool), struct tsdb_config);
    if (s->tsdb->retention == NULL)
        s->tsdb->retention = ARENA_NEW(conf_pool_arena(pool), struct tsdb_retention_config);
}
