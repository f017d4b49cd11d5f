/* SPDX-License-Identifier: Apache-2.0 */
/* A passwd-file in memory: who is found is who stands there, and every field lies inside the file. */
#include "../../backends/auth/passwd/table.h"
#include "fuzz.h"

#define ERR 256

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

/* Lines that must have become accounts. */
static size_t
accounts(const uint8_t *data, size_t n)
{
	const uint8_t *end = data + n, *stop;
	size_t count = 0;

	for (const uint8_t *p = data; p < end; p = stop < end ? stop + 1 : end) {
		size_t len;

		for (stop = p; stop < end && *stop != '\n';)
			stop++;
		len = (size_t)(stop - p);
		if (len > 0 && p[len - 1] == '\r')
			len--;
		count += len > 0 && p[0] != '#';
	}
	return count;
}

static void
check_usual(const struct table *t)
{
	size_t i = 0;

	while (i < t->n && (t->entries[i].hash.p != t->usual.p || t->entries[i].hash.n != t->usual.n))
		i++;
	MUST(t->n == 0 ? t->usual.n == 0 : i < t->n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *err = fuzz_alloc(ERR);
	struct table *t;

	memset(err, 0, ERR);
	t = table_parse(fuzz_copy(data, n), n, err);
	if (t) {
		MUST(err[0] == '\0');
		MUST(t->n == accounts(data, n));
		for (size_t i = 0; i < t->n; i++)
			check_entry(t, i);
		check_usual(t);
		MUST(!table_find(t, "nobody:here", 11));
		MUST(!table_find(t, "", 0));
	} else {
		MUST(err[0] != '\0' && memchr(err, '\0', ERR));
	}
	table_put(t);
	free(err);
	return 0;
}
