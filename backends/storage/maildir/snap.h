/* SPDX-License-Identifier: Apache-2.0 */
/* snap - a snapshot: its items, and the directories it was taken from. */
#ifndef MAILDIR_SNAP_H
#define MAILDIR_SNAP_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "maildir.h"
#include "totals.h"

struct dirent;

/* One message of a snapshot; while the snapshot is made, one file. 64 bytes, without its names. */
struct item {
	uint64_t arrival;  /* leading digits of the name */
	uint64_t octets;   /* UNKNOWN_OCTETS */
	uint64_t stored;   /* size of the file when octets is known */
	int64_t first_ms;  /* first retrieved; 0: never */
	int64_t hidden_ms; /* hidden until; 0: visible */
	uint64_t ino;      /* it stays when the file is renamed; 0: not known */
	uint32_t name;     /* offset into names: file name, NUL */
	uint32_t uidl;     /* offset into names */
	/* among the messages of this base name, from 1 on; 0: the file is gone again */
	uint32_t number;
	uint16_t base_n; /* name up to ',' or ':' */
	uint8_t uidl_n;
	bool in_new : 1;
	bool dirty : 1;    /* the ledger has not got it like this */
	bool twins : 1;    /* there is another file of this message */
	bool stale : 1;    /* while scanning: only an earlier look saw it */
	bool unproven : 1; /* octets is from its name; nobody counted */
	bool guess : 1;    /* octets holds for this session only, and is never written down */
	bool unread : 1;   /* this session could not read it */
};

/* Everything about a mailbox at one moment. It has one owner: the session that holds the lock, or
 * the cache. */
struct snap {
	struct item *items;
	size_t n, cap;
	struct item *hidden; /* hidden messages, which are not in items unless with_hidden */
	size_t hidden_n;
	bool with_hidden; /* items holds the hidden ones too */
	char *names;
	size_t names_n, names_cap;
	/* the files it was read from */
	dev_t dev;
	ino_t ino;
	struct timespec new_mtime, cur_mtime;
	ino_t ledger_ino;
	off_t ledger_size;
	size_t ledger_lines;
	size_t ledger_useful; /* about how many lines a rewrite would keep */
	int64_t swept_ms;     /* when tmp/ was last looked at; 0: never */
	bool settled;         /* both directories were older than SETTLE_MS */
	bool dirty;           /* some item is */
};

/* Identifies a mailbox, whatever its path. */
struct box_key {
	dev_t dev;
	ino_t ino;
};

void snap_free(struct snap *s);
/* The present state of the directories and the ledger, without items. */
void snap_stat(int fd, struct snap *ret);
/* The same for totals. */
struct sdk_look snap_look(const struct inst *i, int fd);
struct sdk_box snap_box(int fd);
bool snap_same_time(struct timespec a, struct timespec b);
bool snap_unchanged(const struct snap *s, const struct snap *now);
/* True if new and cur are unchanged, by their times. */
bool snap_same_dirs(const struct snap *a, const struct snap *b);
struct box_key snap_key(const struct snap *s);
/* Adds a file. False: no memory. */
bool snap_add(struct snap *s, const char *name, bool in_new, uint64_t ino);
/* True for a regular file with a name that can be served. */
bool snap_takes(int dirfd, const struct dirent *d);
/* Keeps a text, with a NUL, among the names. False: no memory, or over 4 GiB of them. */
bool snap_add_name(struct snap *s, const char *text, size_t n, uint32_t *ret);

#endif
