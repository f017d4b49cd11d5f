/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, commands, replies and content of incoming mail: tables of cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <restante/module.h>

#include "smtp/content.h"
#include "smtp/dparse.h"
#include "smtp/dreply.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* name NULL: not an address; quoted NULL: same as the input. */
static const struct {
	const char *path, *name, *quoted;
} addresses[] = {
	{"<ann@example.org>", "ann@example.org", NULL},
	{"<ann>", "ann", NULL},
	{"<>", "", NULL},
	{"<\"ann\"@example.org>", "ann@example.org", "ann@example.org"},
	{"<\"a b\"@example.org>", "a b@example.org", "\"a b\"@example.org"},
	{"<\"a\\\"b\\\\c\"@example.org>", "a\"b\\c@example.org", "\"a\\\"b\\\\c\"@example.org"},
	{"<\"a@b\"@example.org>", "a@b@example.org", "\"a@b\"@example.org"},
	{"<@relay.example,@b.example:ann@example.org>", "ann@example.org", "ann@example.org"},
	{"<ann@example.org.>", "ann@example.org", "ann@example.org"},
	{"<.ann..b.@example.org>", ".ann..b.@example.org", NULL},
	{"<ann@[192.0.2.1]>", "ann@[192.0.2.1]", NULL},
	{"<gr\xc3\xbc\xc3\x9f@ex\xc3\xa4mple.org>", "gr\xc3\xbc\xc3\x9f@ex\xc3\xa4mple.org", NULL},
	{"<gr\xc3@example.org>", NULL, NULL},
	{"ann@example.org", NULL, NULL},
	{"<ann@example.org", NULL, NULL},
	{"<ann example.org>", NULL, NULL},
	{"<@example.org>", NULL, NULL},
	{"<ann@>", NULL, NULL},
	{"<ann@-example.org>", "ann@-example.org", NULL},
	{"<ann@example..org>", "ann@example..org", NULL},
	{"<\"\"@example.org>", "@example.org", NULL},
	{"<\"\">", "", ""},
	{"<\"ann@example.org>", NULL, NULL},
	{"<\"a\nb\"@example.org>", NULL, NULL},
	{"<ann@[192.0.2.1>", NULL, NULL},
	{"<ann@[1@2]>", NULL, NULL},
	{"<ann@example.org\r>", NULL, NULL},
};

static void
paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		char quoted[ADDRESS_QUOTED_MAX + 1], path[ADDRESS_QUOTED_MAX + 3];
		struct address a;
		size_t used;
		const char *wrong =
			address_path(addresses[i].path, strlen(addresses[i].path), &used, &a);

		if (!addresses[i].name) {
			assert_non_null(wrong);
			continue;
		}
		assert_null(wrong);
		assert_int_equal(used, strlen(addresses[i].path));
		assert_string_equal(a.text, addresses[i].name);
		(void)address_quote(a.text, a.n, quoted);
		snprintf(path, sizeof(path), "<%s>", quoted);
		if (addresses[i].quoted)
			assert_string_equal(quoted, addresses[i].quoted);
		else
			assert_string_equal(path, addresses[i].path);
	}
}

/* The whole counts, wherever its '@' is. */
static void
lengths(void **state)
{
	(void)state;
	for (size_t n = 1; n <= ADDRESS_MAX + 3; n++) {
		for (size_t local = 1; local <= n; local++) {
			char path[ADDRESS_MAX + 6] = "<";
			struct address a;
			size_t used;

			memset(path + 1, 'd', n);
			if (local < n - 1)
				path[1 + local] = '@';
			path[1 + n] = '>';
			assert_int_equal(address_path(path, n + 2, &used, &a) == NULL,
					 n <= ADDRESS_MAX);
			if (n <= ADDRESS_MAX)
				assert_int_equal(a.odd != NULL,
						 local < n - 1 &&
							 n - local - 1 > ADDRESS_DOMAIN_MAX);
		}
	}
}

/* An odd address may be a sender's, and never a recipient's. */
static void
odd_senders(void **state)
{
	static const char *const odd[] = {"ann@-example.org", "ann@.example.org",
					  "ann@example..org", "\"\"@example.org"};

	(void)state;
	for (size_t i = 0; i < COUNT(odd); i++) {
		char text[80];
		const char *why;
		struct dpath p;

		snprintf(text, sizeof(text), "FROM:<%s>", odd[i]);
		assert_int_equal(dparse_path(text, strlen(text), true, &p, &why), DPATH_OK);
		snprintf(text, sizeof(text), "TO:<%s>", odd[i]);
		assert_int_equal(dparse_path(text, strlen(text), false, &p, &why), DPATH_ADDRESS);
		assert_non_null(why);
	}
}

/* ---- replies --------------------------------------------------------------------------------- */

static void
reply_lines(void **state)
{
	const struct dreply r = {250, "2.0.0", "ok"}, plain = {354, "", "go on"};
	char out[DREPLY_MAX], whom[ADDRESS_QUOTED_MAX + 1];
	size_t n;

	(void)state;
	n = dreply_line(out, &r, NULL, false);
	assert_memory_equal(out, "250 2.0.0 ok\r\n", n);
	n = dreply_line(out, &r, "ann", true);
	assert_memory_equal(out, "250-2.0.0 <ann> ok\r\n", n);
	n = dreply_line(out, &plain, NULL, false);
	assert_memory_equal(out, "354 go on\r\n", n);
	memset(whom, 'x', sizeof(whom) - 1);
	whom[sizeof(whom) - 1] = '\0';
	n = dreply_line(out, &r, whom, false);
	assert_true(n <= DREPLY_MAX && out[n - 2] == '\r' && out[n - 1] == '\n');
}

/* There is a reply for every code a store can return, and hardly any is permanent: the sender keeps
 * its mail. */
static void
outcomes(void **state)
{
	(void)state;
	for (int32_t rc = -40; rc <= 2; rc++) {
		struct dreply r = dreply_of(rc, false);
		bool good = rc == PM_OK || rc == PM_EXISTS,
		     permanent = rc == PM_NOENT || rc == PM_TOOBIG;

		assert_int_equal(r.code / 100, good ? 2 : permanent ? 5 : 4);
		assert_int_equal(r.enhanced[0], '0' + r.code / 100);
		assert_true(strlen(r.text) > 5);
	}
	assert_int_equal(dreply_of(PM_QUOTA, true).code, 552);
	assert_string_equal(dreply_of(PM_QUOTA, false).enhanced, "4.2.2");
	assert_string_equal(dreply_of(PM_NOSPACE, false).enhanced, "4.3.1");
}

/* ---- content --------------------------------------------------------------------------------- */

static const struct {
	const char *in, *out;
	unsigned seen;
	uint32_t received;
	uint64_t header;
} contents[] = {
	{"", "", 0, 0, 0},
	{"A: b\r\n\r\nc\r\n", "A: b\r\n\r\nc\r\n", 0, 0, 8},
	{"A: b\r\n\r\nc", "A: b\r\n\r\nc\r\n", 0, 0, 8},
	{"A: b\n\nc\n", "A: b\r\n\r\nc\r\n", CONTENT_BARE_LF, 0, 8},
	{"A: b\rc\r\n", "A: b\rc\r\n", CONTENT_BARE_CR, 0, 8},
	{"A: b\r", "A: b\r\r\n", CONTENT_BARE_CR, 0, 7},
	{"A: \xe4\r\n", "A: \xe4\r\n", CONTENT_EIGHT_BIT, 0, 6},
	{"Received: x\r\nRECEIVED:y\r\nReceived : z\r\nReceivedx: n\r\n Received: "
	 "n\r\n\r\nReceived: n\r\n",
	 NULL, 0, 3, 69},
	{"no field\r\nReceived: n\r\n", NULL, 0, 0, 10},
};

static void
scans(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(contents); i++) {
		struct content c = {0};
		char out[400];
		size_t n = content_feed(&c, contents[i].in, strlen(contents[i].in), out);

		n += content_end(&c, out + n);
		out[n] = '\0';
		assert_string_equal(out, contents[i].out ? contents[i].out : contents[i].in);
		assert_int_equal(c.seen, contents[i].seen);
		assert_int_equal(c.received, contents[i].received);
		assert_int_equal(content_header(&c), contents[i].header);
		assert_int_equal(c.octets, n);
	}
}

/* The field counts, folded or not; and the octets come in any pieces. */
static const struct {
	const char *in, *loops;
	uint32_t received;
} fields[] = {
	{"Received: x\r\nDelivered-To: ann@a\r\n\r\n", "ann@a\n", 1},
	{"Received: x\r\nDelivered-To:\r\n ann@a\r\n\r\n", "ann@a\n", 1},
	{"Received: x\r\nDelivered-To:\r\n\t<ann@a>\r\nDelivered-To: \r\n  \r\n ben@a\r\n\r\n",
	 "ann@a\nben@a\n", 1},
	{"Received:\r\n x\r\n y\r\nDelivered-To: ann@a", "ann@a\n", 1},
	{"Received: x\r\nDelivered-To: ann@a\r\nno field\r\nDelivered-To: ben@a\r\n", "ann@a\n", 1},
	{"Delivered-To: ann@a\r\nReceived: x\r\nX: y\r\n Delivered-To: ben@a\r\n\r\n", "", 1},
	{" Received: x\r\nReceived: y\r\nReceived: z", "", 2},
	{"Received: x\r\n\r\nDelivered-To: ann@a\r\n", "", 1},
};

static void
keep_loop(void *ctx, const char *p, size_t n)
{
	strncat(ctx, p, n);
	strcat(ctx, "\n");
}

static void
folded_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		for (size_t step = 1; step < 100; step += 98) {
			char loops[100] = "", out[200];
			struct content c = {.delivered_to = keep_loop, .ctx = loops};
			size_t len = strlen(fields[i].in);

			for (size_t at = 0; at < len; at += step)
				(void)content_feed(&c, fields[i].in + at,
						   len - at < step ? len - at : step, out);
			(void)content_end(&c, out);
			assert_string_equal(loops, fields[i].loops);
			assert_int_equal(c.received, fields[i].received);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),         cmocka_unit_test(lengths),
		cmocka_unit_test(odd_senders),   cmocka_unit_test(reply_lines),
		cmocka_unit_test(outcomes),      cmocka_unit_test(scans),
		cmocka_unit_test(folded_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
