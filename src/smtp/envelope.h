/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope - one message on its way in: from whom, for whom, and how far each store is with it.
 *
 * An rcpt is a recipient as named by RCPT, and gets an answer. A target is a mailbox: an alias has
 * several, and several rcpts may share one, which then gets one copy. A dest is one storage
 * instance, with one handle for all of its targets.
 *
 * Threads: the session's owner.
 */
#ifndef RST_SMTP_ENVELOPE_H
#define RST_SMTP_ENVELOPE_H

#include <restante/module.h>

#include "base/arena.h"
#include "mailbox/post.h"
#include "module/backend.h"
#include "smtp/content.h"
#include "smtp/dreply.h"
#include "smtp/unstuff.h"

#define ENVELOPE_CHUNK 32768          /* decoded octets that wait for the stores */
#define ENVELOPE_ARENA_MAX (8u << 20) /* accounts of all recipients */

struct badmail;
struct room;

struct target {
	struct pm_user user; /* strings in the arena */
	size_t dest;         /* index */
	const char *address; /* for Delivered-To, quoted; in the arena */
	/* the name it was found under; a Delivered-To with it is a loop, too */
	const char *account;
	size_t result;     /* index into the dest's results; SIZE_MAX: none */
	int32_t rc;        /* PM_OK until it is known to be something else */
	struct room *room; /* room.h; NULL: no volume or quota to look at */
	bool wanted;       /* by a recipient for whom the message is no loop */
};

struct rcpt {
	const char *address; /* as given, quoted; for replies, in the arena */
	const char *lookup;  /* as looked up; for loops */
	size_t *targets;     /* indices, in the arena */
	size_t n_targets, max_targets;
	bool kept;  /* unknown here: its copy goes to Badmail */
	bool loops; /* a Delivered-To shows that it was here before */
};

enum dest_stage { DEST_NEW, DEST_RCPT, DEST_HEAD, DEST_WRITE, DEST_PREPARED, DEST_OVER };

struct dest {
	struct backend *backend; /* one reference */
	struct post post;
	enum dest_stage stage;
	size_t next_target; /* DEST_RCPT: which is next */
	size_t n_results;
	struct pm_result *results;
	int32_t rc; /* of the whole */
	bool alone; /* its one target can be left out: it has no other */
};

struct envelope {
	bool begun;   /* MAIL was accepted */
	bool storing; /* DATA or BDAT has begun */
	bool handed;  /* the stores have a part of it, and know the recipients */
	bool ended;   /* the last octet is there */
	bool forget;  /* RSET and the like: when the handles have gone back it is forgotten */
	char *sender; /* quoted; "" is <> */
	bool utf8, eight_bit;
	uint64_t size; /* as announced; UINT64_MAX: not announced */
	char id[40];   /* in Received, replies and log */
	uint8_t op_id[16];
	struct rcpt *rcpts;
	struct target *targets;
	struct dest *dests;
	size_t n_rcpts, n_targets, n_dests, rcpts_cap, targets_cap, bags_cap;
	struct badmail *badmail; /* badmail.h: it is written there as well */
	int32_t to_badmail_rc;   /* the outcome of that; PM_OK: no failure yet */
	bool kept_done;          /* there is an item for the REFUSED recipients */
	bool split;              /* the stores have had a chunk before the last one */
	struct unstuff unstuff;
	struct content content;
	struct dreply refused; /* the whole message is refused with this reply; code 0: it is not */
	char *chunk;           /* ENVELOPE_CHUNK; NULL while nothing waits */
	size_t chunk_n;
	size_t at; /* the dest whose turn it is */
	struct arena arena;
};

void envelope_init(struct envelope *e);
/* Forgets everything; no dest may have a handle any more. */
void envelope_reset(struct envelope *e);

/* Adds a mailbox, unless it is there already. alone: in a dest of its own. *ret_index: which
 * target it is. False: no memory. */
bool envelope_add_target(struct envelope *e, struct backend *b, const struct target *templ,
			 bool alone, size_t *ret_index);
/* NULL: no memory. */
struct rcpt *envelope_add_rcpt(struct envelope *e, const char *address, const char *lookup,
			       size_t max_targets);
/* False: it has max_targets already. */
bool envelope_rcpt_target(struct rcpt *r, size_t target);
/* Takes the last rcpt back; its targets stay only if others have them. */
void envelope_untake_rcpt(struct envelope *e, size_t n_targets_before);

/* Before the stores are told: marks the targets that are to get the message. */
void envelope_mark_wanted(struct envelope *e);

/* Must a handle be given back? */
bool envelope_has_handles(const struct envelope *e);
/* The outcome for recipient i: the first failure among its targets. */
int32_t envelope_outcome(const struct envelope *e, size_t i);

#endif
