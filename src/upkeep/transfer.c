/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/secret.h"
#include "mailbox/volume.h"

#define SLICE 128    /* records of mbox_info at a time: 24 KiB of stack */
#define SLICE_MS 100 /* then the permit goes back */

struct transfer_item {
	struct pm_msg msg;
	uint64_t index; /* in the snapshot that is read */
	bool copied;    /* the other store says that it has it */
	bool seen;      /* ... and it is there */
};

/* ---- ways on --------------------------------------------------------------------------------- */

static int32_t
transfer_go(struct transfer *m, struct errand *e, enum transfer_phase phase,
	    const struct transfer_side *side)
{
	bool scans =
		phase == TRANSFER_OPEN || phase == TRANSFER_LOCK_FROM || phase == TRANSFER_LOCK_TO;

	m->phase = phase;
	e->call_ms = scans                      ? side->storage->limits.scan_ms
		     : phase == TRANSFER_DELETE ? side->storage->limits.commit_ms
						: 0;
	errand_go(e, side->storage, e->holding ? CALL_GIVE_BACK : CALL_BEGIN);
	return PM_AGAIN;
}

static bool
transfer_holds(const struct transfer *m)
{
	return m->dlv || m->msg || m->from.mbox || m->to.mbox;
}

/* Gives back what is held, each to its store, then goes on with `next`. */
static int32_t
clean_then(struct transfer *m, struct errand *e, enum transfer_phase next)
{
	m->next = next;
	if (transfer_holds(m))
		return transfer_go(m, e, TRANSFER_CLEAN,
				   m->dlv || !(m->msg || m->from.mbox) ? &m->to : &m->from);
	e->holding = false;
	arena_reset(&e->arena); /* nobody's handle lives in it */
	if (next != TRANSFER_DONE)
		return transfer_go(m, e, next, next == TRANSFER_LOCK_TO ? &m->to : &m->from);
	m->phase = TRANSFER_DONE;
	return m->rc;
}

static int32_t
transfer_fail(struct transfer *m, struct errand *e, int32_t rc, const char *what)
{
	m->rc = rc;
	snprintf(m->text, sizeof(m->text), "%.60s: %.20s%s%s", what, host_code_name(rc),
		 e->call.error[0] ? ", " : "", e->call.error);
	return clean_then(m, e, TRANSFER_DONE);
}

bool
transfer_begin(struct transfer *m, struct errand *e)
{
	m->items = calloc(TRANSFER_BATCH, sizeof(*m->items));
	m->buf = malloc(2 * TRANSFER_PIECE + 2); /* each LF may become CRLF */
	m->rc = m->items && m->buf ? PM_OK : PM_NOMEM;
	if (m->rc == PM_OK)
		(void)transfer_go(m, e, TRANSFER_OPEN, &m->from);
	return m->rc == PM_OK;
}

void
transfer_fini(struct transfer *m)
{
	free(m->items);
	free(m->buf);
	free(m->map);
	m->items = NULL;
	m->buf = NULL;
	m->map = NULL;
}

/* ---- what goes ------------------------------------------------------------------------------- */

/* Opens one side; *ret_open: it is. */
static int32_t
open_side(struct transfer *m, struct errand *e, struct transfer_side *s, uint32_t flags)
{
	int32_t rc;

	rc = s->mbox ? PM_OK
		     : volume_find(s->storage->vol, NULL, e->call.error, sizeof(e->call.error));
	if (rc != PM_OK)
		return transfer_fail(m, e, rc, s->storage->section);
	flags |= s->storage->can_hide ? PM_OPEN_HIDDEN : 0;
	rc = host_mbox_open(s->storage->inst, &e->call, s->user, flags, &s->count, &s->mbox);
	if (rc == PM_AGAIN && errand_should_end(e)) {
		e->holding = true;
		return transfer_fail(m, e, PM_CANCELLED, "opening a mailbox");
	}
	if (rc != PM_OK && rc != PM_AGAIN) {
		s->mbox = NULL;
		return transfer_fail(m, e, rc, s->storage->section);
	}
	s->at = 0;
	e->holding = true;
	return rc;
}

static int32_t
open_from(struct transfer *m, struct errand *e)
{
	int32_t rc = open_side(m, e, &m->from, PM_OPEN_READONLY);

	if (rc != PM_OK)
		return rc;
	m->n = m->i = 0;
	m->looked = false;
	return m->from.count > 0 ? transfer_go(m, e, TRANSFER_CHOOSE, &m->from)
				 : clean_then(m, e, TRANSFER_DONE);
}

/* One slice of a side's records; *ret_n of them. Not PM_OK: what to return. */
static int32_t
transfer_look(struct transfer *m, struct errand *e, struct transfer_side *s, uint32_t want,
	      struct pm_msg *info, size_t *ret_n)
{
	uint64_t left = s->count - s->at;
	size_t n = left < SLICE ? (size_t)left : SLICE;
	int32_t rc =
		n > 0 ? host_mbox_info(s->storage->inst, s->mbox, &e->call, s->at, n, want, info)
		      : PM_OK;

	if (errand_should_end(e))
		return transfer_fail(m, e, PM_CANCELLED, s->storage->section);
	if (rc != PM_OK)
		return rc == PM_AGAIN ? rc : transfer_fail(m, e, rc, s->storage->section);
	*ret_n = n;
	return PM_OK;
}

static int32_t
transfer_choose(struct transfer *m, struct errand *e)
{
	struct pm_msg info[SLICE];
	size_t n, k;
	int32_t rc = transfer_look(m, e, &m->from,
				   PM_WANT_OCTETS | PM_WANT_UIDL | PM_WANT_DATES | PM_WANT_META,
				   info, &n);

	if (rc != PM_OK)
		return rc;
	for (k = 0; k < n && m->n < TRANSFER_BATCH; k++)
		if (m->wants(&info[k], m->ctx))
			m->items[m->n++] =
				(struct transfer_item){.msg = info[k], .index = m->from.at + k};
	m->from.at += k;
	m->more = m->from.at < m->from.count;
	if (m->more && m->n < TRANSFER_BATCH)
		return PM_AGAIN;
	return m->n > 0 ? transfer_go(m, e, TRANSFER_BEGIN, &m->to)
			: clean_then(m, e, TRANSFER_DONE);
}

/* ---- copying --------------------------------------------------------------------------------- */

static void
msg_end(struct transfer *m, struct errand *e)
{
	if (m->msg)
		host_msg_close(m->from.storage->inst, m->msg, &e->call);
	m->msg = NULL;
}

/* The next message to copy, or the look at what was. Behind any gate. */
static int32_t
next_copy(struct transfer *m, struct errand *e)
{
	m->i++;
	if (errand_should_end(e))
		return transfer_fail(m, e, PM_CANCELLED, "copying");
	return m->i < m->n
		       ? transfer_go(m, e, TRANSFER_BEGIN, &m->to)
		       : clean_then(m, e, m->to_maildrop ? TRANSFER_LOCK_FROM : TRANSFER_LOCK_TO);
}

static int32_t
begin_copy(struct transfer *m, struct errand *e)
{
	const struct pm_msg *msg = &m->items[m->i].msg;
	struct pm_rcpt r = {.size = sizeof(r),
			    .user = m->to.user,
			    .uidl = {msg->uidl, msg->uidl_len},
			    .meta = {(const char *)msg->meta, msg->meta_len},
			    .received_ms = msg->received_ms,
			    .first_retrieved_ms = m->first_retrieved_ms};
	struct backend *to = m->to.storage;
	int32_t rc;

	m->rc = volume_enter(to->vol, msg->octets, &m->mount, m->text, sizeof(m->text));
	if (m->rc != PM_OK)
		return clean_then(m, e, TRANSFER_DONE);
	rc = host_dlv_begin(to->inst, &e->call, msg->octets, PM_DLVF_IMPORT | PM_DLVF_RESTORE,
			    &m->dlv);
	if (rc != PM_OK) {
		m->dlv = NULL;
		return transfer_fail(m, e, rc, to->section);
	}
	e->holding = true;
	rc = host_dlv_rcpt(to->inst, m->dlv, &e->call, &r);
	if (rc == PM_EXISTS) {
		host_dlv_abort(to->inst, m->dlv, &e->call);
		m->dlv = NULL;
		m->items[m->i].copied = true;
		return next_copy(m, e);
	}
	if (rc != PM_OK)
		return transfer_fail(m, e, rc, to->section);
	m->read_all = false;
	m->last = '\n';
	return transfer_go(m, e, TRANSFER_READ, &m->from);
}

/* Lines end in CRLF on the wire; so does the last one. Returns how many octets. */
static size_t
to_wire(struct transfer *m, const char *in, size_t n, char *out)
{
	size_t o = 0;

	for (size_t k = 0; k < n; k++) {
		if (in[k] == '\n' && m->last != '\r')
			out[o++] = '\r';
		out[o++] = m->last = in[k];
	}
	return o;
}

/* It cannot be read: that one stays where it is. */
static int32_t
transfer_skip(struct transfer *m, struct errand *e)
{
	msg_end(m, e);
	return clean_then(m, e, TRANSFER_BEGIN);
}

static int32_t
transfer_read_some(struct transfer *m, struct errand *e)
{
	struct backend *from = m->from.storage;
	/* becomes wire bytes from the beginning on: never ahead of what is read */
	char *in = m->buf + TRANSFER_PIECE + 2;
	int64_t until = mono_ms() + SLICE_MS;
	size_t n = 0, got;
	int32_t rc = m->msg ? PM_OK
			    : host_msg_open(from->inst, m->from.mbox, &e->call,
					    m->items[m->i].index, &m->msg);

	m->buf_n = m->buf_at = 0;
	while (rc == PM_OK && n < TRANSFER_PIECE && mono_ms() < until) {
		rc = host_msg_read(from->inst, m->msg, &e->call, in + n, TRANSFER_PIECE - n, &got);
		if (rc == PM_OK)
			n += got;
	}
	m->buf_n = to_wire(m, in, n, m->buf);
	if (rc == PM_END) {
		if (m->last != '\n')
			m->buf_n += to_wire(m, "\n", 1, m->buf + m->buf_n);
		msg_end(m, e);
		m->read_all = true;
		rc = PM_OK;
	}
	if (rc == PM_GONE)
		return transfer_skip(m, e);
	if (rc == PM_AGAIN)
		rc = PM_OK;
	if (rc != PM_OK || errand_should_end(e))
		return transfer_fail(m, e, rc != PM_OK ? rc : PM_CANCELLED, from->section);
	return m->buf_n > 0 || m->read_all ? transfer_go(m, e, TRANSFER_WRITE, &m->to) : PM_AGAIN;
}

static int32_t
transfer_write_some(struct transfer *m, struct errand *e)
{
	int32_t rc = PM_OK;

	if (m->buf_n > 0)
		rc = host_dlv_write(m->to.storage->inst, m->dlv, &e->call, m->buf, m->buf_n);
	if (rc != PM_OK)
		return rc == PM_AGAIN ? rc : transfer_fail(m, e, rc, m->to.storage->section);
	return m->read_all ? transfer_go(m, e, TRANSFER_PREPARE, &m->to)
			   : transfer_go(m, e, TRANSFER_READ, &m->from);
}

static int32_t
transfer_prepare(struct transfer *m, struct errand *e)
{
	struct pm_result r = {.size = sizeof(r)};
	int32_t rc = host_dlv_prepare(m->to.storage->inst, m->dlv, &e->call, &r);

	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK && r.rc != PM_EXISTS)
		rc = r.rc;
	if (rc != PM_OK)
		return transfer_fail(m, e, rc, m->to.storage->section);
	secret_random(m->op_id, sizeof(m->op_id));
	return transfer_go(m, e, TRANSFER_COMMIT, &m->to);
}

/* In the count of its domain, before it is there. */
static int32_t
transfer_take_place(struct transfer *m, char *text)
{
	return m->count ? quota_domain_take_anyway(m->conf, m->count, m->items[m->i].msg.octets, 1,
						   &m->hold, text)
			: PM_OK;
}

static int32_t
transfer_commit(struct transfer *m, struct errand *e)
{
	struct transfer_item *it = &m->items[m->i];
	struct backend *to = m->to.storage;
	struct pm_result r = {.size = sizeof(r)};
	char text[QUOTA_TEXT_MAX];
	int32_t rc;

	rc = m->committing ? PM_OK : volume_stayed(to->vol, m->mount, text, sizeof(text));
	if (rc == PM_OK && !m->committing)
		rc = transfer_take_place(m, text);
	if (rc != PM_OK)
		return transfer_fail(m, e, rc, text);
	KILL_POINT("move: before a copy is committed");
	memcpy(e->call.pm.op_id, m->op_id, sizeof(m->op_id));
	rc = host_dlv_commit(to->inst, m->dlv, &e->call, &r);
	m->committing = rc == PM_AGAIN;
	if (rc == PM_AGAIN)
		return rc;
	m->dlv = NULL; /* a commit gives the handle back */
	if (rc == PM_OK)
		rc = r.rc;
	KILL_POINT("move: a copy is committed");
	quota_domain_end(m->conf, &m->hold, rc);
	volume_wrote(to->vol, it->msg.octets, rc);
	if (rc != PM_OK && rc != PM_EXISTS)
		return transfer_fail(m, e, rc, to->section);
	it->copied = true;
	m->copies++;
	m->copied_octets += it->msg.octets;
	KILL_POINT("move: a copy is there");
	return next_copy(m, e);
}

/* ---- made sure of ---------------------------------------------------------------------------- */

static int
by_uidl(const void *a, const void *b)
{
	const struct pm_msg *x = &((const struct transfer_item *)a)->msg,
			    *y = &((const struct transfer_item *)b)->msg;
	size_t n = x->uidl_len < y->uidl_len ? x->uidl_len : y->uidl_len;
	int d = memcmp(x->uidl, y->uidl, n);

	return d != 0 ? d : (x->uidl_len > y->uidl_len) - (x->uidl_len < y->uidl_len);
}

static struct transfer_item *
transfer_find(const struct transfer *m, const struct pm_msg *msg)
{
	const struct transfer_item key = {.msg = *msg};

	return bsearch(&key, m->items, m->n, sizeof(*m->items), by_uidl);
}

static int32_t
lock_from(struct transfer *m, struct errand *e)
{
	int32_t rc = open_side(m, e, &m->from, PM_OPEN_EXCLUSIVE);

	if (rc != PM_OK)
		return rc;
	return m->looked ? transfer_go(m, e, TRANSFER_SEE_FROM, &m->from)
			 : transfer_go(m, e, TRANSFER_LOCK_TO, &m->to);
}

/* Locked as well: were both the same mailbox, it would be busy. */
static int32_t
lock_to(struct transfer *m, struct errand *e)
{
	int32_t rc = open_side(m, e, &m->to, PM_OPEN_EXCLUSIVE);

	if (rc != PM_OK)
		return rc;
	qsort(m->items, m->n, sizeof(*m->items), by_uidl);
	return transfer_go(m, e, TRANSFER_SEE_TO, &m->to);
}

static int32_t
see_to(struct transfer *m, struct errand *e)
{
	struct pm_msg info[SLICE];
	size_t n;
	int32_t rc = transfer_look(m, e, &m->to, PM_WANT_UIDL, info, &n);

	if (rc != PM_OK)
		return rc;
	for (size_t k = 0; k < n; k++) {
		struct transfer_item *it = transfer_find(m, &info[k]);

		if (it)
			it->seen = true;
	}
	m->to.at += n;
	if (m->to.at < m->to.count)
		return PM_AGAIN;
	m->looked = true;
	for (size_t k = 0; k < m->n; k++)
		if (m->items[k].copied && !m->items[k].seen) {
			const struct pm_msg *msg = &m->items[k].msg;

			m->rc = PM_TEMP;
			snprintf(m->text, sizeof(m->text),
				 "%s says that it has '%.*s' and does not show it: it is left "
				 "where it was",
				 m->to.storage->section, (int)msg->uidl_len, msg->uidl);
		}
	return m->to_maildrop ? transfer_go(m, e, TRANSFER_LEAVE_TO, &m->to)
			      : transfer_go(m, e, TRANSFER_LOCK_FROM, &m->from);
}

static int32_t
leave_to(struct transfer *m, struct errand *e)
{
	host_mbox_close(m->to.storage->inst, m->to.mbox, &e->call);
	m->to.mbox = NULL;
	return transfer_go(m, e, TRANSFER_SEE_FROM, &m->from);
}

static bool
begin_map(struct transfer *m)
{
	free(m->map);
	m->map = calloc(1, m->from.count / 8 + 1);
	m->chosen = m->chosen_octets = 0;
	return m->map != NULL;
}

static int32_t
see_from(struct transfer *m, struct errand *e)
{
	struct pm_msg info[SLICE];
	size_t n;
	int32_t rc = transfer_look(m, e, &m->from, PM_WANT_UIDL | PM_WANT_META, info, &n);

	if (rc == PM_OK && m->from.at == 0 && !begin_map(m))
		return transfer_fail(m, e, PM_NOMEM, "deleting");
	if (rc != PM_OK)
		return rc;
	for (size_t k = 0; k < n; k++) {
		const struct transfer_item *it = transfer_find(m, &info[k]);
		uint64_t at = m->from.at + k;

		if (!it || !it->copied || !it->seen || !m->wants(&info[k], m->ctx))
			continue;
		m->map[at / 8] |= (uint8_t)(1u << (at % 8));
		m->chosen++;
		m->chosen_octets += it->msg.octets;
	}
	m->from.at += n;
	if (m->from.at < m->from.count)
		return PM_AGAIN;
	secret_random(m->op_id, sizeof(m->op_id));
	return m->chosen > 0 ? transfer_go(m, e, TRANSFER_DELETE, &m->from)
			     : clean_then(m, e, TRANSFER_DONE);
}

static int32_t
delete_moved(struct transfer *m, struct errand *e)
{
	struct pm_commit c = {
		.size = sizeof(c), .n = m->from.count, .del = m->map, .now_ms = wall_ms()};
	uint64_t done = 0;
	int32_t rc;

	memcpy(e->call.pm.op_id, m->op_id, sizeof(m->op_id));
	rc = host_mbox_commit(m->from.storage->inst, m->from.mbox, &e->call, &c, &done);
	if (rc == PM_AGAIN)
		return rc;
	if (rc != PM_OK)
		return transfer_fail(m, e, rc, m->from.storage->section);
	m->messages += m->chosen;
	m->octets += m->chosen_octets;
	return clean_then(m, e, m->more ? TRANSFER_OPEN : TRANSFER_DONE);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* One store's handles under its permit. */
static int32_t
transfer_clean(struct transfer *m, struct errand *e)
{
	if (m->dlv) {
		host_dlv_abort(m->to.storage->inst, m->dlv, &e->call);
		m->dlv = NULL;
		if (m->next == TRANSFER_BEGIN)
			return next_copy(m, e);
	} else if (m->msg || m->from.mbox) {
		msg_end(m, e);
		if (m->from.mbox)
			host_mbox_close(m->from.storage->inst, m->from.mbox, &e->call);
		m->from.mbox = NULL;
	} else if (m->to.mbox) {
		host_mbox_close(m->to.storage->inst, m->to.mbox, &e->call);
		m->to.mbox = NULL;
	}
	return clean_then(m, e, m->next);
}

int32_t
transfer_step(struct transfer *m, struct errand *e)
{
	static int32_t (*const steps[])(struct transfer * m, struct errand * e) = {
		[TRANSFER_OPEN] = open_from,
		[TRANSFER_CHOOSE] = transfer_choose,
		[TRANSFER_BEGIN] = begin_copy,
		[TRANSFER_READ] = transfer_read_some,
		[TRANSFER_WRITE] = transfer_write_some,
		[TRANSFER_PREPARE] = transfer_prepare,
		[TRANSFER_COMMIT] = transfer_commit,
		[TRANSFER_LOCK_FROM] = lock_from,
		[TRANSFER_LOCK_TO] = lock_to,
		[TRANSFER_SEE_TO] = see_to,
		[TRANSFER_LEAVE_TO] = leave_to,
		[TRANSFER_SEE_FROM] = see_from,
		[TRANSFER_DELETE] = delete_moved,
		[TRANSFER_CLEAN] = transfer_clean,
	};

	return m->phase == TRANSFER_DONE ? m->rc : steps[m->phase](m, e);
}
