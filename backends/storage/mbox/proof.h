/* SPDX-License-Identifier: Apache-2.0 */
/* proof - whether a message is still where the snapshot has it. */
#ifndef MBOX_PROOF_H
#define MBOX_PROOF_H

#include "snap.h"

struct inst;

/* A whole message that is compared to an item. */
struct proof {
	struct mbox_parse parse;
	struct mbox_found found;
	unsigned n; /* messages that were found in it */
};

/* Makes the print of a message as it is in the file. False: it cannot be read. */
bool proof_print(int fd, const struct item *it, unsigned char ret[MBOX_PRINT]);
/* True if the message is there, as far as its print shows, with an empty line after it. */
bool proof_stands(int fd, const struct item *it);
/* True if its From_ line is there. */
bool proof_begins(int fd, const struct item *it);
/* True if it is followed, as it must be, by an empty line and then mail or the end of the file. */
bool proof_ends(int fd, const struct item *it, uint64_t size);
/* A proof is fed from the From_ line to where the next one begins; proof_is ends it. It must not be
 * moved before proof_free. False: no memory. */
bool proof_begin(struct proof *x, const struct inst *i, const struct item *it);
bool proof_feed(struct proof *x, const char *buf, size_t n);
bool proof_is(struct proof *x, const struct item *it);
void proof_free(struct proof *x);

#endif
