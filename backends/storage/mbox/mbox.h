/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbox - shared by the files of this module.
 *
 * mbox.c       options, state, the descriptor
 * origin.c     the settings that the state goes by
 * location.c   where a mailbox is, and opening it
 * lock.c       the session's lock and the MTA's
 * dotlock.c    the lock that is a file beside the mailbox
 * from_kind.c  whether a line is a From_ line (pure)
 * parse.c      the text: messages, quoting (pure)
 * bytes.c      copying, summing, writing bytes of a file
 * snap.c       a snapshot: its items, and the file it was taken from
 * proof.c      whether a message is still where the snapshot has it
 * index.c      the short form of a snapshot on disk
 * scan.c       from a file to a snapshot
 * names.c      unique-ids and marks, by the ledger
 * box.c        open, info, close
 * view.c       the messages of a session, while the file changes
 * message.c    reading, beside other programs
 * commit.c     QUIT
 * doomed.c     proving, before messages are cut out, that they are unchanged
 * journal_plan.c  which bytes a deletion keeps, and what tells that it still fits
 * journal.c    in-place deletion that survives a crash
 * edge.c       what stands around the text that a journal replaces
 * append.c     appending that survives a crash
 * recover.c    finishing what a crash interrupted
 * deliver.c    delivery
 * from_line.c  From_ line and head lines of a message
 * import.c     deliveries that bring their unique-id
 * list.c       totals, list, removal
 */
#ifndef MBOX_H
#define MBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#include "location.h"
#include "lock.h"
#include "proof.h"
#include "snap.h"

#define SLICE_MS 150
#define RETRY_MS 50 /* between two tries for a lock */
#define PIECE 65536

struct journal;
struct sdk_lists;
struct recovery;
struct sdk_totals;

enum mta_lock { MTA_DOTLOCK, MTA_FCNTL, MTA_FLOCK, MTA_LOCKS };

struct inst {
	const struct pm_host *host;
	char *section;
	char *pattern, *prefix;
	char *state_path;               /* the directory that the state is in */
	enum mta_lock order[MTA_LOCKS]; /* as configured */
	unsigned n_order;
	int64_t lock_wait_ms;
	bool rd, fsync;
	struct sdk_totals *totals;
	struct sdk_lists *lists;
	char hostname[65]; /* in dotlocks */
	/* calls that may wait for other programs' locks at once: half of the permits */
	unsigned wait_most;
	atomic_uint waiting;
	/* descriptors of the state directory's parts */
	int state, lock_dir, ledger_dir, index_dir, journal_dir, incoming_dir;
};

/* A message as the session knows it. */
struct view {
	size_t item;     /* of the snapshot; changes when the file does */
	uint64_t octets; /* announced */
};

/* How far the doomed messages are proven. */
struct proving {
	struct proof proof; /* of the message k */
	bool begun;
	size_t k;
	uint64_t at;
};

enum stage { STAGE_LOCK, STAGE_SCAN, STAGE_DONE };

/* A session. */
struct mbox {
	struct inst *inst;
	struct location place;
	uint32_t flags;
	enum stage stage;
	int fd;      /* the file; -1: there is none */
	int session; /* the session lock's descriptor; -1 */
	struct held held;
	struct recovery *recovery; /* under way; NULL */
	struct snap snap;
	struct view *views;
	size_t n;
	/* while scanning */
	struct mbox_parse parse;
	bool parsing;
	/* the messages of the index are compared to the file; `checked` of them were */
	bool checking;
	size_t checked;
	struct item last; /* of the index; it is read again */
	bool last_known;
	size_t n_known;
	/* while scanning again: the snapshot that the views belong to */
	struct snap old;
	bool refreshing;
	/* commit */
	struct journal *journal;
	struct proving proving;
	bool proven; /* the messages of the journal are proven */
	char op[33];
	bool committed, verified;
};

static inline int64_t
mbox_now(const struct inst *i)
{
	return i->host->now_ms(i->host->ctx);
}

#endif
