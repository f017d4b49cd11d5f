/* SPDX-License-Identifier: Apache-2.0 */
/* A passwd-file in memory: exactly the users in it are found, and every field lies inside the
 * file. */
#include "../../backends/auth/passwd/table.h"

#include <stdbool.h>

#include "fuzz.h"

#define ERR 256
#define NAMES_MAX 256 /* this many names are compared pair by pair */

static void
inside(const struct table *t, struct pm_str s)
{
	MUST(s.p >= t->text && s.n <= t->text_n && s.p + s.n <= t->text + t->text_n);
	MUST(s.n == 0 || (!memchr(s.p, '\n', s.n) && !memchr(s.p, '\0', s.n)));
}

static void
check_extra(const struct table *t, struct pm_str rest)
{
	struct pm_str key, value;
	size_t left = rest.n + 1;

	while (table_extra(&rest, &key, &value)) {
		inside(t, key);
		inside(t, value);
		MUST(!memchr(key.p, ' ', key.n) && !memchr(value.p, ' ', value.n));
		MUST(rest.n + 1 < left);
		left = rest.n + 1;
	}
}

static void
check_entry(const struct table *t, size_t i)
{
	const struct entry *e = &t->entries[i];
	char *name = fuzz_copy(e->name.p, e->name.n);

	MUST(e->name.n >= 1 && e->name.n <= PM_NAME_MAX && e->home.n <= PM_PATH_MAX);
	MUST(!memchr(e->name.p, ':', e->name.n));
	inside(t, e->name);
	inside(t, e->hash);
	inside(t, e->uid);
	inside(t, e->gid);
	inside(t, e->home);
	inside(t, e->extra);
	MUST(table_find(t, name, e->name.n) == e);
	check_extra(t, e->extra);
	free(name);
}

/* ---- the model: which lines must be taken, and which refused --------------------------------- */

struct model {
	size_t accounts, bad;
	struct pm_str names[NAMES_MAX];
	bool twice;
};

static void
model_name(struct model *m, struct pm_str name)
{
	for (size_t i = 0; i < m->accounts && i < NAMES_MAX; i++)
		if (m->names[i].n == name.n && memcmp(m->names[i].p, name.p, name.n) == 0)
			m->twice = true;
	if (m->accounts < NAMES_MAX)
		m->names[m->accounts] = name;
	m->accounts++;
}

static void
model_line(struct model *m, const char *p, size_t n)
{
	const char *colon = memchr(p, ':', n);
	size_t field = 0, home = 0;

	if (!colon || memchr(p, '\0', n) || colon == p || colon - p > 320) {
		m->bad++;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (p[i] == ':')
			field++;
		else
			home += field == 5;
	}
	if (home > 4095)
		m->bad++;
	else
		model_name(m, (struct pm_str){p, (size_t)(colon - p)});
}

static void
model_file(struct model *m, const char *p, size_t n)
{
	const char *end = p + n, *stop;

	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	for (; p < end; p = stop < end ? stop + 1 : end) {
		size_t len;

		for (stop = p; stop < end && *stop != '\n';)
			stop++;
		len = (size_t)(stop - p);
		if (len > 0 && p[len - 1] == '\r')
			len--;
		if (len > 0 && p[0] != '#')
			model_line(m, p, len);
	}
}

static void
check_usual(const struct table *t)
{
	size_t i = 0;

	while (i < t->n &&
	       (t->entries[i].hash.p != t->usual.p || t->entries[i].hash.n != t->usual.n))
		i++;
	MUST(t->n == 0 ? t->usual.n == 0 : i < t->n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct model m;
	char *err = fuzz_alloc(ERR);
	struct table *t;

	memset(&m, 0, sizeof(m));
	memset(err, 0, ERR);
	model_file(&m, (const char *)data, n);
	t = table_parse(fuzz_copy(data, n), n, err);
	if (t) {
		MUST(err[0] == '\0' && m.bad == 0 && !m.twice);
		MUST(t->n == m.accounts);
		for (size_t i = 0; i < t->n; i++)
			check_entry(t, i);
		check_usual(t);
		MUST(!table_find(t, "nobody:here", 11));
		MUST(!table_find(t, "", 0));
	} else {
		MUST(err[0] != '\0' && memchr(err, '\0', ERR));
		MUST(m.bad > 0 || m.twice || m.accounts > NAMES_MAX);
	}
	table_put(t);
	free(err);
	return 0;
}
