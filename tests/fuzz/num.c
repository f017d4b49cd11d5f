/* SPDX-License-Identifier: Apache-2.0 */
/* num_parse against a model in 128 bits; num_format against printf, and back. First byte: the
 * maximum. */
#include <inttypes.h>
#include <stdbool.h>

#include "base/num.h"
#include "fuzz.h"

static bool
model(const uint8_t *p, size_t n, uint64_t max, uint64_t *ret)
{
	unsigned __int128 v = 0;

	for (size_t i = 0; i < n; i++) {
		if (!memchr("0123456789", p[i], 10))
			return false;
		v = v * 10 + (unsigned)(p[i] - '0');
		if (v > UINT64_MAX)
			v = (unsigned __int128)UINT64_MAX +
			    1; /* a value far too large stays too large */
	}
	*ret = (uint64_t)v;
	return n > 0 && v <= max;
}

static void
check_parse(const uint8_t *p, size_t n, uint64_t max)
{
	char *text = fuzz_copy(p, n);
	uint64_t want = 0, got = 0;
	bool ok = model(p, n, max, &want);

	MUST(num_parse(text, n, max, &got) == ok);
	MUST(!ok || got == want);
	/* the value itself is the least maximum */
	MUST(!ok || num_parse(text, n, want, &got));
	MUST(!ok || want == 0 || !num_parse(text, n, want - 1, &got));
	free(text);
}

static void
check_format(uint64_t v)
{
	char want[24], got[20];
	size_t n = num_format(got, v);
	uint64_t back = ~v;

	MUST(n == (size_t)snprintf(want, sizeof(want), "%" PRIu64, v));
	MUST(memcmp(got, want, n) == 0);
	MUST(num_parse(got, n, UINT64_MAX, &back) && back == v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint64_t maxima[8] = {
		0, 1, 255, 65535, UINT32_MAX, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
	uint64_t v = 0;

	if (n == 0)
		return 0;
	check_parse(data + 1, n - 1, maxima[data[0] & 7]);
	memcpy(&v, data + 1, n - 1 < sizeof(v) ? n - 1 : sizeof(v));
	check_format(v);
	check_format(v % 1000);
	return 0;
}
