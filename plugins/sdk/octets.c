/* SPDX-License-Identifier: Apache-2.0 */
#include "octets.h"

#include <string.h>

void
sdk_octets_init(struct sdk_octets *o)
{
	memset(o, 0, sizeof(*o));
	o->at_bol = true;
}

/* The header ends at the first empty line. Byte by byte, but headers are short. */
static size_t
feed_header(struct sdk_octets *o, const unsigned char *p, size_t n)
{
	size_t i = 0;

	for (; i < n && !o->header_done; i++) {
		if (p[i] == '\n') {
			o->header_done = o->at_bol;
			o->at_bol = true;
		} else if (p[i] != '\r' || o->header_cr) {
			o->at_bol = false; /* a CR is data unless it belongs to the line end */
		}
		o->header_cr = p[i] == '\r';
		if (p[i] & 0x80)
			o->utf8_header = true;
	}
	return i;
}

void
sdk_octets_feed(struct sdk_octets *o, const void *p, size_t n)
{
	const unsigned char *in = p, *end = in + n;

	if (n == 0)
		return;
	if (!o->header_done)
		(void)feed_header(o, in, n);
	for (const unsigned char *at = in; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;
	     at++)
		if (at > in ? at[-1] != '\r' : !o->last_cr)
			o->bare_lf++;
	o->stored += n;
	o->last_cr = end[-1] == '\r';
	o->last_lf = end[-1] == '\n';
}

uint64_t
sdk_octets_total(const struct sdk_octets *o)
{
	return o->stored + o->bare_lf + (o->stored > 0 && !o->last_lf ? 2 : 0);
}
