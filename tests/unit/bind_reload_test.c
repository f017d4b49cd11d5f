/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations that replace others: instances that stay, that are opened anew, and failures that
 * do no harm. */
#include "bind_rig.h"

static int32_t
verify(struct backend *b, const char *name, const char *password)
{
	struct rig_call r;
	struct host_call *call = rig_call(&r);
	struct pm_user u;
	struct pm_cred c;
	int32_t rc;

	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.authcid = (struct pm_str){name, strlen(name)};
	c.secret = (struct pm_str){password, strlen(password)};
	rc = host_verify(b->inst, call, &c, &u);
	rig_call_end(&r);
	return rc;
}

/* ---- instances that stay --------------------------------------------------------------------- */

#define BEFORE \
	AUTH("a", "ram", "user = ann:secret\nstorage = s\n") \
	AUTH("in", "serial", "") \
	AUTH("out", "fault", "wrap = in\nstorage = s\n") \
	STORE("s", "ram", "messages = 2\npermits = 3\n")

/* Which of a, in, out, s are new after a reload of BEFORE. */
static void
unchanged_sections_keep_their_instance(void **state)
{
	static const struct {
		const char *sections, *changed; /* y or n of each */
		const char *gates;
	} cases[] = {
		{BEFORE, "nnnn", "auth:a 4, auth:out 1, storage:s 3, "},
		/* the same in other words */
		{"# new\n" AUTH("a", "ram", "storage = s\n\nuser = ann:secret # as ever\n")
			 AUTH("in", "serial", "") AUTH("out", "fault", "wrap = in\nstorage = s\n")
				 STORE("s", "ram", "permits = 3\nmessages = 2\n"),
		 "nnnn", "auth:a 4, auth:out 1, storage:s 3, "},
		{AUTH("a", "ram", "user = ann:changed\nstorage = s\n") AUTH("in", "serial", "")
			 AUTH("out", "fault", "wrap = in\nstorage = s\n")
				 STORE("s", "ram", "messages = 2\npermits = 3\n"),
		 "ynnn", "auth:a 4, auth:out 1, storage:s 3, "},
		/* permits and limits are an instance's too */
		{AUTH("a", "ram", "user = ann:secret\nstorage = s\npermits = 2\n")
			 AUTH("in", "serial", "") AUTH("out", "fault", "wrap = in\nstorage = s\n")
				 STORE("s", "ram", "messages = 2\npermits = 5\n"),
		 "ynny", "auth:a 2, auth:out 1, storage:s 5, "},
		{AUTH("a", "ram", "user = ann:secret\nstorage = s\n") AUTH("in", "serial", "")
			 AUTH("out", "fault", "wrap = in\nstorage = s\n")
				 STORE("s", "ram", "messages = 2\npermits = 3\ncall_ms = 99\n"),
		 "nnny", "auth:a 4, auth:out 1, storage:s 3, "},
		/* a wrapper changes with the section it wraps */
		{AUTH("a", "ram", "user = ann:secret\nstorage = s\n")
			 AUTH("in", "serial", "fail = no\n")
				 AUTH("out", "fault", "wrap = in\nstorage = s\n")
					 STORE("s", "ram", "messages = 2\npermits = 3\n"),
		 "nyyn", "auth:a 4, auth:out 1, storage:s 3, "},
		/* but not the other way round */
		{AUTH("a", "ram", "user = ann:secret\nstorage = s\n") AUTH("in", "serial", "") AUTH(
			 "out", "fault", "wrap = in\nstorage = s\nrule = verify 9 error TEMP\n")
			 STORE("s", "ram", "messages = 2\npermits = 3\n"),
		 "nnyn", "auth:a 4, auth:out 1, storage:s 3, "},
		/* domains and the storage of a chain are the configuration's */
		{AUTH("a", "ram", "user = ann:secret\nstorage = s\ndomains = example.org\n")
			 AUTH("in", "serial", "") AUTH("out", "fault", "wrap = in\nstorage = s\n")
				 STORE("s", "ram", "messages = 2\npermits = 3\n"),
		 "nnnn", "auth:a 4, auth:out 1, storage:s 3, "},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct conf *old = bound(W16, BEFORE, NULL),
			    *c = bound(W16, cases[k].sections, old);

		for (size_t n = 0; n < 4; n++) {
			struct backend *was =
				n < 3 ? old->auth[n].backend : old->storage[0].backend;
			struct backend *is = n < 3 ? c->auth[n].backend : c->storage[0].backend;

			if ((was != is) != (cases[k].changed[n] == 'y'))
				fail_msg("%s\nsection number %zu", cases[k].sections, n);
			assert_ptr_equal(is->gate, was->gate); /* it belongs to the name */
		}
		assert_string_equal(gates(), cases[k].gates);
		gone(old);
		assert_int_equal(c->auth[0].backend->refs, 1);
		assert_int_equal(c->auth[1].backend->refs, 2); /* its wrapper's, too */
		assert_int_equal(serial_instances(c->auth[1].backend), 1);
		gone(c);
		gate_fini_all();
	}
}

/* A section that is asked for names is told in which case they come; a store is not. */
static void
names_in_another_case(void **state)
{
	struct conf *old = bound(W16 "\nname_case = keep", USUAL, NULL),
		    *c = bound(W16, USUAL, old);

	(void)state;
	assert_ptr_not_equal(c->auth[0].backend, old->auth[0].backend);
	assert_ptr_equal(c->storage[0].backend, old->storage[0].backend);
	gone(old);
	gone(c);
}

/* The order of sections is the chain's, not the instances'. */
static void
sections_may_change_places(void **state)
{
	struct conf *old = bound(W16,
				 AUTH("a", "ram", "user = x:1\n") AUTH("b", "ram", "user = x:2\n")
					 STORE("a", "ram", ""),
				 NULL);
	struct conf *c = bound(W16,
			       AUTH("b", "ram", "user = x:2\n") AUTH("a", "ram", "user = x:1\n")
				       STORE("a", "ram", ""),
			       old);

	(void)state;
	assert_ptr_equal(c->auth[0].backend, old->auth[1].backend);
	assert_ptr_equal(c->auth[1].backend, old->auth[0].backend);
	assert_ptr_equal(c->storage[0].backend, old->storage[0].backend);
	/* another kind of the same name */
	assert_ptr_not_equal(c->storage[0].backend, c->auth[1].backend);
	gone(old);
	gone(c);
}

static void
an_old_instance_serves_its_own_sessions(void **state)
{
	struct conf *old = bound(W16, AUTH("a", "ram", "user = ann:old\n") STORE("s", "ram", ""),
				 NULL),
		    *session, *c;

	(void)state;
	session = conf_ref(old);
	c = bound(W16, AUTH("a", "ram", "user = ann:new\n") STORE("s", "ram", ""), old);
	gone(old);
	assert_int_equal(verify(session->auth[0].backend, "ann", "old"), PM_OK);
	assert_int_equal(verify(c->auth[0].backend, "ann", "new"), PM_OK);
	assert_int_equal(verify(c->auth[0].backend, "ann", "old"), PM_DENIED);
	gone(session);
	assert_int_equal(verify(c->auth[0].backend, "ann", "new"), PM_OK);
	gone(c);
}

/* ---- gates ----------------------------------------------------------------------------------- */

static void
a_removed_section_keeps_one_permit(void **state)
{
	struct conf *c = bound(W16,
			       AUTH("a", "ram", "permits = 2\nstorage = s\n")
				       AUTH("b", "ram", "permits = 3\nstorage = s\n")
					       STORE("s", "ram", "permits = 4\n"),
			       NULL),
		    *next;

	(void)state;
	next = bound(W16,
		     AUTH("a", "ram", "permits = 2\nstorage = t\n")
			     STORE("t", "ram", "permits = 5\n"),
		     c);
	assert_string_equal(gates(), "auth:a 2, auth:b 1, storage:s 1, storage:t 5, ");
	gone(c);
	c = bound(W16,
		  AUTH("a", "ram", "permits = 2\nstorage = t\n") STORE("t", "ram", "permits = 6\n"),
		  next);
	assert_string_equal(gates(), "auth:a 2, auth:b 1, storage:s 1, storage:t 6, ");
	gone(next);
	/* back again */
	next = bound(W16, AUTH("a", "ram", "permits = 2\n") STORE("s", "ram", "permits = 7\n"), c);
	assert_string_equal(gates(), "auth:a 2, auth:b 1, storage:s 7, storage:t 1, ");
	gone(c);
	gone(next);
}

static void
a_reload_that_fails_leaves_the_gates(void **state)
{
	static const struct {
		const char *sections, *said;
	} cases[] = {
		/* everything before the last one could be opened */
		{AUTH("a", "ram", "permits = 1\n") AUTH("z", "serial", "fail = yes\n")
			 STORE("s", "ram", "permits = 1\n"),
		 "section z: fail: it is told to"},
		{AUTH("a", "ram", "permits = 5\nstorage = t\n") STORE("s", "ram", "permits = 1\n")
			 STORE("t", "fault", ""),
		 "section t: fault disturbs another section"},
		{AUTH("a", "ram", "permits = 9\n") STORE("s", "ram", "permits = 9\n"),
		 "the sections' permits add up to 18"},
		{AUTH("a", "ram", "permits = 1\n") STORE("s", "nosuch", ""), "section s: "},
		{AUTH("a", "ram", "permits = 1\n") STORE("s", "ram", "colour = red\n"),
		 "knows no setting 'colour'"},
		{AUTH("a", "ram", "permits = 1\n") STORE(
			 "s", "ram", "permits = 1\n") "listener m {\naddress = 127.0.0.1\nport = "
						      "2\n}\ntls {\ncertificate = "
						      "/nonexistent/c\nkey = /nonexistent/k\n}\n",
		 "tls: "},
	};
	struct conf *old = bound(W16,
				 AUTH("a", "ram", "permits = 2\nuser = ann:old\n")
					 STORE("s", "ram", "permits = 3\n"),
				 NULL);

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct backend *a = old->auth[0].backend, *s = old->storage[0].backend;
		struct conf *c = conf_of(W16, cases[k].sections);
		struct gate_status g;

		assert_false(bind_open(c, old, false, &errors));
		if (!strstr(said, cases[k].said))
			fail_msg("'%s' is not in\n%s", cases[k].said, said);
		gate_status_get(a->gate, &g);
		assert_int_equal(g.limits.permits, 2);
		gate_status_get(s->gate, &g);
		assert_int_equal(g.limits.permits, 3);
		gone(c);
		assert_int_equal(verify(a, "ann", "old"), PM_OK);
		assert_int_equal(a->refs, 1);
		assert_int_equal(s->refs, 1);
	}
	/* a gate that was made in vain lets nobody in */
	assert_int_equal(strncmp(gates(), "auth:a 2, ", 10), 0);
	assert_non_null(strstr(gates(), "storage:s 3, "));
	gone(old);
}

/* A reload neither starts nor ends threads: permits are counted by the existing pool. */
static void
the_pool_stays(void **state)
{
	struct conf *old = bound(W16,
				 AUTH("a", "ram", "permits = 2\n")
					 STORE("s", "ram", "permits = 3\n"),
				 NULL),
		    *c;

	(void)state;
	c = conf_of("workers = 64\nreserve = 8",
		    AUTH("a", "ram", "permits = 10\n") STORE("s", "ram", "permits = 20\n"));
	assert_false(bind_open(c, old, false, &errors));
	assert_string_equal(said, "c:1:1 the sections' permits add up to 30, workers (16) less "
				  "reserve (4) leave 12: set "
				  "workers = 34 or fewer permits\n");
	gone(c);
	c = bound("workers = 4\nreserve = 2",
		  AUTH("a", "ram", "permits = 5\n") STORE("s", "ram", "permits = 7\n"), old);
	assert_string_equal(gates(), "auth:a 5, storage:s 7, ");
	gone(old);
	gone(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unchanged_sections_keep_their_instance),
		TEST(names_in_another_case),
		TEST(sections_may_change_places),
		TEST(an_old_instance_serves_its_own_sessions),
		TEST(a_removed_section_keeps_one_permit),
		TEST(a_reload_that_fails_leaves_the_gates),
		TEST(the_pool_stays),
	};

	return cmocka_run_group_tests(tests, bind_begin, bind_end);
}
