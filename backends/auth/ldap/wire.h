/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire - the bottom layer below libldap and its TLS: a socket that never blocks longer than it may.
 * libldap switches O_NONBLOCK off and on as it likes, and in a TLS handshake it reads with it off:
 * a server that stops in the middle of a record would hold the thread for ever, whatever time-outs
 * are set.
 */
#ifndef LDAP_WIRE_H
#define LDAP_WIRE_H

#include <ldap.h>
#include <stdbool.h>

#include "ask.h"

struct wire {
	int fd;
	const struct ask *waits; /* reads and writes wait within its time; NULL: not at all */
};

/* Puts it under ld, whose socket is wire->fd. It has to live as long as ld. */
bool wire_install(struct wire *wire, LDAP *ld);

#endif
