/* SPDX-License-Identifier: Apache-2.0 */
/* The mechanisms that are ours: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login). */
#include "pop3/mech.h"

#include <stdlib.h>
#include <string.h>

static char *
mech_copy(const char *p, size_t n)
{
	char *c = malloc(n + 1);

	if (c) {
		memcpy(c, p, n);
		c[n] = '\0';
	}
	return c;
}

/* RFC 4616 s2: [authzid] NUL authcid NUL passwd */
static enum sasl_next
plain_step(struct sasl *x, const char *msg, size_t n, const char **ret_challenge)
{
	const char *first, *second;

	if (!msg) {
		*ret_challenge = "";
		return SASL_CHALLENGE;
	}
	first = memchr(msg, '\0', n);
	second = first ? memchr(first + 1, '\0', n - (size_t)(first + 1 - msg)) : NULL;
	if (!second || memchr(second + 1, '\0', n - (size_t)(second + 1 - msg)))
		return SASL_BAD;
	x->authzid_n = (size_t)(first - msg);
	x->name_n = (size_t)(second - first) - 1;
	x->secret_n = n - (size_t)(second + 1 - msg);
	x->authzid = mech_copy(msg, x->authzid_n);
	x->name = mech_copy(first + 1, x->name_n);
	x->secret = mech_copy(second + 1, x->secret_n);
	return x->authzid && x->name && x->secret ? SASL_LOGIN : SASL_BAD;
}

static enum sasl_next
login_step(struct sasl *x, const char *msg, size_t n, const char **ret_challenge)
{
	if (!msg) {
		*ret_challenge = "Username:";
		return SASL_CHALLENGE;
	}
	if (!x->name) {
		x->name = mech_copy(msg, n);
		x->name_n = n;
		*ret_challenge = "Password:";
		return x->name ? SASL_CHALLENGE : SASL_BAD;
	}
	x->secret = mech_copy(msg, n);
	x->secret_n = n;
	return x->secret ? SASL_LOGIN : SASL_BAD;
}

const struct sasl_mech mech_table[] = {
	{"PLAIN", true, plain_step},
	{"LOGIN", true, login_step},
	{NULL, false, NULL},
};
