/* SPDX-License-Identifier: Apache-2.0 */
/* How directories say locked, expired, disabled: texts, bits, times, sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../backends/auth/ldap/state.h"

#define AD "80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data %s, v2580"

static enum state
ad(const char *code)
{
	char text[200];

	snprintf(text, sizeof(text), AD, code);
	return state_of_ad(text);
}

static void
active_directory(void **state)
{
	(void)state;
	assert_int_equal(ad("525"), STATE_UNKNOWN);
	assert_int_equal(ad("52e"), STATE_WRONG);
	assert_int_equal(ad("52E"), STATE_WRONG);
	assert_int_equal(ad("530"), STATE_NOT_NOW);
	assert_int_equal(ad("531"), STATE_NOT_NOW);
	assert_int_equal(ad("532"), STATE_PASSWORD_EXPIRED);
	assert_int_equal(ad("533"), STATE_DISABLED);
	assert_int_equal(ad("701"), STATE_EXPIRED);
	assert_int_equal(ad("773"), STATE_MUST_CHANGE);
	assert_int_equal(ad("775"), STATE_LOCKED);
	/* no logon servers; too many groups; who knows: none of them is a wrong password */
	assert_int_equal(ad("51f"), STATE_UNCLEAR);
	assert_int_equal(ad("568"), STATE_UNCLEAR);
	assert_int_equal(ad("999"), STATE_UNCLEAR);
	assert_int_equal(ad("7750"), STATE_UNCLEAR);
	assert_int_equal(ad("0"), STATE_UNCLEAR);
	assert_int_equal(ad(""), STATE_WRONG);
	assert_int_equal(ad("base"), STATE_WRONG);
	assert_int_equal(state_of_ad("invalid data 51f"), STATE_WRONG); /* another directory */
	assert_int_equal(state_of_ad(""), STATE_WRONG);
	assert_int_equal(state_of_ad("data "), STATE_WRONG);
	assert_int_equal(state_of_ad("no data at all, data 775"), STATE_LOCKED);
}

static void
other_texts(void **state)
{
	(void)state;
	assert_int_equal(state_of_text("Account inactivated. Contact system administrator."),
			 STATE_DISABLED);
	assert_int_equal(state_of_text("Exceed password retry limit. Please try later."),
			 STATE_LOCKED);
	assert_int_equal(state_of_text("the server is shutting down"), STATE_OK);
	assert_int_equal(state_of_account_control(512), STATE_OK);
	assert_int_equal(state_of_account_control(514), STATE_DISABLED);
	assert_int_equal(state_of_account_control(512 | 16), STATE_LOCKED);
	assert_int_equal(state_of_account_control(512 | 0x800000), STATE_PASSWORD_EXPIRED);
	for (int s = STATE_OK; s <= STATE_UNCLEAR; s++)
		assert_true(strlen(state_text((enum state)s)) > 5);
}

static struct pm_str
str(const char *s)
{
	return (struct pm_str){s, strlen(s)};
}

static void
numbers(void **state)
{
	int64_t n = 7;

	(void)state;
	assert_true(state_number(str("0"), &n) && n == 0);
	assert_true(state_number(str("-12"), &n) && n == -12);
	assert_true(state_number(str("9223372036854775807"), &n) && n == INT64_MAX);
	assert_false(state_number(str("9223372036854775808"), &n));
	assert_false(state_number(str(""), &n));
	assert_false(state_number(str("-"), &n));
	assert_false(state_number(str("1 "), &n));
	assert_false(state_number((struct pm_str){"1\0", 2}, &n));
}

static void
times(void **state)
{
	(void)state;
	assert_int_equal(state_filetime_ms(0), 0);
	assert_int_equal(state_filetime_ms(INT64_MAX), 0);
	assert_int_equal(state_filetime_ms(INT64_C(116444736000000000)), 1);
	/* 2020-01-01 */
	assert_int_equal(state_filetime_ms(INT64_C(132223104000000000)), INT64_C(1577836800000));
	assert_int_equal(state_filetime_ms(1), 1);
	assert_int_equal(state_days_ms(-1), 0);
	assert_int_equal(state_days_ms(0), 0);
	assert_int_equal(state_days_ms(18262), INT64_C(1577836800000));
	assert_int_equal(state_days_ms(INT64_MAX), 0);
}

static void
sizes(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_true(state_size(str("1048576"), &v) && v == 1048576);
	assert_true(state_size(str("10M"), &v) && v == 10485760);
	assert_true(state_size(str("2gb"), &v) && v == UINT64_C(2147483648));
	assert_true(state_size(str("3k"), &v) && v == 3072);
	assert_true(state_size(str("1T"), &v) && v == UINT64_C(1) << 40);
	assert_true(state_size(str("5b"), &v) && v == 5);
	assert_false(state_size(str(""), &v));
	assert_false(state_size(str("M"), &v));
	assert_false(state_size(str("1x"), &v));
	assert_false(state_size(str("1MM"), &v));
	assert_false(state_size(str("-1"), &v));
	assert_false(state_size(str("18446744073709551616"), &v));
	assert_false(state_size(str("18446744073709551615k"), &v));
	assert_int_equal(v, 5);
}

static void
rights(void **state)
{
	uint32_t r = PM_RIGHTS_DEFAULT;

	(void)state;
	assert_true(state_right(str("nopop3"), &r) && r == (PM_RIGHT_DELETE | PM_RIGHT_DELIVER));
	assert_true(state_right(str("POP3"), &r) && r == PM_RIGHTS_DEFAULT);
	assert_true(state_right(str("master"), &r) && r == (PM_RIGHTS_DEFAULT | PM_RIGHT_MASTER));
	assert_true(state_right(str("NoDelete"), &r) && !(r & PM_RIGHT_DELETE));
	assert_true(state_right(str("nodeliver"), &r) && !(r & PM_RIGHT_DELIVER));
	assert_false(state_right(str("no"), &r));
	assert_false(state_right(str("everything"), &r));
	assert_false(state_right(str(""), &r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(active_directory),
		cmocka_unit_test(other_texts),
		cmocka_unit_test(numbers),
		cmocka_unit_test(times),
		cmocka_unit_test(sizes),
		cmocka_unit_test(rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
