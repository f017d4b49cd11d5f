/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message comes in, by DATA or by BDAT: from the ring, through unstuffing and the checks of its
 * content, into a chunk, which goes to the stores when it is full or the message is complete. So a
 * small message is stored in one go under one permit, a large one needs no more memory than a
 * chunk, and a slow sender holds neither worker nor permit: between reads the session is parked.
 *
 * A refused message is still read to its end: the client listens only then.
 */
#include "smtp/intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/stats.h"
#include "smtp/answer.h"
#include "smtp/store.h"
#include "smtp/to_badmail.h"

#define PIECE 4096 /* taken at a time; may become twice as much */
#define CHUNK_FULL (ENVELOPE_CHUNK - 2 * (PIECE + 1) - 2)

/* ---- what is refused ------------------------------------------------------------------------- */

static void
intake_refuse(struct envelope *e, unsigned code, const char *enhanced, const char *text)
{
	if (e->refused.code == 0)
		e->refused = (struct dreply){(uint16_t)code, enhanced, text};
}

/* One row for each option. */
static void
check_seen(struct dsession *s)
{
	const struct conf_delivery *d = &s->base.conf->delivery;
	struct envelope *e = &s->mail;
	const struct {
		unsigned bit;
		enum conf_content rule;
		struct dreply reply;
	} rows[] = {
		{CONTENT_BARE_LF,
		 d->bare_lf,
		 {550, "5.6.0", "the message holds an LF without CR (RFC 5321 section 2.3.8)"}},
		{CONTENT_BARE_CR,
		 d->bare_cr,
		 {550, "5.6.0", "the message holds a CR without LF (RFC 5321 section 2.3.8)"}},
		{CONTENT_NUL,
		 d->nul,
		 {550, "5.6.0", "the message holds an octet of value 0 (RFC 5321 section 4.5.2)"}},
		{CONTENT_LONG_LINE,
		 d->long_lines,
		 {550, "5.6.0",
		  "the message has a line of more than 998 octets (RFC 5322 section 2.1.1)"}},
		{CONTENT_EIGHT_BIT,
		 e->eight_bit || e->utf8 ? CONF_ACCEPT : d->eight_bit,
		 {550, "5.6.1", "the message is 8-bit and was not announced so (BODY=8BITMIME)"}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((e->content.seen & rows[i].bit) && rows[i].rule == CONF_REFUSE)
			intake_refuse(e, rows[i].reply.code, rows[i].reply.enhanced,
				      rows[i].reply.text);
}

static void
intake_check(struct dsession *s)
{
	const struct conf_delivery *d = &s->base.conf->delivery;
	struct envelope *e = &s->mail;

	if (e->content.octets > d->max_size)
		intake_refuse(e, 552, "5.3.4", "the message is larger than this server takes");
	if (content_header(&e->content) > d->max_header)
		intake_refuse(e, 552, "5.3.4",
			      "the header of the message is larger than this server takes");
	if (e->content.received > d->max_received)
		intake_refuse(
			e, 554, "5.4.6",
			"the message has come through too many servers: it goes round in circles");
	if (e->content.seen)
		check_seen(s);
}

/* An address of a Delivered-To field. */
struct past {
	const char *p; /* as it stands */
	size_t n;
	struct address plain; /* without quotes; n == 0: it is no address */
};

static bool
is_past(const struct past *w, const char *name)
{
	size_t n = strlen(name);

	return (n == w->n && strncasecmp(name, w->p, n) == 0) ||
	       (n > 0 && n == w->plain.n && strncasecmp(name, w->plain.text, n) == 0);
}

static void
past_read(struct past *w, const char *p, size_t n)
{
	char path[CONTENT_FIELD_MAX + 3];
	size_t used;

	w->p = p;
	w->n = n;
	snprintf(path, sizeof(path), "<%.*s>", (int)n, p);
	if (address_path(path, strlen(path), &used, &w->plain) != NULL)
		w->plain.n = 0;
}

/* For content.h: this message has been delivered to p before. */
static void
delivered_to(void *ctx, const char *p, size_t n)
{
	struct dsession *s = ctx;
	struct envelope *e = &s->mail;
	struct past past;

	past_read(&past, p, n);
	for (size_t i = 0; i < e->n_rcpts; i++) {
		struct rcpt *r = &e->rcpts[i];
		bool hit = is_past(&past, r->lookup);

		for (size_t k = 0; k < r->n_targets && !hit; k++) {
			const struct target *t = &e->targets[r->targets[k]];

			hit = is_past(&past, t->address) || is_past(&past, t->account);
		}
		r->loops = r->loops || hit;
		/* the header is larger than a chunk: the stores have its beginning, and cannot
		 * leave one recipient out */
		if (hit && e->handed)
			intake_refuse(
				e, 554, "5.4.6",
				"the message was delivered here before: it goes round in circles");
	}
}

/* ---- begin ----------------------------------------------------------------------------------- */

static bool
intake_begin(struct dsession *s)
{
	struct envelope *e = &s->mail;

	if (e->storing)
		return true;
	e->chunk = malloc(ENVELOPE_CHUNK);
	if (!e->chunk)
		return false;
	e->storing = true;
	if (s->base.conf->delivery.check_delivered_to) {
		e->content.delivered_to = delivered_to;
		e->content.ctx = s;
	}
	return true;
}

enum turn
intake_data(struct dsession *s)
{
	if (!intake_begin(s))
		return dsession_say(s, 452, "4.3.0", "out of memory, try again later");
	s->state = DSTATE_DATA;
	talk_publish(&s->base.talk);
	return dsession_say(s, 354, "", "go on; end with CRLF.CRLF");
}

enum turn
intake_bdat(struct dsession *s, uint64_t octets, bool last)
{
	s->failed = !s->mail.begun || s->mail.n_rcpts == 0;
	if (!s->failed && !intake_begin(s))
		/* what follows would be taken for commands */
		return stream_end(&s->base.io, "out of memory");
	s->state = DSTATE_BDAT;
	s->bdat = true;
	s->bdat_left = s->bdat_octets = octets;
	s->bdat_last = last;
	return TURN_ON;
}

/* ---- more ------------------------------------------------------------------------------------ */

/* Adds a piece to the chunk; returns how much of it was taken. */
static size_t
intake_piece(struct dsession *s, const char *in, size_t n)
{
	struct envelope *e = &s->mail;
	char text[PIECE + 1];
	size_t used = n, len = n;

	if (s->state == DSTATE_DATA) {
		len = unstuff_feed(&e->unstuff, in, n, &used, text);
		in = text;
	} else {
		s->bdat_left -= n;
	}
	if (!s->failed)
		e->chunk_n += content_feed(&e->content, in, len, e->chunk + e->chunk_n);
	return used;
}

static bool
is_whole(const struct dsession *s)
{
	return s->state == DSTATE_DATA ? s->mail.unstuff.ended
				       : s->bdat_last && s->bdat_left == 0 && !s->failed;
}

/* Takes octets in; returns how many: all n, unless the chunk is full or the message complete. */
static size_t
intake_take(struct dsession *s, const char *in, size_t n)
{
	struct envelope *e = &s->mail;
	size_t used = 0;

	while (used < n && e->chunk_n <= CHUNK_FULL && !is_whole(s) &&
	       (s->state == DSTATE_DATA || s->bdat_left > 0)) {
		size_t piece = n - used < PIECE ? n - used : PIECE;

		if (s->state == DSTATE_BDAT && piece > s->bdat_left)
			piece = (size_t)s->bdat_left;
		used += intake_piece(s, in + used, piece);
		if (s->failed)
			continue;
		intake_check(s);
		if (e->refused.code != 0)
			e->chunk_n = 0;
	}
	if (is_whole(s) && !e->ended) {
		e->ended = true;
		if (e->refused.code == 0) {
			e->chunk_n += content_end(&e->content, e->chunk + e->chunk_n);
			intake_check(s); /* its last line is a field, perhaps */
		}
		if (e->refused.code != 0)
			e->chunk_n = 0;
	}
	return used;
}

/* A BDAT chunk is complete, and not the last one. */
static enum turn
bdat_over(struct dsession *s)
{
	char text[64];

	s->state = DSTATE_COMMAND;
	if (s->failed) {
		s->failed = false;
		return dsession_fault(s, 503, "5.5.1", s->mail.begun ? "RCPT first" : "MAIL first");
	}
	/* if the message is refused, that is the reply after the last chunk, for each recipient */
	snprintf(text, sizeof(text), "%llu octets taken", (unsigned long long)s->bdat_octets);
	return dsession_say(s, 250, "2.0.0", text);
}

enum turn
intake_feed(struct dsession *s, const char *p, size_t n, size_t *ret_used)
{
	struct envelope *e = &s->mail;

	*ret_used = intake_take(s, p, n);
	if (e->refused.code != 0 && envelope_has_handles(e))
		return store_abort(s);
	if (e->ended && e->refused.code != 0)
		return answer_over(s);
	if (e->ended || e->chunk_n > CHUNK_FULL) {
		if (!e->handed)
			envelope_mark_wanted(e);
		s->work = to_badmail_wanted(s) ? DWORK_TO_BADMAIL : DWORK_WRITE;
		e->at = 0;
		return TURN_ON;
	}
	if (s->state == DSTATE_BDAT && s->bdat_left == 0)
		return bdat_over(s);
	return TURN_READ;
}
