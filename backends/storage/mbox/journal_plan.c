/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a journal: which bytes of the mailbox are kept, and what its head tells about the
 * file, so that whoever carries it out after a crash can see whether it still fits. */
#include "journal_plan.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "edge.h"
#include "journal.h"
#include "ledger_write.h"
#include "location.h"
#include "mbox.h"
#include "names.h"
#include "snap.h"

#define MAGIC "rstmjrn2"
#define MAGIC_BARE "rstmjrn1" /* of versions before: a head without edges */
#define LIST_MAX (256u << 20)

static size_t
head_size(const struct journal_head *h)
{
	return memcmp(h->magic, MAGIC, 8) == 0 ? sizeof(*h) : offsetof(struct journal_head, before);
}

static uint64_t
head_sum(const struct journal_head *h, const char *path, const char *list)
{
	uint64_t s =
		bytes_sum(&h->ino, head_size(h) - offsetof(struct journal_head, ino), BYTES_SUM);

	return bytes_sum(list, h->list_n, bytes_sum(path, h->path_n, s));
}

uint64_t
journal_payload_at(const struct journal_head *h)
{
	return head_size(h) + h->path_n + h->list_n;
}

/* ---- making one ------------------------------------------------------------------------------ */

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

/* The end of the file stays as it is until it is cut off. */
static uint64_t
untouched_from(const struct journal_head *h)
{
	return h->start + h->payload + h->nonce_n;
}

/* Completes head and checksum, once spans, list and edges are known. */
static void
journal_seal(struct journal *j)
{
	memcpy(j->head.magic, MAGIC, 8);
	j->head.list_n = (uint32_t)j->list.n;
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
	j->jfd = j->from_fd = -1;
	j->fresh = true;
	j->spans = calloc(spans, sizeof(*j->spans));
	if (!j->spans || fstat(fd, &st) != 0) {
		journal_free(j);
		return NULL;
	}
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
	j->spans[j->n_spans++] = (struct span){j->fd, from, to};
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

/* Describes what stands before the first doomed message, and at the end. False: errno. */
static bool
make_edges(struct journal *j, const struct snap *s)
{
	const struct item *last = &s->items[s->n - 1], *before = NULL;
	struct journal_head *h = &j->head;
	uint64_t from;

	for (size_t k = 0; k < s->n && !s->items[k].doomed; k++)
		before = &s->items[k];
	if (before)
		h->before = edge_of_message(before, h->start, j->inst->rd);
	else if (!edge_of_bytes(j->fd, 0, h->start, &h->before))
		return false;
	from = untouched_from(h);
	if (last->from >= from) {
		h->after = edge_of_message(last, h->old, j->inst->rd);
		return true;
	}
	return edge_of_bytes(j->fd, last->text > from ? last->text : from, h->old, &h->after);
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

/* NULL, and errno. */
static struct journal *
journal_fail(struct journal *j, int e)
{
	journal_free(j);
	errno = e;
	return NULL;
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
	if (j->list.failed || j->list.n > LIST_MAX)
		return journal_fail(j, ENOMEM);
	set_nonce(&j->head);
	if (!make_edges(j, &m->snap))
		return journal_fail(j, EIO);
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
	set_nonce(&j->head);
	if (!edge_of_bytes(fd, 0, from, &j->head.before) ||
	    !edge_of_bytes(fd, untouched_from(&j->head), j->head.old, &j->head.after))
		return journal_fail(j, EIO);
	journal_seal(j);
	return j;
}

/* ---- for recovery ---------------------------------------------------------------------------- */

/* Reads the head. False: it is not ours, or torn. */
static bool
head_load(struct journal *j)
{
	struct journal_head *h = &j->head;
	const size_t bare = offsetof(struct journal_head, before);

	if (bytes_read(j->jfd, h, bare, 0) != 0)
		return false;
	if (memcmp(h->magic, MAGIC_BARE, 8) != 0 &&
	    (memcmp(h->magic, MAGIC, 8) != 0 ||
	     bytes_read(j->jfd, &h->before, sizeof(*h) - bare, bare) != 0))
		return false;
	return h->path_n <= PM_PATH_MAX && h->list_n <= LIST_MAX && h->nonce_n <= NONCE &&
	       h->phase >= 1 && h->phase <= 2;
}

bool
journal_load(struct journal *j, char *path)
{
	struct stat st;
	uint64_t at;
	size_t n;

	if (fstat(j->jfd, &st) != 0 || !head_load(j))
		return false;
	at = head_size(&j->head);
	n = j->head.list_n;
	j->list.text = malloc(n + 1);
	j->list.n = j->list.cap = n;
	if (!j->list.text || bytes_read(j->jfd, path, j->head.path_n, at) != 0 ||
	    bytes_read(j->jfd, j->list.text, n, at + j->head.path_n) != 0)
		return false;
	path[j->head.path_n] = '\0';
	return head_sum(&j->head, path, j->list.text) == j->head.sum &&
	       (uint64_t)st.st_size >= journal_payload_at(&j->head) + j->head.payload &&
	       j->head.start + j->head.payload <= j->head.old;
}

int
journal_join(struct journal *j, uint64_t from, uint64_t to)
{
	struct journal_head *h = &j->head;
	uint64_t payload = journal_payload_at(h);

	j->spans = calloc(2, sizeof(*j->spans));
	if (!j->spans)
		return ENOMEM;
	j->from_fd = j->jfd;
	j->jfd = -1;
	j->spans[0] = (struct span){j->from_fd, payload, payload + h->payload};
	j->spans[1] = (struct span){j->fd, from, to};
	j->n_spans = 2;
	h->phase = 1;
	h->old = to;
	h->payload += to - from;
	set_nonce(h);
	if (!edge_of_bytes(j->fd, untouched_from(h), to, &h->after))
		return EIO;
	journal_seal(j);
	j->step = STEP_MAKE;
	return 0;
}
