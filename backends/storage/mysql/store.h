/* SPDX-License-Identifier: Apache-2.0 */
/* store - what the files of the module share. The essay is in mysql.c. */
#ifndef MYSQL_STORE_H
#define MYSQL_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "db.h"

#define CHUNK 65536u      /* bytes of a body's row */
#define BATCH 500u        /* rows per statement; MariaDB makes a subquery of an IN list of 1,000 */
#define ID 16             /* bytes of owners, servers, operations */
#define SCHEMA_VERSION 3u /* steps of schema.c */
#define SLICE_MS 150      /* R7, with room for a statement more */
#define DOMAIN_MAX 320u
#define DATABASE_MAX 256u /* 64 characters */
#define FLAG_UTF8 1u      /* mail_message.flags */

struct process;

/* One instance. */
struct inst {
	const struct pm_host *host;
	struct db_pool pool;
	struct process *process;
	int64_t lease_ms;
	uint64_t abandoned_s;
	char *database, *user, *password, *tls_ca;
	bool any_schema; /* setup: the tables may be missing */
};

/* The exclusive maildrop, or who would like it. */
struct lease {
	uint64_t mailbox;
	uint8_t owner[ID]; /* random */
	uint64_t fence;    /* held: ours; else what it was when it was looked at last */
	bool looked;       /* nothing was asked for since */
	bool asked;        /* it may be ours, whether we heard of it or not */
	bool held;
};

/* A mailbox's row. id 0: there is none. */
struct box_row {
	uint64_t id;
	uint64_t messages, octets; /* without hidden mail */
	size_t domain_n;
	char domain[DOMAIN_MAX];
};

struct entry {
	uint64_t pos, octets;
};

struct reading;

/* One session. */
struct mbox {
	struct inst *inst;
	uint32_t flags;
	struct box_row box;
	struct lease lease;
	struct entry *msgs;
	uint64_t n, cap;
	struct pm_msg *records;  /* PM_OPEN_READONLY: the rows may go meanwhile; else NULL */
	struct reading *reading; /* one message at a time */
	/* what became of the commit */
	bool committed, unsure;
	uint8_t op[ID];
	uint64_t done;
};

/* process.c: this process's row, shared by the instances of one section, and the leases it owes. */
struct process *process_get(const struct pm_open *open);
/* The row goes with the last one. */
void process_put(struct inst *i);
/* Inserts or renews the row when it is due; work that takes or keeps a lease runs it first. */
int32_t process_renew(struct db *d, struct inst *i, bool now);
/* Does so in any case. On a cluster such a write succeeds only on a node that has all that was
 * committed before. */
int32_t process_write(struct db *d, struct inst *i);
const uint8_t *process_id(const struct process *s);
void process_owe(struct process *s, const struct lease *l);
/* Gives back what is owed: of this mailbox, or all of it (0). */
int32_t process_pay(struct db *d, struct process *s, uint64_t mailbox);

/* lease.c */
void lease_init(struct lease *l, uint64_t mailbox);
/* Work: PM_OK, PM_BUSY. May be repeated. */
int32_t lease_take(struct db *d, struct inst *i, struct lease *l);
/* Work: it is not ours any more, nor will be if a statement that asked for it is still under way
 * somewhere. */
int32_t lease_drop(struct db *d, uint64_t mailbox, const uint8_t *owner, uint64_t fence);
/* Never fails: what cannot be given back now is owed. */
void lease_give(struct inst *i, const struct pm_call *call, struct lease *l);

/* box.c */
struct pm_str box_key(const struct pm_user *user);
int32_t box_find(struct db *d, struct pm_str key,
		 struct box_row *ret); /* PM_OK also when there is none */
/* Likewise, and the lease's fence for lease_take. */
int32_t box_open(struct db *d, struct pm_str key, struct box_row *ret, struct lease *l);
/* When there is none it is made. */
int32_t box_make(struct db *d, struct pm_str key, struct pm_str domain, struct box_row *ret);
/* In a transaction: mail that goes; a counter that cannot be right is counted anew. */
int32_t box_subtract(struct db *d, const struct box_row *box, uint64_t messages, uint64_t octets);
int32_t box_recount(struct db *d, const struct box_row *box);
/* The counters of hidden mail: of what is hidden, or (negative) removed. */
int32_t box_hidden(struct db *d, const struct box_row *box, int64_t messages, int64_t octets);
int32_t box_list(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
		 size_t stride, struct pm_box *ret, size_t *ret_got);
int32_t box_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
		 struct pm_stat *ret_stat);
int32_t box_delete(void *inst, const struct pm_call *call, const struct pm_user *user);
int32_t box_place(void *inst, const struct pm_call *call, const struct pm_user *user,
		  struct pm_str *ret_place);

/* domain.c */
int32_t domain_stat(void *inst, const struct pm_call *call, struct pm_str domain,
		    struct pm_stat *ret_stat);

/* snap.c */
int32_t snap_open(void *inst, const struct pm_call *call, const struct pm_user *user,
		  uint32_t flags, uint64_t *ret_count, void **ret_mbox);
int32_t snap_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
		  uint32_t want, struct pm_msg *ret);
void snap_close(void *mbox, const struct pm_call *call);

/* read.c */
int32_t read_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg);
int32_t read_some(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got);
void read_close(void *msg, const struct pm_call *call);

/* commit.c */
int32_t commit_run(void *mbox, const struct pm_call *call, const struct pm_commit *commit,
		   uint64_t *ret_done);
/* In a transaction: these messages become garbage, those of them for which `and` (SQL, or "")
 * holds. n <= BATCH; *ret_n: how many there were. */
int32_t commit_bury(struct db *d, const char *and, uint64_t mailbox, const uint64_t *pos, size_t n,
		    uint64_t *ret_n);

/* clean.c: the tick. */
int32_t clean_tick(void *inst, const struct pm_call *call);

/* schema.c */
int32_t schema_check(struct db *d);
int32_t schema_setup(void *inst, const struct pm_call *call, struct pm_str what);

/* Random bytes; an order of arrival nobody else in this process has. */
void ids_random(void *p, size_t n);
uint64_t ids_arrival(const struct pm_host *host);

#endif
