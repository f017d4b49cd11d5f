/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletion in place that survives a crash at any moment. The file keeps its inode, owner and mode: a delivery agent
 * that waits for the lock never appends to a file that was renamed over.
 *
 *   1  the journal: what is to stand from the first deletion on, the surviving bytes with mail appended since; made
 *      under another name, fsynced, renamed, its directory fsynced: the COMMIT POINT. A named journal is whole.
 *   2  the payload goes to its place, then a nonce over the first bytes that truncation will drop; fsync
 *   3  the journal becomes phase 2     4  ftruncate, fsync     5  the journal goes
 *
 * Recovery, under the same locks:
 *   phase 1  truncation cannot have happened. The file is at least as long as it was: from 2; mail behind the old end
 *            first joins the payload: from 1. It is shorter: conflict.
 *   phase 2  shorter than the new end: conflict. The nonce is there: not truncated yet, from 4 (with mail behind
 *            the old end: from 1). The nonce is gone: truncated, and what follows came later.
 * A conflict - another inode, a bad checksum too - never deletes the journal: it is renamed, and both files are named
 * in the log for a person to look at.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "mbox.h"

#define MAGIC "rstmjrn1"
#define NONCE 16
#define LIST_MAX (64u << 20)

/* The journal's file: head, path, ledger lines, payload. */
struct head {
	char magic[8];
	uint64_t phase;          /* not in the checksum: it changes in place */
	uint64_t sum;            /* FNV-1a of all that follows in this struct, path and list */
	uint64_t ino, old, start, payload;
	uint32_t nonce_n, path_n, list_n, pad;
	unsigned char nonce[NONCE];
};

struct span {
	uint64_t from, to;
};

enum step { STEP_MAKE, STEP_NAME, STEP_PUT, STEP_CUT, STEP_DONE };

struct journal {
	struct inst *inst;
	const struct place *place;
	struct held *held;       /* the dotlock is kept fresh meanwhile; NULL: no need */
	int fd;                  /* the mailbox */
	int jfd;                 /* the journal */
	enum step step;
	struct head head;
	struct ledger_out list;  /* lines for the ledger, once it is done */
	struct span *spans;      /* what survives, and appended mail last */
	size_t n_spans;
	size_t span;             /* while copying */
	uint64_t at;
};

/* ---- bytes ----------------------------------------------------------------------------------- */

static uint64_t
checksum(const void *p, size_t n, uint64_t h)
{
	for (const unsigned char *c = p; n > 0; c++, n--)
		h = (h ^ *c) * 0x100000001b3u;
	return h;
}

static uint64_t
head_sum(const struct head *h, const char *path, const char *list)
{
	uint64_t s = checksum(&h->ino, sizeof(*h) - offsetof(struct head, ino), 0xcbf29ce484222325u);

	return checksum(list, h->list_n, checksum(path, h->path_n, s));
}

/* 0 or an errno. */
static int
write_at(int fd, const void *p, size_t n, uint64_t at)
{
	const char *c = p;

	while (n > 0) {
		ssize_t w = pwrite(fd, c, n, (off_t)at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? errno : ENOSPC;
		c += w;
		at += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

static int
copy(int from, uint64_t from_at, int to, uint64_t to_at, size_t n)
{
	char *buf = malloc(n);
	size_t have = 0;
	int e = buf ? 0 : ENOMEM;

	while (e == 0 && have < n) {
		ssize_t got = pread(from, buf + have, n - have, (off_t)(from_at + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			e = got < 0 ? errno : EIO;
		else
			have += (size_t)got;
	}
	if (e == 0)
		e = write_at(to, buf, n, to_at);
	free(buf);
	return e;
}

static uint64_t
payload_at(const struct head *h)
{
	return sizeof(*h) + h->path_n + h->list_n;
}

/* ---- making one ------------------------------------------------------------------------------ */

static void
fresh_name(const struct journal *j, char name[KEY_N + 8])
{
	snprintf(name, KEY_N + 8, "%s.new", j->place->key);
}

/* The nonce covers what truncation drops first; no text has these bytes. */
static void
set_nonce(struct head *h)
{
	uint64_t drop = h->old - h->start - h->payload;

	h->nonce_n = drop < NONCE ? (uint32_t)drop : NONCE;
	if (RAND_bytes(h->nonce, NONCE) != 1)
		memset(h->nonce, 0xa5, NONCE); /* still no text */
	for (int k = 0; k < NONCE; k++)
		h->nonce[k] |= 0x80;
}

/* List of what stays behind the first deletion. False: no memory. */
static bool
make_spans(struct journal *j, const struct snap *s, const uint8_t *del, uint64_t size)
{
	size_t first = 0;

	while (first < s->n && !(del[first / 8] >> (first % 8) & 1))
		first++;
	j->spans = calloc(s->n - first + 2, sizeof(*j->spans));
	if (!j->spans)
		return false;
	j->head.start = s->items[first].from;
	for (size_t k = first; k < s->n; k++) {
		const struct item *it = &s->items[k];

		if (!(del[k / 8] >> (k % 8) & 1) && !it->gone)
			j->spans[j->n_spans++] = (struct span){it->from, it->next};
	}
	if (size > s->items[s->n - 1].next)
		j->spans[j->n_spans++] = (struct span){s->items[s->n - 1].next, size};
	for (size_t k = 0; k < j->n_spans; k++)
		j->head.payload += j->spans[k].to - j->spans[k].from;
	return true;
}

static void
put_list(struct journal *j, const struct snap *s, const uint8_t *del, const char *op_hex)
{
	uint64_t n = 0;
	char id[64];

	for (size_t k = 0; k < s->n; k++) {
		const struct item *it = &s->items[k];
		size_t id_n;

		if (!(del[k / 8] >> (k % 8) & 1))
			continue;
		id_n = item_identity(it, id);
		ledger_put_message(&j->list, id, id_n, it->uidl, it->uidl_n, it->octets, it->stored, it->first_ms, 0);
		ledger_put_delete(&j->list, op_hex, id, id_n);
		n++;
	}
	ledger_put_commit(&j->list, op_hex, n, 0);
	ledger_put_done(&j->list, op_hex);
}

struct journal *
journal_new(struct mbox *m, const uint8_t *del, const char *op_hex)
{
	struct journal *j = calloc(1, sizeof(*j));
	struct stat st;

	if (!j)
		return NULL;
	j->inst = m->inst;
	j->place = &m->place;
	j->held = &m->held;
	j->fd = m->fd;
	j->jfd = -1;
	if (fstat(m->fd, &st) != 0 || !make_spans(j, &m->snap, del, (uint64_t)st.st_size)) {
		journal_free(j);
		return NULL;
	}
	put_list(j, &m->snap, del, op_hex);
	memcpy(j->head.magic, MAGIC, 8);
	j->head.phase = 1;
	j->head.ino = st.st_ino;
	j->head.old = (uint64_t)st.st_size;
	j->head.path_n = (uint32_t)strlen(m->place.path);
	j->head.list_n = (uint32_t)j->list.n;
	set_nonce(&j->head);
	j->head.sum = head_sum(&j->head, m->place.path, j->list.text);
	if (j->list.failed || j->list.n > LIST_MAX) {
		journal_free(j);
		return NULL;
	}
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
		(void)unlinkat(j->inst->journal_dir, name, 0); /* never named: it never was */
	}
	if (j->jfd != -1)
		(void)close(j->jfd);
	ledger_out_free(&j->list);
	free(j->spans);
	free(j);
}

/* Step 1, up to the payload's copy. */
static int
make(struct journal *j)
{
	char name[KEY_N + 8];
	int e;

	fresh_name(j, name);
	j->jfd = openat(j->inst->journal_dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->jfd == -1)
		return errno;
	e = write_at(j->jfd, &j->head, sizeof(j->head), 0);
	if (e == 0)
		e = write_at(j->jfd, j->place->path, j->head.path_n, sizeof(j->head));
	if (e == 0)
		e = write_at(j->jfd, j->list.text, j->list.n, sizeof(j->head) + j->head.path_n);
	j->at = 0;
	return e;
}

static int64_t
until(const struct journal *j)
{
	if (j->held)
		lock_keep(j->inst, j->held);
	return mbox_now(j->inst) + SLICE_MS;
}

/* Survivors into the journal. EAGAIN: more. */
static int
collect(struct journal *j)
{
	int64_t end = until(j);
	int e = 0;

	while (e == 0 && j->span < j->n_spans) {
		struct span *s = &j->spans[j->span];
		uint64_t left = s->to - s->from;
		size_t n = left < PIECE ? (size_t)left : PIECE;

		e = n > 0 ? copy(j->fd, s->from, j->jfd, payload_at(&j->head) + j->at, n) : 0;
		s->from += n;
		j->at += n;
		j->span += s->from == s->to;
		if (e == 0 && j->span < j->n_spans && mbox_now(j->inst) >= end)
			return EAGAIN;
	}
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
	if (renameat(j->inst->journal_dir, name, j->inst->journal_dir, j->place->key) != 0)
		return errno;
	if (j->inst->fsync && fsync(j->inst->journal_dir) != 0)
		return errno;
	return 0;
}

/* ---- carrying it out ------------------------------------------------------------------------- */

/* Step 2 and 3. EAGAIN: more. */
static int
put_back(struct journal *j)
{
	const struct head *h = &j->head;
	uint64_t phase = 2;
	int64_t end = until(j);
	int e = 0;

	while (e == 0 && j->at < h->payload) {
		size_t n = h->payload - j->at < PIECE ? (size_t)(h->payload - j->at) : PIECE;

		e = copy(j->jfd, payload_at(h) + j->at, j->fd, h->start + j->at, n);
		j->at += n;
		if (e == 0 && j->at < h->payload && mbox_now(j->inst) >= end)
			return EAGAIN;
	}
	if (e == 0)
		e = write_at(j->fd, h->nonce, h->nonce_n, h->start + h->payload);
	if (e == 0 && j->inst->fsync && fsync(j->fd) != 0)
		e = errno;
	if (e == 0)
		e = write_at(j->jfd, &phase, sizeof(phase), offsetof(struct head, phase));
	if (e == 0 && j->inst->fsync && fsync(j->jfd) != 0)
		e = errno;
	return e;
}

/* The deletions are in the ledger before the journal goes: twins keep their numbers. */
static int
tell_ledger(struct journal *j)
{
	size_t good, bad;
	struct ledger *l = ledger_load(j->inst->ledger_dir, j->place->key, &good, &bad);
	char op[33] = "";
	const char *last;
	bool known;
	int e;

	if (!l)
		return errno;
	/* the list ends with "crc E op-id": 32 digits before the line's end */
	last = j->list.n >= 33 ? j->list.text + j->list.n - 33 : NULL;
	if (last)
		memcpy(op, last, 32);
	known = last && ledger_has_group(l, op);
	ledger_free(l);
	if (known)
		return 0;
	e = ledger_append(j->inst->ledger_dir, j->place->key, j->list.text, j->list.n, j->inst->fsync);
	return e;
}

/* Steps 4 and 5. */
static int
cut(struct journal *j)
{
	int e;

	if (ftruncate(j->fd, (off_t)(j->head.start + j->head.payload)) != 0)
		return errno;
	if (j->inst->fsync && fsync(j->fd) != 0)
		return errno;
	e = tell_ledger(j);
	if (e != 0)
		return e;
	if (unlinkat(j->inst->journal_dir, j->place->key, 0) != 0)
		return errno;
	if (j->inst->fsync)
		(void)fsync(j->inst->journal_dir); /* else it is done again, for nothing */
	return 0;
}

/* One step; 0, EAGAIN or an errno. */
static int
advance(struct journal *j)
{
	int e = 0;

	switch (j->step) {
	case STEP_MAKE:
		e = j->jfd == -1 ? make(j) : 0;
		if (e == 0)
			e = collect(j);
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
journal_run(struct journal *j, const struct pm_call *call, bool *ret_point)
{
	int64_t end = mbox_now(j->inst) + SLICE_MS;

	while (j->step != STEP_DONE) {
		int e = advance(j);

		*ret_point = j->step > STEP_NAME;
		if (e == EAGAIN)
			return PM_AGAIN;
		if (e != 0) {
			sdk_error(call, "'%s': deleting: %s", j->place->path, strerrordesc_np(e));
			if (*ret_point)
				return PM_PARTIAL; /* the next opener goes on from the journal */
			return j->step == STEP_NAME && e == EIO ? PM_UNKNOWN
			       : e == ENOSPC || e == EDQUOT	? PM_NOSPACE
								: PM_TEMP;
		}
		if (j->step != STEP_DONE && mbox_now(j->inst) >= end)
			return PM_AGAIN;
	}
	return PM_OK;
}

/* ---- recovery -------------------------------------------------------------------------------- */

static int32_t
conflict(struct inst *i, const struct pm_call *call, const struct place *p, const char *why)
{
	char name[KEY_N + 16];

	snprintf(name, sizeof(name), "%s.conflict", p->key);
	sdk_error(call, "'%s' and its journal mbox/journal/%s do not fit: %s; look at both, then remove the journal", p->path,
		  name, why);
	if (renameat(i->journal_dir, p->key, i->journal_dir, name) != 0)
		return PM_TEMP;
	sdk_log(i->host, PM_LOG_ERROR, "'%s' and its journal mbox/journal/%s do not fit: %s; nobody logs in until the journal is removed",
		p->path, name, why);
	return PM_PERM;
}

static bool
has_conflict(struct inst *i, const struct place *p)
{
	char name[KEY_N + 16];

	snprintf(name, sizeof(name), "%s.conflict", p->key);
	return faccessat(i->journal_dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Reads head, path and list. False: not a whole journal of ours. */
static bool
load(struct journal *j, char *path)
{
	struct stat st;
	size_t n;

	if (fstat(j->jfd, &st) != 0 || pread(j->jfd, &j->head, sizeof(j->head), 0) != sizeof(j->head) ||
	    memcmp(j->head.magic, MAGIC, 8) != 0 || j->head.path_n > PM_PATH_MAX || j->head.list_n > LIST_MAX ||
	    j->head.nonce_n > NONCE || j->head.phase < 1 || j->head.phase > 2)
		return false;
	n = j->head.list_n;
	j->list.text = malloc(n + 1);
	j->list.n = j->list.cap = n;
	if (!j->list.text || pread(j->jfd, path, j->head.path_n, sizeof(j->head)) != (ssize_t)j->head.path_n ||
	    pread(j->jfd, j->list.text, n, (off_t)(sizeof(j->head) + j->head.path_n)) != (ssize_t)n)
		return false;
	path[j->head.path_n] = '\0';
	return head_sum(&j->head, path, j->list.text) == j->head.sum &&
	       (uint64_t)st.st_size >= payload_at(&j->head) + j->head.payload &&
	       j->head.start + j->head.payload <= j->head.old;
}

static bool
nonce_there(const struct journal *j)
{
	unsigned char now[NONCE];
	const struct head *h = &j->head;

	return pread(j->fd, now, h->nonce_n, (off_t)(h->start + h->payload)) == (ssize_t)h->nonce_n &&
	       memcmp(now, h->nonce, h->nonce_n) == 0;
}

/* Mail that came behind the old end joins the payload, in a new journal: from step 1. */
static int
join_tail(struct journal *j, uint64_t size)
{
	struct head old = j->head;
	int from = j->jfd, e;
	uint64_t at = 0;

	j->head.phase = 1;
	j->head.old = size;
	j->head.payload += size - old.old;
	set_nonce(&j->head);
	j->head.sum = head_sum(&j->head, j->place->path, j->list.text);
	j->jfd = -1;
	e = make(j);
	for (; e == 0 && at < old.payload; at += PIECE)
		e = copy(from, payload_at(&old) + at, j->jfd, payload_at(&j->head) + at,
			 old.payload - at < PIECE ? (size_t)(old.payload - at) : PIECE);
	for (at = old.old; e == 0 && at < size; at += PIECE)
		e = copy(j->fd, at, j->jfd, payload_at(&j->head) + old.payload + (at - old.old),
			 size - at < PIECE ? (size_t)(size - at) : PIECE);
	(void)close(from);
	j->step = STEP_NAME;
	return e;
}

/* What is to be done about a sound journal; the text of a conflict, or NULL. */
static const char *
judge(struct journal *j, const struct stat *st, int *ret_e)
{
	const struct head *h = &j->head;
	uint64_t size = (uint64_t)st->st_size;

	*ret_e = 0;
	if (h->ino != st->st_ino)
		return "the mailbox is another file now";
	if (size < (h->phase == 1 ? h->old : h->start + h->payload))
		return "the mailbox is shorter than it was";
	if (h->phase == 2 && !nonce_there(j)) {
		j->step = STEP_CUT; /* truncated already; only ledger and journal are left */
		j->head.payload = size - h->start; /* what came later stays */
		return NULL;
	}
	if (size > h->old)
		*ret_e = join_tail(j, size);
	else
		j->step = h->phase == 1 ? STEP_PUT : STEP_CUT;
	j->at = 0;
	return NULL;
}

int32_t
journal_recover(struct inst *i, const struct pm_call *call, const struct place *p, int fd)
{
	struct journal j = {.inst = i, .place = p, .fd = fd, .step = STEP_PUT};
	char path[PM_PATH_MAX + 1];
	const char *wrong;
	struct stat st;
	int e = 0;

	if (has_conflict(i, p)) {
		sdk_error(call, "mbox/journal/%s.conflict waits for somebody to look at it and at '%s'", p->key, p->path);
		return PM_PERM;
	}
	j.jfd = openat(i->journal_dir, p->key, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (j.jfd == -1)
		return errno == ENOENT ? PM_OK : PM_TEMP;
	if (fstat(fd, &st) != 0)
		e = errno;
	wrong = e ? NULL : !load(&j, path) || strcmp(path, p->path) != 0 ? "the journal is damaged" : judge(&j, &st, &e);
	while (!wrong && e == 0 && j.step != STEP_DONE) {
		e = advance(&j);
		e = e == EAGAIN ? 0 : e;
	}
	if (j.jfd != -1)
		(void)close(j.jfd);
	ledger_out_free(&j.list);
	if (wrong)
		return conflict(i, call, p, wrong);
	if (e != 0) {
		sdk_error(call, "'%s': finishing an interrupted deletion: %s", p->path, strerrordesc_np(e));
		return PM_TEMP;
	}
	sdk_log(i->host, PM_LOG_NOTICE, "'%s': an interrupted deletion was finished", p->path);
	return PM_OK;
}

/* The path a journal is about; false: it cannot be read. */
static bool
read_path(struct inst *i, const char *name, struct place *p)
{
	struct journal j = {.inst = i};
	bool ok;

	j.jfd = openat(i->journal_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (j.jfd == -1)
		return false;
	ok = load(&j, p->path);
	(void)close(j.jfd);
	ledger_out_free(&j.list);
	snprintf(p->key, sizeof(p->key), "%s", name);
	return ok && EVP_Digest(p->path, strlen(p->path), p->sum, NULL, EVP_sha256(), NULL) == 1;
}

static void
sweep_one(struct inst *i, const struct pm_call *call, const char *name)
{
	struct place p;
	struct held h = {0};
	int session = -1, fd = -1;

	if (!read_path(i, name, &p) || lock_session(i, call, &p, &session) != PM_OK)
		return; /* its owner is there, or the next login says what is wrong */
	if (place_open(i, call, &p, false, &fd) == PM_OK && fd != -1 && lock_mta(i, call, &p, fd, &h) == PM_OK) {
		(void)journal_recover(i, call, &p, fd);
		unlock_mta(&h, fd);
	}
	if (fd != -1)
		(void)close(fd);
	(void)close(session);
}

void
journal_sweep(struct inst *i, const struct pm_call *call)
{
	int fd = openat(i->journal_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (strlen(e->d_name) == KEY_N)
			sweep_one(i, call, e->d_name);
	closedir(d);
}
