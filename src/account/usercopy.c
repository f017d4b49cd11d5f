/* SPDX-License-Identifier: Apache-2.0 */
#include "account/usercopy.h"

#include <stdint.h>
#include <string.h>

/* The strings that are members themselves. */
static const size_t members[] = {
	offsetof(struct pm_user, name),       offsetof(struct pm_user, key),
	offsetof(struct pm_user, section),    offsetof(struct pm_user, domain),
	offsetof(struct pm_user, cred_id),    offsetof(struct pm_user, cred_label),
	offsetof(struct pm_user, sasl_error),
};
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static struct pm_str
member_get(const struct pm_user *u, size_t i)
{
	struct pm_str s;

	memcpy(&s, (const char *)u + members[i], sizeof(s));
	return s;
}

static size_t
usercopy_add(size_t a, size_t b)
{
	return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

size_t
user_bytes(const struct pm_user *u)
{
	size_t n = usercopy_add(u->n_targets * sizeof(*u->targets), u->n_attr * sizeof(*u->attr));

	for (size_t i = 0; i < N_MEMBERS; i++)
		n = usercopy_add(n, member_get(u, i).n);
	for (uint32_t i = 0; i < u->n_targets; i++)
		n = usercopy_add(n, u->targets[i].n);
	for (uint32_t i = 0; i < u->n_attr; i++)
		n = usercopy_add(n, usercopy_add(u->attr[i].key.n, u->attr[i].value.n));
	return n;
}

static struct pm_str
usercopy_put(char **at, struct pm_str s)
{
	struct pm_str copy = {*at, s.n};

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

void
user_pack(const struct pm_user *u, void *mem, struct pm_user *ret)
{
	struct pm_str *targets = mem;
	struct pm_attr *attr = (struct pm_attr *)(void *)(targets + u->n_targets);
	char *at = (char *)(attr + u->n_attr);

	*ret = *u;
	for (size_t i = 0; i < N_MEMBERS; i++) {
		struct pm_str s = usercopy_put(&at, member_get(u, i));

		memcpy((char *)ret + members[i], &s, sizeof(s));
	}
	for (uint32_t i = 0; i < u->n_targets; i++)
		targets[i] = usercopy_put(&at, u->targets[i]);
	for (uint32_t i = 0; i < u->n_attr; i++)
		attr[i] = (struct pm_attr){usercopy_put(&at, u->attr[i].key),
					   usercopy_put(&at, u->attr[i].value)};
	ret->targets = u->n_targets > 0 ? targets : NULL;
	ret->attr = u->n_attr > 0 ? attr : NULL;
}
