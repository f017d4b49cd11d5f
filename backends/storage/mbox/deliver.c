/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery. The message is made once, quoted and with LF line ends, in a file of incoming/ in the
 * state directory, durable at prepare. At commit it is appended to each mailbox under the MTA's
 * locks (append.c), with a From_ line before and an empty line after it. An imported unique-id goes
 * to the ledger with its message.
 */
#include "deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "append.h"
#include "bytes.h"
#include "from_line.h"
#include "import.h"
#include "kill.h"
#include "ledger_file.h"
#include "lines.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "names.h"
#include "parse.h"
#include "recover.h"
#include "say.h"
#include "totals.h"

#define RCPTS_MAX 1024
#define IN_PIECE 8192

struct rcpt {
	struct location place;
	char *head; /* as stored */
	size_t head_n;
	char sender[SENDER_MAX + 1]; /* of the From_ line */
	char uidl[PM_UIDL_MAX + 1];  /* imported */
	struct import import;
	int64_t received_ms, first_ms;
	int32_t rc;
};

/* Turns bytes on the wire into stored ones. */
struct maker {
	struct sdk_lines lines;
	struct mbox_quote quote;
};

struct dlv {
	struct inst *inst;
	struct rcpt **rcpts;
	size_t n;
	int fd; /* the message, in incoming/ */
	char name[40];
	uint64_t size;
	uint32_t flags;
	bool written, failed;
	bool keep; /* a record refers to the file */
	struct maker maker;
	size_t at; /* while committing: the next recipient */
	struct held held;
	struct recovery *recovery; /* under way; NULL */
	int box;                   /* its mailbox; -1 */
};

/* ---- making ---------------------------------------------------------------------------------- */

static void
maker_init(struct maker *k, const struct inst *i)
{
	*k = (struct maker){.quote.how = i->rd ? MBOX_QUOTE_RD : MBOX_QUOTE_O};
}

/* out has room for n + n / 5 + MBOX_QUOTE_MORE + 8 bytes. */
static size_t
deliver_make(struct maker *k, const char *in, size_t n, char *out)
{
	char mid[IN_PIECE + 1];
	size_t o = 0;

	while (n > 0) {
		size_t piece = n < IN_PIECE ? n : IN_PIECE,
		       m = sdk_lines_feed(&k->lines, in, piece, mid);

		o += parse_quote(&k->quote, mid, m, out + o);
		in += piece;
		n -= piece;
	}
	return o;
}

/* Gives the bytes that were held back, and a line end if it is missing, which an mbox needs. */
static size_t
make_end(struct maker *k, bool end_line, char *out)
{
	char cr;
	size_t o = sdk_lines_end(&k->lines, &cr) > 0 ? parse_quote(&k->quote, &cr, 1, out) : 0;

	o += parse_quote_end(&k->quote, out + o);
	if (end_line && k->lines.last_out == '\r')
		out[o++] = '\r'; /* its CR is data: CRLF ends the line */
	if (end_line && k->lines.last_out != '\0' && k->lines.last_out != '\n')
		out[o++] = '\n';
	return o;
}

/* ---- recipients ------------------------------------------------------------------------------ */

/* Makes head lines as they are stored. False: no memory. */
static bool
take_head(const struct inst *i, struct pm_str head, struct rcpt *r)
{
	struct maker k;

	if (head.n == 0)
		return true;
	r->head = malloc(head.n + head.n / 5 + 2 * MBOX_QUOTE_MORE);
	if (!r->head)
		return false;
	maker_init(&k, i);
	r->head_n = deliver_make(&k, head.p, head.n, r->head);
	r->head_n += make_end(&k, false, r->head + r->head_n);
	return true;
}

/* Takes the unique-id of an import, and makes sure that it comes once. */
static int32_t
take_uidl(const struct dlv *d, const struct pm_call *call, struct pm_str uidl, struct rcpt *r)
{
	if (uidl.n == 0)
		return PM_OK;
	if (uidl.n > PM_UIDL_MAX)
		return PM_INVALID;
	for (size_t k = 0; k < uidl.n; k++)
		if (uidl.p[k] < 0x21 || uidl.p[k] > 0x7e)
			return PM_INVALID;
	memcpy(r->uidl, uidl.p, uidl.n);
	r->import = (struct import){.uidl = r->uidl, .restore = d->flags & PM_DLVF_RESTORE};
	return import_look(d->inst, call, &r->place, &r->import);
}

/* ---- methods --------------------------------------------------------------------------------- */

static void
rcpt_free(struct rcpt *r)
{
	import_free(&r->import);
	free(r->head);
	free(r);
}

static void
deliver_free(struct dlv *d)
{
	for (size_t k = 0; k < d->n; k++)
		rcpt_free(d->rcpts[k]);
	if (d->fd != -1) {
		(void)close(d->fd);
		if (!d->keep)
			(void)unlinkat(d->inst->incoming_dir, d->name, 0);
	}
	free(d->rcpts);
	free(d);
}

/* Opens a new file in incoming/. */
static int
deliver_open_incoming(struct dlv *d)
{
	unsigned char r[12];
	size_t at;

	if (RAND_bytes(r, sizeof(r)) != 1) {
		errno = EAGAIN;
		return -1;
	}
	at = (size_t)snprintf(d->name, sizeof(d->name), "%d.", (int)getpid());
	for (size_t k = 0; k < sizeof(r); k++)
		at += (size_t)snprintf(d->name + at, sizeof(d->name) - at, "%02x", r[k]);
	return openat(d->inst->incoming_dir, d->name,
		      O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int32_t
deliver_begin(void *inst, const struct pm_call *call, uint64_t size_hint, uint32_t flags,
	      void **ret_dlv)
{
	struct inst *i = inst;
	struct dlv *d = calloc(1, sizeof(*d));
	int32_t rc;

	(void)size_hint;
	if (!d)
		return PM_NOMEM;
	d->inst = i;
	d->box = -1;
	d->flags = flags;
	maker_init(&d->maker, i);
	d->fd = deliver_open_incoming(d);
	if (d->fd == -1) {
		rc = location_code(errno);
		sdk_error(call, "cannot make a file in mbox/incoming of the state directory: %s",
			  strerrordesc_np(errno));
		deliver_free(d);
		return rc;
	}
	*ret_dlv = d;
	return PM_OK;
}

int32_t
deliver_rcpt(void *dlv, const struct pm_call *call, const struct pm_rcpt *rcpt)
{
	struct dlv *d = dlv;
	struct rcpt **more, *r;
	int32_t rc;

	if (d->written || d->n >= RCPTS_MAX)
		return PM_INVALID;
	more = realloc(d->rcpts, (d->n + 1) * sizeof(*more));
	if (!more)
		return PM_NOMEM;
	d->rcpts = more;
	r = calloc(1, sizeof(*r));
	if (!r)
		return PM_NOMEM;
	rc = location_make(d->inst, call, rcpt->user, &r->place);
	if (rc == PM_OK)
		rc = take_uidl(d, call, rcpt->uidl, r);
	if (rc == PM_OK && !take_head(d->inst, rcpt->head, r))
		rc = PM_NOMEM;
	if (rc != PM_OK) {
		rcpt_free(r);
		return rc;
	}
	from_line_sender(rcpt->head, r->sender);
	r->received_ms = rcpt->received_ms;
	r->first_ms = rcpt->first_retrieved_ms;
	d->rcpts[d->n++] = r;
	return PM_OK;
}

static int32_t
deliver_put(struct dlv *d, const struct pm_call *call, const char *p, size_t n)
{
	int e = bytes_write(d->fd, p, n, d->size);

	d->size += n;
	d->failed = d->failed || e != 0;
	if (e == 0)
		return PM_OK;
	sdk_error(call, "writing in the state directory: %s", strerrordesc_np(e));
	return location_code(e);
}

int32_t
deliver_write(void *dlv, const struct pm_call *call, const void *buf, size_t n)
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

		rc = deliver_put(d, call, out, deliver_make(&d->maker, p, piece, out));
		p += piece;
		n -= piece;
	}
	return rc;
}

static void
deliver_set_results(struct dlv *d, struct pm_result *ret, size_t stride)
{
	for (size_t k = 0; k < d->n; k++) {
		char *at = (char *)ret + k * stride;
		struct pm_result x = {0};

		memcpy(&x.size, at, sizeof(x.size));
		x.rc = d->rcpts[k]->rc;
		memcpy(at, &x, x.size < sizeof(x) ? x.size : sizeof(x));
	}
}

int32_t
deliver_prepare(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;
	char out[2 * MBOX_QUOTE_MORE];
	int32_t rc;

	if (d->n == 0 || d->failed)
		return PM_INVALID;
	rc = deliver_put(d, call, out, make_end(&d->maker, true, out));
	KILL_POINT("delivery: before fsync");
	if (rc == PM_OK && d->inst->fsync &&
	    (fsync(d->fd) != 0 || fsync(d->inst->incoming_dir) != 0)) {
		sdk_error(call, "fsync in the state directory: %s", strerrordesc_np(errno));
		rc = location_code(errno);
	}
	if (rc == PM_OK)
		deliver_set_results(d, ret, stride);
	return rc;
}

/* ---- appending ------------------------------------------------------------------------------- */

/* The text that is needed between the file's end and a From_ line. NULL: errno. */
static const char *
deliver_gap(int fd)
{
	char last[2] = "\n\n";
	struct stat st;
	size_t n;

	if (fstat(fd, &st) != 0)
		return NULL;
	n = st.st_size < 2 ? (size_t)st.st_size : 2;
	if (n > 0 && pread(fd, last + 2 - n, n, st.st_size - (off_t)n) != (ssize_t)n) {
		errno = EIO;
		return NULL;
	}
	return last[1] != '\n' ? "\n\n" : last[0] != '\n' ? "\n" : "";
}

/* Makes the ledger's line of an import: its unique-id, and the identity of the message. 0 or an
 * errno. */
static int
make_list(const struct dlv *d, const struct rcpt *r, const char *lead, size_t lead_n,
	  struct ledger_out *o)
{
	struct mbox_found f = {0};
	char id[IDENTITY_CAP];
	size_t good, bad;
	struct ledger *l;
	int e;

	if (!r->uidl[0])
		return 0;
	e = from_line_foresee(lead, lead_n, d->fd, d->size,
			      d->inst->rd ? MBOX_UNQUOTE_RD : MBOX_AS_IS, &f);
	if (e != 0)
		return e;
	l = ledger_load(d->inst->ledger_dir, r->place.key, &good, &bad);
	if (!l)
		return errno ? errno : ENOMEM;
	ledger_put_message(o, id, names_identity(f.hash, names_for_import(l, f.hash, r->uidl), id),
			   r->uidl, strlen(r->uidl), f.octets, f.stored, r->first_ms, 0);
	ledger_free(l);
	return o->failed ? ENOMEM : 0;
}

/* Adds this message to a known total, as a scan will count it; under the locks. */
static void
count_more(struct dlv *d, const struct rcpt *r, struct sdk_total *held,
	   const struct sdk_look *before, const char *lead, size_t lead_n)
{
	struct sdk_look after = names_look(d->inst, &r->place);
	struct mbox_found f = {0};
	bool known = from_line_foresee(lead, lead_n, d->fd, d->size,
				       d->inst->rd ? MBOX_UNQUOTE_RD : MBOX_AS_IS, &f) == 0;

	sdk_totals_release(d->inst->totals, held, before, known ? &after : NULL, f.octets);
}

/* Holds the total of a mailbox that somebody asked for. `name` is where its file ends before the
 * message. */
static struct sdk_total *
deliver_hold(const struct dlv *d, const struct rcpt *r, char name[24])
{
	struct sdk_box box = location_box(&r->place);
	struct stat st;

	if (!sdk_totals_used(d->inst->totals) || fstat(d->box, &st) != 0)
		return NULL;
	snprintf(name, 24, "%lld", (long long)st.st_size);
	return sdk_totals_hold(d->inst->totals, &box, name);
}

/* Appends under the locks. 0 or an errno; *ret_torn as in append_message(). */
static int
deliver_append(struct dlv *d, const struct rcpt *r, bool *ret_torn)
{
	const char *before = deliver_gap(d->box);
	struct append a = {.name = d->name, .fd = d->fd, .size = d->size};
	struct ledger_out list = {0};
	struct sdk_total *held;
	struct sdk_look look;
	char name[24];
	int64_t now = d->inst->host->wall_ms(d->inst->host->ctx);
	char *lead =
		before ? from_line_make(before, r->sender, r->received_ms ? r->received_ms : now,
					r->head, r->head_n, &a.lead_n)
		       : NULL;
	int e;

	*ret_torn = false;
	if (!lead)
		return errno ? errno : ENOMEM;
	e = make_list(d, r, lead + strlen(before), a.lead_n - strlen(before), &list);
	a.lead = lead;
	a.list = list.text;
	a.list_n = list.n;
	held = e == 0 ? deliver_hold(d, r, name) : NULL;
	if (held)
		look = names_look(d->inst, &r->place);
	if (e == 0)
		e = append_message(d->inst, &r->place, d->box, &a, &d->held, ret_torn);
	if (held && e == 0)
		count_more(d, r, held, &look, lead + strlen(before), a.lead_n - strlen(before));
	else if (held)
		sdk_totals_release(d->inst->totals, held, &look, NULL, 0);
	ledger_out_free(&list);
	free(lead);
	return e;
}

static int32_t
deliver_one(struct dlv *d, const struct pm_call *call, struct rcpt *r)
{
	bool torn = false;
	int32_t rc = location_lock(d->inst, call, &r->place, true, &d->box, &d->held);
	int e;

	if (rc == PM_AGAIN)
		return rc;
	/* an operation that a crash interrupted is finished first, since it knows the file as it
	 * was */
	if (rc == PM_OK && !r->import.look)
		rc = recover_box(d->inst, call, &r->place, d->box, &d->held, &d->recovery);
	if (rc == PM_OK && r->uidl[0])
		rc = import_check(d->inst, call, &r->place, d->box, &d->held, &r->import);
	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK) {
		if (r->head_n == 0)
			from_line_sender_in(d->fd, r->sender);
		e = d->held.readonly ? EROFS : deliver_append(d, r, &torn);
		if (e != 0)
			sdk_error(call, "'%s': %s", r->place.path, strerrordesc_np(e));
		rc = e == 0 ? PM_OK : torn ? PM_UNKNOWN : location_code(e);
		d->keep = d->keep || torn;
	}
	lock_release(&d->held, d->box);
	if (d->box != -1)
		(void)close(d->box);
	d->box = -1;
	return rc;
}

int32_t
deliver_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *d = dlv;
	int64_t until = mbox_now(d->inst) + SLICE_MS;

	while (d->at < d->n) {
		int32_t rc = deliver_one(d, call, d->rcpts[d->at]);

		if (rc == PM_AGAIN)
			return rc;
		d->rcpts[d->at++]->rc = rc;
		if (d->at < d->n && mbox_now(d->inst) >= until)
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

	(void)call;
	recover_drop(&d->recovery);
	lock_release(&d->held, d->box);
	if (d->box != -1)
		(void)close(d->box);
	deliver_free(d);
}
