/* SPDX-License-Identifier: Apache-2.0 */
#include "pop3/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/stats.h"

#define ARENA_MAX (64u << 10)

/* ---- birth ----------------------------------------------------------------------------------- */

/* RFC 1939 s7: <process.clock@host>, different each time. */
static void
make_stamp(struct session *s)
{
	char text[320];
	uint64_t salt;

	if (!s->conf->apop)
		return;
	secret_random(&salt, sizeof(salt));
	snprintf(text, sizeof(text), "<%d.%lld.%llx@%.200s>", (int)getpid(), (long long)wall_ms(),
		 (unsigned long long)salt, s->conf->hostname);
	s->apop_stamp = arena_dup(&s->arena, text, strlen(text));
}

void
session_greet(struct task *t)
{
	struct session *s = (struct session *)t;
	char text[400];

	snprintf(text, sizeof(text), "restante ready%s%s", s->apop_stamp ? " " : "",
		 s->apop_stamp ? s->apop_stamp : "");
	(void)session_ok(s, text);
}

static void
session_free(struct session *s)
{
	conf_put(s->conf);
	stream_fini(&s->io);
	arena_reset(&s->arena);
	free(s);
}

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
	login_drop(s);
	sasl_drop(s);
	maildrop_fini(&s->drop);
	backend_put(s->storage);
	session_free(s);
}

static struct session *
session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	arena_init(&s->arena, ARENA_MAX);
	stream_init(&s->io, &s->task, fd, SESSION_IN, SESSION_OUT);
	s->conf = conf_current();
	s->listener = s->conf ? conf_find_listener(s->conf, l->name) : NULL;
	s->peer = arena_alloc(&s->arena, sizeof(*s->peer));
	if (!s->listener || !s->peer) {
		session_free(s);
		return NULL;
	}
	*s->peer = *p;
	s->task.step = session_step;
	s->task.close = session_close;
	s->task.peer_key = p->key;
	talk_init(&s->talk, &pop3_protocol, &s->io, s->conf->tls,
		  s->listener->tls == CONF_TLS_IMPLICIT, s->conf->idle_timeout_ms);
	s->caller = (struct caller){.task = &s->task,
				    .arena = &s->arena,
				    .unwanted = NOTE_KICK,
				    .patience_ms = s->talk.idle_ms};
	s->talk.login_by_ms = s->talk.begun_ms + s->conf->login_timeout_ms;
	make_stamp(s);
	return s;
}

struct task *
pop3_session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct session *s = session_new(l, fd, p);

	if (!s)
		return NULL;
	if (!talk_start(&s->talk)) {
		session_free(s);
		return NULL;
	}
	stat_add(STAT_SESSIONS, 1);
	return &s->task;
}

/* ---- the end --------------------------------------------------------------------------------- */

void
session_forget(struct task *t)
{
	struct session *s = (struct session *)t;

	s->user_given = NULL;
	sasl_drop(s);
}

/* ---- what others see ------------------------------------------------------------------------- */

bool
session_encrypted(const struct session *s)
{
	return s->io.conn.ssl || s->peer->tls;
}

bool
session_may_login(const struct session *s)
{
	return session_encrypted(s) || s->listener->plaintext_login;
}

void
session_describe(const struct task *t, struct slot_record *r)
{
	static const char *const states[] = {"auth", "trans", "update"};
	const struct session *s = (const struct session *)t;
	size_t n = s->user.name.n < sizeof(r->user) - 1 ? s->user.name.n : sizeof(r->user) - 1;

	snprintf(r->peer, sizeof(r->peer), "%s", s->peer->text);
	if (s->storage && n > 0)
		memcpy(r->user, s->user.name.p, n);
	snprintf(r->state, sizeof(r->state), "%s", states[s->state]);
	snprintf(r->kind, sizeof(r->kind), "pop3");
	r->logged_in = s->storage != NULL;
	r->holds_credential = s->user_given || s->login || s->sasl;
	r->messages = s->drop.count > UINT32_MAX ? UINT32_MAX : (uint32_t)s->drop.count;
	r->pending_dele = (uint32_t)maildrop_pending(&s->drop);
}

/* ---- log ------------------------------------------------------------------------------------- */

void
session_log_login(struct session *s)
{
	struct log_line l;

	log_audit(&l, "login");
	log_str(&l, "user", s->user.name.p, s->user.name.n);
	talk_log(&s->talk, s->peer, s->listener->name, &l);
	log_cstr(&l, "auth", s->auth_section);
	log_cstr(&l, "cached", s->cached);
	log_num(&l, "messages", s->drop.count);
	log_end(&l);
}

void
session_log_refused(struct session *s, const char *name, const char *mech, const char *reason,
		    const char *detail)
{
	struct log_line l;

	log_audit(&l, "login-refused");
	log_cstr(&l, "user", name);
	log_cstr(&l, "address", s->peer->host);
	talk_log(&s->talk, s->peer, s->listener->name, &l);
	log_cstr(&l, "mech", mech);
	log_cstr(&l, "reason", reason);
	log_cstr(&l, "cached", s->cached);
	if (detail && *detail)
		log_cstr(&l, "detail", detail);
	log_end(&l);
}

void
session_log_end(struct session *s)
{
	uint64_t pending = maildrop_pending(&s->drop);
	struct log_line l;

	if (!s->storage && !stream_ended(&s->io))
		return;
	if (!s->storage) {
		/* a port scanner must not fill the disk */
		log_begin(&l, LOG_LVL_INFO, "connection-end");
		talk_log(&s->talk, s->peer, s->listener->name, &l);
		log_cstr(&l, "how", s->io.how);
		log_end(&l);
		return;
	}
	if (pending > 0 && !s->quit) {
		stat_add(STAT_QUIT_WITHOUT, 1);
		log_begin(&l, LOG_LVL_WARNING, "deletions-dropped");
		log_str(&l, "user", s->user.name.p, s->user.name.n);
		talk_log(&s->talk, s->peer, s->listener->name, &l);
		log_num(&l, "pending", pending);
		log_textf(&l, "the session ended without QUIT; nothing was deleted");
		log_end(&l);
	}
	log_audit(&l, "session-end");
	log_str(&l, "user", s->user.name.p, s->user.name.n);
	talk_log(&s->talk, s->peer, s->listener->name, &l);
	log_cstr(&l, "how", s->io.how ? s->io.how : "?");
	log_num(&l, "retrieved", s->retrieved);
	log_num(&l, "octets", s->retrieved_octets);
	log_num(&l, "deleted", s->deleted);
	log_num(&l, "left", s->drop.count - s->deleted);
	log_num(&l, "seconds", (uint64_t)(mono_ms() - s->talk.begun_ms) / 1000);
	log_end(&l);
}

void
session_log_call(struct session *s, const struct backend *b, const char *method, int32_t rc,
		 const char *text)
{
	const char *user = s->storage ? s->user.name.p : s->login ? s->login->name : NULL;

	caller_log(&s->caller, b, method, rc, text, user,
		   s->storage ? s->user.name.n
		   : user     ? strlen(user)
			      : 0);
}

/* ---- replies --------------------------------------------------------------------------------- */

enum turn
session_ok(struct session *s, const char *text)
{
	char line[REPLY_MAX];

	stream_put(&s->io, line, reply_ok(line, text));
	return TURN_ON;
}

enum turn
session_err(struct session *s, enum reply_code code, const char *text)
{
	char line[REPLY_MAX];

	stream_put(&s->io, line, reply_err(line, code, text));
	return TURN_ON;
}

enum turn
session_result(struct session *s, int32_t rc, const char *what)
{
	char line[REPLY_MAX];

	stream_put(&s->io, line, reply_result(line, rc, what));
	return TURN_ON;
}
