/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: RFC 5321 section 4.1, RFC 2033 for LMTP, and the extensions that are announced. */

#include "smtp/dcmd.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "smtp/intake.h"
#include "smtp/rcpt.h"
#include "smtp/room.h"
#include "smtp/store.h"
#include "smtp/to_badmail.h"
#include "smtp/xclient.h"

#define CHECKS 6

/* The result of a check. */
enum check {
	CHECK_OK,
	CHECK_FAULT,  /* a mistake of the client, which is counted */
	CHECK_REFUSE, /* not now, or not here */
};

/* A command on its way through its row. */
struct dcmd {
	const struct dcommand *c;
	const char *usage; /* the row's */
	struct dpath path; /* for MAIL and RCPT, after its check */
	struct dreply no;  /* the reply of a check that did not pass */
};

struct dcmd_row {
	enum dverb verb;
	const char *usage; /* the answer to an argument of the wrong form */
	/* Called in this order until one does not pass. They change nothing. */
	enum check (*checks[CHECKS])(struct dsession *s, struct dcmd *d);
	/* May rely on all checks. Answers exactly once: at once, or by the work that it sets. */
	enum turn (*run)(struct dsession *s, const struct dcmd *d);
};

static enum check
not_well(struct dcmd *d, enum check how, unsigned code, const char *enhanced, const char *text)
{
	d->no = (struct dreply){(uint16_t)code, enhanced, text};
	return how;
}

static enum check
out_of_order(struct dcmd *d, const char *text)
{
	return not_well(d, CHECK_FAULT, 503, "5.5.1", text);
}

static enum check
bad_argument(struct dcmd *d)
{
	return not_well(d, CHECK_FAULT, 501, "5.5.4", d->usage);
}

static enum check
no_argument(struct dsession *s, struct dcmd *d)
{
	(void)s;
	return d->c->n > 0 ? bad_argument(d) : CHECK_OK;
}

static enum check
an_argument(struct dsession *s, struct dcmd *d)
{
	(void)s;
	return d->c->n == 0 ? bad_argument(d) : CHECK_OK;
}

static enum check
outside_of_mail(struct dsession *s, struct dcmd *d)
{
	return s->mail.begun ? out_of_order(d, "not in the midst of a message") : CHECK_OK;
}

/* ---- who speaks ------------------------------------------------------------------------------ */

static enum check
our_protocol(struct dsession *s, struct dcmd *d)
{
	bool lmtp = dsession_is_lmtp(s);

	return lmtp == (d->c->verb == DVERB_LHLO)
		       ? CHECK_OK
		       : not_well(d, CHECK_FAULT, 500, "5.5.1",
				  lmtp ? "this is LMTP: LHLO, please"
				       : "this is SMTP: EHLO or HELO, please");
}

static enum check
a_name(struct dsession *s, struct dcmd *d)
{
	(void)s;
	return dparse_name(d->c->args, d->c->n) ? CHECK_OK : bad_argument(d);
}

static void
put_line(struct dsession *s, const char *text, bool more)
{
	char line[300];

	stream_put(&s->base.io, line,
		   (size_t)snprintf(line, sizeof(line), "250%c%.280s\r\n", more ? '-' : ' ', text));
}

static bool
offers_starttls(const struct dsession *s)
{
	return s->base.listener->tls == CONF_TLS_STARTTLS && s->base.conf->tls &&
	       !s->base.io.conn.ssl;
}

static void
put_extensions(struct dsession *s)
{
	char size[40];

	put_line(s, s->base.conf->hostname, true);
	put_line(s, "PIPELINING", true);
	if (offers_starttls(s))
		put_line(s, "STARTTLS", true);
	if (xclient_allowed(s))
		put_line(s, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", true);
	put_line(s, "8BITMIME", true);
	put_line(s, "SMTPUTF8", true);
	put_line(s, "CHUNKING", true);
	put_line(s, "ENHANCEDSTATUSCODES", true);
	snprintf(size, sizeof(size), "SIZE %llu",
		 (unsigned long long)s->base.conf->delivery.max_size);
	put_line(s, size, false);
}

/* RSET, and the commands that include it. */
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
dcmd_hello(struct dsession *s, const struct dcmd *d)
{
	s->helo = arena_dup(&s->base.arena, d->c->args, d->c->n);
	if (!s->helo)
		return stream_end(&s->base.io, "out of memory");
	s->esmtp = d->c->verb != DVERB_HELO;
	if (s->esmtp)
		put_extensions(s);
	else
		put_line(s, s->base.conf->hostname, false);
	return dcmd_reset(s);
}

static enum check
tls_offered(struct dsession *s, struct dcmd *d)
{
	if (offers_starttls(s))
		return CHECK_OK;
	return not_well(d, CHECK_FAULT, s->base.io.conn.ssl ? 503 : 502, "5.5.1",
			s->base.io.conn.ssl ? "it is encrypted already"
					    : "STARTTLS is not offered here");
}

static enum turn
dcmd_starttls(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	s->base.talk.starttls = true;
	return dsession_say(s, 220, "2.0.0", "go ahead");
}

static enum check
a_proxy(struct dsession *s, struct dcmd *d)
{
	return xclient_allowed(s)
		       ? CHECK_OK
		       : not_well(d, CHECK_FAULT, 550, "5.7.0", "XCLIENT is not for you");
}

static enum turn
dcmd_xclient(struct dsession *s, const struct dcmd *d)
{
	return xclient_run(s, d->c);
}

/* ---- the envelope ---------------------------------------------------------------------------- */

/* MAIL's or RCPT's argument. */
static enum check
a_path(struct dcmd *d, bool from)
{
	const char *why;

	switch (dparse_path(d->c->args, d->c->n, from, &d->path, &why)) {
	case DPATH_OK:
		return CHECK_OK;
	case DPATH_ADDRESS:
		return not_well(d, CHECK_FAULT, 501, from ? "5.1.7" : "5.1.3", why);
	case DPATH_PARAMETER:
		return not_well(d, CHECK_FAULT, 555, "5.5.4", why);
	default:
		return not_well(d, CHECK_FAULT, 501, "5.5.4", why);
	}
}

/* RFC 6531 section 3.4: of SMTP, whose client gets the refusal. A server that hands mail on by LMTP
 * has taken it so, and could only bounce it. */
static enum check
needs_utf8(const struct dsession *s, struct dcmd *d)
{
	if (dsession_is_lmtp(s))
		return CHECK_OK;
	return not_well(d, CHECK_FAULT, 553, "5.6.7",
			"an internationalized address needs SMTPUTF8");
}

static enum check
after_hello(struct dsession *s, struct dcmd *d)
{
	if (s->helo)
		return CHECK_OK;
	return out_of_order(d, dsession_is_lmtp(s) ? "LHLO first" : "EHLO or HELO first");
}

static enum check
first_sender(struct dsession *s, struct dcmd *d)
{
	return s->mail.begun ? out_of_order(d, "there is a sender already; RSET begins anew")
			     : CHECK_OK;
}

static enum check
a_sender(struct dsession *s, struct dcmd *d)
{
	enum check is = a_path(d, true);

	return is == CHECK_OK && d->path.address.utf8 && !d->path.utf8 ? needs_utf8(s, d) : is;
}

static enum check
not_too_large(struct dsession *s, struct dcmd *d)
{
	if (d->path.size == UINT64_MAX || d->path.size <= s->base.conf->delivery.max_size)
		return CHECK_OK;
	return not_well(d, CHECK_REFUSE, 552, "5.3.4",
			"the message is larger than this server takes");
}

static enum check
room_in_volumes(struct dsession *s, struct dcmd *d)
{
	return room_at_door(s, d->path.size, &d->no) ? CHECK_OK : CHECK_REFUSE;
}

static enum check
room_in_badmail(struct dsession *s, struct dcmd *d)
{
	if (to_badmail_door(s, d->path.size))
		return CHECK_OK;
	return not_well(d, CHECK_REFUSE, 451, "4.3.1",
			"too much mail waits for another try, try again later");
}

static enum turn
dcmd_mail(struct dsession *s, const struct dcmd *d)
{
	const struct dpath *p = &d->path;
	struct envelope *e = &s->mail;
	char quoted[ADDRESS_QUOTED_MAX + 1];

	e->sender =
		arena_dup(&e->arena, quoted, address_quote(p->address.text, p->address.n, quoted));
	if (!e->sender)
		return dsession_say(s, 452, "4.3.0", "out of memory, try again later");
	e->begun = true;
	e->utf8 = p->utf8 || p->address.utf8;
	e->eight_bit = p->eight_bit;
	e->size = p->size;
	secret_random(e->op_id, sizeof(e->op_id));
	snprintf(e->id, sizeof(e->id), "%llx.%llx.%llx", (unsigned long long)wall_ms() / 1000,
		 (unsigned long long)s->base.task.id, (unsigned long long)s->n_mails);
	return dsession_say(s, 250, "2.1.0", "sender ok");
}

static enum check
after_mail(struct dsession *s, struct dcmd *d)
{
	return s->mail.begun ? CHECK_OK : out_of_order(d, "MAIL first");
}

static enum check
before_message(struct dsession *s, struct dcmd *d)
{
	return s->mail.storing ? out_of_order(d, "the message has begun") : CHECK_OK;
}

static enum check
a_recipient(struct dsession *s, struct dcmd *d)
{
	enum check is = a_path(d, false);

	if (is != CHECK_OK)
		return is;
	if (d->path.address.null)
		return not_well(d, CHECK_FAULT, 501, "5.1.3", "a recipient is needed");
	return d->path.address.utf8 && !s->mail.utf8 ? needs_utf8(s, d) : CHECK_OK;
}

static enum check
not_too_many(struct dsession *s, struct dcmd *d)
{
	if (s->mail.n_rcpts < s->base.conf->delivery.max_recipients)
		return CHECK_OK;
	return not_well(d, CHECK_REFUSE, 452, "4.5.3",
			"this message has as many recipients as it may have");
}

static enum turn
dcmd_rcpt(struct dsession *s, const struct dcmd *d)
{
	return rcpt_start(s, &d->path.address);
}

/* ---- the message ----------------------------------------------------------------------------- */

/* RFC 3030 section 2 */
static enum check
not_by_bdat(struct dsession *s, struct dcmd *d)
{
	return s->bdat ? out_of_order(d, "the message has begun by BDAT") : CHECK_OK;
}

static enum check
after_rcpt(struct dsession *s, struct dcmd *d)
{
	return s->mail.n_rcpts > 0 ? CHECK_OK : out_of_order(d, "no valid recipients");
}

static enum turn
dcmd_data(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	return intake_data(s);
}

/* Its order is checked by intake.c: the octets come even if nobody wants them. */
static enum turn
dcmd_bdat(struct dsession *s, const struct dcmd *d)
{
	uint64_t octets;
	bool last;

	if (!dparse_bdat(d->c->args, d->c->n, &octets, &last)) {
		/* it is not known how much to skip: what follows would be taken for commands */
		(void)dsession_say(s, 501, "5.5.4", d->usage);
		return talk_close(&s->base.talk, "BDAT without a length");
	}
	return intake_bdat(s, octets, last);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static enum turn
dcmd_rset(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	(void)dsession_say(s, 250, "2.0.0", "ok");
	return dcmd_reset(s);
}

static enum turn
dcmd_quit(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	(void)dsession_say(s, 221, "2.0.0", "bye");
	return talk_close(&s->base.talk, "quit");
}

static enum turn
dcmd_noop(struct dsession *s, const struct dcmd *d)
{
	(void)d; /* RFC 5321 section 4.1.1.9: its argument is ignored */
	return dsession_say(s, 250, "2.0.0", "ok");
}

/* RFC 5321 section 7.3: VRFY does not reveal which addresses exist. */
static enum turn
dcmd_vrfy(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	return dsession_say(s, 252, "2.5.2", "send it, and RCPT will say");
}

static enum turn
dcmd_help(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	return dsession_say(s, 214, "2.0.0", "see RFC 5321 and RFC 2033");
}

static enum turn
dcmd_not_mail(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	(void)dsession_say(s, 421, "4.7.0", "this is a mail server; closing");
	return talk_close(&s->base.talk, "it speaks HTTP");
}

static enum turn
dcmd_elsewhere(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	return dsession_fault(s, 502, "5.5.1", "this command is not offered here");
}

static enum turn
dcmd_unknown(struct dsession *s, const struct dcmd *d)
{
	(void)d;
	return dsession_fault(s, 500, "5.5.2", "unknown command");
}

/* ---- the table ------------------------------------------------------------------------------- */

#define NAME "your name is missing, or has characters no host name has"

static const struct dcmd_row rows[] = {
	{DVERB_LHLO, NAME, {our_protocol, a_name}, dcmd_hello},
	{DVERB_EHLO, NAME, {our_protocol, a_name}, dcmd_hello},
	{DVERB_HELO, NAME, {our_protocol, a_name}, dcmd_hello},
	{DVERB_STARTTLS,
	 "STARTTLS takes no argument",
	 {tls_offered, no_argument, outside_of_mail},
	 dcmd_starttls},
	{DVERB_XCLIENT, NULL, {a_proxy, outside_of_mail}, dcmd_xclient},
	{DVERB_MAIL,
	 NULL,
	 {after_hello, first_sender, a_sender, not_too_large, room_in_volumes, room_in_badmail},
	 dcmd_mail},
	{DVERB_RCPT, NULL, {after_mail, before_message, a_recipient, not_too_many}, dcmd_rcpt},
	{DVERB_DATA,
	 "DATA takes no argument",
	 {not_by_bdat, no_argument, after_mail, after_rcpt},
	 dcmd_data},
	{DVERB_BDAT, "BDAT needs a number of octets, and perhaps LAST; closing", {NULL}, dcmd_bdat},
	{DVERB_RSET, "RSET takes no argument", {no_argument}, dcmd_rset},
	{DVERB_NOOP, NULL, {NULL}, dcmd_noop},
	{DVERB_VRFY, "VRFY needs a name", {an_argument}, dcmd_vrfy},
	{DVERB_HELP, NULL, {NULL}, dcmd_help},
	{DVERB_QUIT, "QUIT takes no argument", {no_argument}, dcmd_quit},
	{DVERB_ELSEWHERE, NULL, {NULL}, dcmd_elsewhere},
	{DVERB_NOT_MAIL, NULL, {NULL}, dcmd_not_mail},
	{DVERB_UNKNOWN, NULL, {NULL}, dcmd_unknown},
};

enum turn
dcmd_run(struct dsession *s, const struct dcommand *c)
{
	const struct dcmd_row *row = rows;
	struct dcmd d = {.c = c};

	while (row->verb != c->verb && row->verb != DVERB_UNKNOWN)
		row++;
	d.usage = row->usage;
	for (size_t i = 0; i < CHECKS && row->checks[i]; i++) {
		enum check is = row->checks[i](s, &d);

		if (is == CHECK_FAULT)
			return dsession_fault(s, d.no.code, d.no.enhanced, d.no.text);
		if (is == CHECK_REFUSE)
			return dsession_say_of(s, &d.no, NULL);
	}
	return row->run(s, &d);
}
