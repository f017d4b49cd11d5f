/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long replies, piece by piece: each function is called while the output ring has room, writes what
 * fits, and is called again. Modules are asked for a slice at a time, under a permit, and never
 * while bytes wait for a slow client. message.c sends messages.
 */
#include "pop3/produce.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/stats.h"
#include "pop3/cmd_trans.h"

#define SLICE_MS 50  /* then the permit goes back */
#define LINE_LIST 44 /* "msgno octets" CRLF at most */
#define LINE_UIDL 94 /* "msgno uidl" CRLF at most */

/* The work is done; the next command may be taken. */
static enum turn
produce_done(struct pop3 *s)
{
	s->work = WORK_NONE;
	return TURN_ON;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static enum turn
sizes_failed(struct pop3 *s, int32_t rc, const char *text)
{
	pop3_log_call(s, s->storage, "mbox_info", rc, text);
	(void)pop3_result(s, rc, "this command");
	return produce_done(s);
}

static int32_t
sizes_slice(struct pop3 *s)
{
	struct pm_msg info[VISIT_SLICE];
	struct maildrop *m = &s->drop;
	uint64_t left = m->count - m->sized;
	size_t n = left < VISIT_SLICE ? (size_t)left : VISIT_SLICE;
	int32_t rc = visit_info(&s->visit, &s->caller, m->sized, n, PM_WANT_OCTETS, info);

	for (size_t i = 0; rc == PM_OK && i < n; i++) {
		if (info[i].flags & PM_MSG_UNREADABLE)
			maildrop_set_unread(m, m->sized, true); /* the module has named it */
		maildrop_add_size(m, info[i].octets);
	}
	return rc;
}

enum turn
produce_sizes(struct pop3 *s)
{
	int64_t until_ms = mono_ms() + SLICE_MS;
	int32_t rc;

	do
		rc = sizes_slice(s);
	while (rc == PM_OK && s->drop.sized < s->drop.count && mono_ms() < until_ms);
	if (rc == PM_OK && s->drop.sized < s->drop.count)
		rc = caller_ask(&s->caller, s->storage, CALL_CONTINUE);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK)
		return sizes_failed(s, rc, s->visit.text);
	s->work = WORK_NONE;
	return cmd_trans_sized(s);
}

/* ---- LIST ------------------------------------------------------------------------------------ */

enum turn
produce_list(struct pop3 *s)
{
	char line[LINE_LIST];

	while (ring_room(&s->base.io.out) >= LINE_LIST + 3) {
		size_t n;

		s->next_idx = maildrop_next_live(&s->drop, s->next_idx);
		if (s->next_idx == s->drop.count) {
			stream_put(&s->base.io, ".\r\n", 3);
			return produce_done(s);
		}
		n = num_format(line, s->next_idx + 1);
		line[n++] = ' ';
		n += num_format(line + n, s->drop.octets[s->next_idx]);
		memcpy(line + n, "\r\n", 2);
		stream_put(&s->base.io, line, n + 2);
		s->next_idx++;
	}
	return TURN_ON; /* the ring is full: it is flushed before the next piece */
}

/* ---- UIDL ------------------------------------------------------------------------------------ */

static void
put_uidl(struct pop3 *s, uint64_t idx, const struct pm_msg *info)
{
	char line[LINE_UIDL];
	size_t n = num_format(line, idx + 1);

	line[n++] = ' ';
	memcpy(line + n, info->uidl, info->uidl_len);
	n += info->uidl_len;
	memcpy(line + n, "\r\n", 2);
	stream_put(&s->base.io, line, n + 2);
}

/* Before the first line a failure is an -ERR; after it, only closing the connection is honest. */
static enum turn
uidl_failed(struct pop3 *s, int32_t rc, const char *text)
{
	pop3_log_call(s, s->storage, "mbox_info", rc, text);
	if (s->one || s->next_idx == 0) {
		(void)pop3_result(s, rc, "UIDL");
		return produce_done(s);
	}
	s->work = WORK_NONE;
	stat_add(STAT_READ_ERROR, 1);
	(void)stream_end(&s->base.io, "read error");
	return TURN_ON;
}

static void
put_uidls(struct pop3 *s, const struct pm_msg *info, size_t n)
{
	char text[40];

	if (s->one) {
		snprintf(text, sizeof(text), "+OK %llu ", (unsigned long long)s->msg_idx + 1);
		stream_put(&s->base.io, text, strlen(text));
		stream_put(&s->base.io, info[0].uidl, info[0].uidl_len);
		stream_put(&s->base.io, "\r\n", 2);
		return;
	}
	if (s->next_idx == 0)
		(void)pop3_ok(s, "unique-ids follow");
	for (size_t i = 0; i < n; i++)
		if (!maildrop_deleted(&s->drop, s->next_idx + i))
			put_uidl(s, s->next_idx + i, &info[i]);
}

enum turn
produce_uidl(struct pop3 *s)
{
	struct pm_msg info[VISIT_SLICE];
	uint64_t left = s->one ? 1 : s->drop.count - s->next_idx;
	size_t n = left < VISIT_SLICE ? (size_t)left : VISIT_SLICE;
	int32_t rc;

	if (s->drop.count == 0) {
		(void)pop3_ok(s, "unique-ids follow");
		stream_put(&s->base.io, ".\r\n", 3);
		return produce_done(s);
	}
	rc = visit_info(&s->visit, &s->caller, s->next_idx, n, PM_WANT_UIDL, info);
	if (rc == PM_AGAIN)
		return TURN_PERMIT;
	if (rc != PM_OK)
		return uidl_failed(s, rc, s->visit.text);
	put_uidls(s, info, n);
	s->next_idx += n;
	if (s->one)
		return produce_done(s);
	if (s->next_idx == s->drop.count) {
		stream_put(&s->base.io, ".\r\n", 3);
		return produce_done(s);
	}
	return TURN_ON;
}
