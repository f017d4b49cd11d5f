/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring that collects lines, then parse; with the input whole and in pieces: the outcomes must
 * be the same, one for each line, and those of a model. The two low bits of the first byte choose:
 * commands; SASL responses of 255 octets; of 1,024; AUTH and a response as long as the ring takes,
 * as in a session.
 */
#include <stdbool.h>
#include <strings.h>

#include "fuzz.h"
#include "net/stream.h"
#include "pop3/parse.h"

#define RING 4096
#define SASL_MAX (RING - 1)

struct feeder {
	struct task task;
	struct stream io;
	unsigned mode;
	bool auth; /* mode 3: the next line is a response */
	size_t lines;
	struct fuzz_text log;
};

/* ---- the model: a whole line without its LF -------------------------------------------------- */

static bool
long_verb(const char *s, size_t n)
{
	return n >= 4 && (n == 4 || s[4] == ' ') &&
	       (strncasecmp(s, "PASS", 4) == 0 || strncasecmp(s, "AUTH", 4) == 0);
}

static enum parse_result
model(const char *s, size_t n, size_t line_max)
{
	size_t octets = n + 1;
	bool pass;

	if (octets > (line_max ? line_max : PARSE_LINE_MAX))
		return PARSE_TOO_LONG;
	if (n > 0 && memchr(s, '\0', n))
		return PARSE_NUL;
	if (n > 0 && s[n - 1] == '\r')
		n--;
	if (line_max)
		return PARSE_RESPONSE;
	if (n == 0)
		return PARSE_BAD;
	if (octets > PARSE_COMMAND_MAX && !long_verb(s, n))
		return PARSE_TOO_LONG;
	pass = long_verb(s, n) && strncasecmp(s, "PASS", 4) == 0;
	for (size_t i = 0; i < n && !pass; i++)
		if ((uint8_t)s[i] < 0x20 || s[i] == 0x7f)
			return PARSE_BAD;
	return PARSE_COMMAND;
}

/* ---- what came out --------------------------------------------------------------------------- */

/* It points into the line. */
static void
log_piece(struct feeder *f, const char *line, size_t line_n, const char *p, size_t n)
{
	if (n > 0)
		MUST(p >= line && n <= line_n && p + n <= line + line_n);
	fuzz_put(&f->log, &n, sizeof(n));
	fuzz_put(&f->log, p, n);
}

static void
log_result(struct feeder *f, enum parse_result r, const struct command *c, const char *line,
	   size_t n)
{
	f->lines++;
	fuzz_put(&f->log, &r, sizeof(r));
	if (r != PARSE_COMMAND && r != PARSE_RESPONSE)
		return;
	log_piece(f, line, n, c->rest.p, c->rest.n);
	MUST(c->rest.n == 0 || !memchr(c->rest.p, '\0', c->rest.n));
	if (r == PARSE_RESPONSE)
		return;
	MUST(c->verb < VERB_MAX && c->argc <= 2);
	fuzz_put(&f->log, &c->verb, sizeof(c->verb));
	fuzz_put(&f->log, &c->too_many, sizeof(c->too_many));
	for (unsigned i = 0; i < c->argc; i++) {
		log_piece(f, line, n, c->arg[i].p, c->arg[i].n);
		if (c->verb != VERB_PASS && c->verb != VERB_USER)
			MUST(c->arg[i].n > 0 && !memchr(c->arg[i].p, ' ', c->arg[i].n));
	}
}

static enum parse_result
parse(struct feeder *f, const char *line, size_t n, struct command *c)
{
	if (f->mode == 1 || f->mode == 2)
		return parse_response(line, n, f->mode == 1 ? 255 : PARSE_LINE_MAX, c);
	return f->auth ? parse_response(line, n, SASL_MAX, c) : parse_line(line, n, c);
}

/* The first n octets of the ring, as the session's loop hands them over; *line is malloc'd. */
static enum parse_result
take_line(struct feeder *f, size_t n, char **ret_line, struct command *c)
{
	struct ring *in = &f->io.in;
	size_t at = in->head;
	enum parse_result r = PARSE_TOO_LONG;

	*ret_line = fuzz_alloc(n);
	MUST(ring_peek(in, 0, *ret_line, n) == n && (*ret_line)[n - 1] == '\n');
	MUST(!memchr(*ret_line, '\n', n - 1));
	if (!f->io.discarding)
		r = parse(f, *ret_line, n, c);
	f->io.discarding = false;
	stream_take(&f->io, n, true);
	for (size_t i = 0; i < n; i++)
		MUST(in->buf[(at + i) & (RING - 1)] == 0); /* it may have been a password */
	return r;
}

/* ---- what goes in ---------------------------------------------------------------------------- */

static void
lines(struct feeder *f)
{
	size_t n;

	while (stream_has_line(&f->io, &n)) {
		struct command c = {0};
		char *line;
		enum parse_result r = take_line(f, n, &line, &c);

		log_result(f, r, &c, line, n);
		free(line);
		f->auth = f->mode == 3 && r == PARSE_COMMAND && c.verb == VERB_AUTH;
	}
	MUST(ring_find(&f->io.in, 0, '\n') == -1 && ring_room(&f->io.in) > 0);
}

static void
feed(struct feeder *f, const uint8_t *data, size_t n)
{
	while (n > 0) {
		size_t room;
		void *to = ring_space(&f->io.in, &room);

		MUST(to && room > 0);
		if (room > n)
			room = n;
		memcpy(to, data, room);
		ring_commit(&f->io.in, room);
		data += room;
		n -= room;
		lines(f);
	}
}

static void
run(struct feeder *f, unsigned mode, enum fuzz_cut how, const uint8_t *data, size_t n)
{
	size_t piece;

	f->mode = mode;
	stream_init(&f->io, &f->task, -1, RING, 1024);
	for (size_t at = 0; at < n; at += piece)
		feed(f, data + at, piece = fuzz_piece(how, data + at, n - at));
	stream_forget(&f->io);
	MUST(ring_used(&f->io.in) == 0 && !f->io.discarding);
	stream_fini(&f->io);
}

/* Each line alone, in a new ring, gives the model's outcome, and the same as among the others. */
static void
check_lines(unsigned mode, const uint8_t *data, size_t n, const struct fuzz_text *together)
{
	const uint8_t *end = data + n, *lf;
	size_t line_max = mode == 1 ? 255 : mode == 2 ? PARSE_LINE_MAX : 0;
	struct fuzz_text apart = {0};

	for (const uint8_t *p = data; p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL;
	     p = lf + 1) {
		struct feeder f = {0};
		enum parse_result r;

		run(&f, mode == 3 ? 0 : mode, FUZZ_WHOLE, p, (size_t)(lf - p) + 1);
		MUST(f.lines == 1);
		memcpy(&r, f.log.p, sizeof(r));
		MUST(r == model((const char *)p, (size_t)(lf - p), line_max));
		fuzz_put(&apart, f.log.p, f.log.n);
		fuzz_text_free(&f.log);
	}
	MUST(mode == 3 || fuzz_same(&apart, together));
	fuzz_text_free(&apart);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct feeder f[FUZZ_CUTS];
	size_t count = 0;

	if (n == 0)
		return 0;
	memset(f, 0, sizeof(f));
	for (size_t i = 1; i < n; i++)
		count += data[i] == '\n';
	for (enum fuzz_cut how = FUZZ_WHOLE; how < FUZZ_CUTS; how++) {
		run(&f[how], data[0] & 3, how, data + 1, n - 1);
		MUST(f[how].lines == count);
		MUST(fuzz_same(&f[how].log, &f[FUZZ_WHOLE].log));
	}
	check_lines(data[0] & 3, data + 1, n - 1, &f[FUZZ_WHOLE].log);
	for (enum fuzz_cut how = FUZZ_WHOLE; how < FUZZ_CUTS; how++)
		fuzz_text_free(&f[how].log);
	return 0;
}
