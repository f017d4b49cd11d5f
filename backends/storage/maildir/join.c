/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the names that were found to messages: sorted, twins and deleted ones dropped, unique-ids and sizes from
 * the ledger or, for those it has never seen, from the name.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "maildir.h"

#define OCTETS_MAX (UINT64_C(1) << 50)

static __thread const char *sort_names; /* qsort has no context; one sort per thread at a time */

/* Order: by arrival, then by base name. */
static int
order(const struct item *x, uint64_t arrival, const char *base, size_t base_n, const char *names)
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
	int d = order(x, y->arrival, sort_names + y->name, y->base_n, sort_names);

	if (d == 0)
		d = (int)x->stale - (int)y->stale; /* of twins the first one stays: the latest look's, then cur's */
	return d ? d : (int)x->in_new - (int)y->in_new;
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
uidl_ok(const char *base, size_t n)
{
	if (n < 1 || n > PM_UIDL_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (base[i] < 0x21 || base[i] > 0x7e)
			return false;
	return true;
}

static bool
set_uidl(struct scan *s, struct item *it, const struct ledger_message *known)
{
	char hex[41];

	if (known && uidl_ok(known->uidl, known->uidl_n)) {
		it->uidl_n = (uint8_t)known->uidl_n;
		return scan_add_name(s, known->uidl, known->uidl_n, &it->uidl);
	}
	if (uidl_ok(s->names + it->name, it->base_n)) {
		it->uidl = it->name; /* the base name itself */
		it->uidl_n = (uint8_t)it->base_n;
		return true;
	}
	if (!seed_hash(s->names + it->name, it->base_n, hex))
		return false;
	it->uidl_n = 40;
	return scan_add_name(s, hex, 40, &it->uidl);
}

bool
join_own_uidl(const char *base, size_t n, const char *uidl, size_t uidl_n)
{
	char hex[41];

	if (uidl_ok(base, n))
		return n == uidl_n && memcmp(base, uidl, n) == 0;
	return uidl_n == 40 && seed_hash(base, n, hex) && memcmp(hex, uidl, 40) == 0;
}

/* Imports are, for a time: or they would come again. */
bool
join_remembers(const struct ledger_message *lm, int64_t now_ms)
{
	return !join_own_uidl(lm->identity, lm->identity_n, lm->uidl, lm->uidl_n) && ledger_remembers(lm, now_ms);
}

/* Digits behind ",S=" or ",W=" in a file name; false: not there. */
static bool
name_number(const char *name, char key, uint64_t *ret)
{
	char mark[4] = {',', key, '=', '\0'};
	const char *p = strstr(name, mark);
	uint64_t v = 0;

	if (!p || p[3] < '0' || p[3] > '9')
		return false;
	for (p += 3; *p >= '0' && *p <= '9' && v < UINT64_MAX / 16; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	*ret = v;
	return true;
}

/* Sizes from the ledger, which wins - also when it says that they are not known - or from the name of a newcomer, if
 * plausible: S <= W <= 2 S, and no message of a petabyte. */
static void
set_sizes(struct scan *s, struct item *it, const struct ledger_message *known)
{
	uint64_t stored, wire;

	if (known && known->octets != LEDGER_UNKNOWN) {
		it->octets = known->octets;
		it->stored = known->stored;
		return;
	}
	if (!known && name_number(s->names + it->name, 'S', &stored) && name_number(s->names + it->name, 'W', &wire) &&
	    stored <= wire && wire <= 2 * stored && wire < OCTETS_MAX) {
		it->octets = wire;
		it->stored = stored;
	}
	it->dirty = true;
	s->dirty = true;
}

/* A second join sorts all of them anew. */
static bool
unhide(struct scan *s)
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
hide(struct scan *s, const struct item *it)
{
	struct item *more = realloc(s->hidden, (s->hidden_n + 1) * sizeof(*more));

	if (!more)
		return false;
	s->hidden = more;
	s->hidden[s->hidden_n++] = *it;
	return true;
}

/* The hidden message just before this one in order, if it is the same. */
static struct item *
hidden_twin(struct scan *s, const struct item *it)
{
	struct item *last = s->hidden_n > 0 ? &s->hidden[s->hidden_n - 1] : NULL;

	return last && last->base_n == it->base_n && memcmp(s->names + last->name, s->names + it->name, it->base_n) == 0
		       ? last
		       : NULL;
}

int32_t
scan_join(struct scan *s, struct ledger *l)
{
	size_t out = 0;

	if (!unhide(s))
		return PM_NOMEM;
	sort_names = s->names;
	if (s->n > 1)
		qsort(s->items, s->n, sizeof(*s->items), by_arrival);
	for (size_t k = 0; k < s->n; k++) {
		struct item it = s->items[k];
		const struct ledger_message *known;
		struct item *twin = hidden_twin(s, &it);

		if (twin) {
			twin->twins = true;
			continue;
		}
		if (out > 0 && s->items[out - 1].base_n == it.base_n &&
		    memcmp(s->names + s->items[out - 1].name, s->names + it.name, it.base_n) == 0) {
			s->items[out - 1].twins = true;
			continue;
		}
		known = ledger_find(l, s->names + it.name, it.base_n);
		if (known && known->deleted)
			continue;
		if (known)
			it.first_ms = known->first_retrieved_ms;
		it.hidden_ms = known ? known->hidden_until_ms : 0;
		if (!set_uidl(s, &it, known))
			return PM_NOMEM;
		set_sizes(s, &it, known);
		if (it.hidden_ms == 0 || s->with_hidden)
			s->items[out++] = it;
		else if (!hide(s, &it))
			return PM_NOMEM;
	}
	s->n = out;
	return PM_OK;
}

bool
join_has(const struct scan *s, const char *name)
{
	uint64_t arrival = scan_arrival(name);
	size_t base_n = strcspn(name, ",:"), lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = order(&s->items[mid], arrival, name, base_n, s->names);

		if (d == 0)
			return true;
		*(d < 0 ? &lo : &hi) = d < 0 ? mid + 1 : mid;
	}
	return false;
}
