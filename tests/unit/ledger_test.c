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
#include "ledger_write.h"
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
written_records_are_read(void **state)
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

/* Cut at every byte: a prefix of the records is read, never half of one. */
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

/* A damaged line is ignored; the others are still believed. */
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
foreign_files_are_reported(void **state)
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

/* ---- groups ---------------------------------------------------------------------------------- */

#define MEMBERS 3

/* Three messages, and a group that deletes or hides them; *ret_at: where its lines are, one after
 * the other. */
static void
write_group(struct ledger_out *o, bool hide, size_t ret_at[MEMBERS + 1])
{
	static const char *const names[MEMBERS] = {"one", "two", "six"};

	ledger_put_header(o);
	for (int k = 0; k < MEMBERS; k++)
		ledger_put_message(o, names[k], 3, names[k], 3, 10, 10, 0, 0);
	for (int k = 0; k < MEMBERS; k++) {
		ret_at[k] = o->n;
		if (hide)
			ledger_put_hide(o, OP, names[k], 3, 77);
		else
			ledger_put_delete(o, OP, names[k], 3);
	}
	ret_at[MEMBERS] = o->n;
	ledger_put_commit(o, OP, MEMBERS, 7);
}

static size_t
done_to(struct ledger *l)
{
	static const char *const names[MEMBERS] = {"one", "two", "six"};
	size_t n = 0;

	for (int k = 0; k < MEMBERS; k++) {
		const struct ledger_message *m = ledger_find(l, names[k], 3);

		n += m->deleted || m->hidden_until_ms != 0;
	}
	return n;
}

/* Pages of one append may reach the disk in any order, and a hole is read as zeroes: all of a group
 * happened, or none. */
static void
a_group_that_is_not_whole_did_not_happen(void **state)
{
	(void)state;
	for (unsigned lost = 0; lost < 1u << MEMBERS; lost++) {
		for (int hide = 0; hide < 2; hide++) {
			struct ledger_out o = {0};
			struct ledger *l = ledger_new();
			size_t at[MEMBERS + 1], good;

			write_group(&o, hide, at);
			if (hide)
				ledger_put_done(&o, OP);
			for (int k = 0; k < MEMBERS; k++)
				if (lost & 1u << k)
					memset(o.text + at[k], 0, at[k + 1] - at[k]);
			assert_true(ledger_read(l, o.text, o.n, &good));
			assert_int_equal(done_to(l), lost ? 0 : MEMBERS);
			/* the line after a hole is lost with it: here that is C */
			assert_int_equal(ledger_torn(l),
					 lost != 0 && !(lost & 1u << (MEMBERS - 1)));
			assert_int_equal(ledger_has_group(l, OP), !lost);
			assert_int_equal(ledger_unfinished(l, NULL) != NULL, !lost && !hide);
			ledger_free(l);
			ledger_out_free(&o);
		}
	}
}

/* The record of a message, written by the same append, is lost: it is deleted with the others all
 * the same. */
static void
a_member_that_nobody_wrote_down(void **state)
{
	struct ledger_out o = {0};
	struct ledger *l = ledger_new();
	size_t good;

	(void)state;
	ledger_put_header(&o);
	ledger_put_message(&o, "two", 3, "two", 3, 10, 10, 0, 0);
	ledger_put_delete(&o, OP, "one", 3);
	ledger_put_delete(&o, OP, "two", 3);
	ledger_put_hide(&o, OP, "six", 3, 77);
	ledger_put_commit(&o, OP, MEMBERS, 7);
	assert_true(ledger_read(l, o.text, o.n, &good));
	assert_int_equal(ledger_torn(l), 0);
	assert_int_equal(done_to(l), MEMBERS);
	assert_int_equal(ledger_find(l, "one", 3)->uidl_n, 0);
	assert_int_equal(ledger_find(l, "one", 3)->octets, LEDGER_UNKNOWN);
	ledger_free(l);
	ledger_out_free(&o);
}

/* The same group again, whole: a store that finds that it did not happen writes it once more. */
static void
a_group_is_written_again(void **state)
{
	struct ledger_out o = {0}, again = {0};
	struct ledger *l = ledger_new();
	size_t at[MEMBERS + 1], good;

	(void)state;
	write_group(&o, false, at);
	memset(o.text + at[1], 0, at[2] - at[1]);
	assert_true(ledger_read(l, o.text, o.n, &good));
	write_group(&again, false, at);
	assert_true(ledger_read(l, again.text + at[0], again.n - at[0], &good));
	assert_int_equal(done_to(l), MEMBERS);
	assert_true(ledger_has_group(l, OP));
	ledger_free(l);
	ledger_out_free(&o);
	ledger_out_free(&again);
}

/* An append that failed is taken back; if that failed too, its lines stand in front of those
 * that count. */
static void
lines_of_an_append_that_failed(void **state)
{
	struct ledger_out o = {0};
	struct ledger *l = ledger_new();
	size_t good;

	(void)state;
	ledger_put_header(&o);
	ledger_put_message(&o, "one", 3, "one", 3, 10, 10, 0, 0);
	ledger_put_message(&o, "two", 3, "two", 3, 10, 10, 0, 0);
	ledger_put_message(&o, "six", 3, "six", 3, 10, 10, 0, 0);
	ledger_put_delete(&o, OP, "six", 3);
	ledger_put_delete(&o, OP, "one", 3);
	ledger_put_delete(&o, OP, "two", 3);
	ledger_put_commit(&o, OP, 2, 7);
	assert_true(ledger_read(l, o.text, o.n, &good));
	assert_int_equal(done_to(l), 2);
	assert_false(ledger_find(l, "six", 3)->deleted);
	assert_int_equal(ledger_torn(l), 0);
	ledger_free(l);
	ledger_out_free(&o);
}

/* Group members whose messages the ledger has forgotten count, too; and a rewritten ledger may hold
 * any number of deletions. */
static void
numbers_of_groups(void **state)
{
	struct ledger_out o = {0};
	struct ledger *l = ledger_new();
	size_t good;

	(void)state;
	ledger_put_header(&o);
	ledger_put_message(&o, "one", 3, "one", 3, 10, 10, 0, 0);
	ledger_put_message(&o, "two", 3, "two", 3, 10, 10, 0, 0);
	ledger_put_delete(&o, OP, "nobody", 6);
	ledger_put_delete(&o, OP, "one", 3);
	ledger_put_commit(&o, OP, 2, 7);
	ledger_put_delete(&o, LEDGER_NO_OP, "two", 3);
	ledger_put_commit(&o, LEDGER_NO_OP, 0, 8);
	ledger_put_commit(&o, LEDGER_NO_OP, 5, 9);
	ledger_put_done(&o, LEDGER_NO_OP);
	assert_true(ledger_read(l, o.text, o.n, &good));
	assert_true(ledger_find(l, "one", 3)->deleted && ledger_find(l, "one", 3)->unfinished);
	assert_true(ledger_find(l, "two", 3)->deleted && !ledger_find(l, "two", 3)->unfinished);
	assert_int_equal(ledger_find(l, "two", 3)->deleted_ms, 8);
	assert_int_equal(ledger_torn(l), 0);
	assert_string_equal(ledger_unfinished(l, NULL), OP);
	assert_null(ledger_unfinished(l, OP));
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
		cmocka_unit_test(written_records_are_read),
		cmocka_unit_test(a_torn_tail_is_ignored_at_every_byte),
		cmocka_unit_test(a_changed_byte_costs_its_line_only),
		cmocka_unit_test(foreign_files_are_reported),
		cmocka_unit_test(a_unique_id_is_written_once),
		cmocka_unit_test(a_group_that_is_not_whole_did_not_happen),
		cmocka_unit_test(a_member_that_nobody_wrote_down),
		cmocka_unit_test(a_group_is_written_again),
		cmocka_unit_test(lines_of_an_append_that_failed),
		cmocka_unit_test(numbers_of_groups),
		cmocka_unit_test(octets_are_the_same_for_every_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
