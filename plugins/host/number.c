/* SPDX-License-Identifier: Apache-2.0 */
#include "number.h"

#include <string.h>
#include <strings.h>

struct suffix {
	const char *text;
	int64_t factor;
};

/* In the base unit: ms, s, or bytes. */
static const struct suffix ms_suffix[] = {{"ms", 1},      {"s", 1000},    {"m", 60000},
					  {"min", 60000}, {"h", 3600000}, {"d", 86400000},
					  {NULL, 0}};
static const struct suffix s_suffix[] = {{"s", 1},     {"m", 60},     {"min", 60}, {"h", 3600},
					 {"d", 86400}, {"w", 604800}, {NULL, 0}};
static const struct suffix byte_suffix[] = {
	{"k", 1024}, {"m", 1048576}, {"g", 1073741824}, {NULL, 0}};

bool
host_parse_number(const char *text, const char *unit, int64_t *ret)
{
	const struct suffix *s = strcmp(unit, "ms") == 0      ? ms_suffix
				 : strcmp(unit, "s") == 0     ? s_suffix
				 : strcmp(unit, "bytes") == 0 ? byte_suffix
							      : NULL;
	int64_t v = 0, factor = 1;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
			return false;
	if (p == text)
		return false;
	while (*p == ' ')
		p++;
	if (*p) {
		while (s && s->text && strcasecmp(s->text, p) != 0)
			s++;
		if (!s || !s->text)
			return false;
		factor = s->factor;
	}
	if (__builtin_mul_overflow(v, factor, &v))
		return false;
	*ret = v;
	return true;
}
