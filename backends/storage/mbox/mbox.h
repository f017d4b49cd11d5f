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
#include <sys/stat.h>

#include <restante/module.h>

#include "ledger_file.h"
#include "parse.h"
#include "totals.h"

#define SLICE_MS 150
#define RETRY_MS 50 /* between two tries for a lock */
#define KEY_N 40    /* a mailbox' name in the state directory: hex of its path's hash */
#define PIECE 65536
#define MBOX_PRINT 16

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

/* Where one user's mailbox is. */
struct location {
	char path[PM_PATH_MAX + 1];
	char key[KEY_N + 1];
	unsigned char sum[32]; /* SHA-256 of path */
};

/* The MTA's locks on one mailbox. */
struct held {
	bool all;  /* they are ours */
	bool turn; /* among ours: turn_fd */
	int turn_fd;
	bool dot, fcntl, flock;
	bool readonly;  /* the disk is: nobody can write, and there are no locks */
	int dir;        /* of the dotlock */
	char name[300]; /* its name */
	ino_t ino;
	int64_t touched_ms;
	int64_t asked_ms;   /* since when they are tried; 0: not yet */
	struct inst *waits; /* counted in waiting; NULL: not */
};

struct item {
	uint64_t from, body, end,
		next;  /* next: where the following message begins, or the file ends */
	uint64_t text; /* first byte after the header */
	uint64_t octets, stored;
	int64_t received_ms, first_ms, hidden_ms;
	uint32_t twin; /* 1, 2, ... of equal hashes */
	unsigned char hash[MBOX_HASH];
	unsigned char print[MBOX_PRINT]; /* proof.c */
	/* another program removed it: it is behind the last one that is there */
	bool gone;
	bool doomed; /* to be deleted by the commit that runs */
	bool dirty;  /* not in the ledger as it is here */
	/* since the file grew it is known by its print: hashed when it is read */
	bool printed;
	uint8_t uidl_n;
	char uidl[PM_UIDL_MAX + 1];
};

/* All messages of the file, in its order. */
struct snap {
	struct item *items;
	size_t n, cap;
	struct stat st; /* of the file it was taken from */
	uint64_t junk;
	bool named; /* by the ledger as it was: */
	struct ledger_is {
		uint64_t ino, size, mtime_s, mtime_ns;
	} ledger;
};

/* A message as the session knows it. */
struct view {
	size_t item;     /* of the snapshot; changes when the file does */
	uint64_t octets; /* announced */
};

/* A message that is compared to an item, all of it. */
struct proof {
	struct mbox_parse parse;
	struct mbox_found found;
	unsigned n; /* messages that were found in it */
};

/* How far the doomed messages are proven. */
struct proving {
	struct proof proof; /* of the message k */
	bool begun;
	size_t k;
	uint64_t at;
};

enum stage { STAGE_LOCK, STAGE_SCAN, STAGE_DONE };

struct journal; /* journal.h */

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

/* ---- location.c ------------------------------------------------------------------------------ */
int32_t location_make(struct inst *i, const struct pm_call *call, const struct pm_user *u,
		      struct location *ret);
/* The same of a path that is known. False: no memory. */
bool location_of_path(const char *path, struct location *ret);
/* The file, RDWR (RDONLY on a disk that is); made when `create`. PM_OK with -1: there is none. */
int32_t location_open(struct inst *i, const struct pm_call *call, const struct location *p,
		      bool create, int *ret_fd);
/* Opens it and takes the MTA's locks, on the file that has the name now; *fd: -1, or the file as it
 * was before, which is closed when it is another one. PM_AGAIN: not yet. PM_OK with -1: there is
 * none, and no lock. */
int32_t location_lock(struct inst *i, const struct pm_call *call, const struct location *p,
		      bool create, int *fd, struct held *h);
/* For totals. */
struct sdk_box location_box(const struct location *p);
/* PM_OK, PM_NOSPACE, PM_PERM or PM_TEMP. */
int32_t location_code(int e);

/* ---- lock.c ---------------------------------------------------------------------------------- */
int32_t lock_session(struct inst *i, const struct pm_call *call, const struct location *p,
		     int *ret_fd);
/* All of the MTA's locks at once, without waiting longer than RETRY_MS. PM_AGAIN: not yet; PM_TEMP:
 * lock_wait is over, or too many wait already. fd: the mailbox. */
int32_t lock_mta(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
		 struct held *h);
void lock_keep(struct inst *i, struct held *h); /* touches the dotlock now and then */
void lock_release(struct held *h, int fd);

/* ---- snap.c ---------------------------------------------------------------------------------- */
void snap_free(struct snap *s);
bool snap_room(struct snap *s, size_t n);
/* By the time of the last change of the inode, too, which no program can put back. */
bool snap_same_file(const struct stat *a, const struct stat *b);

/* ---- scan.c: under the MTA's locks ----------------------------------------------------------- */
/* Goes on with the snapshot in slices: PM_AGAIN, PM_OK. An index of the file as it is saves the
 * reading; of one of the file as it was before mail was appended each message is compared. */
int32_t scan_run(struct mbox *m, const struct pm_call *call);
void scan_reset(struct mbox *m);

/* ---- index.c --------------------------------------------------------------------------------- */
/* Under the MTA's locks. Not saved when a change to come might not show in the file's times. */
void index_save(struct inst *i, const struct location *p, int fd, const struct snap *s);
void index_drop(const struct inst *i, const struct location *p);
enum index_is { INDEX_USELESS, INDEX_SHORTER, INDEX_SAME };
/* SHORTER: the file grew since, whatever else happened to it. */
enum index_is index_load(struct inst *i, const struct location *p, const struct stat *now,
			 struct snap *s);

/* ---- proof.c --------------------------------------------------------------------------------- */
/* Of a message as it stands in the file. False: it cannot be read. */
bool proof_print(int fd, const struct item *it, unsigned char ret[MBOX_PRINT]);
/* Is it there, as far as its print tells, with an empty line after it? */
bool proof_stands(int fd, const struct item *it);
/* Is its From_ line there? */
bool proof_begins(int fd, const struct item *it);
/* Is there after it what has to be: an empty line, then mail or the end of the file? */
bool proof_ends(int fd, const struct item *it, uint64_t size);
/* Fed from the From_ line to where the next one begins; proof_is ends it. It stays where it is
 * until proof_free. False: no memory. */
bool proof_begin(struct proof *x, const struct inst *i, const struct item *it);
bool proof_feed(struct proof *x, const char *buf, size_t n);
bool proof_is(struct proof *x, const struct item *it);
void proof_free(struct proof *x);

/* ---- doomed.c -------------------------------------------------------------------------------- */
/* Hashes the doomed messages again, under the MTA's locks, in slices. PM_TEMP: one is not what it
 * was, and the index is no more; or the file changed under our locks. */
int32_t doomed_prove(struct mbox *m, const struct pm_call *call);
void doomed_abandon(struct mbox *m);

/* ---- names.c --------------------------------------------------------------------------------- */
/* Unique-ids and marks from the ledger, if the index has not got them; under the MTA's locks. */
int32_t names_give(struct mbox *m, const struct pm_call *call);
/* What the ledger's file is now; zeroes without one. */
struct ledger_is names_ledger(const struct inst *i, const struct location *p);
/* The mailbox and its ledger, for totals. Not there: no words. */
struct sdk_look names_look(const struct inst *i, const struct location *p);
#define IDENTITY_CAP 64
/* "40 hex digits.twin" */
size_t names_identity(const unsigned char *hash, uint32_t twin, char buf[IDENTITY_CAP]);
/* The number of this hash for an import that is not here: one that was never given, or its own. */
uint32_t names_for_import(struct ledger *l, const unsigned char *hash, const char *uidl);
/* Newcomers and marks of this session go to the ledger. */
void names_learnt(struct mbox *m);

/* ---- import.c -------------------------------------------------------------------------------- */
struct import {
	const char *uidl;
	bool restore;      /* PM_DLVF_RESTORE */
	struct mbox *look; /* while the mailbox is read; NULL at first */
};
/* Before anything is written: PM_EXISTS, PM_OK: not that we knew, or a failure. */
int32_t import_look(const struct inst *i, const struct pm_call *call, const struct location *p,
		    const struct import *im);
/* The same for sure, under the MTA's locks; PM_AGAIN: call again. */
int32_t import_check(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
		     struct held *h, struct import *im);
void import_free(struct import *im);

/* ---- append.c: under the MTA's locks --------------------------------------------------------- */
/* What is appended: `lead` (what ends the file's last line, From_ line, head lines), the file
 * `name` in incoming/ of `size` bytes, an empty line. `list` goes to the ledger with it. */
struct append {
	const char *lead, *list, *name;
	size_t lead_n, list_n;
	int fd; /* of the file in incoming/ */
	uint64_t size;
};
/* 0 or an errno; *ret_torn: not all of it could be taken back, recovery will. */
int append_message(struct inst *i, const struct location *p, int fd, const struct append *a,
		   struct held *h, bool *ret_torn);
/* Finishes or takes back what a crash left; PM_OK: nothing is left. */
int32_t append_recover(struct inst *i, const struct pm_call *call, const struct location *p,
		       int fd);
/* The path a record in journal/ is about (PM_PATH_MAX + 1 bytes). False: it is none, or torn. */
bool append_path(struct inst *i, const char *name, char *path);
/* What nobody came back for. */
void append_sweep(struct inst *i);

/* ---- recover.c ------------------------------------------------------------------------------- */
/* Finishes what a crash left of this mailbox; under the MTA's locks. PM_OK: nothing is left;
 * PM_PERM: a conflict. */
int32_t recover_box(struct inst *i, const struct pm_call *call, const struct location *p, int fd);
/* All journals there are: each under its mailbox' locks; those that are locked wait for the next
 * time. */
void recover_sweep(struct inst *i, const struct pm_call *call);

/* ---- box.c ----------------------------------------------------------------------------------- */
int32_t box_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
		 uint64_t *ret_count, void **ret_mbox);
int32_t box_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
		 uint32_t want, struct pm_msg *ret);
void box_close(void *mbox, const struct pm_call *call);

/* ---- view.c ---------------------------------------------------------------------------------- */
/* The MTA's locks, and the snapshot as the file is now: the session's messages are where they are
 * now. PM_AGAIN: not yet. The locks stay ours with PM_OK and PM_AGAIN. */
int32_t view_refresh(struct mbox *m, const struct pm_call *call);
/* Ends a refresh that returned PM_AGAIN: everything is as it was before. */
void view_abandon(struct mbox *m);
/* Is the file the one of the snapshot? */
bool view_unchanged(const struct mbox *m);
/* The snapshot was wrong: it and its index count for nothing, the next refresh reads the file. */
void view_distrust(struct mbox *m);
/* What is known of a session's message. */
struct item *view_item(const struct mbox *m, size_t k);

/* ---- message.c ------------------------------------------------------------------------------- */
int32_t message_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg);
int32_t message_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got);
void message_close(void *msg, const struct pm_call *call);

/* ---- commit.c -------------------------------------------------------------------------------- */
int32_t commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
		   uint64_t *ret_done);

/* ---- list.c ---------------------------------------------------------------------------------- */
void list_count_free(void *work); /* sdk_totals_new's work_free */
int32_t list_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
		  struct pm_stat *ret);
int32_t list_boxes(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
		   size_t stride, struct pm_box *ret, size_t *ret_got);
int32_t list_delete(void *inst, const struct pm_call *call, const struct pm_user *user);
int32_t list_place(void *inst, const struct pm_call *call, const struct pm_user *user,
		   struct pm_str *ret_place);

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
