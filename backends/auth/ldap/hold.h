/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold - a directory that refuses the service's own name and password is not asked again and again:
 * each try counts there, and locks the account for everything that uses it. After a refusal that
 * server is left alone for 1, 5, then 15 minutes, times the number of servers, since they may share
 * one account; a reload, other settings and a bind that succeeds begin anew.
 *
 * Until a bind has succeeded one thread tries and the others wait for its result: as many binds at
 * once as there are permits could lock the account in a moment. Threads: any.
 */
#ifndef LDAP_HOLD_H
#define LDAP_HOLD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

struct hold {
	pthread_mutex_t mutex;
	pthread_cond_t ended;
	/* below: under mutex */
	struct hold_server {
		int64_t until_ms;  /* not before that; 0: at any time */
		unsigned refusals; /* in a row */
		bool good;         /* the last bind succeeded */
		bool trying;       /* somebody is at it */
	} of[SERVERS_MAX];
};

void hold_init(struct hold *h);
void hold_fini(struct hold *h);

/* May this server be tried now? True: hold_end follows. False: *ret_wait_ms is how long it is left
 * alone. Waits for another's try, until until_ms at most; now_ms is the host's. */
bool hold_begin(struct hold *h, size_t server, int64_t now_ms, int64_t until_ms,
		int64_t *ret_wait_ms);

enum hold_end {
	HOLD_GOOD,
	HOLD_REFUSED, /* the name or the password */
	HOLD_FAILED,  /* something else: it says nothing about them */
};

/* For how long it is left alone now, of n_servers; 0: it is not. */
int64_t hold_end(struct hold *h, size_t server, size_t n_servers, enum hold_end how,
		 int64_t now_ms);
/* After a reload. */
void hold_clear(struct hold *h);

#endif
