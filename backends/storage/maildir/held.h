/* SPDX-License-Identifier: Apache-2.0 */
/* held - what the files hold that share a base name: each is read once, also when the names are
 * looked at again. */
#ifndef MAILDIR_HELD_H
#define MAILDIR_HELD_H

#include <sys/stat.h>

#include <uthash.h>

#include "ledger.h"
#include "snap.h"

/* How a file looks. */
struct look {
	uint64_t dev, ino, size, mtime_ns;
};

/* What it holds. */
struct held {
	UT_hash_handle hh; /* by look */
	struct look look;
	char content[LEDGER_CONTENT + 1];
	uint64_t octets;
};

/* What a scan found out. */
struct twins {
	struct held *read;
	size_t reads; /* of this slice: one at least */
	struct ledger_out learnt;
};

/* Whose files they are; call may be NULL. */
struct source {
	struct inst *inst;
	const struct pm_call *call;
	int fd;
	struct snap *s;
	struct twins *twins;
	int64_t until_ms;
};

void held_free(struct twins *t);
struct look held_look(const struct stat *st);
/* An item's file that looks like that; one that cannot be read is told from others by its look.
 * PM_AGAIN: it is late. */
int32_t held_get(const struct source *src, struct item *it, const struct look *look,
		 const struct held **ret);
/* The code for that errno, with a text. */
int32_t held_failed(const struct source *src, int e);

#endif
