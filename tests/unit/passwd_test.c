/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The passwd module and the hashes it checks passwords against: those crypt(3) makes here and now,
 * those of other programs (Python's hashlib, libargon2) for one password, hostile ones, and the
 * verifiers it hands out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "module_rig.h"

#define PASSWORD "s3cret \xc3\xa9"
#define MEMORY "{CRYPT}: it needs more than 1048576 KiB, or too many passes over them"
#define SALT64 "TmFDbCtwZXBwZXI="
#define VERIFIER \
	"4096," SALT64 ",ZRr4/" \
	"f7ru7b9kXoFOipc5PM65agjb4Y+G+4Zvz77vew=,PtqieOqu7zZrIuIFHIZESRagrP20q5QILakh4A8easI="

/* A module on a file of one account, ann, whose hash is that; settings as of clocked_open. */
#define WITH_HASH(hash, ...) \
	(put_hash(hash), clocked_open("passwd", "file", \
				      text_of((struct pm_str){path, strlen(path)}), __VA_ARGS__))

static char path[200];

static void
put_hash(const char *hash)
{
	char text[1400];
	int n = snprintf(text, sizeof(text), "ann:%s\n", hash);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	snprintf(path, sizeof(path), "%s", dated_file("passwd", text, (size_t)n));
}

/* ---- schemes --------------------------------------------------------------------------------- */

/* This password, and none that is nearly it. */
static void
expect_match(const char *hash)
{
	static const char *const wrong[] = {"S3cret \xc3\xa9", "s3cret", "s3cret ",
					    "3cret \xc3\xa9", "x"};
	struct host_inst *i = WITH_HASH(hash, "allow_plain", "yes", NULL);
	struct pm_user u;

	call_again(); /* a call has memory for some thirty users */
	if (!i || verify(i, "ann", PASSWORD, &u) != PM_OK)
		fail_msg("%s: refused: %s%s", hash, rig_errors, call->error);
	for (size_t k = 0; k < COUNT(wrong); k++)
		if (verify(i, "ann", wrong[k], &u) != PM_DENIED)
			fail_msg("%s: '%s' was not denied", hash, wrong[k]);
	host_close(i);
}

/* Cheap settings; hashes that this libxcrypt cannot make are left out. */
static void
whatever_crypt_makes(void **state)
{
	static const struct {
		const char *prefix, *scheme;
		unsigned long count;
		bool always;
	} cases[] = {
		{"$y$", "{YESCRYPT}", 1, false},       {"$gy$", "{GOST-YESCRYPT}", 1, false},
		{"$7$", "{SCRYPT}", 6, false},         {"$2b$", "{BLF-CRYPT}", 4, true},
		{"$2y$", "{BCRYPT}", 4, false},        {"$2a$", "{blf-crypt}", 4, false},
		{"$6$", "{SHA512-CRYPT}", 1000, true}, {"$5$", "{SHA256-CRYPT}", 1000, true},
		{"$sha1", "{CRYPT}", 1000, false},     {"$md5", "{CRYPT}", 1, false},
		{"$1$", "{MD5-CRYPT}", 0, false},      {"$1$", "{MD5}", 0, false},
		{"$3$", "{CRYPT}", 0, false},          {"_", "{DES-CRYPT}", 1, false},
		{"", "{DES-CRYPT}", 0, false},         {"$sm3$", "{CRYPT}", 1000, false},
		{"$sm3y$", "{CRYPT}", 1, false},
	};
	struct crypt_data *data = calloc(1, sizeof(*data));

	(void)state;
	assert_non_null(data);
	for (size_t k = 0; k < COUNT(cases); k++) {
		char setting[CRYPT_GENSALT_OUTPUT_SIZE], hash[CRYPT_OUTPUT_SIZE + 64];
		const char *made;

		if (!crypt_gensalt_rn(cases[k].prefix, cases[k].count, NULL, 0, setting,
				      sizeof(setting))) {
			assert_false(cases[k].always);
			continue;
		}
		made = crypt_r(PASSWORD, setting, data);
		assert_true(made && made[0] != '*');
		snprintf(hash, sizeof(hash), "%s", made);
		expect_match(hash);
		snprintf(hash, sizeof(hash), "{CRYPT}%s", made);
		expect_match(hash);
		snprintf(hash, sizeof(hash), "%s%s", cases[k].scheme, made);
		expect_match(hash);
	}
	free(data);
}

static void
hashes_of_other_programs(void **state)
{
	static const char *const hashes[] = {
		"{SHA}KhZ1Vc2++p3skRshFI8qdPsViZI=",
		"{SHA1}KhZ1Vc2++p3skRshFI8qdPsViZI",
		"{SHA}2a167555cdbefa9dec911b21148f2a74fb158992",
		"{SHA.HEX}2A167555CDBEFA9DEC911B21148F2A74FB158992",
		"{SHA.B64}KhZ1Vc2++p3skRshFI8qdPsViZI=",
		"{sha.base64}KhZ1Vc2++p3skRshFI8qdPsViZI=",
		"{SSHA}5Iat6iojKBPs09IZRAWvPjieg/xOYUNsK3BlcHBlcg==",
		"{SSHA.HEX}e486adea2a232813ecd3d2194405af3e389e83fc4e61436c2b706570706572",
		"{SSHA.B64}5Iat6iojKBPs09IZRAWvPjieg/xOYUNsK3BlcHBlcg",
		"{SHA256}5RFVxhjFxDjT7zPOxlClATMoybaVChK9WWU751cZBHU=",
		"{SHA256}e51155c618c5c438d3ef33cec650a5013328c9b6950a12bd59653be757190475",
		"{SHA256.HEX}E51155C618C5C438D3EF33CEC650A5013328C9B6950A12BD59653BE757190475",
		"{SHA256.B64}5RFVxhjFxDjT7zPOxlClATMoybaVChK9WWU751cZBHU=",
		"{SSHA256}1H2xnCjwH//IBnouyhUvfwnvJpF/Jw6NDA3TcBEumIdOYUNsK3BlcHBlcg==",
		"{SSHA256.hex}"
		"d47db19c28f01fffc8067a2eca152f7f09ef26917f270e8d0c0dd370112e98874e61436c2b70657070"
		"6572",
		"{SSHA256.B64}1H2xnCjwH//IBnouyhUvfwnvJpF/Jw6NDA3TcBEumIdOYUNsK3BlcHBlcg",
		"{SHA512}OiW1CGFPeB+gyP5V3bkAXaggAH6oFSRKTI3yAepCApzFhwyMiKD7IjIK5xK+"
		"QwBB8VePZi1CINukAMy2yav6cw==",
		"{SHA512.HEX}"
		"3A25B508614F781FA0C8FE55DDB9005DA820007EA815244A4C8DF201EA42029CC5870C8C88A0FB2232"
		"0AE712BE430041"
		"F1578F662D4220DBA400CCB6C9ABFA73",
		"{SSHA512}ZaiM4F5wfSFxzlIMs/"
		"m+sL0GeuUr+rb6U9kGxwKtIIPxOWqqgceXdVHFFAUyyCysr+eNsd4zgFZXY1791d3P/U5hQ2wrcGVw"
		"cGVy",
		"{SSHA512.HEX}"
		"65a88ce05e707d2171ce520cb3f9beb0bd067ae52bfab6fa53d906c702ad2083f1396aaa81c7977551"
		"c5140532c82c"
		"acafe78db1de33805657635efdd5ddcffd4e61436c2b706570706572",
		"{PBKDF2}$1$peppersalt$1234$fc33a120771ebba88890c241f4c4e42a0017ad5f",
		"{SCRAM-SHA-1}4096," SALT64
		",/2q2zakFk9poyhziErgywBZXZLc=,Yw6vr+KlQYcfFKYTMbCbjzFHOtk=",
		"{SCRAM-SHA-256}" VERIFIER,
#ifdef HAVE_ARGON2
		"{ARGON2ID}$argon2id$v=19$m=64,t=2,p=1$TmFDbCtwZXBwZXI$t57YWoXIY4C5gyBUzIvIV+"
		"n5EZtxtxsH",
		"{ARGON2I}$argon2i$v=19$m=64,t=2,p=1$TmFDbCtwZXBwZXI$KyQTZjeqS8bWJB+"
		"ECCUIvWIYlVJn1sc0",
		"$argon2id$v=19$m=64,t=2,p=1$TmFDbCtwZXBwZXI$t57YWoXIY4C5gyBUzIvIV+n5EZtxtxsH",
#endif
		"{PLAIN}" PASSWORD,
		"{CLEARTEXT}" PASSWORD,
		"{clear}" PASSWORD,
	};

	(void)state;
	for (size_t k = 0; k < COUNT(hashes); k++)
		expect_match(hashes[k]);
}

/* ---- hashes that cannot be checked ----------------------------------------------------------- */

/* Refused whatever is typed, and the log tells the operator whose hash it is and why. */
static void
expect_refused(const char *hash, const char *why, struct host_inst *i)
{
	char text[200];
	struct pm_user u;
	int32_t rc;

	assert_non_null(i);
	snprintf(text, sizeof(text), "user 'ann': %s", why);
	rc = verify(i, "ann", PASSWORD, &u);
	if (rc != PM_PERM || strcmp(call->error, text) != 0)
		fail_msg("%s: %s '%s' instead of '%s'", hash, host_code_name(rc), call->error,
			 text);
	assert_int_equal(u.n_attr, 0); /* R5 */
	host_close(i);
}

static void
hashes_that_are_none(void **state)
{
	static const struct {
		const char *hash, *why;
	} cases[] = {
		{"{NONSENSE}x", "unknown password scheme {NONSENSE}"},
		{"{}x", "unknown password scheme {}"},
		{"{PLAIN}" PASSWORD,
		 "{PLAIN}: passwords in plain text are not allowed here: allow_plain = yes"},
		{"{CLEARTEXT}" PASSWORD,
		 "{CLEARTEXT}: passwords in plain text are not allowed here: allow_plain = yes"},
		{PASSWORD, "{CRYPT}: not a hash crypt(3) knows"},
		{"{SHA256}c2hvcnQ=", "{SHA256}: not a digest of its length"},
		{"{SHA256.HEX}5RFVxhjFxDjT7zPOxlClATMoybaVChK9WWU751cZBHU=",
		 "{SHA256}: not a digest of its length"},
		{"{SSHA512.B64}AAAA", "{SSHA512}: not a digest of its length"},
		{"{SSHA}", "{SSHA}: not a digest of its length"},
		{"{PBKDF2}peppersalt", "{PBKDF2}: expected $1$salt$rounds$hash"},
		{"{PBKDF2}$1$salt$0$fc33a120771ebba88890c241f4c4e42a0017ad5f",
		 "{PBKDF2}: no number of rounds within the limit"},
		{"{PBKDF2}$1$salt$10$fc33", "{PBKDF2}: the hash is not hex"},
		{"{PBKDF2}$1$salt$10$xc33a120771ebba88890c241f4c4e42a0017ad5f",
		 "{PBKDF2}: the hash is not hex"},
		{"{SCRAM-SHA-1}" VERIFIER,
		 "{SCRAM-SHA-1}: expected iterations,salt,stored-key,server-key in base64"},
		{"{SCRAM-SHA-256}-1,a,b,c",
		 "{SCRAM-SHA-256}: expected iterations,salt,stored-key,server-key in base64"},
#ifdef HAVE_ARGON2
		{"{ARGON2ID}$argon2id$v=19$", "{ARGON2ID}: not an argon2 hash"},
		{"{ARGON2I}x", "{ARGON2I}: not an argon2 hash"},
#else
		{"{ARGON2ID}x", "{ARGON2ID}: this build has no argon2; configure --with-argon2"},
#endif
	};
	static char big[1200];

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++)
		expect_refused(cases[k].hash, cases[k].why, WITH_HASH(cases[k].hash, NULL));
	snprintf(big, sizeof(big), "{SSHA256}%01000d", 0);
	expect_refused("a hash of 1,000 bytes", "the {SSHA256} hash is longer than 768 bytes",
		       WITH_HASH(big, NULL));
}

/* Each would take hours, or all the memory there is. */
static void
costs_above_the_defaults(void **state)
{
	static const struct {
		const char *hash, *why;
	} cases[] = {
		{"$6$rounds=999999999$saltsalt$x", "{CRYPT}: more than 5000000 rounds"},
		{"{SHA256-CRYPT}$5$rounds=5000001$saltsalt$x",
		 "{SHA256-CRYPT}: more than 5000000 rounds"},
		{"{CRYPT}$sha1$4294967295$zBvW3pFapLzv3A3SPIo6$PtWxqbE5cBY7hg1mxbq1dv2iqPp4",
		 "{CRYPT}: more than 5000000 rounds"},
		{"{CRYPT}$md5,rounds=4294967295$QEDVBmVw$$fZ.TibajVVL/Ey6VeGVPU.",
		 "{CRYPT}: more than 5000000 rounds"},
		{"$2b$31$abcdefghijklmnopqrstuuORZptb90h/SmxaLQNY7rbLqPJI8E.0e",
		 "{CRYPT}: a cost above 16"},
		{"{BLF-CRYPT}$2y$17$abcdefghijklmnopqrstuuORZptb90h/SmxaLQNY7rbLqPJI8E.0e",
		 "{BLF-CRYPT}: a cost above 16"},
		{"{YESCRYPT}$y$jY5$saltsalt$FAQw7ULAlpellLkh8OWSEOAYklsAlm2.9PDO8ai5cq4",
		 "{YESCRYPT}: a cost above 16"},
		{"$gy$jY5$saltsalt$FAQw7ULAlpellLkh8OWSEOAYklsAlm2.9PDO8ai5cq4",
		 "{CRYPT}: a cost above 16"},
		{"{SCRYPT}$7$YU..../....SALT$PrPg7D/Y6WzGGhGlpcPlvKYiNh3kmQ9JC3PFH9E3lAC",
		 "{SCRYPT}: a cost above 16"},
		/* blocks and lanes of scrypt, blocks and passes of yescrypt */
		{"$7$BU..../zzzzSALT$PrPg7D/Y6WzGGhGlpcPlvKYiNh3kmQ9JC3PFH9E3lAC", MEMORY},
		{"$7$Bzzzzz/....SALT$PrPg7D/Y6WzGGhGlpcPlvKYiNh3kmQ9JC3PFH9E3lAC", MEMORY},
		{"$y$jDs..$saltsalt$FAQw7ULAlpellLkh8OWSEOAYklsAlm2.9PDO8ai5cq4", MEMORY},
		{"$y$j75/x...$saltsalt$FAQw7ULAlpellLkh8OWSEOAYklsAlm2.9PDO8ai5cq4", MEMORY},
		{"{DES-CRYPT}_zzzzrXKisACdwOgoX6U", "{DES-CRYPT}: more than 5000000 rounds"},
		{"{PBKDF2}$1$salt$5000001$fc33a120771ebba88890c241f4c4e42a0017ad5f",
		 "{PBKDF2}: no number of rounds within the limit"},
		{"{SCRAM-SHA-256}4294967295," SALT64
		 ",ZRr4/f7ru7b9kXoFOipc5PM65agjb4Y+G+4Zvz77vew=,"
		 "PtqieOqu7zZrIuIFHIZESRagrP20q5QILakh4A8easI=",
		 "{SCRAM-SHA-256}: more iterations than the limit"},
#ifdef HAVE_ARGON2
		{"{ARGON2ID}$argon2id$v=19$m=4294967295,t=1,p=1$TmFDbCtwZXBwZXI$"
		 "t57YWoXIY4C5gyBUzIvIV+n5EZtxtxsH",
		 "{ARGON2ID}: m=4294967295,t=1,p=1 is above the limits"},
		{"{ARGON2I}$argon2i$v=19$m=64,t=4294967295,p=1$TmFDbCtwZXBwZXI$KyQTZjeqS8bWJB+"
		 "ECCUIvWIYlVJn1sc0",
		 "{ARGON2I}: m=64,t=4294967295,p=1 is above the limits"},
		{"$argon2id$v=19$m=1048576,t=63,p=1$TmFDbCtwZXBwZXI$t57YWoXIY4C5gyBUzIvIV+"
		 "n5EZtxtxsH",
		 "{ARGON2}: m=1048576,t=63,p=1 is above the limits"},
		{"$argon2id$v=19$m=1024,t=1,p=17$TmFDbCtwZXBwZXI$t57YWoXIY4C5gyBUzIvIV+n5EZtxtxsH",
		 "{ARGON2}: m=1024,t=1,p=17 is above the limits"},
#endif
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++)
		expect_refused(cases[k].hash, cases[k].why, WITH_HASH(cases[k].hash, NULL));
}

/* Honest hashes under a miser's limits. */
static void
costs_above_the_limits(void **state)
{
	static const struct {
		const char *key, *value, *hash, *why;
	} cases[] = {
		{"max_rounds", "4095", "{SCRAM-SHA-256}" VERIFIER,
		 "{SCRAM-SHA-256}: more iterations than the limit"},
		{"max_rounds", "1233",
		 "{PBKDF2}$1$peppersalt$1234$fc33a120771ebba88890c241f4c4e42a0017ad5f",
		 "{PBKDF2}: no number of rounds within the limit"},
		{"max_rounds", "4999", "{CRYPT}$5$rounds=5000$saltsalt$x",
		 "{CRYPT}: more than 4999 rounds"},
		{"max_log_cost", "4",
		 "$2b$05$abcdefghijklmnopqrstuuORZptb90h/SmxaLQNY7rbLqPJI8E.0e",
		 "{CRYPT}: a cost above 4"},
		{"max_log_cost", "4", "$y$j75$saltsalt$FAQw7ULAlpellLkh8OWSEOAYklsAlm2.9PDO8ai5cq4",
		 "{CRYPT}: a cost above 4"},
#ifdef HAVE_ARGON2
		{"max_memory_kib", "63",
		 "$argon2id$v=19$m=64,t=2,p=1$TmFDbCtwZXBwZXI$t57YWoXIY4C5gyBUzIvIV+n5EZtxtxsH",
		 "{ARGON2}: m=64,t=2,p=1 is above the limits"},
#endif
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++)
		expect_refused(cases[k].hash, cases[k].why,
			       WITH_HASH(cases[k].hash, cases[k].key, cases[k].value, NULL));
	expect_match("{SCRAM-SHA-256}" VERIFIER); /* under the usual ones it is fine */
}

static void
locked_accounts(void **state)
{
	static const char *const hashes[] = {"",
					     "!",
					     "*",
					     "!!",
					     ("!{PLAIN}" PASSWORD),
					     "*{SHA}KhZ1Vc2++p3skRshFI8qdPsViZI=",
					     "{CRYPT}!",
					     "{SHA}*KhZ1Vc2++p3skRshFI8qdPsViZI="};
	struct pm_user u;

	(void)state;
	for (size_t k = 0; k < COUNT(hashes); k++) {
		struct host_inst *i = WITH_HASH(hashes[k], "allow_plain", "yes", NULL);

		assert_non_null(i);
		assert_int_equal(verify(i, "ann", PASSWORD, &u), PM_DENIED);
		assert_int_equal(verify(i, "ann", "!", &u), PM_DENIED);
		assert_string_equal(call->error, "");
		host_close(i);
	}
}

static void
passwords_nobody_has(void **state)
{
	struct host_inst *i = WITH_HASH("{PLAIN}a", "allow_plain", "yes", NULL);
	static char longest[2000];
	struct pm_user u;
	struct pm_cred c;

	(void)state;
	memset(longest, 'a', sizeof(longest));
	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.authcid = (struct pm_str){"ann", 3};
	c.secret = (struct pm_str){NULL, 0};
	assert_int_equal(host_verify(i, call, &c, &u), PM_DENIED);
	c.secret = (struct pm_str){"a\0b", 3}; /* not "a" */
	assert_int_equal(host_verify(i, call, &c, &u), PM_DENIED);
	c.secret = (struct pm_str){longest, sizeof(longest)};
	assert_int_equal(host_verify(i, call, &c, &u), PM_DENIED);
	c.secret = (struct pm_str){longest, 1};
	assert_int_equal(host_verify(i, call, &c, &u), PM_OK);
	c.kind = PM_CRED_TOKEN;
	assert_int_equal(host_verify(i, call, &c, &u), PM_UNSUPPORTED);
	host_close(i);
}

/* ---- APOP, secrets --------------------------------------------------------------------------- */

/* RFC 1939 section 7 has the numbers. */
static void
apop_needs_plain_text(void **state)
{
	static const struct {
		const char *hash, *allow, *digest;
		int32_t rc;
	} cases[] = {
		{"{PLAIN}tanstaaf", "yes", "c4c9334bac560ecc979e58001b3e22fb", PM_OK},
		{"{PLAIN}tanstaaf", "yes", "c4c9334bac560ecc979e58001b3e22fc", PM_DENIED},
		{"{PLAIN}tanstaaf", "yes", "c4c9334bac560ecc979e58001b3e22f", PM_DENIED},
		{"{PLAIN}tanstaaf", "yes", "", PM_DENIED},
		{"{PLAIN}tanstaaf", "no", "c4c9334bac560ecc979e58001b3e22fb", PM_DENIED},
		{"{SCRAM-SHA-256}" VERIFIER, "yes", "c4c9334bac560ecc979e58001b3e22fb", PM_DENIED},
	};
	struct pm_user u;
	struct pm_cred c;

	(void)state;
	host_cred_init(&c);
	c.kind = PM_CRED_APOP;
	c.authcid = (struct pm_str){"ann", 3};
	c.challenge = (struct pm_str){"<1896.697170952@dbc.mtview.ca.us>", 33};
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct host_inst *i = WITH_HASH(cases[k].hash, "allow_plain", cases[k].allow, NULL);

		assert_non_null(i);
		assert_int_equal(!!(host_caps(i) & 1u << PM_CRED_APOP), cases[k].allow[0] == 'y');
		c.digest = (struct pm_str){cases[k].digest, strlen(cases[k].digest)};
		assert_int_equal(host_verify(i, call, &c, &u), cases[k].rc);
		host_close(i);
	}
}

static void
secrets_of_the_kind_asked_for(void **state)
{
	static const struct {
		const char *name, *hash;
		uint32_t kinds;
		int32_t rc;
	} cases[] = {
		{"ann", "{SCRAM-SHA-256}" VERIFIER, PM_SECRET_SCRAM_SHA256, PM_OK},
		{"ann", "{SCRAM-SHA-256}" VERIFIER, PM_SECRET_SCRAM_SHA1, PM_UNSUPPORTED},
		{"ann", "{SCRAM-SHA-256}" VERIFIER, PM_SECRET_PLAIN, PM_UNSUPPORTED},
		{"ann", "{SCRAM-SHA-256}4096,!,!,!", PM_SECRET_SCRAM_SHA256, PM_CORRUPT},
		{"ann", "!{SCRAM-SHA-256}" VERIFIER, PM_SECRET_SCRAM_SHA256, PM_UNSUPPORTED},
		{"ann", "{SHA}KhZ1Vc2++p3skRshFI8qdPsViZI=", PM_SECRET_SCRAM_SHA1 | PM_SECRET_PLAIN,
		 PM_UNSUPPORTED},
		{"ann", "{PLAIN}x", PM_SECRET_SCRAM_SHA1, PM_UNSUPPORTED},
		{"ann", "{PLAIN}x", PM_SECRET_PLAIN, PM_OK},
		{"eve", "{PLAIN}x", PM_SECRET_PLAIN, PM_NOENT},
		{"", "{PLAIN}x", PM_SECRET_PLAIN, PM_NOENT},
	};
	struct pm_cred c;

	(void)state;
	host_cred_init(&c);
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct host_inst *i = WITH_HASH(cases[k].hash, "allow_plain", "yes", NULL);
		struct pm_secret s = {.kinds = cases[k].kinds};
		struct pm_user u;

		c.authcid = (struct pm_str){cases[k].name, strlen(cases[k].name)};
		assert_int_equal(host_secret(i, call, &c, &s, &u), cases[k].rc);
		assert_int_equal(u.name.n, cases[k].rc == PM_OK ? 3 : 0);
		if (s.kinds == PM_SECRET_SCRAM_SHA256 && cases[k].rc == PM_OK) {
			assert_int_equal(s.iter, 4096);
			assert_string_equal(text_of(s.salt), "NaCl+pepper");
			assert_int_equal(s.stored_key.n, 32);
			assert_int_equal(s.server_key.n, 32);
			assert_memory_equal(s.stored_key.p, "\x65\x1a\xf8\xfd", 4);
			assert_memory_equal(s.server_key.p, "\x3e\xda\xa2\x78", 4);
		} else if (cases[k].rc == PM_OK) {
			assert_string_equal(text_of(s.plain), "x");
		} else {
			assert_null(s.salt.p); /* R5 */
		}
		host_close(i);
	}
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int
begin(void **state)
{
	static const char *const modules[] = {"passwd", NULL};

	(void)state;
	(void)rig_begin(modules);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whatever_crypt_makes),          TEST(hashes_of_other_programs),
		TEST(hashes_that_are_none),          TEST(costs_above_the_defaults),
		TEST(costs_above_the_limits),        TEST(locked_accounts),
		TEST(passwords_nobody_has),          TEST(apop_needs_plain_text),
		TEST(secrets_of_the_kind_asked_for),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
