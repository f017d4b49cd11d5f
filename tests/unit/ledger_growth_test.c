/* SPDX-License-Identifier: Apache-2.0 */
/* The cost of reading a ledger, counted in comparisons of octets, is linear in its lines. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static size_t compared;

static int
counted(const void *a, const void *b, size_t n)
{
	compared++;
	return memcmp(a, b, n);
}

/* the reader itself, every memcmp of it - uthash's, too - through the counter */
#define memcmp counted
#include "../../plugins/sdk/ledger.c"
#include "ledger_write.h"
#undef memcmp

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SESSIONS 20000

/* One session that fetches and deletes; `done`: and finishes it. */
static void
put_session(struct ledger_out *o, unsigned k, bool done)
{
	char op[OP_ID_N + 1], name[40];
	size_t n = (size_t)snprintf(name, sizeof(name), "%u.M0P1Q%u.host", 1700000000 + k, k);

	snprintf(op, sizeof(op), "%08x%08x%016x", k * 2654435761u, k, k);
	ledger_put_message(o, name, n, name, n, 1000, 980, 0, 0);
	ledger_put_delete(o, op, name, n);
	ledger_put_mark(o, 'F', name, n, 5);
	ledger_put_commit(o, op, 1, 6);
	if (done)
		ledger_put_done(o, op);
}

static void
reading_is_linear(void **state)
{
	(void)state;
	for (int done = 0; done < 2; done++) {
		struct ledger_out o = {0};
		struct ledger *l = ledger_new();
		size_t good, n = 0, lines;

		ledger_put_header(&o);
		for (unsigned k = 1; k <= SESSIONS; k++)
			put_session(&o, k, done);
		compared = 0;
		assert_true(ledger_read(l, o.text, o.n, &good));
		assert_int_equal(good, o.n);
		lines = ledger_lines(l);
		/* the crc, what it is about, its group */
		if (compared > 6 * lines)
			fail_msg("%zu comparisons for %zu lines", compared, lines);
		compared = 0;
		for (const char *op = NULL; (op = ledger_unfinished(l, op)) != NULL;)
			n++;
		assert_int_equal(n, done ? 0 : SESSIONS);
		assert_true(compared <= 2 * n);
		compared = 0;
		assert_false(ledger_has_group(l, "0123456789abcdef0123456789abcdef"));
		assert_true(compared < 100);
		ledger_free(l);
		ledger_out_free(&o);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
