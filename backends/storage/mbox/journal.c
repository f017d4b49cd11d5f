/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "journal_plan.h"
#include "kill.h"
#include "ledger_file.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "say.h"

/* ---- making one ------------------------------------------------------------------------------ */

static void
fresh_name(const struct journal *j, char name[KEY_N + 8])
{
	snprintf(name, KEY_N + 8, "%s.new", j->place->key);
}

void
journal_free(struct journal *j)
{
	char name[KEY_N + 8];

	if (!j)
		return;
	if (j->step <= STEP_NAME && j->jfd != -1) {
		fresh_name(j, name);
		/* it was not named, so it never existed */
		(void)unlinkat(j->inst->journal_dir, name, 0);
	}
	if (j->jfd != -1)
		(void)close(j->jfd);
	if (j->from_fd != -1)
		(void)close(j->from_fd);
	ledger_out_free(&j->list);
	free(j->spans);
	free(j);
}

/* Step 1, up to the copy of the payload. */
static int
journal_make(struct journal *j)
{
	char name[KEY_N + 8];
	int e;

	KILL_POINT("journal: before it is made");
	fresh_name(j, name);
	j->jfd = openat(j->inst->journal_dir, name,
			O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->jfd == -1)
		return errno;
	e = bytes_write(j->jfd, &j->head, sizeof(j->head), 0);
	if (e == 0)
		e = bytes_write(j->jfd, j->place->path, j->head.path_n, sizeof(j->head));
	if (e == 0)
		e = bytes_write(j->jfd, j->list.text, j->list.n, sizeof(j->head) + j->head.path_n);
	j->at = 0;
	return e;
}

static int64_t
journal_until(const struct journal *j)
{
	lock_keep(j->inst, j->held);
	return mbox_now(j->inst) + SLICE_MS;
}

/* Copies the bytes to keep into the journal. EAGAIN: there is more. */
static int
journal_collect(struct journal *j)
{
	int64_t end = journal_until(j);
	int e = 0;

	while (e == 0 && j->span < j->n_spans) {
		struct span *s = &j->spans[j->span];
		uint64_t left = s->to - s->from;
		size_t n = left < PIECE ? (size_t)left : PIECE;

		e = bytes_copy(s->fd, s->from, j->jfd, journal_payload_at(&j->head) + j->at, n);
		s->from += n;
		j->at += n;
		j->span += s->from == s->to;
		if (e == 0 && j->span < j->n_spans && mbox_now(j->inst) >= end)
			return EAGAIN;
	}
	KILL_POINT("journal: written");
	return e;
}

/* Takes back a journal whose name may not be durable. */
static int
journal_take_back(struct journal *j, int e)
{
	j->unknown = !j->fresh || unlinkat(j->inst->journal_dir, j->place->key, 0) != 0 ||
		     fsync(j->inst->journal_dir) != 0;
	return e;
}

/* The commit point. */
static int
name_it(struct journal *j)
{
	char name[KEY_N + 8];

	fresh_name(j, name);
	if (j->inst->fsync && fsync(j->jfd) != 0)
		return errno;
	KILL_POINT("journal: before it is named");
	if (renameat(j->inst->journal_dir, name, j->inst->journal_dir, j->place->key) != 0)
		return errno;
	KILL_POINT("journal: named");
	return j->inst->fsync && fsync(j->inst->journal_dir) != 0 ? journal_take_back(j, errno) : 0;
}

/* ---- carrying it out ------------------------------------------------------------------------- */

/* Step 2. EAGAIN: there is more. */
static int
put_payload(struct journal *j)
{
	const struct journal_head *h = &j->head;
	int64_t end = journal_until(j);
	int e = 0;

	while (e == 0 && j->at < h->payload) {
		size_t n = h->payload - j->at < PIECE ? (size_t)(h->payload - j->at) : PIECE;

		e = bytes_copy(j->jfd, journal_payload_at(h) + j->at, j->fd, h->start + j->at, n);
		j->at += n;
		KILL_POINT("payload: a piece");
		if (e == 0 && j->at < h->payload && mbox_now(j->inst) >= end)
			return EAGAIN;
	}
	return e;
}

/* Steps 2 and 3. */
static int
put_back(struct journal *j)
{
	const struct journal_head *h = &j->head;
	uint64_t phase = 2;
	int e = put_payload(j);

	if (e == 0)
		e = bytes_write(j->fd, h->nonce, h->nonce_n, h->start + h->payload);
	KILL_POINT("payload: the nonce");
	if (e == 0 && j->inst->fsync && fsync(j->fd) != 0)
		e = errno;
	KILL_POINT("payload: synced");
	if (e == 0)
		e = bytes_write(j->jfd, &phase, sizeof(phase),
				offsetof(struct journal_head, phase));
	if (e == 0 && j->inst->fsync && fsync(j->jfd) != 0)
		e = errno;
	KILL_POINT("journal: phase 2");
	return e;
}

/* Writes the deletions to the ledger before the journal goes, so that twins keep their numbers. */
static int
tell_ledger(struct journal *j)
{
	size_t good, bad;
	struct ledger *l;
	char op[33] = "";
	bool known;

	if (j->list.n < 33)
		return 0;
	l = ledger_load(j->inst->ledger_dir, j->place->key, &good, &bad);
	if (!l)
		return errno;
	/* the list ends with "crc E op-id": 32 digits before the line's end */
	memcpy(op, j->list.text + j->list.n - 33, 32);
	known = ledger_has_group(l, op);
	ledger_free(l);
	return known ? 0
		     : ledger_append(j->inst->ledger_dir, j->place->key, j->list.text, j->list.n,
				     j->inst->fsync);
}

/* Steps 4 and 5. */
static int
cut(struct journal *j)
{
	int e;

	if (ftruncate(j->fd, (off_t)(j->head.start + j->head.payload)) != 0)
		return errno;
	KILL_POINT("cut: truncated");
	if (j->inst->fsync && fsync(j->fd) != 0)
		return errno;
	KILL_POINT("cut: synced");
	e = tell_ledger(j);
	if (e != 0)
		return e;
	KILL_POINT("cut: the ledger knows");
	if (unlinkat(j->inst->journal_dir, j->place->key, 0) != 0)
		return errno;
	KILL_POINT("cut: the journal is gone");
	if (j->inst->fsync)
		/* otherwise recovery runs once more, and finds nothing to do */
		(void)fsync(j->inst->journal_dir);
	return 0;
}

static int
journal_step(struct journal *j)
{
	int e = 0;

	switch (j->step) {
	case STEP_MAKE:
		e = j->jfd == -1 ? journal_make(j) : 0;
		if (e == 0)
			e = journal_collect(j);
		break;
	case STEP_NAME:
		e = name_it(j);
		j->at = 0;
		break;
	case STEP_PUT:
		e = put_back(j);
		break;
	case STEP_CUT:
		e = cut(j);
		break;
	case STEP_DONE:
		return 0;
	}
	if (e == 0)
		j->step++;
	return e;
}

int
journal_slice(struct journal *j)
{
	int64_t end = mbox_now(j->inst) + SLICE_MS;
	int e = 0;

	while (e == 0 && j->step != STEP_DONE) {
		e = journal_step(j);
		if (e == 0 && j->step != STEP_DONE && mbox_now(j->inst) >= end)
			return EAGAIN;
	}
	return e;
}

int32_t
journal_run(struct journal *j, const struct pm_call *call, enum journal_step end, bool *ret_point)
{
	int64_t slice = mbox_now(j->inst) + SLICE_MS;

	while (j->step < end) {
		int e = journal_step(j);

		*ret_point = j->step > STEP_NAME;
		if (e == EAGAIN)
			return PM_AGAIN;
		if (e != 0) {
			sdk_error(call, "'%s': deleting: %s", j->place->path, strerrordesc_np(e));
			if (*ret_point)
				return PM_PARTIAL; /* the next opener goes on from the journal */
			return j->unknown ? PM_UNKNOWN : location_code(e);
		}
		if (j->step < end && mbox_now(j->inst) >= slice)
			return PM_AGAIN;
	}
	return PM_OK;
}
