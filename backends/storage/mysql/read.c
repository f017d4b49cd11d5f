/* SPDX-License-Identifier: Apache-2.0 */
/* read - the bytes of a message: head and first piece in one statement, then a piece of 64 KiB at a
 * time, after a check that all pieces are there. */
#include "read.h"

#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "store.h"

struct reading {
	struct mbox *m;
	uint64_t pos, body;
	uint64_t left; /* bytes that are not in the buffer yet */
	uint32_t seq;  /* the next piece */
	size_t n, at;
	char buf[CHUNK];
};

/* Takes bytes that came into the buffer at buf + n. False: more than the message has. */
static bool
read_took(struct reading *r, size_t n)
{
	if (n > r->left)
		return false;
	r->n += n;
	r->left -= n;
	return true;
}

static int32_t
read_damaged(struct db *d, const struct reading *r)
{
	return db_say(d, PM_CORRUPT,
		      "mailbox %llu: the pieces of message %llu (body %llu) are not its size",
		      (unsigned long long)r->m->box.id, (unsigned long long)r->pos,
		      (unsigned long long)r->body);
}

static int32_t
read_count(struct db *d, const struct reading *r, uint64_t *ret)
{
	struct db_arg body = DB_U(r->body);
	struct db_col cols[2] = {{.p = NULL}};
	int32_t rc = db_row(d, ST_CHUNK_COUNT, &body, 1, cols, 2);

	if (rc == PM_OK)
		*ret = (uint64_t)cols[1].u;
	return rc;
}

/* Checks that all pieces are there, before the message is promised to a client. Looks twice, the
 * second time after a write has shown that this server is up to date. */
static int32_t
check_pieces(struct db *d, const struct reading *r, uint64_t octets)
{
	uint64_t is = 0;
	int32_t rc = read_count(d, r, &is);

	if (rc == PM_OK && is != octets)
		rc = d->pool->settle(d);
	if (rc == PM_OK && is != octets)
		rc = read_count(d, r, &is);
	return rc == PM_OK && is != octets ? read_damaged(d, r) : rc;
}

static int32_t
read_open_work(struct db *d, void *arg)
{
	struct reading *r = arg;
	struct db_arg args[] = {DB_U(r->m->box.id), DB_U(r->pos)};
	char *piece = malloc(CHUNK);
	struct db_col cols[3] = {
		[1] = {.p = r->buf, .cap = CHUNK}, [2] = {.p = piece, .cap = CHUNK}};
	uint64_t octets = r->left;
	int32_t rc = piece ? db_row_sure(d, ST_READ_FIRST, args, 2, cols, 3)
			   : db_say(d, PM_NOMEM, "no memory");

	if (rc == PM_END)
		rc = db_say(d, PM_GONE, "the message is not there any more");
	if (rc == PM_OK) {
		r->body = (uint64_t)cols[0].u;
		r->n = r->seq = 0;
		if (!read_took(r, cols[1].n))
			rc = read_damaged(d, r);
		else if (cols[2].n > 0) {
			if (cols[2].n > CHUNK - r->n || !read_took(r, cols[2].n))
				rc = read_damaged(d, r);
			else
				memcpy(r->buf + cols[1].n, piece, cols[2].n);
			r->seq = 1;
		}
		if (rc == PM_OK && r->left > 0)
			rc = check_pieces(d, r, octets - cols[1].n);
	}
	if (rc != PM_OK)
		r->left = octets;
	free(piece);
	return rc;
}

int32_t
read_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	struct mbox *m = mbox;
	struct reading *r;
	int32_t rc;

	if (index >= m->n || m->reading)
		return PM_INVALID;
	r = malloc(sizeof(*r));
	if (!r)
		return PM_NOMEM;
	r->m = m;
	r->pos = m->msgs[index].pos;
	r->left = m->msgs[index].octets;
	r->body = r->n = r->at = r->seq = 0;
	rc = db_do(&m->inst->pool, call, 0, read_open_work, r);
	if (rc != PM_OK) {
		free(r);
		return rc;
	}
	m->reading = r;
	*ret_msg = r;
	return PM_OK;
}

/* A piece is missing: decides whether the message was removed meanwhile, or is damaged. */
static int32_t
read_missing(struct db *d, const struct reading *r)
{
	struct db_arg args[] = {DB_U(r->m->box.id), DB_U(r->pos)};
	struct db_col col = {.p = NULL};
	int32_t rc = db_row(d, ST_MESSAGE_THERE, args, 2, &col, 1);

	if (rc == PM_END)
		return db_say(d, PM_GONE, "the message is not there any more");
	return rc == PM_OK ? read_damaged(d, r) : rc;
}

static int32_t
next_work(struct db *d, void *arg)
{
	struct reading *r = arg;
	struct db_arg args[] = {DB_U(r->body), DB_U(r->seq)};
	struct db_col col = {.p = r->buf, .cap = CHUNK};
	int32_t rc = db_row_sure(d, ST_READ_NEXT, args, 2, &col, 1);

	if (rc == PM_END)
		return read_missing(d, r);
	if (rc != PM_OK)
		return rc;
	r->n = r->at = 0;
	if (col.n == 0 || !read_took(r, col.n))
		return read_damaged(d, r);
	r->seq++;
	return PM_OK;
}

int32_t
read_some(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	struct reading *r = msg;
	int32_t rc;

	if (cap == 0)
		return PM_INVALID;
	if (r->at == r->n) {
		if (r->left == 0)
			return PM_END;
		rc = db_do(&r->m->inst->pool, call, 0, next_work, r);
		if (rc != PM_OK)
			return rc;
	}
	if (cap > r->n - r->at)
		cap = r->n - r->at;
	memcpy(buf, r->buf + r->at, cap);
	r->at += cap;
	*ret_got = cap;
	return PM_OK;
}

void
read_close(void *msg, const struct pm_call *call)
{
	struct reading *r = msg;

	(void)call;
	r->m->reading = NULL;
	free(r);
}
