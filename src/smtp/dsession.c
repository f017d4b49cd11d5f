/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/dsession.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"

void
dsession_greet(struct task *t)
{
	struct dsession *s = (struct dsession *)t;
	char text[400];

	snprintf(text, sizeof(text), "%.255s %s restante", s->base.conf->hostname,
		 dsession_is_lmtp(s) ? "LMTP" : "ESMTP");
	(void)dsession_say(s, 220, "", text);
}

/* ---- the end --------------------------------------------------------------------------------- */

void
dsession_drop_lookup(struct dsession *s)
{
	free(s->lookup);
	s->lookup = NULL;
}

void
dsession_close(struct dsession *s, const char *enhanced, const char *text, const char *how)
{
	if (stream_ended(&s->base.io))
		return;
	if (s->base.talk.phase == TALK_TLS) {
		(void)stream_end(&s->base.io, how);
		return;
	}
	(void)talk_close(&s->base.talk, how);
	(void)dsession_say(s, 421, enhanced, text);
	s->base.io.idle_since_ms = mono_ms(); /* the client gets time to read it */
}

void
dsession_drain(struct dsession *s)
{
	if (s->draining && !s->mail.begun)
		dsession_close(s, "4.3.2", "the server is going down, try again soon", "shutdown");
}

void
dsession_forget(struct dsession *s)
{
	dsession_drop_lookup(s);
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
	return s->base.listener->protocol == CONF_LMTP;
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

	snprintf(r->peer, sizeof(r->peer), "%s", s->base.peer->text);
	snprintf(r->state, sizeof(r->state), s->state == DSTATE_COMMAND ? "command" : "data");
	snprintf(r->kind, sizeof(r->kind), "%s", dsession_protocol(s));
	/* a client in the middle of a message is not pushed out */
	r->holds_credential = s->mail.begun;
	r->messages = (uint32_t)s->n_mails;
}

/* ---- log ------------------------------------------------------------------------------------- */

void
dsession_log_end(struct dsession *s)
{
	struct log_line l;

	log_begin(&l, LOG_LVL_INFO, "delivery-end");
	session_log(&s->base, &l);
	session_log_how(&s->base, &l);
	log_num(&l, "messages", s->n_mails);
	log_num(&l, "accepted", s->accepted);
	log_num(&l, "refused", s->refused);
	log_num(&l, "octets", s->octets);
	log_num(&l, "seconds", (uint64_t)(mono_ms() - s->base.talk.begun_ms) / 1000);
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
	session_log(&s->base, &l);
	snprintf(reply, sizeof(reply), "%u %s %s", (unsigned)r->code, r->enhanced, r->text);
	log_cstr(&l, "reply", reply);
	log_end(&l);
}

/* ---- replies --------------------------------------------------------------------------------- */

enum turn
dsession_say_of(struct dsession *s, const struct dreply *r, const char *whom)
{
	char line[DREPLY_MAX];

	stream_put(&s->base.io, line, dreply_line(line, r, whom, false));
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
	if (++s->errors < s->base.conf->delivery.max_errors || s->base.talk.phase == TALK_CLOSING)
		return TURN_ON;
	(void)dsession_say(s, 421, "4.7.0", "too many errors, closing");
	return talk_close(&s->base.talk, "too many errors");
}
