/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildrop - the message table of one session: octets and three bits a message. Pure.
 * msgno is 1..count (the protocol's), idx 0..count-1 (ours).
 */
#ifndef RST_POP3_MAILDROP_H
#define RST_POP3_MAILDROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maildrop {
	uint64_t count;
	uint64_t live_count;  /* not deleted */
	uint64_t live_octets; /* of those; valid once sized == count */
	uint64_t sized;       /* octets[0..sized) are known */
	uint64_t *octets;     /* [idx]; NULL until maildrop_need_sizes */
	uint8_t *deleted;     /* bit idx, as pm_commit */
	uint8_t *retrieved;
	/* cannot be read, as far as this session knows; such a message is not deleted either */
	uint8_t *unread;
	uint64_t n_retrieved;
};

/* Bytes a table of `count` messages takes at most (for tables_max). */
uint64_t maildrop_bytes(uint64_t count);
/* False: no memory. count 0 takes none. */
bool maildrop_init(struct maildrop *m, uint64_t count);
void maildrop_fini(struct maildrop *m);

bool maildrop_need_sizes(struct maildrop *m); /* allocates octets; false: no memory */
/* The next sizes in order: octets[sized] = o, sized + 1, live_octets adjusted. */
void maildrop_add_size(struct maildrop *m, uint64_t octets);
/* Corrects a size that was set before; idx < sized. */
void maildrop_set_size(struct maildrop *m, uint64_t idx, uint64_t octets);

/* msgno -> idx; false: no such message, or deleted. */
bool maildrop_find(const struct maildrop *m, uint64_t msgno, uint64_t *ret_idx);
bool maildrop_deleted(const struct maildrop *m, uint64_t idx);
void maildrop_delete(struct maildrop *m, uint64_t idx);
bool maildrop_retrieved(const struct maildrop *m, uint64_t idx);
void maildrop_set_retrieved(struct maildrop *m, uint64_t idx); /* RSET does not undo it */
bool maildrop_unread(const struct maildrop *m, uint64_t idx);
void maildrop_set_unread(struct maildrop *m, uint64_t idx, bool unread);
void maildrop_reset(struct maildrop *m);             /* RSET: nothing is deleted */
uint64_t maildrop_pending(const struct maildrop *m); /* deletions to commit */
/* The first index from `from` on that is not deleted; count: there is none. */
uint64_t maildrop_next_live(const struct maildrop *m, uint64_t from);

#endif
