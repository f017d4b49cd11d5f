/* SPDX-License-Identifier: Apache-2.0 */
#include "session/session.h"

#include <stdlib.h>

#define ARENA_MAX (64u << 10)

/* ---- birth ----------------------------------------------------------------------------------- */

static enum next
session_step(struct task *t)
{
	return talk_step(&((struct session *)t)->talk);
}

/* task.close: nothing is open any more but the socket. */
static void
session_close(struct task *t)
{
	struct session *s = (struct session *)t;

	talk_leave(&s->talk);
	session_free(s);
}

/* Takes what the session needs of the configuration; false: it is not there. */
static bool
session_bind(struct session *s, const char *listener, const struct peer *peer)
{
	s->conf = conf_current();
	s->listener = s->conf ? conf_find_listener(s->conf, listener) : NULL;
	s->peer = arena_alloc(&s->arena, sizeof(*s->peer));
	if (!s->listener || !s->peer)
		return false;
	*s->peer = *peer;
	return true;
}

struct session *
session_new(const struct protocol *protocol, const struct listener *l, int fd,
	    const struct peer *peer)
{
	struct session *s = calloc(1, protocol->size);

	if (!s)
		return NULL;
	arena_init(&s->arena, ARENA_MAX);
	stream_init(&s->io, &s->task, fd, protocol->in, protocol->out);
	if (!session_bind(s, l->name, peer)) {
		session_free(s);
		return NULL;
	}
	s->task.step = session_step;
	s->task.close = session_close;
	s->task.peer_key = peer->key;
	talk_init(&s->talk, protocol, &s->io, s->conf->tls, s->listener->tls == CONF_TLS_IMPLICIT,
		  protocol->idle_ms(s->conf));
	return s;
}

struct task *
session_start(struct session *s)
{
	if (talk_start(&s->talk))
		return &s->task;
	session_free(s);
	return NULL;
}

/* ---- the end --------------------------------------------------------------------------------- */

void
session_free(struct session *s)
{
	if (s->talk.protocol)
		s->talk.protocol->drop(&s->task);
	conf_put(s->conf);
	stream_fini(&s->io);
	arena_reset(&s->arena);
	free(s);
}

/* ---- for its protocol ------------------------------------------------------------------------ */

struct caller
session_caller(struct session *s, struct arena *a)
{
	return (struct caller){.task = &s->task,
			       .arena = a,
			       .unwanted = NOTE_KICK,
			       .patience_ms = s->talk.idle_ms};
}

void
session_log(const struct session *s, struct log_line *l)
{
	const char *version = conn_tls_version(&s->io.conn);

	log_num(l, "session", s->task.id);
	log_cstr(l, "peer", s->peer->text);
	log_cstr(l, "tls", version ? version : s->peer->tls ? "proxy" : "none");
	log_cstr(l, "listener", s->listener->name);
}

void
session_log_how(const struct session *s, struct log_line *l)
{
	log_cstr(l, "how", s->io.how ? s->io.how : "?");
	log_cstr(l, "reason", s->io.conn.fault);
}
