/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: RFC 5321 section 4.1, RFC 2033 for LMTP, and the extensions that are announced. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/stats.h"
#include "smtp/command.h"
#include "smtp/room.h"
#include "smtp/to_badmail.h"

static enum turn
bad_argument(struct dsession *s, const char *text)
{
	return dsession_fault(s, 501, "5.5.4", text);
}

static enum turn
out_of_order(struct dsession *s, const char *text)
{
	return dsession_fault(s, 503, "5.5.1", text);
}

/* ---- who speaks ------------------------------------------------------------------------------ */

static void
put_line(struct dsession *s, const char *text, bool more)
{
	char line[300];

	stream_put(&s->io, line,
		   (size_t)snprintf(line, sizeof(line), "250%c%.280s\r\n", more ? '-' : ' ', text));
}

static bool
offers_starttls(const struct dsession *s)
{
	return s->listener->tls == CONF_TLS_STARTTLS && s->conf->tls && !s->io.conn.ssl;
}

static void
put_extensions(struct dsession *s)
{
	char size[40];

	put_line(s, s->conf->hostname, true);
	put_line(s, "PIPELINING", true);
	if (offers_starttls(s))
		put_line(s, "STARTTLS", true);
	if (xclient_allowed(s))
		put_line(s, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", true);
	put_line(s, "8BITMIME", true);
	put_line(s, "SMTPUTF8", true);
	put_line(s, "CHUNKING", true);
	put_line(s, "ENHANCEDSTATUSCODES", true);
	snprintf(size, sizeof(size), "SIZE %llu", (unsigned long long)s->conf->delivery.max_size);
	put_line(s, size, false);
}

/* RSET and all that includes it. */
static enum turn
dcmd_reset(struct dsession *s)
{
	if (!envelope_has_handles(&s->mail)) {
		dsession_forget(s);
		return TURN_ON;
	}
	s->mail.forget = true;
	return store_abort(s);
}

static enum turn
cmd_hello(struct dsession *s, const struct dcommand *c)
{
	if (dsession_is_lmtp(s) != (c->verb == DVERB_LHLO))
		return dsession_fault(s, 500, "5.5.1",
				      dsession_is_lmtp(s) ? "this is LMTP: LHLO, please"
							  : "this is SMTP: EHLO or HELO, please");
	if (!dparse_name(c->args, c->n))
		return bad_argument(s, "your name is missing, or has characters no host name has");
	s->helo = arena_dup(&s->arena, c->args, c->n);
	if (!s->helo)
		return stream_end(&s->io, "out of memory");
	s->esmtp = c->verb != DVERB_HELO;
	if (s->esmtp)
		put_extensions(s);
	else
		put_line(s, s->conf->hostname, false);
	return dcmd_reset(s);
}

static enum turn
cmd_starttls(struct dsession *s, const struct dcommand *c)
{
	if (!offers_starttls(s))
		return dsession_fault(s, s->io.conn.ssl ? 503 : 502, "5.5.1",
				      s->io.conn.ssl ? "it is encrypted already"
						     : "STARTTLS is not offered here");
	if (c->n > 0)
		return bad_argument(s, "STARTTLS takes no argument");
	if (s->mail.begun)
		return out_of_order(s, "not in the midst of a message");
	s->talk.starttls = true;
	return dsession_say(s, 220, "2.0.0", "go ahead");
}

/* ---- the envelope ---------------------------------------------------------------------------- */

static enum turn
bad_path(struct dsession *s, bool from, enum dpath_result r, const char *why)
{
	if (r == DPATH_ADDRESS)
		return dsession_fault(s, 501, from ? "5.1.7" : "5.1.3", why);
	return dsession_fault(s, r == DPATH_PARAMETER ? 555 : 501, "5.5.4", why);
}

static enum turn
mail_accepted(struct dsession *s, const struct dpath *p)
{
	struct envelope *e = &s->mail;
	char quoted[ADDRESS_QUOTED_MAX + 1];

	e->sender =
		arena_dup(&e->arena, quoted, address_quote(p->address.text, p->address.n, quoted));
	if (!e->sender)
		return dsession_say(s, 452, "4.3.0", "out of memory, try again later");
	e->begun = true;
	e->utf8 = p->utf8;
	e->eight_bit = p->eight_bit;
	e->size = p->size;
	secret_random(e->op_id, sizeof(e->op_id));
	snprintf(e->id, sizeof(e->id), "%llx.%llx.%llx", (unsigned long long)wall_ms() / 1000,
		 (unsigned long long)s->task.id, (unsigned long long)s->n_mails);
	return dsession_say(s, 250, "2.1.0", "sender ok");
}

static enum turn
cmd_mail(struct dsession *s, const struct dcommand *c)
{
	const char *why;
	struct dpath p;
	struct dreply full;
	enum dpath_result r;

	if (!s->helo)
		return out_of_order(s, dsession_is_lmtp(s) ? "LHLO first" : "EHLO or HELO first");
	if (s->mail.begun)
		return out_of_order(s, "there is a sender already; RSET begins anew");
	r = dparse_path(c->args, c->n, true, &p, &why);
	if (r != DPATH_OK)
		return bad_path(s, true, r, why);
	if (p.address.utf8 && !p.utf8)
		return dsession_fault(s, 553, "5.6.7",
				      "an internationalized address needs SMTPUTF8");
	if (p.size != UINT64_MAX && p.size > s->conf->delivery.max_size)
		return dsession_say(s, 552, "5.3.4",
				    "the message is larger than this server takes");
	if (!room_at_door(s, p.size, &full))
		return dsession_say_of(s, &full, NULL);
	if (!to_badmail_door(s, p.size))
		return dsession_say(s, 451, "4.3.1",
				    "too much mail waits for another try, try again later");
	return mail_accepted(s, &p);
}

static enum turn
cmd_rcpt(struct dsession *s, const struct dcommand *c)
{
	const char *why;
	struct dpath p;
	enum dpath_result r;

	if (!s->mail.begun || s->mail.storing)
		return out_of_order(s, s->mail.begun ? "the message has begun" : "MAIL first");
	r = dparse_path(c->args, c->n, false, &p, &why);
	if (r != DPATH_OK)
		return bad_path(s, false, r, why);
	if (p.address.null)
		return dsession_fault(s, 501, "5.1.3", "a recipient is needed");
	if (p.address.utf8 && !s->mail.utf8)
		return dsession_fault(s, 553, "5.6.7",
				      "an internationalized address needs SMTPUTF8");
	if (s->mail.n_rcpts >= s->conf->delivery.max_recipients)
		return dsession_say(s, 452, "4.5.3",
				    "this message has as many recipients as it may have");
	return rcpt_start(s, &p.address);
}

/* ---- the message ----------------------------------------------------------------------------- */

static enum turn
cmd_data(struct dsession *s, const struct dcommand *c)
{
	if (s->bdat)
		return out_of_order(s, "the message has begun by BDAT"); /* RFC 3030 section 2 */
	if (c->n > 0)
		return bad_argument(s, "DATA takes no argument");
	if (!s->mail.begun)
		return out_of_order(s, "MAIL first");
	if (s->mail.n_rcpts == 0)
		return out_of_order(s, "no valid recipients");
	return intake_data(s);
}

static enum turn
cmd_bdat(struct dsession *s, const struct dcommand *c)
{
	uint64_t octets;
	bool last;

	if (!dparse_bdat(c->args, c->n, &octets, &last)) {
		/* how much to read away is not known: what follows would be taken for commands */
		(void)dsession_say(s, 501, "5.5.4",
				   "BDAT needs a number of octets, and perhaps LAST; closing");
		return talk_close(&s->talk, "BDAT without a length");
	}
	return intake_bdat(s, octets, last);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static enum turn
dcmd_cmd_rset(struct dsession *s, const struct dcommand *c)
{
	if (c->n > 0)
		return bad_argument(s, "RSET takes no argument");
	(void)dsession_say(s, 250, "2.0.0", "ok");
	return dcmd_reset(s);
}

static enum turn
dcmd_cmd_quit(struct dsession *s, const struct dcommand *c)
{
	if (c->n > 0)
		return bad_argument(s, "QUIT takes no argument");
	(void)dsession_say(s, 221, "2.0.0", "bye");
	return talk_close(&s->talk, "quit");
}

static enum turn
dcmd_cmd_noop(struct dsession *s, const struct dcommand *c)
{
	(void)c; /* RFC 5321 section 4.1.1.9: its argument is ignored */
	return dsession_say(s, 250, "2.0.0", "ok");
}

static enum turn
cmd_vrfy(struct dsession *s, const struct dcommand *c)
{
	if (c->n == 0)
		return bad_argument(s, "VRFY needs a name");
	/* RFC 5321 section 7.3: nobody learns here which addresses there are */
	return dsession_say(s, 252, "2.5.2", "send it, and RCPT will say");
}

static enum turn
cmd_help(struct dsession *s, const struct dcommand *c)
{
	(void)c;
	return dsession_say(s, 214, "2.0.0", "see RFC 5321 and RFC 2033");
}

static enum turn
not_mail(struct dsession *s)
{
	(void)dsession_say(s, 421, "4.7.0", "this is a mail server; closing");
	return talk_close(&s->talk, "it speaks HTTP");
}

enum turn
command_run(struct dsession *s, const struct dcommand *c)
{
	switch (c->verb) {
	case DVERB_LHLO:
	case DVERB_HELO:
	case DVERB_EHLO:
		return cmd_hello(s, c);
	case DVERB_MAIL:
		return cmd_mail(s, c);
	case DVERB_RCPT:
		return cmd_rcpt(s, c);
	case DVERB_DATA:
		return cmd_data(s, c);
	case DVERB_BDAT:
		return cmd_bdat(s, c);
	case DVERB_RSET:
		return dcmd_cmd_rset(s, c);
	case DVERB_NOOP:
		return dcmd_cmd_noop(s, c);
	case DVERB_VRFY:
		return cmd_vrfy(s, c);
	case DVERB_QUIT:
		return dcmd_cmd_quit(s, c);
	case DVERB_STARTTLS:
		return cmd_starttls(s, c);
	case DVERB_XCLIENT:
		return xclient_command(s, c);
	case DVERB_HELP:
		return cmd_help(s, c);
	case DVERB_NOT_MAIL:
		return not_mail(s);
	case DVERB_ELSEWHERE:
		return dsession_fault(s, 502, "5.5.1", "this command is not offered here");
	default:
		return dsession_fault(s, 500, "5.5.2", "unknown command");
	}
}
