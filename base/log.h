/* base/log.h: structured log lines: logfmt or JSON, one write each, to standard error as Prometheus
 * does.
 *
 *     log_warn(log, "append failed, dropped", LOG_S("target", url), LOG_E(&err), LOG_I("samples",
 * nr));
 *
 * msg is a constant; values are keys. A struct log is a handle with a level, a sink and a
 * component; log_with() derives one for a component. Thread-safe. A function that returns an error
 * does not log it: the loop that decides does. */
#pragma once
#include "base/error.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_sink; /* where lines go; shared by all handles */

struct log {
    struct log_sink *sink;
    const char *component; /* NULL: none */
};

struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_FLOAT, LOG_FIELD_BOOL } type;
    union {
        struct str s;
        int64_t i;
        double f;
        bool b;
    };
};

#define LOG_S(k, v) ((struct log_field){ .key = (k), .type = LOG_FIELD_STR, .s = (v) })
#define LOG_C(k, v) LOG_S((k), str_c(v))
#define LOG_I(k, v) ((struct log_field){ .key = (k), .type = LOG_FIELD_INT, .i = (int64_t)(v) })
#define LOG_F(k, v) ((struct log_field){ .key = (k), .type = LOG_FIELD_FLOAT, .f = (v) })
#define LOG_B(k, v) ((struct log_field){ .key = (k), .type = LOG_FIELD_BOOL, .b = (v) })
#define LOG_E(e)    LOG_S("err", str_c(error_text(e)))

/* fd is borrowed. */
struct log_sink *log_sink_new(int fd, enum log_level level, enum log_format format);
void log_sink_free(struct log_sink *sink);
bool log_enabled(const struct log *log, enum log_level level);
static inline struct log
log_with(const struct log *log, const char *component)
{
    return (struct log){ log->sink, component };
}
/* A handle that drops everything, for tests. */
extern const struct log log_none;

void log_write(const struct log *log, enum log_level level, const char *file, int line,
               const char *msg, const struct log_field *fields, size_t fields_nr);
#define LOG_WRITE(log, level, msg, ...)                                           \
    do {                                                                          \
        if (log_enabled((log), (level))) {                                        \
            const struct log_field log_fields_[] = { { 0 }, ##__VA_ARGS__ };      \
            log_write((log), (level), __FILE__, __LINE__, (msg), log_fields_ + 1, \
                      ARRAY_LEN(log_fields_) - 1);                                \
        }                                                                         \
    } while (0)
#define log_debug(log, msg, ...) LOG_WRITE((log), LOG_DEBUG, (msg), ##__VA_ARGS__)
#define log_info(log, msg, ...)  LOG_WRITE((log), LOG_INFO, (msg), ##__VA_ARGS__)
#define log_warn(log, msg, ...)  LOG_WRITE((log), LOG_WARN, (msg), ##__VA_ARGS__)
#define log_error(log, msg, ...) LOG_WRITE((log), LOG_ERROR, (msg), ##__VA_ARGS__)

/* For what can repeat every second: lets one line per interval_ms through (monotonic), and says how
 * many were held back since. Embedded beside what it guards; zero-initialised is ready;
 * thread-safe. */
struct log_throttle {
    _Atomic int64_t next_ns;
    _Atomic uint64_t held_nr;
};
bool log_throttle_pass(struct log_throttle *t, int64_t monotonic_ns, int64_t interval_ms,
                       uint64_t *held_nr);
