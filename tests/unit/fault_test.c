/* SPDX-License-Identifier: Apache-2.0 */
/* The shim in front of the example module: each effect; and an empty script changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rig.h"

static struct rig_call rc;
static struct host_call *call;
static struct host_inst *inner, *outer;
static struct pm_user ann;

static int
fresh(void **state)
{
	(void)state;
	call = rig_call(&rc);
	inner = rig_open("ram", NULL, "messages", "3", "user", "ann:secret", NULL);
	assert_non_null(inner);
	outer = NULL;
	host_user_init(&ann);
	ann.name = (struct pm_str){"ann", 3};
	return 0;
}

static int
tidy(void **state)
{
	(void)state;
	host_close(outer);
	host_close(inner);
	rig_call_end(&rc);
	return 0;
}

static void
disturb(const char *rule, const char *second)
{
	outer = second ? rig_open("fault", inner, "rule", rule, "rule", second, NULL)
		       : rig_open("fault", inner, "rule", rule, NULL);
	if (!outer)
		fail_msg("%s", rig_errors);
}

static int32_t
verify(struct pm_user *ret)
{
	struct pm_cred c;

	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.authcid = (struct pm_str){"ann", 3};
	c.secret = (struct pm_str){"secret", 6};
	return host_verify(outer, call, &c, ret);
}

static int32_t
open_box(uint64_t *ret_n, void **ret)
{
	*ret = NULL;
	return host_mbox_open(outer, call, &ann, PM_OPEN_EXCLUSIVE, ret_n, ret);
}

/* Is the mailbox free? Then nothing of a failed open was left behind. */
static void
assert_free(void)
{
	void *mbox = NULL;
	uint64_t n;

	assert_int_equal(host_mbox_open(inner, call, &ann, PM_OPEN_EXCLUSIVE, &n, &mbox), PM_OK);
	host_mbox_close(inner, mbox, call);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void
wrong_rules_are_reported(void **state)
{
	static const struct {
		const char *rule, *text;
	} cases[] = {
		{"verfy 1 error TEMP", "'verfy' is no function"},
		{"verify", "expected: FUNCTION N|N+|* EFFECT"},
		{"verify 0 error TEMP", "expected: FUNCTION"},
		{"verify x error TEMP", "expected: FUNCTION"},
		{"verify + error TEMP", "expected: FUNCTION"},
		{"verify 1 error", "'error': expected"},
		{"verify 1 error TEMPO", "'error': expected"},
		{"verify 1 error OK", "'error': expected"},
		{"verify 1 sleep", "'sleep': expected"},
		{"verify 1 sleep -1", "'sleep': expected"},
		{"verify 1 short 3", "'short': expected"},
		{"msg_read 1 short 0", "'short': expected"},
		{"msg_read 1 lie octets +1", "'lie': expected"},
		{"mbox_info 1 lie octets 1", "'lie': expected"},
		{"mbox_info 1 lie uidl +1", "'lie': expected"},
		{"msg_read 1 unreadable 1", "'unreadable': expected"},
		{"mbox_info 1 unreadable 0", "'unreadable': expected"},
		{"verify 1 badcode now", "'badcode': expected"},
		{"verify 1 again 0", "'again': expected"},
		{"verify 1 after error", "'after': expected"},
		{"mbox_close 1 error TEMP", "mbox_close cannot fail: only sleep and hang"},
		{"verify 1 after error TEMP and more", "longer than a rule can be"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(rig_open("fault", inner, "rule", cases[i].rule, NULL));
		if (!strstr(rig_errors, cases[i].text))
			fail_msg("%s: expected '%s' in: %s", cases[i].rule, cases[i].text,
				 rig_errors);
	}
	assert_null(rig_open("fault", NULL, "rule", "verify 1 badcode", NULL));
	assert_non_null(strstr(rig_errors, "wrap = NAME"));
}

static void
scripts_are_read_with_their_lines(void **state)
{
	static const char good[] =
		"# a comment\n\n verify 1\terror DOWN # the first\nverify 3+ error TEMP\n";
	static const char bad[] = "verify 1 error DOWN\nnonsense\n";
	char expected[300];
	const char *path;
	struct pm_user u;

	(void)state;
	outer = rig_open("fault", inner, "script", rig_file("good", good, sizeof(good) - 1), NULL);
	assert_non_null(outer);
	assert_int_equal(verify(&u), PM_DOWN);
	assert_int_equal(verify(&u), PM_OK);
	assert_int_equal(verify(&u), PM_TEMP);
	assert_int_equal(verify(&u), PM_TEMP);
	path = rig_file("bad", bad, sizeof(bad) - 1);
	assert_null(rig_open("fault", inner, "script", path, NULL));
	snprintf(expected, sizeof(expected),
		 "section test: script: %s:2: 'nonsense' is no function that can be "
		 "disturbed\n",
		 path);
	assert_string_equal(rig_errors, expected);
	assert_null(rig_open("fault", inner, "script", "/nonexistent", NULL));
	assert_non_null(strstr(rig_errors, "No such file"));
}

/* ---- effects --------------------------------------------------------------------------------- */

static void
an_empty_script_is_not_felt(void **state)
{
	struct pm_rcpt rcpt = {.size = sizeof(rcpt), .user = &ann};
	struct pm_result res = {.size = sizeof(res)};
	uint8_t del[1] = {5};
	struct pm_commit commit = {.size = sizeof(commit), .n = 4, .del = del};
	struct pm_msg a[4], b[4];
	struct pm_stat st;
	struct pm_str places[2];
	struct pm_box box;
	uint64_t n, done;
	void *mbox = NULL, *msg, *dlv, *plain = NULL;
	char x[4096], y[4096];
	size_t nx, ny, got;
	struct pm_user u;

	(void)state;
	outer = rig_open("fault", inner, NULL);
	assert_non_null(outer);
	assert_int_equal(verify(&u), PM_OK);
	assert_int_equal(host_caps(outer), host_caps(inner));
	assert_int_equal(host_probe(outer, call), PM_OK);
	assert_int_equal(host_tick(outer, call), PM_OK);
	assert_int_equal(host_dlv_begin(outer, call, 0, 0, &dlv), PM_OK);
	assert_int_equal(host_dlv_rcpt(outer, dlv, call, &rcpt), PM_OK);
	assert_int_equal(host_dlv_write(outer, dlv, call, "x\r\n", 3), PM_OK);
	assert_int_equal(host_dlv_prepare(outer, dlv, call, &res), PM_OK);
	assert_int_equal(host_dlv_commit(outer, dlv, call, &res), PM_OK);
	assert_int_equal(host_dlv_begin(outer, call, 0, 0, &dlv), PM_OK);
	host_dlv_abort(outer, dlv, call);
	assert_int_equal(open_box(&n, &mbox), PM_OK);
	assert_int_equal(n, 4);
	assert_int_equal(host_mbox_open(inner, call, &ann, PM_OPEN_READONLY, &n, &plain), PM_OK);
	assert_int_equal(host_mbox_info(outer, mbox, call, 0, 4, 15, a), PM_OK);
	assert_int_equal(host_mbox_info(inner, plain, call, 0, 4, 15, b), PM_OK);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(host_msg_open(outer, mbox, call, 1, &msg), PM_OK);
	assert_int_equal(host_msg_read(outer, msg, call, x, sizeof(x), &nx), PM_OK);
	host_msg_close(outer, msg, call);
	assert_int_equal(host_msg_open(inner, plain, call, 1, &msg), PM_OK);
	assert_int_equal(host_msg_read(inner, msg, call, y, sizeof(y), &ny), PM_OK);
	host_msg_close(inner, msg, call);
	assert_int_equal(nx, ny);
	assert_memory_equal(x, y, nx);
	assert_int_equal(host_mbox_commit(outer, mbox, call, &commit, &done), PM_OK);
	assert_int_equal(done, 2);
	host_mbox_close(outer, mbox, call);
	host_mbox_close(inner, plain, call);
	assert_int_equal(host_box_stat(outer, call, &ann, &st), PM_OK);
	assert_int_equal(st.count, 2);
	assert_int_equal(host_box_list(outer, call, (struct pm_str){NULL, 0}, 1, &box, &got),
			 PM_OK);
	assert_int_equal(got, 1);
	assert_int_equal(host_domain(outer, call, ann.name), PM_UNSUPPORTED); /* as ram */
	assert_int_equal(host_event(outer, call, &ann, PM_EVENT_LOGIN), PM_UNSUPPORTED);
	assert_int_equal(host_box_place(outer, call, &ann, &places[0]), PM_OK);
	assert_int_equal(host_box_place(inner, call, &ann, &places[1]), PM_OK);
	assert_int_equal(places[0].n, places[1].n);
	assert_memory_equal(places[0].p, places[1].p, places[0].n);
	assert_int_equal(host_box_delete(outer, call, &ann), PM_OK);
}

static void
errors_instead_and_after(void **state)
{
	struct pm_user u;
	void *mbox;
	uint64_t n;

	(void)state;
	disturb("verify 2 after error TIMEOUT", "mbox_open 1 after error TEMP");
	assert_int_equal(verify(&u), PM_OK);
	assert_int_equal(verify(&u), PM_TIMEOUT);
	assert_int_equal(u.name.n, 0); /* thrown away, not shown (R5) */
	assert_non_null(strstr(call->error, "verify, call 2"));
	assert_int_equal(open_box(&n, &mbox), PM_TEMP);
	assert_null(mbox);
	assert_free();
	assert_int_equal(open_box(&n, &mbox), PM_OK);
	host_mbox_close(outer, mbox, call);
}

static void
a_code_that_does_not_exist(void **state)
{
	struct pm_user u;
	void *mbox;
	uint64_t n;

	(void)state;
	disturb("verify * badcode", "mbox_open * badcode");
	assert_int_equal(verify(&u), PM_TEMP);
	assert_non_null(strstr(call->error, "4242"));
	assert_int_equal(open_box(&n, &mbox), PM_TEMP);
	assert_free();
}

static void
again_some_times(void **state)
{
	struct pm_msg info;
	void *mbox;
	uint64_t n;

	(void)state;
	disturb("mbox_open 2 again 2", "mbox_info 1 again 1");
	assert_int_equal(open_box(&n, &mbox), PM_OK);
	assert_int_equal(host_mbox_info(outer, mbox, call, 0, 1, PM_WANT_UIDL, &info), PM_AGAIN);
	assert_int_equal(host_mbox_info(outer, mbox, call, 0, 1, PM_WANT_UIDL, &info), PM_OK);
	host_mbox_close(outer, mbox, call);
	assert_int_equal(open_box(&n, &mbox), PM_AGAIN);
	assert_non_null(mbox);
	assert_int_equal(host_mbox_open(outer, call, &ann, PM_OPEN_EXCLUSIVE, &n, &mbox), PM_AGAIN);
	assert_int_equal(host_mbox_open(outer, call, &ann, PM_OPEN_EXCLUSIVE, &n, &mbox), PM_OK);
	assert_int_equal(n, 3);
	host_mbox_close(outer, mbox, call);
}

static void
a_handle_in_the_making_can_be_given_back(void **state)
{
	void *mbox;
	uint64_t n;

	(void)state;
	disturb("mbox_open 1 again 1", "mbox_open 3 error DOWN");
	assert_int_equal(open_box(&n, &mbox), PM_AGAIN);
	host_mbox_close(outer, mbox, call);
	assert_int_equal(open_box(&n, &mbox), PM_OK);
	host_mbox_close(outer, mbox, call);
	assert_int_equal(open_box(&n, &mbox), PM_DOWN);
	assert_free();
}

static void
short_reads_and_lies(void **state)
{
	struct pm_msg truth, lie;
	void *mbox, *msg, *plain = NULL;
	char buf[500];
	size_t got;
	uint64_t n;

	(void)state;
	disturb("msg_read 2 short 1", "mbox_info 1 lie octets -7");
	assert_int_equal(open_box(&n, &mbox), PM_OK);
	assert_int_equal(host_mbox_open(inner, call, &ann, PM_OPEN_READONLY, &n, &plain), PM_OK);
	assert_int_equal(host_mbox_info(inner, plain, call, 0, 1, PM_WANT_OCTETS, &truth), PM_OK);
	host_mbox_close(inner, plain, call);
	assert_int_equal(host_mbox_info(outer, mbox, call, 0, 1, PM_WANT_OCTETS, &lie), PM_OK);
	assert_int_equal(lie.octets, truth.octets - 7);
	assert_int_equal(host_mbox_info(outer, mbox, call, 0, 1, PM_WANT_OCTETS, &lie), PM_OK);
	assert_int_equal(lie.octets, truth.octets);
	assert_int_equal(host_msg_open(outer, mbox, call, 0, &msg), PM_OK);
	assert_int_equal(host_msg_read(outer, msg, call, buf, 50, &got), PM_OK);
	assert_int_equal(got, 50);
	assert_int_equal(host_msg_read(outer, msg, call, buf, 50, &got), PM_OK);
	assert_int_equal(got, 1);
	host_msg_close(outer, msg, call);
	host_mbox_close(outer, mbox, call);
}

static void
messages_that_cannot_be_read(void **state)
{
	struct pm_msg m[3];
	void *mbox;
	uint64_t n;

	(void)state;
	disturb("mbox_info * unreadable 2", NULL);
	assert_int_equal(open_box(&n, &mbox), PM_OK);
	assert_int_equal(n, 3);
	assert_int_equal(host_mbox_info(outer, mbox, call, 0, 3, PM_WANT_OCTETS, m), PM_OK);
	assert_int_equal(m[0].flags | m[2].flags, 0);
	assert_int_equal(m[1].flags, PM_MSG_UNREADABLE);
	assert_int_equal(host_mbox_info(outer, mbox, call, 1, 1, PM_WANT_OCTETS, m), PM_OK);
	assert_int_equal(m[0].flags, PM_MSG_UNREADABLE);
	assert_int_equal(host_mbox_info(outer, mbox, call, 2, 1, PM_WANT_OCTETS, m), PM_OK);
	assert_int_equal(m[0].flags, 0);
	assert_int_equal(host_mbox_info(outer, mbox, call, 0, 2, PM_WANT_UIDL, m), PM_OK);
	assert_int_equal(m[0].flags | m[1].flags, 0); /* nobody asked */
	host_mbox_close(outer, mbox, call);
}

/* A commit whose answer was lost: it was done, and asked again it repeats its answer. */
static void
a_lost_commit(void **state)
{
	uint8_t del[1] = {1};
	struct pm_commit commit = {.size = sizeof(commit), .n = 3, .del = del};
	struct pm_stat st;
	uint64_t n, done;
	void *mbox;

	(void)state;
	disturb("mbox_commit 1 after error UNKNOWN", "mbox_commit 2 error TEMP");
	assert_int_equal(open_box(&n, &mbox), PM_OK);
	assert_int_equal(host_mbox_commit(outer, mbox, call, &commit, &done), PM_UNKNOWN);
	assert_int_equal(host_mbox_commit(outer, mbox, call, &commit, &done), PM_TEMP);
	assert_int_equal(host_mbox_commit(outer, mbox, call, &commit, &done), PM_OK);
	assert_int_equal(done, 1);
	host_mbox_close(outer, mbox, call);
	assert_int_equal(host_box_stat(inner, call, &ann, &st), PM_OK);
	assert_int_equal(st.count, 2);
}

static void
deliveries_end_however_they_fail(void **state)
{
	struct pm_rcpt rcpt = {.size = sizeof(rcpt), .user = &ann};
	struct pm_result res = {.size = sizeof(res)};
	struct pm_stat st;
	void *dlv;

	(void)state;
	assert_free(); /* the mailbox is there: three messages */
	disturb("dlv_commit 1 error DOWN", "dlv_commit 2 after error UNKNOWN");
	for (int k = 1; k <= 2; k++) {
		assert_int_equal(host_dlv_begin(outer, call, 0, 0, &dlv), PM_OK);
		assert_int_equal(host_dlv_rcpt(outer, dlv, call, &rcpt), PM_OK);
		assert_int_equal(host_dlv_write(outer, dlv, call, "x\r\n", 3), PM_OK);
		assert_int_equal(host_dlv_prepare(outer, dlv, call, &res), PM_OK);
		assert_int_equal(host_dlv_commit(outer, dlv, call, &res),
				 k == 1 ? PM_DOWN : PM_UNKNOWN);
		assert_int_equal(host_box_stat(inner, call, &ann, &st), PM_OK);
		assert_int_equal(st.count, k == 1 ? 3 : 4);
	}
	host_close(outer);
	disturb("dlv_begin 1 after error TEMP", NULL);
	assert_int_equal(host_dlv_begin(outer, call, 0, 0, &dlv), PM_TEMP);
	assert_null(dlv);
}

static int64_t
now_ms(void)
{
	return rig_host.now_ms(rig_host.ctx);
}

static void
sleeping(void **state)
{
	int64_t before = now_ms();
	struct pm_user u;

	(void)state;
	disturb("verify 1 sleep 20", NULL);
	assert_int_equal(verify(&u), PM_OK);
	assert_true(now_ms() - before >= 20);
}

static _Atomic int finished;

static void *
hang(void *arg)
{
	struct pm_user u;

	(void)arg;
	assert_int_equal(verify(&u), PM_OK);
	finished = 1;
	host_thread_exit();
	return NULL;
}

static void
hanging_until_released(void **state)
{
	struct timespec moment = {.tv_nsec = 20000000};
	char path[200];
	pthread_t t;

	(void)state;
	snprintf(path, sizeof(path), "%s/go", rig_dir());
	outer = rig_open("fault", inner, "rule", "verify 1 hang", "release", path, NULL);
	assert_non_null(outer);
	finished = 0;
	assert_int_equal(pthread_create(&t, NULL, hang, NULL), 0);
	nanosleep(&moment, NULL);
	assert_int_equal(finished, 0);
	(void)rig_file("go", "", 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(finished, 1);
}

static int
begin(void **state)
{
	static const char *const modules[] = {"ram", "fault", NULL};

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, tidy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wrong_rules_are_reported),
		TEST(scripts_are_read_with_their_lines),
		TEST(an_empty_script_is_not_felt),
		TEST(errors_instead_and_after),
		TEST(a_code_that_does_not_exist),
		TEST(again_some_times),
		TEST(a_handle_in_the_making_can_be_given_back),
		TEST(short_reads_and_lies),
		TEST(messages_that_cannot_be_read),
		TEST(a_lost_commit),
		TEST(deliveries_end_however_they_fail),
		TEST(sleeping),
		TEST(hanging_until_released),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
