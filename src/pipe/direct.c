/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/direct.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/privs.h"
#include "bind/bind.h"
#include "host/thread.h"
#include "log/logger.h"
#include "mailbox/registry.h"
#include "mailbox/volume.h"
#include "module/backend.h"
#include "net/acceptor.h"
#include "net/tls.h"
#include "smtp/dstep.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

#define SLOTS 64        /* the session, and errands: quota warnings, looks at the disks */
#define CLOSE_MS 120000 /* a commit may take a minute */
#define POLL_US 2000

static struct listener listener = {.fd = -1,
				   .name = "restante-deliver",
				   .address = "pipe",
				   .session_new = delivery_session_new};
static bool started;

/* Files of another owner would be in the server's way. */
static bool
direct_become(const struct conf *c, char *err, size_t errlen)
{
	if (!volume_state_there(c, err, errlen))
		return false;
	if (geteuid() == 0)
		return privs_make_dir(c->state_dir, c->user, err, errlen) &&
		       privs_make_dir(c->run_dir, c->user, err, errlen) &&
		       privs_drop(c->user, err, errlen);
	if (c->user && !privs_is(c->user)) {
		snprintf(err, errlen, "only %s (user = in %s) or root may deliver without a server",
			 c->user, c->file);
		return false;
	}
	if (access(c->state_dir, W_OK | X_OK) != 0) {
		snprintf(err, errlen, "'%s' cannot be written to: %s (%d)", c->state_dir,
			 strerrordesc_np(errno), errno);
		return false;
	}
	return true;
}

/* One more listener than the file has: conf.h keeps a place for it. Nothing is wanted that only
 * a server needs: many files, the key of TLS. */
static void
add_listener(struct conf *c)
{
	c->max_sessions = SLOTS;
	for (size_t i = 0; i < c->n_listeners; i++)
		c->listeners[i].tls = CONF_TLS_NONE;
	c->listeners[c->n_listeners++] = (struct conf_listener){.name = listener.name,
								.protocol = CONF_LMTP,
								.path = listener.address,
								.where = {c->file, 1, 1}};
}

/* Mail servers put standard error into bounces: our log does not belong there. */
static bool
start_log(struct conf *c, bool verbose)
{
	if (verbose)
		c->log_sink = CONF_LOG_STDERR;
	else if (c->log_sink == CONF_LOG_STDERR)
		c->log_sink = CONF_LOG_SYSLOG;
	return logger_start(c);
}

static void
direct_tick(int64_t now_ms)
{
	struct conf *c = conf_current();

	volume_tick(c, now_ms);
	conf_put(c);
}

static bool
direct_start(struct conf *c, bool verbose)
{
	const struct door_limits limits = {.max_sessions = SLOTS};

	if (!start_log(c, verbose))
		return false;
	started = true;
	volume_prepare(c);
	conf_publish(conf_ref(c));
	pool_set_thread_exit(host_thread_exit);
	acceptor_set_tick(direct_tick);
	return pool_start(c->workers) && acceptor_start(&limits, NULL, 0);
}

/* The session's end of the pair is admitted like anybody who connects. */
static int
connect_inside(char *err, size_t errlen)
{
	const struct sockaddr_storage local = {.ss_family = AF_UNIX};
	struct peer p;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		snprintf(err, errlen, "socketpair: %s (%d)", strerrordesc_np(errno), errno);
		return -1;
	}
	peer_from(&p, &local);
	listener_tune(pair[1], 0);
	if (door_enter(&p, false, mono_ms()) &&
	    door_admit(&listener, pair[1], &p, listener.session_new))
		return pair[0];
	snprintf(err, errlen, "no memory for a session");
	(void)close(pair[0]); /* nothing was sent */
	return -1;
}

int
direct_open(struct conf *c, bool verbose, struct conf_errors *e, char *err, size_t errlen)
{
	int fd = -1;

	umask(077);
	log_set_level(LOG_LVL_ERROR); /* until the log is open */
	tls_global_init();
	add_listener(c);
	if (direct_become(c, err, errlen)) {
		snprintf(err, errlen, "the configuration has errors, or there is no memory");
		queue_init();
		registry_init();
		if (slot_init(SLOTS) && bind_open(c, NULL, false, e) && direct_start(c, verbose))
			fd = connect_inside(err, errlen);
	}
	conf_put(c);
	return fd;
}

static bool
direct_busy(void)
{
	struct slot_record r;
	slot_token token;
	char where;

	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where))
			return true;
	return false;
}

bool
direct_close(void)
{
	int64_t until_ms = mono_ms() + CLOSE_MS;

	if (!started)
		return true;
	while (direct_busy()) {
		if (mono_ms() > until_ms)
			return false;
		usleep(POLL_US);
	}
	acceptor_stop();
	pool_stop();
	conf_publish(NULL);
	backend_reap();
	logger_stop();
	registry_fini();
	queue_fini();
	slot_fini();
	return true;
}
