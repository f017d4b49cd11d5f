/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/unstuff.h"

#include <string.h>

/* Inside a line only a CR matters. Returns how many octets were copied. */
static size_t
copy_text(const char *in, size_t n, char *out)
{
	const char *cr = memchr(in, '\r', n);
	size_t len = cr ? (size_t)(cr - in) : n;

	memcpy(out, in, len);
	return len;
}

static enum unstuff_at
unstuff_after(char c, bool behind_cr)
{
	return c == '\r' ? UNSTUFF_CR : c == '\n' && behind_cr ? UNSTUFF_BOL : UNSTUFF_TEXT;
}

size_t
unstuff_feed(struct unstuff *u, const char *in, size_t n, size_t *ret_used, char *out)
{
	size_t i = 0, o = 0;

	while (i < n && !u->ended) {
		char c = in[i];

		switch (u->at) {
		case UNSTUFF_TEXT: {
			size_t len = copy_text(in + i, n - i, out + o);

			i += len;
			o += len;
			if (i == n)
				continue;
			c = in[i];
			break;
		}
		case UNSTUFF_BOL:
			if (c == '.') {
				u->at = UNSTUFF_DOT;
				i++;
				continue;
			}
			break;
		case UNSTUFF_DOT: /* that dot was stuffing, or the end begins */
			if (c == '\r') {
				u->at = UNSTUFF_DOT_CR;
				i++;
				continue;
			}
			break;
		case UNSTUFF_DOT_CR:
			if (c == '\n') {
				u->ended = true;
				i++;
				continue;
			}
			out[o++] = '\r'; /* it was text after all */
			u->at = UNSTUFF_CR;
			continue;
		case UNSTUFF_CR:
			break;
		}
		u->at = unstuff_after(c, u->at == UNSTUFF_CR);
		out[o++] = c;
		i++;
	}
	*ret_used = i;
	return o;
}
