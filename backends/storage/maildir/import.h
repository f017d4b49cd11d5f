/* SPDX-License-Identifier: Apache-2.0 */
/* import - a message that brings its unique-id comes once. fd: the maildir. */
#ifndef MAILDIR_IMPORT_H
#define MAILDIR_IMPORT_H

#include "maildir.h"

struct import {
	const char *uidl;
	bool restore;     /* PM_DLVF_RESTORE */
	const char *name; /* in new/; this and below: import_begin() only */
	uint64_t octets, stored;
	int64_t first_ms;
};

/* Before anything is written: PM_EXISTS, PM_OK: not that we knew, or a failure. */
int32_t import_look(struct inst *i, const struct pm_call *call, int fd, const struct import *im);
/* Just before it becomes visible. PM_OK: it is in the ledger, and nobody makes the same until
 * *ret_lock is closed. PM_EXISTS; PM_AGAIN: another import is at it. */
int32_t import_begin(struct inst *i, const struct pm_call *call, int fd, const struct import *im,
		     int *ret_lock);

#endif
