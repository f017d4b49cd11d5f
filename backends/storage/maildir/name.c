/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files: arrival, base name, sizes, and the identities of their messages in the ledger. */
#include "name.h"

#include <stdio.h>
#include <string.h>

#include "maildir.h"
#include "snap.h"

void
name_path(const struct snap *s, const struct item *it, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/%s", it->in_new ? "new" : "cur", s->names + it->name);
}

size_t
name_base_length(const char *name)
{
	return strcspn(name, ",:");
}

const char *
name_identity(const struct snap *s, const struct item *it, char buf[IDENTITY_CAP], size_t *ret_n)
{
	*ret_n = it->base_n;
	if (it->number <= 1)
		return s->names + it->name;
	*ret_n = (size_t)snprintf(buf, IDENTITY_CAP, "%.*s,%u", (int)it->base_n,
				  s->names + it->name, it->number);
	return buf;
}

struct ledger_message *
name_known(struct ledger *l, const char *name, unsigned number)
{
	size_t n = name_base_length(name);
	char buf[IDENTITY_CAP];

	if (number == 1)
		return ledger_find(l, name, n);
	if (n >= 256 || ledger_files(l) == 0)
		return NULL; /* no name is shared */
	n = (size_t)snprintf(buf, sizeof(buf), "%.*s,%u", (int)n, name, number);
	return ledger_find(l, buf, n);
}

uint64_t
name_arrival(const char *name)
{
	uint64_t n = 0;

	for (const char *p = name; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	/* the caller makes milliseconds of it */
	return n < INT64_MAX / 1000 ? n : INT64_MAX / 1000;
}

bool
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
