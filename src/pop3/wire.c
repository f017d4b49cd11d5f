/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common case is a span without CR or LF: memchr finds it, memcpy moves it. A CR is held back
 * until the next byte shows whether it belongs to a line end; that byte may come with the next
 * piece, or never.
 */
#include "pop3/wire.h"

#include <string.h>

void
wire_init(struct wire *w, uint64_t body_lines)
{
	memset(w, 0, sizeof(*w));
	w->at_bol = true;
	w->lines_left = body_lines;
}

/* Bytes within a line; a dot at its beginning is doubled. */
static size_t
put_span(struct wire *w, const unsigned char *in, size_t n, char *out)
{
	size_t o = 0;

	if (n == 0)
		return 0;
	if (w->at_bol && in[0] == '.')
		out[o++] = '.'; /* RFC 1939 s3 */
	w->at_bol = false;
	memcpy(out + o, in, n);
	w->octets += n;
	return o + n;
}

/* Ends the line by CRLF and counts the lines for TOP. */
static size_t
put_end(struct wire *w, char *out)
{
	out[0] = '\r';
	out[1] = '\n';
	w->octets += 2;
	if (w->in_body) {
		if (w->lines_left != WIRE_ALL && --w->lines_left == 0)
			w->done = true;
	} else if (w->at_bol) {
		w->in_body = true; /* the blank line after the header */
		if (w->lines_left == 0)
			w->done = true;
	}
	w->at_bol = true;
	return 2;
}

/* The CR that was held back was data after all. */
static size_t
put_cr(struct wire *w, char *out)
{
	w->last_cr = false;
	return put_span(w, (const unsigned char *)"\r", 1, out);
}

/* The first CR or LF from p on. Each is searched for once per call, not once per line. */
struct seek {
	const unsigned char *cr, *lf, *end;
};

static const unsigned char *
seek_next(struct seek *s, const unsigned char *p)
{
	if (s->cr < p) {
		s->cr = memchr(p, '\r', (size_t)(s->end - p));
		if (!s->cr)
			s->cr = s->end;
	}
	if (s->lf < p) {
		s->lf = memchr(p, '\n', (size_t)(s->end - p));
		if (!s->lf)
			s->lf = s->end;
	}
	return s->cr < s->lf ? s->cr : s->lf;
}

size_t
wire_feed(struct wire *w, const void *in, size_t n, char *out, size_t cap)
{
	const unsigned char *p = in, *end = p + n;
	struct seek s = {p, p, end};
	size_t o = 0;

	(void)cap; /* the caller guarantees 2 * n + 2 */
	if (n == 0 || w->done)
		return 0;
	s.cr = memchr(p, '\r', n);
	s.lf = memchr(p, '\n', n);
	s.cr = s.cr ? s.cr : end;
	s.lf = s.lf ? s.lf : end;
	while (p < end && !w->done) {
		if (w->last_cr && *p != '\n') {
			o += put_cr(w, out + o);
			continue;
		}
		const unsigned char *stop = seek_next(&s, p);

		o += put_span(w, p, (size_t)(stop - p), out + o);
		p = stop;
		if (p == end)
			break;
		if (*p == '\n') {
			w->last_cr = false;
			o += put_end(w, out + o);
		} else {
			w->last_cr = true;
		}
		p++;
	}
	return o;
}

size_t
wire_end(struct wire *w, char *out, size_t cap)
{
	size_t o = 0;

	(void)cap; /* 8 bytes */
	if (!w->done) {
		if (w->last_cr)
			o += put_cr(w, out + o);
		if (!w->at_bol)
			o += put_end(w, out + o);
		if (!w->in_body && w->lines_left != WIRE_ALL)
			o += put_end(w, out + o); /* RFC 1939 s7: TOP sends the blank line */
	}
	w->done = true;
	memcpy(out + o, ".\r\n", 3);
	return o + 3;
}
