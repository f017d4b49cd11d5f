/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <stdint.h>
#include <string.h>

/* ---- one name -------------------------------------------------------------------------------- */

/* Length of the character at p, in UTF-8 (RFC 3629) and no control character; 0: none. */
static size_t
names_character(const unsigned char *p, size_t n)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (len == 0 || len > n || p[0] > 0xf4 || p[0] < 0x20 || p[0] == 0x7f)
		return 0;
	for (size_t k = 1; k < len; k++)
		if ((p[k] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* The reason why nobody can have asked for it, or will not; NULL: there is none. */
static const char *
names_fault(struct pm_str s)
{
	for (size_t k = 0, len; k < s.n; k += len)
		if ((len = names_character((const unsigned char *)s.p + k, s.n - k)) == 0)
			return "the name is not UTF-8 or holds a tab or another control character: "
			       "nobody can use it";
	if (s.p[0] == '@')
		return "the name begins with @: nobody can use it";
	if (s.p[0] == ' ' || s.p[s.n - 1] == ' ')
		return "the name has a blank at its beginning or its end, which is a part of it";
	return NULL;
}

/* In place; true: it was another. */
static bool
names_fold(struct table *t, struct entry *e, bool lower)
{
	const char *at = memrchr(e->name.p, '@', e->name.n);
	size_t from = lower ? 0 : at ? (size_t)(at - e->name.p) : e->name.n;
	char *p = t->text + (e->name.p - t->text);
	bool changed = false;

	for (size_t k = from; k < e->name.n; k++) {
		if (p[k] < 'A' || p[k] > 'Z')
			continue;
		p[k] = (char)(p[k] - 'A' + 'a');
		changed = true;
	}
	return changed;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void
names_note(struct table *t, const struct entry *e, const char *why)
{
	if (t->odd.n++ > 0)
		return;
	t->odd.why = why;
	t->odd.line = 1;
	for (const char *p = t->text; p < e->name.p; p++)
		t->odd.line += *p == '\n';
}

/* Of k entries of one name from `first` on, the one that stays; k: none. */
static size_t
names_choose(const struct entry *first, size_t k)
{
	size_t best = 0;

	while (best < k && first[best].folded)
		best++;
	return k == 1 ? 0 : best;
}

static void
names_join(struct table *t)
{
	size_t kept = 0;

	for (size_t i = 0, k; i < t->n; i += k) {
		size_t best;

		for (k = 1; i + k < t->n && table_same(&t->entries[i], &t->entries[i + k]);)
			k++;
		best = names_choose(&t->entries[i], k);
		for (size_t j = 0; j < k; j++)
			if (j != best)
				names_note(t, &t->entries[i + j],
					   "the name differs from another one in capital letters "
					   "only, and the server has names in lower case: nobody "
					   "can use it");
		if (best < k)
			t->entries[kept++] = t->entries[i + best];
	}
	t->n = kept;
}

void
names_settle(struct table *t, bool lower)
{
	bool any = false;

	for (size_t i = 0; i < t->n; i++) {
		struct entry *e = &t->entries[i];
		const char *why = names_fault(e->name);

		if (why)
			names_note(t, e, why);
		e->folded = names_fold(t, e, lower);
		any |= e->folded;
	}
	if (!any)
		return;
	table_sort(t);
	names_join(t);
}
