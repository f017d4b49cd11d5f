/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

size_t
sdk_lines_feed(struct sdk_lines *l, const char *in, size_t n, char *out)
{
	size_t o = 0;

	for (size_t k = 0; k < n; k++) {
		if (l->last_cr && (in[k] != '\n' || l->last_out == '\r'))
			out[o++] = l->last_out = '\r';
		l->last_cr = !l->crlf && in[k] == '\r';
		if (!l->last_cr)
			out[o++] = l->last_out = in[k];
	}
	return o;
}

size_t
sdk_lines_end(struct sdk_lines *l, char *out)
{
	if (!l->last_cr)
		return 0;
	l->last_cr = false;
	out[0] = l->last_out = '\r';
	return 1;
}
