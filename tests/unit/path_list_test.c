/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of mailboxes by a path template: each is in the list once and is looked at once, whatever
 * the size of pages and windows, in slices; and a list that may lack some is none. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "path_list.h"

#define USERS 600

static char dir[] = "/tmp/path_list.XXXXXX";
static int64_t now_ms, per_ask_ms; /* the clock, and how far it goes at each question */
static unsigned looks;
static int failing; /* errno of every look; 0: none */
static char error_text[PM_ERROR_MAX + 1], log_text[1000];

static int64_t
rig_now_ms(void *ctx)
{
	(void)ctx;
	return now_ms += per_ask_ms;
}

static void
rig_log(void *ctx, int32_t level, struct pm_str text)
{
	(void)ctx;
	(void)level;
	snprintf(log_text, sizeof(log_text), "%.*s", (int)text.n, text.p);
}

static void
rig_error(const struct pm_call *call, struct pm_str text)
{
	(void)call;
	snprintf(error_text, sizeof(error_text), "%.*s", (int)text.n, text.p);
}

static const struct pm_host host = {.size = sizeof(host), .now_ms = rig_now_ms, .log = rig_log};
static const struct pm_call call = {.size = sizeof(call), .error = rig_error};

static int
is_box(int fd, const char *name)
{
	struct stat st;

	looks++;
	errno = failing;
	return failing ? -1
		       : fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* The file dir/domain/name. */
static const char *
file_of(unsigned k, char path[200])
{
	snprintf(path, 200, "%s/d%u.test/user%u", dir, k % 7, k);
	return path;
}

static void
put_user(unsigned k)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/d%u.test", dir, k % 7);
	(void)mkdir(path, 0755); /* it may be there */
	fd = open(file_of(k, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd != -1);
	close(fd);
}

static int
setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	for (unsigned k = 0; k < USERS; k++)
		put_user(k);
	return 0;
}

static int
teardown(void **state)
{
	char path[200];

	(void)state;
	for (unsigned k = 0; k < USERS; k++)
		assert_int_equal(unlink(file_of(k, path)), 0);
	for (unsigned k = 0; k < 7; k++) {
		snprintf(path, sizeof(path), "%s/d%u.test", dir, k);
		assert_int_equal(rmdir(path), 0);
	}
	return rmdir(dir);
}

static int
begin(void **state)
{
	(void)state;
	per_ask_ms = 0;
	looks = 0;
	failing = 0;
	*error_text = *log_text = '\0';
	return 0;
}

/* ---- a caller -------------------------------------------------------------------------------- */

struct reader {
	struct sdk_lists *l;
	char cursor[256];
	size_t cursor_n, n; /* page size */
	unsigned seen[USERS], slices;
	bool over;
};

/* One call, and what it gave. */
static int32_t
page(struct reader *r)
{
	char pattern[200];
	struct pm_box got[128] = {0};
	size_t n = 0;
	int32_t rc;

	snprintf(pattern, sizeof(pattern), "%s/%%d/%%n", dir);
	for (size_t k = 0; k < r->n; k++)
		got[k].size = sizeof(got[k]);
	rc = sdk_path_list(r->l, pattern, is_box, &call, (struct pm_str){r->cursor, r->cursor_n},
			   r->n, sizeof(*got), got, &n);
	r->slices += rc == PM_AGAIN;
	for (size_t k = 0; k < n; k++) {
		unsigned user, domain;

		assert_int_equal(sscanf(got[k].key, "user%u@d%u.test", &user, &domain), 2);
		assert_int_equal(user % 7, domain);
		r->seen[user]++;
		r->cursor_n = got[k].cursor_len;
		memcpy(r->cursor, got[k].cursor, r->cursor_n);
	}
	r->over = rc == PM_OK && n < r->n;
	return rc;
}

static void
read_all(struct reader *r)
{
	while (!r->over) {
		int32_t rc = page(r);

		assert_true(rc == PM_OK || rc == PM_AGAIN);
	}
}

static void
each_once(const struct reader *r)
{
	for (unsigned k = 0; k < USERS; k++)
		if (r->seen[k] != 1)
			fail_msg("user%u is in the list %u times", k, r->seen[k]);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
each_mailbox_is_looked_at_once(void **state)
{
	static const size_t pages[] = {1, 7, 64, 100, 128};

	(void)state;
	for (size_t k = 0; k < sizeof(pages) / sizeof(*pages); k++) {
		struct reader r = {.l = sdk_lists_new(&host, SDK_LIST_WINDOW), .n = pages[k]};

		looks = 0;
		read_all(&r);
		each_once(&r);
		assert_int_equal(looks, USERS);
		sdk_lists_free(r.l);
	}
}

/* Windows smaller than the list: a walk a window, and in each of them the looks that could
 * matter. */
static void
windows_are_walked_one_after_the_other(void **state)
{
	static const size_t windows[] = {1, 10, 64, 100, USERS - 1, USERS, USERS + 1};

	(void)state;
	for (size_t k = 0; k < sizeof(windows) / sizeof(*windows); k++) {
		struct reader r = {.l = sdk_lists_new(&host, windows[k]), .n = 10};

		read_all(&r);
		each_once(&r);
		sdk_lists_free(r.l);
	}
}

static void
a_long_walk_is_made_in_slices(void **state)
{
	struct reader r = {.l = sdk_lists_new(&host, SDK_LIST_WINDOW), .n = 64};

	(void)state;
	per_ask_ms = 20;
	read_all(&r);
	each_once(&r);
	assert_int_equal(looks, USERS); /* no slice begins again */
	assert_true(r.slices > USERS / 10);
	sdk_lists_free(r.l);
}

/* As many callers as there may be at once, and more. */
static void
callers_do_not_disturb_each_other(void **state)
{
	struct sdk_lists *l = sdk_lists_new(&host, 100);
	struct reader r[6] = {0};
	bool over = false;

	(void)state;
	for (size_t k = 0; k < 6; k++)
		r[k] = (struct reader){.l = l, .n = 10 + k};
	per_ask_ms = 3;
	while (!over) {
		over = true;
		for (size_t k = 0; k < 6; k++)
			if (!r[k].over) {
				(void)page(&r[k]);
				over = false;
			}
	}
	for (size_t k = 0; k < 6; k++)
		each_once(&r[k]);
	sdk_lists_free(l);
}

/* The list of a caller that went away is not the next one's. */
static void
a_new_list_has_new_mailboxes(void **state)
{
	struct sdk_lists *l = sdk_lists_new(&host, SDK_LIST_WINDOW);
	struct reader first = {.l = l, .n = 10}, second = {.l = l, .n = 10};
	char path[200];

	(void)state;
	assert_int_equal(unlink(file_of(5, path)), 0);
	assert_int_equal(page(&first), PM_OK);
	put_user(5);
	read_all(&second);
	each_once(&second);
	sdk_lists_free(l);
}

static void
a_cursor_outlives_its_list(void **state)
{
	struct reader r = {.l = sdk_lists_new(&host, SDK_LIST_WINDOW), .n = 10};

	(void)state;
	assert_int_equal(page(&r), PM_OK);
	now_ms += 3600 * 1000;
	assert_int_equal(page(&r), PM_OK); /* forgotten */
	sdk_lists_free(r.l);
	r.l = sdk_lists_new(&host, SDK_LIST_WINDOW); /* as after a restart */
	read_all(&r);
	each_once(&r);
	sdk_lists_free(r.l);
}

/* ---- looks that fail ------------------------------------------------------------------------- */

static void
an_entry_that_cannot_be_looked_at_fails_the_list(void **state)
{
	static const int bad[] = {EIO, ENOMEM, ESTALE, EMFILE}, gone[] = {ENOENT, ENOTDIR, EACCES};
	struct reader r = {.l = sdk_lists_new(&host, SDK_LIST_WINDOW), .n = 10};

	(void)state;
	for (size_t k = 0; k < sizeof(bad) / sizeof(*bad); k++) {
		failing = bad[k];
		assert_int_equal(page(&r), PM_TEMP);
		assert_non_null(strstr(error_text, "mailboxes cannot be listed: 'd"));
	}
	for (size_t k = 0; k < sizeof(gone) / sizeof(*gone); k++) {
		failing = gone[k];
		r.over = false;
		assert_int_equal(page(&r), PM_OK);
		assert_true(r.over);
	}
	assert_non_null(strstr(log_text, "leaves out 'd"));
	failing = 0;
	r.over = false;
	read_all(&r); /* and then it is there again */
	each_once(&r);
	sdk_lists_free(r.l);
}

/* No descriptors: the domains' directories cannot be opened. */
static void
a_directory_that_cannot_be_opened_fails_the_list(void **state)
{
	struct reader r = {.l = sdk_lists_new(&host, SDK_LIST_WINDOW), .n = 10};
	struct rlimit before, few;
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)next + 1; /* the first directory, no other */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(page(&r), PM_TEMP);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_non_null(strstr(error_text, "Too many open files"));
	read_all(&r);
	each_once(&r);
	sdk_lists_free(r.l);
}

static void
templates_and_cursors_that_are_none(void **state)
{
	struct sdk_lists *l = sdk_lists_new(&host, SDK_LIST_WINDOW);
	struct pm_box b = {.size = sizeof(b)};
	size_t n = 0;

	(void)state;
	assert_int_equal(sdk_path_list(l, "%h/Maildir", is_box, &call, (struct pm_str){0}, 1,
				       sizeof(b), &b, &n),
			 PM_UNSUPPORTED);
	assert_int_equal(sdk_path_list(l, "/nowhere/%u", is_box, &call, (struct pm_str){0}, 1,
				       sizeof(b), &b, &n),
			 PM_DOWN);
	assert_int_equal(sdk_path_list(l, "/nowhere/%u", is_box, &call, (struct pm_str){"x", 1}, 1,
				       sizeof(b), &b, &n),
			 PM_INVALID);
	assert_int_equal(n, 0);
	sdk_lists_free(l);
}

#define T(f) cmocka_unit_test_setup(f, begin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_mailbox_is_looked_at_once),
		T(windows_are_walked_one_after_the_other),
		T(a_long_walk_is_made_in_slices),
		T(callers_do_not_disturb_each_other),
		T(a_new_list_has_new_mailboxes),
		T(a_cursor_outlives_its_list),
		T(an_entry_that_cannot_be_looked_at_fails_the_list),
		T(a_directory_that_cannot_be_opened_fails_the_list),
		T(templates_and_cursors_that_are_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
