/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What arrives through a pipe while no server runs takes the same road as all other mail: a session on a socket
 * pair, with the same slots, workers and gates. So there is one way of delivering, and one set of rules.
 */
#include "delivery/direct.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/privs.h"
#include "core/backend.h"
#include "core/bind.h"
#include "core/registry.h"
#include "core/volume.h"
#include "delivery/delivery.h"
#include "host/call.h"
#include "net/acceptor.h"
#include "net/door.h"
#include "net/tls.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

#define SLOTS 64 /* the session, and errands */
#define POLL_US 2000

static struct listener listener = {.fd = -1, .name = "deliver", .address = "pipe", .session_new = delivery_session_new};

/* The same user the server runs as: files of others would be made otherwise. */
static bool
become(const struct conf *c, char *err, size_t errlen)
{
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (geteuid() == 0)
		return privs_drop(c->user, err, errlen);
	if (!c->user)
		return true;
	if (getpwnam_r(c->user, &pw, buf, sizeof(buf), &found) == 0 && found && pw.pw_uid == geteuid())
		return true;
	snprintf(err, errlen, "no server answers, and only '%s' (setting user) may deliver without one", c->user);
	return false;
}

/* conf.c leaves room for one more. Of what only serving needs - many files, the key of TLS - nothing is asked. */
static void
add_listener(struct conf *c)
{
	c->max_sessions = SLOTS;
	for (size_t i = 0; i < c->n_listeners; i++)
		c->listeners[i].tls = CONF_TLS_NONE;
	c->listeners[c->n_listeners++] = (struct conf_listener){
		.name = listener.name, .protocol = CONF_LMTP, .path = "pipe", .tls = CONF_TLS_NONE, .where = {c->file, 1, 1}};
}

static bool
start(struct conf *c)
{
	struct acceptor_limits limits = {.max_sessions = SLOTS};

	queue_init();
	registry_init();
	pool_set_thread_exit(host_thread_exit);
	conf_publish(conf_ref(c));
	return pool_start(c->workers) && acceptor_start(&limits, &listener, 1);
}

int
direct_open(struct conf *c, struct conf_errors *e, char *err, size_t errlen)
{
	struct peer p;
	int pair[2];

	if (!become(c, err, errlen)) {
		conf_put(c);
		return -1;
	}
	tls_global_init();
	log_set_level(LOG_LVL_WARNING);
	add_listener(c);
	snprintf(err, errlen, "the configuration has errors, or there is no memory");
	if (!slot_init(SLOTS) || !bind_open(c, NULL, false, e) || !start(c)) {
		conf_put(c);
		return -1;
	}
	conf_put(c);
	peer_from(&p, &(struct sockaddr_storage){.ss_family = AF_UNIX});
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		snprintf(err, errlen, "socketpair: %s (%d)", strerrordesc_np(errno), errno);
		return -1;
	}
	listener_tune(pair[1], 0); /* not blocking, on our side */
	if (door_enter(&p, true, mono_ms()) && door_admit(&listener, pair[1], &p, delivery_session_new))
		return pair[0];
	snprintf(err, errlen, "no memory");
	return -1;
}

static bool
busy(void)
{
	struct slot_record r;
	slot_token token;
	char where;

	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where))
			return true;
	return false;
}

void
direct_close(void)
{
	while (busy())
		usleep(POLL_US); /* what a store holds half done goes home; its deadlines bound it */
	acceptor_stop();
	pool_stop();
	conf_publish(NULL);
	backend_reap();
}
