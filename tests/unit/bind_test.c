/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to instances and gates: permits, limits, wrappers, errors, services. */
#include "bind_rig.h"

#include "bind/services.h"

/* ---- permits --------------------------------------------------------------------------------- */

static void
permits_are_shared_out(void **state)
{
	static const struct {
		const char *workers, *sections, *gates;
	} cases[] = {
		/* 12 for two, but a module gets no more than a quarter of the workers */
		{W16, USUAL, "auth:a 4, storage:s 4, "},
		{W16, AUTH("a", "ram", "permits = 5\n") STORE("s", "ram", "permits = 7\n"),
		 "auth:a 5, storage:s 7, "},
		{W16, AUTH("a", "ram", "permits = 10\n") STORE("s", "ram", ""),
		 "auth:a 10, storage:s 2, "},
		{W16, AUTH("a", "ram", "permits = 11\n") STORE("s", "ram", ""),
		 "auth:a 11, storage:s 1, "},
		{W16,
		 AUTH("a", "ram", "storage = s\n") AUTH("b", "ram", "storage = s\n")
			 AUTH("c", "ram", "storage = s\n") STORE("s", "ram", "permits = 5\n"),
		 "auth:a 2, auth:b 2, auth:c 2, storage:s 5, "},
		{W16, AUTH("a", "serial", "") STORE("s", "ram", ""), "auth:a 1, storage:s 4, "},
		{W16, AUTH("a", "serial", "permits = 1\n") STORE("s", "ram", "permits = 11\n"),
		 "auth:a 1, storage:s 11, "},
		/* one permit covers wrapper and wrapped */
		{W16,
		 AUTH("in", "ram", "") AUTH("a", "fault", "wrap = in\npermits = 6\n")
			 STORE("s", "ram", "permits = 6\n"),
		 "auth:a 6, storage:s 6, "},
		{W16,
		 AUTH("in", "serial", "") AUTH("mid", "fault", "wrap = in\n")
			 AUTH("a", "fault", "wrap = mid\n") STORE("s", "ram", ""),
		 "auth:a 1, storage:s 4, "},
		{"workers = 4", USUAL, "auth:a 1, storage:s 1, "},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct conf *c = bound(cases[k].workers, cases[k].sections, NULL);

		assert_string_equal(gates(), cases[k].gates);
		gone(c);
		gate_fini_all();
	}
}

/* Burning more than all processors but one helps nobody; but a lookup is no hash. */
static void
hashing_gets_a_share_of_the_processors(void **state)
{
	const char *path = rig_file("passwd", "ann:x\n", 6);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), burn = cpus > 3 ? cpus - 1 : 2;
	char sections[400], expected[80];
	struct conf *c;

	(void)state;
	snprintf(sections, sizeof(sections),
		 AUTH("a", "passwd", "file = %s\n") STORE("s", "ram", "permits = 1\n"), path);
	c = bound("workers = 1024\nreserve = 23", sections, NULL);
	snprintf(expected, sizeof(expected), "auth:a %ld, storage:s 1, ",
		 burn < 1000 ? burn : 1000);
	assert_string_equal(gates(), expected);
	gone(c);
	gate_fini_all();
	/* who waits and burns, as sql does: while one waits another burns */
	snprintf(sections, sizeof(sections),
		 AUTH("in", "passwd", "file = %s\n") AUTH("a", "fault", "wrap = in\n")
			 STORE("s", "ram", "permits = 1\n"),
		 path);
	c = bound("workers = 1024\nreserve = 23", sections, NULL);
	snprintf(expected, sizeof(expected), "auth:a %ld, storage:s 1, ", burn > 4 ? burn : 4);
	assert_string_equal(gates(), expected);
	gone(c);
}

static void
permits_that_cannot_be(void **state)
{
	static const struct {
		const char *workers, *sections, *said;
	} cases[] = {
		{W16, AUTH("a", "ram", "permits = 6\n") STORE("s", "ram", "permits = 7\n"),
		 "c:1:1 the sections' permits add up to 13, workers (16) less reserve (4) leave "
		 "12: set workers = 17 or "
		 "fewer permits\n"},
		{W16, AUTH("a", "ram", "permits = 12\n") STORE("s", "ram", ""),
		 "c:1:1 the sections' permits add up to 13, workers (16) less reserve (4) leave "
		 "12: set workers = 17 or "
		 "fewer permits\n"},
		{W16, AUTH("a", "ram", "permits = 1024\n") STORE("s", "ram", "permits = 1024\n"),
		 "c:1:1 the sections' permits add up to 2048, workers (16) less reserve (4) leave "
		 "12: set workers = 2052 or "
		 "fewer permits\n"},
		{"workers = 4", AUTH("a", "ram", "permits = 2\n") STORE("s", "ram", ""),
		 "c:1:1 the sections' permits add up to 3, workers (4) less reserve (2) leave 2: "
		 "set workers = 5 or fewer "
		 "permits\n"},
		{W16, AUTH("a", "serial", "permits = 2\n") STORE("s", "ram", ""),
		 "c:14:1 section a: permits = 2: this module makes one call at a time: permits = "
		 "1\n"},
		{W16,
		 AUTH("in", "serial", "") AUTH("a", "fault", "wrap = in\npermits = 3\n")
			 STORE("s", "ram", ""),
		 "c:17:1 section a: permits = 3: this module makes one call at a time: permits = "
		 "1\n"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct conf *c = conf_of(cases[k].workers, cases[k].sections);

		assert_false(bind_check(c, &errors));
		assert_string_equal(said, cases[k].said);
		said[0] = '\0';
		errors.count = 0;
		assert_false(bind_open(c, NULL, false, &errors));
		assert_string_equal(said, cases[k].said);
		assert_string_equal(gates(), "");
		gone(c);
	}
}

static void
limits_are_the_sections_own(void **state)
{
	struct conf *c =
		bound(W16,
		      AUTH("a", "ram", "") STORE("s", "ram",
						 "permits = 3\nqueue_max = 4\ntrip_after = "
						 "0\nwait_ms = 5\ncall_ms = 6\nscan_ms = 7\n"
						 "commit_ms = 8\nbreaker_open_ms = 90\n"),
		      NULL);
	struct gate_status g;

	(void)state;
	gate_status_get(c->storage[0].backend->gate, &g);
	assert_int_equal(g.limits.permits, 3);
	assert_int_equal(g.limits.queue_max, 4);
	assert_int_equal(g.limits.trip_after, 0);
	assert_int_equal(g.limits.wait_ms, 5);
	assert_int_equal(g.limits.call_ms, 6);
	assert_int_equal(g.limits.scan_ms, 7);
	assert_int_equal(g.limits.commit_ms, 8);
	assert_int_equal(g.limits.breaker_open_ms, 90);
	gate_status_get(c->auth[0].backend->gate, &g);
	assert_int_equal(g.limits.queue_max, 1000);
	assert_int_equal(g.limits.trip_after, 5);
	assert_int_equal(g.limits.commit_ms, 60000);
	assert_int_equal(g.limits.breaker_open_ms, 2000);
	gone(c);
}

/* ---- sections -------------------------------------------------------------------------------- */

static void
all_errors_in_one_run(void **state)
{
	static const struct {
		const char *sections, *parts[3]; /* of the messages */
	} cases[] = {
		{AUTH("a", "nosuch", "storage = s\n") STORE("s", "serial", "")
			 STORE("t", "ram", "mesages = 3\n"),
		 {"c:14:1 section a: ", "c:18:1 section s: module serial does not do storage\n",
		  "c:23:1 section t: module ram knows no setting 'mesages'; did you mean "
		  "'messages'?\n"}},
		{AUTH("a", "ram", "messages = many\n") STORE("s", "fault", "rule = nonsense\n"),
		 {"c:16:1 section a: messages = many: expected a number\n",
		  "c:20:1 section s: rule: "}},
		{AUTH("a", "passwd", "") STORE("s", "ram", ""),
		 {"c:14:1 section a: file is missing: "}},
		{AUTH("a", "passwd", "file = /nonexistent/x\n") STORE("s", "ram", ""),
		 {"c:16:1 section a: file: '/nonexistent/x': No such file"}},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct conf *c = conf_of(W16, cases[k].sections);

		assert_false(bind_check(c, &errors));
		for (size_t p = 0; p < 3 && cases[k].parts[p]; p++)
			if (!strstr(said, cases[k].parts[p]))
				fail_msg("'%s' is not in\n%s", cases[k].parts[p], said);
		assert_null(c->auth[0].backend);
		gone(c);
	}
}

/* Mail to unknown users is kept in our own domains: which are they? */
static void
domains_have_to_be_known(void **state)
{
	static const struct {
		/* file: appended to the passwd-file's name */
		const char *protocol, *unknown, *settings, *file, *said;
	} cases[] = {
		{"smtp", "badmail", "module = ram\n", NULL,
		 ":1 section a: module ram cannot say which domains are ours: "},
		{"smtp", "badmail", "module = passwd\n", "",
		 "passwd' does not say which domains are ours: "},
		{"smtp", "badmail", "module = ram\ndomains = a.example\n", NULL, NULL},
		{"smtp", "badmail", "module = passwd\ndomains = a.example\n", "", NULL},
		{"smtp", "badmail", "module = passwd\n", ".%d", NULL},
		{"smtp", "badmail", "module = fault\nwrap = in\ndomains = a.example\n", NULL, NULL},
		{"smtp", "refuse", "module = passwd\n", "", NULL},
		{"lmtp", "badmail", "module = passwd\n", "", NULL},
	};
	const char *path = rig_file("passwd", "ann:x\n", 6);

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		bool wraps = strstr(cases[k].settings, "wrap") != NULL;
		char text[1200];
		struct conf *c;

		snprintf(text, sizeof(text),
			 "listener m {\nprotocol = %s\naddress = 127.0.0.1\nport = 2\ntls = "
			 "none\n}\n"
			 "delivery {\npostmaster = ann\nunknown_recipient = %s\n}\nbadmail {\npath "
			 "= /nonexistent\n}\n"
			 "%s%s%sauth a {\nstorage = s\n%s%s%s%s\n}\n" STORE("s", "ram", ""),
			 cases[k].protocol, cases[k].unknown,
			 wraps ? "auth in {\nmodule = passwd\nfile = " : "", wraps ? path : "",
			 wraps ? "\n}\n" : "", cases[k].settings, cases[k].file ? "file = " : "",
			 cases[k].file ? path : "", cases[k].file ? cases[k].file : "");
		c = conf_of(W16, text);
		assert_int_equal(bind_check(c, &errors), cases[k].said == NULL);
		if (cases[k].said && !strstr(said, cases[k].said))
			fail_msg("'%s' is not in\n%s", cases[k].said, said);
		gone(c);
	}
}

/* A check has no effect: nothing is opened, no gate is made. */
static void
checks_change_nothing(void **state)
{
	struct conf *c = conf_of(W16, AUTH("a", "serial", "fail = yes\n") STORE("s", "ram", ""));

	(void)state;
	assert_true(bind_check(c, &errors)); /* only opening can tell */
	assert_string_equal(said, "");
	assert_null(c->auth[0].backend);
	assert_null(c->storage[0].backend);
	assert_string_equal(gates(), "");
	assert_false(bind_open(c, NULL, false, &errors));
	assert_string_equal(said, "c:16:1 section a: fail: it is told to\n");
	gone(c);
}

/* The permits that the instance was opened with. */
static unsigned
serial_permits(const struct backend *b)
{
	return (unsigned)(host_caps(b->inst) & 0xff);
}

static void
wrappers_stand_before_their_own(void **state)
{
	struct conf *c = bound(W16,
			       AUTH("in", "serial", "")
				       AUTH("a", "fault", "wrap = in\nrule = verify * error DOWN\n")
					       STORE("s", "ram", ""),
			       NULL);
	struct backend *in = c->auth[0].backend, *a = c->auth[1].backend;

	(void)state;
	assert_ptr_equal(a->inner, in);
	assert_null(in->gate);
	assert_non_null(a->gate);
	assert_int_equal(serial_permits(in), 1);
	assert_int_equal(host_caps(a->inst), host_caps(in->inst)); /* asked through */
	gone(c);
	c = conf_of(W16, AUTH("a", "fault", "") STORE("s", "ram", ""));
	assert_false(bind_open(c, NULL, false, &errors));
	assert_non_null(strstr(said, "c:14:1 section a: fault disturbs another section: say which "
				     "one by wrap = NAME\n"));
	gone(c);
}

/* For restantectl: no gates, whatever the configuration; instances know that they will not live
 * long. */
static void
tools_have_no_gates(void **state)
{
	struct conf *c = conf_of(W16, AUTH("a", "serial", "") STORE("s", "ram", ""));
	uint64_t caps;

	(void)state;
	assert_true(bind_open(c, NULL, true, &errors));
	assert_string_equal(gates(), "");
	assert_null(c->auth[0].backend->gate);
	caps = host_caps(c->auth[0].backend->inst);
	assert_int_equal(caps >> 8 & 0xff, PM_PURPOSE_TOOL);
	assert_int_equal(caps & 0xff, 1);
	gone(c);
	c = bound(W16, AUTH("a", "serial", "") STORE("s", "ram", ""), NULL);
	assert_int_equal(host_caps(c->auth[0].backend->inst) >> 8 & 0xff, PM_PURPOSE_SERVER);
	assert_int_equal(serial_instances(c->auth[0].backend), 1); /* the tool's is closed */
	gone(c);
}

/* ---- services -------------------------------------------------------------------------------- */

struct sum {
	int64_t value;
	unsigned n;
};

static void
add_counter(const char *section, const char *name, int64_t value, void *ctx)
{
	struct sum *s = ctx;

	if (strcmp(section, "counting") == 0 && strcmp(name, "sheep") == 0) {
		s->value += value;
		s->n++;
	}
}

static void
counters_belong_to_the_section(void **state)
{
	const struct pm_host *h = services_host("counting");
	static char longest[100];
	struct sum s = {0};

	(void)state;
	assert_ptr_equal(services_host("counting"), h);
	assert_ptr_not_equal(services_host("another"), h);
	h->count(h->ctx, (struct pm_str){"sheep", 5}, 3);
	h->count(h->ctx, (struct pm_str){"sheepdog", 5}, 4);
	services_host("another")->count(services_host("another")->ctx, (struct pm_str){"sheep", 5},
					100);
	memset(longest, 'x', sizeof(longest));
	h->count(h->ctx, (struct pm_str){longest, sizeof(longest)}, 1); /* no such name */
	h->count(h->ctx, (struct pm_str){"", 0}, 1);
	services_each_counter(add_counter, &s);
	assert_int_equal(s.value, 7);
	assert_int_equal(s.n, 1);
	assert_true(h->now_ms(h->ctx) > 0);
	assert_true(h->wall_ms(h->ctx) > 1700000000000);
	assert_int_equal(h->reserve_release(h->ctx, (struct pm_str){"/", 1}), PM_UNSUPPORTED);
	h->invalidate(h->ctx, (struct pm_str){"", 0});
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(permits_are_shared_out), TEST(hashing_gets_a_share_of_the_processors),
		TEST(permits_that_cannot_be), TEST(limits_are_the_sections_own),
		TEST(all_errors_in_one_run),  TEST(domains_have_to_be_known),
		TEST(checks_change_nothing),  TEST(wrappers_stand_before_their_own),
		TEST(tools_have_no_gates),    TEST(counters_belong_to_the_section),
	};

	return cmocka_run_group_tests(tests, bind_begin, bind_end);
}
