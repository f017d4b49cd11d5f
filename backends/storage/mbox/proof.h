/* SPDX-License-Identifier: Apache-2.0 */
/* proof - is a message still where the snapshot says?. */
#ifndef MBOX_PROOF_H
#define MBOX_PROOF_H

#include "snap.h"

struct inst;

/* A message that is compared to an item, all of it. */
struct proof {
	struct mbox_parse parse;
	struct mbox_found found;
	unsigned n; /* messages that were found in it */
};

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

#endif
