/* SPDX-License-Identifier: Apache-2.0 */
/* draft - a message that is being delivered: one file in tmp/ of the first recipient's maildir,
 * which the others get by a link or as a copy. */
#ifndef MAILDIR_DRAFT_H
#define MAILDIR_DRAFT_H

#include "lines.h"
#include "maildir.h"
#include "octets.h"

#define DRAFT_NAME_MAX 160

struct draft {
	struct inst *inst;
	int dir;                       /* the first recipient's maildir; -1: not open */
	int fd;                        /* the file; -1: not made, or complete */
	char name[DRAFT_NAME_MAX + 1]; /* in tmp/; empty: there is no file */
	struct sdk_lines lines;
	struct sdk_octets octets; /* of what was written */
};

void draft_init(struct draft *d, struct inst *i);
/* Makes the file, empty. 0 or an errno. */
int draft_make(struct draft *d, const char *name);
/* Writes a piece. 0 or an errno. */
int draft_put(struct draft *d, const char *in, size_t n);
/* Completes the file, and makes it durable. 0 or an errno. */
int draft_finish(struct draft *d);
/* Closes the file, which stays. */
void draft_close(struct draft *d);
/* Makes a file of this name in tmp/ of another maildir: a link; or, after a head, which may be
 * empty, a durable copy. 0 or an errno; then there is no such file. */
int draft_link(const struct draft *d, int dir, const char *name);
int draft_copy(const struct draft *d, int dir, const char *name, struct pm_str head,
	       struct sdk_octets *ret_octets);
/* Removes the file, if there is one, and closes what is open. */
void draft_drop(struct draft *d);
/* Removes a file of a tmp/. */
void draft_remove(int dir, const char *name);

#endif
