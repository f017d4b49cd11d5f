/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique-ids. A message is its hash and a number among equal ones; the ledger knows which numbers were given and
 * which of them were deleted, and nothing is given twice. The unique-id is written with the first session that
 * sees the message: the hash, and the number from the second twin on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "mbox.h"

#include <uthash.h>

#define LEDGER_SLACK 4000

/* How far the numbers of one hash were given out in this snapshot. */
struct twins {
	UT_hash_handle hh;
	unsigned char hash[MBOX_HASH];
	uint32_t last;
};

static void
hex_of(const unsigned char *hash, char *buf)
{
	for (int k = 0; k < MBOX_HASH; k++)
		snprintf(buf + 2 * k, 3, "%02x", hash[k]);
}

size_t
item_identity(const struct item *it, char buf[64])
{
	hex_of(it->hash, buf);
	return (size_t)(2 * MBOX_HASH + snprintf(buf + 2 * MBOX_HASH, 64 - 2 * MBOX_HASH, ".%u", it->twin));
}

/* The next number of this hash that is alive or new. */
static const struct ledger_message *
next_twin(struct ledger *l, struct item *it, uint32_t last)
{
	char id[64];

	for (it->twin = last + 1;; it->twin++) {
		size_t n = item_identity(it, id);
		const struct ledger_message *m = ledger_find(l, id, n);

		if (!m || !m->deleted)
			return m;
	}
}

static void
set_uidl(struct item *it, const struct ledger_message *known)
{
	char id[64];

	if (known && known->uidl_n > 0 && known->uidl_n <= PM_UIDL_MAX) {
		memcpy(it->uidl, known->uidl, known->uidl_n);
		it->uidl_n = (uint8_t)known->uidl_n;
		it->first_ms = known->first_retrieved_ms;
		it->dirty = false;
		return;
	}
	(void)item_identity(it, id);
	if (it->twin == 1)
		id[2 * MBOX_HASH] = '\0';
	it->uidl_n = (uint8_t)strlen(id);
	memcpy(it->uidl, id, it->uidl_n + 1u);
	it->dirty = true;
}

static bool
name_all(struct snap *s, struct ledger *l)
{
	struct twins *table = NULL, *t, *next;
	bool ok = true;

	for (size_t k = 0; k < s->n && ok; k++) {
		struct item *it = &s->items[k];

		HASH_FIND(hh, table, it->hash, MBOX_HASH, t);
		if (!t && (t = calloc(1, sizeof(*t))) != NULL) {
			memcpy(t->hash, it->hash, MBOX_HASH);
			HASH_ADD(hh, table, hash, MBOX_HASH, t);
		}
		ok = t != NULL;
		if (ok) {
			set_uidl(it, next_twin(l, it, t->last));
			t->last = it->twin;
		}
	}
	HASH_ITER(hh, table, t, next) {
		HASH_DEL(table, t);
		free(t);
	}
	return ok;
}

int32_t
snap_name(struct mbox *m, const struct pm_call *call)
{
	size_t good, bad;
	struct ledger *l = ledger_load(m->inst->ledger_dir, m->place.key, &good, &bad);
	bool ok;

	if (!l)
		return ledger_load_code(call, m->place.key, errno);
	if (bad > 0)
		sdk_log(m->inst->host, PM_LOG_WARNING, "'%s': %zu damaged lines of ledger/%s were passed over; check the disk",
			m->place.path, bad, m->place.key);
	ok = name_all(&m->snap, l);
	ledger_free(l);
	return ok ? PM_OK : PM_NOMEM;
}

void
snap_learnt(struct mbox *m)
{
	struct ledger_out o = {0};
	size_t n = 0;
	int e;

	for (size_t k = 0; k < m->snap.n; k++) {
		struct item *it = &m->snap.items[k];
		char id[64];

		if (!it->dirty || it->gone)
			continue;
		ledger_put_message(&o, id, item_identity(it, id), it->uidl, it->uidl_n, it->octets, it->stored, it->first_ms, 0);
		it->dirty = false;
		n++;
	}
	e = n == 0 ? 0 : o.failed ? ENOMEM : ledger_append(m->inst->ledger_dir, m->place.key, o.text, o.n, false);
	if (e != 0)
		sdk_log(m->inst->host, PM_LOG_WARNING, "'%s': the ledger could not be written: %s", m->place.path,
			strerrordesc_np(e));
	ledger_out_free(&o);
}
