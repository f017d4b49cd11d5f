/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildir - what the files of this module share.
 *
 * maildir.c   options, the descriptor
 * dir.c       its directories
 * snap.c      a snapshot
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

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

#include "ledger_file.h"
#include "totals.h"

#define LEDGER_FILE "restante-ledger"
#define SLICE_MS 150 /* of long work; the ABI says 200 */
/* a directory changed less than this ago may change again in the same tick of its clock */
#define SETTLE_MS 2000
#define UNKNOWN_OCTETS UINT64_MAX
#define IDENTITY_CAP 280
#define RELOCATE_TRIES 6 /* a file that another reader renames each time we look */

struct cache;
struct source;
struct twins;
struct msg;

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

/* One message of a snapshot - while it is made one file: 64 bytes and its names. */
struct item {
	uint64_t arrival;  /* leading digits of the name */
	uint64_t octets;   /* UNKNOWN_OCTETS */
	uint64_t stored;   /* size of the file when octets is known */
	int64_t first_ms;  /* first retrieved; 0: never */
	int64_t hidden_ms; /* hidden until; 0: visible */
	uint64_t ino;      /* it keeps it when it is renamed; 0: not known */
	uint32_t name;     /* offset into names: file name, NUL */
	uint32_t uidl;     /* offset into names */
	/* among the messages of this base name, from 1 on; 0: the file is gone again */
	uint32_t number;
	uint16_t base_n; /* name up to ',' or ':' */
	uint8_t uidl_n;
	bool in_new : 1;
	bool dirty : 1;    /* not in the ledger as it is here */
	bool twins : 1;    /* there is another file of this message */
	bool stale : 1;    /* while scanning: seen by an earlier look only */
	bool unproven : 1; /* octets is what its name says, or said: nobody counted */
	bool guess : 1;    /* octets is this session's, and never written down */
	bool unread : 1;   /* cannot be read, as far as this session knows */
};

/* Everything about a mailbox at one moment. One owner: the session that holds the lock, or the
 * cache. */
struct snap {
	struct item *items;
	size_t n, cap;
	struct item *hidden; /* what is not in items because it is hidden; unless with_hidden */
	size_t hidden_n;
	bool with_hidden; /* items holds the hidden ones too */
	char *names;
	size_t names_n, names_cap;
	/* what it was read from */
	dev_t dev;
	ino_t ino;
	struct timespec new_mtime, cur_mtime;
	ino_t ledger_ino;
	off_t ledger_size;
	size_t ledger_lines;
	size_t ledger_useful; /* lines that it would have if it were written anew, about */
	bool settled;         /* both directories were older than SETTLE_MS */
	bool dirty;           /* some item is */
};

/* A mailbox, whatever its path. */
struct box_key {
	dev_t dev;
	ino_t ino;
};

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

/* ---- dir.c ----------------------------------------------------------------------------------- */

/* Opens (creates) a user's maildir. *ret_fd -1 with PM_OK: there is none. PM_PERM with a text:
 * no such path may exist, or no permission. PM_NOSPACE: no room to create it. */
int32_t dir_open(struct inst *i, const struct pm_call *call, const struct pm_user *user,
		 bool create, int *ret_fd);
/* Makes what is missing of cur, new and tmp in an open maildir, tmp last: where tmp is, all are.
 * False: errno. */
bool dir_fill(const struct inst *i, int fd);
int64_t maildir_now(const struct inst *i);
/* A rename that never replaces. False: errno. */
bool dir_move(int fd, const char *from, const char *to);
/* new and cur as they are, durable. */
bool dir_sync(const struct inst *i, int fd);
/* PM_NOSPACE, PM_PERM or PM_TEMP. */
int32_t dir_code(int e);

/* ---- snap.c ---------------------------------------------------------------------------------- */

void snap_free(struct snap *s);
/* What the snapshot was read from, as it is now. */
void snap_stat(int fd, struct snap *ret);
/* The same, for totals. */
struct sdk_look snap_look(const struct inst *i, int fd);
struct sdk_box snap_box(int fd);
bool snap_same_time(struct timespec a, struct timespec b);
bool snap_unchanged(const struct snap *s, const struct snap *now);
/* new and cur as they were, by their times. */
bool snap_same_dirs(const struct snap *a, const struct snap *b);
struct box_key snap_key(const struct snap *s);
/* Another file. False: no memory. */
bool snap_add(struct snap *s, const char *name, bool in_new, uint64_t ino);
/* A regular file with a name we can serve? */
bool snap_takes(int dirfd, const struct dirent *d);
/* Keeps a text, with a NUL, among the names. False: no memory, or over 4 GiB of them. */
bool snap_add_name(struct snap *s, const char *text, size_t n, uint32_t *ret);

/* ---- scan.c ---------------------------------------------------------------------------------- */

struct scanner;
/* Reads ledger and directories in slices; an exclusive opener finishes interrupted commits
 * first. PM_OK: *ret_snap is the caller's. PM_AGAIN: *sc goes on. */
int32_t scan_run(struct inst *i, const struct pm_call *call, int fd, uint32_t flags,
		 struct scanner **sc, struct snap **ret_snap);
void scan_free(struct scanner *sc);

/* ---- name.c ---------------------------------------------------------------------------------- */

/* The part of a name that stays: up to ',' or ':'. */
size_t name_base_length(const char *name);
/* What the ledger calls an item; in buf, or among the names. */
const char *name_identity(const struct snap *s, const struct item *it, char buf[IDENTITY_CAP],
			  size_t *ret_n);
/* The ledger's message of that number, from 1 on, among those of a file's base name. NULL: it
 * knows none. */
struct ledger_message *name_known(struct ledger *l, const char *name, unsigned number);
/* "new/NAME" or "cur/NAME" of an item. */
void name_path(const struct snap *s, const struct item *it, char *buf, size_t cap);
/* The leading number of a name. */
uint64_t name_arrival(const char *name);
/* Digits behind ",S=" or ",W=" in a file name; false: not there. */
bool name_number(const char *name, char key, uint64_t *ret);

/* ---- find.c ---------------------------------------------------------------------------------- */

/* Adds the files of new and cur that wanted() wants by their names; one that moves meanwhile may
 * come twice. False: errno. */
bool find_files(int fd, bool (*wanted)(const char *name, void *ctx), void *ctx, struct snap *s);
/* Tells fn, which says false, each name in tmp, new and cur: at least once, also of a file that
 * moves on meanwhile. False: errno. */
bool find_names(int fd, bool (*fn)(const char *name, void *ctx), void *ctx);
/* The file of an item, found again by base name and inode after ENOENT. False: gone. */
bool find_again(int fd, struct snap *s, struct item *it);
/* Is there a file the ledger does not know whose unique-id is this? Reads both directories. */
bool find_unseen(int fd, struct ledger *l, const char *uidl, size_t n);

/* ---- match.c --------------------------------------------------------------------------------- */

/* Brings the files of one message, and of one base name, together. False: no memory. */
bool match_sort(struct snap *s);
/* Sorts, makes one item of each message, drops what is deleted, asks the ledger. May be repeated
 * when items were added. */
int32_t match_run(struct snap *s, struct ledger *l);
/* Is a message of this name, visible, in the snapshot? */
bool match_has(const struct snap *s, const char *name);
/* The unique-id a message of this identity has as long as the ledger does not know it; its
 * length, 0: no memory. */
size_t match_make_uidl(const char *identity, size_t n, char uidl[PM_UIDL_MAX + 1]);
bool match_own_uidl(const char *identity, size_t n, const char *uidl, size_t uidl_n);
/* Does the ledger keep this record, though its message was deleted? */
bool match_remembers(const struct ledger_message *lm, int64_t now_ms);

/* ---- twins.c --------------------------------------------------------------------------------- */

/* Which message each file is, from *at on: sets the items' numbers, and l learns what it did not
 * know. PM_AGAIN: later than until_ms. */
int32_t twins_run(const struct source *src, struct ledger *l, size_t *at);
/* What l learnt goes to its file, before anybody hears of it. Exclusive openers only. */
void twins_keep(const struct source *src);
void held_free(struct twins *t);
/* ---- same.c ---------------------------------------------------------------------------------- */

struct sdk_octets;
#define SAME_UNREAD "-" /* the content of a file that cannot be read: it is a message of its own */
/* What an open file holds. False: it cannot be read, errno. */
bool same_read(int fd, char content[LEDGER_CONTENT + 1], struct sdk_octets *ret_octets);
/* Is that name's file one message with this one: the same inode, or the same size and bytes? fd
 * -1: it cannot be read. */
bool same_message(int fd, const struct stat *st, int dirfd, const char *name);
/* Does that file hold what the ledger says this message's do? */
bool same_as_known(int dirfd, const char *path, const struct ledger_message *m);

/* ---- remove.c -------------------------------------------------------------------------------- */

/* Unlinks the file of an item, and what is proven to be the same. 0 or an errno; ENOENT: it was
 * not found. */
int remove_item(struct mbox *m, struct item *it);
/* Finishes what an earlier session committed. Exclusive openers only. */
void remove_unfinished(struct inst *i, int fd, struct ledger *l);
/* Hidden messages whose time is over are seen by nobody; with the lock they go now. */
void remove_hidden(struct mbox *m);

/* ---- commit.c -------------------------------------------------------------------------------- */

/* What the session learnt - sizes, new identities - goes to the ledger. */
void commit_learnt(struct mbox *m);
int32_t commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
		   uint64_t *ret_done);

/* ---- compact.c ------------------------------------------------------------------------------- */

/* How many lines would stay, of a ledger in which the scan has marked what it found? */
size_t compact_useful(const struct snap *s, struct ledger *l, int64_t now_ms);
/* Writes the ledger anew, if most of it is of no use. False: there was no need. Exclusive
 * openers only. */
bool compact_ledger(struct mbox *m);

/* ---- cache.c --------------------------------------------------------------------------------- */
struct cache *cache_new(uint64_t max_messages);
void cache_free(struct cache *c);
/* The snapshot of this directory, taken out; NULL: none that is still true. */
struct snap *cache_take(struct cache *c, const struct snap *now);
/* Gives it to the cache, or frees it. */
void cache_give(struct cache *c, struct snap *s);

/* ---- size.c ---------------------------------------------------------------------------------- */

/* Tells maildirsize, if there is one, of so much more (less) mail. A convenience for others:
 * failures are theirs. */
void size_add(int fd, int64_t octets, int64_t messages);

/* ---- list.c ---------------------------------------------------------------------------------- */
/* sdk_totals_new's work_free. */
void list_count_free(void *work);
int32_t list_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
		  struct pm_stat *ret);
int32_t list_place(void *inst, const struct pm_call *call, const struct pm_user *user,
		   struct pm_str *ret_place);
int32_t list_boxes(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
		   size_t stride, struct pm_box *ret, size_t *ret_got);
int32_t list_delete(void *inst, const struct pm_call *call, const struct pm_user *user);

/* ---- box.c ----------------------------------------------------------------------------------- */
int32_t box_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
		 uint64_t *ret_count, void **ret_mbox);
int32_t box_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
		 uint32_t want, struct pm_msg *ret);
void box_close(void *mbox, const struct pm_call *call);

/* ---- message.c ------------------------------------------------------------------------------- */
/* Counts the octets of a file. One that cannot be read is named in the log of a session, and has
 * a guess. PM_OK, PM_NOMEM. */
int32_t message_count(struct mbox *m, const struct pm_call *call, struct item *it);
/* Likewise the open message's, of the file that is being read. */
int32_t message_count_open(struct msg *g, const struct pm_call *call);
bool message_is(const struct msg *g, uint64_t index);
int32_t message_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg);
int32_t message_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got);
void message_close(void *msg, const struct pm_call *call);
/* ---- deliver.c ------------------------------------------------------------------------------- */
int32_t deliver_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags,
		      void **ret_dlv);
int32_t deliver_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt);
int32_t deliver_write(void *dlv, const struct pm_call *call, const void *buf, size_t n);
int32_t deliver_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret,
			size_t stride);
int32_t deliver_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride);
void deliver_abort(void *dlv, const struct pm_call *call);

#endif
