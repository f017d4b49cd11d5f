/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn - one connection to a directory server. Every step is bounded by the ask it is made with,
 * and a connection on which a step failed or ran out of time is closed at once: a late answer finds
 * nobody to reach.
 */
#ifndef LDAP_CONN_H
#define LDAP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#include "ask.h"
#include "state.h"
#include "wire.h"

struct ldap;    /* libldap's LDAP */
struct ldapmsg; /* libldap's LDAPMessage */

struct conn {
	struct ldap *ld;  /* NULL: closed */
	struct wire wire; /* ld's socket, below it; not ours to close */
	const struct server *server;
	int64_t used_ms;
};

/*
 * Connects, TLS as configured included. PM_OK, PM_DOWN, PM_TIMEOUT, PM_CANCELLED, PM_NOMEM;
 * call->error says why.
 */
int32_t conn_open(struct conn *c, const struct ask *a, const struct server *server);
void conn_close(struct conn *c);

/* Is it open, and has the other side neither closed it nor said anything? No I/O that waits. */
bool conn_usable(const struct conn *c);

/* Binds as the service: bind_dn or EXTERNAL. A refusal is PM_DOWN; *ret_refused: of the name or the
 * password, so that the same try can only do harm. */
int32_t conn_bind_service(struct conn *c, const struct ask *a, bool *ret_refused);

/*
 * Binds as a user. PM_OK with *ret_state: what the directory says of the account, STATE_OK: let in.
 * Other results as conn_open, and PM_TEMP: it says neither yes nor no.
 */
int32_t conn_bind_user(struct conn *c, const struct ask *a, const char *dn, struct pm_str password,
		       enum state *ret_state);

/* The next message of an operation, to be given to ldap_msgfree. Any result but PM_OK closes the
 * connection. */
int32_t conn_wait(struct conn *c, const struct ask *a, int msgid, struct ldapmsg **ret);

/* After a call of libldap that failed: says what and why, closes; PM_DOWN or PM_NOMEM. */
int32_t conn_broken(struct conn *c, const struct ask *a, const char *what, int err);

/* A server's result code for something that must not fail, as PM_DOWN, PM_TIMEOUT or PM_TEMP,
 * with words. */
int32_t conn_refused(const struct conn *c, const struct ask *a, const char *what, int code,
		     const char *diagnostic);

#endif
