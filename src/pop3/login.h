/* SPDX-License-Identifier: Apache-2.0 */
/* login - from a name and a secret to an account. */
#ifndef RST_POP3_LOGIN_H
#define RST_POP3_LOGIN_H

#include "pop3/pop3.h"

struct find; /* account/find.h */

/* A login in progress; freed when it is decided. */
struct login {
	char name[PM_NAME_MAX + 1]; /* normalised */
	const char *mech;           /* "USER", "PLAIN", "LOGIN", "APOP" */
	uint32_t kind;              /* PM_CRED_... */
	char *secret;               /* wiped and freed */
	size_t secret_n;
	char *authzid;
	int auth;          /* index into conf->auth */
	struct find *find; /* WORK_CONFIRM; NULL: nothing has to be asked */
	int64_t started_ms;
	bool counted; /* guard_begin returned GO */
	/* who has the maildrop: it waits for that, or has waited, and may not again; NULL */
	const char *waits_for;
};

/* Starts the check and takes over `secret` (malloc'd). The reply is sent when it is decided. */
enum turn login_start(struct pop3 *s, const char *name, size_t name_n, const char *mech,
		      uint32_t kind, char *secret, size_t secret_n);
enum turn login_work(struct pop3 *s);
void login_drop(struct pop3 *s); /* wiped; guard and registry are told */
/* The login is refused: the session stays in AUTHORIZATION and needs a new USER. */
enum turn login_over(struct pop3 *s);
/* The same, for a failure that is not the client's fault: logged, and the reply follows from rc. */
enum turn login_failed_temp(struct pop3 *s, int32_t rc, const char *reason, const char *detail);

#endif
