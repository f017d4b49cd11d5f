/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the TRANSACTION state (RFC 1939 s5, s7). Numbers never shift after DELE. The
 * store is asked for sizes when the first answer needs them: a client that only compares unique-ids
 * never waits for a size scan.
 */
#include "pop3/cmd_trans.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/num.h"
#include "base/stats.h"
#include "pop3/cmd_auth.h"
#include "pop3/message.h"
#include "pop3/update.h"

#define NO_SUCH "no such message"

/* The index of the message that argument i names; false: there is none, or it is deleted. */
static bool
message_arg(struct pop3 *s, const struct command *c, unsigned i, uint64_t *ret_idx)
{
	uint64_t msgno;

	return num_parse(c->arg[i].p, c->arg[i].n, UINT64_MAX, &msgno) &&
	       maildrop_find(&s->drop, msgno, ret_idx);
}

/* Runs cmd_trans_sized() for the verb once all sizes are known, at once if they already are. */
static enum turn
with_sizes(struct pop3 *s, enum verb verb)
{
	s->verb = (uint8_t)verb;
	if (s->drop.sized == s->drop.count)
		return cmd_trans_sized(s);
	if (!maildrop_need_sizes(&s->drop))
		return pop3_result(s, PM_NOMEM, "this command");
	s->work = WORK_SIZES;
	return TURN_ON;
}

static enum turn
say_stat(struct pop3 *s)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)s->drop.live_count,
		 (unsigned long long)s->drop.live_octets);
	return pop3_ok(s, text);
}

static enum turn
say_list_one(struct pop3 *s)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)s->msg_idx + 1,
		 (unsigned long long)s->drop.octets[s->msg_idx]);
	return pop3_ok(s, text);
}

static enum turn
begin_list(struct pop3 *s)
{
	char text[96];

	snprintf(text, sizeof(text), "%llu messages (%llu octets)",
		 (unsigned long long)s->drop.live_count, (unsigned long long)s->drop.live_octets);
	(void)pop3_ok(s, text);
	s->next_idx = 0;
	s->work = WORK_LIST;
	return TURN_ON;
}

enum turn
cmd_trans_sized(struct pop3 *s)
{
	switch ((enum verb)s->verb) {
	case VERB_STAT:
		return say_stat(s);
	case VERB_LIST:
		return s->one ? say_list_one(s) : begin_list(s);
	default:
		return message_begin(s);
	}
}

/* ---- commands -------------------------------------------------------------------------------- */

static enum turn
cmd_stat(struct pop3 *s, const struct command *c)
{
	(void)c;
	return with_sizes(s, VERB_STAT);
}

static enum turn
cmd_list(struct pop3 *s, const struct command *c)
{
	s->one = c->argc == 1;
	if (s->one && !message_arg(s, c, 0, &s->msg_idx))
		return pop3_err(s, CODE_NONE, NO_SUCH);
	return with_sizes(s, VERB_LIST);
}

static enum turn
cmd_uidl(struct pop3 *s, const struct command *c)
{
	s->one = c->argc == 1;
	if (s->one && !message_arg(s, c, 0, &s->msg_idx))
		return pop3_err(s, CODE_NONE, NO_SUCH);
	s->verb = VERB_UIDL;
	s->next_idx = s->one ? s->msg_idx : 0;
	s->work = WORK_UIDL;
	return TURN_ON;
}

static enum turn
cmd_retr(struct pop3 *s, const struct command *c)
{
	if (!message_arg(s, c, 0, &s->msg_idx))
		return pop3_err(s, CODE_NONE, NO_SUCH);
	return with_sizes(s, VERB_RETR);
}

static enum turn
cmd_top(struct pop3 *s, const struct command *c)
{
	if (!message_arg(s, c, 0, &s->msg_idx))
		return pop3_err(s, CODE_NONE, NO_SUCH);
	if (!num_parse(c->arg[1].p, c->arg[1].n, UINT64_MAX - 1, &s->top_lines))
		return pop3_err(s, CODE_NONE, "TOP needs a message and a number of lines");
	s->verb = VERB_TOP;
	return message_begin(s);
}

static enum turn
cmd_dele(struct pop3 *s, const struct command *c)
{
	uint64_t idx;

	if (!message_arg(s, c, 0, &idx))
		return pop3_err(s, CODE_NONE, NO_SUCH);
	if (!(s->user.rights & PM_RIGHT_DELETE))
		return pop3_err(s, CODE_SYS_PERM, "this account may not delete");
	/* the client cannot have it: a message that cannot be read now may be readable tomorrow */
	if (maildrop_unread(&s->drop, idx))
		return pop3_err(s, CODE_SYS_TEMP,
				"this message cannot be read now, it is not deleted");
	maildrop_delete(&s->drop, idx);
	talk_publish(&s->base.talk);
	return pop3_ok(s, "deleted at QUIT");
}

static enum turn
cmd_rset(struct pop3 *s, const struct command *c)
{
	(void)c;
	maildrop_reset(&s->drop);
	talk_publish(&s->base.talk);
	return pop3_ok(s, "nothing is deleted");
}

static enum turn
cmd_noop(struct pop3 *s, const struct command *c)
{
	(void)c;
	return pop3_ok(s, "");
}

const struct command_row trans_commands[] = {
	{VERB_STAT, 0, 0, cmd_stat, "STAT takes no argument"},
	{VERB_LIST, 0, 1, cmd_list, "LIST takes one message number or none"},
	{VERB_UIDL, 0, 1, cmd_uidl, "UIDL takes one message number or none"},
	{VERB_RETR, 1, 1, cmd_retr, "RETR needs a message number"},
	{VERB_TOP, 2, 2, cmd_top, "TOP needs a message and a number of lines"},
	{VERB_DELE, 1, 1, cmd_dele, "DELE needs a message number"},
	{VERB_RSET, 0, 0, cmd_rset, "RSET takes no argument"},
	{VERB_NOOP, 0, 0, cmd_noop, "NOOP takes no argument"},
	{VERB_CAPA, 0, 0, cmd_auth_capa, "CAPA takes no argument"},
	{VERB_QUIT, 0, 0, update_quit, "QUIT takes no argument"},
	{VERB_UNKNOWN, 0, 0, NULL, NULL},
};
