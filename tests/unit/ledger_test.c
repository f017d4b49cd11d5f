/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's text, its torn tails and groups; octets of stored bytes in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger.h"
#include "octets.h"

#define OP "0123456789abcdef0123456789abcdef"

/* Two messages, a mark, a committed group over the second, and a group that was never committed. */
static void
write_sample(struct ledger_out *o)
{
	ledger_put_header(o);
	ledger_put_message(o, "one", 3, "uid-1", 5, 120, 110, 0, 0);
	ledger_put_message(o, "two", 3, "uid-2", 5, LEDGER_UNKNOWN, 0, 0, 0);
	ledger_put_mark(o, 'F', "one", 3, 42);
	ledger_put_delete(o, OP, "two", 3);
	ledger_put_commit(o, OP, 1, 7);
	ledger_put_delete(o, "ffffffffffffffffffffffffffffffff", "one", 3);
}

static void
what_is_written_is_read(void **state)
{
	struct ledger_out o = {0};
	struct ledger *l = ledger_new();
	struct ledger_message *m;
	size_t good;

	(void)state;
	write_sample(&o);
	assert_false(o.failed);
	assert_true(ledger_read(l, o.text, o.n, &good));
	assert_int_equal(good, o.n);
	assert_int_equal(ledger_count(l), 2);
	m = ledger_find(l, "one", 3);
	assert_non_null(m);
	assert_int_equal(m->octets, 120);
	assert_int_equal(m->stored, 110);
	assert_int_equal(m->first_retrieved_ms, 42);
	assert_memory_equal(m->uidl, "uid-1", 5);
	assert_false(m->deleted); /* its group has no commit */
	m = ledger_find(l, "two", 3);
	assert_true(m->octets == LEDGER_UNKNOWN);
	assert_true(m->deleted);
	assert_string_equal(ledger_unfinished(l, NULL), OP);
	assert_null(ledger_unfinished(l, OP));
	assert_true(ledger_has_uidl(l, "uid-2", 5));
	assert_false(ledger_has_uidl(l, "uid-3", 5));
	assert_true(ledger_has_group(l, OP));
	ledger_free(l);
	ledger_out_free(&o);
}

/* Cut at every byte: what is read is a prefix of the records, never half of one. */
static void
a_torn_tail_is_ignored_at_every_byte(void **state)
{
	struct ledger_out o = {0};

	(void)state;
	write_sample(&o);
	for (size_t cut = 0; cut <= o.n; cut++) {
		struct ledger *l = ledger_new();
		size_t good;

		assert_true(ledger_read(l, o.text, cut, &good));
		assert_true(good <= cut);
		assert_true(good == 0 || o.text[good - 1] == '\n');
		ledger_free(l);
	}
	ledger_out_free(&o);
}

/* Of a line that was damaged nothing is believed; the others are true as before. */
static void
a_changed_byte_costs_its_line_only(void **state)
{
	struct ledger_out o = {0};
	size_t lines = 0;

	(void)state;
	write_sample(&o);
	for (size_t at = 0; at < o.n; at++)
		lines += o.text[at] == '\n';
	lines--; /* the header */
	for (size_t at = 0; at < o.n; at++) {
		struct ledger *l = ledger_new();
		size_t good;

		o.text[at] ^= 1;
		assert_true(ledger_read(l, o.text, o.n, &good));
		assert_true(good <= o.n);
		if (at < 16)
			assert_true(ledger_lines(l) == lines || good == 0); /* of the header */
		else if (ledger_lines(l) > 0)
			/* a line end that went joins two */
			assert_in_range(ledger_lines(l), lines - 2, lines);
		ledger_free(l);
		o.text[at] ^= 1;
	}
	ledger_out_free(&o);
}

static void
what_is_not_ours_is_told(void **state)
{
	static const struct {
		const char *text;
		bool foreign;
	} cases[] = {
		{"", false},
		{"restante-l", false}, /* torn when it was made */
		{"restante-ledger 1\n", false},
		{"restante-ledger 1\ngarbage\n", false},
		{"restante-ledger 2\n00000000 M x\n", true},
		{"somebody's notes\n", true},
		{"x", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ledger *l = ledger_new();
		size_t good;

		assert_true(ledger_read(l, cases[i].text, strlen(cases[i].text), &good));
		assert_int_equal(ledger_foreign(cases[i].text, strlen(cases[i].text), good),
				 cases[i].foreign);
		ledger_free(l);
	}
}

static void
a_unique_id_is_written_once(void **state)
{
	struct ledger_out o = {0};
	struct ledger *l = ledger_new();
	size_t good;

	(void)state;
	ledger_put_header(&o);
	ledger_put_message(&o, "one", 3, "first", 5, 10, 10, 0, 0);
	ledger_put_message(&o, "one", 3, "another-id", 10, 20, 20, 0, 0);
	ledger_put_delete(&o, OP, "one", 3);
	ledger_put_commit(&o, OP, 1, 7);
	ledger_put_done(&o, OP);
	assert_true(ledger_read(l, o.text, o.n, &good));
	assert_memory_equal(ledger_find(l, "one", 3)->uidl, "first", 5);
	assert_null(ledger_unfinished(l, NULL));
	ledger_free(l);
	ledger_out_free(&o);
}

static void
octets_are_the_same_for_every_split(void **state)
{
	static const struct {
		const char *in;
		uint64_t octets;
		bool utf8;
	} cases[] = {
		{"", 0, false},
		{"a", 3, false},
		{"a\n", 3, false},
		{"a\r\n", 3, false},
		{"a\rb\n", 5, false},
		{"a\r\r\n", 4, false},
		{"a\r", 4, false},
		{"\n\r\n\n", 6, false},
		{"h: \xc3\xbc\n\nx\n", 12, true},
		{"h: u\n\n\xc3\xbc\n", 12, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].in);

		for (size_t piece = 1; piece <= n + 1; piece++) {
			struct sdk_octets o;

			sdk_octets_init(&o);
			for (size_t at = 0; at < n; at += piece)
				sdk_octets_feed(&o, cases[i].in + at,
						n - at < piece ? n - at : piece);
			assert_int_equal(sdk_octets_total(&o), cases[i].octets);
			assert_int_equal(o.stored, n);
			assert_int_equal(o.utf8_header, cases[i].utf8);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_torn_tail_is_ignored_at_every_byte),
		cmocka_unit_test(a_changed_byte_costs_its_line_only),
		cmocka_unit_test(what_is_not_ours_is_told),
		cmocka_unit_test(a_unique_id_is_written_once),
		cmocka_unit_test(octets_are_the_same_for_every_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
