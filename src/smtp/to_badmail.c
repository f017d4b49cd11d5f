/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail that goes to Badmail. REFUSED: mail for unknown recipients, if the site wants it kept
 * (unknown_recipient = badmail). RETRY: SMTP has one reply for all recipients; if one store fails,
 * the copy that it did not take is made durable here and the others are delivered, or nothing is.
 * LMTP needs no RETRY: the client keeps the mail that failed.
 *
 * A message that is larger than the chunk is written to Badmail while it comes, if it may be needed
 * there; a smaller one is written when it is needed.
 */
#include "smtp/to_badmail.h"

#include <stdlib.h>
#include <string.h>

#include "badmail/badmail.h"
#include "base/log.h"
#include "base/stats.h"
#include "host/answer.h"
#include "smtp/trace.h"

#define TEXT_MAX 200

static bool
has_kept(const struct envelope *e)
{
	for (size_t i = 0; i < e->n_rcpts; i++)
		if (e->rcpts[i].kept)
			return true;
	return false;
}

bool
to_badmail_wanted(const struct dsession *s)
{
	const struct envelope *e = &s->mail;

	if (e->to_badmail_rc != PM_OK || !badmail_backend(s->base.conf))
		return false;
	return e->badmail || (!e->ended && !e->handed && (has_kept(e) || !dsession_is_lmtp(s)));
}

/* Would the sender gain nothing by keeping it? */
static bool
is_keepable(int32_t rc)
{
	return rc != PM_QUOTA && rc != PM_CANCELLED && dreply_of(rc, false).code / 100 == 4;
}

static bool
target_needs(const struct target *t)
{
	return t->wanted && t->rc != PM_OK && t->rc != PM_EXISTS;
}

bool
to_badmail_due(const struct dsession *s)
{
	const struct envelope *e = &s->mail;
	bool any = has_kept(e) && !e->kept_done;

	if (e->to_badmail_rc != PM_OK || !badmail_backend(s->base.conf))
		return false;
	for (size_t i = 0; i < e->n_targets && !dsession_is_lmtp(s); i++) {
		if (target_needs(&e->targets[i]) && !is_keepable(e->targets[i].rc))
			return false;
		any = any || target_needs(&e->targets[i]);
	}
	for (size_t i = 0; i < e->n_rcpts; i++)
		if (e->rcpts[i].loops && !dsession_is_lmtp(s))
			return false;
	return any;
}

static void
to_badmail_failed(struct dsession *s, int32_t rc, const char *text)
{
	static struct log_rate rate;
	uint64_t held;

	s->mail.to_badmail_rc = rc;
	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_ERROR, "badmail", "mail cannot be kept: %s (%llu more times since)",
			text, (unsigned long long)held);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Under the permit: writes the chunk, preceded by the lines that begin every copy. */
static int32_t
put_chunk(struct dsession *s, char *text)
{
	struct envelope *e = &s->mail;
	char received[TRACE_MAX];
	int32_t rc = PM_OK;

	if (!e->badmail) {
		rc = badmail_begin(s->base.conf, &e->badmail, text);
		if (rc == PM_OK)
			rc = badmail_write(e->badmail, received, trace_received(s, received));
	}
	return rc == PM_OK && e->chunk_n > 0 ? badmail_write(e->badmail, e->chunk, e->chunk_n) : rc;
}

enum turn
to_badmail_write(struct dsession *s)
{
	struct envelope *e = &s->mail;
	char text[TEXT_MAX] = "a file cannot be written";
	struct host_call call;
	int32_t rc;

	rc = caller_enter(&s->caller, badmail_backend(s->base.conf),
			  e->badmail ? CALL_CONTINUE : CALL_BEGIN, "write",
			  badmail_backend(s->base.conf)->limits.call_ms, &call);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK) {
		to_badmail_failed(s, rc, "no permit in time");
	} else {
		rc = put_chunk(s, text);
		if (rc != PM_OK)
			to_badmail_failed(s, rc, text);
	}
	s->work = DWORK_WRITE;
	return TURN_ON;
}

/* ---- items ----------------------------------------------------------------------------------- */

static struct pm_str
to_badmail_str(const char *p)
{
	return (struct pm_str){p, strlen(p)};
}

/* Collects the recipients of one class; returns how many. names: their accounts, for RETRY only. */
static size_t
to_badmail_collect(const struct envelope *e, enum badmail_class cls, struct pm_str *rcpts,
		   struct pm_str *names, int32_t *ret_rc)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_rcpts && cls == BADMAIL_REFUSED; i++)
		if (e->rcpts[i].kept)
			rcpts[n++] = to_badmail_str(e->rcpts[i].address);
	for (size_t i = 0; i < e->n_targets && cls == BADMAIL_RETRY; i++) {
		if (!target_needs(&e->targets[i]))
			continue;
		*ret_rc = e->targets[i].rc;
		rcpts[n] = to_badmail_str(e->targets[i].address);
		names[n++] = to_badmail_str(e->targets[i].account);
	}
	return n;
}

static int32_t
to_badmail_put_item(struct dsession *s, enum badmail_class cls, char *text)
{
	struct envelope *e = &s->mail;
	size_t max = e->n_rcpts + e->n_targets + 1;
	struct pm_str *rcpts = calloc(2 * max, sizeof(*rcpts));
	bool retry = cls == BADMAIL_RETRY;
	int32_t rc = PM_OK;
	size_t n = rcpts ? to_badmail_collect(e, cls, rcpts, rcpts + max, &rc) : 0;
	struct badmail_item item = {
		.cls = cls,
		.sender = to_badmail_str(e->sender),
		.rcpts = rcpts,
		.names = retry ? rcpts + max : NULL,
		.n_rcpts = n,
		.reason = to_badmail_str(retry ? dreply_of(rc, false).text
					       : "there is no such mailbox"),
		.detail = to_badmail_str(retry ? host_code_name(rc) : ""),
		.code = to_badmail_str(retry ? dreply_of(rc, false).enhanced : "5.1.1"),
		.source = to_badmail_str(dsession_protocol(s)),
		.peer = to_badmail_str(s->base.peer->host),
		.helo = to_badmail_str(s->helo ? s->helo : ""),
		.utf8 = e->utf8,
	};
	char id[17] = "";

	if (!rcpts)
		return PM_NOMEM;
	rc = n > 0 ? badmail_commit(e->badmail, &item, id, text) : PM_OK;
	if (rc == PM_OK && n > 0)
		log_msg(LOG_LVL_NOTICE, "badmail",
			"message %s is kept as %s item %s, for %zu recipients", e->id,
			retry ? "RETRY" : "REFUSED", id, n);
	free(rcpts);
	return rc;
}

/* Mail in Badmail is durable, and counts as delivered. */
static void
to_badmail_settle(struct dsession *s)
{
	struct envelope *e = &s->mail;

	e->kept_done = true;
	for (size_t i = 0; i < e->n_targets && !dsession_is_lmtp(s); i++)
		if (target_needs(&e->targets[i]))
			e->targets[i].rc = PM_OK;
}

static int32_t
put_items(struct dsession *s, char *text)
{
	struct envelope *e = &s->mail;
	int32_t rc = e->badmail ? PM_OK : e->split ? PM_TEMP : put_chunk(s, text);

	if (rc == PM_OK && !e->kept_done)
		rc = to_badmail_put_item(s, BADMAIL_REFUSED, text);
	if (rc == PM_OK && !dsession_is_lmtp(s))
		rc = to_badmail_put_item(s, BADMAIL_RETRY, text);
	return rc;
}

bool
to_badmail_commit(struct dsession *s, enum turn *ret)
{
	char text[TEXT_MAX] = "a file cannot be written";
	struct host_call call;
	int32_t rc;

	rc = caller_enter(&s->caller, badmail_backend(s->base.conf), CALL_GIVE_BACK, "commit",
			  badmail_backend(s->base.conf)->limits.commit_ms, &call);
	if (rc == PM_AGAIN) {
		*ret = TURN_PERMIT;
		return false;
	}
	if (rc != PM_OK) {
		to_badmail_failed(s, rc, "no permit in time");
		return true;
	}
	rc = put_items(s, text);
	if (rc == PM_OK)
		to_badmail_settle(s);
	else
		to_badmail_failed(s, rc, text);
	return true;
}

bool
to_badmail_end(struct dsession *s, enum turn *ret)
{
	struct host_call call;

	if (!s->mail.badmail)
		return true;
	if (caller_enter_home(&s->caller, badmail_backend(s->base.conf), "abort",
			      badmail_backend(s->base.conf)->limits.call_ms, &call) != PM_OK) {
		*ret = TURN_PERMIT;
		return false;
	}
	badmail_end(s->mail.badmail);
	s->mail.badmail = NULL;
	return true;
}

bool
to_badmail_door(struct dsession *s, uint64_t octets)
{
	char text[TEXT_MAX] = "";

	if (dsession_is_lmtp(s) || !badmail_backend(s->base.conf))
		return true;
	return badmail_door(s->base.conf, octets == UINT64_MAX ? 0 : octets, text, sizeof(text));
}
