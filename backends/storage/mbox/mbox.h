/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbox - what the files of this module share.
 *
 * mbox.c   options, state, the descriptor      parse.c   the text: messages, quoting (pure)
 * lock.c   the session's lock and the MTA's    scan.c    from a file to a snapshot; the index
 * names.c  unique-ids, by the ledger           journal.c in-place deletion that survives a crash
 * box.c    open, info, read, close
 * commit.c QUIT                                deliver.c delivery
 */
#ifndef MBOX_H
#define MBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

#include "ledger_file.h"
#include "parse.h"

#define SLICE_MS 150
#define RETRY_MS 50       /* between two tries for a lock */
#define KEY_N 40          /* a mailbox' name in the state directory: hex of its path's hash */
#define PIECE 65536

enum mta_lock { MTA_DOTLOCK, MTA_FCNTL, MTA_FLOCK, MTA_LOCKS };

struct inst {
	const struct pm_host *host;
	char *section;
	char *pattern, *prefix;
	enum mta_lock order[MTA_LOCKS]; /* as configured */
	unsigned n_order;
	int64_t lock_wait_ms;
	bool rd, fsync;
	int state, lock_dir, ledger_dir, index_dir, journal_dir; /* descriptors */
};

/* Where one user's mailbox is. */
struct place {
	char path[PM_PATH_MAX + 1];
	char key[KEY_N + 1];
	unsigned char sum[32]; /* SHA-256 of path */
};

/* The locks of the MTA's that are held. */
struct held {
	bool dot, fcntl, flock;
	int dir;                 /* of the dotlock */
	char name[300];          /* its name */
	int64_t touched_ms;
	int64_t asked_ms;        /* since when it is tried; 0: not yet */
};

struct item {
	uint64_t from, body, end, next; /* next: where the following message begins, or the file ends */
	uint64_t octets, stored;
	int64_t first_ms;
	uint32_t twin;           /* 1, 2, ... of equal hashes */
	unsigned char hash[MBOX_HASH];
	bool gone;               /* another program removed it */
	bool dirty;              /* not in the ledger as it is here */
	uint8_t uidl_n;
	char uidl[PM_UIDL_MAX + 1];
};

struct snap {
	struct item *items;
	size_t n, cap;
	struct stat st;          /* of the file it was taken from */
	uint64_t junk;
};

enum stage { STAGE_LOCK, STAGE_SCAN, STAGE_DONE };

struct journal; /* journal.c */

struct mbox {
	struct inst *inst;
	struct place place;
	uint32_t flags;
	enum stage stage;
	int fd;                  /* the file; -1: there is none */
	int session;             /* the session lock's descriptor; -1 */
	struct held held;
	struct snap snap;
	struct mbox_parse parse; /* while scanning */
	bool parsing;
	struct item last;        /* of the index; read again */
	bool last_known;
	size_t n_known;
	/* commit */
	struct journal *journal;
	char op[33];
	bool committed, verified;
};

/* ---- mbox.c ---- */
int64_t mbox_now(const struct inst *i);
int32_t place_make(struct inst *i, const struct pm_call *call, const struct pm_user *u, struct place *ret);
/* The file, RDWR; made when `create`. PM_OK with -1: there is none. */
int32_t place_open(struct inst *i, const struct pm_call *call, const struct place *p, bool create, int *ret_fd);

/* ---- lock.c ---- */
int32_t lock_session(struct inst *i, const struct pm_call *call, const struct place *p, int *ret_fd);
/* All of the MTA's locks at once, without waiting longer than RETRY_MS. PM_AGAIN: not yet; PM_TEMP: lock_wait_ms is
 * over. fd: the mailbox. */
int32_t lock_mta(struct inst *i, const struct pm_call *call, const struct place *p, int fd, struct held *h);
void lock_keep(struct inst *i, struct held *h); /* touches the dotlock now and then */
void unlock_mta(struct held *h, int fd);

/* ---- scan.c: under the MTA's locks ---- */
/* Goes on with the snapshot in slices: PM_AGAIN, PM_OK. An index of the file as it is, or as it was before mail was
 * appended, saves the reading. */
int32_t scan_run(struct mbox *m, const struct pm_call *call);
void scan_reset(struct mbox *m);
void snap_free(struct snap *s);
void index_save(struct inst *i, const struct place *p, const struct snap *s);
bool same_file(const struct stat *a, const struct stat *b);

/* ---- names.c ---- */
/* Unique-ids and marks from the ledger. */
int32_t snap_name(struct mbox *m, const struct pm_call *call);
/* "40 hex digits.twin" */
size_t item_identity(const struct item *it, char buf[64]);
/* Newcomers and marks of this session go to the ledger. */
void snap_learnt(struct mbox *m);

/* ---- journal.c: under the MTA's locks ---- */
/* Begins the deletion of a map; no change to the file yet. NULL: no memory. */
struct journal *journal_new(struct mbox *m, const uint8_t *del, const char *op_hex);
/* Goes on in slices; *ret_point: the commit point is behind us. */
int32_t journal_run(struct journal *j, const struct pm_call *call, bool *ret_point);
void journal_free(struct journal *j);
/* Finishes what a crash left of this mailbox. PM_OK: nothing is left; PM_PERM: a conflict. */
int32_t journal_recover(struct inst *i, const struct pm_call *call, const struct place *p, int fd);
/* All journals there are: each under its mailbox' locks; those that are locked wait for the next time. */
void journal_sweep(struct inst *i, const struct pm_call *call);

/* ---- box.c ---- */
/* The MTA's locks on the file that has the name now. PM_AGAIN: not yet. */
int32_t box_lock(struct mbox *m, const struct pm_call *call);
/* Under them: the snapshot's messages at the places they have now. */
int32_t box_refresh(struct mbox *m, const struct pm_call *call);

/* ---- commit.c, box.c, deliver.c ---- */
int32_t mbox_commit(void *mbox, const struct pm_call *call, const struct pm_commit *commit, uint64_t *ret_done);
extern const struct pm_storage mbox_storage;
extern const struct pm_delivery mbox_delivery;

#endif
