/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries into maildirs: to many, some of whom cannot be served; what they hold, and what they
 * leave. */
#include "maildir_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST 100
#define LARGE 5000 /* octets of a head that does not fit */

static char names[MOST][24];
static struct pm_user users[MOST];
static struct pm_result results[MOST];

static unsigned
descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ., .. and this one */
}

static void
set_limit(int resource, rlim_t now)
{
	struct rlimit l;

	assert_int_equal(getrlimit(resource, &l), 0);
	l.rlim_cur = now < l.rlim_max ? now : l.rlim_max;
	assert_int_equal(setrlimit(resource, &l), 0);
}

/* The users u0, u1, ... as recipients. */
static void *
begin(struct host_inst *i, size_t n, struct pm_str (*head)(size_t k))
{
	void *dlv;

	assert_int_equal(host_dlv_begin(i, call, 0, 0, &dlv), PM_OK);
	for (size_t k = 0; k < n; k++) {
		struct pm_rcpt r = {.size = sizeof(r), .user = &users[k], .head = head(k)};

		snprintf(names[k], sizeof(names[k]), "u%zu", k);
		users[k] = user_named(names[k]);
		results[k] = (struct pm_result){.size = sizeof(results[k])};
		if (host_dlv_rcpt(i, dlv, call, &r) != PM_OK)
			fail_msg("recipient %zu: %s", k, call->error);
	}
	return dlv;
}

static void
prepare(struct host_inst *i, void *dlv)
{
	int32_t r;

	while ((r = host_dlv_prepare(i, dlv, call, results)) == PM_AGAIN)
		;
	assert_int_equal(r, PM_OK);
}

static void
commit(struct host_inst *i, void *dlv)
{
	int32_t r;

	while ((r = host_dlv_commit(i, dlv, call, results)) == PM_AGAIN)
		;
	assert_int_equal(r, PM_OK);
}

/* The number of files that a recipient has there. */
static unsigned
files(size_t k, const char *dir)
{
	char path[64];
	unsigned n = 0;

	snprintf(path, sizeof(path), "../u%zu/%s", k, dir);
	for (const char *p = mail_there(path) ? mail_names(path) : ""; *p; p++)
		n += *p == ' ';
	return n;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static struct pm_str
no_head(size_t k)
{
	(void)k;
	return (struct pm_str){NULL, 0};
}

static struct pm_str
any_head(size_t k)
{
	(void)k;
	return (struct pm_str){"Delivered-To: you\r\n", 19};
}

static struct pm_str
head_of_some(size_t k)
{
	return k % 3 == 0 ? any_head(k) : no_head(k);
}

static struct pm_str
head_of_others(size_t k)
{
	return k % 3 != 0 ? any_head(k) : no_head(k);
}

static void
many_recipients_hold_few_descriptors(void **state)
{
	struct pm_str (*const heads[])(size_t) = {no_head, any_head, head_of_some, head_of_others};
	struct rlimit before;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t h = 0; h < COUNT(heads); h++) {
		struct host_inst *i = MAIL_OPEN(NULL);
		unsigned idle = descriptors();
		void *dlv;

		set_limit(RLIMIT_NOFILE, idle + 8);
		step_ms = 60; /* in slices */
		dlv = begin(i, MOST, heads[h]);
		assert_in_range(descriptors(), idle, idle + 2);
		assert_int_equal(host_dlv_write(i, dlv, call, "x\r\n", 3), PM_OK);
		assert_in_range(descriptors(), idle, idle + 2);
		assert_int_equal(host_dlv_prepare(i, dlv, call, results), PM_AGAIN);
		assert_in_range(descriptors(), idle, idle + 2);
		prepare(i, dlv);
		assert_int_equal(host_dlv_commit(i, dlv, call, results), PM_AGAIN);
		assert_in_range(descriptors(), idle, idle + 2);
		commit(i, dlv);
		step_ms = 0;
		assert_int_equal(descriptors(), idle);
		for (size_t k = 0; k < MOST; k++) {
			assert_int_equal(results[k].rc, PM_OK);
			assert_int_equal(files(k, "new"), h + 1);
			assert_int_equal(files(k, "tmp"), 0);
		}
		host_close(i);
		set_limit(RLIMIT_NOFILE, before.rlim_cur);
	}
}

/* ---- what is left ---------------------------------------------------------------------------- */

static unsigned large; /* bit k: u<k> has a head that does not fit */

static struct pm_str
some_large(size_t k)
{
	static char text[LARGE];

	memset(text, 'x', sizeof(text));
	return large >> k & 1 ? (struct pm_str){text, sizeof(text)} : any_head(k);
}

static struct pm_str
some_large_only(size_t k)
{
	return large >> k & 1 ? some_large(k) : no_head(k);
}

/* A full disk is where it matters. Here the copies of some are cut by a limit on the size of
 * files. */
static void
copies_that_failed_do_not_stay(void **state)
{
	struct pm_str (*const heads[])(size_t) = {some_large, some_large_only};

	(void)state;
	for (size_t h = 0; h < COUNT(heads); h++) {
		for (large = 1; large < 8; large++) {
			for (int end = 0; end < 2; end++) {
				struct host_inst *i = MAIL_OPEN(NULL);
				void *dlv = begin(i, 3, heads[h]);

				assert_int_equal(host_dlv_write(i, dlv, call, "x\r\n", 3), PM_OK);
				set_limit(RLIMIT_FSIZE, LARGE - 1000);
				prepare(i, dlv);
				set_limit(RLIMIT_FSIZE, RLIM_INFINITY);
				if (end == 0)
					commit(i, dlv);
				else
					host_dlv_abort(i, dlv, call);
				for (size_t k = 0; k < 3; k++) {
					bool fits = (large >> k & 1) == 0;

					assert_int_equal(results[k].rc, fits ? PM_OK : PM_TEMP);
					assert_int_equal(files(k, "tmp"), 0);
					assert_int_equal(files(k, "new"), fits && end == 0);
				}
				host_close(i);
				mail_remove("..");
				mail_dir("..");
			}
		}
	}
}

/* However far a delivery came. */
static void
an_abort_leaves_nothing(void **state)
{
	struct pm_str (*const heads[])(size_t) = {no_head, any_head, head_of_some, head_of_others};

	(void)state;
	for (size_t h = 0; h < COUNT(heads); h++) {
		struct host_inst *i = MAIL_OPEN(NULL);

		for (int stage = 0; stage < 4; stage++) {
			void *dlv = begin(i, 8, heads[h]);

			if (stage > 0)
				assert_int_equal(host_dlv_write(i, dlv, call, "x\r\n", 3), PM_OK);
			step_ms = stage == 2 ? 60 : 0; /* in the middle of prepare */
			if (stage > 1)
				assert_int_equal(host_dlv_prepare(i, dlv, call, results),
						 stage == 2 ? PM_AGAIN : PM_OK);
			step_ms = 0;
			host_dlv_abort(i, dlv, call);
			for (size_t k = 0; k < 8; k++) {
				assert_int_equal(files(k, "tmp"), 0);
				assert_int_equal(files(k, "new"), 0);
			}
		}
		host_close(i);
	}
}

/* A maildir that was removed meanwhile is not made anew, and the others get their mail. */
static void
a_recipient_that_went_meanwhile(void **state)
{
	(void)state;
	for (int stage = 0; stage < 2; stage++) {
		struct host_inst *i = MAIL_OPEN(NULL);
		void *dlv = begin(i, 3, any_head);

		assert_int_equal(host_dlv_write(i, dlv, call, "x\r\n", 3), PM_OK);
		if (stage == 1)
			prepare(i, dlv);
		mail_remove("../u1");
		if (stage == 0)
			prepare(i, dlv);
		commit(i, dlv);
		assert_int_equal(results[0].rc, PM_OK);
		assert_int_equal(results[1].rc, PM_TEMP);
		assert_int_equal(results[2].rc, PM_OK);
		assert_false(mail_there("../u1"));
		assert_int_equal(files(0, "new"), 1);
		assert_int_equal(files(2, "new"), 1);
		assert_int_equal(files(0, "tmp") + files(2, "tmp"), 0);
		host_close(i);
		mail_remove("..");
		mail_dir("..");
	}
}

/* ---- what others left ------------------------------------------------------------------------ */

#define HOUR_MS INT64_C(3600000)

/* A session of ann's, this many hours from now, and an hour after the last one. */
static void
session_in(struct host_inst *i, int hours)
{
	uint64_t n;

	skew_ms += HOUR_MS;
	rig_wall_ms = 0;
	rig_wall_ms = rig_host.wall_ms(NULL) + hours * HOUR_MS;
	host_mbox_close(i, box_enter(i, PM_OPEN_EXCLUSIVE, &n), call);
	rig_wall_ms = 0;
}

/* A process that was killed leaves its file in tmp/, and nobody knows any more whose it is: after
 * 36 hours it is nobody's. */
static void
old_files_of_tmp_go(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct timespec later[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

	(void)state;
	mail_put("tmp/1.killed", "half a mess");
	mail_put("tmp/2.still-written", "half a mess");
	mail_put("tmp/.nfs0001", "in use");
	mail_dir("tmp/dir");
	assert_int_equal(symlink("1.killed", mail_path("tmp/3.link")), 0);
	mail_put("new/4.x", "x\n");
	mail_put("cur/5.x:2,S", "x\n");
	later[1] = (struct timespec){.tv_sec = time(NULL) + 2 * 3600};
	assert_int_equal(utimensat(AT_FDCWD, mail_path("tmp/2.still-written"), later, 0), 0);
	session_in(i, 35);
	assert_string_equal(mail_names("tmp"), ".nfs0001 1.killed 2.still-written 3.link dir ");
	assert_string_equal(rig_log, "");
	session_in(i, 37);
	assert_string_equal(mail_names("tmp"), ".nfs0001 2.still-written 3.link dir ");
	assert_non_null(strstr(rig_log, "1 file that a delivery left in tmp/ more than 36 hours "
					"ago was removed"));
	session_in(i, 39);
	assert_string_equal(mail_names("tmp"), ".nfs0001 3.link dir ");
	assert_string_equal(mail_names("new"), "4.x ");
	assert_string_equal(mail_names("cur"), "5.x:2,S ");
	host_close(i);
}

/* An import that has the lock on tmp/ is about to move its file to new/. Without the lock of the
 * session nothing is swept, either: somebody only looks. */
static void
who_may_still_need_it_keeps_it(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	int tmp = open(mail_path("tmp"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t n;

	(void)state;
	mail_put("tmp/1.x", "x\n");
	mail_put("new/2.x", "x\n");
	assert_int_equal(flock(tmp, LOCK_EX), 0);
	session_in(i, 48);
	assert_true(mail_there("tmp/1.x"));
	assert_int_equal(close(tmp), 0);
	rig_wall_ms = rig_host.wall_ms(NULL) + 48 * HOUR_MS;
	host_mbox_close(i, box_enter(i, PM_OPEN_READONLY, &n), call);
	rig_wall_ms = 0;
	assert_true(mail_there("tmp/1.x"));
	session_in(i, 48);
	assert_false(mail_there("tmp/1.x"));
	host_close(i);
}

/* However many there are, a session takes some, and the next ones take the rest. */
static void
old_files_go_in_slices(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	const int many = 1200;
	int sessions = 0;

	(void)state;
	for (int k = 0; k < many; k++) {
		char name[40];

		snprintf(name, sizeof(name), "tmp/%d.x", k);
		mail_put(name, "x\n");
	}
	for (; *mail_names("tmp") && sessions < 20; sessions++)
		session_in(i, 48);
	assert_in_range(sessions, 2, 4);
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(copies_that_failed_do_not_stay),
		MAIL(an_abort_leaves_nothing),
		MAIL(a_recipient_that_went_meanwhile),
		MAIL(many_recipients_hold_few_descriptors),
		MAIL(old_files_of_tmp_go),
		MAIL(who_may_still_need_it_keeps_it),
		MAIL(old_files_go_in_slices),
	};

	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
