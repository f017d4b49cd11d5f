/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the AUTHORIZATION state (RFC 1939 s4, s7; RFC 2595; RFC 5034), and CAPA for
 * both. */
#include "pop3/cmd_auth.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pop3/login.h"
#include "pop3/sasl.h"
#include "pop3/update.h"

#define NO_CLEAR "a login without encryption is refused: use STLS or the TLS port"

static bool
offers_stls(const struct pop3 *s)
{
	return s->state == STATE_AUTH && !pop3_encrypted(s) &&
	       s->base.listener->tls == CONF_TLS_STARTTLS && s->base.conf->tls;
}

/* RFC 2449: lists only what is true for this connection; the same in both states except for
 * STLS. */
enum turn
cmd_auth_capa(struct pop3 *s, const struct command *c)
{
	char text[512];
	char expire[32] = "EXPIRE ";
	bool login = pop3_may_login(s);
	bool expires = retention_capa(s->base.conf, s->state == STATE_TRANS ? &s->user : NULL,
				      expire + 7, sizeof(expire) - 7);
	int n = snprintf(text, sizeof(text),
			 "+OK capabilities "
			 "follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
			 "%s%s%s%s%s%sIMPLEMENTATION restante\r\n.\r\n",
			 login ? "USER\r\nSASL " : "", login ? sasl_names() : "",
			 login ? "\r\n" : "", offers_stls(s) ? "STLS\r\n" : "",
			 expires ? expire : "", expires ? "\r\n" : "");

	(void)c;
	stream_put(&s->base.io, text, (size_t)n);
	return TURN_ON;
}

static enum turn
cmd_user(struct pop3 *s, const struct command *c)
{
	if (!pop3_may_login(s))
		return pop3_err(s, CODE_NONE, NO_CLEAR);
	if (c->arg[0].n == 0)
		return pop3_err(s, CODE_NONE, "USER needs a name");
	s->user_given = arena_dup(&s->base.arena, c->arg[0].p, c->arg[0].n);
	if (!s->user_given)
		return pop3_result(s, PM_NOMEM, "login");
	talk_publish(&s->base.talk);
	/* always +OK: RFC 1939 s7 allows a server not to tell which names exist */
	return pop3_ok(s, "send PASS");
}

static enum turn
cmd_pass(struct pop3 *s, const struct command *c)
{
	const char *name = s->user_given;
	char *secret;

	if (!pop3_may_login(s))
		return pop3_err(s, CODE_NONE, NO_CLEAR);
	if (!name)
		return pop3_err(s, CODE_NONE, "USER first");
	s->user_given = NULL; /* a failed PASS needs a new USER */
	secret = malloc(c->arg[0].n + 1);
	if (!secret)
		return pop3_result(s, PM_NOMEM, "login");
	memcpy(secret, c->arg[0].p, c->arg[0].n);
	secret[c->arg[0].n] = '\0';
	return login_start(s, name, strlen(name), "USER", PM_CRED_PASSWORD, secret, c->arg[0].n);
}

/* RFC 1939 s7: 16 octets in hexadecimal. */
static bool
is_digest(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isxdigit((unsigned char)p[i]))
			return false;
	return n == 32;
}

static enum turn
cmd_apop(struct pop3 *s, const struct command *c)
{
	char *digest;

	if (!s->apop_stamp)
		return pop3_err(s, CODE_NONE, "APOP is not offered");
	if (!pop3_may_login(s))
		return pop3_err(s, CODE_NONE, NO_CLEAR);
	if (!is_digest(c->arg[1].p, c->arg[1].n))
		return pop3_err(s, CODE_NONE, "the digest of APOP is 32 hex digits");
	digest = malloc(c->arg[1].n + 1);
	if (!digest)
		return pop3_result(s, PM_NOMEM, "login");
	memcpy(digest, c->arg[1].p, c->arg[1].n);
	digest[c->arg[1].n] = '\0';
	return login_start(s, c->arg[0].p, c->arg[0].n, "APOP", PM_CRED_APOP, digest, c->arg[1].n);
}

static enum turn
cmd_auth(struct pop3 *s, const struct command *c)
{
	char text[128];
	int n;

	if (!pop3_may_login(s))
		return pop3_err(s, CODE_NONE, NO_CLEAR);
	if (c->argc > 0)
		return sasl_start(s, c);
	/* not in RFC 5034, but clients do it: list the mechanisms, one a line */
	n = snprintf(text, sizeof(text), "+OK mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n");
	stream_put(&s->base.io, text, (size_t)n);
	return TURN_ON;
}

static enum turn
cmd_stls(struct pop3 *s, const struct command *c)
{
	(void)c;
	if (pop3_encrypted(s))
		return pop3_err(s, CODE_NONE, "the connection is encrypted already");
	if (!offers_stls(s))
		return pop3_err(s, CODE_NONE, "STLS is not offered here");
	s->base.talk.starttls = true;
	return pop3_ok(s, "begin TLS");
}

const struct command_row auth_commands[] = {
	{VERB_CAPA, 0, 0, cmd_auth_capa, "CAPA takes no argument"},
	{VERB_USER, 1, 1, cmd_user, "USER needs a name"},
	{VERB_PASS, 1, 1, cmd_pass, "PASS needs a password"},
	{VERB_APOP, 2, 2, cmd_apop, "APOP needs a name and a digest"},
	{VERB_AUTH, 0, 2, cmd_auth, "AUTH takes a mechanism and an initial response"},
	{VERB_STLS, 0, 0, cmd_stls, "STLS takes no argument"},
	{VERB_QUIT, 0, 0, update_quit, "QUIT takes no argument"},
	{VERB_UNKNOWN, 0, 0, NULL, NULL},
};
