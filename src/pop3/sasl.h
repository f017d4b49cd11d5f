/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sasl - AUTH and its mechanisms (RFC 5034). A mechanism is a row in mech.c: it gets the client's
 * messages one at a time, decoded, and either asks for another one with a challenge or has what a
 * login needs. The framing (initial response, "=", "+ " lines, "*") is done here, the same for all.
 */
#ifndef RST_POP3_SASL_H
#define RST_POP3_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "pop3/pop3.h"

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
	bool plain; /* it sends a password: only if pop3_may_login */
	/* msg: n decoded bytes; msg = NULL at the beginning when there was no initial response. */
	enum sasl_next (*step)(struct sasl *x, const char *msg, size_t n,
			       const char **ret_challenge);
};

/* AUTH, with a mechanism named. */
enum turn sasl_start(struct pop3 *s, const struct command *c);
/* The next line of the exchange. */
enum turn sasl_line(struct pop3 *s, const char *p, size_t n);
void sasl_drop(struct pop3 *s); /* wiped */
/* "PLAIN LOGIN" */
const char *sasl_names(void);

#endif
