/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes made by other programs (openssl, Python's hashlib, libxcrypt, libargon2) of the
 * password "restante". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf.h"
#include "config.h"
#include "password.h"

static const char *const hashes[] = {
	"{SCRAM-SHA-1}4096,MDEyMzQ1Njc4OWFiY2RlZg==,qqJpGy0ZoQ61Bkok6z693sV/"
	"iFA=,cK5JtakMnI2sch+c9sFBAs7stfk=",
	"{SCRAM-SHA-256}4096,MDEyMzQ1Njc4OWFiY2RlZg==,Hmbsh9LxFGa057VVOSdlPvZbL3oRpVPRwkhiWAQcMaM=,"
	"Z/p3ics10JbpjjU0qszNLNVgMzf7cYNs+Vil6B53FZw=",
	"{PBKDF2}$1$saltsalt$2000$915ee3dec62cbd1030603602805b6e1280e5bad8",
	"{SHA}oF7wlvBBcSioRDn0EgafPojPaWo=",
	"{SHA.HEX}a05ef096f0417128a84439f412069f3e88cf696a",
	"{SSHA}PCpnrg7yVLjsLA325EzF3/hbMuNzYWx0",
	"{SHA256}AdVb/5S9yKNgZvUD0ZQY8CCS40F5mua5ASjit2rnroE=",
	"{SHA256.HEX}01d55bff94bdc8a36066f503d19418f02092e341799ae6b90128e2b76ae7ae81",
	"{SSHA256}GPTY38T1ssj9Mz9CK9B5tVq1IWatlvbMzj0VRPUcVHRzYWx0",
	"{SHA512}"
	"3tm2WWgYqCtUQ7uVtYUSOOMWACmrWC9wTJ3TJNjNg55bXZ81vjnfo5ND4TLtdD2N3rFfpfWFsnMw79FtwsUr5g==",
	"{SHA512.HEX}"
	"ded9b6596818a82b5443bb95b5851238e3160029ab582f704c9dd324d8cd839e5b5d9f35be39dfa39343e132ed"
	"743d8ddeb15fa5f585b27330efd16dc2c52be6",
	"{SSHA512}mV5KEtP6T7dwVeitAWXiBOtlVysyGSfhzWVEauTCqgPz6wK+"
	"wr5wqznURfS6tFmjtnDGikgSTaJTGba8Rk6R13NhbHQ=",
	"$6$saltsalt$Gl8cMQsb2CeCJ1yAZlrR5YnLbAfAHxZ3IPw/"
	"IvPnJWFrl1t9Q3S8rT3MA6jsbflJEfsouFgR8d8a1oqvKOIei/",
	"{SHA256-CRYPT}$5$saltsalt$cnZG6q6j.A6Thq.bRvTCh0SVBXGFo.lstoonwIRPSWB",
	"{MD5-CRYPT}$1$saltsalt$K9YM4fGHXZ4G4o2Bz5Auz1",
	"{BLF-CRYPT}$2b$05$abcdefghijklmnopqrstuuORZptb90h/SmxaLQNY7rbLqPJI8E.0e",
	"{YESCRYPT}$y$j75$saltsalt$FAQw7ULAlpellLkh8OWSEOAYklsAlm2.9PDO8ai5cq4",
#ifdef HAVE_ARGON2
	"{ARGON2ID}$argon2id$v=19$m=1024,t=2,p=1$c2FsdHNhbHRzYWx0$"
	"VbwIXqnlmrAed4DwDCQ31tNriZydqiPCnVIsdBIujfU",
#endif
	"{PLAIN}restante",
	"{CLEARTEXT}restante",
};

static const struct sdk_password_limits lenient = {.allow_plain = 1};

static int32_t
check(const char *stored, const char *password, size_t n, const struct sdk_password_limits *l)
{
	char why[128] = "";

	return sdk_password_check(sdk_str(stored), (struct pm_str){password, n}, l, why);
}

static void
every_scheme_takes_the_right_password_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		assert_int_equal(check(hashes[i], "restante", 8, &lenient), PM_OK);
		assert_int_equal(check(hashes[i], "Restante", 8, &lenient), PM_DENIED);
		assert_int_equal(check(hashes[i], "restant", 7, &lenient), PM_DENIED);
		assert_int_equal(check(hashes[i], "", 0, &lenient), PM_DENIED);
		assert_int_equal(check(hashes[i], "restante\0x", 10, &lenient), PM_DENIED);
	}
}

static void
text_that_is_no_hash_lets_nobody_in(void **state)
{
	static const struct {
		const char *stored;
		int32_t rc;
	} cases[] = {
		{"", PM_DENIED},
		{"!", PM_DENIED},
		{"*", PM_DENIED},
		{"{CRYPT}!$6$x$y", PM_DENIED},
		{"{NONSENSE}x", PM_UNSUPPORTED},
		{"restante", PM_CORRUPT},
		{"{SHA256}restante", PM_CORRUPT},
		{"{SSHA}", PM_CORRUPT},
		{"{PBKDF2}$1$salt$x$00", PM_CORRUPT},
		{"{SCRAM-SHA-256}4096,a,b", PM_CORRUPT},
		{"{SHA512-CRYPT}$6$rounds=999999999$salt$x", PM_CORRUPT},
		{"{BLF-CRYPT}$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijklmnop",
		 PM_CORRUPT},
		{"{PBKDF2}$1$salt$999999999$00112233445566778899aabbccddeeff00112233", PM_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(check(cases[i].stored, "restante", 8, &lenient), cases[i].rc);
}

/* Each asks for hours or gigabytes: refused before anything is computed. */
static void
hostile_costs_are_refused(void **state)
{
	static const struct sdk_password_limits tight = {
		.max_rounds = 1000, .max_log_cost = 10, .max_memory_kib = 65536};
	static const char *const hostile[] = {
		"$7$8U..../...saltsalt$",              /* r = 32, p of 2^24 */
		"$7$8zzzzz/....saltsalt$",             /* r = 2^30 - 1 */
		"$7$zU..../....saltsalt$",             /* N = 2^63 */
		"$y$jzT$saltsaltsaltsaltsalts1$",      /* N */
		"$y$j7zzzzzz$saltsaltsaltsaltsalts1$", /* r */
		"$y$j750zzz$saltsaltsaltsaltsalts1$",  /* t and more */
		"$gy$jzT$saltsaltsaltsaltsalts1$",
		"_zzzzabcdA85cxfmMwHI", /* BSDi: 2^24 rounds */
		"$sha1$4000000000$salt$x",
		"$md5,rounds=99999999$saltsalt$x",
		"$5$rounds=5000$saltsalt$x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		assert_int_equal(check(hostile[i], "restante", 8, &tight), PM_CORRUPT);
	/* and gensalt's own defaults are within our limits */
	assert_int_equal(
		check("$y$j9T$saltsaltsaltsaltsalts1$0123456789012345678901234567890123456789012",
		      "x", 1, NULL),
		PM_DENIED);
}

static void
plain_text_only_where_it_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(check("{PLAIN}restante", "restante", 8, NULL), PM_UNSUPPORTED);
	assert_int_equal(check("{PLAIN}!", "!", 1, &lenient), PM_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scheme_takes_the_right_password_only),
		cmocka_unit_test(text_that_is_no_hash_lets_nobody_in),
		cmocka_unit_test(hostile_costs_are_refused),
		cmocka_unit_test(plain_text_only_where_it_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
