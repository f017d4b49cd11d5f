/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery. The message is written to tmp/ of the first recipient's maildir, fsynced at prepare,
 * and linked into tmp/ of the others, or copied when they have head lines of their own or are on
 * another file system (draft.c). At commit it is renamed into new/ of each, and each new/ is
 * fsynced. Nothing is ever overwritten. An imported unique-id is in the ledger before its message
 * is visible (import.c). Many recipients are done in slices.
 *
 * However many there are, only the first one's maildir stays open: a message may have a thousand
 * recipients, and the process has not so many descriptors. The others are opened again for each
 * step. A file that failed does not stay.
 */
#include "deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dir.h"
#include "draft.h"
#include "import.h"
#include "kill.h"
#include "path.h"
#include "say.h"
#include "size.h"
#include "snap.h"
#include "totals.h"

#define RCPTS_MAX 1024

struct rcpt {
	char *path;                   /* its maildir */
	char tmp[DRAFT_NAME_MAX + 1]; /* name in its tmp/ */
	char name[220];               /* name in its new/ */
	char *head;
	size_t head_n;
	char uidl[PM_UIDL_MAX + 1];
	int64_t received_ms, first_ms;
	struct sdk_octets octets; /* as it will be stored */
	bool prepared;            /* its file was in its tmp/ */
	bool visible;
	int32_t rc;
};

struct dlv {
	struct inst *inst;
	struct rcpt *rcpts;
	size_t n;
	struct draft draft;
	bool failed, finished; /* the draft */
	uint32_t flags;
	size_t left; /* recipients that are not prepared yet; the last one is first */
	size_t at;   /* the next recipient to commit */
};

/* ---- recipients ------------------------------------------------------------------------------ */

static void
rcpt_free(struct rcpt *r)
{
	free(r->path);
	free(r->head);
}

static void
rcpt_name(struct inst *i, struct rcpt *r)
{
	int64_t ms = r->received_ms ? r->received_ms : i->host->wall_ms(i->host->ctx);
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	snprintf(r->tmp, sizeof(r->tmp), "%lld.M%06ldP%dQ%llu.%s", (long long)ms / 1000,
		 ts.tv_nsec / 1000, (int)getpid(),
		 (unsigned long long)atomic_fetch_add(&i->sequence, 1), i->hostname);
}

/* Opens its maildir, which is not made anew if it was removed meanwhile. */
static int32_t
rcpt_enter(const struct dlv *d, const struct pm_call *call, const struct rcpt *r, int *ret_dir)
{
	int32_t rc;

	*ret_dir = d->draft.dir;
	if (r == d->rcpts)
		return PM_OK;
	rc = dir_open_path(d->inst, call, r->path, false, ret_dir);
	if (rc != PM_OK || *ret_dir != -1)
		return rc;
	sdk_error(call, "'%s' was removed while the message was delivered", r->path);
	return PM_TEMP;
}

static void
rcpt_leave(const struct dlv *d, const struct rcpt *r, int dir)
{
	if (r != d->rcpts)
		(void)close(dir);
}

static bool
rcpt_makes_sense(const struct pm_rcpt *rcpt)
{
	if (rcpt->uidl.n > PM_UIDL_MAX)
		return false;
	for (size_t k = 0; k < rcpt->uidl.n; k++)
		if (rcpt->uidl.p[k] < 0x21 || rcpt->uidl.p[k] > 0x7e)
			return false;
	return true;
}

/* Takes what the host says of a recipient, whose maildir is open; its memory is freed by
 * rcpt_free(). */
static int32_t
rcpt_fill(const struct dlv *d, const struct pm_call *call, const struct pm_rcpt *rcpt, int dir,
	  struct rcpt *r)
{
	struct import im = {.uidl = r->uidl, .restore = d->flags & PM_DLVF_RESTORE};
	int32_t rc = PM_OK;

	if (rcpt->uidl.n > 0) {
		memcpy(r->uidl, rcpt->uidl.p, rcpt->uidl.n);
		rc = import_look(d->inst, call, dir, &im);
	}
	if (rc == PM_OK && rcpt->head.n > 0) {
		r->head = malloc(rcpt->head.n);
		if (!r->head)
			return PM_NOMEM;
		memcpy(r->head, rcpt->head.p, r->head_n = rcpt->head.n);
	}
	r->received_ms = rcpt->received_ms;
	r->first_ms = rcpt->first_retrieved_ms;
	rcpt_name(d->inst, r);
	return rc;
}

/* ---- begin, recipients, message -------------------------------------------------------------- */

int32_t
deliver_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags,
	      void **ret_dlv)
{
	struct dlv *d = calloc(1, sizeof(*d));

	(void)call;
	(void)size_hint;
	if (!d)
		return PM_NOMEM;
	d->inst = inst;
	d->flags = flags;
	draft_init(&d->draft, inst);
	*ret_dlv = d;
	return PM_OK;
}

int32_t
deliver_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt)
{
	char path[PM_PATH_MAX + 1];
	struct dlv *d = dlv;
	struct rcpt *more, *r;
	int32_t rc;
	int dir;

	if (d->draft.fd != -1 || d->n >= RCPTS_MAX || !rcpt_makes_sense(rcpt))
		return PM_INVALID;
	more = realloc(d->rcpts, (d->n + 1) * sizeof(*more));
	if (!more)
		return PM_NOMEM;
	d->rcpts = more;
	r = &more[d->n];
	memset(r, 0, sizeof(*r));
	rc = sdk_path_make(d->inst->pattern, call, rcpt->user, path, sizeof(path));
	if (rc == PM_OK)
		rc = dir_open_path(d->inst, call, path, true, &dir);
	if (rc == PM_OK && dir == -1)
		rc = PM_TEMP;
	if (rc != PM_OK)
		return rc;
	rc = rcpt_fill(d, call, rcpt, dir, r);
	if (rc == PM_OK && !(r->path = strdup(path)))
		rc = PM_NOMEM;
	if (rc == PM_OK && d->n == 0)
		d->draft.dir = dir;
	else
		(void)close(dir);
	if (rc == PM_OK)
		d->n++;
	else
		rcpt_free(r);
	return rc;
}

/* Makes the file in tmp/. 0 or an errno. */
static int
start_draft(struct dlv *d)
{
	const struct rcpt *r = &d->rcpts[0];
	char name[DRAFT_NAME_MAX + 1];

	/* with a head the first one needs a copy, too; the plain file serves the others */
	snprintf(name, sizeof(name), "%.*s%s", DRAFT_NAME_MAX - 2, r->tmp,
		 r->head_n > 0 ? "-d" : "");
	return draft_make(&d->draft, name);
}

int32_t
deliver_write(void *dlv, const struct pm_call *call, const void *buf, size_t n)
{
	struct dlv *d = dlv;
	int e = 0;

	if (d->n == 0 || d->failed || d->finished)
		return PM_INVALID;
	if (d->draft.fd == -1)
		e = start_draft(d);
	if (e == 0)
		e = draft_put(&d->draft, buf, n);
	if (e == 0)
		return PM_OK;
	d->failed = true;
	sdk_error(call, "writing to tmp/: %s", strerrordesc_np(e));
	return dir_code(e);
}

/* ---- prepare --------------------------------------------------------------------------------- */

/* Makes one recipient's file in its own tmp/, durable. 0 or an errno. */
static int
make_file(struct dlv *d, struct rcpt *r, int dir)
{
	const struct pm_str head = {r->head, r->head_n};
	int e = 0;

	r->octets = d->draft.octets;
	if (r->head_n > 0)
		e = draft_copy(&d->draft, dir, r->tmp, head, &r->octets);
	else if (r != d->rcpts && draft_link(&d->draft, dir, r->tmp) != 0)
		/* another file system, or too many links */
		e = draft_copy(&d->draft, dir, r->tmp, head, &r->octets);
	snprintf(r->name, sizeof(r->name), "%s,S=%llu,W=%llu", r->tmp,
		 (unsigned long long)r->octets.stored,
		 (unsigned long long)sdk_octets_total(&r->octets));
	return e;
}

static int32_t
prepare_one(struct dlv *d, const struct pm_call *call, struct rcpt *r)
{
	int dir, e;
	int32_t rc = rcpt_enter(d, call, r, &dir);

	if (rc != PM_OK)
		return rc;
	e = make_file(d, r, dir);
	rcpt_leave(d, r, dir);
	if (e == 0)
		return PM_OK;
	sdk_error(call, "copying to tmp/ of '%s': %s", r->path, strerrordesc_np(e));
	return dir_code(e);
}

static void
deliver_set_results(struct dlv *d, struct pm_result *ret, size_t stride)
{
	for (size_t k = 0; k < d->n; k++) {
		char *at = (char *)ret + k * stride;
		struct pm_result x = {0};

		memcpy(&x.size, at, sizeof(x.size));
		x.rc = d->rcpts[k].rc;
		if (d->rcpts[k].visible) {
			const char *uidl = d->rcpts[k].uidl[0] ? d->rcpts[k].uidl : d->rcpts[k].tmp;
			size_t n = strlen(uidl);

			if (n <= PM_UIDL_MAX) {
				memcpy(x.uidl, uidl, n);
				x.uidl_len = (uint32_t)n;
			}
		}
		memcpy(at, &x, x.size < sizeof(x) ? x.size : sizeof(x));
	}
}

static int32_t
finish_draft(struct dlv *d, const struct pm_call *call)
{
	int e = d->draft.fd == -1 ? start_draft(d) : 0; /* an empty message */

	if (e == 0)
		e = draft_finish(&d->draft);
	d->finished = e == 0;
	d->left = d->n;
	if (e == 0)
		return PM_OK;
	d->failed = true;
	sdk_error(call, "completing tmp/%s: %s", d->draft.name, strerrordesc_np(e));
	return dir_code(e);
}

/* Every recipient has a file now, or gets none. */
static void
let_go_of_draft(struct dlv *d)
{
	draft_close(&d->draft);
	if (d->rcpts[0].head_n > 0)
		draft_remove(d->draft.dir, d->draft.name);
	d->draft.name[0] = '\0'; /* the first one's file, or gone */
}

int32_t
deliver_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;
	int64_t until = maildir_now(d->inst) + SLICE_MS;
	int32_t rc = PM_OK;

	if (d->n == 0 || d->failed)
		return PM_INVALID;
	if (!d->finished)
		rc = finish_draft(d, call);
	if (rc != PM_OK)
		return rc;
	while (d->left > 0) {
		struct rcpt *r = &d->rcpts[--d->left];

		r->rc = prepare_one(d, call, r);
		r->prepared = r->rc == PM_OK;
		if (d->left > 0 && maildir_now(d->inst) >= until)
			return PM_AGAIN;
	}
	let_go_of_draft(d);
	deliver_set_results(d, ret, stride);
	return PM_OK;
}

/* ---- commit ---------------------------------------------------------------------------------- */

/* Makes the message visible, and adds it to a remembered total. 0 or an errno. */
static int
deliver_show(struct inst *i, int dir, const struct rcpt *r, const char *from, const char *to)
{
	struct sdk_box box = snap_box(dir);
	struct sdk_total *held =
		sdk_totals_used(i->totals) ? sdk_totals_hold(i->totals, &box, r->name) : NULL;
	struct sdk_look before, after;
	int rc;

	if (!held)
		return dir_move(dir, from, to) ? 0 : errno;
	before = snap_look(i, dir);
	rc = dir_move(dir, from, to) ? 0 : errno;
	after = snap_look(i, dir);
	sdk_totals_release(i->totals, held, rc == 0 ? &before : NULL, &after,
			   sdk_octets_total(&r->octets));
	return rc;
}

/* Moves the message out of tmp/, and makes that durable. */
static int32_t
come_out(struct dlv *d, const struct pm_call *call, int dir, const struct rcpt *r)
{
	char from[DRAFT_NAME_MAX + 5], to[260];
	int dfd, rc;

	snprintf(from, sizeof(from), "tmp/%s", r->tmp);
	snprintf(to, sizeof(to), "new/%s", r->name);
	KILL_POINT("delivery: before it is visible");
	rc = deliver_show(d->inst, dir, r, from, to);
	if (rc == ENOENT && dir_fill(d->inst, dir)) /* somebody removed new/ */
		rc = deliver_show(d->inst, dir, r, from, to);
	if (rc != 0) {
		sdk_error(call, "renaming %s to new/: %s", from, strerrordesc_np(rc));
		return dir_code(rc);
	}
	KILL_POINT("delivery: after");
	dfd = openat(dir, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dfd == -1 || (d->inst->fsync && fsync(dfd) != 0))
		rc = errno;
	if (dfd != -1)
		(void)close(dfd);
	size_add(dir, (int64_t)r->octets.stored, 1);
	return rc ? PM_UNKNOWN : PM_OK;
}

static int32_t
publish(struct dlv *d, const struct pm_call *call, int dir, const struct rcpt *r)
{
	struct import im = {.uidl = r->uidl,
			    .restore = d->flags & PM_DLVF_RESTORE,
			    .name = r->name,
			    .octets = sdk_octets_total(&r->octets),
			    .stored = r->octets.stored,
			    .first_ms = r->first_ms};
	struct lock lock = {-1, -1};
	int32_t rc = r->uidl[0] ? import_begin(d->inst, call, dir, &im, &lock) : PM_OK;

	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK) {
		rc = come_out(d, call, dir, r);
		lock_release(&lock);
	}
	if (rc != PM_OK && rc != PM_UNKNOWN)
		draft_remove(dir, r->tmp); /* nobody will use it again */
	return rc;
}

static int32_t
commit_one(struct dlv *d, const struct pm_call *call, const struct rcpt *r)
{
	int dir;
	int32_t rc = r->prepared ? rcpt_enter(d, call, r, &dir) : r->rc;

	if (!r->prepared || rc != PM_OK)
		return rc;
	rc = publish(d, call, dir, r);
	rcpt_leave(d, r, dir);
	return rc;
}

static void
deliver_free(struct dlv *d)
{
	draft_drop(&d->draft);
	for (size_t k = 0; k < d->n; k++)
		rcpt_free(&d->rcpts[k]);
	free(d->rcpts);
	free(d);
}

int32_t
deliver_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;
	int64_t until = maildir_now(d->inst) + SLICE_MS;

	while (d->at < d->n) {
		struct rcpt *r = &d->rcpts[d->at];
		int32_t rc = commit_one(d, call, r);

		if (rc == PM_AGAIN)
			return rc;
		d->at++;
		r->rc = rc;
		r->visible = r->prepared && rc == PM_OK;
		if (d->at < d->n && maildir_now(d->inst) >= until)
			return PM_AGAIN;
	}
	deliver_set_results(d, ret, stride);
	deliver_free(d);
	return PM_OK;
}

void
deliver_abort(void *dlv, const struct pm_call *call)
{
	struct dlv *d = dlv;
	int dir;

	for (size_t k = 0; k < d->n; k++) {
		struct rcpt *r = &d->rcpts[k];

		if (!r->prepared || rcpt_enter(d, call, r, &dir) != PM_OK)
			continue;
		draft_remove(dir, r->tmp);
		rcpt_leave(d, r, dir);
	}
	deliver_free(d);
}
