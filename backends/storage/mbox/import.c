/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports bring a unique-id, and are made once: a caller that repeats one is told that the message
 * is here, or was. The ledger knows which messages were deleted. A record of one that was not
 * deleted does not prove that it is here: other programs delete, too, and an append that was taken
 * back may have left the record. So the mailbox is read, as in a session.
 */
#include "import.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_file.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "names.h"
#include "parse.h"
#include "scan.h"
#include "snap.h"

struct looking {
	const char *uidl;
	size_t n;
	bool known, deleted; /* there is a record of it; it was deleted, or hidden */
};

static void
import_look_at(struct ledger_message *m, void *ctx)
{
	struct looking *l = ctx;

	if (m->uidl_n != l->n || memcmp(m->uidl, l->uidl, l->n) != 0)
		return;
	l->known = l->known || !m->deleted;
	l->deleted = l->deleted || m->deleted || m->hidden_until_ms != 0;
}

static int32_t
import_ask_ledger(const struct inst *i, const struct pm_call *call, const struct location *p,
		  const struct import *im, struct looking *ret)
{
	size_t good, bad;
	struct ledger *l = ledger_load(i->ledger_dir, p->key, &good, &bad);

	ret->uidl = im->uidl;
	ret->n = strlen(im->uidl);
	if (!l)
		return ledger_load_code(call, p->key, errno);
	ledger_each(l, import_look_at, ret);
	ledger_free(l);
	return PM_OK;
}

int32_t
import_look(const struct inst *i, const struct pm_call *call, const struct location *p,
	    const struct import *im)
{
	struct looking l = {0};
	int32_t rc = import_ask_ledger(i, call, p, im, &l);

	return rc == PM_OK && l.deleted && !l.known && !im->restore ? PM_EXISTS : rc;
}

/* True if this unique-id could be that of a message that no session has seen, which is its hash. */
static bool
could_be_a_hash(const char *uidl)
{
	size_t n = 0;

	while (isxdigit((unsigned char)uidl[n]) && n < 2 * MBOX_HASH)
		n++;
	return n == 2 * MBOX_HASH && (uidl[n] == '\0' || uidl[n] == '.');
}

/* Reads the mailbox. PM_OK with im->look: it was read, and its messages have names. */
static int32_t
read_box(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
	 struct held *h, struct import *im)
{
	struct mbox *m = im->look;
	int32_t rc;

	if (!m)
		m = im->look = calloc(1, sizeof(*m));
	if (!m)
		return PM_NOMEM;
	m->inst = i;
	m->place = *p;
	m->fd = fd; /* fd and locks are the delivery's */
	m->held = *h;
	rc = scan_run(m, call);
	if (rc == PM_OK)
		rc = names_give(m, call);
	*h = m->held;
	return rc;
}

/* True if the snapshot has this message. A hidden one whose time is over is as good as deleted: the
 * next commit removes it. */
static bool
import_holds(const struct snap *s, const char *uidl, int64_t now)
{
	size_t n = strlen(uidl);

	for (size_t k = 0; k < s->n; k++) {
		const struct item *it = &s->items[k];

		if (it->uidl_n == n && memcmp(it->uidl, uidl, n) == 0 &&
		    (it->hidden_ms == 0 || it->hidden_ms > now))
			return true;
	}
	return false;
}

int32_t
import_check(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
	     struct held *h, struct import *im)
{
	struct looking l = {0};
	bool here = false;
	int32_t rc = import_ask_ledger(i, call, p, im, &l);

	if (rc == PM_OK && (l.known || could_be_a_hash(im->uidl))) {
		rc = read_box(i, call, p, fd, h, im);
		here = rc == PM_OK &&
		       import_holds(&im->look->snap, im->uidl, i->host->wall_ms(i->host->ctx));
	}
	if (rc != PM_OK)
		return rc;
	return here || (l.deleted && !im->restore) ? PM_EXISTS : PM_OK;
}

void
import_free(struct import *im)
{
	if (im->look) {
		scan_reset(im->look);
		free(im->look);
	}
	im->look = NULL;
}
