/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to a snapshot: all its errors in one run, blocks against each other, and the way
 * back by a dump. */
#include "conf_rig.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "conf/dump.h"

/* Exactly these errors, one a line: each is the beginning of one that was reported. */
static void
expect_errors(const char *text, const char *expected)
{
	size_t n = 0;

	conf_put(load(text));
	for (const char *p = expected; *p; n++) {
		char line[300] = "\n", all[sizeof(said) + 1];
		size_t len = strcspn(p, "\n");

		snprintf(line, sizeof(line), "\n%.*s", (int)len, p);
		snprintf(all, sizeof(all), "\n%s", said);
		if (!strstr(all, line))
			fail_msg("%s\nexpected %s in\n%s", text, line + 1, said);
		p += len + (p[len] == '\n');
	}
	if (errors.count != n)
		fail_msg("%s\nexpected %zu errors:\n%s", text, n, said);
}

/* ---- blocks against each other --------------------------------------------------------------- */

#define TOP "config_version = 1\n"
#define LISTEN "listener l {\naddress = ::\nport = 110\ntls = none\nplaintext_login = allow\n}\n"
#define AUTH(name, more) "auth " name " {\nmodule = m\n" more "}\n"
#define STORE(name, more) "storage " name " {\nmodule = n\n" more "}\n"
#define FORTY "a234567890123456789012345678901234567890"
#define PLAIN TOP LISTEN AUTH("a", "") STORE("s", "")

static void
blocks_that_do_not_fit_together(void **state)
{
	static const struct {
		const char *text, *errors;
	} cases[] = {
		{PLAIN, ""},
		{"", "c:1:1 config_version is missing\nc:1:1 no listener\nc:1:1 no auth\nc:1:1 no "
		     "storage"},
		{LISTEN AUTH("a", "") STORE("s", ""), "c:1:1 config_version is missing"},
		{PLAIN "workers = 8\nworkers = 8\n", "c:15:1 workers is given twice"},
		{PLAIN "workers = 8\nreserve = 8\n",
		 "c:1:1 reserve = 8 must be less than workers = 8"},
		{PLAIN "tls {\nmin_version = 1.1\n}\n",
		 "c:1:1 tls: min_version = 1.1: expected 1.2 or 1.3"},
		{PLAIN "log {\nto = file\n}\n", "c:1:1 log: to = file needs file = /..."},
		/* blocks twice; names */
		{PLAIN "log {\n}\ntls {\n}\nlog {\n}\ntls {\njson = x\n}\n",
		 "c:18:1 there is another log block, at line 14 of \n"
		 "c:20:1 there is another tls block, at line 16 of "},
		{PLAIN "log l {\n}\n", "c:14:1 log l: this block has no name"},
		{PLAIN AUTH("a", ""), "c:14:1 auth a: there is another section of this name"},
		{PLAIN STORE("a", ""), "c:8:1 auth a: storage is missing; there are several"},
		{PLAIN STORE("s", ""), "c:14:1 storage s: there is another section of this name\n"
				       "c:8:1 auth a: storage is missing"},
		{PLAIN LISTEN, "c:14:1 listener l: there is another one\n"
			       "c:14:1 listener l: :: port 110 is listener l's already"},
		{TOP LISTEN AUTH(FORTY, "") STORE("s", ""), ""},
		{TOP LISTEN AUTH(FORTY "1", "") STORE("s", ""),
		 "c:8:1 auth " FORTY "1: a name has at most 40"},
		{PLAIN "listener " FORTY
		       "1 {\naddress = ::1\nport = 1\ntls = none\nplaintext_login = allow\n}\n",
		 "c:14:1 listener " FORTY "1: a name has at most 40"},
		{TOP LISTEN AUTH("", "") STORE("", ""),
		 "c:8:1 auth needs a name\nc:11:1 storage needs a name"},
		{PLAIN AUTH("x", "y z {\n}\n"), "c:16:1 a block is not possible inside a block"},
		{PLAIN "log {\ny {\n}\n}\n", "c:15:1 a block is not possible inside a block"},
		{PLAIN AUTH("x", "permits = 1\npermits = 1\n"), "c:17:1 permits is given twice"},
		{PLAIN "auth x {\nstorage = s\n}\n", "c:14:1 auth x: module is missing"},
		/* listeners */
		{PLAIN "listener m {\n}\n",
		 "c:14:1 listener m: address is missing\nc:14:1 listener m: port is missing\n"
		 "c:14:1 listener m: tls needs certificate and key"},
		{PLAIN "listener m {\naddress = localhost\nport = 1\ntls = none\n}\n",
		 "c:14:1 listener m: address = localhost: expected an IPv4 or\n"
		 "c:14:1 listener m: tls = none and plaintext_login"},
		{PLAIN "listener m {\naddress = 1.2.3.4\nport = 1\n}\ntls {\nkey = /k\n}\n",
		 "c:14:1 listener m: tls needs certificate"},
		/* wrap: an earlier section of the same kind, once */
		{PLAIN AUTH("b", "wrap = a\n"), ""},
		{PLAIN AUTH("b", "wrap = b\n"),
		 "c:14:1 auth b: wrap = b: expected a auth section above"},
		{PLAIN AUTH("b", "wrap = s\n"),
		 "c:14:1 auth b: wrap = s: expected a auth section above"},
		{PLAIN AUTH("b", "wrap = d\n") AUTH("d", ""),
		 "c:14:1 auth b: wrap = d: expected a auth section above"},
		{PLAIN AUTH("b", "wrap = a\n") AUTH("d", "wrap = a\n"),
		 "c:18:1 auth d: a is wrapped already"},
		{PLAIN AUTH("b", "wrap = a\n") AUTH("d", "wrap = b\n"), ""},
		{PLAIN STORE("t", "wrap = s\n"), ""}, /* one of the two is left to be meant */
		/* storage */
		{TOP LISTEN AUTH("a", "storage = x\n") STORE("s", ""),
		 "c:8:1 auth a: storage = x: there is no such"},
		/* also a later one */
		{TOP LISTEN AUTH("a", "storage = t\n") STORE("s", "") STORE("t", ""), ""},
		{TOP LISTEN AUTH("a", "storage = s\n") STORE("s", "") STORE("t", "wrap = s\n"),
		 "c:8:1 auth a: storage = s: another section wraps it; name that one"},
		/* names of accounts */
		{TOP LISTEN AUTH("a", "name_domain = x.y\n") STORE("s", ""), ""},
		{TOP LISTEN AUTH("a", "name_domain = none\ndomains = x.y\n") STORE("s", ""), ""},
		{TOP LISTEN AUTH("a", "name_domain = X.y\ndomains = z.y x.Y\n") STORE("s", ""), ""},
		{TOP LISTEN AUTH("a", "name_domain = x.y\ndomains = *.y\n") STORE("s", ""), ""},
		{TOP LISTEN AUTH("a", "name_domain = y\ndomains = *.y x.y\n") STORE("s", ""),
		 "c:8:1 auth a: name_domain = y is none of its domains"},
		{TOP LISTEN AUTH("a", "name_domain = @x.y\n") STORE("s", ""),
		 "c:8:1 auth a: name_domain = @x.y: expected a domain"},
		{TOP LISTEN AUTH("a", "name_domain = *.y\n") STORE("s", ""),
		 "c:8:1 auth a: name_domain = *.y: expected a domain"},
		{TOP LISTEN AUTH("a", "") STORE("s", "name_domain = x.y\n"),
		 "c:11:1 storage s: name_domain belongs into an auth section"},
		{TOP LISTEN AUTH("a", "name_domain = x.y\n") AUTH("b", "wrap = a\n") STORE("s", ""),
		 "c:8:1 auth a: name_domain belongs into the section that wraps this one"},
		{TOP LISTEN AUTH("a", "name_domain = none\n") AUTH("b", "name_domain = none\n")
			 STORE("s", ""),
		 "c:12:1 auth b: name_domain = none, and auth a has it too: two of their accounts "
		 "that are called the same would have one mailbox; give one of them a domain, or a "
		 "storage"},
		{TOP LISTEN AUTH("a", "storage = s\nname_domain = none\n") AUTH(
			 "b", "storage = t\nname_domain = none\n") STORE("s", "") STORE("t", ""),
		 ""},
		{"undo_storage = u\n" TOP LISTEN AUTH("a", "storage = s\nname_domain = none\n")
			 AUTH("b", "storage = t\nname_domain = none\n") STORE("s", "")
				 STORE("t", "") STORE("u", ""),
		 "c:14:1 auth b: name_domain = none, and auth a has it too: two of their accounts "
		 "that are called the same would have one mailbox in undo_storage"},
		/* nobody asks a */
		{TOP LISTEN AUTH("a", "storage = x\n") AUTH("b", "wrap = a\n") STORE("s", ""), ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_errors(cases[i].text, cases[i].errors);
}

static void
all_errors_in_one_run(void **state)
{
	(void)state;
	write_file("more", "\nauth b {\n  modul = m\n}\nidle_timeot = 5\n");
	expect_errors(
		"wokers = 8\nzzzzzz = 1\nworkers = 2\nmax_sessions\n \tapop = perhaps\ninclude "
		"more\n"
		"lissener l {\n}\nlistener l {\n  adress = ::\nport = 99999\n}\nnowhere {\n}\n"
		"log {\nlevel = loud\nlevl = info\n}\nauth a {\nwrap = b\npermits = 0\nworkers = "
		"1\n}\n"
		"last = \"x\n",
		"c:1:1 unknown setting 'wokers'; did you mean 'workers'?\nc:2:1 unknown setting "
		"'zzzzzz'\n"
		"c:3:1 workers = 2: expected\nc:4:13 expected 'key = value'\n"
		"c:5:3 apop = perhaps: expected yes or no\n"
		"more:5:1 unknown setting 'idle_timeot'; did you mean 'idle_timeout'?\n"
		"c:7:1 unknown block 'lissener'; did you mean 'listener'?; there are listener, "
		"auth\n"
		"c:10:3 unknown setting 'adress'; did you mean 'address'?\nc:11:1 port = 99999: "
		"expected\n"
		"c:9:1 listener l: address is missing\nc:9:1 listener l: tls needs\n"
		"c:13:1 unknown block 'nowhere'; there are listener\nc:16:1 level = loud: "
		"expected\n"
		"c:17:1 unknown setting 'levl'; did you mean 'level'?\nmore:2:1 auth b: module is "
		"missing\n"
		"c:19:1 auth a: module is missing\nc:21:1 permits = 0: expected\n"
		"c:24:10 the quote is not closed\nc:1:1 config_version is missing\nc:1:1 no "
		"storage");
	assert_null(load("?\n"));
	assert_int_equal(errors.count, 1);
	errors = (struct conf_errors){.report = keep_error};
	assert_null(conf_load(path_of("nosuch"), &errors));
	assert_int_equal(errors.count, 1);
}

/* ---- the result ------------------------------------------------------------------------------ */

static void
defaults_and_fields(void **state)
{
	struct conf *c = load_good(PLAIN);
	uint64_t serial = c->serial;
	char host[256] = "";

	(void)state;
	assert_int_equal(c->refs, 1);
	assert_int_equal(c->workers, 32);
	assert_int_equal(c->reserve, 4); /* an eighth */
	assert_int_equal(c->max_sessions, 10000);
	assert_int_equal(c->tables_max, 1 << 30);
	assert_int_equal(c->idle_timeout_ms, 600000);
	assert_int_equal(c->login_timeout_ms, 60000);
	assert_int_equal(c->log_level, LOG_LVL_INFO);
	assert_true(c->log_sink == CONF_LOG_STDERR && !c->log_json && !c->apop && !c->tls &&
		    !c->user);
	assert_int_equal(c->name_case, CONF_CASE_LOWER);
	assert_string_equal(c->tls_min_version, "1.2");
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	assert_string_equal(c->hostname, host);
	assert_int_equal(c->listeners[0].sndbuf, 65536);
	assert_true(c->listeners[0].plaintext_login);
	assert_true(c->auth[0].permits == -1 && c->auth[0].trip_after == -1 &&
		    c->auth[0].n_domains == 0);
	conf_put(c);
	c = load_good("workers = 4\n" PLAIN "log {\nlevel = error\n}\n" AUTH(
		"b", "domains = a.org, b.org\nroot = /x\ndomains = \"*.c.org\"\nroot = y\npermits "
		     "= 2\n"));
	assert_true(c->serial > serial);
	assert_int_equal(c->reserve, 2); /* at least */
	assert_int_equal(c->log_level, LOG_LVL_ERROR);
	assert_int_equal(c->auth[1].n_domains, 3);
	assert_string_equal(c->auth[1].domains[1], "b.org");
	assert_string_equal(c->auth[1].domains[2], "*.c.org");
	/* the module's, in order; duplicates are its own affair */
	assert_int_equal(c->auth[1].n_settings, 2);
	assert_string_equal(c->auth[1].settings[0].key, "root");
	assert_string_equal(c->auth[1].settings[1].value, "y");
	assert_int_equal(c->auth[1].settings[1].where.line, 23);
	assert_false(c->auth[1].only_wrapped || c->auth[0].only_wrapped);
	conf_put(c);
}

static void
dump(const struct conf *c, char *text, size_t cap)
{
	FILE *f = fmemopen(text, cap, "w");

	assert_non_null(f);
	conf_dump(c, f);
	assert_int_equal(fclose(f), 0);
}

static void
a_dump_read_back_is_the_same(void **state)
{
	static const char *const texts[] = {
		PLAIN,
		PLAIN
		"user = \"a # b\"\nhostname = \" sp \\\"ace\\\" \\\\ \\${HOME} $ \"\nrun_dir = "
		"/a{b\n"
		"workers = 4\ndefault_domain = \" front\"\nmodule_dir = \"/back \"\n"
		"drain = 0\nname_case = keep\ntls {\ncertificate = \"/c#\"\nkey = /k\nciphers = "
		"\"#\"\n}\n"
		"log {\nto = file\nfile = /l\nlevel = error\njson = yes\n}\n"
		"listener i {\naddress = 127.0.0.1\nport = 0\ntls = implicit\nsndbuf = "
		"4k\n}\n" AUTH("b",
			       "wrap = a\ndomains = a.org *.b.org\ntrip_after = 0\nwait_ms = 2s\n")
			STORE("t", "wrap = s\n"),
	};
	char first[8192], second[8192];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct conf *c = load_good(texts[i]);

		dump(c, first, sizeof(first));
		conf_put(c);
		c = load_good(first);
		dump(c, second, sizeof(second));
		assert_string_equal(second, first);
		if (i == 1) {
			assert_string_equal(c->hostname, " sp \"ace\" \\ ${HOME} $ ");
			assert_string_equal(c->tls_ciphers, "#");
			assert_true(c->auth[0].only_wrapped && c->storage[0].only_wrapped);
		}
		conf_put(c);
	}
}

/* Nobody knows here which of a module's settings are secret: none is shown. */
static void
a_dump_keeps_secrets(void **state)
{
	struct conf *c = load_good(TOP LISTEN AUTH("a", "password = hunter2\n")
					   STORE("s", "key = \"hunter2\"\n"));
	char text[8192], again[8192];

	(void)state;
	dump(c, text, sizeof(text));
	conf_put(c);
	assert_null(strstr(text, "hunter2"));
	assert_non_null(strstr(text, "    # password: "));
	assert_non_null(strstr(text, "/c line 10\n"));
	c = load_good(text);
	dump(c, again, sizeof(again));
	conf_put(c);
	assert_null(strstr(again, "password"));
}

/* ---- snapshots ------------------------------------------------------------------------------- */

static _Atomic unsigned freed;

static void
count_free(struct conf *c)
{
	freed += c->refs == 0;
}

static struct conf *
load_counted(void)
{
	struct conf *c = load_good(PLAIN);

	c->release = count_free;
	return c;
}

static void *
look(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++) {
		struct conf *c = conf_current();

		if (!c || c->n_auth != 1 || strcmp(c->auth[0].name, "a") != 0)
			return c;
		conf_put(c);
	}
	return NULL;
}

static void
snapshots_live_as_long_as_they_are_held(void **state)
{
	struct conf *mine, *c;
	pthread_t threads[2];

	(void)state;
	assert_null(conf_current());
	conf_put(NULL);
	assert_null(conf_ref(NULL));
	conf_publish(load_counted());
	mine = conf_current();
	conf_publish(load_counted());
	assert_int_equal(freed, 0);
	assert_string_equal(mine->auth[0].name, "a"); /* the old one, as it was */
	assert_ptr_equal(conf_ref(mine), mine);
	conf_put(mine);
	assert_int_equal(freed, 0);
	conf_put(mine);
	assert_int_equal(freed, 1);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look, NULL), 0);
	for (int i = 0; i < 50; i++)
		conf_publish(load_counted());
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	c = conf_current();
	conf_publish(NULL);
	assert_int_equal(freed, 51);
	conf_put(c);
	assert_int_equal(freed, 52);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_that_do_not_fit_together),
		cmocka_unit_test(all_errors_in_one_run),
		cmocka_unit_test(defaults_and_fields),
		cmocka_unit_test(a_dump_read_back_is_the_same),
		cmocka_unit_test(a_dump_keeps_secrets),
		cmocka_unit_test(snapshots_live_as_long_as_they_are_held),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
