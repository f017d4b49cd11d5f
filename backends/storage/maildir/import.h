/* SPDX-License-Identifier: Apache-2.0 */
/* import - delivering a message that brings its unique-id, once. fd: the maildir. */
#ifndef MAILDIR_IMPORT_H
#define MAILDIR_IMPORT_H

#include "lock.h"
#include "maildir.h"

struct import {
	const char *uidl;
	bool restore;     /* PM_DLVF_RESTORE */
	const char *name; /* in new/; this and what follows are for import_begin() only */
	uint64_t octets, stored;
	int64_t first_ms;
};

/* Asked before anything is written. PM_EXISTS; PM_OK: not known to be here; or a failure. */
int32_t import_look(struct inst *i, const struct pm_call *call, int fd, const struct import *im);
/* Called just before the message becomes visible. PM_OK: it is in the ledger, and nobody makes the
 * same import until *ret_lock is released. PM_EXISTS; PM_AGAIN: another import has the lock. */
int32_t import_begin(struct inst *i, const struct pm_call *call, int fd, const struct import *im,
		     struct lock *ret_lock);

#endif
