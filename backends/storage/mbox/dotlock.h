/* SPDX-License-Identifier: Apache-2.0 */
/* dotlock - the lock that is a file beside the mailbox. */
#ifndef MBOX_DOTLOCK_H
#define MBOX_DOTLOCK_H

struct held;
struct inst;
struct location;

/* Takes it; we have our turn. 0; EAGAIN: somebody has it; or another errno. *p stays valid. */
int dotlock_take(struct inst *i, const struct location *p, struct held *h);
/* Touches it now and then, so that nobody takes us for dead. */
void dotlock_keep(struct inst *i, struct held *h);
/* Removes it if it is still ours, while we have our turn. */
void dotlock_drop(struct held *h);

#endif
