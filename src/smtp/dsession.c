/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/dsession.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "work/slot.h"

#define ARENA_MAX (64u << 10)

static _Atomic uint32_t sessions; /* delivery's share of max_sessions */

/* ---- birth ----------------------------------------------------------------------------------- */

static void
dsession_session_free(struct dsession *s)
{
	envelope_reset(&s->mail);
	conf_put(s->conf);
	stream_fini(&s->io);
	arena_reset(&s->arena);
	free(s);
}

static enum next
dsession_session_step(struct task *t)
{
	return talk_step(&((struct dsession *)t)->talk);
}

/* task.close: nothing is open any more but the socket. */
static void
dsession_session_close(struct task *t)
{
	struct dsession *s = (struct dsession *)t;

	talk_leave(&s->talk);
	rcpt_forget(s);
	atomic_fetch_sub(&sessions, 1);
	dsession_session_free(s);
}

static struct dsession *
dsession_session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct dsession *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	arena_init(&s->arena, ARENA_MAX);
	envelope_init(&s->mail);
	stream_init(&s->io, &s->task, fd, DSESSION_IN, DSESSION_OUT);
	s->conf = conf_current();
	s->listener = s->conf ? conf_find_listener(s->conf, l->name) : NULL;
	s->peer = arena_alloc(&s->arena, sizeof(*s->peer));
	if (!s->listener || !s->peer) {
		dsession_session_free(s);
		return NULL;
	}
	s->connected = *s->peer = *p;
	s->task.step = dsession_session_step;
	s->task.close = dsession_session_close;
	s->task.peer_key = p->key;
	talk_init(&s->talk, &delivery_protocol, &s->io, s->conf->tls,
		  s->listener->tls == CONF_TLS_IMPLICIT, s->conf->delivery.idle_timeout_ms);
	s->caller = (struct caller){.task = &s->task,
				    .arena = &s->mail.arena,
				    .unwanted = NOTE_KICK,
				    .patience_ms = s->talk.idle_ms};
	return s;
}

struct task *
delivery_session_new(const struct listener *l, int fd, const struct peer *p)
{
	struct dsession *s = dsession_session_new(l, fd, p);
	uint32_t max;

	if (!s)
		return NULL;
	max = s->conf->delivery.max_sessions;
	if ((max > 0 && atomic_load(&sessions) >= max) || !talk_start(&s->talk)) {
		dsession_session_free(s);
		return NULL;
	}
	atomic_fetch_add(&sessions, 1);
	stat_add(dsession_is_lmtp(s) ? STAT_LMTP_SESSIONS : STAT_SMTP_SESSIONS, 1);
	return &s->task;
}

void
dsession_greet(struct task *t)
{
	struct dsession *s = (struct dsession *)t;
	char text[400];

	snprintf(text, sizeof(text), "%.255s %s restante", s->conf->hostname,
		 dsession_is_lmtp(s) ? "LMTP" : "ESMTP");
	(void)dsession_say(s, 220, "", text);
}

/* ---- the end --------------------------------------------------------------------------------- */

void
dsession_forget(struct dsession *s)
{
	rcpt_forget(s);
	envelope_reset(&s->mail);
	s->bdat = s->bdat_last = s->failed = false;
	dsession_drain(s);
}

void
dsession_clear(struct task *t)
{
	struct dsession *s = (struct dsession *)t;

	dsession_forget(s);
	s->helo = NULL;
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
dsession_describe(const struct task *t, struct slot_record *r)
{
	const struct dsession *s = (const struct dsession *)t;

	snprintf(r->peer, sizeof(r->peer), "%s", s->peer->text);
	snprintf(r->state, sizeof(r->state), s->state == DSTATE_COMMAND ? "command" : "data");
	snprintf(r->kind, sizeof(r->kind), "%s", dsession_protocol(s));
	/* who is in the midst of a message is not pushed out */
	r->holds_credential = s->mail.begun;
	r->messages = (uint32_t)s->n_mails;
}

/* ---- log ------------------------------------------------------------------------------------- */

void
dsession_log_end(struct dsession *s)
{
	struct log_line l;

	log_begin(&l, LOG_LVL_INFO, "delivery-end");
	talk_log(&s->talk, s->peer, s->listener->name, &l);
	log_cstr(&l, "how", s->io.how);
	log_num(&l, "messages", s->n_mails);
	log_num(&l, "accepted", s->accepted);
	log_num(&l, "refused", s->refused);
	log_num(&l, "octets", s->octets);
	log_num(&l, "seconds", (uint64_t)(mono_ms() - s->talk.begun_ms) / 1000);
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
	talk_log(&s->talk, s->peer, s->listener->name, &l);
	snprintf(reply, sizeof(reply), "%u %s %s", (unsigned)r->code, r->enhanced, r->text);
	log_cstr(&l, "reply", reply);
	log_end(&l);
}

/* ---- replies --------------------------------------------------------------------------------- */

enum turn
dsession_say_of(struct dsession *s, const struct dreply *r, const char *whom)
{
	char line[DREPLY_MAX];

	stream_put(&s->io, line, dreply_line(line, r, whom, false));
	return TURN_ON;
}

enum turn
dsession_say(struct dsession *s, unsigned code, const char *enhanced, const char *text)
{
	const struct dreply r = {(uint16_t)code, enhanced, text};

	return dsession_say_of(s, &r, NULL);
}

enum turn
dsession_fault(struct dsession *s, unsigned code, const char *enhanced, const char *text)
{
	stat_add(STAT_BAD_COMMAND, 1);
	(void)dsession_say(s, code, enhanced, text);
	if (++s->errors < s->conf->delivery.max_errors || s->talk.phase == TALK_CLOSING)
		return TURN_ON;
	(void)dsession_say(s, 421, "4.7.0", "too many errors, closing");
	return talk_close(&s->talk, "too many errors");
}
