/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire against a model that takes the message line by line; whole, byte by byte, in pieces, and in
 * two at every place. The SDK's counting must come to the same octets. First byte: TOP's lines,
 * counted from '0'.
 */
#include <stdbool.h>

#include "fuzz.h"
#include "pop3/wire.h"
#include "sdk/octets.h"

#define ALL_CUTS 48 /* messages up to this many bytes are cut in two everywhere */

struct sent {
	struct fuzz_text text;
	uint64_t octets;
	bool body; /* after the header's blank line */
};

static void
model_line(struct sent *s, const uint8_t *p, size_t n)
{
	if (n > 0 && p[0] == '.')
		fuzz_puts(&s->text, ".");
	fuzz_put(&s->text, p, n);
	fuzz_puts(&s->text, "\r\n");
	s->octets += n + 2;
}

static void
model(struct sent *s, const uint8_t *p, size_t n, uint64_t body_lines)
{
	const uint8_t *end = p + n;
	uint64_t left = body_lines;

	while (p < end && (!s->body || left > 0)) {
		const uint8_t *stop = p, *next;

		while (stop < end && *stop != '\n')
			stop++;
		next = stop < end ? stop + 1 : end;
		if (stop < end && stop > p && stop[-1] == '\r')
			stop--; /* of a line end; a CR anywhere else is text */
		model_line(s, p, (size_t)(stop - p));
		if (s->body)
			left--;
		else
			s->body = stop == p && stop < end;
		p = next;
	}
	if (!s->body && body_lines != WIRE_ALL)
		model_line(s, p, 0);
	fuzz_puts(&s->text, ".\r\n");
}

static void
feed(struct wire *w, struct sent *s, const uint8_t *p, size_t n)
{
	uint8_t *in = fuzz_copy(p, n);
	char *out = fuzz_alloc(2 * n + 2);
	int done = w->done;
	size_t put = wire_feed(w, in, n, out, 2 * n + 2);

	MUST(put <= 2 * n + 2);
	MUST(!done || put == 0);
	fuzz_put(&s->text, out, put);
	free(out);
	free(in);
}

static void
finish(struct wire *w, struct sent *s)
{
	char *out = fuzz_alloc(8);
	size_t put = wire_end(w, out, 8);

	MUST(put >= 3 && put <= 8);
	fuzz_put(&s->text, out, put);
	s->octets = w->octets;
	free(out);
}

static void
check(struct sent *got, const struct sent *want)
{
	MUST(fuzz_same(&got->text, &want->text));
	MUST(got->octets == want->octets);
	fuzz_text_free(&got->text);
}

static void
check_cuts(const uint8_t *p, size_t n, uint64_t body_lines)
{
	struct sent want = {0};
	struct wire w;

	model(&want, p, n, body_lines);
	for (enum fuzz_cut how = FUZZ_WHOLE; how < FUZZ_CUTS; how++) {
		struct sent got = {0};
		size_t piece;

		wire_init(&w, body_lines);
		for (size_t at = 0; at < n; at += piece)
			feed(&w, &got, p + at, piece = fuzz_piece(how, p + at, n - at));
		finish(&w, &got);
		check(&got, &want);
	}
	for (size_t cut = 0; n <= ALL_CUTS && cut <= n; cut++) {
		struct sent got = {0};

		wire_init(&w, body_lines);
		feed(&w, &got, p, cut);
		feed(&w, &got, p + cut, n - cut);
		finish(&w, &got);
		check(&got, &want);
	}
	fuzz_text_free(&want.text);
}

/* Modules count the octets for LIST, the server those that RETR sends: the numbers are equal. */
static void
check_octets(const uint8_t *p, size_t n)
{
	struct sent want = {0};

	model(&want, p, n, WIRE_ALL);
	for (enum fuzz_cut how = FUZZ_WHOLE; how < FUZZ_CUTS; how++) {
		struct sdk_octets o;
		size_t piece;

		sdk_octets_init(&o);
		for (size_t at = 0; at < n; at += piece) {
			piece = fuzz_piece(how, p + at, n - at);
			sdk_octets_feed(&o, p + at, piece);
		}
		MUST(sdk_octets_total(&o) == want.octets);
		MUST(o.header_done == want.body);
	}
	fuzz_text_free(&want.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n == 0)
		return 0;
	check_cuts(data + 1, n - 1, WIRE_ALL);
	check_cuts(data + 1, n - 1, (uint8_t)(data[0] - '0'));
	check_octets(data + 1, n - 1);
	return 0;
}
