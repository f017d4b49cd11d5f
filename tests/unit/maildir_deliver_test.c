/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries into maildirs: to many, some of whom cannot be served; what they hold, and what they
 * leave. */
#include "maildir_rig.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(copies_that_failed_do_not_stay),
		MAIL(an_abort_leaves_nothing),
		MAIL(a_recipient_that_went_meanwhile),
		MAIL(many_recipients_hold_few_descriptors),
	};

	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
