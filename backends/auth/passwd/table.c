/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERR 256

static const char no_memory[] = "no memory";

static int
compare_names(struct pm_str a, struct pm_str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return d ? d : a.n < b.n ? -1 : a.n > b.n;
}

static int
table_compare(const void *a, const void *b)
{
	return compare_names(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

void
table_sort(struct table *t)
{
	if (t->n > 0)
		qsort(t->entries, t->n, sizeof(*t->entries), table_compare);
}

bool
table_same(const struct entry *a, const struct entry *b)
{
	return table_compare(a, b) == 0;
}

/* Up to the next ':' of p..end. */
static struct pm_str
table_field(const char **p, const char *end)
{
	const char *colon = *p < end ? memchr(*p, ':', (size_t)(end - *p)) : NULL;
	struct pm_str s = {*p, (size_t)((colon ? colon : end) - *p)};

	*p = colon ? colon + 1 : end;
	return s;
}

bool
table_number(struct pm_str s, uint64_t *ret)
{
	uint64_t v = 0, unit = 1;
	size_t k = 0;

	for (; k < s.n && s.p[k] >= '0' && s.p[k] <= '9'; k++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[k] - '0'), &v))
			return false;
	if (k == 0)
		return false;
	if (k + 1 == s.n) {
		const char *at = strchr("kKmMgG", s.p[k++]);

		if (!at)
			return false;
		unit = UINT64_C(1) << (10 * ((at - "kKmMgG") / 2 + 1));
	}
	*ret = v * unit;
	return k == s.n && (v == 0 || *ret / v == unit);
}

/* Numbers that would silently mean something else are refused. */
static const char *
check_extra(struct pm_str extra)
{
	static const char *const keys[] = {"quota_octets=", "quota_messages="};
	uint64_t v;

	for (size_t k = 0, n; k < extra.n; k += n + 1) {
		const char *blank = memchr(extra.p + k, ' ', extra.n - k);

		n = blank ? (size_t)(blank - extra.p) - k : extra.n - k;
		for (size_t i = 0; i < 2; i++) {
			size_t m = strlen(keys[i]);

			if (n >= m && memcmp(extra.p + k, keys[i], m) == 0 &&
			    !table_number((struct pm_str){extra.p + k + m, n - m}, &v))
				return i == 0 ? "quota_octets: expected a number, also with k, m "
						"or g"
					      : "quota_messages: expected a number";
		}
	}
	return NULL;
}

static const char *
parse_line(const char *p, const char *end, struct entry *e)
{
	if (!memchr(p, ':', (size_t)(end - p)))
		return "expected user:{SCHEME}hash";
	if (memchr(p, '\0', (size_t)(end - p)))
		return "the line holds a NUL byte";
	e->name = table_field(&p, end);
	if (e->name.n == 0 || e->name.n > PM_NAME_MAX)
		return "expected a user name of 1 to 320 bytes";
	e->hash = table_field(&p, end);
	e->uid = table_field(&p, end);
	e->gid = table_field(&p, end);
	(void)table_field(&p, end); /* gecos */
	e->home = table_field(&p, end);
	(void)table_field(&p, end); /* shell */
	e->extra = (struct pm_str){p, (size_t)(end - p)};
	return e->home.n > PM_PATH_MAX ? "the home directory is longer than 4,095 bytes"
				       : check_extra(e->extra);
}

static bool
add_entry(struct table *t, size_t *cap, const struct entry *e)
{
	if (t->n == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		struct entry *p = realloc(t->entries, more * sizeof(*p));

		if (!p)
			return false;
		t->entries = p;
		*cap = more;
	}
	t->entries[t->n++] = *e;
	return true;
}

/* Length of "{SCHEME}", or of crypt's "$6$". */
static size_t
scheme_n(struct pm_str h)
{
	const char *end = h.n > 0 && h.p[0] == '{' ? memchr(h.p, '}', h.n)
			  : h.n > 1                ? memchr(h.p + 1, '$', h.n - 1)
						   : NULL;

	return end ? (size_t)(end - h.p) + 1 : 0;
}

/* Boyer and Moore's majority vote: a hash of the commonest scheme, if one has more than half. */
static void
find_usual(struct table *t)
{
	size_t votes = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct pm_str h = t->entries[i].hash;
		size_t k = scheme_n(h);

		if (votes == 0)
			t->usual = h;
		if (k == scheme_n(t->usual) && memcmp(h.p, t->usual.p, k) == 0)
			votes++;
		else
			votes--;
	}
}

/* The first line that is none is *ret_line. */
static const char *
parse_lines(struct table *t, unsigned *ret_line)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8: some editors write one */
	const char *end = t->text + t->text_n, *why = NULL, *p = t->text;
	size_t cap = 0;

	*ret_line = 0;
	if (t->text_n >= 3 && memcmp(p, mark, 3) == 0)
		p += 3;
	while (p < end && !why) {
		const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;
		struct entry e = {0};

		++*ret_line;
		if (stop > p && stop[-1] == '\r')
			stop--;
		if (stop > p && *p != '#') {
			why = parse_line(p, stop, &e);
			if (!why && !add_entry(t, &cap, &e))
				why = no_memory;
		}
		p = lf ? lf + 1 : end;
	}
	return why;
}

/* An entry that is there twice, in a sorted table; or NULL. */
static const struct entry *
find_twin(const struct table *t)
{
	for (size_t i = 1; i < t->n; i++)
		if (table_same(&t->entries[i - 1], &t->entries[i]))
			return &t->entries[i];
	return NULL;
}

struct table *
table_parse(char *text, size_t n, char *err)
{
	struct table *t = calloc(1, sizeof(*t));
	const struct entry *twin = NULL;
	const char *why;
	unsigned line;

	if (!t) {
		explicit_bzero(text, n);
		free(text);
		snprintf(err, ERR, "%s", no_memory);
		errno = ENOMEM;
		return NULL;
	}
	atomic_store(&t->refs, 1);
	t->text = text;
	t->text_n = n;
	why = parse_lines(t, &line);
	table_sort(t);
	if (!why)
		twin = find_twin(t);
	if (why || twin) {
		if (why)
			snprintf(err, ERR, "line %u: %s", line, why);
		else
			snprintf(err, ERR, "user '%.*s' is there twice", (int)twin->name.n,
				 twin->name.p);
		table_put(t);
		errno = why == no_memory ? ENOMEM : EINVAL;
		return NULL;
	}
	find_usual(t);
	return t;
}

struct table *
table_ref(struct table *t)
{
	if (t)
		atomic_fetch_add(&t->refs, 1);
	return t;
}

void
table_put(struct table *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	if (t->text)
		explicit_bzero(t->text, t->text_n);
	free(t->text);
	free(t->entries);
	free(t);
}

const struct entry *
table_find(const struct table *t, const char *name, size_t n)
{
	struct entry key = {.name = {name, n}};

	return t->n > 0 ? bsearch(&key, t->entries, t->n, sizeof(key), table_compare) : NULL;
}

int
table_extra(struct pm_str *rest, struct pm_str *ret_key, struct pm_str *ret_value)
{
	const char *p = rest->p, *end = p + rest->n, *stop, *eq;

	while (p < end && *p == ' ')
		p++;
	if (p == end)
		return 0;
	stop = memchr(p, ' ', (size_t)(end - p));
	stop = stop ? stop : end;
	eq = memchr(p, '=', (size_t)(stop - p));
	*ret_key = (struct pm_str){p, (size_t)((eq ? eq : stop) - p)};
	*ret_value = (struct pm_str){eq ? eq + 1 : stop, eq ? (size_t)(stop - eq) - 1 : 0};
	*rest = (struct pm_str){stop, (size_t)(end - stop)};
	return 1;
}
