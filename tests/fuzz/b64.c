/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is encoded and decoded again, and is decoded as if it were base64: accepted text must
 * be the only encoding of its value, and refused text must be wrong for a model that knows nothing
 * of groups of four.
 */
#include <stdbool.h>

#include "base/b64.h"
#include "fuzz.h"

/* All bits one after another; false: no base64 of RFC 4648 section 4, or not its canonical form. */
static bool
model(const uint8_t *p, size_t n, uint8_t *out, size_t *ret_n)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t chars = n, bits, whole;

	while (chars > 0 && n - chars < 2 && p[chars - 1] == '=')
		chars--;
	bits = chars * 6;
	whole = bits / 8 * 8;
	memset(out, 0, n);
	for (size_t i = 0; i < bits; i++) {
		const char *at = memchr(alphabet, p[i / 6], 64);

		if (!at)
			return false;
		if (!((at - alphabet) >> (5 - i % 6) & 1))
			continue;
		if (i >= whole)
			return false;
		out[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	*ret_n = whole / 8;
	return n % 4 == 0 && (chars + 3) / 4 == n / 4 && bits - whole < 6;
}

static void
check_decode(const uint8_t *data, size_t n)
{
	uint8_t *want = fuzz_alloc(n), *got;
	char *text = fuzz_copy(data, n), *again;
	size_t want_n = 0, got_n = 0;
	bool ok = model(data, n, want, &want_n);

	got = fuzz_alloc(ok ? want_n : B64_DECODED_MAX(n));
	MUST(b64_decode(text, n, got, ok ? want_n : B64_DECODED_MAX(n), &got_n) == ok);
	if (ok) {
		MUST(got_n == want_n && memcmp(got, want, got_n) == 0);
		MUST(B64_ENCODED(got_n) == n);
		again = fuzz_alloc(n);
		MUST(b64_encode(got, got_n, again) == n && memcmp(again, data, n) == 0);
		free(again);
		MUST(want_n == 0 || !b64_decode(text, n, got, want_n - 1, &got_n));
	}
	free(got);
	free(want);
	free(text);
}

static void
check_encode(const uint8_t *data, size_t n)
{
	char *text = fuzz_alloc(B64_ENCODED(n));
	uint8_t *back = fuzz_alloc(n);
	size_t back_n = 0;

	MUST(b64_encode(data, n, text) == B64_ENCODED(n));
	MUST(B64_DECODED_MAX(B64_ENCODED(n)) >= n);
	MUST(b64_decode(text, B64_ENCODED(n), back, n, &back_n));
	MUST(back_n == n && memcmp(back, data, n) == 0);
	free(back);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check_encode(data, n);
	check_decode(data, n);
	return 0;
}
