/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/stuff.h"

#include <string.h>

size_t
stuff_feed(struct stuff *s, const char *in, size_t n, char *out)
{
	size_t o = 0;

	for (size_t i = 0; i < n; i++) {
		char c = in[i];

		if (c == '.' && s->at == STUFF_BOL)
			out[o++] = '.';
		if (c == '\n' && s->at != STUFF_CR)
			out[o++] = '\r';
		out[o++] = c;
		s->at = c == '\n' ? STUFF_BOL : c == '\r' ? STUFF_CR : STUFF_TEXT;
	}
	return o;
}

size_t
stuff_end(const struct stuff *s, char out[STUFF_END])
{
	const char *end = s->at == STUFF_BOL  ? ".\r\n"
			  : s->at == STUFF_CR ? "\n.\r\n"
					      : "\r\n.\r\n";
	size_t n = strlen(end);

	memcpy(out, end, n);
	return n;
}
