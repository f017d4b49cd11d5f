/* SPDX-License-Identifier: Apache-2.0 */
/* lock - the session's lock and the MTA's. */
#ifndef MBOX_LOCK_H
#define MBOX_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <restante/module.h>

struct inst;
struct location;

/* The MTA's locks on one mailbox. */
struct held {
	bool all;  /* they are ours */
	bool turn; /* we have our turn: turn_fd */
	int turn_fd;
	bool dot, fcntl, flock;
	bool readonly;  /* the disk is read-only: nobody can write, and there are no locks */
	int dir;        /* of the dotlock */
	char name[300]; /* its name */
	int dot_fd;     /* of its file, so that no other file gets its number */
	const struct location *dot_place;
	int64_t touched_ms;
	int64_t asked_ms;   /* when we first tried; 0: not yet */
	struct inst *waits; /* the instance whose `waiting` counts us; NULL: none */
};

int32_t lock_session(struct inst *i, const struct pm_call *call, const struct location *p,
		     int *ret_fd);
/* Takes all of the MTA's locks, without waiting longer than RETRY_MS. PM_AGAIN: not yet; PM_TEMP:
 * lock_wait is over, or too many calls wait already. fd: the mailbox. */
int32_t lock_mta(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
		 struct held *h);
void lock_keep(struct inst *i, struct held *h); /* touches the dotlock now and then */
void lock_release(struct held *h, int fd);

#endif
