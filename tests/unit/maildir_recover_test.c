/* SPDX-License-Identifier: Apache-2.0 */
/* Commits that a maildir's session did not live to finish, or that the disk did not keep whole. */
#include "maildir_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OP "0123456789abcdef0123456789abcdef"

/* A session died after its commit point: the next one finishes the commit. */
static void
an_unfinished_commit(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger_out o = {0};
	struct ledger *l;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("cur/2.x:2,S", "y\n");
	mail_put("new/3.x", "z\n");
	ledger_put_header(&o);
	mail_known(&o, "1.x", "1.x", 3, 2);
	mail_known(&o, "2.x", "2.x", 3, 2);
	mail_known(&o, "3.x", "3.x", 3, 2);
	ledger_put_delete(&o, OP, "1.x", 3);
	ledger_put_delete(&o, OP, "2.x", 3);
	ledger_put_commit(&o, OP, 2, 1);
	/* without its commit: it never happened */
	ledger_put_delete(&o, "fedcba9876543210fedcba9876543210", "3.x", 3);
	mail_ledger(&o);
	/* counted as deleted, and left alone */
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "3.x:3 ");
	assert_string_equal(mail_names("new"), "1.x 3.x ");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "3.x:3 ");
	assert_string_equal(mail_names("new"), "3.x ");
	assert_string_equal(mail_names("cur"), "");
	assert_non_null(strstr(rig_log, "finished an interrupted commit: 2 messages removed"));
	l = mail_ledger_read();
	assert_null(ledger_unfinished(l, NULL));
	ledger_free(l);
	host_close(i);
}

#define MANY 1200

static size_t
files_left(void)
{
	size_t n = 0;
	DIR *d = opendir(mail_path("cur"));

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* However many messages it deleted, nobody waits for the whole of it in one call, and a session
 * that is given up meanwhile leaves the rest to the next one. */
static void
a_large_commit_is_finished_in_slices(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct pm_user u = user_named("ann");
	struct ledger_out o = {0};
	unsigned slices = 0;
	void *mbox = NULL;
	struct ledger *l;
	uint64_t n;

	(void)state;
	ledger_put_header(&o);
	for (int k = 0; k < MANY; k++) {
		char path[40], *name = path + 4;

		snprintf(path, sizeof(path), "cur/%d.x", 1000 + k);
		mail_put(path, "x\n");
		mail_known(&o, name, name, 3, 2);
		ledger_put_delete(&o, OP, name, strlen(name));
	}
	ledger_put_commit(&o, OP, MANY, 1);
	mail_ledger(&o);
	step_ms = 100; /* a slice is over at its second look at the clock */
	while (files_left() == MANY) {
		assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox),
				 PM_AGAIN);
		slices++;
	}
	assert_in_range(files_left(), 1, MANY - 1);
	host_mbox_close(i, mbox, call);
	mbox = NULL;
	while (host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox) == PM_AGAIN)
		slices++;
	assert_true(slices > 10);
	assert_int_equal(n, 0);
	assert_int_equal(files_left(), 0);
	host_mbox_close(i, mbox, call);
	l = mail_ledger_read();
	assert_null(ledger_unfinished(l, NULL));
	ledger_free(l);
	host_close(i);
}

/* The disk kept the end of it, and has a hole before that: all of a QUIT happened, or none. */
static void
a_commit_that_is_not_whole(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger_out o = {0};
	size_t from, to;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("cur/2.x:2,S", "y\n");
	mail_put("new/3.x", "z\n");
	ledger_put_header(&o);
	mail_known(&o, "1.x", "1.x", 3, 2);
	mail_known(&o, "2.x", "2.x", 3, 2);
	mail_known(&o, "3.x", "3.x", 3, 2);
	from = o.n;
	ledger_put_delete(&o, OP, "1.x", 3);
	to = o.n;
	ledger_put_delete(&o, OP, "2.x", 3);
	ledger_put_delete(&o, OP, "3.x", 3);
	ledger_put_commit(&o, OP, 3, 1);
	memset(o.text + from, 0, to - from);
	mail_ledger(&o);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "1.x:3 2.x:3 3.x:3 ");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:3 3.x:3 ");
	assert_string_equal(mail_names("new"), "1.x 3.x ");
	assert_string_equal(mail_names("cur"), "2.x:2,S ");
	assert_non_null(
		strstr(rig_log,
		       "restante-ledger: commits that are not whole, and count as never made: 1;"));
	assert_int_equal(box_quit(i, "0 1 2", NULL, 1), PM_OK);
	expect_list(i, "");
	assert_string_equal(mail_names("new"), "");
	host_close(i);
}

/* The hole is where a message was written down that the same commit deletes: nobody knows it,
 * and it goes. */
static void
a_commit_without_a_record(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger_out o = {0};

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("cur/2.x:2,S", "y\n");
	mail_put("new/3.x", "z\n");
	ledger_put_header(&o);
	mail_known(&o, "2.x", "2.x", 3, 2);
	ledger_put_delete(&o, OP, "1.x", 3);
	ledger_put_delete(&o, OP, "2.x", 3);
	ledger_put_commit(&o, OP, 2, 1);
	mail_ledger(&o);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "3.x:3 ");
	expect_list(i, "3.x:3 ");
	assert_string_equal(mail_names("new"), "3.x ");
	assert_string_equal(mail_names("cur"), "");
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(an_unfinished_commit),
		MAIL(a_large_commit_is_finished_in_slices),
		MAIL(a_commit_that_is_not_whole),
		MAIL(a_commit_without_a_record),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
