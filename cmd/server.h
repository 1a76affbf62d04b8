/* cmd/server.h: one whole server: the parts made, wired, reloaded and taken down. cmd/narthex.c
 * runs one; tests may run several in one process.
 *
 * server_start() returns once the server answers queries: HTTP listens first (health is answered,
 * the rest says 503), then storage replays, then scraping and rules begin. server_reload() may be
 * called from any thread, one at a time; the others are for the owner. */
#pragma once
#include "base/error.h"
#include "base/log.h"
#include "cmd/flags.h"

struct server;

/* flags and log are borrowed until server_stop(). quit(arg) is called when a client asks for the
 * end (/-/quit); it must only take note. On failure nothing is left running; *exit_status is what
 * Prometheus would exit with. */
MUST_CHECK bool
server_start(const struct flags *flags, const struct log *log, void (*quit)(void *arg), void *arg,
             struct server **server, int *exit_status, struct error *err);
/* Loads the configuration again. False: the old one still runs, err says why. */
MUST_CHECK bool server_reload(struct server *s, struct error *err);
/* Scraping and rules end, notifications are drained, HTTP closes, storage is synced. Accepts NULL.
 */
void server_stop(struct server *s);
/* The port of the first listening address. */
uint16_t server_port(const struct server *s);
