/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions on maildirs that other readers change meanwhile; marks; the memory of unchanged
 * ones. */
#include "maildir_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- other readers --------------------------------------------------------------------------- */

static void
renamed_during_the_session(void **state)
{
	static const char *const places[] = {"cur/1.x",       "cur/1.x:2,",          "cur/1.x:2,S",
					     "cur/1.x:2,FRS", "cur/1.x,S=2,W=3:2,T", "new/1.x"};
	char buf[20];

	(void)state;
	for (size_t k = 0; k < COUNT(places); k++) {
		struct host_inst *i = MAIL_OPEN(NULL);
		struct pm_msg m;
		uint64_t n;
		void *mbox;

		mail_put("new/1.x", "x\n");
		mail_put("new/2.x", "two\n");
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		mail_move("new/1.x", places[k]);
		box_info(i, mbox, 0, &m);
		assert_int_equal(m.octets, 3);
		mail_move(places[k], "cur/1.x:2,X"); /* and once more */
		assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_OK);
		assert_string_equal(buf, "x\n");
		mail_move("cur/1.x:2,X", places[k]);
		assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK);
		host_mbox_close(i, mbox, call);
		assert_string_equal(mail_names("cur"), "");
		assert_string_equal(mail_names("new"), "2.x ");
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "2.x:5 ");
		host_close(i);
		mail_remove("restante-ledger");
	}
}

static void
removed_during_the_session(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	char buf[20];
	struct pm_msg m;
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("cur/1.x", "x\n");
	mail_put("cur/2.x,S=2,W=3", "y\n");
	mail_put("cur/3.x", "z\n");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	mail_remove("cur/1.x");
	mail_remove("cur/2.x,S=2,W=3");
	assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_GONE);
	assert_int_equal(box_read(i, mbox, 1, buf, sizeof(buf)), PM_GONE);
	box_info(i, mbox, 0, &m); /* the session lives, and numbers do not move */
	assert_int_equal(m.uidl_len, 3);
	box_info(i, mbox, 1, &m);
	assert_int_equal(m.octets, 3);
	assert_int_equal(box_read(i, mbox, 2, buf, sizeof(buf)), PM_OK);
	assert_string_equal(buf, "z\n");
	assert_int_equal(box_commit(i, mbox, n, "0", "1 2", 1), PM_OK);
	host_mbox_close(i, mbox, call);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "3.x:3 ");
	host_close(i);
}

/* ---- marks and commits ----------------------------------------------------------------------- */

static void
retrieved_and_kept_is_seen(void **state)
{
	static const struct {
		const char *mark_seen, *from, *to;
	} cases[] = {
		{"yes", "new/1.x", "cur/1.x:2,S"},
		{"yes", "cur/1.x", "cur/1.x:2,S"},
		{"yes", "cur/1.x:2,", "cur/1.x:2,S"},
		{"yes", "cur/1.x:2,FR", "cur/1.x:2,FRS"},
		{"yes", "cur/1.x:2,S", "cur/1.x:2,S"},
		{"yes", "cur/1.x:2,FS", "cur/1.x:2,FS"},
		{"yes", "new/1.x,S=2,W=3", "cur/1.x,S=2,W=3:2,S"},
		{"no", "new/1.x", "new/1.x"},
		{"no", "cur/1.x:2,R", "cur/1.x:2,R"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct host_inst *i = MAIL_OPEN("mark_seen", cases[k].mark_seen, NULL);
		struct pm_msg m;
		uint64_t n;
		void *mbox;

		mail_put(cases[k].from, "x\n");
		mail_put("new/2.x", "never fetched\n");
		mail_put("new/3.x", "fetched and deleted\n");
		assert_int_equal(box_quit(i, "2", "0 2", 5000), PM_OK);
		if (!mail_there(cases[k].to))
			fail_msg("%s: new %s, cur %s", cases[k].from, mail_names("new"),
				 mail_names("cur"));
		assert_true(mail_there("new/2.x"));
		assert_false(mail_there("new/3.x"));
		assert_int_equal(box_quit(i, NULL, "0", 6000), PM_OK);
		mbox = box_enter(i, PM_OPEN_READONLY, &n);
		assert_int_equal(n, 2);
		box_info(i, mbox, 0, &m);
		assert_int_equal(m.first_retrieved_ms, 5000); /* the first time counts */
		box_info(i, mbox, 1, &m);
		assert_int_equal(m.first_retrieved_ms, 0);
		host_mbox_close(i, mbox, call);
		host_close(i);
		mail_remove(cases[k].to);
		mail_remove("restante-ledger");
	}
}

static void
without_a_commit_nothing_happens(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	char buf[20];
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("new/1.x", "x\n");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_OK);
	host_mbox_close(i, mbox, call);
	assert_string_equal(mail_names("new"), "1.x ");
	assert_int_equal(box_quit(i, NULL, NULL, 1), PM_OK);
	assert_int_equal(box_quit(i, "", "", 1), PM_OK);
	assert_string_equal(mail_names("new"), "1.x ");
	assert_string_equal(mail_names("cur"), "");
	host_close(i);
}

static void
commits_it_cannot_do(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("new/2.x", "x\n");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(box_commit(i, mbox, 1, "0", NULL, 1), PM_INVALID);
	assert_int_equal(box_commit(i, mbox, 3, "0", NULL, 1), PM_INVALID);
	assert_string_equal(mail_names("new"), "1.x 2.x ");
	assert_int_equal(box_commit(i, mbox, 2, "0", NULL, 1), PM_OK);
	assert_int_equal(box_commit(i, mbox, 2, "0", NULL, 1), PM_OK); /* the same again */
	assert_string_equal(mail_names("new"), "2.x ");
	host_mbox_close(i, mbox, call);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "2.x:3 ");
	host_close(i);
}

static void
without_fsync_all_the_same(void **state)
{
	struct host_inst *i = MAIL_OPEN("fsync", "no", NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u, .uidl = {"mine", 4}};
	struct pm_result res;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("new/2.x", "x\n");
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "y\r\n", &res), PM_OK);
	assert_int_equal(box_quit(i, "0", "1", 5), PM_OK);
	assert_string_equal(mail_names("cur"), "2.x:2,S ");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "2.x:3 mine:3 ");
	host_close(i);
}

/* ---- the memory of unchanged ones ------------------------------------------------------------ */

/* Reading a directory logs the odd files in it: how often that happened since the last call. */
static unsigned
looks(void)
{
	unsigned n = 0;

	for (const char *p = rig_log; (p = strstr(p, "cur/odd is not")) != NULL; p++)
		n++;
	rig_log[0] = '\0';
	return n;
}

static void
unchanged_mailboxes_are_not_read_again(void **state)
{
	static const struct {
		const char *limit;
		bool aged;
		unsigned again;
	} cases[] = {
		{"1000000", true, 0},
		{"0", true, 1},  /* off */
		{"17", true, 1}, /* two messages do not fit */
		{"18", true, 0},
		{"1000000", false, 1}, /* it may change again in the same tick */
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct host_inst *i = MAIL_OPEN("cache_messages", cases[k].limit, NULL);

		mail_put("new/1.x", "x\n");
		mail_put("cur/2.x", "y\n");
		mail_remove("cur/odd");
		mail_dir("cur/odd");
		rig_wall_ms = rig_host.wall_ms(NULL); /* stands still */
		if (cases[k].aged)
			mail_age();
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:3 ");
		(void)looks();
		for (int round = 0; round < 3; round++) {
			assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:3 ");
			assert_int_equal(looks(), cases[k].again);
		}
		assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "1.x:3 2.x:3 ");
		assert_int_equal(looks(), 1); /* a reader has no lock on the memory */
		host_close(i);
		rig_wall_ms = 0;
	}
}

/* box_totals: "count:octets", and how often the directories were read for it. */
static const char *
totals(struct host_inst *i, unsigned *ret_looks)
{
	static char text[64];
	struct pm_stat st = {.size = sizeof(st)};

	(void)looks();
	assert_int_equal(box_totals(i, &st), PM_OK);
	*ret_looks = looks();
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.count,
		 (unsigned long long)st.octets);
	return text;
}

static void
totals_are_counted_once(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u};
	struct pm_result res = {.size = sizeof(res)};
	unsigned n;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_dir("cur/odd");
	mail_age();
	assert_string_equal(totals(i, &n), "1:3");
	assert_int_equal(n, 1);
	assert_string_equal(totals(i, &n), "1:3");
	assert_int_equal(n, 0);
	/* ours are added */
	assert_int_equal(box_deliver(i, &r, 0, "a\r\n", &res), PM_OK);
	assert_int_equal(box_deliver(i, &r, 0, "bb\r\n", &res), PM_OK);
	assert_string_equal(totals(i, &n), "3:10");
	assert_int_equal(n, 0);
	/* every change by others is noticed; and a delivery after one is not added to a
	 * wrong total */
	mail_put("new/2.x", "yy\n");
	mail_age();
	assert_string_equal(totals(i, &n), "4:14");
	assert_int_equal(n, 1);
	mail_put("new/3.x", "yy\n");
	mail_age();
	assert_int_equal(box_deliver(i, &r, 0, "a\r\n", &res), PM_OK);
	assert_string_equal(totals(i, &n), "6:21");
	assert_int_equal(n, 1);
	mail_move("new/3.x", "cur/3.x:2,S");
	mail_age();
	assert_string_equal(totals(i, &n), "6:21");
	assert_int_equal(n, 1);
	mail_remove("cur/3.x:2,S");
	mail_age();
	assert_string_equal(totals(i, &n), "5:17");
	assert_int_equal(n, 1);
	assert_int_equal(box_quit(i, "0", "", 1), PM_OK);
	mail_age();
	assert_string_equal(totals(i, &n), "4:14");
	assert_int_equal(n, 1);
	host_close(i);
}

/* A large mailbox is counted in slices, and once: a delivery between them is noted, here one after
 * new/ was read, which cannot have seen it. */
static void
totals_in_slices(void **state)
{
	enum { N = 1500 };
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u};
	struct pm_result res = {.size = sizeof(res)};
	struct pm_stat st;
	unsigned n, slices = 0;
	char name[64];

	(void)state;
	for (unsigned k = 0; k < N; k++) {
		snprintf(name, sizeof(name), "cur/%u.x,S=2,W=3:2,S", 1000 + k);
		mail_put(name, "x\n");
	}
	mail_dir("cur/odd");
	mail_age();
	step_ms = 200; /* each look at the clock ends a slice */
	while (host_box_stat(i, call, &u, &st) == PM_AGAIN) {
		assert_int_equal(box_deliver(i, &r, 0, "a\r\n", &res), PM_OK);
		slices++;
	}
	step_ms = 0;
	assert_true(slices >= 2);
	assert_int_equal(st.count, N + slices);
	assert_int_equal(st.octets, 3 * (N + slices));
	assert_int_equal(box_deliver(i, &r, 0, "a\r\n", &res), PM_OK);
	snprintf(name, sizeof(name), "%u:%u", N + slices + 1, 3 * (N + slices + 1));
	assert_string_equal(totals(i, &n), name);
	assert_int_equal(n, 0);
	host_close(i);
}

/* A count made in the same tick as the directory's last change may be wrong: it is repeated once
 * the tick is over. */
static void
fresh_totals_are_counted_again(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	unsigned n;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_dir("cur/odd");
	/* whatever this machine does, the directories are younger */
	rig_wall_ms = rig_host.wall_ms(NULL) - 60000;
	assert_string_equal(totals(i, &n), "1:3");
	assert_string_equal(totals(i, &n), "1:3");
	assert_int_equal(n, 0);
	rig_wall_ms += 120000;
	assert_string_equal(totals(i, &n), "1:3");
	assert_int_equal(n, 1);
	assert_string_equal(totals(i, &n), "1:3");
	assert_int_equal(n, 0);
	rig_wall_ms = 0;
	host_close(i);
}

static void
any_change_is_noticed(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct ledger_out o = {0};

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_age();
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	mail_put("new/2.x", "y\n");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:3 ");
	mail_age();
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:3 ");
	mail_move("new/2.x", "cur/2.x:2,S");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:3 ");
	mail_age();
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:3 ");
	mail_remove("cur/2.x:2,S");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	mail_age();
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	ledger_put_header(&o);
	ledger_put_message(&o, "1.x", 3, "another-name", 12, LEDGER_UNKNOWN, 0, 0, 0);
	mail_ledger(&o);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "another-name:3 ");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "another-name:3 ");
	mail_remove("restante-ledger");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK); /* one's own change too */
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "");
	host_close(i);
}

static void
another_maildir_in_its_place(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_age();
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	mail_move("../ann", "../old");
	mail_dir("../ann");
	mail_dir("new");
	mail_dir("cur");
	mail_put("new/2.x", "y\n");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "2.x:3 ");
	mail_move("../ann", "../new");
	mail_move("../old", "../ann");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(renamed_during_the_session),
		MAIL(removed_during_the_session),
		MAIL(retrieved_and_kept_is_seen),
		MAIL(without_a_commit_nothing_happens),
		MAIL(commits_it_cannot_do),
		MAIL(without_fsync_all_the_same),
		MAIL(unchanged_mailboxes_are_not_read_again),
		MAIL(any_change_is_noticed),
		MAIL(totals_are_counted_once),
		MAIL(totals_in_slices),
		MAIL(fresh_totals_are_counted_again),
		MAIL(another_maildir_in_its_place),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
