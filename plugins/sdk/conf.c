/* SPDX-License-Identifier: Apache-2.0 */
#include "conf.h"

#include <stdlib.h>
#include <string.h>

struct pm_str
sdk_str(const char *s)
{
	return (struct pm_str){s, s ? strlen(s) : 0};
}

bool
sdk_str_is(struct pm_str a, const char *s)
{
	return a.n == strlen(s) && (a.n == 0 || memcmp(a.p, s, a.n) == 0);
}

char *
sdk_strdup(struct pm_str a)
{
	char *copy = malloc(a.n + 1);

	if (!copy)
		return NULL;
	if (a.n > 0)
		memcpy(copy, a.p, a.n);
	copy[a.n] = '\0';
	return copy;
}

struct pm_str
sdk_call_dup(const struct pm_call *call, const char *p, size_t n)
{
	char *copy = call->alloc(call, n + 1);

	if (!copy)
		return (struct pm_str){NULL, 0};
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return (struct pm_str){copy, n};
}

const struct pm_value *
sdk_opt(const struct pm_open *open, const char *key, uint32_t i)
{
	const char *at = (const char *)open->options;

	for (uint32_t k = 0; k < open->n_options; k++, at += open->option_stride) {
		const struct pm_value *v = (const struct pm_value *)(const void *)at;

		if (sdk_str_is(v->key, key) && i-- == 0)
			return v;
	}
	return NULL;
}

struct pm_str
sdk_opt_str(const struct pm_open *open, const char *key)
{
	const struct pm_value *v = sdk_opt(open, key, 0);

	return v ? v->str : (struct pm_str){NULL, 0};
}

int64_t
sdk_opt_num(const struct pm_open *open, const char *key, int64_t dflt)
{
	const struct pm_value *v = sdk_opt(open, key, 0);

	return v ? v->num : dflt;
}

bool
sdk_bit(const uint8_t *map, uint64_t i)
{
	return map && (map[i / 8] >> (i % 8) & 1);
}

int64_t
sdk_left_ms(const struct pm_host *host, const struct pm_call *call)
{
	int64_t left = call->deadline_ms - host->now_ms(host->ctx);

	return left > 0 ? left : 0;
}
