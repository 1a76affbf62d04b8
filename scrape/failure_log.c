#include "scrape/failure_log.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include "base/json.h"
#include "base/lock.h"
#include "base/mem.h"

struct failure_log {
    _Atomic unsigned refs;
    const struct io *io;
    io_file file;
    struct lock lock; /* guards the end */
    uint64_t end;
};

bool
failure_log_open(const struct io *io, struct str path, struct failure_log **log, struct error *err)
{
    char *z = str_dup(path);
    io_file file;
    uint64_t end;
    bool ok = io_open(io, z, IO_WRITE | IO_CREATE, &file, err);

    if (ok && !io_size(io, file, &end, err)) {
        io_close(io, file);
        ok = false;
    }
    free(z);
    if (!ok)
        return error_wrap(err, "can't create json log file");
    *log = MEM_NEW(struct failure_log);
    atomic_init(&(*log)->refs, 1);
    (*log)->io = io;
    (*log)->file = file;
    (*log)->end = end;
    lock_init(&(*log)->lock, LOCK_QUEUE, "scrape failure log");
    return true;
}

struct failure_log *
failure_log_ref(struct failure_log *l)
{
    if (l != NULL)
        atomic_fetch_add(&l->refs, 1);
    return l;
}

void
failure_log_unref(struct failure_log *l)
{
    if (l == NULL || atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    io_close(l->io, l->file);
    lock_fini(&l->lock);
    free(l);
}

static void
json_time(struct json *j, int64_t now_ns)
{
    time_t s = (time_t)(now_ns / 1000000000);
    struct buf text = { 0 };
    struct tm tm;

    gmtime_r(&s, &tm);
    buf_printf(&text, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now_ns % 1000000000));
    json_str(j, buf_as_str(&text));
    buf_fini(&text);
}

void
failure_log_write(struct failure_log *l, const struct clock *clock, const char *msg, struct str job,
                  struct str target)
{
    struct buf line = { 0 };
    struct error err = { 0 };
    struct json j = json_to(&line);

    if (l == NULL)
        return;
    json_open(&j, '{');
    json_key(&j, "time");
    json_time(&j, clock_now_ns(clock));
    json_key(&j, "level");
    json_str(&j, STR("ERROR"));
    json_key(&j, "msg");
    json_str(&j, str_c(msg));
    json_key(&j, "job_name");
    json_str(&j, job);
    json_key(&j, "target");
    json_str(&j, target);
    json_close(&j, '}');
    buf_byte(&line, '\n');
    lock_take(&l->lock);
    if (io_write(l->io, l->file, line.p, line.n, l->end, &err))
        l->end += line.n;
    lock_release(&l->lock);
    error_clear(&err);
    buf_fini(&line);
}
