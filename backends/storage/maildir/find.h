/* SPDX-License-Identifier: Apache-2.0 */
/* find - finding one message among the files. */
#ifndef MAILDIR_FIND_H
#define MAILDIR_FIND_H

#include <dirent.h>

#include "ledger.h"
#include "snap.h"

typedef bool (*find_wanted)(const char *name, void *ctx);

/* A reading of new and cur. */
struct find {
	int fd;
	struct snap *s;
	const struct inst *inst; /* for slices: the clock; NULL: there are none */
	int64_t until_ms;
	DIR *dir;
	unsigned at, names;
};

/* The reading for find_some(), which ends with find_end(). */
void find_begin(struct find *f, int fd, struct snap *s);
void find_end(struct find *f);
/* Adds the files of new and cur whose names wanted() accepts; one that moves meanwhile may come
 * twice. PM_OK: all of them; PM_AGAIN: it is later than until_ms; PM_NOMEM, PM_TEMP. */
int32_t find_some(struct find *f, find_wanted wanted, void *ctx);
/* The same, in one call. */
int32_t find_files(int fd, find_wanted wanted, void *ctx, struct snap *s);
/* Calls fn, which returns false, with each name in tmp, new and cur: at least once, even if the
 * file moves on meanwhile. */
int32_t find_names(int fd, find_wanted fn, void *ctx);
/* Finds the file of an item again, after ENOENT, by base name and inode. 0; ENOENT: it is gone;
 * another errno: nobody can tell. */
int find_again(int fd, struct snap *s, struct item *it);
/* 0: there is a file with this unique-id that the ledger does not know; ENOENT: there is none;
 * another errno: nobody can tell. Reads both directories. */
int find_unseen(int fd, struct ledger *l, const char *uidl, size_t n);

#endif
