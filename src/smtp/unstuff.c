/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/unstuff.h"

#include <string.h>

/* Inside a line only a CR matters: copies up to it, and it. Returns how many octets that were. */
static size_t
copy_text(struct unstuff *u, const char *in, size_t n, char *out)
{
	const char *cr = memchr(in, '\r', n);
	size_t len = cr ? (size_t)(cr - in) + 1 : n;

	if (cr)
		u->at = UNSTUFF_CR;
	memcpy(out, in, len);
	return len;
}

static enum unstuff_at
unstuff_after(char c, bool after_cr)
{
	return c == '\r' ? UNSTUFF_CR : c == '\n' && after_cr ? UNSTUFF_BOL : UNSTUFF_TEXT;
}

/* From the beginning of a line on. True: the octet belongs to a dot that is not text, and goes. */
static bool
unstuff_is_dot(struct unstuff *u, char c)
{
	switch (u->at) {
	case UNSTUFF_BOL:
		if (c == '.')
			u->at = UNSTUFF_DOT;
		return c == '.';
	case UNSTUFF_DOT: /* that dot was stuffing, or the end begins */
		if (c == '\r')
			u->at = UNSTUFF_DOT_CR;
		return c == '\r';
	case UNSTUFF_DOT_CR:
		u->ended = c == '\n';
		return u->ended;
	default:
		return false;
	}
}

size_t
unstuff_feed(struct unstuff *u, const char *in, size_t n, size_t *ret_used, char *out)
{
	size_t i = 0, o = 0;

	while (i < n && !u->ended) {
		if (u->at == UNSTUFF_TEXT) {
			size_t len = copy_text(u, in + i, n - i, out + o);

			i += len;
			o += len;
			continue;
		}
		if (unstuff_is_dot(u, in[i])) {
			i++;
			continue;
		}
		if (u->at == UNSTUFF_DOT_CR) {
			out[o++] = '\r'; /* it was text after all */
			u->at = UNSTUFF_CR;
		}
		u->at = unstuff_after(in[i], u->at == UNSTUFF_CR);
		out[o++] = in[i++];
	}
	*ret_used = i;
	return o;
}
