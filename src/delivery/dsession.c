/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery/dsession.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/stats.h"
#include "work/slot.h"

#define ARENA_MAX (64u << 10)

static _Atomic uint32_t sessions; /* delivery's share of max_sessions */

/* ---- birth ----------------------------------------------------------------------------------- */

static void
session_free(struct dsession *s)
{
	envelope_reset(&s->mail);
	conf_put(s->conf);
	stream_fini(&s->io);
	arena_reset(&s->arena);
	free(s);
}

static struct dsession *
session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct dsession *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	arena_init(&s->arena, ARENA_MAX);
	envelope_init(&s->mail);
	stream_init(&s->io, &s->task, fd, DSESSION_IN, DSESSION_OUT);
	s->ask = (struct asker){.task = &s->task, .arena = &s->mail.arena};
	s->conf = conf_current();
	s->listener = s->conf ? conf_find_listener(s->conf, l->name) : NULL;
	s->peer = arena_alloc(&s->arena, sizeof(*s->peer));
	if (!s->listener || !s->peer) {
		session_free(s);
		return NULL;
	}
	s->connected = *s->peer = *p;
	s->task.step = dsession_step;
	s->task.close = dsession_close;
	s->task.peer_key = p->key;
	s->begun_ms = s->io.idle_since_ms;
	s->state = s->listener->tls == CONF_TLS_IMPLICIT ? DSTATE_HANDSHAKE : DSTATE_COMMAND;
	return s;
}

/* The greeting goes out at once: a fresh socket takes it. */
static bool
first_turn(struct dsession *s)
{
	uint32_t max = s->conf->delivery.max_sessions;

	if (max > 0 && atomic_load(&sessions) >= max)
		return false;
	if (s->state == DSTATE_HANDSHAKE)
		return conn_tls(&s->io.conn, s->conf->tls) && stream_first(&s->io);
	dsession_greet(s);
	return stream_first(&s->io);
}

struct task *
delivery_session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct dsession *s = session_new(l, fd, p);

	if (!s)
		return NULL;
	s->task.slot = slot_take(&s->task);
	if (!s->task.slot) {
		session_free(s);
		return NULL;
	}
	dsession_publish(s);
	slot_set_deadline(s->task.slot, s->begun_ms + s->conf->delivery.idle_timeout_ms);
	if (!first_turn(s)) {
		slot_retire(s->task.slot);
		s->io.conn.fd = -1; /* the acceptor's to close */
		conn_close(&s->io.conn);
		slot_release(s->task.slot);
		session_free(s);
		return NULL;
	}
	atomic_fetch_add(&sessions, 1);
	stat_add(STAT_DELIVERY_SESSIONS, 1);
	return &s->task;
}

void
dsession_greet(struct dsession *s)
{
	char text[400];

	snprintf(text, sizeof(text), "%.255s %s restante", s->conf->hostname,
		 dsession_is_lmtp(s) ? "LMTP" : "ESMTP");
	(void)dsession_say(s, 220, "", text);
}

/* ---- the end --------------------------------------------------------------------------------- */

enum move
dsession_end(struct dsession *s, const char *how)
{
	return stream_end(&s->io, how);
}

void
dsession_forget(struct dsession *s)
{
	rcpt_forget(s);
	envelope_reset(&s->mail);
	s->bdat = s->bdat_last = s->failed = false;
}

/* task.close: nothing is open any more but the socket. */
void
dsession_close(struct task *t)
{
	struct dsession *s = (struct dsession *)t;

	stream_leave(&s->io);
	rcpt_forget(s);
	atomic_fetch_sub(&sessions, 1);
	session_free(s);
}

/* ---- what others see ------------------------------------------------------------------------- */

bool
dsession_is_lmtp(const struct dsession *s)
{
	return s->listener->protocol == CONF_LMTP;
}

const char *
dsession_protocol(const struct dsession *s)
{
	return dsession_is_lmtp(s) ? "lmtp" : "smtp";
}

void
dsession_publish(struct dsession *s)
{
	static const char *const names[] = {"tls", "command", "data", "data", "closing"};
	struct slot_record r = {0};
	const char *version = conn_tls_version(&s->io.conn);

	snprintf(r.peer, sizeof(r.peer), "%s", s->peer->text);
	snprintf(r.state, sizeof(r.state), "%s", names[s->state]);
	snprintf(r.kind, sizeof(r.kind), "%s", dsession_protocol(s));
	r.tls = !version ? 0 : strcmp(version, "TLSv1.3") == 0 ? 13 : 12;
	r.holds_credential = s->mail.begun; /* who is in the midst of a message is not pushed out */
	r.id = s->task.id;
	r.peer_key = s->task.peer_key;
	r.since_ms = s->begun_ms;
	r.last_byte_ms = s->io.idle_since_ms;
	r.octets_in = s->io.conn.octets_in;
	r.octets_out = s->io.conn.octets_out;
	r.messages = (uint32_t)s->n_mails;
	slot_publish(s->task.slot, &r);
}

/* ---- log ------------------------------------------------------------------------------------- */

static void
log_common(struct log_line *l, const struct dsession *s)
{
	log_num(l, "session", s->task.id);
	log_cstr(l, "peer", s->peer->text);
	log_cstr(l, "tls", conn_tls_version(&s->io.conn) ? conn_tls_version(&s->io.conn) : "none");
	log_cstr(l, "listener", s->listener->name);
}

void
dsession_log_end(struct dsession *s)
{
	struct log_line l;

	log_begin(&l, LOG_LVL_INFO, "delivery-end");
	log_common(&l, s);
	log_cstr(&l, "how", s->io.how);
	log_num(&l, "messages", s->n_mails);
	log_num(&l, "accepted", s->accepted);
	log_num(&l, "refused", s->refused);
	log_num(&l, "octets", s->octets);
	log_num(&l, "seconds", (uint64_t)(mono_ms() - s->begun_ms) / 1000);
	log_end(&l);
}

void
dsession_log_mail(struct dsession *s, size_t i, const struct dreply *r)
{
	struct log_line l;
	char reply[600];

	if (r->code < 300)
		log_audit(&l, "delivered");
	else
		log_begin(&l, LOG_LVL_NOTICE, "not-delivered");
	log_cstr(&l, "id", s->mail.id);
	log_cstr(&l, "from", s->mail.sender);
	log_cstr(&l, "to", s->mail.rcpts[i].address);
	log_num(&l, "octets", s->mail.content.octets);
	log_common(&l, s);
	snprintf(reply, sizeof(reply), "%u %s %s", (unsigned)r->code, r->enhanced, r->text);
	log_cstr(&l, "reply", reply);
	log_end(&l);
}

/* ---- replies --------------------------------------------------------------------------------- */

enum move
dsession_say_of(struct dsession *s, const struct dreply *r, const char *whom)
{
	char line[DREPLY_MAX];

	stream_put(&s->io, line, dreply_line(line, r, whom, false));
	return MOVE_ON;
}

enum move
dsession_say(struct dsession *s, unsigned code, const char *enhanced, const char *text)
{
	const struct dreply r = {(uint16_t)code, enhanced, text};

	return dsession_say_of(s, &r, NULL);
}

enum move
dsession_fault(struct dsession *s, unsigned code, const char *enhanced, const char *text)
{
	stat_add(STAT_BAD_COMMAND, 1);
	(void)dsession_say(s, code, enhanced, text);
	if (++s->errors >= s->conf->delivery.max_errors && s->state != DSTATE_CLOSING) {
		(void)dsession_say(s, 421, "4.7.0", "too many errors, closing");
		(void)dsession_end(s, "too many errors");
		s->state = DSTATE_CLOSING;
	}
	return MOVE_ON;
}

/* ---- module calls ---------------------------------------------------------------------------- */

enum move
dsession_permit(struct dsession *s, struct backend *b, enum call_class cls)
{
	const struct envelope *e = &s->mail;
	/* what was promised or must go home waits without limit; the others as long as a client may
	 * be silent */
	bool endless =
		s->work == DWORK_ABORT || (s->work == DWORK_COMMIT && e->bags[e->at].committing);

	return ask_permit(&s->ask, b, cls, endless ? 0 : s->conf->delivery.idle_timeout_ms);
}

bool
dsession_granted(struct dsession *s, int32_t *ret_rc)
{
	int64_t waited_ms;
	bool granted = ask_granted(&s->ask, ret_rc, &waited_ms);

	s->io.idle_since_ms += waited_ms; /* time in a gate is not the client's */
	return granted;
}
