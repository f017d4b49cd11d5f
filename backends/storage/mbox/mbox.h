/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbox - what the files of this module share.
 *
 * mbox.c       options, state, the descriptor
 * location.c   where a mailbox is, opening it
 * lock.c       the session's lock and the MTA's
 * parse.c      the text: messages, quoting (pure)
 * snap.c       a snapshot: items, and the file it was taken from
 * scan.c       from a file to a snapshot
 * index.c      the snapshot's short form on disk
 * names.c      unique-ids and marks, by the ledger
 * box.c        open, info, close
 * view.c       the messages of a session, while the file changes
 * message.c    reading, beside other programs
 * commit.c     QUIT
 * journal.c    in-place deletion that survives a crash
 * append.c     appending that survives a crash
 * recover.c    what a crash left
 * deliver.c    delivery
 * from_line.c  From_ line and head lines of a message
 * import.c     deliveries that bring their unique-id
 * list.c       totals, list, removal
 * bytes.c      copying, summing, writing bytes of a file
 * proof.c      is a message still where the snapshot says?
 * doomed.c     is it, before it is cut out?
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
struct sdk_totals;

enum mta_lock { MTA_DOTLOCK, MTA_FCNTL, MTA_FLOCK, MTA_LOCKS };

struct inst {
	const struct pm_host *host;
	char *section;
	char *pattern, *prefix;
	enum mta_lock order[MTA_LOCKS]; /* as configured */
	unsigned n_order;
	int64_t lock_wait_ms;
	bool rd, fsync;
	struct sdk_totals *totals;
	char hostname[65];  /* in dotlocks */
	unsigned wait_most; /* so many calls may wait for other programs' locks at once: half of the
			       permits */
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
	struct snap snap;
	struct view *views;
	size_t n;
	/* while scanning */
	struct mbox_parse parse;
	bool parsing;
	bool checking; /* the index' messages are compared to the file, `checked` of them were */
	size_t checked;
	struct item last; /* of the index; read again */
	bool last_known;
	size_t n_known;
	/* while scanning anew: the snapshot that the views are of */
	struct snap old;
	bool refreshing;
	/* commit */
	struct journal *journal;
	struct proving proving;
	bool proven; /* what the journal is about */
	char op[33];
	bool committed, verified;
};

static inline int64_t
mbox_now(const struct inst *i)
{
	return i->host->now_ms(i->host->ctx);
}

#endif
