/* SPDX-License-Identifier: Apache-2.0 */

#include "pop3/sasl.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "account/chain.h"
#include "base/b64.h"
#include "base/secret.h"
#include "pop3/login.h"
#include "pop3/mech.h"

#define CHALLENGE_MAX 256

static void
sasl_wipe(char *p, size_t n)
{
	if (p)
		secret_wipe(p, n);
	free(p);
}

void
sasl_drop(struct pop3 *s)
{
	struct sasl *x = s->sasl;

	if (!x)
		return;
	sasl_wipe(x->name, x->name_n);
	sasl_wipe(x->authzid, x->authzid_n);
	sasl_wipe(x->secret, x->secret_n);
	free(x);
	s->sasl = NULL;
}

const char *
sasl_names(void)
{
	return "PLAIN LOGIN";
}

static enum turn
sasl_refuse(struct pop3 *s, enum reply_code code, const char *text)
{
	sasl_drop(s);
	return pop3_err(s, code, text);
}

/* "+ " and base64; RFC 5034 s4. */
static enum turn
sasl_challenge(struct pop3 *s, const char *text)
{
	char line[CHALLENGE_MAX] = "+ ";
	size_t n = 2 + b64_encode(text, strlen(text), line + 2);

	memcpy(line + n, "\r\n", 2);
	stream_put(&s->base.io, line, n + 2);
	return TURN_ON;
}

/* RFC 4616 section 2: does the client name itself? In any spelling: the account counts. */
static bool
acts_for_itself(const struct pop3 *s)
{
	const struct sasl *x = s->sasl;
	char as[PM_NAME_MAX + 1], who[PM_NAME_MAX + 1];

	return x->authzid_n == 0 ||
	       (chain_name(s->base.conf, x->authzid, x->authzid_n, as) &&
		chain_name(s->base.conf, x->name, x->name_n, who) && strcmp(as, who) == 0);
}

/* The exchange has a name and a secret: the rest is a login like any other. */
static enum turn
to_login(struct pop3 *s)
{
	struct sasl *x = s->sasl;
	const char *mech = x->mech->name;
	char *secret = x->secret, *name = x->name;
	size_t secret_n = x->secret_n, name_n = x->name_n;
	enum turn m;

	/* acting for another user needs a right that no module grants yet */
	if (!acts_for_itself(s))
		return sasl_refuse(s, CODE_AUTH, "logging in on behalf of others is not possible");
	x->secret = x->name = NULL;
	sasl_drop(s);
	m = login_start(s, name, name_n, mech, PM_CRED_PASSWORD, secret, secret_n);
	sasl_wipe(name, name_n);
	return m;
}

static enum turn
sasl_step(struct pop3 *s, const char *msg, size_t n)
{
	const char *text = "";

	switch (s->sasl->mech->step(s->sasl, msg, n, &text)) {
	case SASL_CHALLENGE:
		return sasl_challenge(s, text);
	case SASL_LOGIN:
		return to_login(s);
	default:
		return sasl_refuse(s, CODE_NONE, "not a message of this mechanism");
	}
}

/* Decodes base64 for sasl_step; the bytes are wiped afterwards. */
static enum turn
step_encoded(struct pop3 *s, const char *p, size_t n)
{
	unsigned char msg[B64_DECODED_MAX(POP3_SASL_MAX) + 3];
	size_t got;
	enum turn m;

	if (!b64_decode(p, n, msg, sizeof(msg), &got))
		return sasl_refuse(s, CODE_NONE, "not base64");
	m = sasl_step(s, (const char *)msg, got);
	secret_wipe(msg, got);
	return m;
}

enum turn
sasl_line(struct pop3 *s, const char *p, size_t n)
{
	if (n == 1 && p[0] == '*')
		return sasl_refuse(s, CODE_NONE, "cancelled"); /* RFC 5034 s4 */
	return step_encoded(s, p, n);
}

enum turn
sasl_start(struct pop3 *s, const struct command *c)
{
	const struct sasl_mech *m = mech_table;

	while (m->name && (strlen(m->name) != c->arg[0].n ||
			   strncasecmp(m->name, c->arg[0].p, c->arg[0].n) != 0))
		m++;
	if (!m->name)
		return pop3_err(s, CODE_NONE, "unknown mechanism");
	s->sasl = calloc(1, sizeof(*s->sasl));
	if (!s->sasl)
		return pop3_result(s, PM_NOMEM, "login");
	s->sasl->mech = m;
	if (c->argc < 2)
		return sasl_step(s, NULL, 0);
	if (c->arg[1].n == 1 && c->arg[1].p[0] == '=')
		return sasl_step(s, "", 0); /* an empty initial response */
	return step_encoded(s, c->arg[1].p, c->arg[1].n);
}
