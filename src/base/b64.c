/* SPDX-License-Identifier: Apache-2.0 */
#include "base/b64.h"

#include <stdint.h>

static const char alphabet[64] = {
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"};

/* 0..63, or -1. */
static int
b64_value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
b64_decode(const char *p, size_t n, unsigned char *ret_out, size_t cap, size_t *ret_n)
{
	size_t out = 0, pad = 0;

	if (n % 4 != 0)
		return false;
	if (n > 0 && p[n - 1] == '=')
		pad = p[n - 2] == '=' ? 2 : 1;
	if (n / 4 * 3 - pad > cap)
		return false;
	for (size_t i = 0; i < n; i += 4) {
		size_t chars = i + 4 == n ? 4 - pad : 4;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int x = k < chars ? b64_value_of(p[i + k]) : 0;

			if (x < 0)
				return false;
			v = v << 6 | (uint32_t)x;
		}
		/* bits that padding cuts off must be zero: one text per value */
		if ((chars == 3 && (v & 0xff)) || (chars == 2 && (v & 0xffff)))
			return false;
		for (size_t k = 0; k + 1 < chars; k++)
			ret_out[out++] = (unsigned char)(v >> (16 - 8 * k) & 0xff);
	}
	*ret_n = out;
	return true;
}

size_t
b64_encode(const void *p, size_t n, char *ret_out)
{
	const unsigned char *in = p;
	size_t out = 0;

	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t v = (uint32_t)in[i] << 16;

		if (have > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (have > 2)
			v |= in[i + 2];
		ret_out[out++] = alphabet[v >> 18];
		ret_out[out++] = alphabet[v >> 12 & 63];
		ret_out[out++] = have > 1 ? alphabet[v >> 6 & 63] : '=';
		ret_out[out++] = have > 2 ? alphabet[v & 63] : '=';
	}
	return out;
}
