/* SPDX-License-Identifier: Apache-2.0 */
#include "pop3/pop3.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "pop3/login.h"

/* ---- what others see ------------------------------------------------------------------------- */

void
pop3_greet(struct task *t)
{
	struct pop3 *s = (struct pop3 *)t;
	char text[400];

	snprintf(text, sizeof(text), "restante ready%s%s", s->apop_stamp ? " " : "",
		 s->apop_stamp ? s->apop_stamp : "");
	(void)pop3_ok(s, text);
}

bool
pop3_encrypted(const struct pop3 *s)
{
	return s->base.io.conn.ssl || s->base.peer->tls;
}

bool
pop3_may_login(const struct pop3 *s)
{
	return pop3_encrypted(s) || s->base.listener->plaintext_login;
}

void
pop3_describe(const struct task *t, struct slot_record *r)
{
	static const char *const states[] = {"auth", "trans", "update"};
	const struct pop3 *s = (const struct pop3 *)t;
	size_t n = s->user.name.n < sizeof(r->user) - 1 ? s->user.name.n : sizeof(r->user) - 1;

	snprintf(r->peer, sizeof(r->peer), "%s", s->base.peer->text);
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
pop3_log_login(struct pop3 *s)
{
	struct log_line l;

	log_audit(&l, "login");
	log_str(&l, "user", s->user.name.p, s->user.name.n);
	session_log(&s->base, &l);
	log_cstr(&l, "auth", s->auth_section);
	log_cstr(&l, "cached", s->cached);
	log_num(&l, "messages", s->drop.count);
	log_end(&l);
}

void
pop3_log_refused(struct pop3 *s, const char *name, const char *mech, const char *reason,
		 const char *detail)
{
	struct log_line l;

	log_audit(&l, "login-refused");
	log_cstr(&l, "user", name);
	log_cstr(&l, "address", s->base.peer->host);
	session_log(&s->base, &l);
	log_cstr(&l, "mech", mech);
	log_cstr(&l, "reason", reason);
	log_cstr(&l, "cached", s->cached);
	if (detail && *detail)
		log_cstr(&l, "detail", detail);
	log_end(&l);
}

void
pop3_log_end(struct pop3 *s)
{
	uint64_t pending = maildrop_pending(&s->drop);
	struct log_line l;

	if (!s->storage && !stream_ended(&s->base.io))
		return;
	if (!s->storage) {
		/* a port scanner must not fill the disk */
		log_begin(&l, LOG_LVL_INFO, "connection-end");
		session_log(&s->base, &l);
		session_log_how(&s->base, &l);
		log_end(&l);
		return;
	}
	if (pending > 0 && !s->quit) {
		stat_add(STAT_QUIT_WITHOUT, 1);
		log_begin(&l, LOG_LVL_WARNING, "deletions-dropped");
		log_str(&l, "user", s->user.name.p, s->user.name.n);
		session_log(&s->base, &l);
		log_num(&l, "pending", pending);
		log_textf(&l, "the session ended without QUIT; nothing was deleted");
		log_end(&l);
	}
	log_audit(&l, "session-end");
	log_str(&l, "user", s->user.name.p, s->user.name.n);
	session_log(&s->base, &l);
	session_log_how(&s->base, &l);
	log_num(&l, "retrieved", s->retrieved);
	log_num(&l, "octets", s->retrieved_octets);
	log_num(&l, "deleted", s->deleted);
	log_num(&l, "left", s->drop.count - s->deleted);
	log_num(&l, "seconds", (uint64_t)(mono_ms() - s->base.talk.begun_ms) / 1000);
	log_end(&l);
}

void
pop3_log_call(struct pop3 *s, const struct backend *b, const char *method, int32_t rc,
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
pop3_ok(struct pop3 *s, const char *text)
{
	char line[REPLY_MAX];

	stream_put(&s->base.io, line, reply_ok(line, text));
	return TURN_ON;
}

enum turn
pop3_err(struct pop3 *s, enum reply_code code, const char *text)
{
	char line[REPLY_MAX];

	stream_put(&s->base.io, line, reply_err(line, code, text));
	return TURN_ON;
}

enum turn
pop3_result(struct pop3 *s, int32_t rc, const char *what)
{
	char line[REPLY_MAX];

	stream_put(&s->base.io, line, reply_result(line, rc, what));
	return TURN_ON;
}
