/* SPDX-License-Identifier: Apache-2.0 */
/* snap - a snapshot: items, and what it was taken from. */
#ifndef MAILDIR_SNAP_H
#define MAILDIR_SNAP_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "maildir.h"
#include "totals.h"

struct dirent;

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

#endif
