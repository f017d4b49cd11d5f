/* SPDX-License-Identifier: Apache-2.0 */
/* snap - a snapshot: its items, and the file it was taken from. */
#ifndef MBOX_SNAP_H
#define MBOX_SNAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

#include "parse.h"

#define MBOX_PRINT 16

struct item {
	uint64_t from, body, end,
		next;  /* next: where the following message begins, or the file ends */
	uint64_t text; /* first byte after the header */
	uint64_t octets, stored;
	int64_t received_ms, first_ms, hidden_ms;
	uint32_t twin; /* 1, 2, ... of equal hashes */
	unsigned char hash[MBOX_HASH];
	unsigned char print[MBOX_PRINT]; /* proof.c */
	/* another program removed it; its place is after the last one that is there */
	bool gone;
	bool internal; /* the first message, other programs' data: it stays, and nobody sees it */
	bool doomed;   /* the commit that runs deletes it */
	bool dirty;    /* the ledger has not got it like this */
	/* the file grew, so it is known by its print, and hashed when it is read */
	bool printed;
	uint8_t uidl_n;
	char uidl[PM_UIDL_MAX + 1];
};

/* All messages of the file, in its order. */
struct snap {
	struct item *items;
	size_t n, cap;
	struct stat st; /* of the file it was taken from */
	uint64_t junk;  /* bytes before the first message */
	bool text;      /* and they are not only empty lines */
	bool named;     /* by the ledger as it was: */
	struct ledger_is {
		uint64_t ino, size, mtime_s, mtime_ns;
	} ledger;
};

void snap_free(struct snap *s);
bool snap_room(struct snap *s, size_t n);
/* Also compares the time of the last change of the inode, which no program can set. */
bool snap_same_file(const struct stat *a, const struct stat *b);

#endif
