/* SPDX-License-Identifier: Apache-2.0 */
/* restante-deliver's pure parts: stuffing, addresses, the meaning of replies; and the message on a
 * pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipe/pipein.h"
#include "pipe/stuff.h"
#include "pipe/sysexit.h"
#include "smtp/unstuff.h"

/* ---- stuff ----------------------------------------------------------------------------------- */

static const struct {
	const char *in, *wire;
} stuffed[] = {
	{"a\n", "a\r\n.\r\n"},
	{"a\r\n", "a\r\n.\r\n"},
	{"a", "a\r\n.\r\n"},
	{"a\r", "a\r\n.\r\n"},
	{"", ".\r\n"},
	{".\n", "..\r\n.\r\n"},
	{"..\n.x", "...\r\n..x\r\n.\r\n"},
	{"a.b\n\n.\n", "a.b\r\n\r\n..\r\n.\r\n"},
	{"a\rb\n", "a\rb\r\n.\r\n"},
	{"a\r.\n", "a\r.\r\n.\r\n"},
	{"\n\r\n\n", "\r\n\r\n\r\n.\r\n"},
};

/* cut: where the input is handed over in two pieces. */
static void
check_stuffed(const char *in, const char *wire, size_t cut)
{
	char out[200];
	struct stuff s = {0};
	size_t n = stuff_feed(&s, in, cut, out);

	n += stuff_feed(&s, in + cut, strlen(in) - cut, out + n);
	n += stuff_end(&s, out + n);
	assert_int_equal(n, strlen(wire));
	assert_memory_equal(out, wire, n);
}

static void
line_ends_and_dots(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stuffed) / sizeof(stuffed[0]); i++)
		for (size_t cut = 0; cut <= strlen(stuffed[i].in); cut++)
			check_stuffed(stuffed[i].in, stuffed[i].wire, cut);
}

/* Whatever CRLF text is sent, the server's side restores it, and finds its end. */
static void
unstuffing_gives_it_back(void **state)
{
	static const char *const parts[] = {".", "\r\n", "x", "\r\n.\r\n", "..", "\r\n"};

	(void)state;
	srandom(1);
	for (int round = 0; round < 2000; round++) {
		char in[200] = "", wire[410], back[420];
		struct unstuff u = {0};
		struct stuff s = {0};
		size_t n, used;

		for (long k = random() % 20; k > 0; k--)
			strcat(in, parts[random() % 6]);
		strcat(in, "\r\n");
		n = stuff_feed(&s, in, strlen(in), wire);
		n += stuff_end(&s, wire + n);
		assert_int_equal(unstuff_feed(&u, wire, n, &used, back), strlen(in));
		assert_memory_equal(back, in, strlen(in));
		assert_true(u.ended && used == n);
	}
}

/* ---- outcome --------------------------------------------------------------------------------- */

static void
replies_mean(void **state)
{
	static const struct {
		const char *reply;
		int code;
	} rows[] = {
		{"250 2.0.0 ok", EX_OK},
		{"354 go", EX_OK},
		{"250", EX_OK},
		{"550 5.1.1 <x> no", EX_NOUSER},
		{"550 5.1.2 <x> no", EX_NOHOST},
		{"553 5.1.3 <x> no", EX_NOUSER},
		{"501 5.1.7 the sender", EX_DATAERR},
		{"550 5.1.8 the sender's domain", EX_DATAERR},
		{"550 5.2.1 <x> no", EX_UNAVAILABLE},
		{"552 5.2.2 <x> full", EX_UNAVAILABLE},
		{"552 5.3.4 large", EX_UNAVAILABLE},
		{"554 5.4.6 loop", EX_UNAVAILABLE},
		{"550 5.6.0 bare", EX_DATAERR},
		{"550 5.7.1 no", EX_NOPERM},
		{"503 5.5.1 order", EX_PROTOCOL},
		{"550 no", EX_UNAVAILABLE},
		{"550", EX_UNAVAILABLE},
		{"554 ", EX_UNAVAILABLE},
		{"452 4.2.2 full", EX_TEMPFAIL},
		{"421 4.3.2 busy", EX_TEMPFAIL},
		{"451", EX_TEMPFAIL},
		{NULL, EX_TEMPFAIL},
		{"", EX_TEMPFAIL},
		{"+OK", EX_TEMPFAIL},
		{"5", EX_TEMPFAIL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(sysexit_of(rows[i].reply), rows[i].code);
}

static void
trying_again_wins(void **state)
{
	(void)state;
	assert_int_equal(sysexit_worse(EX_OK, EX_OK), EX_OK);
	assert_int_equal(sysexit_worse(EX_NOUSER, EX_OK), EX_NOUSER);
	assert_int_equal(sysexit_worse(EX_OK, EX_NOUSER), EX_NOUSER);
	assert_int_equal(sysexit_worse(EX_NOUSER, EX_NOPERM), EX_NOUSER);
	assert_int_equal(sysexit_worse(EX_NOUSER, EX_TEMPFAIL), EX_TEMPFAIL);
	assert_int_equal(sysexit_worse(EX_TEMPFAIL, EX_NOUSER), EX_TEMPFAIL);
}

/* ---- addresses and the pipe ------------------------------------------------------------------ */

static void
addresses_as_given(void **state)
{
	static const struct {
		const char *given, *text; /* NULL: refused; "": null */
	} rows[] = {
		{"ann@example.org", "ann@example.org"},
		{"<ann@example.org>", "ann@example.org"},
		{"ann", "ann"},
		{"\"john doe\"@example.org", "john doe@example.org"},
		{"john doe@example.org", "john doe@example.org"},
		{"a\\b@example.org", "a\\b@example.org"},
		{"", ""},
		{"<>", ""},
		{"mailer-daemon", ""},
		{"mailer-daemon@example.org", "mailer-daemon@example.org"},
		{"a\nb@example.org", NULL},
		{"\"open", NULL},
		{"<ann@example.org", "<ann@example.org"},
		{"\xff@example.org", NULL},
	};
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *wrong = pipein_address(rows[i].given, strlen(rows[i].given), &a);

		assert_int_equal(wrong != NULL, rows[i].text == NULL);
		if (!wrong) {
			assert_int_equal(a.null, !*rows[i].text);
			assert_string_equal(a.text, rows[i].text);
		}
	}
}

static const struct {
	const char *in, *sender, *rest; /* sender NULL: there is no such line */
} from_lines[] = {
	{"From a@b.org  Tue Nov 24 12:00:00 2026\nS: x\n", "a@b.org", "S: x\n"},
	{"From MAILER-DAEMON Tue\r\nS: x\n", "", "S: x\n"},
	{"From \"a b\"@b.org Tue\nS: x\n", "a b@b.org", "S: x\n"},
	{"From  \nS: x\n", "", "S: x\n"},
	{"From: a@b.org\n", NULL, "From: a@b.org\n"},
	{"From : a@b.org\n", NULL, "From : a@b.org\n"},
	{"From a", NULL, "From a"},
	{"Fro", NULL, "Fro"},
	{"S: x\nFrom a@b.org Tue\n", NULL, "S: x\nFrom a@b.org Tue\n"},
	/* RFC 976: one for each host it came through; the first names the sender */
	{"From a@b.org Tue Nov 24 12:00:00 2026\n"
	 ">From t@y Fri Jul  8 12:08 2022 remote from h\n"
	 "S: x\n",
	 "a@b.org", "S: x\n"},
	{">From t@y Fri Jul  8 12:08:30 2022 remote from h\r\n"
	 ">>From u@z Fri Jul  8 12:08:30 2022\r\n\r\n",
	 "t@y", "\r\n"},
	{"From a Tue 12:00\nFrom b Tue 12:00\nS: x\n", "a", "S: x\n"},
	{">From here on it is text\n", NULL, ">From here on it is text\n"},
	{"From a Tue\n>From here on it is text\n", "a", ">From here on it is text\n"},
	{"From a Tue\nFrom here on it is text\n", "a", "From here on it is text\n"},
	{"From a Tue\n>From b Tue 12:00", "a", ">From b Tue 12:00"},
	{"From a Tue\n>From : b 12:00\n", "a", ">From : b 12:00\n"},
	{"From a Tue\n>>>", "a", ">>>"},
	{"From a Tue\n", "a", ""},
};

/* Reads a message that comes in pieces of `step` octets, and looks at what is left of it. */
static void
read_from_lines(size_t step)
{
	static struct pipein p;

	for (size_t i = 0; i < sizeof(from_lines) / sizeof(from_lines[0]); i++) {
		const char *in = from_lines[i].in, *piece;
		size_t len = strlen(in), rest_n = 0;
		char rest[200];
		int fd[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
		for (size_t at = 0; at < len; at += step) {
			size_t n = len - at < step ? len - at : step;

			assert_int_equal(send(fd[1], in + at, n, 0), n);
		}
		close(fd[1]);
		assert_true(pipein_open(&p, fd[0]));
		assert_int_equal(p.has_from, from_lines[i].sender != NULL);
		if (from_lines[i].sender)
			assert_string_equal(p.from.text, from_lines[i].sender);
		for (ssize_t n; (n = pipein_next(&p, &piece)) != 0; rest_n += (size_t)n) {
			assert_true(n > 0);
			memcpy(rest + rest_n, piece, (size_t)n);
		}
		rest[rest_n] = '\0';
		assert_string_equal(rest, from_lines[i].rest);
		assert_true(pipein_empty(&p));
		close(fd[0]);
	}
}

static void
the_line_from(void **state)
{
	(void)state;
	read_from_lines(1000);
	read_from_lines(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_ends_and_dots), cmocka_unit_test(unstuffing_gives_it_back),
		cmocka_unit_test(replies_mean),       cmocka_unit_test(trying_again_wins),
		cmocka_unit_test(addresses_as_given), cmocka_unit_test(the_line_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
