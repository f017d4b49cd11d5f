/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/guard.h"
#include "admin/admin.h"
#include "admin/metrics.h"
#include "admin/metrics_process.h"
#include "admin/to_main.h"
#include "admin/verbs.h"
#include "badmail/badmail_admin.h"
#include "badmail/badmail_look.h"
#include "badmail/badmail_metrics.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/privs.h"
#include "base/stats.h"
#include "bind/bind.h"
#include "conf/conf.h"
#include "conf/dump.h"
#include "host/thread.h"
#include "listen.h"
#include "log/logger.h"
#include "mailbox/registry.h"
#include "mailbox/volume.h"
#include "module/backend.h"
#include "module/errand.h"
#include "net/acceptor.h"
#include "net/tls.h"
#include "upkeep/background.h"
#include "upkeep/clock_watch.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

/* Files per session: socket, lock, message; and those the server itself needs. */
#define FILES_PER_SESSION 3
#define FILES_OWN 128
/* The time a commit has at shutdown beyond its own deadline. */
#define STOP_GRACE_MS 5000
#define STOP_POLL_US 20000

static struct {
	const char *conf_file;
	struct listener *listeners;
	int metrics_fd;
} service = {.metrics_fd = -1};

/* ---- errors of the configuration ------------------------------------------------------------- */

struct error_text {
	char *text; /* one error a line */
	size_t n;
	bool to_stderr;
	bool to_log;
};

static void
error_add(void *ctx, const struct conf_where *w, const char *text)
{
	struct error_text *t = ctx;
	char line[1024];
	int n = w && w->file ? snprintf(line, sizeof(line), "%s:%u:%u: %s", w->file, w->line,
					w->column, text)
			     : snprintf(line, sizeof(line), "%s", text);

	if (t->to_stderr)
		fprintf(stderr, "restanted: %s\n", line);
	if (t->to_log)
		log_msg(LOG_LVL_ERROR, "conf", "%s", line);
	size_t len = n < 0 ? 0 : strlen(line);
	char *more = realloc(t->text, t->n + len + 2);

	if (!more)
		return; /* it was printed or logged above */
	memcpy(more + t->n, line, len);
	t->text = more;
	t->n += len;
	t->text[t->n++] = '\n';
	t->text[t->n] = '\0';
}

/* ---- start ----------------------------------------------------------------------------------- */

int
service_check(const char *conf_file, bool dump)
{
	struct error_text t = {.to_stderr = true};
	struct conf_errors e = {.report = error_add, .ctx = &t};
	struct conf *c;

	tls_global_init();
	c = conf_load(conf_file, &e);
	if (c)
		(void)bind_check(c, &e); /* its errors are counted in e */
	if (c && dump && e.count == 0)
		conf_dump(c, stdout);
	conf_put(c);
	free(t.text);
	if (e.count > 0) {
		fprintf(stderr, "restanted: %zu error%s in %s\n", e.count, e.count == 1 ? "" : "s",
			conf_file);
		return EX_CONFIG;
	}
	if (!dump)
		printf("%s: ok\n", conf_file);
	return 0;
}

/* Directories as root, sockets as root, then never root again. */
static int
service_become(const struct conf *c, struct conf_errors *e)
{
	const struct conf_where nowhere = {.file = service.conf_file, .line = 1, .column = 1};
	bool listening;
	char err[1024];

	privs_raise_files((size_t)c->max_sessions * FILES_PER_SESSION + FILES_OWN);
	if (!volume_state_there(c, err, sizeof(err)) ||
	    !privs_make_dir(c->state_dir, c->user, err, sizeof(err)) ||
	    !privs_make_dir(c->run_dir, c->user, err, sizeof(err))) {
		conf_error(e, &nowhere, "%s", err);
		return EX_CONFIG;
	}
	listening = listen_open(c, e, &service.listeners);
	/* all errors in one run */
	if (!listen_open_metrics(c, e, &service.metrics_fd) || !listening)
		return EX_CONFIG;
	if (!privs_drop(c->user, err, sizeof(err))) {
		conf_error(e, &nowhere, "%s", err);
		return EX_CONFIG;
	}
	return 0;
}

static void
tick(int64_t now_ms)
{
	struct conf *c = conf_current();

	errand_tick(now_ms);
	if (c)
		volume_tick(c, now_ms);
	if (c)
		clock_watch_tick(c, now_ms);
	if (c)
		background_tick(c, now_ms);
	badmail_look_tick(now_ms);
	conf_put(c);
}

/* Threads, from the inside out: each is there before those that give it work. */
static int
start_threads(const struct conf *c)
{
	struct door_limits limits = {c->max_sessions, c->max_per_address, c->shed_ms};

	pool_set_thread_exit(host_thread_exit);
	acceptor_set_tick(tick);
	acceptor_set_probe(errand_probe);
	if (!pool_start(c->workers)) {
		fprintf(stderr, "restanted: cannot start %u worker threads\n", c->workers);
		return EX_OSERR;
	}
	to_main_init(service_reload);
	badmail_admin_begin(verbs_add);
	metrics_begin();
	metrics_add_source(badmail_metrics);
	if (!admin_start(c->run_dir, service.metrics_fd))
		return EX_OSERR;
	if (!acceptor_start(&limits, service.listeners, c->n_listeners)) {
		fprintf(stderr, "restanted: cannot start the acceptor\n");
		return EX_OSERR;
	}
	return 0;
}

static void
log_serving(const struct conf *c)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		log_msg(LOG_LVL_NOTICE, "listening", "%s on %s", service.listeners[i].name,
			service.listeners[i].address);
	if (c->metrics.path)
		log_msg(LOG_LVL_NOTICE, "listening", "metrics on %s", c->metrics.path);
	else if (c->metrics.name)
		log_msg(LOG_LVL_NOTICE, "listening", "metrics on %s port %u", c->metrics.address,
			(unsigned)c->metrics.port);
	log_msg(LOG_LVL_NOTICE, "started", "restanted, pid %d, configuration %s, %u workers",
		(int)getpid(), c->file, c->workers);
}

int
service_start(const char *conf_file)
{
	struct error_text t = {.to_stderr = true};
	struct conf_errors e = {.report = error_add, .ctx = &t};
	struct conf *c;
	int rc = EX_CONFIG;

	service.conf_file = conf_file;
	tls_global_init();
	c = conf_load(conf_file, &e);
	if (c && e.count > 0)
		(void)bind_check(c, &e); /* all errors in one run */
	if (!c || e.count > 0)
		goto out;
	rc = service_become(c, &e);
	if (rc != 0)
		goto out;
	/* twice as many slots as sockets: a session that only waits to give its mailbox back has
	 * lost its socket already */
	if (!slot_init((size_t)c->max_sessions * 2)) {
		fprintf(stderr, "restanted: no memory for max_sessions = %u\n", c->max_sessions);
		rc = EX_OSERR;
		goto out;
	}
	queue_init();
	guard_init();
	registry_init();
	/* before the modules: their warnings belong into the log */
	rc = logger_start(c) ? EX_CONFIG : EX_OSERR;
	if (rc == EX_OSERR || !bind_open(c, NULL, false, &e))
		goto out;
	volume_prepare(c);
	clock_watch_begin(c);
	background_begin(c);
	conf_publish(conf_ref(c));
	rc = start_threads(c);
	if (rc == 0)
		log_serving(c);
out:
	if (rc != 0)
		logger_stop();
	if (e.count > 0)
		fprintf(stderr, "restanted: not started: %zu error%s\n", e.count,
			e.count == 1 ? "" : "s");
	conf_put(c);
	free(t.text);
	return rc;
}

/* ---- reload ---------------------------------------------------------------------------------- */

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool
same_listener(const struct conf_listener *a, const struct conf_listener *b)
{
	return strcmp(a->name, b->name) == 0 && a->protocol == b->protocol &&
	       same_text(a->address, b->address) && same_text(a->path, b->path) &&
	       a->port == b->port;
}

/* Logs the settings that only a restart can change; they stay as they were. */
static void
log_restart_needed(const struct conf *old, const struct conf *new)
{
	if (old->workers != new->workers)
		log_msg(LOG_LVL_WARNING, "reload", "workers = %u takes effect at the next restart",
			new->workers);
	if (old->max_sessions != new->max_sessions)
		log_msg(LOG_LVL_WARNING, "reload",
			"max_sessions = %u takes effect at the next restart", new->max_sessions);
	for (size_t i = 0; i < new->n_listeners; i++) {
		bool known = false;

		for (size_t j = 0; j < old->n_listeners && !known; j++)
			known = same_listener(&old->listeners[j], &new->listeners[i]);
		if (!known)
			log_msg(LOG_LVL_WARNING, "reload",
				"listener %s: a new place or protocol takes effect at the next "
				"restart",
				new->listeners[i].name);
	}
	if (!same_text(old->metrics.name, new->metrics.name) ||
	    !same_text(old->metrics.path, new->metrics.path) ||
	    !same_text(old->metrics.address, new->metrics.address) ||
	    old->metrics.port != new->metrics.port)
		log_msg(LOG_LVL_WARNING, "reload",
			"metrics: another place takes effect at the next restart");
}

bool
service_reload(char **ret_errors)
{
	struct error_text t = {.to_log = true};
	struct conf_errors e = {.report = error_add, .ctx = &t};
	struct conf *old = conf_current();
	struct conf *c = conf_load(service.conf_file, &e);
	bool ok = false;

	if (c && e.count > 0)
		(void)bind_check(c, &e); /* all errors in one run */
	if (c && e.count == 0 && bind_open(c, old, false, &e)) {
		struct door_limits limits = {old->max_sessions, c->max_per_address, c->shed_ms};

		log_restart_needed(old, c);
		log_set_level(c->log_level);
		door_set_limits(&limits);
		conf_publish(conf_ref(c));
		log_msg(LOG_LVL_NOTICE, "reload", "%s is in force for new sessions", c->file);
		stat_add(STAT_RELOADED, 1);
		ok = true;
	} else {
		stat_add(STAT_RELOAD_FAILED, 1);
		log_msg(LOG_LVL_ERROR, "reload",
			"%zu error%s: the old configuration stays in force", e.count,
			e.count == 1 ? "" : "s");
	}
	conf_put(c);
	conf_put(old);
	*ret_errors = t.text;
	return ok;
}

void
service_reopen_logs(void)
{
	logger_reopen();
}

void
service_tick(void)
{
	backend_reap();
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
note_all(unsigned note)
{
	struct slot_record r;
	slot_token token;
	char where;

	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where))
			(void)slot_wake(token, note);
}

static size_t
slots_in_use(void)
{
	struct slot_record r;
	slot_token token;
	char where;
	size_t n = 0;

	for (size_t i = 0; i < slot_count(); i++)
		n += slot_read(i, &r, &token, &where);
	return n;
}

void
service_drain(void)
{
	log_msg(LOG_LVL_NOTICE, "stopping", "no new sessions; %zu at work", slots_in_use());
	acceptor_close_listeners();
	note_all(NOTE_DRAIN);
}

bool
service_drained(void)
{
	return slots_in_use() == 0;
}

long
service_drain_ms(void)
{
	struct conf *c = conf_current();
	long ms = (long)c->drain_ms;

	conf_put(c);
	return ms;
}

static void
log_call(const struct pool_call_status *s, void *ctx)
{
	(void)ctx;
	log_msg(LOG_LVL_ERROR, "stuck", "%s of section %s, session %llu, has not returned",
		s->method, s->gate, (unsigned long long)s->task_id);
}

/* The longest a commit may still take. */
static int64_t
longest_commit_ms(const struct conf *c)
{
	int64_t ms = 0;

	for (size_t i = 0; i < c->n_storage; i++)
		if (c->storage[i].backend && c->storage[i].backend->limits.commit_ms > ms)
			ms = c->storage[i].backend->limits.commit_ms;
	return ms;
}

int
service_stop(void)
{
	struct conf *c = conf_current();
	int64_t until_ms = mono_ms() + longest_commit_ms(c) + STOP_GRACE_MS;

	note_all(NOTE_KICK);
	while (!service_drained()) {
		if (mono_ms() > until_ms) {
			pool_each_call(log_call, NULL);
			log_msg(LOG_LVL_ERROR, "stopped",
				"sessions are stuck in modules; the stores recover "
				"at the next start");
			logger_stop();
			_exit(EX_TEMPFAIL);
		}
		usleep(STOP_POLL_US);
		note_all(NOTE_KICK); /* also those that came to be meanwhile */
	}
	admin_stop();
	acceptor_stop();
	pool_stop();
	conf_publish(NULL);
	conf_put(c);
	backend_reap();
	log_msg(LOG_LVL_NOTICE, "stopped", "restanted");
	logger_stop();
	guard_fini();
	registry_fini();
	gate_fini_all();
	queue_fini();
	slot_fini();
	free(service.listeners);
	return 0;
}
