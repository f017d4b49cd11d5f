/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir - what the files of this module share.
 *
 * maildir.c   options, paths, the descriptor        scan.c    from directories to a snapshot
 * join.c      names become messages             find.c    one message among the files
 * cache.c     snapshots of unchanged mailboxes      box.c     open, info, read, close
 * commit.c    deletions and marks, recovery         deliver.c delivery
 * list.c      totals, list, removal                 size.c    Maildir++'s maildirsize
 * import.c    deliveries that bring their unique-id
 */
#ifndef MAILDIR_H
#define MAILDIR_H

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

#include "ledger_file.h"
#include "totals.h"

#define LEDGER_FILE "restante-ledger"
#define SLICE_MS 150   /* of long work; the ABI says 200 */
#define SETTLE_MS 2000 /* a directory changed less than this ago may change again in the same tick of its clock */
#define UNKNOWN_OCTETS UINT64_MAX
#define RELOCATE_TRIES 6 /* a file that another reader renames each time we look */

struct cache;

struct inst {
	const struct pm_host *host;
	char *section;
	char *pattern;      /* the path option */
	char *prefix;       /* its part before the first '%', up to a slash: exists already */
	bool mark_seen, fsync, crlf;
	uint64_t cache_messages;
	struct cache *cache;
	struct sdk_totals *totals;
	char hostname[64];
	_Atomic uint64_t sequence; /* of delivered files */
};

/* One message of a snapshot: 64 bytes and its names. */
struct item {
	uint64_t arrival;    /* leading digits of the name */
	uint64_t octets;     /* UNKNOWN_OCTETS */
	uint64_t stored;     /* size of the file when octets is known */
	int64_t first_ms;    /* first retrieved; 0: never */
	int64_t hidden_ms;   /* hidden until; 0: visible */
	uint32_t name;       /* offset into names: file name, NUL */
	uint32_t uidl;       /* offset into names */
	uint16_t base_n;     /* the identity: name up to ',' or ':' */
	uint8_t uidl_n;
	bool in_new : 1;
	bool dirty : 1;      /* not in the ledger as it is here */
	bool twins : 1;      /* there is another file of this base name */
	bool stale : 1;      /* while scanning: seen by an earlier look only */
};

/* Everything about a mailbox at one moment. One owner: the session that holds the lock, or the cache. */
struct scan {
	struct item *items;
	size_t n, cap;
	struct item *hidden; /* what is not in items because it is hidden; unless with_hidden */
	size_t hidden_n;
	bool with_hidden;    /* items holds the hidden ones too */
	char *names;
	size_t names_n, names_cap;
	/* what it was read from */
	dev_t dev;
	ino_t ino;
	struct timespec new_mtime, cur_mtime;
	ino_t ledger_ino;
	off_t ledger_size;
	size_t ledger_lines;
	size_t remembered;   /* imports in the ledger that were deleted */
	bool settled;        /* both directories were older than SETTLE_MS */
	bool dirty;          /* some item is */
};

/* A mailbox, whatever its path. */
struct box_key {
	dev_t dev;
	ino_t ino;
};

struct mbox {
	struct inst *inst;
	int fd;              /* the maildir; the session's lock is on it; -1: there is none yet */
	uint32_t flags;      /* PM_OPEN_... */
	struct scan *scan;
	struct scanner *scanner; /* while opening */
	uint64_t sizes_from; /* first item whose size may be unknown */
	bool committed;      /* files are gone: the snapshot is no longer the directory */
	char op[33];         /* of the commit under way or done */
	uint64_t commit_at;  /* next item of the commit's second half */
	uint64_t commit_done;
	bool commit_partial;
	int commit_failed;   /* errno of a file that will not go */
	bool commit_unseen;  /* a file was not found: the next opener looks once more */
};

/* ---- maildir.c ---- */

/* Opens (creates) a user's maildir. *ret_fd -1 with PM_OK: there is none. PM_PERM with a text: no such path
 * may exist, or no permission. PM_NOSPACE: no room to create it. */
int32_t maildir_open_dir(struct inst *i, const struct pm_call *call, const struct pm_user *user, bool create,
			 int *ret_fd);
/* Makes what is missing of cur, new and tmp in an open maildir, tmp last: where tmp is, all are. False: errno. */
bool maildir_fill(const struct inst *i, int fd);
int64_t maildir_now(const struct inst *i);

/* ---- scan.c ---- */

struct scanner;
/* Reads ledger and directories in slices; an exclusive opener finishes interrupted commits first. PM_OK: *ret_scan is the caller's. PM_AGAIN: *sc goes on. */
int32_t scan_run(struct inst *i, const struct pm_call *call, int fd, uint32_t flags, struct scanner **sc,
		 struct scan **ret_scan);
void scanner_free(struct scanner *sc);
void scan_free(struct scan *s);
/* What the snapshot was read from, as it is now. */
void scan_stat(int fd, struct scan *ret);
/* The same, for totals. */
struct sdk_look scan_look(const struct inst *i, int fd);
struct sdk_box scan_box(int fd);
bool scan_unchanged(const struct scan *s, const struct scan *now);
/* new and cur as they were, by their times. */
bool scan_same_dirs(const struct scan *a, const struct scan *b);
struct box_key scan_key(const struct scan *s);
/* The part of a name that stays: up to ',' or ':'. */
size_t scan_base_length(const char *name);
/* "new/NAME" or "cur/NAME" of an item. */
void scan_path(const struct scan *s, const struct item *it, char *buf, size_t cap);
/* The leading number of a name. */
uint64_t scan_arrival(const char *name);
/* Keeps a text, with a NUL, among the names. False: no memory, or over 4 GiB of them. */
bool scan_add_name(struct scan *s, const char *text, size_t n, uint32_t *ret);

/* ---- find.c ---- */

/* Is there a file of this base name, in new or cur? */
bool find_base(int fd, const char *base, size_t n);
/* The file of an item, found again by its base name after ENOENT. False: gone. */
bool find_again(int fd, struct scan *s, struct item *it);
/* Is there a file the ledger does not know whose unique-id is this? Reads both directories. */
bool find_unseen(int fd, struct ledger *l, const char *uidl, size_t n);

/* ---- join.c ---- */

/* Sorts, drops twins and what is deleted, asks the ledger. May be repeated when items were added. */
int32_t scan_join(struct scan *s, struct ledger *l);
/* Is a message of this name, visible, in the snapshot? */
bool join_has(const struct scan *s, const char *name);
/* Does a file of this base name have this unique-id as long as the ledger does not know it? */
bool join_own_uidl(const char *base, size_t n, const char *uidl, size_t uidl_n);
/* Does the ledger keep this record, though its message was deleted? */
bool join_remembers(const struct ledger_message *lm, int64_t now_ms);

/* ---- commit.c ---- */

/* Finishes what an earlier session committed. Exclusive openers only. */
void commit_recover(struct inst *i, int fd, struct ledger *l);
/* new and cur as they are, durable. */
bool commit_sync_dirs(const struct inst *i, int fd);
/* Hidden messages whose time is over are seen by nobody; with the lock they go now. */
void commit_purge(struct mbox *m);
/* What the session learnt - sizes, new identities - goes to the ledger. */
void commit_learnt(struct mbox *m);
int32_t maildir_commit(void *mbox, const struct pm_call *call, const struct pm_commit *commit, uint64_t *ret_done);

/* ---- cache.c ---- */
struct cache *cache_new(uint64_t max_messages);
void cache_free(struct cache *c);
/* The snapshot of this directory, taken out; NULL: none that is still true. */
struct scan *cache_take(struct cache *c, const struct scan *now);
/* Gives it to the cache, or frees it. */
void cache_give(struct cache *c, struct scan *s);

/* ---- size.c ---- */

/* Tells maildirsize, if there is one, of so much more (less) mail. A convenience for others: failures are theirs. */
void size_add(int fd, int64_t octets, int64_t messages);

/* ---- list.c ---- */
/* sdk_totals_new's work_free. */
void maildir_count_free(void *work);
int32_t maildir_stat(void *inst, const struct pm_call *call, const struct pm_user *user, struct pm_stat *ret);
int32_t maildir_place(void *inst, const struct pm_call *call, const struct pm_user *user, struct pm_str *ret_place);
int32_t maildir_list(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n, size_t stride,
		     struct pm_box *ret, size_t *ret_got);
int32_t maildir_delete(void *inst, const struct pm_call *call, const struct pm_user *user);

/* ---- box.c ---- */
int32_t box_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags, uint64_t *ret_count,
		 void **ret_mbox);
void box_close(void *mbox, const struct pm_call *call);
/* The octets of an item, counted if they are not known. */
int32_t box_count_item(struct mbox *m, const struct pm_call *call, struct item *it);

/* ---- box.c, deliver.c ---- */
/* PM_NOSPACE, PM_PERM or PM_TEMP. */
int32_t maildir_disk_code(int e);
extern const struct pm_storage maildir_storage;
extern const struct pm_delivery maildir_delivery;

#endif
