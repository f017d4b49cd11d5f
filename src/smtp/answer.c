/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of a message: counted, logged, and answered - for each recipient by LMTP, once by
 * SMTP. */
#include "smtp/answer.h"

#include <stdio.h>

#include "base/stats.h"

static struct dreply
reply_of(struct dsession *s, size_t i, char *text, size_t cap)
{
	const struct envelope *e = &s->mail;
	struct dreply r = e->refused;

	if (r.code == 0 && e->rcpts[i].loops)
		r = (struct dreply){
			554, "5.4.6",
			"the message was delivered here before: it goes round in circles"};
	if (r.code == 0)
		r = dreply_of(envelope_outcome(e, i),
			      s->base.conf->quota_over == CONF_QUOTA_REFUSE);
	if (r.code == 250) {
		snprintf(text, cap, "%s, id %s", r.text, e->id);
		r.text = text;
	}
	return r;
}

static void
answer_count(struct dsession *s, size_t i, const struct dreply *r)
{
	stat_add(r->code < 300   ? STAT_MAILS_ACCEPTED
		 : r->code < 500 ? STAT_MAILS_DEFERRED
				 : STAT_MAILS_REFUSED,
		 1);
	if (r->code < 300)
		s->accepted++;
	else
		s->refused++;
	dsession_log_mail(s, i, r);
}

/* SMTP's one reply: the first failure stands for all recipients. */
static struct dreply
reply_for_all(struct dsession *s, char *text, size_t cap)
{
	struct dreply r = reply_of(s, 0, text, cap);

	for (size_t i = 1; i < s->mail.n_rcpts && r.code == 250; i++)
		r = reply_of(s, i, text, cap);
	return r;
}

/* Counts and logs the outcome, whether or not the client is still there. */
enum turn
answer_over(struct dsession *s)
{
	char text[80];

	for (size_t i = 0; i < s->mail.n_rcpts; i++) {
		struct dreply r = dsession_is_lmtp(s) ? reply_of(s, i, text, sizeof(text))
						      : reply_for_all(s, text, sizeof(text));

		answer_count(s, i, &r);
	}
	s->work = DWORK_REPLY;
	return TURN_ON;
}

static void
reply_once(struct dsession *s)
{
	char text[80];
	struct dreply r = reply_for_all(s, text, sizeof(text));

	(void)dsession_say_of(s, &r, NULL);
	s->next_reply = s->mail.n_rcpts;
}

static enum turn
mail_over(struct dsession *s)
{
	stat_add(STAT_MAILS, 1);
	stat_add(STAT_OCTETS_IN, s->mail.content.octets);
	s->octets += s->mail.content.octets;
	s->n_mails++;
	s->work = DWORK_NONE;
	s->state = DSTATE_COMMAND;
	s->next_reply = 0;
	dsession_forget(s);
	talk_publish(&s->base.talk);
	return TURN_ON;
}

enum turn
answer_work(struct dsession *s)
{
	char text[80];

	if (!dsession_is_lmtp(s))
		reply_once(s);
	for (; s->next_reply < s->mail.n_rcpts; s->next_reply++) {
		struct dreply r = reply_of(s, s->next_reply, text, sizeof(text));

		if (ring_room(&s->base.io.out) < DREPLY_MAX) {
			if (stream_ended(&s->base.io))
				break; /* no more room will be made */
			return TURN_ON;
		}
		(void)dsession_say_of(s, &r, s->mail.rcpts[s->next_reply].address);
	}
	return mail_over(s);
}
