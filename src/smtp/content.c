/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/content.h"

#include <string.h>
#include <strings.h>

/* Is this the field `name`, colon included? *ret: where its value begins. */
static bool
field_is(const struct content *c, const char *name, size_t *ret)
{
	size_t n = strlen(name);

	if (c->field_n <= n || strncasecmp(c->field, name, n) != 0)
		return false;
	while (n < c->field_n && (c->field[n] == ' ' || c->field[n] == '\t'))
		n++;
	*ret = n + 1;
	return n < c->field_n && c->field[n] == ':';
}

static void
tell_delivered_to(struct content *c, size_t from)
{
	size_t to = c->field_n;

	while (from < to && strchr(" \t<", c->field[from]))
		from++;
	while (to > from && strchr(" \t>", c->field[to - 1]))
		to--;
	if (to > from && c->received > 0 && c->delivered_to)
		c->delivered_to(c->ctx, c->field + from, to - from);
}

/* A header field is whole, folded lines included (or as much of it as counts). */
static void
field_over(struct content *c)
{
	size_t at;

	if (c->field_n == 0)
		return;
	if (c->field[0] == ' ' || c->field[0] == '\t')
		; /* folded, and there is nothing above it */
	else if (!memchr(c->field, ':', c->field_n))
		c->body = true; /* no field: the body begins without an empty line */
	else if (field_is(c, "Received", &at))
		c->received++;
	else if (field_is(c, "Delivered-To", &at))
		tell_delivered_to(c, at);
	c->field_n = 0;
}

static void
line_over(struct content *c)
{
	if (!c->body)
		c->header_octets += c->line_octets + 2;
	if (!c->body && c->line_octets == 0) {
		field_over(c);
		c->body = true;
	}
	c->line_octets = 0;
}

/* Octets of one line, at least one, without CR and LF, or a bare CR. */
static void
text_run(struct content *c, const char *p, size_t n)
{
	unsigned char all = 0;

	for (size_t i = 0; i < n; i++)
		all |= (unsigned char)p[i];
	if (all & 0x80)
		c->seen |= CONTENT_EIGHT_BIT;
	if (memchr(p, '\0', n))
		c->seen |= CONTENT_NUL;
	if (c->line_octets == 0 && *p != ' ' && *p != '\t')
		field_over(c);
	c->line_octets += n;
	if (c->line_octets > CONTENT_LINE_MAX)
		c->seen |= CONTENT_LONG_LINE;
	if (!c->body) {
		size_t room = CONTENT_FIELD_MAX - c->field_n, part = n < room ? n : room;

		memcpy(c->field + c->field_n, p, part);
		c->field_n += part;
	}
}

/* A CR without an LF after it. */
static void
bare_cr(struct content *c)
{
	c->seen |= CONTENT_BARE_CR;
	text_run(c, "\r", 1);
	c->cr = false;
}

/* Octets before the next CR or LF. */
static size_t
run_length(const char *p, size_t n)
{
	size_t k = 0;

	while (k < n && p[k] != '\n' && p[k] != '\r')
		k++;
	return k;
}

static size_t
content_take(struct content *c, const char *in, size_t n, char *out)
{
	size_t o = 0, run;

	for (size_t i = 0; i<n; i += run> 0 ? run : 1) {
		run = run_length(in + i, n - i);
		if (c->cr && in[i] != '\n')
			bare_cr(c);
		if (run > 0) {
			text_run(c, in + i, run);
			memcpy(out + o, in + i, run);
			o += run;
		} else if (in[i] == '\r') {
			c->cr = true;
			out[o++] = '\r';
		} else {
			if (!c->cr) {
				c->seen |= CONTENT_BARE_LF;
				out[o++] = '\r';
			}
			out[o++] = '\n';
			c->cr = false;
			line_over(c);
		}
	}
	return o;
}

size_t
content_feed(struct content *c, const char *in, size_t n, char *out)
{
	size_t o = content_take(c, in, n, out);

	c->octets += o;
	return o;
}

uint64_t
content_header(const struct content *c)
{
	return c->header_octets + (c->body ? 0 : c->line_octets);
}

size_t
content_end(struct content *c, char *out)
{
	size_t o = 0;

	if (c->cr)
		bare_cr(c);
	if (c->line_octets > 0) {
		out[o++] = '\r';
		out[o++] = '\n';
		line_over(c);
		c->octets += o;
	}
	field_over(c);
	return o;
}
