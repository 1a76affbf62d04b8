/* scrape/failure_log.h: scrape_failure_log_file: one JSON line per failed scrape. Reference
 * counted, internally locked; a reload opens the file again, so that it can be rotated. */
#pragma once
#include "base/clock.h"
#include "base/error.h"
#include "base/io.h"

struct failure_log;

/* Appends to what the file holds. */
MUST_CHECK bool
failure_log_open(const struct io *io, struct str path, struct failure_log **log, struct error *err);
struct failure_log *failure_log_ref(struct failure_log *l); /* NULL stays NULL */
void failure_log_unref(struct failure_log *l);
/* l may be NULL. A line that cannot be written is lost. */
void failure_log_write(struct failure_log *l, const struct clock *clock, const char *msg,
                       struct str job, struct str target);
