/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - shared by the files of this module.
 *
 * mysql.c       an overview; options, connections, the descriptor
 * db.c          connections, and statements on them
 * statements.c  texts of the statements
 * schema.c      the version of the tables, and upgrades
 * greet.c       a new connection; which servers are refused, and fit.c: why
 * ids.c         random bytes, and an order of arrival
 * process.c     this process's row, shared by the instances of one section, and the leases it owes
 * lease.c       the exclusive maildrop, held or wanted
 * box.c         mailboxes: rows, counters, totals, removal
 * domain.c      totals of a domain
 * snap.c        a session: open, info, close
 * read.c        one message, read in pieces
 * commit.c      QUIT
 * deliver.c     a delivery in the making
 * publish.c     a delivery becomes mail
 * clean.c       the tick: hidden mail whose time is over, abandoned deliveries, garbage
 */
#ifndef MYSQL_STORE_H
#define MYSQL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "box.h"
#include "db.h"
#include "ids.h"
#include "lease.h"

#define CHUNK 65536u      /* bytes of a body's row */
#define BATCH 500u        /* rows per statement; MariaDB makes a subquery of an IN list of 1,000 */
#define SCHEMA_VERSION 4u /* steps of schema.c */
#define SLICE_MS 150      /* R7, with room for one more statement */
#define DATABASE_MAX 256u /* 64 characters */
#define FLAG_UTF8 1u      /* mail_message.flags */

struct process;
struct reading;

/* Where the tick's list of hidden messages goes on: after the messages of this mailbox that are
 * hidden until then. */
struct expiry_place {
	uint64_t hidden_us, mailbox; /* microseconds since 1970 */
};

/* One instance. */
struct inst {
	const struct pm_host *host;
	struct db_pool pool;
	struct process *process;
	int64_t lease_ms;
	uint64_t abandoned_s;
	char *database, *user, *password, *tls_ca;
	struct expiry_place expired; /* the tick's */
	bool any_schema;             /* for setup: the tables may be missing */
};

struct entry {
	uint64_t pos, octets;
};

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
	/* the outcome of the commit */
	bool committed, unsure;
	uint8_t op[ID];
	uint64_t done;
};

#endif
