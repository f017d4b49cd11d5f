/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish - a delivery becomes mail, in one short transaction for all recipients; and the undoing
 * of a delivery that does not. The transaction claims the row of mail_incoming, so that after a
 * COMMIT without an answer the next attempt finds out: if the row is there, it can be claimed
 * again; if it is gone and the message is there, the COMMIT was done.
 */
#include "publish.h"

#include <mysqld_error.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box.h"
#include "db.h"
#include "deliver.h"
#include "ids.h"
#include "kill.h"
#include "store.h"

#define POS_TRIES 1000 /* tries for imports that bring the same order */

struct publishing {
	struct dlv *v;
	size_t delivered;
	bool sent;    /* COMMIT was sent: its outcome may be unknown */
	bool earlier; /* an earlier attempt sent COMMIT, and may even still be on its way */
};

/* Makes a unique-id of 128 random bits, or of as many drawn from those of the operation, so that a
 * repetition makes the same one. */
static void
choose_uidl(struct rcpt *r, const uint8_t op[ID])
{
	static const uint8_t none[ID];
	uint8_t text[ID + PM_KEY_MAX], sum[EVP_MAX_MD_SIZE];

	if (memcmp(op, none, ID) != 0) {
		memcpy(text, op, ID);
		memcpy(text + ID, r->key.p, r->key.n);
		if (EVP_Digest(text, ID + r->key.n, sum, NULL, EVP_sha256(), NULL) != 1)
			ids_random(sum, ID);
	} else {
		ids_random(sum, ID);
	}
	for (int k = 0; k < ID; k++)
		snprintf(r->uidl + (size_t)k * 2, 3, "%02x", sum[k]);
	r->uidl_n = 2 * ID;
}

static int32_t
message_add(struct db *d, const struct dlv *v, const struct rcpt *r)
{
	struct db_arg args[] = {
		DB_U(r->box.id),
		DB_U(r->pos),
		DB_U(v->begun ? v->body : 0),
		DB_U(r->head.n + v->bytes),
		DB_U(r->received_ms > 0 ? r->received_ms
					: v->inst->host->wall_ms(v->inst->host->ctx)),
		r->first_retrieved_ms > 0 ? DB_U(r->first_retrieved_ms) : DB_NIL,
		DB_U(v->seen.utf8_header ? FLAG_UTF8 : 0),
		DB_S(r->uidl, r->uidl_n),
		DB_S(r->meta, r->meta_n),
		r->head.n > 0 ? DB_S(r->head.p, r->head.n) : DB_NIL,
	};

	return db_exec(d, ST_MESSAGE_ADD, args, 10);
}

/* Inserts the message at the next free place. PM_EXISTS: its unique-id is there. */
static int32_t
message_place(struct db *d, const struct dlv *v, struct rcpt *r)
{
	struct db_arg uidl[] = {DB_U(r->box.id), DB_S(r->uidl, r->uidl_n)};
	struct db_col col = {.p = NULL};
	int32_t rc = PM_OK;

	for (int k = 0; k < POS_TRIES; k++, r->pos++) {
		rc = message_add(d, v, r);
		if (rc == PM_OK || d->fail.code != ER_DUP_ENTRY)
			break;
		memset(&d->fail, 0, sizeof(d->fail));
		rc = db_row(d, ST_UIDL_THERE, uidl, 2, &col, 1);
		if (rc != PM_END)
			return rc == PM_OK ? PM_EXISTS : rc;
	}
	return rc;
}

/* Adds the message to the counters of mailbox and domain. PM_QUOTA: it does not fit; fail.again:
 * the mailbox was removed. */
static int32_t
count_in(struct db *d, const struct dlv *v, const struct rcpt *r)
{
	uint64_t octets = r->head.n + v->bytes;
	struct db_arg add[] = {DB_U(octets),         DB_U(r->box.id),       DB_U(r->quota_msgs),
			       DB_U(r->quota_msgs),  DB_U(r->quota_octets), DB_U(octets),
			       DB_U(r->quota_octets)};
	struct db_arg domain[] = {DB_S(r->box.domain, r->box.domain_n), DB_U(r->box.id & 15),
				  DB_U(1), DB_U(octets)};
	struct db_arg id = DB_U(r->box.id);
	struct db_col sums[2] = {{.p = NULL}};
	char name[DOMAIN_MAX];
	struct db_col row[3] = {[2] = {.p = name, .cap = sizeof(name)}};
	int32_t rc = PM_OK;

	if (r->box.domain_n > 0 && (r->domain_octets > 0 || r->domain_msgs > 0)) {
		rc = db_row(d, ST_DOMAIN_SUM, domain, 1, sums, 2);
		if (rc == PM_OK && (deliver_over((uint64_t)sums[0].u, 1, r->domain_msgs) ||
				    deliver_over((uint64_t)sums[1].u, octets, r->domain_octets)))
			return PM_QUOTA;
	}
	if (rc == PM_OK)
		rc = db_exec(d, ST_BOX_ADD, add, 7);
	if (rc == PM_OK && d->affected == 0) {
		rc = db_row(d, ST_BOX_LOCK, &id, 1, row, 3);
		if (rc == PM_END) {
			d->fail.again = true;
			return db_say(d, PM_TEMP, "the mailbox was removed meanwhile");
		}
		return rc == PM_OK ? PM_QUOTA : rc;
	}
	return rc == PM_OK && r->box.domain_n > 0 ? db_exec(d, ST_DOMAIN_ADD, domain, 4) : rc;
}

/* Notes an import, in the transaction, so that it is known as long as the message is, and after.
 * PM_EXISTS: it is known, or there. */
static int32_t
note_import(struct db *d, const struct rcpt *r)
{
	struct db_arg args[] = {DB_U(r->box.id), DB_S(r->uidl, r->uidl_n)};
	int32_t rc = deliver_import_there(d, r);

	if (rc != PM_OK)
		return rc;
	rc = db_exec(d, r->restore ? ST_IMPORT_AGAIN : ST_IMPORT_ADD, args, 2);
	if (rc != PM_OK && d->fail.code == ER_DUP_ENTRY)
		d->fail.again = true; /* the same import runs beside this one */
	return rc;
}

static int32_t
publish_take_back(struct db *d, const struct rcpt *r)
{
	struct db_arg place[] = {DB_U(r->box.id), DB_U(r->pos)};
	struct db_arg uidl[] = {DB_U(r->box.id), DB_S(r->uidl, r->uidl_n)};
	int32_t rc = db_exec(d, ST_MESSAGE_TAKE_BACK, place, 2);

	return rc == PM_OK && r->import ? db_exec(d, ST_IMPORT_TAKE_BACK, uidl, 2) : rc;
}

/* Publishes for one recipient. PM_OK: r->rc is set. */
static int32_t
publish(struct db *d, struct publishing *p, struct rcpt *r)
{
	int32_t rc = r->import ? note_import(d, r) : PM_OK;

	if (rc == PM_OK)
		rc = message_place(d, p->v, r);
	if (rc == PM_EXISTS) {
		/* this very delivery did it in an earlier attempt */
		r->rc = r->import ? PM_EXISTS : PM_OK;
		return PM_OK;
	}
	if (rc == PM_OK)
		rc = count_in(d, p->v, r);
	if (rc == PM_QUOTA) {
		r->rc = PM_QUOTA;
		return publish_take_back(d, r);
	}
	if (rc == PM_OK) {
		r->rc = PM_OK;
		p->delivered++;
	}
	return rc;
}

/* Claims the body: it is whole, and nobody has reaped it. PM_NOENT: its row in mail_incoming is
 * gone. */
static int32_t
claim_body(struct db *d, const struct dlv *v)
{
	struct db_arg id = DB_U(v->body);
	struct db_col cols[2] = {{.p = NULL}};
	int32_t rc;

	if (!v->begun)
		return PM_OK;
	rc = db_exec(d, ST_INCOMING_LIVE, &id, 1);
	if (rc == PM_OK && d->affected == 0)
		return PM_NOENT;
	if (rc == PM_OK)
		rc = db_row(d, ST_CHUNK_COUNT, &id, 1, cols, 2);
	if (rc == PM_OK && ((uint64_t)cols[0].u != v->seq || (uint64_t)cols[1].u != v->bytes))
		return db_say(d, PM_TEMP,
			      "%lld of %u pieces and %lld of %llu octets are in the database",
			      (long long)cols[0].u, v->seq, (long long)cols[1].u,
			      (unsigned long long)v->bytes);
	return rc;
}

/* Finds out whether the COMMIT that was not answered succeeded, by a look for the message. */
static int32_t
was_published(struct db *d, struct publishing *p)
{
	int32_t rc = PM_OK;

	for (const struct rcpt *r = p->v->first; r && rc == PM_OK; r = r->next) {
		struct db_arg uidl[] = {DB_U(r->box.id), DB_S(r->uidl, r->uidl_n)};
		struct db_col col = {.p = NULL};

		if (r->rc != PM_OK)
			continue;
		rc = db_row(d, ST_UIDL_THERE, uidl, 2, &col, 1);
	}
	return rc == PM_END ? PM_NOENT : rc;
}

static int32_t
make_boxes(struct db *d, struct dlv *v)
{
	int32_t rc = PM_OK;

	for (struct rcpt *r = v->first; r && rc == PM_OK; r = r->next)
		if (deliver_check_quota(v, r) == PM_OK)
			rc = box_make(d, r->key, r->domain, &r->box);
	return rc;
}

/* Gives recipients in the order of their mailboxes, so that two deliveries that share some lock
 * their rows in the same order. */
static struct rcpt *
next_box(const struct dlv *v, const struct rcpt *last)
{
	struct rcpt *best = NULL;

	for (struct rcpt *r = v->first; r; r = r->next) {
		bool later = !last || r->box.id > last->box.id ||
			     (r->box.id == last->box.id && r > last);

		if (r->rc == PM_OK && later &&
		    (!best || r->box.id < best->box.id || (r->box.id == best->box.id && r < best)))
			best = r;
	}
	return best;
}

/* Forgets the results of earlier attempts. */
static void
forget_results(struct dlv *v)
{
	for (struct rcpt *r = v->first; r; r = r->next)
		r->rc = deliver_check_quota(v, r);
}

static int32_t
publish_all(struct db *d, struct publishing *p)
{
	struct dlv *v = p->v;
	struct db_arg body = DB_U(v->body);
	int32_t rc = PM_OK;

	p->delivered = 0;
	forget_results(v);
	for (struct rcpt *r = next_box(v, NULL); r && rc == PM_OK; r = next_box(v, r))
		rc = publish(d, p, r);
	if (rc == PM_OK && p->delivered == 0 && v->begun)
		rc = db_exec(d, ST_GARBAGE_ADD, &body, 1);
	return rc;
}

/* The transaction. PM_NOENT: the row of the body in mail_incoming is gone. */
static int32_t
publish_transaction(struct db *d, struct publishing *p)
{
	int32_t rc = make_boxes(d, p->v);

	if (rc == PM_OK)
		rc = db_begin(d);
	if (rc == PM_OK)
		rc = claim_body(d, p->v);
	if (rc == PM_OK)
		rc = publish_all(d, p);
	if (rc != PM_OK)
		return db_rollback(d, rc);
	p->sent = p->earlier = true;
	KILL_POINT("delivery: before it is visible");
	rc = db_commit(d);
	KILL_POINT("delivery: after");
	p->sent = rc != PM_OK && d->fail.lost;
	return rc;
}

static int32_t
publish_work(struct db *d, void *arg)
{
	struct publishing *p = arg;
	int32_t rc;

	if (p->sent) {
		rc = was_published(d, p);
		if (rc != PM_NOENT) {
			p->sent = rc != PM_OK;
			return rc;
		}
	}
	rc = publish_transaction(d, p);
	if (rc == PM_NOENT) { /* or this node does not know of it yet */
		rc = d->pool->settle(d);
		if (rc == PM_OK)
			rc = publish_transaction(d, p);
	}
	if (rc == PM_NOENT)
		rc = p->earlier ? was_published(d, p) : PM_NOENT;
	return rc == PM_NOENT ? db_say(d, PM_TEMP, "the message lay too long and was removed") : rc;
}

/* ---- the end --------------------------------------------------------------------------------- */

static int32_t
throw_away(struct db *d, void *arg)
{
	struct dlv *v = arg;
	struct db_arg id = DB_U(v->body);
	int32_t rc = db_begin(d);

	if (rc == PM_OK)
		rc = db_exec(d, ST_INCOMING_LIVE, &id, 1);
	if (rc == PM_OK && d->affected == 1)
		rc = db_exec(d, ST_GARBAGE_ADD, &id, 1);
	return rc == PM_OK ? db_commit(d) : db_rollback(d, rc);
}

static void
publish_free(struct dlv *v)
{
	while (v->first) {
		struct rcpt *r = v->first;

		v->first = r->next;
		free(r);
	}
	free(v);
}

void
publish_abort(void *dlv, const struct pm_call *call)
{
	struct dlv *v = dlv;

	if (v->begun)
		(void)db_do(&v->inst->pool, call, 0, throw_away,
			    v); /* otherwise it is reaped in an hour */
	publish_free(v);
}

int32_t
publish_commit(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	struct dlv *v = dlv;
	struct publishing p = {.v = v};
	int32_t rc = PM_INVALID;

	if (v->prepared) {
		for (struct rcpt *r = v->first; r; r = r->next) {
			if (!r->import)
				choose_uidl(r, call->op_id);
			if (r->pos == 0)
				r->pos = ids_arrival(v->inst->host);
		}
		rc = db_do(&v->inst->pool, call, 0, publish_work, &p);
	}
	if (rc == PM_OK) {
		v->sent = true;
		deliver_fill_results(v, ret, stride);
		publish_free(v);
		return PM_OK;
	}
	if (p.sent) {
		publish_free(v); /* whatever the outcome, it is not ours to remove */
		return PM_UNKNOWN;
	}
	publish_abort(v, call);
	return rc;
}
