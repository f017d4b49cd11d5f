/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports bring a unique-id, and are made once: a caller that repeats one is told that the message
 * is here, or was. The ledger's record alone does not prove that: it is written before the file
 * leaves tmp/, and its writer may have been killed in between. So a message is here when its file
 * is in new/ or cur/, and it was here when a committed group deleted or hid it. Otherwise the
 * import was interrupted, and comes again under another name with the same unique-id; a record
 * without a file means nothing.
 *
 * Imports into one mailbox take turns, by a lock (lock.c): between the look and the rename nobody
 * else makes the same import.
 */
#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dir.h"
#include "find.h"
#include "held.h"
#include "ledger_file.h"
#include "lock.h"
#include "maildir.h"
#include "match.h"
#include "name.h"
#include "say.h"
#include "snap.h"
#include "twins.h"

#define TURN_MS 20 /* between two tries for the lock */

struct looking {
	struct inst *inst;
	const struct pm_call *call;
	struct ledger *l;
	int fd;
	int32_t rc;
	const char *uidl;
	size_t n;
	int64_t now;
	bool here, gone;
};

/* True for the base name of this message. */
static bool
of_name(const char *name, void *ctx)
{
	const struct ledger_message *m = ctx;
	size_t n = name_base_length(m->identity);

	return name_base_length(name) == n && memcmp(name, m->identity, n) == 0;
}

/* True if a file of this very message is in new or cur. */
static bool
is_here(struct looking *look, struct ledger_message *m)
{
	struct snap *s = calloc(1, sizeof(*s));
	struct twins twins = {0};
	const struct source src = {look->inst, look->call, look->fd, s, &twins, INT64_MAX};
	unsigned tries = 0;
	bool here = false;
	size_t at = 0;

	look->rc = s ? find_files(look->fd, of_name, m, s) : PM_NOMEM;
	if (look->rc == PM_OK && !match_sort(s))
		look->rc = PM_NOMEM;
	if (look->rc == PM_OK)
		do
			look->rc = twins_run(&src, look->l, &at);
		/* replaced while it was looked at */
		while (look->rc == PM_AGAIN && ++tries < RELOCATE_TRIES);
	if (look->rc == PM_AGAIN)
		look->rc = PM_TEMP;
	for (size_t k = 0; look->rc == PM_OK && k < s->n && !here; k++) {
		char buf[IDENTITY_CAP];
		size_t n;
		const char *identity = name_identity(s, &s->items[k], buf, &n);

		here = s->items[k].number > 0 && n == m->identity_n &&
		       memcmp(identity, m->identity, n) == 0;
	}
	held_free(&twins);
	snap_free(s);
	return here;
}

/* Looks at one record. A hidden message whose time is over is as good as deleted: the next session
 * removes it. */
static void
import_look_at(struct ledger_message *m, void *ctx)
{
	struct looking *l = ctx;

	if (l->here || m->uidl_n != l->n || memcmp(m->uidl, l->uidl, l->n) != 0)
		return;
	if (m->deleted || (m->hidden_until_ms != 0 && m->hidden_until_ms <= l->now))
		l->gone = true;
	else if (l->rc == PM_OK && is_here(l, m))
		l->here = true;
	else if (m->hidden_until_ms != 0)
		l->gone = true;
}

/* PM_EXISTS or PM_OK, by the ledger; with `all` also by files that the ledger does not know. */
static int32_t
import_known(struct inst *i, const struct pm_call *call, const struct import *im, int fd,
	     struct ledger *l, bool all)
{
	struct looking look = {.inst = i,
			       .call = call,
			       .l = l,
			       .fd = fd,
			       .rc = PM_OK,
			       .uidl = im->uidl,
			       .n = strlen(im->uidl),
			       .now = i->host->wall_ms(i->host->ctx)};

	ledger_each(l, import_look_at, &look);
	if (look.rc != PM_OK) {
		sdk_error(call, "cannot tell whether the message is here");
		return look.rc;
	}
	if (!look.here && look.gone && !im->restore)
		return PM_EXISTS;
	if (!look.here) {
		int e = all ? find_unseen(fd, l, im->uidl, look.n) : ENOENT;

		if (e == ENOENT)
			return PM_OK;
		if (e != 0) {
			sdk_error(call, "cannot tell whether the message is here: %s",
				  strerrordesc_np(e));
			return PM_TEMP;
		}
	}
	/* the process that put it there may have been killed before it made that durable, and after
	 * this answer the last other copy may go */
	return dir_sync(i, fd) ? PM_EXISTS : PM_TEMP;
}

int32_t
import_look(struct inst *i, const struct pm_call *call, int fd, const struct import *im)
{
	size_t good, bad;
	struct ledger *l = ledger_load(fd, LEDGER_FILE, &good, &bad);
	int32_t rc;

	if (!l)
		return ledger_load_code(call, LEDGER_FILE, errno);
	rc = import_known(i, call, im, fd, l, false);
	ledger_free(l);
	return rc;
}

/* Takes the lock. PM_AGAIN: another import has it. */
static int32_t
import_take_turn(const struct inst *i, const struct pm_call *call, int fd, struct lock *ret_lock)
{
	const struct timespec pause = {.tv_nsec = TURN_MS * 1000000};
	int e = lock_imports(i, fd, ret_lock);

	if (e == 0)
		return PM_OK;
	if (e == EWOULDBLOCK && maildir_now(i) < call->deadline_ms) {
		(void)nanosleep(&pause, NULL);
		return PM_AGAIN;
	}
	sdk_error(call, "cannot lock tmp/: %s", strerrordesc_np(e));
	return PM_TEMP;
}

/* Writes the record of an import, durable. */
static int32_t
write_down(const struct inst *i, const struct pm_call *call, int fd, const struct import *im)
{
	struct ledger_out o = {0};
	int e;

	ledger_put_message(&o, im->name, name_base_length(im->name), im->uidl, strlen(im->uidl),
			   im->octets, im->stored, im->first_ms, 0);
	e = o.failed ? ENOMEM : ledger_append(fd, LEDGER_FILE, o.text, o.n, i->fsync);
	ledger_out_free(&o);
	if (e == 0)
		return PM_OK;
	sdk_error(call, "the ledger could not be written: %s", strerrordesc_np(e));
	return dir_code(e);
}

int32_t
import_begin(struct inst *i, const struct pm_call *call, int fd, const struct import *im,
	     struct lock *ret_lock)
{
	size_t good, bad;
	struct ledger *l;
	int32_t rc = import_take_turn(i, call, fd, ret_lock);

	if (rc != PM_OK)
		return rc;
	l = ledger_load(fd, LEDGER_FILE, &good, &bad);
	rc = l ? import_known(i, call, im, fd, l, true)
	       : ledger_load_code(call, LEDGER_FILE, errno);
	if (rc == PM_OK && ledger_find(l, im->name, name_base_length(im->name))) {
		/* the same microsecond, process and count as an old message, which may even be
		 * deleted */
		sdk_error(call, "the name %s was used before", im->name);
		rc = PM_TEMP;
	}
	ledger_free(l);
	if (rc == PM_OK)
		rc = write_down(i, call, fd, im);
	if (rc != PM_OK)
		lock_release(ret_lock);
	return rc;
}
