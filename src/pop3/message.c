/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RETR and TOP: a message on its way to the client, piece by piece (produce.c).
 *
 * Nothing is promised before the first piece was read: a failure until then is an -ERR, and the
 * session goes on. RETR asks the store for the size again when the message is open, since the file
 * may not be the one that was listed. After that, a message that cannot be read to its end, or does
 * not have the announced size, is never ended by a dot: the connection is closed, so that a broken
 * message looks broken (popa3d's rule), and it does not count as retrieved.
 *
 * Clients fetch in order and would meet the same message first in each session. So a message that
 * broke off is a suspect: before it is sent again it is read through, and if that fails it is
 * refused alone. A message that was read through has the size that was read, whatever the store
 * reports.
 */
#include "pop3/message.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "pop3/suspect.h"

#define SLICE_MS 50     /* then the permit goes back */
#define READ_PIECE 8192 /* bytes of a message at a time */
#define HEAD_ROOM 64    /* the first line */
#define END_ROOM 8      /* wire_end */
#define LEAST_ROOM (2 * 512 + 2 + END_ROOM + HEAD_ROOM)
#define READ_TRIES 3

/* In this order, except that a suspect is opened again after it was read through. */
enum stage {
	STAGE_CLOSED,  /* to be opened */
	STAGE_PROVE,   /* a suspect is read through */
	STAGE_PROVED,  /* to be opened again */
	STAGE_MEASURE, /* RETR: how large is it, now that it is open? */
	STAGE_FIRST,   /* the first piece is to come: nothing has been promised yet */
	STAGE_SEND,
};

/* ---- ways out -------------------------------------------------------------------------------- */

/* The work is done; the next command may be taken. */
static enum turn
message_done(struct pop3 *s)
{
	s->work = WORK_NONE;
	return TURN_ON;
}

/* Did this message fail, rather than the store or the machine? */
static bool
is_its_own(int32_t rc)
{
	return rc == PM_TEMP || rc == PM_PERM || rc == PM_CORRUPT;
}

/* Refuses the message, of which nothing was promised. Which one failed is logged once in a
 * session; the module may have logged it before. */
static enum turn
message_refuse(struct pop3 *s, int32_t rc)
{
	bool its_own = is_its_own(rc);

	if (rc != PM_GONE && !(its_own && maildrop_unread(&s->drop, s->next_idx)))
		pop3_log_call(s, s->storage, s->visit.msg ? "msg_read" : "msg_open", rc,
			      s->visit.text);
	visit_end_message(&s->visit, &s->caller);
	if (its_own)
		maildrop_set_unread(&s->drop, s->next_idx, true);
	(void)pop3_result(s, its_own ? PM_TEMP : rc, "this message");
	return message_done(s);
}

static uint64_t
box_of(const struct pop3 *s)
{
	const struct pm_str *key = s->user.key.n > 0 ? &s->user.key : &s->user.name;

	return suspect_box(s->storage->section, key->p, key->n);
}

/* Asks for the unique-id, by which another session will know the message. Not to be asked of a
 * store that is down. */
static int32_t
ask_uidl(struct pop3 *s, struct pm_msg *info)
{
	return visit_info(&s->visit, &s->caller, s->next_idx, 1, PM_WANT_UIDL, info);
}

/* Ends the session without the terminating dot. */
static enum turn
end_broken(struct pop3 *s)
{
	stat_add(STAT_READ_ERROR, 1);
	s->work = WORK_NONE;
	(void)stream_end(&s->base.io, "read error in the midst of a message");
	return TURN_ON;
}

/* As end_broken, of a message that was promised: it is a suspect from now on. */
static enum turn
break_off(struct pop3 *s, int32_t rc)
{
	struct pm_msg info;

	if (rc != PM_OK)
		pop3_log_call(s, s->storage, "msg_read", rc, s->visit.text);
	if (rc != PM_DOWN && ask_uidl(s, &info) == PM_OK)
		suspect_add(box_of(s), info.uidl, info.uidl_len);
	return end_broken(s);
}

/* Not the message's fault. If it is open, it is given back with the mailbox. */
static enum turn
no_permit(struct pop3 *s, int32_t rc)
{
	pop3_log_call(s, s->storage, s->visit.msg ? "msg_read" : "msg_open", rc,
		      "no permit in time");
	if (s->visit.msg)
		return end_broken(s);
	(void)pop3_result(s, rc, "this message");
	return message_done(s);
}

/* TEMP and TIMEOUT keep the position: two more tries. */
static enum turn
read_failed(struct pop3 *s, int32_t rc)
{
	if ((rc == PM_TEMP || rc == PM_TIMEOUT) && ++s->read_errors < READ_TRIES)
		return TURN_ON;
	return s->stage == STAGE_SEND ? break_off(s, rc) : message_refuse(s, rc);
}

/* ---- before it is sent ----------------------------------------------------------------------- */

/* PM_OK: go on; PM_AGAIN: with another permit. */
static int32_t
open_it(struct pop3 *s)
{
	bool look = s->stage == STAGE_CLOSED && suspect_any(box_of(s));
	struct pm_msg info;
	int32_t rc = look ? ask_uidl(s, &info) : PM_OK;

	if (look && rc == PM_OK)
		s->suspect = suspect_has(box_of(s), info.uidl, info.uidl_len);
	if (rc == PM_OK)
		rc = visit_begin_message(&s->visit, &s->caller, s->next_idx);
	if (rc == PM_OK)
		s->stage = s->suspect && s->stage == STAGE_CLOSED ? STAGE_PROVE : STAGE_MEASURE;
	return rc;
}

/* Reads the message as it will be read for the client, and throws it away. */
static int32_t
message_prove(struct pop3 *s)
{
	char in[READ_PIECE], out[2 * READ_PIECE + 2];
	int64_t until_ms = mono_ms() + SLICE_MS;
	int32_t rc = PM_OK;

	while (rc == PM_OK && !s->wire.done && mono_ms() < until_ms) {
		size_t got;

		rc = visit_read(&s->visit, &s->caller, in, sizeof(in), &got);
		if (rc == PM_OK)
			(void)wire_feed(&s->wire, in, got, out, sizeof(out));
		else if (rc == PM_END)
			(void)wire_end(&s->wire, out, sizeof(out));
	}
	if (rc != PM_OK && rc != PM_END)
		return rc;
	if (!s->wire.done)
		return caller_ask(&s->caller, s->storage, CALL_CONTINUE);
	visit_end_message(&s->visit, &s->caller);
	s->proved = s->wire.octets;
	wire_init(&s->wire, s->verb == VERB_TOP ? s->top_lines : WIRE_ALL);
	s->stage = STAGE_PROVED;
	return PM_OK;
}

/* The size that the store reports now is more reliable than the listed one, and the size that was
 * read more reliable than both. */
static int32_t
message_measure(struct pop3 *s)
{
	struct pm_msg info;
	int32_t rc;

	s->stage = STAGE_FIRST;
	if (s->verb != VERB_RETR)
		return PM_OK;
	rc = visit_info(&s->visit, &s->caller, s->next_idx, 1, PM_WANT_OCTETS, &info);
	if (rc == PM_AGAIN)
		s->stage = STAGE_MEASURE;
	if (rc == PM_OK && (info.flags & PM_MSG_UNREADABLE))
		return PM_TEMP;
	if (rc != PM_OK)
		return rc;
	maildrop_set_size(&s->drop, s->next_idx, s->suspect ? s->proved : info.octets);
	/* a message whose store reports the wrong size in every session stays a suspect */
	if (s->suspect && s->proved == info.octets && ask_uidl(s, &info) == PM_OK)
		suspect_drop(box_of(s), info.uidl, info.uidl_len);
	return PM_OK;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void
put_head(struct pop3 *s)
{
	char text[48];

	s->stage = STAGE_SEND;
	if (s->verb == VERB_RETR)
		snprintf(text, sizeof(text), "%llu octets",
			 (unsigned long long)s->drop.octets[s->next_idx]);
	(void)pop3_ok(s, s->verb == VERB_RETR ? text : "top of message follows");
}

static enum turn
message_mismatch(struct pop3 *s)
{
	stat_add(STAT_SIZE_MISMATCH, 1);
	log_msg(LOG_LVL_WARNING, "size-mismatch",
		"section %s, mailbox of '%.*s', message %llu: announced %llu octets, read %llu; it "
		"was not ended",
		s->storage->section, (int)s->user.name.n, s->user.name.p,
		(unsigned long long)s->next_idx + 1,
		(unsigned long long)s->drop.octets[s->next_idx],
		(unsigned long long)s->wire.octets);
	return s->stage == STAGE_SEND ? break_off(s, PM_OK) : message_refuse(s, PM_TEMP);
}

static enum turn
message_finish(struct pop3 *s)
{
	char tail[END_ROOM];
	size_t n = wire_end(&s->wire, tail, sizeof(tail));

	if (s->verb == VERB_RETR && s->wire.octets != s->drop.octets[s->next_idx])
		return message_mismatch(s);
	if (s->stage == STAGE_FIRST)
		put_head(s);
	stream_put(&s->base.io, tail, n);
	visit_end_message(&s->visit, &s->caller);
	if (s->verb == VERB_RETR) {
		maildrop_set_unread(&s->drop, s->next_idx, false);
		maildrop_set_retrieved(&s->drop, s->next_idx);
		s->retrieved++;
		s->retrieved_octets += s->wire.octets;
		stat_add(STAT_RETRIEVED, 1);
		stat_add(STAT_OCTETS_OUT, s->wire.octets);
	}
	return message_done(s);
}

/* Sends as much as fits the ring; each byte may become two. */
static enum turn
message_pump(struct pop3 *s)
{
	char in[READ_PIECE], out[2 * READ_PIECE + 2];

	for (;;) {
		size_t room = ring_room(&s->base.io.out), cap, got;
		int32_t rc;

		if (room < LEAST_ROOM)
			return TURN_ON;
		cap = (room - 2 - END_ROOM - HEAD_ROOM) / 2;
		if (cap > sizeof(in))
			cap = sizeof(in);
		rc = visit_read(&s->visit, &s->caller, in, cap, &got);
		if (rc == PM_END)
			return message_finish(s);
		if (rc == PM_AGAIN)
			return TURN_PERMIT;
		if (rc != PM_OK)
			return read_failed(s, rc);
		s->read_errors = 0;
		if (s->stage == STAGE_FIRST)
			put_head(s);
		stream_put(&s->base.io, out, wire_feed(&s->wire, in, got, out, sizeof(out)));
		if (s->wire.done)
			return message_finish(s); /* TOP has its lines */
	}
}

enum turn
message_begin(struct pop3 *s)
{
	s->next_idx = s->msg_idx;
	s->read_errors = 0;
	s->suspect = false;
	s->stage = STAGE_CLOSED;
	wire_init(&s->wire, s->verb == VERB_TOP ? s->top_lines : WIRE_ALL);
	s->work = WORK_MSG;
	return TURN_ON;
}

enum turn
message_send(struct pop3 *s)
{
	int32_t rc;

	rc = caller_permit(&s->caller, s->storage,
			   s->stage != STAGE_CLOSED ? CALL_CONTINUE : CALL_BEGIN);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK)
		return no_permit(s, rc);
	while (rc == PM_OK && s->stage < STAGE_FIRST)
		rc = s->stage == STAGE_PROVE     ? message_prove(s)
		     : s->stage == STAGE_MEASURE ? message_measure(s)
						 : open_it(s);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK)
		return s->stage == STAGE_PROVE ? read_failed(s, rc) : message_refuse(s, rc);
	return message_pump(s);
}
