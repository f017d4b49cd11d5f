/* SPDX-License-Identifier: Apache-2.0 */
/* held - the contents of files that share a base name. Each file is read once, even if the names
 * are looked at again. */
#ifndef MAILDIR_HELD_H
#define MAILDIR_HELD_H

#include <sys/stat.h>

#include <uthash.h>

#include "ledger.h"
#include "ledger_write.h"
#include "snap.h"

/* The looks of a file. */
struct look {
	uint64_t dev, ino, size, mtime_ns;
};

/* The content of a file. */
struct held {
	UT_hash_handle hh; /* by look */
	struct look look;
	char content[LEDGER_CONTENT + 1];
	uint64_t octets;
};

/* The files that a scan read, and the ledger lines that follow from them. */
struct twins {
	struct held *read;
	size_t reads; /* files read in this slice; at least one is */
	struct ledger_out learnt;
};

/* The snapshot whose files are read; call may be NULL. */
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
/* The content of an item's file that has these looks. A file that cannot be read is told from
 * others by its looks. PM_AGAIN: the slice is over. */
int32_t held_get(const struct source *src, struct item *it, const struct look *look,
		 const struct held **ret);
/* The code for an errno, with a text. */
int32_t held_failed(const struct source *src, int e);

#endif
