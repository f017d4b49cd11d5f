/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal - deletion in place. The file keeps its inode, owner and mode: a delivery agent that
 * waits for the lock never appends to a file that was renamed over. All of it under the MTA's
 * locks.
 *
 *   1  the journal: what is to stand from the first deletion on, the surviving bytes with mail
 *      appended since; made under another name, fsynced, renamed, its directory fsynced: the COMMIT
 *      POINT. A named journal is whole.
 *   2  the payload goes to its place, then a nonce over the first bytes that truncation will drop;
 *      fsync
 *   3  the journal becomes phase 2
 *   4  ftruncate, fsync
 *   5  the ledger learns of it, the journal goes
 *
 * What a crash left is finished by recover.c.
 */
#ifndef MBOX_JOURNAL_H
#define MBOX_JOURNAL_H

#include "ledger.h"
#include "mbox.h"

#define NONCE 16

/* The journal's file: head, path, ledger lines, payload. */
struct journal_head {
	char magic[8];
	uint64_t phase; /* not in the checksum: it changes in place */
	uint64_t sum;   /* of all that follows in this struct, path and list */
	uint64_t ino, old, start, payload;
	uint32_t nonce_n, path_n, list_n, pad;
	unsigned char nonce[NONCE];
};

struct span {
	uint64_t from, to;
};

enum journal_step { STEP_MAKE, STEP_NAME, STEP_PUT, STEP_CUT, STEP_DONE };

struct journal {
	struct inst *inst;
	const struct location *place;
	struct held *held; /* the dotlock is kept fresh meanwhile; NULL: no need */
	int fd;            /* the mailbox */
	int jfd;           /* the journal */
	enum journal_step step;
	struct journal_head head;
	struct ledger_out list; /* lines for the ledger, once it is done */
	struct span *spans;     /* what survives behind head.start */
	size_t n_spans;
	size_t span; /* while copying */
	uint64_t at;
	bool fresh;   /* nothing of it was named before */
	bool unknown; /* it was named, and taking it back may not be durable */
};

/* Begins the deletion of the snapshot's doomed messages; no change to the file yet. NULL: no
 * memory. */
struct journal *journal_new(struct mbox *m, const char *op_hex);
/* The same of one piece of the file, which no message is lost with. NULL: no memory. */
struct journal *journal_cut(struct inst *i, const struct location *p, int fd, uint64_t from,
			    uint64_t to);
/* One step or a slice of it: 0, EAGAIN or an errno. */
int journal_step(struct journal *j);
/* Goes on in slices, up to the step `end`; *ret_point: the commit point is behind us. */
int32_t journal_run(struct journal *j, const struct pm_call *call, enum journal_step end,
		    bool *ret_point);
void journal_free(struct journal *j);

/* ---- for recovery ---------------------------------------------------------------------------- */

/* Reads head, path (PM_PATH_MAX + 1 bytes) and list of j->jfd. False: not a whole journal of ours.
 */
bool journal_load(struct journal *j, char *path);
/* Bytes [from, to) of the mailbox join the payload: from step 1. 0 or an errno. */
int journal_join(struct journal *j, uint64_t from, uint64_t to);

#endif
