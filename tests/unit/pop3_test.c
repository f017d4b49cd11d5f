/* SPDX-License-Identifier: Apache-2.0 */
/* The pure files of POP3: parser, wire, message table, replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <restante/module.h>

#include "pop3/maildrop.h"
#include "pop3/parse.h"
#include "pop3/reply.h"
#include "pop3/suspect.h"
#include "pop3/wire.h"

/* ---- wire: any split gives the same bytes ---------------------------------------------------- */

struct wire_case {
	const char *in, *out; /* out without the final ".\r\n" */
	uint64_t lines;
};

static const struct wire_case wire_cases[] = {
	{"", "", WIRE_ALL},
	{"a", "a\r\n", WIRE_ALL},
	{"a\n", "a\r\n", WIRE_ALL},
	{"a\r\n", "a\r\n", WIRE_ALL},
	{".", "..\r\n", WIRE_ALL},
	{".a\n..b\n.\n", "..a\r\n...b\r\n..\r\n", WIRE_ALL},
	{"a\rb\n", "a\rb\r\n", WIRE_ALL},
	{"a\r\r\n", "a\r\r\n", WIRE_ALL},
	{"a\r", "a\r\r\n", WIRE_ALL},
	{"\r.\n", "\r.\r\n", WIRE_ALL},
	{"\n\r\n\n", "\r\n\r\n\r\n", WIRE_ALL},
	{"h: 1\n\nx\ny\n", "h: 1\r\n\r\n", 0},
	{"h: 1\n\nx\ny\n", "h: 1\r\n\r\nx\r\n", 1},
	{"h: 1\n\nx\ny", "h: 1\r\n\r\nx\r\ny\r\n", 9},
	{"h: 1\n", "h: 1\r\n\r\n", 0},
	{"h: 1", "h: 1\r\n\r\n", 3},
	{"", "\r\n", 0},
	{"h\n\n.x\n", "h\r\n\r\n..x\r\n", 1},
};

static void
check_wire(const struct wire_case *c, size_t piece)
{
	char out[256], tmp[64];
	size_t n = 0, len = strlen(c->in);
	struct wire w;

	wire_init(&w, c->lines);
	for (size_t at = 0; at < len; at += piece) {
		size_t k = len - at < piece ? len - at : piece;
		size_t got = wire_feed(&w, c->in + at, k, tmp, 2 * k + 2);

		assert_true(got <= 2 * k + 2);
		memcpy(out + n, tmp, got);
		n += got;
	}
	n += wire_end(&w, out + n, 8);
	assert_int_equal(n, strlen(c->out) + 3);
	assert_memory_equal(out, c->out, strlen(c->out));
	assert_memory_equal(out + n - 3, ".\r\n", 3);
}

static void
wire_is_the_same_for_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wire_cases) / sizeof(wire_cases[0]); i++)
		for (size_t piece = 1; piece < 16; piece++)
			check_wire(&wire_cases[i], piece);
}

static void
wire_counts_octets_without_stuffing(void **state)
{
	char out[64];
	struct wire w;

	(void)state;
	wire_init(&w, WIRE_ALL);
	(void)wire_feed(&w, ".a\nb", 4, out, sizeof(out));
	(void)wire_end(&w, out, 8);
	assert_int_equal(w.octets, 7); /* ".a" CRLF "b" CRLF */
}

/* ---- parser ---------------------------------------------------------------------------------- */

static void
one_line_gives_one_result(void **state)
{
	static const struct {
		const char *text;
		enum parse_result result;
		enum verb verb;
		unsigned argc;
		bool too_many;
	} cases[] = {
		{"STAT\r\n", PARSE_COMMAND, VERB_STAT, 0, false},
		{"stat\n", PARSE_COMMAND, VERB_STAT, 0, false},
		{"RETR 1\r\n", PARSE_COMMAND, VERB_RETR, 1, false},
		{"TOP 1 10\r\n", PARSE_COMMAND, VERB_TOP, 2, false},
		{"TOP 1 10 1\r\n", PARSE_COMMAND, VERB_TOP, 2, true},
		{"RETR  1\r\n", PARSE_COMMAND, VERB_RETR, 0, true},
		{"RETR 1 \r\n", PARSE_COMMAND, VERB_RETR, 1, false},
		{"RETR \r\n", PARSE_COMMAND, VERB_RETR, 0, false},
		{"STAT \r\n", PARSE_COMMAND, VERB_STAT, 0, false},
		{"STAT   \n", PARSE_COMMAND, VERB_STAT, 0, false},
		{"TOP 1 10  \r\n", PARSE_COMMAND, VERB_TOP, 2, false},
		{"TOP 1 10 1 \r\n", PARSE_COMMAND, VERB_TOP, 2, true},
		{"PASS a b \r\n", PARSE_COMMAND, VERB_PASS, 1, false},
		{"USER a b\r\n", PARSE_COMMAND, VERB_USER, 1, false},
		{"STATE\r\n", PARSE_COMMAND, VERB_UNKNOWN, 0, false},
		{"\r\n", PARSE_BAD, 0, 0, false},
		{"ST\rAT\r\n", PARSE_BAD, 0, 0, false},
		{"RETR\t1\r\n", PARSE_BAD, 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command c = {0};

		assert_int_equal(parse_line(cases[i].text, strlen(cases[i].text), &c),
				 cases[i].result);
		if (cases[i].result != PARSE_COMMAND)
			continue;
		assert_int_equal(c.verb, cases[i].verb);
		assert_int_equal(c.argc, cases[i].argc);
		assert_int_equal(c.too_many, cases[i].too_many);
	}
}

static void
passwords_keep_their_spaces(void **state)
{
	struct command c;

	(void)state;
	assert_int_equal(parse_line("PASS  a b \r\n", 12, &c), PARSE_COMMAND);
	assert_int_equal(c.arg[0].n, 5);
	assert_memory_equal(c.arg[0].p, " a b ", 5);
}

static void
limits_and_nul(void **state)
{
	char line[5000];
	struct command c;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "NOOP ", 5);
	memcpy(line + 253, "\r\n", 2);
	assert_int_equal(parse_line(line, 255, &c), PARSE_COMMAND);
	memcpy(line + 253, "xx\r\n", 4);
	assert_int_equal(parse_line(line, 257, &c), PARSE_TOO_LONG);
	memset(line, 'x', sizeof(line));
	line[4999] = '\n';
	assert_int_equal(parse_line(line, 5000, &c), PARSE_TOO_LONG);
	assert_int_equal(parse_line("NO\0OP\r\n", 7, &c), PARSE_NUL);
	assert_int_equal(parse_line("PASS a\0b\r\n", 10, &c), PARSE_NUL);
}

static void
responses_have_a_limit_of_their_own(void **state)
{
	static const struct {
		const char *text;
		size_t n, max;
		enum parse_result result;
		size_t rest;
	} cases[] = {
		{"YQ==\r\n", 6, 4095, PARSE_RESPONSE, 4}, {"YQ==\n", 5, 4095, PARSE_RESPONSE, 4},
		{"YQ==\r\n", 6, 6, PARSE_RESPONSE, 4},    {"YQ==\r\n", 6, 5, PARSE_TOO_LONG, 0},
		{"\r\n", 2, 4095, PARSE_RESPONSE, 0},     {"*\r\n", 3, 4095, PARSE_RESPONSE, 1},
		{"Y\0==\r\n", 6, 4095, PARSE_NUL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command c;

		assert_int_equal(parse_response(cases[i].text, cases[i].n, cases[i].max, &c),
				 cases[i].result);
		if (cases[i].result != PARSE_RESPONSE)
			continue;
		assert_ptr_equal(c.rest.p, cases[i].text);
		assert_int_equal(c.rest.n, cases[i].rest);
	}
}

/* ---- message table, replies ------------------------------------------------------------------ */

static void
numbers_never_shift(void **state)
{
	struct maildrop m;
	uint64_t idx;

	(void)state;
	assert_true(maildrop_init(&m, 20));
	assert_true(maildrop_need_sizes(&m));
	for (int i = 0; i < 20; i++)
		maildrop_add_size(&m, 10);
	for (int i = 0; i < 17; i++)
		maildrop_delete(&m, (uint64_t)i);
	maildrop_delete(&m, 0);
	assert_int_equal(m.live_count, 3);
	assert_int_equal(m.live_octets, 30);
	assert_int_equal(maildrop_pending(&m), 17);
	assert_int_equal(maildrop_next_live(&m, 0), 17);
	assert_false(maildrop_find(&m, 1, &idx));
	assert_false(maildrop_find(&m, 0, &idx));
	assert_false(maildrop_find(&m, 21, &idx));
	assert_true(maildrop_find(&m, 18, &idx));
	assert_int_equal(idx, 17);
	maildrop_set_retrieved(&m, 3);
	maildrop_set_retrieved(&m, 3);
	assert_int_equal(m.n_retrieved, 1);
	maildrop_reset(&m);
	assert_int_equal(m.live_count, 20);
	assert_int_equal(m.live_octets, 200);
	assert_int_equal(m.n_retrieved, 1);
	maildrop_fini(&m);
	assert_true(maildrop_init(&m, 0));
	assert_int_equal(maildrop_next_live(&m, 0), 0);
	maildrop_fini(&m);
}

/* Found out while it is sent: the sum in STAT follows, whether the message is deleted meanwhile or
 * comes back. */
static void
another_size_than_listed(void **state)
{
	struct maildrop m;

	(void)state;
	assert_true(maildrop_init(&m, 3));
	assert_true(maildrop_need_sizes(&m));
	for (int i = 0; i < 3; i++)
		maildrop_add_size(&m, 10);
	maildrop_set_size(&m, 0, 3);
	maildrop_set_size(&m, 1, 50);
	assert_int_equal(m.live_octets, 63);
	maildrop_delete(&m, 1);
	maildrop_set_size(&m, 1, 20);
	assert_int_equal(m.live_octets, 13);
	maildrop_reset(&m);
	assert_int_equal(m.live_octets, 33);
	maildrop_fini(&m);
}

static void
an_unreadable_message_is_marked(void **state)
{
	struct maildrop m;

	(void)state;
	assert_true(maildrop_init(&m, 17));
	for (uint64_t i = 0; i < 17; i++)
		assert_false(maildrop_unread(&m, i));
	maildrop_set_unread(&m, 8, true);
	maildrop_set_unread(&m, 16, true);
	maildrop_set_unread(&m, 8, true);
	for (uint64_t i = 0; i < 17; i++) {
		assert_int_equal(maildrop_unread(&m, i), i == 8 || i == 16);
		assert_false(maildrop_deleted(&m, i) || maildrop_retrieved(&m, i));
	}
	maildrop_set_unread(&m, 8, false);
	maildrop_set_unread(&m, 9, false);
	assert_false(maildrop_unread(&m, 8));
	assert_true(maildrop_unread(&m, 16));
	maildrop_reset(&m); /* RSET reads no file */
	assert_true(maildrop_unread(&m, 16));
	maildrop_fini(&m);
}

static void
suspects_are_remembered_within_bounds(void **state)
{
	uint64_t ann = suspect_box("mail", "ann", 3), ben = suspect_box("mail", "ben", 3);
	char uidl[20];

	(void)state;
	assert_true(ann != ben && ann != suspect_box("mai", "lann", 4));
	assert_false(suspect_any(ann));
	suspect_add(ann, "1", 1);
	suspect_add(ann, "1", 1);
	assert_true(suspect_any(ann) && suspect_has(ann, "1", 1));
	assert_false(suspect_any(ben) || suspect_has(ann, "2", 1) || suspect_has(ben, "1", 1));
	suspect_drop(ann, "1", 1);
	suspect_drop(ann, "1", 1);
	assert_false(suspect_any(ann));
	for (int k = 0; k <= SUSPECTS; k++)
		suspect_add(ben, uidl, (size_t)snprintf(uidl, sizeof(uidl), "%d", k));
	assert_false(suspect_has(ben, "0", 1)); /* the oldest went */
	assert_true(suspect_has(ben, "1", 1));
	for (int k = 0; k <= SUSPECTS; k++)
		suspect_drop(ben, uidl, (size_t)snprintf(uidl, sizeof(uidl), "%d", k));
	assert_false(suspect_any(ben));
}

static void
a_failed_backend_is_never_a_wrong_password(void **state)
{
	static const int32_t failures[] = {PM_TEMP,    PM_DOWN, PM_TIMEOUT, PM_NOMEM,
					   PM_NOSPACE, PM_PERM, 4242};

	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		assert_true(reply_code_of(failures[i]) != CODE_AUTH);
	assert_int_equal(reply_code_of(PM_DENIED), CODE_AUTH);
	assert_int_equal(reply_code_of(PM_BUSY), CODE_IN_USE);
	assert_int_equal(reply_code_of(4242), CODE_SYS_TEMP);
}

static void
replies_have_a_limit(void **state)
{
	char out[REPLY_MAX + 1], text[2000];
	size_t n;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[3] = '\n';
	n = reply_err(out, CODE_SYS_TEMP, text);
	assert_true(n <= REPLY_MAX);
	assert_memory_equal(out, "-ERR [SYS/TEMP] xxx?", 20);
	assert_memory_equal(out + n - 2, "\r\n", 2);
	assert_int_equal(reply_ok(out, ""), 5);
	assert_memory_equal(out, "+OK\r\n", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wire_is_the_same_for_every_split),
		cmocka_unit_test(wire_counts_octets_without_stuffing),
		cmocka_unit_test(one_line_gives_one_result),
		cmocka_unit_test(passwords_keep_their_spaces),
		cmocka_unit_test(limits_and_nul),
		cmocka_unit_test(responses_have_a_limit_of_their_own),
		cmocka_unit_test(numbers_never_shift),
		cmocka_unit_test(another_size_than_listed),
		cmocka_unit_test(an_unreadable_message_is_marked),
		cmocka_unit_test(suspects_are_remembered_within_bounds),
		cmocka_unit_test(a_failed_backend_is_never_a_wrong_password),
		cmocka_unit_test(replies_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
