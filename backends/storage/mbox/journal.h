/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal - deletion in place. The file keeps its inode, owner and mode, so a delivery agent that
 * waits for the lock never appends to a file that was renamed over. Everything here happens under
 * the MTA's locks.
 *
 *   1  the journal is made: the text of the file from the first deletion on, which is the bytes to
 *      keep and mail appended since; under another name, fsynced, renamed, its directory fsynced:
 *      the COMMIT POINT. A journal that has its name is whole.
 *   2  the payload goes to its place, then a nonce over the first bytes that truncation will drop;
 *      fsync
 *   3  the journal becomes phase 2
 *   4  ftruncate, fsync
 *   5  the deletions go to the ledger, the journal is removed
 *
 * recover.c finishes a deletion that a crash interrupted.
 */
#ifndef MBOX_JOURNAL_H
#define MBOX_JOURNAL_H

#include "edge.h"
#include "ledger.h"
#include "ledger_write.h"
#include "mbox.h"

#define NONCE 16

/* The journal's file: head, path, ledger lines, payload. */
struct journal_head {
	char magic[8];
	uint64_t phase; /* not in the checksum: it changes in place */
	uint64_t sum;   /* of everything that follows in this struct, and of path and list */
	uint64_t ino, old, start, payload;
	uint32_t nonce_n, path_n, list_n, pad;
	unsigned char nonce[NONCE];
	struct edge before, after; /* what ends at start, and at old */
};

/* Bytes to keep, of the mailbox or of another journal. */
struct span {
	int fd;
	uint64_t from, to;
};

enum journal_step { STEP_MAKE, STEP_NAME, STEP_PUT, STEP_CUT, STEP_DONE };

struct journal {
	struct inst *inst;
	const struct location *place;
	struct held *held; /* the dotlock is kept fresh meanwhile; NULL: no need */
	int fd;            /* the mailbox */
	int jfd;           /* the journal */
	int from_fd;       /* the journal that it replaces; -1: none */
	enum journal_step step;
	struct journal_head head;
	struct ledger_out list; /* lines for the ledger, once it is done */
	struct span *spans;     /* bytes to keep after head.start */
	size_t n_spans;
	size_t span; /* while copying */
	uint64_t at;
	bool fresh;   /* it has never had its name */
	bool unknown; /* it was named, and taking it back may not be durable */
};

/* Runs to its end, in slices: 0, EAGAIN or an errno. */
int journal_slice(struct journal *j);
/* Runs in slices, up to the step `end`. *ret_point: the commit point was passed. */
int32_t journal_run(struct journal *j, const struct pm_call *call, enum journal_step end,
		    bool *ret_point);
void journal_free(struct journal *j);

#endif
