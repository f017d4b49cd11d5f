/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse, whole and cut: the outcomes must be the same, one for each line, and those of a model.
 * First byte, its two low bits: commands; line mode of 255 octets; line mode of 1,024; AUTH is
 * followed by a line of up to 4,096 in a larger buffer, as in a session.
 */
#include <stdbool.h>
#include <strings.h>

#include "fuzz.h"
#include "pop3/parse.h"

#define SASL_MAX 4096

struct feeder {
	struct parse p;
	char *small, *large;
	unsigned mode;
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
		return PARSE_LINE;
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

static void
log_piece(struct feeder *f, const char *p, size_t n)
{
	if (n > 0)
		MUST(p >= f->p.line && n <= f->p.cap && p + n <= f->p.line + f->p.cap);
	fuzz_put(&f->log, &n, sizeof(n));
	fuzz_put(&f->log, p, n);
}

static void
log_result(struct feeder *f, enum parse_result r, const struct command *c)
{
	f->lines++;
	fuzz_put(&f->log, &r, sizeof(r));
	if (r != PARSE_COMMAND && r != PARSE_LINE)
		return;
	log_piece(f, c->rest.p, c->rest.n);
	MUST(c->rest.n == 0 || !memchr(c->rest.p, '\0', c->rest.n));
	if (r == PARSE_LINE)
		return;
	MUST(c->verb < VERB_MAX && c->argc <= 2);
	MUST(verb_name(c->verb) != NULL);
	fuzz_put(&f->log, &c->verb, sizeof(c->verb));
	fuzz_put(&f->log, &c->too_many, sizeof(c->too_many));
	for (unsigned i = 0; i < c->argc; i++) {
		log_piece(f, c->arg[i].p, c->arg[i].n);
		if (c->verb != VERB_PASS && c->verb != VERB_USER)
			MUST(c->arg[i].n > 0 && !memchr(c->arg[i].p, ' ', c->arg[i].n));
	}
}

/* The line behind AUTH comes in line mode, and goes to the larger buffer. */
static void
next_mode(struct feeder *f, bool auth)
{
	if (f->mode != 3)
		return;
	f->p.line = auth ? f->large : f->small;
	f->p.cap = auth ? SASL_MAX : PARSE_LINE_MAX;
	parse_set_line_mode(&f->p, auth, SASL_MAX);
}

static void
feed(struct feeder *f, const uint8_t *data, size_t n)
{
	char *copy = fuzz_copy(data, n);

	for (size_t at = 0, used; at < n; at += used) {
		struct command c = {0};
		const char *lf = memchr(copy + at, '\n', n - at);
		enum parse_result r = parse_feed(&f->p, copy + at, n - at, &used, &c);

		MUST(used == (lf ? (size_t)(lf - copy) + 1 : n) - at);
		MUST((r == PARSE_MORE) == !lf);
		if (r == PARSE_MORE)
			continue;
		log_result(f, r, &c);
		next_mode(f, r == PARSE_COMMAND && c.verb == VERB_AUTH);
	}
	free(copy);
}

static void
run(struct feeder *f, unsigned mode, enum fuzz_cut how, const uint8_t *data, size_t n)
{
	size_t piece;

	f->mode = mode;
	f->small = fuzz_alloc(PARSE_LINE_MAX);
	f->large = fuzz_alloc(SASL_MAX);
	parse_init(&f->p, f->small, PARSE_LINE_MAX);
	if (mode == 1 || mode == 2)
		parse_set_line_mode(&f->p, true, mode == 1 ? 255 : PARSE_LINE_MAX);
	for (size_t at = 0; at < n; at += piece)
		feed(f, data + at, piece = fuzz_piece(how, data + at, n - at));
	parse_wipe(&f->p);
	MUST(f->p.n == 0 && !f->p.discarding && !f->p.saw_nul);
	free(f->small);
	free(f->large);
}

/* Each line alone, by a new parser, is what the model says, and what it was among the others. */
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
	size_t lines = 0;

	if (n == 0)
		return 0;
	memset(f, 0, sizeof(f));
	for (size_t i = 1; i < n; i++)
		lines += data[i] == '\n';
	for (enum fuzz_cut how = FUZZ_WHOLE; how < FUZZ_CUTS; how++) {
		run(&f[how], data[0] & 3, how, data + 1, n - 1);
		MUST(f[how].lines == lines);
		MUST(fuzz_same(&f[how].log, &f[FUZZ_WHOLE].log));
	}
	check_lines(data[0] & 3, data + 1, n - 1, &f[FUZZ_WHOLE].log);
	for (enum fuzz_cut how = FUZZ_WHOLE; how < FUZZ_CUTS; how++)
		fuzz_text_free(&f[how].log);
	return 0;
}
