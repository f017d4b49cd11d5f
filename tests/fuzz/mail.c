/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The octets that follow DATA, or those of BDAT chunks, whole and in pieces: the result is always
 * the same, and that of a model which looks for CRLF.CRLF in the whole. First byte, lowest bit:
 * BDAT (no dots).
 */
#include <stdbool.h>

#include "fuzz.h"
#include "smtp/content.h"
#include "smtp/unstuff.h"

struct outcome {
	struct fuzz_text text, loops;
	struct content content;
	size_t used;
	bool ended;
};

static void
delivered_to(void *ctx, const char *p, size_t n)
{
	MUST(n > 0 && n <= CONTENT_FIELD_MAX);
	fuzz_put(ctx, p, n);
	fuzz_puts(ctx, "\n");
}

/* One piece, as intake.c moves it. */
static void
feed(struct outcome *o, struct unstuff *u, bool dots, const uint8_t *data, size_t n)
{
	char *in = fuzz_copy(data, n), *text = fuzz_alloc(n + 1), *out = fuzz_alloc(2 * (n + 1));
	size_t used = n, len = n;

	if (dots)
		len = unstuff_feed(u, in, n, &used, text);
	MUST(used <= n && len <= n + 1 && (used == n || u->ended));
	len = content_feed(&o->content, dots ? text : in, len, out);
	fuzz_put(&o->text, out, len);
	o->used += used;
	o->ended = u->ended;
	free(in);
	free(text);
	free(out);
}

static void
run(struct outcome *o, bool dots, enum fuzz_cut how, const uint8_t *data, size_t n)
{
	struct unstuff u = {0};
	char end[2];
	size_t piece;

	memset(o, 0, sizeof(*o));
	o->content.delivered_to = delivered_to;
	o->content.ctx = &o->loops;
	for (size_t at = 0; at < n && !o->ended; at += piece)
		feed(o, &u, dots, data + at, piece = fuzz_piece(how, data + at, n - at));
	fuzz_put(&o->text, end, content_end(&o->content, end));
	MUST(o->content.octets == o->text.n);
}

/* ---- the model ------------------------------------------------------------------------------- */

/* Where the message ends in data; n: it does not end. */
static size_t
model_end(const uint8_t *data, size_t n)
{
	if (n >= 3 && memcmp(data, ".\r\n", 3) == 0)
		return 0;
	for (size_t i = 0; i + 5 <= n; i++)
		if (memcmp(data + i, "\r\n.\r\n", 5) == 0)
			return i + 2;
	return n;
}

static void
model_text(struct fuzz_text *t, bool dots, const uint8_t *data, size_t n)
{
	bool bol = true;

	for (size_t i = 0; i < n; i++) {
		bool cr = i > 0 && data[i - 1] == '\r';

		/* a dot is held back until the next octet is known: it may be the end */
		if (dots && bol && data[i] == '.') {
			bol = false;
			continue;
		}
		bol = data[i] == '\n' && cr;
		if (data[i] == '\n' && !cr)
			fuzz_puts(t, "\r");
		fuzz_put(t, data + i, 1);
	}
	if (t->n > 0 && !(t->n >= 2 && memcmp(t->p + t->n - 2, "\r\n", 2) == 0))
		fuzz_puts(t, "\r\n");
}

static void
check_model(const struct outcome *o, bool dots, const uint8_t *data, size_t n)
{
	size_t end = dots ? model_end(data, n) : n;
	struct fuzz_text t = {0};

	MUST(o->ended == (dots && end < n));
	if (dots && !o->ended)
		return; /* cut off: none of it is delivered */
	MUST(o->used == (o->ended ? end + 3 : n));
	model_text(&t, dots, data, end);
	MUST(fuzz_same(&t, &o->text));
	fuzz_text_free(&t);
}

/* No message that goes to a store has a bare LF, or a last line without an end. */
static void
check_text(const struct outcome *o)
{
	for (size_t i = 0; i < o->text.n; i++)
		MUST(o->text.p[i] != '\n' || (i > 0 && o->text.p[i - 1] == '\r'));
	MUST(o->text.n == 0 || o->text.p[o->text.n - 1] == '\n');
	MUST(content_header(&o->content) <= o->content.octets + 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct outcome o[FUZZ_CUTS];

	if (n == 0)
		return 0;
	for (enum fuzz_cut how = FUZZ_WHOLE; how < FUZZ_CUTS; how++) {
		run(&o[how], !(data[0] & 1), how, data + 1, n - 1);
		MUST(fuzz_same(&o[how].text, &o[FUZZ_WHOLE].text) &&
		     fuzz_same(&o[how].loops, &o[FUZZ_WHOLE].loops));
		MUST(o[how].used == o[FUZZ_WHOLE].used && o[how].ended == o[FUZZ_WHOLE].ended);
		MUST(o[how].content.seen == o[FUZZ_WHOLE].content.seen);
		MUST(o[how].content.received == o[FUZZ_WHOLE].content.received);
		MUST(content_header(&o[how].content) == content_header(&o[FUZZ_WHOLE].content));
	}
	check_text(&o[FUZZ_WHOLE]);
	check_model(&o[FUZZ_WHOLE], !(data[0] & 1), data + 1, n - 1);
	for (enum fuzz_cut how = FUZZ_WHOLE; how < FUZZ_CUTS; how++) {
		fuzz_text_free(&o[how].text);
		fuzz_text_free(&o[how].loops);
	}
	return 0;
}
