/* SPDX-License-Identifier: Apache-2.0 */
#include "pop3/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/stats.h"

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

static void
greet(struct session *s)
{
	char text[400];

	snprintf(text, sizeof(text), "restante ready%s%s", s->apop_stamp ? " " : "",
		 s->apop_stamp ? s->apop_stamp : "");
	(void)session_ok(s, text);
}

/* The greeting goes out at once: a fresh socket takes it. */
static bool
first_turn(struct session *s)
{
	if (s->state == STATE_HANDSHAKE)
		return conn_tls(&s->io.conn, s->conf->tls) && stream_first(&s->io);
	greet(s);
	return stream_first(&s->io);
}

static void
session_free(struct session *s)
{
	conf_put(s->conf);
	stream_fini(&s->io);
	arena_reset(&s->arena);
	free(s);
}

static struct session *
session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	arena_init(&s->arena, ARENA_MAX);
	stream_init(&s->io, &s->task, fd, SESSION_IN, SESSION_OUT);
	s->ask = (struct asker){.task = &s->task, .arena = &s->arena};
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
	s->begun_ms = s->io.idle_since_ms;
	s->login_by_ms = s->begun_ms + s->conf->login_timeout_ms;
	s->state = s->listener->tls == CONF_TLS_IMPLICIT ? STATE_HANDSHAKE : STATE_AUTH;
	make_stamp(s);
	return s;
}

struct task *
pop3_session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct session *s = session_new(l, fd, p);

	if (!s)
		return NULL;
	s->task.slot = slot_take(&s->task);
	if (!s->task.slot) {
		session_free(s);
		return NULL;
	}
	session_publish(s);
	slot_set_deadline(s->task.slot, s->login_by_ms);
	if (!first_turn(s)) {
		slot_retire(s->task.slot);
		s->io.conn.fd = -1; /* the acceptor's to close */
		conn_close(&s->io.conn);
		slot_release(s->task.slot);
		session_free(s);
		return NULL;
	}
	stat_add(STAT_SESSIONS, 1);
	return &s->task;
}

/* ---- the end --------------------------------------------------------------------------------- */

enum move
session_end(struct session *s, const char *how)
{
	return stream_end(&s->io, how);
}

/* task.close: nothing is open any more but the socket. */
void
session_close(struct task *t)
{
	struct session *s = (struct session *)t;

	stream_leave(&s->io);
	login_drop(s);
	sasl_drop(s);
	maildrop_fini(&s->drop);
	backend_put(s->storage);
	session_free(s);
}

void
session_forget(struct session *s)
{
	stream_forget(&s->io); /* plaintext after STLS */
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

static const char *
state_name(const struct session *s)
{
	static const char *const names[] = {"tls", "auth", "trans", "update", "closing"};

	return names[s->state];
}

void
session_publish(struct session *s)
{
	struct slot_record r = {0};
	const char *version = conn_tls_version(&s->io.conn);
	size_t n = s->user.name.n < sizeof(r.user) - 1 ? s->user.name.n : sizeof(r.user) - 1;

	snprintf(r.peer, sizeof(r.peer), "%s", s->peer->text);
	if (s->storage && n > 0)
		memcpy(r.user, s->user.name.p, n);
	snprintf(r.state, sizeof(r.state), "%s", state_name(s));
	snprintf(r.kind, sizeof(r.kind), "pop3");
	r.tls = !version ? 0 : strcmp(version, "TLSv1.3") == 0 ? 13 : 12;
	r.logged_in = s->storage != NULL;
	r.holds_credential = s->user_given || s->login || s->sasl;
	r.id = s->task.id;
	r.peer_key = s->peer->key;
	r.since_ms = s->begun_ms;
	r.last_byte_ms = s->io.idle_since_ms;
	r.octets_in = s->io.conn.octets_in;
	r.octets_out = s->io.conn.octets_out;
	r.messages = s->drop.count > UINT32_MAX ? UINT32_MAX : (uint32_t)s->drop.count;
	r.pending_dele = (uint32_t)maildrop_pending(&s->drop);
	slot_publish(s->task.slot, &r);
}

/* ---- log ------------------------------------------------------------------------------------- */

static void
log_common(struct log_line *l, const struct session *s)
{
	log_num(l, "session", s->task.id);
	log_cstr(l, "peer", s->peer->text);
	log_cstr(l, "tls", conn_tls_version(&s->io.conn) ? conn_tls_version(&s->io.conn) : s->peer->tls ? "proxy" : "none");
	log_cstr(l, "listener", s->listener->name);
}

void
session_log_login(struct session *s)
{
	struct log_line l;

	log_audit(&l, "login");
	log_str(&l, "user", s->user.name.p, s->user.name.n);
	log_common(&l, s);
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
	log_common(&l, s);
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

	if (!s->storage && !s->io.how)
		return;
	if (!s->storage) {
		/* a port scanner must not fill the disk */
		log_begin(&l, LOG_LVL_INFO, "connection-end");
		log_common(&l, s);
		log_cstr(&l, "how", s->io.how);
		log_end(&l);
		return;
	}
	if (pending > 0 && !s->quit) {
		stat_add(STAT_QUIT_WITHOUT, 1);
		log_begin(&l, LOG_LVL_WARNING, "deletions-dropped");
		log_str(&l, "user", s->user.name.p, s->user.name.n);
		log_common(&l, s);
		log_num(&l, "pending", pending);
		log_textf(&l, "the session ended without QUIT; nothing was deleted");
		log_end(&l);
	}
	log_audit(&l, "session-end");
	log_str(&l, "user", s->user.name.p, s->user.name.n);
	log_common(&l, s);
	log_cstr(&l, "how", s->io.how ? s->io.how : "?");
	log_num(&l, "retrieved", s->retrieved);
	log_num(&l, "octets", s->retrieved_octets);
	log_num(&l, "deleted", s->deleted);
	log_num(&l, "left", s->drop.count - s->deleted);
	log_num(&l, "seconds", (uint64_t)(mono_ms() - s->begun_ms) / 1000);
	log_end(&l);
}

void
session_log_call(struct session *s, const struct backend *b, const char *method, int32_t rc, const char *text)
{
	const char *user = s->storage ? s->user.name.p : s->login ? s->login->name : NULL;

	ask_log(&s->ask, b, method, rc, text, user, s->storage ? s->user.name.n : user ? strlen(user) : 0);
}

/* ---- replies --------------------------------------------------------------------------------- */

void
session_put(struct session *s, const char *p, size_t n)
{
	stream_put(&s->io, p, n);
}

enum move
session_ok(struct session *s, const char *text)
{
	char line[REPLY_MAX];

	session_put(s, line, reply_ok(line, text));
	return MOVE_ON;
}

enum move
session_err(struct session *s, enum reply_code code, const char *text)
{
	char line[REPLY_MAX];

	session_put(s, line, reply_err(line, code, text));
	return MOVE_ON;
}

enum move
session_result(struct session *s, int32_t rc, const char *what)
{
	char line[REPLY_MAX];

	session_put(s, line, reply_result(line, rc, what));
	return MOVE_ON;
}

/* ---- module calls ---------------------------------------------------------------------------- */

enum move
session_permit(struct session *s, struct backend *b, enum call_class cls)
{
	/* giving back waits without limit; the others as long as a client may be silent */
	bool endless = s->committing || s->work == WORK_CLOSE;

	return ask_permit(&s->ask, b, cls, endless ? 0 : s->conf->idle_timeout_ms);
}

bool
session_granted(struct session *s, int32_t *ret_rc)
{
	int64_t waited_ms;
	bool granted = ask_granted(&s->ask, ret_rc, &waited_ms);

	s->login_by_ms += waited_ms; /* time in a gate is not the client's */
	s->io.idle_since_ms += waited_ms;
	return granted;
}

void
session_call(struct session *s, struct host_call *c, const char *method, int64_t ms)
{
	ask_call(&s->ask, c, method, ms);
}
