/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery: the message is made once, quoted and with LF line ends, in an unnamed file of the state directory; at
 * commit it is appended to each mailbox under the MTA's locks, with a From_ line before and an empty line behind it,
 * and synced. What cannot be appended whole is cut off again. Nothing is promised before that: a crash in between
 * leaves the sender with the message, and perhaps a part of it at the end of a mailbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "lines.h"
#include "mbox.h"

#define RCPTS_MAX 1024
#define IN_PIECE 8192

struct rcpt {
	struct place place;
	char *head;       /* as stored */
	size_t head_n;
	int32_t rc;
};

/* Wire bytes on their way to stored ones. */
struct maker {
	struct sdk_lines lines;
	struct mbox_quote quote;
};

struct dlv {
	struct inst *inst;
	struct rcpt **rcpts;
	size_t n;
	int fd;           /* the message */
	uint64_t size;
	bool written, failed;
	struct maker maker;
	size_t at;        /* while committing: next recipient */
	struct held held;
	int box;          /* its mailbox; -1 */
};

static int32_t
disk_code(int e)
{
	return e == ENOSPC || e == EDQUOT ? PM_NOSPACE : e == EACCES || e == EROFS ? PM_PERM : PM_TEMP;
}

/* ---- making ---------------------------------------------------------------------------------- */

static void
maker_init(struct maker *k, const struct inst *i)
{
	*k = (struct maker){.quote.how = i->rd ? MBOX_QUOTE_RD : MBOX_QUOTE_O};
}

/* out: room for n + n / 5 + MBOX_QUOTE_MORE + 8. */
static size_t
make(struct maker *k, const char *in, size_t n, char *out)
{
	char mid[IN_PIECE + 1];
	size_t o = 0;

	while (n > 0) {
		size_t piece = n < IN_PIECE ? n : IN_PIECE, m = sdk_lines_feed(&k->lines, in, piece, mid);

		o += mbox_quote(&k->quote, mid, m, out + o);
		in += piece;
		n -= piece;
	}
	return o;
}

/* What was held back, and a line end where there is none: an mbox cannot do without. */
static size_t
make_end(struct maker *k, bool end_line, char *out)
{
	char cr;
	size_t o = sdk_lines_end(&k->lines, &cr) > 0 ? mbox_quote(&k->quote, &cr, 1, out) : 0;

	o += mbox_quote_end(&k->quote, out + o);
	if (end_line && k->lines.last_out == '\r')
		out[o++] = '\r'; /* its CR is data: CRLF ends the line */
	if (end_line && k->lines.last_out != '\0' && k->lines.last_out != '\n')
		out[o++] = '\n';
	return o;
}

static int
write_all(int fd, const char *p, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t w = pwrite(fd, p, n, (off_t)at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? errno : ENOSPC;
		p += w;
		at += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

/* ---- methods --------------------------------------------------------------------------------- */

static void
dlv_free(struct dlv *d)
{
	for (size_t k = 0; k < d->n; k++) {
		free(d->rcpts[k]->head);
		free(d->rcpts[k]);
	}
	if (d->fd != -1)
		(void)close(d->fd);
	free(d->rcpts);
	free(d);
}

static int32_t
dlv_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags, void **ret_dlv)
{
	struct inst *i = inst;
	struct dlv *d;

	(void)size_hint;
	if (flags & PM_DLVF_IMPORT)
		return PM_UNSUPPORTED;
	d = calloc(1, sizeof(*d));
	if (!d)
		return PM_NOMEM;
	d->inst = i;
	d->box = -1;
	maker_init(&d->maker, i);
	d->fd = openat(i->state, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (d->fd == -1) {
		sdk_error(call, "cannot make a file in mbox/ of the state directory: %s", strerrordesc_np(errno));
		dlv_free(d);
		return disk_code(errno);
	}
	*ret_dlv = d;
	return PM_OK;
}

static int32_t
dlv_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt)
{
	struct dlv *d = dlv;
	struct rcpt **more, *r;
	struct maker k;
	int32_t rc;

	if (d->written || d->n >= RCPTS_MAX || rcpt->uidl.n > 0)
		return PM_INVALID; /* CAN_IMPORT is not claimed */
	more = realloc(d->rcpts, (d->n + 1) * sizeof(*more));
	if (!more)
		return PM_NOMEM;
	d->rcpts = more;
	r = calloc(1, sizeof(*r));
	if (!r)
		return PM_NOMEM;
	rc = place_make(d->inst, call, rcpt->user, &r->place);
	if (rc == PM_OK && rcpt->head.n > 0) {
		maker_init(&k, d->inst);
		r->head = malloc(rcpt->head.n + rcpt->head.n / 5 + 2 * MBOX_QUOTE_MORE);
		if (!r->head)
			rc = PM_NOMEM;
		else
			r->head_n = make(&k, rcpt->head.p, rcpt->head.n, r->head);
		if (r->head)
			r->head_n += make_end(&k, false, r->head + r->head_n);
	}
	if (rc != PM_OK) {
		free(r->head);
		free(r);
		return rc;
	}
	d->rcpts[d->n++] = r;
	return PM_OK;
}

static int32_t
put(struct dlv *d, const struct pm_call *call, const char *p, size_t n)
{
	int e = write_all(d->fd, p, n, d->size);

	d->size += n;
	d->failed = d->failed || e != 0;
	if (e == 0)
		return PM_OK;
	sdk_error(call, "writing in the state directory: %s", strerrordesc_np(e));
	return disk_code(e);
}

static int32_t
dlv_write(void *dlv, const struct pm_call *call, const void *buf, size_t n)
{
	char out[IN_PIECE + IN_PIECE / 5 + 2 * MBOX_QUOTE_MORE];
	struct dlv *d = dlv;
	const char *p = buf;
	int32_t rc = PM_OK;

	if (d->n == 0 || d->failed)
		return PM_INVALID;
	d->written = true;
	while (n > 0 && rc == PM_OK) {
		size_t piece = n < IN_PIECE ? n : IN_PIECE;

		rc = put(d, call, out, make(&d->maker, p, piece, out));
		p += piece;
		n -= piece;
	}
	return rc;
}

static void
set_results(struct dlv *d, struct pm_result *ret, size_t stride)
{
	for (size_t k = 0; k < d->n; k++) {
		char *at = (char *)ret + k * stride;
		struct pm_result x = {0};

		memcpy(&x.size, at, sizeof(x.size));
		x.rc = d->rcpts[k]->rc;
		memcpy(at, &x, x.size < sizeof(x) ? x.size : sizeof(x));
	}
}

static int32_t
dlv_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;
	char out[2 * MBOX_QUOTE_MORE];
	int32_t rc;

	if (d->n == 0 || d->failed)
		return PM_INVALID;
	rc = put(d, call, out, make_end(&d->maker, true, out));
	if (rc == PM_OK)
		set_results(d, ret, stride);
	return rc;
}

/* ---- appending ------------------------------------------------------------------------------- */

/* What has to stand between the file's end and a From_ line; NULL: errno. */
static const char *
gap(int fd, uint64_t size)
{
	char last[2] = "\n\n";
	size_t n = size < 2 ? (size_t)size : 2;

	if (n > 0 && pread(fd, last + 2 - n, n, (off_t)(size - n)) != (ssize_t)n)
		return NULL;
	return last[1] != '\n' ? "\n\n" : last[0] != '\n' ? "\n" : "";
}

static int
copy_message(const struct dlv *d, int fd, uint64_t at)
{
	char buf[IN_PIECE];
	uint64_t done = 0;

	while (done < d->size) {
		ssize_t got = pread(d->fd, buf, sizeof(buf), (off_t)done);
		int e = got > 0 ? write_all(fd, buf, (size_t)got, at + done) : got < 0 ? errno : EIO;

		if (e != 0)
			return e;
		done += (uint64_t)got;
	}
	return 0;
}

/* 0 or an errno; *ret_torn: not all of it could be taken back. */
static int
append(struct dlv *d, const struct rcpt *r, int fd, bool *ret_torn)
{
	time_t now = (time_t)(d->inst->host->wall_ms(d->inst->host->ctx) / 1000);
	char line[120], date[40];
	const char *before;
	struct stat st;
	struct tm tm;
	uint64_t at;
	int e, n;

	*ret_torn = false;
	if (fstat(fd, &st) != 0)
		return errno;
	at = (uint64_t)st.st_size;
	before = gap(fd, at);
	if (!before)
		return errno;
	(void)gmtime_r(&now, &tm); /* RFC 4155: UTC */
	(void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	n = snprintf(line, sizeof(line), "%sFrom MAILER-DAEMON %s\n", before, date);
	e = write_all(fd, line, (size_t)n, at);
	if (e == 0)
		e = write_all(fd, r->head, r->head_n, at + (uint64_t)n);
	if (e == 0)
		e = copy_message(d, fd, at + (uint64_t)n + r->head_n);
	if (e == 0)
		e = write_all(fd, "\n", 1, at + (uint64_t)n + r->head_n + d->size);
	if (e == 0 && d->inst->fsync && fsync(fd) != 0)
		e = errno;
	if (e != 0 && ftruncate(fd, st.st_size) != 0)
		*ret_torn = true;
	return e;
}

static int32_t
deliver_one(struct dlv *d, const struct pm_call *call, struct rcpt *r)
{
	bool torn = false;
	int32_t rc = PM_OK;
	int e;

	if (d->box == -1)
		rc = place_open(d->inst, call, &r->place, true, &d->box);
	if (rc == PM_OK)
		rc = lock_mta(d->inst, call, &r->place, d->box, &d->held);
	if (rc == PM_AGAIN)
		return rc;
	/* a journal that waits is finished first: it knows the file as it was */
	if (rc == PM_OK)
		rc = journal_recover(d->inst, call, &r->place, d->box);
	if (rc == PM_OK) {
		e = append(d, r, d->box, &torn);
		if (e != 0)
			sdk_error(call, "'%s': %s", r->place.path, strerrordesc_np(e));
		rc = e == 0 ? PM_OK : torn ? PM_UNKNOWN : disk_code(e);
	}
	unlock_mta(&d->held, d->box);
	if (d->box != -1)
		(void)close(d->box);
	d->box = -1;
	return rc;
}

static int32_t
dlv_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;

	for (; d->at < d->n; d->at++) {
		int32_t rc = deliver_one(d, call, d->rcpts[d->at]);

		if (rc == PM_AGAIN)
			return rc;
		d->rcpts[d->at]->rc = rc;
	}
	set_results(d, ret, stride);
	dlv_free(d);
	return PM_OK;
}

static void
dlv_abort(void *dlv, const struct pm_call *call)
{
	struct dlv *d = dlv;

	(void)call;
	if (d->box != -1) {
		unlock_mta(&d->held, d->box);
		(void)close(d->box);
	}
	dlv_free(d);
}

const struct pm_delivery mbox_delivery = {
	.size = sizeof(mbox_delivery),
	.dlv_begin = dlv_begin,
	.dlv_rcpt = dlv_rcpt,
	.dlv_write = dlv_write,
	.dlv_prepare = dlv_prepare,
	.dlv_commit = dlv_commit,
	.dlv_abort = dlv_abort,
};
