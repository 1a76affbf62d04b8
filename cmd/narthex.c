/* narthex: the server. Flags, signals, one struct server, and the end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/io.h"
#include "cmd/flags.h"
#include "cmd/server.h"
#include "cmd/version.h"

#ifdef NARTHEX_JEMALLOC
/* Memory that a query or a cut block has freed goes back within a second or two, by a thread of the
 * allocator's own; few arenas, since each holds back some. */
extern const char *malloc_conf;
const char *malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:4";
#endif

/* Signals that main waits for; every thread has them blocked, so that only sigwait() sees them. */
static void
signals_block(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Targets, clients, blocks: each takes descriptors. */
static void
files_limit_raise(const struct log *log)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        log_info(log, "Leaving limit on open files at its hard limit",
                 LOG_I("files", limit.rlim_cur));
}

static void
log_without_effect(void *arg, const char *name)
{
    log_warn(arg, "This flag has no effect in this version yet", LOG_C("flag", name));
}

/* /-/quit: the same way out as a signal. */
static void
quit(void *arg)
{
    (void)arg;
    kill(getpid(), SIGTERM);
}

static void
reload(struct server *server)
{
    struct error err = { 0 };

    error_ignored(server_reload(server, &err)); /* logged there; the old configuration goes on */
    error_clear(&err);
}

static int
run(const struct flags *flags, const struct log *log, const sigset_t *signals)
{
    struct error err = { 0 };
    struct server *server;
    int status, sig;

    log_info(log, "Starting Narthex", LOG_C("version", NARTHEX_VERSION),
             LOG_C("as", "Prometheus " PROMETHEUS_VERSION));
    flags_without_effect(flags, log_without_effect, (void *)(uintptr_t)log);
    files_limit_raise(log);
    io_guard_install();
    if (!server_start(flags, log, quit, NULL, &server, &status, &err)) {
        log_error(log, "Start failed", LOG_E(&err));
        error_clear(&err);
        return status;
    }
    while (sigwait(signals, &sig) == 0 && sig == SIGHUP)
        reload(server);
    log_warn(log, "Received an OS signal, exiting gracefully...",
             LOG_C("signal", sig == SIGINT ? "interrupt" : "terminated"));
    server_stop(server);
    log_info(log, "See you next time!");
    return 0;
}

static enum log_level
level_of(const char *z)
{
    struct str name = str_c(z);

    return str_is(name, "debug")   ? LOG_DEBUG
           : str_is(name, "warn")  ? LOG_WARN
           : str_is(name, "error") ? LOG_ERROR
                                   : LOG_INFO;
}

/* What flags_parse() wants said before the process ends. */
static int
say(int status, const struct buf *out, const struct buf *err)
{
    fwrite(out->p, 1, out->n, stdout);
    fwrite(err->p, 1, err->n, stderr);
    return status;
}

int
main(int argc, char **argv)
{
    struct flags flags;
    struct buf out = { 0 }, err_text = { 0 };
    struct error err = { 0 };
    sigset_t signals;

    signals_block(&signals);
    int status = flags_parse(&flags, argc, argv, io_posix(), &out, &err_text);
    if (status >= 0) {
        say(status, &out, &err_text);
    } else {
        struct log_sink *sink =
            log_sink_new(STDERR_FILENO, level_of(flags.log_level),
                         strcmp(flags.log_format, "json") == 0 ? LOG_JSON : LOG_LOGFMT);
        struct log log = { .sink = sink };
        if (!flags_features(&flags, &log, &err)) {
            log_error(&log, "Error parsing feature list", LOG_E(&err));
            status = 1;
        } else {
            status = run(&flags, &log, &signals);
        }
        log_sink_free(sink);
    }
    error_clear(&err);
    buf_fini(&out);
    buf_fini(&err_text);
    flags_fini(&flags);
    return status;
}
