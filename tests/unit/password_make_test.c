/* SPDX-License-Identifier: Apache-2.0 */
/* The SDK's other half checks the hashes made here, and recognizes their kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf.h"
#include "password.h"
#include "password_make.h"

static const struct {
	const char *scheme;
	uint32_t cost, other;
} all[] = {{"sha512-crypt", 1000, 2000},
	   {"sha512-crypt", 0, 1000},
	   {"yescrypt", 1, 2},
	   {"bcrypt", 4, 5}};

static void
round_trip(void **state)
{
	struct pm_str right = SDK_STR("correct horse"), wrong = SDK_STR("correct hors");
	char hash[256], again[256], why[128];

	(void)state;
	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
		assert_true(sdk_password_can(all[k].scheme, all[k].cost));
		assert_int_equal(sdk_password_make(all[k].scheme, all[k].cost, right, hash,
						   sizeof(hash), why),
				 PM_OK);
		assert_int_equal(sdk_password_make(all[k].scheme, all[k].cost, right, again,
						   sizeof(again), why),
				 PM_OK);
		assert_string_not_equal(hash, again); /* another salt */
		assert_int_equal(sdk_password_check(sdk_str(hash), right, NULL, why), PM_OK);
		assert_int_equal(sdk_password_check(sdk_str(hash), wrong, NULL, why), PM_DENIED);
		assert_true(sdk_password_is(sdk_str(hash), all[k].scheme, all[k].cost));
		assert_false(sdk_password_is(sdk_str(hash), all[k].scheme, all[k].other));
		assert_true(sdk_password_is(sdk_str(strchr(hash, '}') + 1), all[k].scheme,
					    all[k].cost));
		for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++)
			if (strcmp(all[j].scheme, all[k].scheme) != 0)
				assert_false(
					sdk_password_is(sdk_str(hash), all[j].scheme, all[j].cost));
	}
}

static void
refusals(void **state)
{
	char hash[256], small[20], why[128] = "";

	(void)state;
	assert_false(sdk_password_can("md5", 0));
	assert_false(sdk_password_can("bcrypt", 99));
	assert_false(sdk_password_is(sdk_str(""), "bcrypt", 4));
	assert_false(sdk_password_is(sdk_str("{SHA512-CRYPT}"), "sha512-crypt", 0));
	assert_int_equal(sdk_password_make("nosuch", 0, sdk_str("x"), hash, sizeof(hash), why),
			 PM_UNSUPPORTED);
	assert_int_equal(sdk_password_make("bcrypt", 4, sdk_str(""), hash, sizeof(hash), why),
			 PM_INVALID);
	assert_int_equal(
		sdk_password_make("bcrypt", 4, (struct pm_str){"a\0b", 3}, hash, sizeof(hash), why),
		PM_INVALID);
	assert_int_equal(sdk_password_make("bcrypt", 4, sdk_str("x"), small, sizeof(small), why),
			 PM_UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip),
					   cmocka_unit_test(refusals)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
