/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery. The message is written to tmp/ of the first recipient's maildir, fsynced at prepare,
 * and linked into tmp/ of the others, or copied when they have head lines of their own or are on
 * another file system. At commit it is renamed into new/ of each, and each new/ is fsynced. Nothing
 * is ever overwritten. An imported unique-id is in the ledger before its message is visible
 * (import.c). Many recipients are done in slices.
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
#include "import.h"
#include "kill.h"
#include "lines.h"
#include "maildir.h"
#include "octets.h"
#include "say.h"
#include "size.h"
#include "snap.h"
#include "totals.h"

#define RCPTS_MAX 1024
#define PIECE 16384

struct rcpt {
	int fd;         /* its maildir */
	char tmp[160];  /* name in its tmp/ */
	char name[220]; /* name in its new/ */
	char *head;
	size_t head_n;
	char uidl[PM_UIDL_MAX + 1];
	int64_t received_ms, first_ms;
	struct sdk_octets octets; /* as it will be stored */
	bool prepared, visible;
	int32_t rc;
};

struct dlv {
	struct inst *inst;
	struct rcpt *rcpts;
	size_t n;
	int fd; /* the first recipient's file in tmp/ */
	struct sdk_lines lines;
	bool failed;
	struct sdk_octets octets; /* of what was written, without heads */
	uint32_t flags;
	char first[160]; /* the name the others link from: the file written, while it is needed */
	size_t left;     /* recipients that are not prepared yet; the last one is first */
	size_t at;       /* the next recipient to commit */
};

/* ---- writing --------------------------------------------------------------------------------- */

static bool
deliver_write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

static bool
deliver_put(struct dlv *d, int fd, const char *in, size_t n)
{
	char out[PIECE + 1];

	while (n > 0) {
		size_t k = n < PIECE ? n : PIECE;
		size_t o = sdk_lines_feed(&d->lines, in, k, out);

		if (!deliver_write_all(fd, out, o))
			return false;
		sdk_octets_feed(&d->octets, out, o);
		in += k;
		n -= k;
	}
	return true;
}

static void
deliver_name(struct dlv *d, struct rcpt *r)
{
	int64_t ms = r->received_ms ? r->received_ms : d->inst->host->wall_ms(d->inst->host->ctx);
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	snprintf(r->tmp, sizeof(r->tmp), "%lld.M%06ldP%dQ%llu.%s", (long long)ms / 1000,
		 ts.tv_nsec / 1000, (int)getpid(),
		 (unsigned long long)atomic_fetch_add(&d->inst->sequence, 1), d->inst->hostname);
}

static int
deliver_open_tmp(const struct dlv *d, struct rcpt *r)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "tmp/%s", r->tmp);
	fd = openat(r->fd, path, flags, 0600);
	/* the process that made the maildir was killed before it made tmp/ */
	if (fd == -1 && errno == ENOENT && dir_fill(d->inst, r->fd))
		fd = openat(r->fd, path, flags, 0600);
	return fd;
}

/* ---- methods --------------------------------------------------------------------------------- */

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
	d->fd = -1;
	d->flags = flags;
	d->lines.crlf = d->inst->crlf;
	sdk_octets_init(&d->octets);
	*ret_dlv = d;
	return PM_OK;
}

int32_t
deliver_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt)
{
	struct dlv *d = dlv;
	struct rcpt *more, *r;
	int32_t rc;

	if (d->fd != -1 || d->n >= RCPTS_MAX || rcpt->uidl.n > PM_UIDL_MAX)
		return PM_INVALID;
	for (size_t k = 0; k < rcpt->uidl.n; k++)
		if (rcpt->uidl.p[k] < 0x21 || rcpt->uidl.p[k] > 0x7e)
			return PM_INVALID;
	more = realloc(d->rcpts, (d->n + 1) * sizeof(*more));
	if (!more)
		return PM_NOMEM;
	d->rcpts = more;
	r = &more[d->n];
	memset(r, 0, sizeof(*r));
	rc = dir_open(d->inst, call, rcpt->user, true, &r->fd);
	if (rc == PM_OK && r->fd == -1)
		rc = PM_TEMP;
	if (rc != PM_OK)
		return rc;
	if (rcpt->uidl.n > 0) {
		memcpy(r->uidl, rcpt->uidl.p, rcpt->uidl.n);
		rc = import_look(
			d->inst, call, r->fd,
			&(struct import){.uidl = r->uidl, .restore = d->flags & PM_DLVF_RESTORE});
	}
	if (rc == PM_OK && rcpt->head.n > 0) {
		r->head = malloc(rcpt->head.n);
		if (r->head)
			memcpy(r->head, rcpt->head.p, r->head_n = rcpt->head.n);
		else
			rc = PM_NOMEM;
	}
	if (rc != PM_OK) {
		(void)close(r->fd);
		return rc;
	}
	r->received_ms = rcpt->received_ms;
	r->first_ms = rcpt->first_retrieved_ms;
	deliver_name(d, r);
	d->n++;
	return PM_OK;
}

int32_t
deliver_write(void *dlv, const struct pm_call *call, const void *buf, size_t n)
{
	struct dlv *d = dlv;

	if (d->n == 0 || d->failed)
		return PM_INVALID;
	if (d->fd == -1)
		d->fd = deliver_open_tmp(d, &d->rcpts[0]);
	if (d->fd == -1 || !deliver_put(d, d->fd, buf, n)) {
		int e = errno;

		d->failed = true;
		sdk_error(call, "writing to tmp/: %s", strerrordesc_np(e));
		return dir_code(e);
	}
	return PM_OK;
}

/* Writes the message with this recipient's head to a file of its own. */
static bool
copy_message(struct dlv *d, struct rcpt *r, int fd, struct sdk_octets *ret_octets)
{
	struct dlv head = {.inst = d->inst, .lines.crlf = d->inst->crlf};
	char buf[PIECE];
	off_t at = 0;
	ssize_t got;

	sdk_octets_init(&head.octets);
	if (!deliver_put(&head, fd, r->head, r->head_n))
		return false;
	while ((got = pread(d->fd, buf, sizeof(buf), at)) > 0) {
		if (!deliver_write_all(fd, buf, (size_t)got))
			return false;
		sdk_octets_feed(&head.octets, buf, (size_t)got);
		at += got;
	}
	*ret_octets = head.octets;
	return got == 0;
}

static void
set_name(struct rcpt *r, const struct sdk_octets *o)
{
	r->octets = *o;
	snprintf(r->name, sizeof(r->name), "%s,S=%llu,W=%llu", r->tmp,
		 (unsigned long long)o->stored, (unsigned long long)sdk_octets_total(o));
}

static bool
sync_file(struct dlv *d, int fd)
{
	return !d->inst->fsync || fsync(fd) == 0;
}

/* Makes one recipient's file in its own tmp/, durable. The first one uses the file written, unless
 * it has a head. */
static bool
deliver_prepare_one(struct dlv *d, size_t k)
{
	struct rcpt *r = &d->rcpts[k];
	struct sdk_octets octets = d->octets;
	char from[200], to[200];
	bool ok = true;
	int fd;

	if (r->head_n == 0) {
		snprintf(from, sizeof(from), "tmp/%s", d->rcpts[0].tmp);
		snprintf(to, sizeof(to), "tmp/%s", r->tmp);
		ok = k == 0 || linkat(d->rcpts[0].fd, from, r->fd, to, 0) == 0;
		if (ok) {
			set_name(r, &octets);
			return true;
		}
		/* another file system, or too many links: a copy */
	}
	if (k == 0) {
		/* the first has a head: its copy takes another name, and the plain file serves the
		 * others */
		snprintf(r->tmp + strlen(r->tmp), sizeof(r->tmp) - strlen(r->tmp), "-h");
	}
	fd = deliver_open_tmp(d, r);
	ok = fd != -1 && copy_message(d, r, fd, &octets) && sync_file(d, fd);
	if (fd != -1 && close(fd) != 0)
		ok = false;
	set_name(r, &octets);
	return ok;
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

/* Completes the file written, and makes it durable. */
static int32_t
finish_file(struct dlv *d, const struct pm_call *call)
{
	char last;

	/* an empty message */
	if (d->fd == -1 && (d->fd = deliver_open_tmp(d, &d->rcpts[0])) == -1) {
		sdk_error(call, "cannot write to tmp/: %s", strerrordesc_np(errno));
		return dir_code(errno);
	}
	if (sdk_lines_end(&d->lines, &last) > 0) {
		if (!deliver_write_all(d->fd, &last, 1))
			return dir_code(errno);
		sdk_octets_feed(&d->octets, &last, 1);
	}
	KILL_POINT("delivery: before fsync");
	if (!sync_file(d, d->fd)) {
		sdk_error(call, "fsync of tmp/%s: %s", d->rcpts[0].tmp, strerrordesc_np(errno));
		return dir_code(errno);
	}
	snprintf(d->first, sizeof(d->first), "%s", d->rcpts[0].tmp);
	d->left = d->n;
	return PM_OK;
}

int32_t
deliver_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;
	int64_t until = maildir_now(d->inst) + SLICE_MS;
	int32_t rc = PM_OK;

	if (d->n == 0 || d->failed)
		return PM_INVALID;
	if (d->first[0] == '\0')
		rc = finish_file(d, call);
	if (rc != PM_OK)
		return rc;
	/* the others first, since a first recipient with a head renames the file they link from */
	while (d->left > 0) {
		size_t k = --d->left;

		d->rcpts[k].prepared = deliver_prepare_one(d, k);
		d->rcpts[k].rc = d->rcpts[k].prepared ? PM_OK : dir_code(errno);
		if (d->left > 0 && maildir_now(d->inst) >= until)
			return PM_AGAIN;
	}
	if (strcmp(d->first, d->rcpts[0].tmp) != 0) {
		char path[200];

		snprintf(path, sizeof(path), "tmp/%s", d->first);
		(void)unlinkat(d->rcpts[0].fd, path, 0); /* every recipient has a file now */
	}
	deliver_set_results(d, ret, stride);
	return PM_OK;
}

/* Makes the message visible, and adds it to a remembered total. 0 or an errno. */
static int
deliver_show(struct inst *i, const struct rcpt *r, const char *from, const char *to)
{
	struct sdk_box box = snap_box(r->fd);
	struct sdk_total *held =
		sdk_totals_used(i->totals) ? sdk_totals_hold(i->totals, &box, r->name) : NULL;
	struct sdk_look before, after;
	int rc;

	if (!held)
		return dir_move(r->fd, from, to) ? 0 : errno;
	before = snap_look(i, r->fd);
	rc = dir_move(r->fd, from, to) ? 0 : errno;
	after = snap_look(i, r->fd);
	sdk_totals_release(i->totals, held, rc == 0 ? &before : NULL, &after,
			   sdk_octets_total(&r->octets));
	return rc;
}

/* Moves the message out of tmp/, and makes that durable. */
static int32_t
come_out(struct dlv *d, const struct pm_call *call, const struct rcpt *r)
{
	char from[200], to[260];
	int dfd, rc;

	snprintf(from, sizeof(from), "tmp/%s", r->tmp);
	snprintf(to, sizeof(to), "new/%s", r->name);
	KILL_POINT("delivery: before it is visible");
	rc = deliver_show(d->inst, r, from, to);
	if (rc == ENOENT && dir_fill(d->inst, r->fd)) /* somebody removed new/ */
		rc = deliver_show(d->inst, r, from, to);
	if (rc != 0) {
		sdk_error(call, "renaming %s to new/: %s", from, strerrordesc_np(rc));
		return dir_code(rc);
	}
	KILL_POINT("delivery: after");
	dfd = openat(r->fd, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dfd == -1 || (d->inst->fsync && fsync(dfd) != 0))
		rc = errno;
	if (dfd != -1)
		(void)close(dfd);
	size_add(r->fd, (int64_t)r->octets.stored, 1);
	return rc ? PM_UNKNOWN : PM_OK;
}

static int32_t
deliver_publish(struct dlv *d, const struct pm_call *call, const struct rcpt *r)
{
	struct import im = {.uidl = r->uidl,
			    .restore = d->flags & PM_DLVF_RESTORE,
			    .name = r->name,
			    .octets = sdk_octets_total(&r->octets),
			    .stored = r->octets.stored,
			    .first_ms = r->first_ms};
	char path[200];
	int lock = -1;
	int32_t rc = r->uidl[0] ? import_begin(d->inst, call, r->fd, &im, &lock) : PM_OK;

	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK) {
		rc = come_out(d, call, r);
		if (lock != -1)
			(void)close(lock);
	}
	snprintf(path, sizeof(path), "tmp/%s", r->tmp);
	if (rc != PM_OK && rc != PM_UNKNOWN)
		(void)unlinkat(r->fd, path, 0); /* nobody will use it again */
	return rc;
}

static void
deliver_free(struct dlv *d)
{
	for (size_t k = 0; k < d->n; k++) {
		(void)close(d->rcpts[k].fd);
		free(d->rcpts[k].head);
	}
	if (d->fd != -1)
		(void)close(d->fd);
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
		int32_t rc = r->prepared ? deliver_publish(d, call, r) : r->rc;

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
	char path[200];

	(void)call;
	for (size_t k = 0; k < d->n; k++) {
		snprintf(path, sizeof(path), "tmp/%s", d->rcpts[k].tmp);
		(void)unlinkat(d->rcpts[k].fd, path, 0); /* it may not exist */
	}
	deliver_free(d);
}
