/* SPDX-License-Identifier: Apache-2.0 */
/* The passwd module's files: lines and fields, one file per domain. */
#include "passwd_rig.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- lines and fields ------------------------------------------------------------------------ */

static const char *
attr(const struct pm_user *u, const char *key)
{
	for (uint32_t k = 0; k < u->n_attr; k++)
		if (strcmp(text_of(u->attr[k].key), key) == 0)
			return text_of(u->attr[k].value);
	return "";
}

static void
fields_become_the_user(void **state)
{
	static const struct {
		const char *rest; /* of the line, after the hash */
		const char *uid, *gid, *home, *section, *key;
		uint32_t lacks, state;
		uint64_t octets, msgs;
	} cases[] = {
		{"", "", "", "", "", "", 0, 0, 0, 0},
		{":5000", "5000", "", "", "", "", 0, 0, 0, 0},
		{":5000:6000:Ann, A.:/home/ann:/bin/sh", "5000", "6000", "/home/ann", "", "", 0, 0,
		 0, 0},
		{":::::", "", "", "", "", "", 0, 0, 0, 0},
		{"::::/h::nopop3", "", "", "/h", "", "", PM_RIGHT_POP3, 0, 0, 0},
		{"::::::nodelete nodelivery", "", "", "", "", "",
		 PM_RIGHT_DELETE | PM_RIGHT_DELIVER, 0, 0, 0},
		{"::::::  nopop3   nodelete  ", "", "", "", "", "", PM_RIGHT_POP3 | PM_RIGHT_DELETE,
		 0, 0, 0},
		{"::::::disabled", "", "", "", "", "", 0, PM_USER_DISABLED, 0, 0},
		{"::::::nologin", "", "", "", "", "", 0, PM_USER_DISABLED, 0, 0},
		{"::::::quota_octets=1048576 quota_messages=7", "", "", "", "", "", 0, 0, 1048576,
		 7},
		{"::::::storage=archive key=ann/2", "", "", "", "archive", "ann/2", 0, 0, 0, 0},
		{"::::::userdb_mail=maildir:~/Mail proxy=y =x key=k", "", "", "", "", "k", 0, 0, 0,
		 0},
		{"::::::NOPOP3 nopop3s", "", "", "", "", "", 0, 0, 0, 0},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		char line[200];
		struct host_inst *i;
		struct pm_user u[2];

		snprintf(line, sizeof(line), "ann:{PLAIN}a%s\n", cases[k].rest);
		i = clocked_open("passwd", "file", file("passwd", line), "allow_plain", "yes",
				 NULL);
		assert_non_null(i);
		call_again();
		assert_int_equal(verify(i, "ann", "a", &u[0]), PM_OK);
		assert_int_equal(lookup(i, "ann", 3, &u[1]), PM_OK);
		for (int n = 0; n < 2; n++) {
			assert_string_equal(text_of(u[n].name), "ann");
			assert_string_equal(attr(&u[n], "uid"), cases[k].uid);
			assert_string_equal(attr(&u[n], "gid"), cases[k].gid);
			assert_string_equal(attr(&u[n], "home"), cases[k].home);
			assert_string_equal(text_of(u[n].section), cases[k].section);
			assert_string_equal(text_of(u[n].key), cases[k].key);
			assert_int_equal(u[n].rights, PM_RIGHTS_DEFAULT & ~cases[k].lacks);
			assert_int_equal(u[n].state, cases[k].state);
			assert_int_equal(u[n].quota_octets, cases[k].octets);
			assert_int_equal(u[n].quota_msgs, cases[k].msgs);
			assert_int_equal(u[n].expire_days, PM_EXPIRE_SITE);
		}
		host_close(i);
	}
}

static void
files_that_are_in_order(void **state)
{
	static const char *const texts[] = {
		"ann:{PLAIN}a\nben:{PLAIN}b\n",
		"ben:{PLAIN}b\nann:{PLAIN}a\n",
		"ann:{PLAIN}a\r\nben:{PLAIN}b\r\n",
		"\n\nann:{PLAIN}a\r\nben:{PLAIN}b\r\n",
		"# people\n\nann:{PLAIN}a\n#eve:{PLAIN}e\n\n\nben:{PLAIN}b\n#\n",
		"\r\n#\r\n\r\nann:{PLAIN}a\nben:{PLAIN}b\n",
		"ann:{PLAIN}a:::#no comment\nben:{PLAIN}b\n",
	};

	(void)state;
	for (size_t k = 0; k < COUNT(texts); k++) {
		struct host_inst *i = clocked_open("passwd", "file", file("passwd", texts[k]),
						   "allow_plain", "yes", NULL);

		assert_non_null(i);
		expect_user(i, "ann", "a");
		expect_user(i, "ben", "b");
		expect_none(i, "eve", PM_DENIED);
		expect_none(i, "#eve", PM_DENIED);
		expect_none(i, "Ann", PM_DENIED); /* the host has normalised it */
		expect_none(i, "an", PM_DENIED);
		host_close(i);
	}
}

/* Whatever is written there, names are as the server asks for them; those it never can are told. */
static void
names_are_the_servers(void **state)
{
	static const struct {
		const char *text;
		bool lower;
		const char *users, *nobody; /* with blanks between; the password is the name */
		const char *warning;
	} cases[] = {
		{"\xef\xbb\xbf"
		 "ann:{PLAIN}ann\nben:{PLAIN}ben\n",
		 true, "ann ben", "", NULL},
		{"\xef\xbb\xbf#\nann:{PLAIN}ann\n", false, "ann", "", NULL},
		{"Ann@B.Test:{PLAIN}ann@b.test\n", true, "ann@b.test", "Ann@B.Test", NULL},
		{"Ann@B.Test:{PLAIN}Ann@b.test\nC:{PLAIN}C\n", false, "Ann@b.test C",
		 "ann@b.test c", NULL},
		{"ann:{PLAIN}ann\nANN:{PLAIN}no\nAnn:{PLAIN}no\n", true, "ann", "",
		 "line 2: the name differs"},
		{"#\nANN:{PLAIN}ann\nAnn:{PLAIN}ann\nben:{PLAIN}ben\n", true, "ben", "ann Ann ANN",
		 "2 such lines"},
		{"ann@B.c:{PLAIN}x\nann@b.c:{PLAIN}ann@b.c\n", false, "ann@b.c", "",
		 "line 1: the name differs"},
		{"a\xff:{PLAIN}x\nann:{PLAIN}ann\n", true, "ann", "",
		 "line 1: the name is not UTF-8"},
		{"ann:{PLAIN}ann\nann\t:{PLAIN}x\n", true, "ann", "",
		 "line 2: the name is not UTF-8 or holds a tab"},
		{"ann:{PLAIN}ann\n ben:{PLAIN}x\nd :{PLAIN}x\n", true, "ann", "ben d",
		 "line 2: the name has a blank"},
		{"ann:{PLAIN}ann\n@b.c:{PLAIN}x\n", true, "ann", "",
		 "line 2: the name begins with @"},
		{"J\xc3\x9cRG:{PLAIN}j\xc3\x9crg\n", true, "j\xc3\x9crg", "",
		 NULL}, /* ASCII, as the server */
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		char names[100], *at = names, *one;
		struct host_inst *i;

		rig_log[0] = '\0';
		rig_flags = cases[k].lower ? PM_OPENF_LOWER_NAMES : 0;
		i = clocked_open("passwd", "file", file("passwd", cases[k].text), "allow_plain",
				 "yes", NULL);
		assert_non_null(i);
		for (snprintf(names, sizeof(names), "%s", cases[k].users);
		     (one = strsep(&at, " "));)
			expect_user(i, one, one);
		at = names;
		for (snprintf(names, sizeof(names), "%s", cases[k].nobody);
		     (one = strsep(&at, " "));)
			if (*one)
				expect_none(i, one, PM_DENIED);
		if (cases[k].warning ? !strstr(rig_log, cases[k].warning) : *rig_log)
			fail_msg("case %zu: %s", k, rig_log);
		host_close(i);
	}
	rig_flags = 0;
}

static void
files_that_are_not(void **state)
{
	static const struct {
		const char *text, *why;
		size_t n;
	} cases[] = {
#define CASE(t, why) {t, why, sizeof(t) - 1}
		CASE("ann\n", "line 1: expected user:{SCHEME}hash"),
		CASE("#\n\nann:x\nben\n", "line 4: expected user:{SCHEME}hash"),
		CASE("ann:x\n \n", "line 2: expected user:{SCHEME}hash"),
		CASE("", "the file is empty: a line with # says that there are no accounts"),
		CASE("ann:x", "line 1 has no end: the file may have been cut off there"),
		CASE("ann:x\nben:y\r", "line 2 has no end: the file may have been cut off there"),
		CASE("ann:x\n#", "line 2 has no end: the file may have been cut off there"),
		CASE(":x\n", "line 1: expected a user name of 1 to 320 bytes"),
		CASE("ann:x\nb\0n:y\n", "line 2: the line holds a NUL byte"),
		CASE("ann:x\0\n", "line 1: the line holds a NUL byte"),
		CASE("ann:x\nben:y\nann:z\n", "user 'ann' is there twice"),
#undef CASE
	};
	static char line[6000];

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		assert_null(clocked_open("passwd", "file",
					 file_of("passwd", cases[k].text, cases[k].n), NULL));
		assert_non_null(strstr(rig_errors, cases[k].why));
		assert_non_null(strstr(rig_errors, "section test: file: '/tmp/"));
	}
	snprintf(line, sizeof(line), "\n%0321d:x\n", 0);
	assert_null(clocked_open("passwd", "file", file("passwd", line), NULL));
	assert_non_null(strstr(rig_errors, "line 2: expected a user name of 1 to 320 bytes"));
	snprintf(line, sizeof(line), "ann:x::::/%04095d\n", 0);
	assert_null(clocked_open("passwd", "file", file("passwd", line), NULL));
	assert_non_null(
		strstr(rig_errors, "line 1: the home directory is longer than 4,095 bytes"));
	assert_null(clocked_open("passwd", "file", "/nonexistent/passwd", NULL));
	assert_non_null(strstr(rig_errors, "file: '/nonexistent/passwd': No such file"));
	assert_null(clocked_open("passwd", "file", rig_dir(), NULL));
	assert_non_null(strstr(rig_errors, "not a regular file"));
	assert_null(clocked_open("passwd", NULL));
	assert_non_null(strstr(rig_errors, "file is missing"));
}

static void
extremes_that_are_allowed(void **state)
{
	static char text[2 << 20];
	char name[PM_NAME_MAX + 1];
	struct host_inst *i;
	struct pm_user u;
	int n;

	(void)state;
	i = clocked_open("passwd", "file", file("passwd", "#\n"), NULL);
	assert_non_null(i);
	assert_non_null(strstr(rig_log, "holds no accounts"));
	expect_none(i, "ann", PM_DENIED);
	host_close(i);
	snprintf(name, sizeof(name), "%0320d", 0);
	/* gecos of a million bytes */
	n = snprintf(text, sizeof(text), "%s:{PLAIN}a:::%01000000d:/h\n", name, 0);
	i = clocked_open("passwd", "file", file_of("passwd", text, (size_t)n), "allow_plain", "yes",
			 NULL);
	assert_non_null(i);
	assert_int_equal(verify(i, name, "a", &u), PM_OK);
	assert_string_equal(attr(&u, "home"), "/h");
	host_close(i);
}

/* The table grows more than once; every account is found, and nobody in between. */
static void
many_accounts(void **state)
{
	static char text[64 << 10];
	struct host_inst *i;
	struct pm_user u;
	size_t n = 0;

	(void)state;
	for (int k = 0; k < 1000; k++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "u%d:{PLAIN}p%d\n",
				      (k * 7919) % 1000, (k * 7919) % 1000);
	i = clocked_open("passwd", "file", file_of("passwd", text, n), "allow_plain", "yes", NULL);
	assert_non_null(i);
	for (int k = 0; k <= 1000; k++) {
		char name[16], password[16];

		snprintf(name, sizeof(name), "u%d", k);
		snprintf(password, sizeof(password), "p%d", k);
		call_again();
		assert_int_equal(verify(i, name, password, &u), k < 1000 ? PM_OK : PM_DENIED);
	}
	host_close(i);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void
unknown_users_and_domains(void **state)
{
	static const struct {
		const char *strip, *unknown, *name;
		int32_t rc;
	} cases[] = {
		{"no", "deny", "ann", PM_OK},
		{"no", "deny", "ann@example.org", PM_DENIED},
		{"no", "next", "ann@example.org", PM_NEXT},
		{"yes", "deny", "ann@example.org", PM_OK},
		{"yes", "deny", "ann@", PM_OK},
		{"yes", "deny", "@example.org", PM_DENIED},
		{"yes", "next", "eve@example.org", PM_NEXT},
		{"no", "next", "eve", PM_NEXT},
		{"yes", "deny", "ann@a@b", PM_DENIED},
		{"no", "deny", "ben@example.org", PM_OK},
		{"yes", "deny", "ben@example.org", PM_OK},
		{"yes", "deny", "ben@example.com", PM_DENIED},
	};
	const char *path = file("passwd", "ann:{PLAIN}a\nben@example.org:{PLAIN}a\n");

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct host_inst *i =
			clocked_open("passwd", "file", path, "allow_plain", "yes", "strip_domain",
				     cases[k].strip, "unknown", cases[k].unknown, NULL);

		assert_non_null(i);
		if (cases[k].rc == PM_OK)
			expect_user(i, cases[k].name, "a");
		else
			expect_none(i, cases[k].name, cases[k].rc);
		assert_int_equal(host_domain(i, call, (struct pm_str){"example.org", 11}),
				 PM_UNSUPPORTED);
		host_close(i);
	}
}

static struct host_inst *
open_domains(const char *unknown)
{
	char pattern[200];

	snprintf(pattern, sizeof(pattern), "%s/%%d.passwd", rig_dir());
	return clocked_open("passwd", "file", pattern, "allow_plain", "yes", "unknown", unknown,
			    NULL);
}

static void
one_file_per_domain(void **state)
{
	struct host_inst *i = open_domains("next");
	struct pm_user u;

	(void)state;
	assert_non_null(i);
	(void)file("example.org.passwd", "ann:{PLAIN}a\nben@example.org:{PLAIN}b\n");
	(void)file("example.com.passwd", "ann:{PLAIN}other\n");
	expect_user(i, "ann@example.org", "a");
	expect_user(i, "ben@example.org", "b");
	expect_user(i, "ann@example.com", "other");
	expect_none(i, "ben@example.com", PM_NEXT);
	expect_none(i, "ann@example.net", PM_NEXT);
	expect_none(i, "ann", PM_NEXT);
	assert_int_equal(host_domain(i, call, (struct pm_str){"example.org", 11}), PM_OK);
	assert_int_equal(host_domain(i, call, (struct pm_str){"example.net", 11}), PM_NOENT);
	assert_int_equal(host_domain(i, call, (struct pm_str){"", 0}), PM_NOENT);
	(void)file("example.net.passwd", "ann:{PLAIN}new\n"); /* domains may come */
	expect_user(i, "ann@example.net", "new");
	assert_int_equal(host_domain(i, call, (struct pm_str){"example.net", 11}), PM_OK);
	(void)file("example.info.passwd", "broken\n");
	/* R11: not "no such user" */
	assert_int_equal(verify(i, "ann@example.info", "a", &u), PM_TEMP);
	assert_int_equal(lookup(i, "ann@example.info", 16, &u), PM_TEMP);
	assert_int_equal(host_domain(i, call, (struct pm_str){"example.info", 12}), PM_TEMP);
	(void)file("example.info.passwd", "ann:{PLAIN}repaired\n");
	expect_user(i, "ann@example.info", "repaired");
	host_close(i);
}

/* Whatever a client calls its domain, only the files of domains are read. */
static void
hostile_domains(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} names[] = {
#define N(s) {s, sizeof(s) - 1}
		N("ann@../x"), N("ann@.."),          N("ann@."), N("ann@.hidden"),
		N("ann@x/y"),  N("ann@/etc/passwd"), N("ann@"),  N("ann@x\0y"),
		N("ann@%d"),   N("ann@%s%n"),        N("@"),     N("@@"),
		N("ann@ "),    N("ann@\n"),
#undef N
	};
	struct host_inst *i = open_domains("deny");
	static char longest[400] = "ann@";
	struct pm_user u;
	struct pm_cred c;

	(void)state;
	(void)file(".hidden.passwd", "ann:{PLAIN}a\n");
	(void)file("x.passwd", "ann:{PLAIN}a\n");
	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.secret = (struct pm_str){"a", 1};
	for (size_t k = 0; k < COUNT(names); k++) {
		const char *at = memrchr(names[k].p, '@', names[k].n);

		c.authcid = (struct pm_str){names[k].p, names[k].n};
		assert_int_equal(host_verify(i, call, &c, &u), PM_DENIED);
		assert_int_equal(lookup(i, names[k].p, names[k].n, &u), PM_NOENT);
		assert_int_equal(
			host_domain(i, call,
				    (struct pm_str){at + 1,
						    (size_t)(names[k].p + names[k].n - at) - 1}),
			PM_NOENT);
	}
	memset(longest + 4, 'd', 300);
	assert_int_equal(lookup(i, longest, 304, &u), PM_NOENT);
	expect_user(i, "ann@x", "a");
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fields_become_the_user),    TEST(files_that_are_in_order),
		TEST(names_are_the_servers),     TEST(files_that_are_not),
		TEST(extremes_that_are_allowed), TEST(many_accounts),
		TEST(unknown_users_and_domains), TEST(one_file_per_domain),
		TEST(hostile_domains),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
