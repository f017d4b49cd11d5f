/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir - what the files of this module share.
 *
 * maildir.c   options, the descriptor
 * dir.c       directories, opened and made
 * snap.c      a snapshot: items, and what it was taken from
 * scan.c      from directories to a snapshot
 * name.c      what a file's name says
 * match.c     file names become messages, by the ledger
 * twins.c     files that share a base name
 * same.c      whether two files hold the same
 * find.c      one message among the files
 * size.c      Maildir++'s maildirsize
 * cache.c     snapshots of unchanged mailboxes
 * box.c       open, info, close
 * compact.c   the ledger, written anew
 * commit.c    deletions and marks
 * remove.c    files that go, recovery
 * deliver.c   delivery
 * message.c   files are counted and read
 * import.c    deliveries that bring their unique-id
 * list.c      totals, list, removal
 */
#ifndef MAILDIR_H
#define MAILDIR_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#define LEDGER_FILE "restante-ledger"
#define SLICE_MS 150 /* of long work; the ABI says 200 */
/* a directory changed less than this ago may change again in the same tick of its clock */
#define SETTLE_MS 2000
#define UNKNOWN_OCTETS UINT64_MAX
#define IDENTITY_CAP 280
#define RELOCATE_TRIES 6 /* a file that another reader renames each time we look */

struct cache;
struct msg;
struct scanner;
struct sdk_totals;
struct snap;

struct inst {
	const struct pm_host *host;
	char *section;
	char *pattern; /* the path option */
	char *prefix;  /* its part before the first '%', up to a slash: exists already */
	bool mark_seen, fsync, crlf;
	uint64_t cache_messages;
	struct cache *cache;
	struct sdk_totals *totals;
	char hostname[64];
	_Atomic uint64_t sequence; /* of delivered files */
};

/* A session. */
struct mbox {
	struct inst *inst;
	int fd;         /* the maildir; the session's lock is on it; -1: there is none yet */
	uint32_t flags; /* PM_OPEN_... */
	struct snap *snap;
	struct scanner *scanner; /* while opening */
	struct msg *msg;         /* the open message */
	bool guesses;            /* some item is a guess, or unread */
	unsigned named;          /* files in the log that cannot be read */
	bool committed;          /* files are gone: the snapshot is no longer the directory */
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
