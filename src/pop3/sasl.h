/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sasl - the seam for SASL mechanisms (RFC 5034). A mechanism is a row: it is given the client's
 * messages, decoded, one at a time, and either asks for another one with a challenge or starts a
 * login. The framing - initial response, "=", "+ " lines, "*" - is sasl.c's and the same for all.
 */
#ifndef RST_POP3_SASL_H
#define RST_POP3_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "pop3/session.h"

enum sasl_next {
	SASL_CHALLENGE, /* ret_challenge is sent as base64 */
	SASL_LOGIN,     /* name, authzid, secret are set in the exchange */
	SASL_BAD,       /* not a message of this mechanism */
};

/* One exchange. Everything is wiped and freed by sasl_drop. */
struct sasl {
	const struct sasl_mech *mech;
	unsigned step;
	char *name, *authzid, *secret;
	size_t name_n, authzid_n, secret_n;
};

struct sasl_mech {
	const char *name;
	bool plain; /* sends a password: only where session_may_login */
	/* msg: n decoded bytes; msg = NULL at the beginning when there was no initial response. */
	enum sasl_next (*step)(struct sasl *x, const char *msg, size_t n,
			       const char **ret_challenge);
};

extern const struct sasl_mech sasl_mechs[]; /* ends with name = NULL */

#endif
