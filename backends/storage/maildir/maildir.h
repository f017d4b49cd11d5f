/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir - shared by the files of this module.
 *
 * maildir.c   options, the descriptor
 * dir.c       opening, making and syncing directories
 * snap.c      a snapshot: its items, and the directories it was taken from
 * scan.c      from directories to a snapshot
 * name.c      the parts of a file's name
 * match.c     from file names to messages, by the ledger
 * twins.c     files that share a base name
 * same.c      whether two files hold the same
 * find.c      one message among the files
 * size.c      Maildir++'s maildirsize
 * cache.c     snapshots of unchanged mailboxes
 * box.c       open, info, close
 * message.c   counting and reading files
 * commit.c    deletions and marks
 * remove.c    unlinking files
 * recover.c   finishing the commits of earlier sessions
 * compact.c   rewriting the ledger
 * deliver.c   delivery
 * draft.c     a message that is being delivered, in tmp/
 * sweep.c     files that deliveries left in tmp/
 * import.c    deliveries that bring their unique-id
 * lock.c      the locks of sessions and imports
 * list.c      totals, list, removal
 */
#ifndef MAILDIR_H
#define MAILDIR_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#define LEDGER_FILE "restante-ledger"
#define SLICE_MS 150 /* of long work; the ABI allows 200 */
/* a directory that changed less than this ago may change again in the same tick of its clock */
#define SETTLE_MS 2000
#define UNKNOWN_OCTETS UINT64_MAX
#define IDENTITY_CAP 280
#define RELOCATE_TRIES 6 /* looks for a file that another reader renames each time */

struct cache;
struct msg;
struct scanner;
struct sdk_lists;
struct sdk_totals;
struct snap;

struct inst {
	const struct pm_host *host;
	char *section;
	char *pattern; /* the path option */
	char *prefix;  /* the part of the pattern before the first '%', up to a slash; it exists */
	bool mark_seen, fsync, crlf;
	bool lock_file;           /* lock = file */
	_Atomic bool told_remote; /* that a mailbox is on a remote file system */
	uint64_t cache_messages;
	struct cache *cache;
	struct sdk_totals *totals;
	struct sdk_lists *lists;
	char hostname[64];
	_Atomic uint64_t sequence; /* of delivered files */
};

/* A session. */
struct mbox {
	struct inst *inst;
	int fd;         /* the maildir, which the session's lock is on; -1: there is none yet */
	int lock;       /* the file of lock = file; -1: none */
	uint32_t flags; /* PM_OPEN_... */
	struct snap *snap;
	bool cached;             /* it came out of the cache */
	int64_t opened_ms;       /* UTC: hidden messages whose time was over by then are over */
	struct scanner *scanner; /* while opening */
	struct msg *msg;         /* the open message */
	bool guesses;            /* the size of some item is a guess */
	unsigned named;          /* unreadable files that were logged */
	bool committed;          /* files are gone: the snapshot no longer matches the directory */
	char op[33];             /* of the commit under way or done */
	uint64_t commit_at;      /* next item of the commit's second half */
	uint64_t commit_done;
	bool commit_partial;
	int commit_failed;  /* errno of a file that will not go */
	bool commit_unseen; /* a file was not found: the next opener looks once more */
};

static inline int64_t
maildir_now(const struct inst *i)
{
	return i->host->now_ms(i->host->ctx);
}

#endif
