/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

bool
num_parse(const char *p, size_t n, uint64_t max, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint64_t digit;

		if (p[i] < '0' || p[i] > '9')
			return false;
		digit = (uint64_t)(p[i] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (v > max)
		return false;
	*ret_value = v;
	return true;
}

size_t
num_format(char buf[20], uint64_t v)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	for (size_t i = 0; i < n; i++)
		buf[i] = digits[n - 1 - i];
	return n;
}
