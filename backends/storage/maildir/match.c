/* SPDX-License-Identifier: Apache-2.0 */
/* From the files that were found to messages: sorted, files of one message joined (by the numbers
 * of twins.c), deleted messages dropped. Unique-ids and sizes come from the ledger or, for messages
 * it has never seen, from the name. */
#include "match.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "maildir.h"
#include "name.h"
#include "snap.h"

#define OCTETS_MAX (UINT64_C(1) << 50)

static __thread const char *sort_names; /* qsort has no context; one sort per thread at a time */

/* The order: by arrival, then by base name. */
static int
match_order(const struct item *x, uint64_t arrival, const char *base, size_t base_n,
	    const char *names)
{
	size_t n = x->base_n < base_n ? x->base_n : base_n;
	int d;

	if (x->arrival != arrival)
		return x->arrival < arrival ? -1 : 1;
	d = memcmp(names + x->name, base, n);
	return d || x->base_n == base_n ? d : x->base_n < base_n ? -1 : 1;
}

static int
by_arrival(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int d = match_order(x, y->arrival, sort_names + y->name, y->base_n, sort_names);

	if (d == 0 && x->number != y->number)
		d = x->number < y->number ? -1 : 1;
	if (d == 0)
		/* of several files of a message the first one stays: that of the latest look, then
		 * that in cur */
		d = (int)x->stale - (int)y->stale;
	if (d == 0)
		d = (int)x->in_new - (int)y->in_new;
	return d ? d : strcmp(sort_names + x->name, sort_names + y->name);
}

/* 40 hex digits of SHA-256 for base names that cannot be unique-ids. */
static bool
seed_hash(const char *base, size_t n, char hex[41])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_Digest(base, n, md, &len, EVP_sha256(), NULL) != 1)
		return false;
	for (int i = 0; i < 20; i++)
		snprintf(hex + 2 * i, 3, "%02x", md[i]);
	return true;
}

static bool
match_uidl_ok(const char *base, size_t n)
{
	if (n < 1 || n > PM_UIDL_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (base[i] < 0x21 || base[i] > 0x7e)
			return false;
	return true;
}

size_t
match_make_uidl(const char *identity, size_t n, char uidl[PM_UIDL_MAX + 1])
{
	if (!match_uidl_ok(identity, n))
		return seed_hash(identity, n, uidl) ? 40 : 0;
	memcpy(uidl, identity, n);
	uidl[n] = '\0';
	return n;
}

static bool
match_set_uidl(struct snap *s, struct item *it, const struct ledger_message *known)
{
	char uidl[PM_UIDL_MAX + 1], buf[IDENTITY_CAP];
	const char *identity;
	size_t n;

	if (known && match_uidl_ok(known->uidl, known->uidl_n)) {
		it->uidl_n = (uint8_t)known->uidl_n;
		return snap_add_name(s, known->uidl, known->uidl_n, &it->uidl);
	}
	identity = name_identity(s, it, buf, &n);
	if (identity != buf && match_uidl_ok(identity, n)) {
		it->uidl = it->name; /* the base name itself */
		it->uidl_n = (uint8_t)n;
		return true;
	}
	it->uidl_n = (uint8_t)match_make_uidl(identity, n, uidl);
	return it->uidl_n > 0 && snap_add_name(s, uidl, it->uidl_n, &it->uidl);
}

bool
match_own_uidl(const char *identity, size_t n, const char *uidl, size_t uidl_n)
{
	char hex[41];

	if (match_uidl_ok(identity, n))
		return n == uidl_n && memcmp(identity, uidl, n) == 0;
	return uidl_n == 40 && seed_hash(identity, n, hex) && memcmp(hex, uidl, 40) == 0;
}

/* Imports are kept for a time, because they would come again otherwise. */
bool
match_remembers(const struct ledger_message *lm, int64_t now_ms)
{
	return !match_own_uidl(lm->identity, lm->identity_n, lm->uidl, lm->uidl_n) &&
	       ledger_remembers(lm, now_ms);
}

/* Takes sizes from the ledger, also when it has them as not known, or from the name of a new
 * message if they are plausible: S <= W <= 2 S, and less than a petabyte. A name may be wrong, or
 * older than its file, so the ledger does not get the size stored until somebody has counted it. */
static void
set_sizes(struct snap *s, struct item *it, const struct ledger_message *known)
{
	const char *name = s->names + it->name;
	uint64_t stored, wire;

	if (known && known->octets != LEDGER_UNKNOWN) {
		it->octets = known->octets;
		it->stored = known->stored;
		it->unproven = known->stored == LEDGER_UNKNOWN;
		if (it->unproven && !name_number(name, 'S', &it->stored))
			it->stored = 0;
	}
	if (known)
		return;
	if (name_number(name, 'S', &stored) && name_number(name, 'W', &wire) && stored <= wire &&
	    wire <= 2 * stored && wire < OCTETS_MAX) {
		it->octets = wire;
		it->stored = stored;
		it->unproven = true;
	}
	it->dirty = true;
	s->dirty = true;
}

/* Puts hidden items back among the others, since a second match sorts all of them again. */
static bool
match_unhide(struct snap *s)
{
	struct item *more;

	if (s->hidden_n == 0)
		return true;
	more = realloc(s->items, (s->n + s->hidden_n) * sizeof(*more));
	if (!more)
		return false;
	s->items = more;
	memcpy(s->items + s->n, s->hidden, s->hidden_n * sizeof(*more));
	s->cap = s->n += s->hidden_n;
	s->hidden_n = 0;
	return true;
}

static bool
match_hide(struct snap *s, const struct item *it)
{
	struct item *more = realloc(s->hidden, (s->hidden_n + 1) * sizeof(*more));

	if (!more)
		return false;
	s->hidden = more;
	s->hidden[s->hidden_n++] = *it;
	return true;
}

bool
match_sort(struct snap *s)
{
	bool sorted = true;

	if (!match_unhide(s))
		return false;
	sort_names = s->names;
	for (size_t k = 1; k < s->n && sorted; k++)
		sorted = by_arrival(&s->items[k - 1], &s->items[k]) <= 0;
	if (!sorted)
		qsort(s->items, s->n, sizeof(*s->items), by_arrival);
	return true;
}

static bool
of_one(const struct snap *s, const struct item *a, const struct item *b)
{
	return a->number == b->number && a->base_n == b->base_n &&
	       memcmp(s->names + a->name, s->names + b->name, a->base_n) == 0;
}

/* Takes the next message. *ret: the place of its item now; NULL: it was deleted. */
static int32_t
match_take(struct snap *s, struct ledger *l, struct item *it, size_t *out, struct item **ret)
{
	char buf[IDENTITY_CAP];
	size_t n;
	const char *identity = name_identity(s, it, buf, &n);
	struct ledger_message *known = ledger_find(l, identity, n);

	*ret = NULL;
	if (known)
		known->keep = true;
	if (known && known->deleted)
		return PM_OK;
	if (known)
		it->first_ms = known->first_retrieved_ms;
	it->hidden_ms = known ? known->hidden_until_ms : 0;
	if (!match_set_uidl(s, it, known))
		return PM_NOMEM;
	set_sizes(s, it, known);
	if (it->hidden_ms != 0 && !s->with_hidden) {
		if (!match_hide(s, it))
			return PM_NOMEM;
		*ret = &s->hidden[s->hidden_n - 1];
		return PM_OK;
	}
	*ret = &s->items[*out];
	s->items[(*out)++] = *it;
	return PM_OK;
}

int32_t
match_run(struct snap *s, struct ledger *l)
{
	struct item last = {0}, *kept = NULL;
	size_t out = 0;

	if (!match_sort(s))
		return PM_NOMEM;
	for (size_t k = 0; k < s->n; k++) {
		struct item it = s->items[k];
		int32_t rc;

		if (it.number == 0)
			continue;
		if (of_one(s, &last, &it)) {
			if (kept)
				kept->twins = true;
			continue;
		}
		last = it;
		rc = match_take(s, l, &it, &out, &kept);
		if (rc != PM_OK)
			return rc;
	}
	s->n = out;
	return PM_OK;
}

bool
match_has(const struct snap *s, const char *name)
{
	uint64_t arrival = name_arrival(name);
	size_t base_n = strcspn(name, ",:"), lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = match_order(&s->items[mid], arrival, name, base_n, s->names);

		if (d == 0)
			return true;
		*(d < 0 ? &lo : &hi) = d < 0 ? mid + 1 : mid;
	}
	return false;
}
