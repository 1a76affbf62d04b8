/* Life and death: health, readiness, reload, quit; and the receivers that are switched off. */
#include "http/http_priv.h"

void
raw_healthy(struct call *c)
{
    call_text(c, 200,
              c->h->deps.agent ? STR("Prometheus Agent is Healthy.\n")
                               : STR("Prometheus Server is Healthy.\n"));
}

void
raw_ready(struct call *c)
{
    call_text(c, 200,
              c->h->deps.agent ? STR("Prometheus Agent is Ready.\n")
                               : STR("Prometheus Server is Ready.\n"));
}

static bool
lifecycle_on(struct call *c)
{
    if (c->h->deps.enable_lifecycle)
        return true;
    call_text(c, 403, STR("Lifecycle API is not enabled."));
    return false;
}

void
raw_lifecycle_get(struct call *c)
{
    call_text(c, 405, STR("Only POST or PUT requests allowed"));
}

void
raw_reload(struct call *c)
{
    struct error err = { 0 };

    if (!lifecycle_on(c))
        return;
    c->resp->status = 200;
    if (c->h->deps.reload == NULL)
        error_set(&err, ERR_UNAVAILABLE, "no configuration to load");
    else if (c->h->deps.reload(c->h->deps.arg, &err))
        return;
    call_error_text(c, 500,
                    arena_printf(call_arena(c), "failed to reload config: %s", error_text(&err)));
    error_clear(&err);
}

void
raw_quit(struct call *c)
{
    if (!lifecycle_on(c))
        return;
    if (atomic_exchange(&c->h->quitting, true)) {
        call_text(c, 200, STR("Termination already in progress."));
        return;
    }
    call_text(c, 200, STR("Requesting termination... Goodbye!"));
    if (c->h->deps.quit != NULL)
        c->h->deps.quit(c->h->deps.arg);
}

void
raw_remote_write(struct call *c)
{
    call_error_text(c, 404,
                    STR("remote write receiver needs to be enabled with "
                        "--web.enable-remote-write-receiver"));
}

void
raw_otlp(struct call *c)
{
    call_error_text(c, 404,
                    STR("otlp write receiver needs to be enabled with --web.enable-otlp-receiver"));
}

/* Remote read is not built yet; this is what Prometheus says where it has no handler. */
void
raw_remote_read(struct call *c)
{
    call_error_text(c, 404, STR("not found"));
}
