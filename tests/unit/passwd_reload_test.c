/* SPDX-License-Identifier: Apache-2.0 */
/* The passwd module's file changes while it is in use. */
#include "passwd_rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files that change ----------------------------------------------------------------------- */

static void
a_changed_file_is_read_again(void **state)
{
	char path[200];
	struct host_inst *i;

	(void)state;
	snprintf(path, sizeof(path), "%s", file("passwd", "ann:{PLAIN}a\nben:{PLAIN}b\n"));
	i = clocked_open("passwd", "file", path, "allow_plain", "yes", NULL);
	assert_non_null(i);
	expect_user(i, "ann", "a");
	(void)file("passwd", "ann:{PLAIN}changed\ncid:{PLAIN}c\n");
	expect_user(i, "ann", "changed");
	expect_user(i, "cid", "c");
	expect_none(i, "ben", PM_DENIED);
	assert_non_null(strstr(rig_log, "was read again: 2 accounts"));
	skew_ms += 2000;
	rig_log[0] = '\0';
	expect_user(i, "ann", "changed");
	assert_string_equal(rig_log, ""); /* it did not change */
	assert_int_equal(rename(file("passwd.new", "# nobody\n"), path), 0);
	expect_none(i, "ann", PM_DENIED); /* a file without accounts is a sound one */
	host_close(i);
}

static void
a_broken_file_keeps_the_old_accounts(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"ann:{PLAIN}new\nnonsense\n", "line 2: expected user:{SCHEME}hash"},
		{"ann:{PLAIN}new\nann:{PLAIN}newer\n", "user 'ann' is there twice"},
		{"ann:{PLAIN}new\nben:{PLAIN}", "line 2 has no end"},
		{"", "the file is empty"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		const char *path = file("passwd", "ann:{PLAIN}a\n");
		struct host_inst *i =
			clocked_open("passwd", "file", path, "allow_plain", "yes", NULL);

		assert_non_null(i);
		expect_user(i, "ann", "a");
		rig_log[0] = '\0';
		(void)file("passwd", cases[k].text);
		expect_user(i, "ann", "a");
		assert_non_null(strstr(rig_log, cases[k].said));
		assert_non_null(strstr(rig_log, "the accounts read before stay in force"));
		rig_log[0] = '\0';
		skew_ms += 2000;
		expect_user(i, "ann", "a");
		assert_string_equal(rig_log, ""); /* said once */
		(void)file("passwd", "ann:{PLAIN}repaired\n");
		expect_user(i, "ann", "repaired");
		host_close(i);
	}
}

static void
a_deleted_file_keeps_the_old_accounts(void **state)
{
	char path[200];
	struct host_inst *i;

	(void)state;
	snprintf(path, sizeof(path), "%s", file("passwd", "ann:{PLAIN}a\n"));
	i = clocked_open("passwd", "file", path, "allow_plain", "yes", NULL);
	assert_non_null(i);
	expect_user(i, "ann", "a");
	assert_int_equal(unlink(path), 0);
	skew_ms += 2000;
	expect_user(i, "ann", "a");
	assert_non_null(strstr(
		rig_log, "No such file or directory; the accounts read before stay in force"));
	assert_int_equal(mkdir(path, 0700), 0); /* worse */
	skew_ms += 2000;
	expect_user(i, "ann", "a");
	assert_int_equal(rmdir(path), 0);
	(void)file("passwd", "ann:{PLAIN}back\n");
	expect_user(i, "ann", "back");
	host_close(i);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define THREADS 4
#define CHANGES 20

static struct host_inst *shared;
static _Atomic bool over;

/* Either file's password is right, whichever is in force; never a third thing. */
static void *
log_in(void *arg)
{
	struct pm_cred c;
	struct pm_user u;

	(void)arg;
	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.authcid = (struct pm_str){"ann", 3};
	for (int k = 0; !over; k++) {
		struct rig_call r;
		struct host_call *mine = rig_call(&r);
		int32_t rc;

		c.secret = (struct pm_str){k % 2 ? "a" : "b", 1};
		rc = host_verify(shared, mine, &c, &u);
		assert_true(rc == PM_OK || rc == PM_DENIED);
		assert_int_equal(host_lookup(shared, mine, &c, &u), PM_OK);
		rig_call_end(&r);
	}
	host_thread_exit();
	return NULL;
}

static void
threads_while_the_file_changes(void **state)
{
	char path[200], other[200];
	pthread_t t[THREADS];

	(void)state;
	snprintf(path, sizeof(path), "%s", file("passwd", "ann:{PLAIN}a\n"));
	shared = clocked_open("passwd", "file", path, "allow_plain", "yes", NULL);
	assert_non_null(shared);
	expect_user(shared, "ann", "a");
	for (int k = 0; k < THREADS; k++)
		assert_int_equal(pthread_create(&t[k], NULL, log_in, NULL), 0);
	/* as vipw does it: a whole new file in place of the old */
	for (int k = 0; k < CHANGES; k++) {
		unsigned before = logged;

		snprintf(other, sizeof(other), "%s",
			 file("passwd.new", k % 2 ? "ann:{PLAIN}a\n" : "ann:{PLAIN}b\n"));
		assert_int_equal(rename(other, path), 0);
		skew_ms += 2000;
		while (logged == before) /* somebody reads it */
			sched_yield();
	}
	over = true;
	for (int k = 0; k < THREADS; k++)
		assert_int_equal(pthread_join(t[k], NULL), 0);
	expect_user(shared, "ann", "a");
	host_close(shared);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_changed_file_is_read_again),
		TEST(a_broken_file_keeps_the_old_accounts),
		TEST(a_deleted_file_keeps_the_old_accounts),
		TEST(threads_while_the_file_changes),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
