/* SPDX-License-Identifier: Apache-2.0 */
#include "path_fit.h"

#include <string.h>

static const char letters[] = "undkh";

static size_t
fit_letter(char c)
{
	return (size_t)(strchr(letters, c) - letters);
}

bool
fit_name(const char *pattern, const char *end, const char *name, size_t n, struct fit *ret)
{
	if (pattern == end)
		return n == 0;
	if (*pattern != '%')
		return n > 0 && *name == *pattern &&
		       fit_name(pattern + 1, end, name + 1, n - 1, ret);
	for (size_t k = 1; k <= n; k++) {
		if (!fit_name(pattern + 2, end, name + k, n - k, ret))
			continue;
		ret->of[fit_letter(pattern[1])] = (struct pm_str){name, k};
		return true;
	}
	return false;
}

size_t
fit_key(const struct fit *f, char key[PM_KEY_MAX])
{
	struct pm_str u = f->of[0], n = f->of[1], d = f->of[2], k = f->of[3];
	struct pm_str first = k.n   ? k
			      : u.n ? u
				    : n,
		      domain = k.n || u.n ? (struct pm_str){NULL, 0} : d;
	size_t len = first.n + (domain.n ? domain.n + 1 : 0);

	if (first.n == 0 || len > PM_KEY_MAX)
		return 0;
	memcpy(key, first.p, first.n);
	if (domain.n > 0) {
		key[first.n] = '@';
		memcpy(key + first.n + 1, domain.p, domain.n);
	}
	return len;
}
