/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "kill.h"
#include "ledger_file.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "names.h"
#include "say.h"
#include "snap.h"

#define MAGIC "rstmjrn1"
#define LIST_MAX (256u << 20)

/* ---- making one ------------------------------------------------------------------------------ */

static uint64_t
head_sum(const struct journal_head *h, const char *path, const char *list)
{
	uint64_t s = bytes_sum(&h->ino, sizeof(*h) - offsetof(struct journal_head, ino), BYTES_SUM);

	return bytes_sum(list, h->list_n, bytes_sum(path, h->path_n, s));
}

static uint64_t
payload_at(const struct journal_head *h)
{
	return sizeof(*h) + h->path_n + h->list_n;
}

static void
fresh_name(const struct journal *j, char name[KEY_N + 8])
{
	snprintf(name, KEY_N + 8, "%s.new", j->place->key);
}

/* The nonce covers the bytes that truncation drops first; no text has such bytes. */
static void
set_nonce(struct journal_head *h)
{
	uint64_t drop = h->old - h->start - h->payload;

	h->nonce_n = drop < NONCE ? (uint32_t)drop : NONCE;
	if (RAND_bytes(h->nonce, NONCE) != 1)
		memset(h->nonce, 0xa5, NONCE); /* no text has these either */
	for (int k = 0; k < NONCE; k++)
		h->nonce[k] |= 0x80;
}

/* Completes head and checksum, once spans and list are known. */
static void
journal_seal(struct journal *j)
{
	j->head.list_n = (uint32_t)j->list.n;
	set_nonce(&j->head);
	j->head.sum = head_sum(&j->head, j->place->path, j->list.text);
}

static struct journal *
journal_begin(struct inst *i, const struct location *p, int fd, size_t spans)
{
	struct journal *j = calloc(1, sizeof(*j));
	struct stat st;

	if (!j)
		return NULL;
	j->inst = i;
	j->place = p;
	j->fd = fd;
	j->jfd = -1;
	j->fresh = true;
	j->spans = calloc(spans, sizeof(*j->spans));
	if (!j->spans || fstat(fd, &st) != 0) {
		journal_free(j);
		return NULL;
	}
	memcpy(j->head.magic, MAGIC, 8);
	j->head.phase = 1;
	j->head.ino = st.st_ino;
	j->head.old = (uint64_t)st.st_size;
	j->head.path_n = (uint32_t)strlen(p->path);
	return j;
}

static void
add_span(struct journal *j, uint64_t from, uint64_t to)
{
	if (to <= from)
		return;
	j->spans[j->n_spans++] = (struct span){from, to};
	j->head.payload += to - from;
}

/* Makes the spans to keep: everything but the doomed messages, whatever is between them. The
 * snapshot is in the file's order. */
static void
make_spans(struct journal *j, const struct snap *s)
{
	uint64_t at = 0;
	bool begun = false;

	for (size_t k = 0; k < s->n; k++) {
		const struct item *it = &s->items[k];

		if (!it->doomed)
			continue;
		if (begun)
			add_span(j, at, it->from);
		else
			j->head.start = it->from;
		begun = true;
		at = it->next;
	}
	add_span(j, at, j->head.old);
}

static void
put_list(struct journal *j, const struct snap *s, const char *op_hex, int64_t now_ms)
{
	char id[IDENTITY_CAP];
	uint64_t n = 0;

	for (size_t k = 0; k < s->n; k++) {
		const struct item *it = &s->items[k];
		size_t id_n;

		if (!it->doomed)
			continue;
		id_n = names_identity(it->hash, it->twin, id);
		ledger_put_message(&j->list, id, id_n, it->uidl, it->uidl_n, it->octets, it->stored,
				   it->first_ms, 0);
		ledger_put_delete(&j->list, op_hex, id, id_n);
		n++;
	}
	ledger_put_commit(&j->list, op_hex, n, now_ms);
	ledger_put_done(&j->list, op_hex);
}

struct journal *
journal_new(struct mbox *m, const char *op_hex)
{
	struct journal *j = journal_begin(m->inst, &m->place, m->fd, m->snap.n + 2);

	if (!j)
		return NULL;
	j->held = &m->held;
	make_spans(j, &m->snap);
	put_list(j, &m->snap, op_hex, m->inst->host->wall_ms(m->inst->host->ctx));
	if (j->list.failed || j->list.n > LIST_MAX) {
		journal_free(j);
		return NULL;
	}
	journal_seal(j);
	return j;
}

struct journal *
journal_cut(struct inst *i, const struct location *p, int fd, uint64_t from, uint64_t to)
{
	struct journal *j = journal_begin(i, p, fd, 1);

	if (!j)
		return NULL;
	j->head.start = from;
	add_span(j, to, j->head.old);
	journal_seal(j);
	return j;
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

		e = bytes_copy(j->fd, s->from, j->jfd, payload_at(&j->head) + j->at, n);
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

		e = bytes_copy(j->jfd, payload_at(h) + j->at, j->fd, h->start + j->at, n);
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

int
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

/* ---- for recovery ---------------------------------------------------------------------------- */

bool
journal_load(struct journal *j, char *path)
{
	struct stat st;
	size_t n;

	if (fstat(j->jfd, &st) != 0 ||
	    pread(j->jfd, &j->head, sizeof(j->head), 0) != sizeof(j->head) ||
	    memcmp(j->head.magic, MAGIC, 8) != 0 || j->head.path_n > PM_PATH_MAX ||
	    j->head.list_n > LIST_MAX || j->head.nonce_n > NONCE || j->head.phase < 1 ||
	    j->head.phase > 2)
		return false;
	n = j->head.list_n;
	j->list.text = malloc(n + 1);
	j->list.n = j->list.cap = n;
	if (!j->list.text ||
	    pread(j->jfd, path, j->head.path_n, sizeof(j->head)) != (ssize_t)j->head.path_n ||
	    pread(j->jfd, j->list.text, n, (off_t)(sizeof(j->head) + j->head.path_n)) != (ssize_t)n)
		return false;
	path[j->head.path_n] = '\0';
	return head_sum(&j->head, path, j->list.text) == j->head.sum &&
	       (uint64_t)st.st_size >= payload_at(&j->head) + j->head.payload &&
	       j->head.start + j->head.payload <= j->head.old;
}

/* Copies n bytes, however many. */
static int
copy_all(int from, uint64_t from_at, int to, uint64_t to_at, uint64_t n)
{
	int e = 0;

	for (uint64_t at = 0; e == 0 && at < n; at += PIECE)
		e = bytes_copy(from, from_at + at, to, to_at + at,
			       n - at < PIECE ? (size_t)(n - at) : PIECE);
	return e;
}

int
journal_join(struct journal *j, uint64_t from, uint64_t to)
{
	struct journal_head old = j->head;
	int ofd = j->jfd, e;

	j->head.phase = 1;
	j->head.old = to;
	j->head.payload += to - from;
	set_nonce(&j->head);
	j->head.sum = head_sum(&j->head, j->place->path, j->list.text);
	e = journal_make(j);
	if (e == 0)
		e = copy_all(ofd, payload_at(&old), j->jfd, payload_at(&j->head), old.payload);
	if (e == 0)
		e = copy_all(j->fd, from, j->jfd, payload_at(&j->head) + old.payload, to - from);
	(void)close(ofd);
	j->step = STEP_NAME;
	return e;
}
