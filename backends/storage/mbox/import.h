/* SPDX-License-Identifier: Apache-2.0 */
/* import - deliveries that bring their unique-id. */
#ifndef MBOX_IMPORT_H
#define MBOX_IMPORT_H

#include "mbox.h"

struct import {
	const char *uidl;
	bool restore;      /* PM_DLVF_RESTORE */
	struct mbox *look; /* while the mailbox is read; NULL at first */
};
/* Asked before anything is written. PM_EXISTS; PM_OK: not known to be here; or a failure. */
int32_t import_look(const struct inst *i, const struct pm_call *call, const struct location *p,
		    const struct import *im);
/* The same with certainty, under the MTA's locks. PM_AGAIN: call again. */
int32_t import_check(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
		     struct held *h, struct import *im);
void import_free(struct import *im);

#endif
