/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept - messages 0 to n - 1 of a tag, some of which are deleted, and the question whether exactly
 * the others are left. A wrong answer ends the check.
 */
#ifndef CONFORM_KEPT_H
#define CONFORM_KEPT_H

#include "kit.h"

/* Is message k to stay? */
typedef bool kept_fn(unsigned k);
kept_fn kept_all, kept_none, kept_even, kept_two_thirds;

/* Mailbox 0 with n messages and no others, open. */
struct box kept_begin(struct inst *in, const char *tag, unsigned n);
/* Sets in del the bits of the messages that are not to stay. Their order in the snapshot is the
 * store's, so they are looked up. */
void kept_choose(struct box *b, const char *tag, unsigned n, kept_fn *kept, uint8_t *del);
/* Is exactly this message there once, or not at all? */
bool kept_there(struct box *b, const char *tag, unsigned k);
/* Opens the mailbox again: it holds the messages that are to stay, and nothing else. */
void kept_expect(struct inst *in, const char *tag, unsigned n, kept_fn *kept);

#endif
