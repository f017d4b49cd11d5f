/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/clock_note.h"
#include "base/kill.h"
#include "base/secret.h"
#include "host/answer.h"
#include "mailbox/volume.h"

#define SLICE_MS 100 /* then the permit goes back */

struct transfer_item {
	struct pm_msg msg;
	uint64_t index; /* in the snapshot that is being read */
	bool copied;    /* the other store reported that it has it */
	bool seen;      /* ... and it is there */
};

/* ---- ways on --------------------------------------------------------------------------------- */

/* On with the next phase, under the same permit if it is the same store. */
static int32_t
transfer_go(struct transfer *m, enum transfer_phase phase)
{
	m->phase = phase;
	return PM_OK;
}

/* Gives back all that is held, each handle to its store, then goes on with `next`. */
static int32_t
clean_then(struct transfer *m, enum transfer_phase next)
{
	m->next = next;
	return transfer_go(m, TRANSFER_CLEAN);
}

static int32_t
transfer_fail(struct transfer *m, int32_t rc, const char *what, const char *text)
{
	m->rc = rc;
	snprintf(m->text, sizeof(m->text), "%.60s: %.20s%s%s", what, host_code_name(rc),
		 *text ? ", " : "", text);
	return clean_then(m, TRANSFER_DONE);
}

/* The result of one of them; not for PM_AGAIN. */
static int32_t
fail_visit(struct transfer *m, const struct visit *v, int32_t rc)
{
	return transfer_fail(m, rc, v->store->section, v->text);
}

static int32_t
fail_post(struct transfer *m, int32_t rc)
{
	return transfer_fail(m, rc, m->post.store->section, m->post.text);
}

bool
transfer_begin(struct transfer *m)
{
	m->items = calloc(TRANSFER_BATCH, sizeof(*m->items));
	m->buf = malloc(2 * TRANSFER_PIECE + 2); /* each LF may become CRLF */
	m->rc = m->items && m->buf ? PM_OK : PM_NOMEM;
	m->phase = TRANSFER_OPEN;
	m->post.store = m->to.visit.store;
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

/* Opens one side, then `next`. */
static int32_t
open_side(struct transfer *m, struct caller *c, struct transfer_side *s, uint32_t flags,
	  enum transfer_phase next)
{
	int32_t rc;

	s->visit.background = true;
	flags |= s->visit.store->can_hide ? PM_OPEN_HIDDEN : 0;
	rc = visit_open(&s->visit, c, s->user, flags);
	if (rc == PM_AGAIN && !caller_should_end(c) && !visit_wanted(&s->visit))
		return rc;
	if (rc == PM_AGAIN)
		return transfer_fail(m, caller_should_end(c) ? PM_CANCELLED : PM_BUSY,
				     "opening a mailbox", "");
	return rc == PM_OK ? transfer_go(m, next) : fail_visit(m, &s->visit, rc);
}

static int32_t
open_from(struct transfer *m, struct caller *c)
{
	m->n = m->i = 0;
	m->looked = false;
	return open_side(m, c, &m->from, PM_OPEN_READONLY, TRANSFER_CHOOSE);
}

/* One slice of a side's records; *ret_n of them. Not PM_OK, or none: the value to return. */
static int32_t
transfer_look(struct transfer *m, struct caller *c, struct transfer_side *s, uint32_t want,
	      struct pm_msg *info, size_t *ret_n)
{
	int32_t rc = visit_next(&s->visit, c, want, info, ret_n);

	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK && caller_should_end(c))
		rc = PM_CANCELLED;
	else if (rc == PM_OK && visit_wanted(&s->visit))
		rc = PM_BUSY; /* the copies stay */
	return rc == PM_OK ? rc : (fail_visit(m, &s->visit, rc), rc);
}

/* The slice is over; others have their turn. */
static int32_t
transfer_rest(struct caller *c, struct transfer_side *s)
{
	return caller_ask(c, s->visit.store, CALL_CONTINUE);
}

static int32_t
transfer_choose(struct transfer *m, struct caller *c)
{
	struct visit *v = &m->from.visit;
	struct pm_msg info[VISIT_SLICE];
	uint64_t first = v->at;
	size_t n, k;
	int32_t rc = transfer_look(m, c, &m->from,
				   PM_WANT_OCTETS | PM_WANT_UIDL | PM_WANT_DATES | PM_WANT_META,
				   info, &n);

	if (rc != PM_OK)
		return rc;
	for (k = 0; k < n && m->n < TRANSFER_BATCH; k++)
		if (m->wants(&info[k], m->ctx))
			m->items[m->n++] =
				(struct transfer_item){.msg = info[k], .index = first + k};
	v->at = first + k;
	m->more = v->at < v->count;
	if (m->more && m->n < TRANSFER_BATCH)
		return transfer_rest(c, &m->from);
	return m->n > 0 ? transfer_go(m, TRANSFER_BEGIN) : clean_then(m, TRANSFER_DONE);
}

/* ---- copying --------------------------------------------------------------------------------- */

/* The next message to copy, or the check of the copies. */
static int32_t
next_copy(struct transfer *m, struct caller *c)
{
	m->i++;
	if (caller_should_end(c))
		return transfer_fail(m, PM_CANCELLED, "copying", "");
	return m->i < m->n ? transfer_go(m, TRANSFER_BEGIN)
			   : clean_then(m, m->to_maildrop ? TRANSFER_LOCK_FROM : TRANSFER_LOCK_TO);
}

static int32_t
begin_copy(struct transfer *m, struct caller *c)
{
	const struct pm_msg *msg = &m->items[m->i].msg;
	int32_t rc = volume_enter(m->post.store->vol, msg->octets, NULL, m->text, sizeof(m->text));

	if (rc != PM_OK) {
		m->rc = rc;
		return clean_then(m, TRANSFER_DONE);
	}
	rc = post_begin(&m->post, c, msg->octets, PM_DLVF_IMPORT | PM_DLVF_RESTORE);
	if (rc == PM_AGAIN)
		return rc;
	return rc == PM_OK ? transfer_go(m, TRANSFER_RCPT) : fail_post(m, rc);
}

static int32_t
copy_rcpt(struct transfer *m, struct caller *c)
{
	const struct pm_msg *msg = &m->items[m->i].msg;
	struct pm_rcpt r = {.size = sizeof(r),
			    .user = m->to.user,
			    .uidl = {msg->uidl, msg->uidl_len},
			    .meta = {(const char *)msg->meta, msg->meta_len},
			    .received_ms = msg->received_ms,
			    .first_retrieved_ms = m->first_retrieved_ms};
	int32_t rc = post_rcpt(&m->post, c, &r);

	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_EXISTS) {
		m->items[m->i].copied = true;
		return transfer_go(m, TRANSFER_SKIP);
	}
	if (rc != PM_OK)
		return fail_post(m, rc);
	m->read_all = false;
	m->last = '\n';
	return transfer_go(m, TRANSFER_READ);
}

/* The copy is given up: the message is there already, or it cannot be read and stays where it
 * is. */
static int32_t
transfer_skip(struct transfer *m, struct caller *c)
{
	return post_abort(&m->post, c) == PM_AGAIN ? PM_AGAIN : next_copy(m, c);
}

/* Lines end in CRLF on the wire; so does the last one. Returns the number of octets. */
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

/* The piece that was read, in its form on the wire; all: it was the last. */
static void
take_piece(struct transfer *m, const char *in, size_t n, bool all)
{
	m->buf_n = to_wire(m, in, n, m->buf);
	if (all && m->last != '\n')
		m->buf_n += to_wire(m, "\n", 1, m->buf + m->buf_n);
	m->read_all = all;
}

static int32_t
transfer_read_some(struct transfer *m, struct caller *c)
{
	struct visit *from = &m->from.visit;
	/* becomes wire bytes from the beginning on: writing never overtakes reading */
	char *in = m->buf + TRANSFER_PIECE + 2;
	int64_t until = mono_ms() + SLICE_MS;
	size_t n = 0, got;
	int32_t rc = from->msg ? PM_OK : visit_begin_message(from, c, m->items[m->i].index);

	while (rc == PM_OK && n < TRANSFER_PIECE && mono_ms() < until) {
		rc = visit_read(from, c, in + n, TRANSFER_PIECE - n, &got);
		n += got;
	}
	if (rc == PM_GONE) {
		visit_end_message(from, c);
		return transfer_go(m, TRANSFER_SKIP);
	}
	if (rc != PM_OK && rc != PM_AGAIN && rc != PM_END)
		return fail_visit(m, from, rc);
	if (caller_should_end(c))
		return transfer_fail(m, PM_CANCELLED, from->store->section, "");
	take_piece(m, in, n, rc == PM_END);
	if (m->buf_n > 0 || m->read_all)
		return transfer_go(m, TRANSFER_WRITE);
	return rc == PM_AGAIN ? rc : transfer_rest(c, &m->from);
}

static int32_t
transfer_write_some(struct transfer *m, struct caller *c)
{
	int32_t rc = m->buf_n > 0 ? post_write(&m->post, c, m->buf, m->buf_n) : PM_OK;

	if (rc == PM_AGAIN)
		return rc;
	if (rc != PM_OK)
		return fail_post(m, rc);
	return transfer_go(m, m->read_all ? TRANSFER_PREPARE : TRANSFER_READ);
}

static int32_t
transfer_prepare(struct transfer *m, struct caller *c)
{
	struct pm_result r = {.size = sizeof(r)};
	int32_t rc = post_prepare(&m->post, c, &r);

	if (rc == PM_AGAIN)
		return rc;
	if (rc == PM_OK && r.rc != PM_EXISTS)
		rc = r.rc;
	if (rc != PM_OK)
		return fail_post(m, rc);
	secret_random(m->post.op_id, sizeof(m->post.op_id));
	return transfer_go(m, TRANSFER_COMMIT);
}

/* Takes room in the count of its domain, before it is there; under the permit. */
static int32_t
transfer_take_place(struct transfer *m, struct caller *c, char *text)
{
	struct backend *to = m->post.store;
	struct host_call call;
	int32_t rc;

	snprintf(text, QUOTA_TEXT_MAX, "no permit in time");
	if (!m->count || m->post.committing || m->hold.domain[0])
		return PM_OK;
	rc = caller_enter(c, to, CALL_GIVE_BACK, "dlv_commit", to->limits.commit_ms, &call);
	if (rc == PM_OK)
		rc = quota_domain_take_anyway(m->conf, m->count, m->items[m->i].msg.octets, 1,
					      &m->hold, text);
	return rc;
}

static int32_t
transfer_commit(struct transfer *m, struct caller *c)
{
	struct transfer_item *it = &m->items[m->i];
	struct pm_result r = {.size = sizeof(r)};
	char text[QUOTA_TEXT_MAX];
	int32_t rc = transfer_take_place(m, c, text);

	if (rc == PM_AGAIN)
		return rc;
	if (rc != PM_OK)
		return transfer_fail(m, rc, m->post.store->section, text);
	KILL_POINT("move: before a copy is committed");
	rc = post_commit(&m->post, c, &r);
	if (rc == PM_AGAIN)
		return rc;
	if (m->post.dlv) { /* the commit was not begun */
		quota_domain_give_back(m->conf, &m->hold);
		return fail_post(m, rc);
	}
	if (rc == PM_OK)
		rc = r.rc;
	KILL_POINT("move: a copy is committed");
	post_settle(&m->post, m->conf, &m->hold, it->msg.octets, rc);
	if (rc != PM_OK && rc != PM_EXISTS)
		return fail_post(m, rc);
	it->copied = true;
	m->copies++;
	m->copied_octets += it->msg.octets;
	KILL_POINT("move: a copy is there");
	return next_copy(m, c);
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
lock_from(struct transfer *m, struct caller *c)
{
	return open_side(m, c, &m->from, PM_OPEN_EXCLUSIVE,
			 m->looked ? TRANSFER_SEE_FROM : TRANSFER_LOCK_TO);
}

/* Locked as well: if both were the same mailbox, it would be busy. */
static int32_t
lock_to(struct transfer *m, struct caller *c)
{
	qsort(m->items, m->n, sizeof(*m->items), by_uidl);
	return open_side(m, c, &m->to, PM_OPEN_EXCLUSIVE, TRANSFER_SEE_TO);
}

/* The store reported that it has it, and does not show it. */
static void
note_unseen(struct transfer *m)
{
	for (size_t k = 0; k < m->n; k++) {
		const struct pm_msg *msg = &m->items[k].msg;

		if (!m->items[k].copied || m->items[k].seen)
			continue;
		m->rc = PM_TEMP;
		snprintf(m->text, sizeof(m->text),
			 "%s says that it has '%.*s' and does not show it: it is left where it was",
			 m->to.visit.store->section, (int)msg->uidl_len, msg->uidl);
	}
}

static int32_t
see_to(struct transfer *m, struct caller *c)
{
	struct pm_msg info[VISIT_SLICE];
	size_t n;
	int32_t rc = transfer_look(m, c, &m->to, PM_WANT_UIDL, info, &n);

	if (rc != PM_OK)
		return rc;
	for (size_t k = 0; k < n; k++) {
		struct transfer_item *it = transfer_find(m, &info[k]);

		if (it)
			it->seen = true;
	}
	if (m->to.visit.at < m->to.visit.count)
		return transfer_rest(c, &m->to);
	m->looked = true;
	note_unseen(m);
	return transfer_go(m, m->to_maildrop ? TRANSFER_LEAVE_TO : TRANSFER_LOCK_FROM);
}

static int32_t
leave_to(struct transfer *m, struct caller *c)
{
	return visit_close(&m->to.visit, c) == PM_AGAIN ? PM_AGAIN
							: transfer_go(m, TRANSFER_SEE_FROM);
}

static bool
begin_map(struct transfer *m)
{
	free(m->map);
	m->map = calloc(1, m->from.visit.count / 8 + 1);
	m->chosen = m->chosen_octets = 0;
	return m->map != NULL;
}

static int32_t
see_from(struct transfer *m, struct caller *c)
{
	struct visit *v = &m->from.visit;
	struct pm_msg info[VISIT_SLICE];
	uint64_t first = v->at;
	size_t n;
	int32_t rc = transfer_look(m, c, &m->from, PM_WANT_UIDL | PM_WANT_META, info, &n);

	if (rc != PM_OK)
		return rc;
	if (first == 0 && !begin_map(m))
		return transfer_fail(m, PM_NOMEM, "deleting", "");
	for (size_t k = 0; k < n; k++) {
		const struct transfer_item *it = transfer_find(m, &info[k]);
		uint64_t at = first + k;

		if (!it || !it->copied || !it->seen || !m->wants(&info[k], m->ctx))
			continue;
		m->map[at / 8] |= (uint8_t)(1u << (at % 8));
		m->chosen++;
		m->chosen_octets += it->msg.octets;
	}
	if (v->at < v->count)
		return transfer_rest(c, &m->from);
	m->delete_ms = clock_mark_ms();
	return m->chosen > 0 ? transfer_go(m, TRANSFER_DELETE) : clean_then(m, TRANSFER_DONE);
}

static int32_t
delete_moved(struct transfer *m, struct caller *c)
{
	struct pm_commit what = {.size = sizeof(what), .del = m->map, .now_ms = m->delete_ms};
	/* hidden mail, and mail in the undo storage, is not counted */
	struct quota_hold none = {0};
	uint64_t done = 0;
	int32_t rc = visit_commit(&m->from.visit, c, m->conf, &what, &none, &done);

	if (rc == PM_AGAIN)
		return rc;
	if (rc != PM_OK)
		return fail_visit(m, &m->from.visit, rc);
	m->messages += m->chosen;
	m->octets += m->chosen_octets;
	return clean_then(m, m->more ? TRANSFER_OPEN : TRANSFER_DONE);
}

/* ---- the end --------------------------------------------------------------------------------- */

static int32_t
transfer_clean(struct transfer *m, struct caller *c)
{
	if (post_abort(&m->post, c) == PM_AGAIN || visit_close(&m->from.visit, c) == PM_AGAIN ||
	    visit_close(&m->to.visit, c) == PM_AGAIN)
		return PM_AGAIN;
	if (c->holds == 0)
		arena_reset(c->arena); /* nobody's handle lives in it */
	return transfer_go(m, m->next);
}

int32_t
transfer_step(struct transfer *m, struct caller *c)
{
	static int32_t (*const steps[])(struct transfer * m, struct caller * c) = {
		[TRANSFER_OPEN] = open_from,
		[TRANSFER_CHOOSE] = transfer_choose,
		[TRANSFER_BEGIN] = begin_copy,
		[TRANSFER_RCPT] = copy_rcpt,
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
		[TRANSFER_SKIP] = transfer_skip,
		[TRANSFER_CLEAN] = transfer_clean,
	};

	while (m->phase != TRANSFER_DONE)
		if (steps[m->phase](m, c) == PM_AGAIN)
			return PM_AGAIN;
	return m->rc;
}
