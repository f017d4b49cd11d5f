/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with the base name of another message, or of one that was deleted, hidden or imported: only
 * the message that was listed under that name is deleted, and none is taken for another.
 */
#include "maildir_rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OP "0123456789abcdef0123456789abcdef"
#define DAY_MS INT64_C(86400000)

#define OPEN() MAIL_OPEN("cache_messages", "0", NULL)

/* ---- files that were not listed -------------------------------------------------------------- */

/* Another file of the name comes during the session, and the listed one is renamed or goes. */
static void
a_file_that_comes_during_the_session_stays(void **state)
{
	static const struct {
		const char *moved; /* NULL: another reader removed it */
		const char *comes;
	} cases[] = {
		{"new/1.x", "cur/1.x:2,S"},    {"cur/1.x:2,S", "new/1.x"},
		{"cur/1.x:2,S", "cur/1.x:2,"}, {NULL, "cur/1.x:2,S"},
		{NULL, "new/1.x,S=5"},
	};

	for (size_t k = 0; k < COUNT(cases); k++) {
		struct host_inst *i = OPEN();
		uint64_t n;
		void *mbox;

		mail_put("new/1.x", "one");
		assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=one ");
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		if (cases[k].moved)
			mail_move("new/1.x", cases[k].moved);
		else
			/* its inode is not given to the other one */
			mail_move("new/1.x", "tmp/elsewhere");
		mail_put(cases[k].comes, "other");
		assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK);
		host_mbox_close(i, mbox, call);
		if (strcmp(mail_letters(), "other ") != 0)
			fail_msg("case %zu: on the disk is '%s'", k, mail_letters());
		box_expect(i, "1.x,2=other ");
		assert_string_equal(mail_letters(), "other ");
		host_close(i);
		assert_int_equal(mail_tidy(state), 0);
		assert_int_equal(mail_fresh(state), 0);
	}
}

/* The name of a deleted message is used again, for another letter. */
static void
a_name_of_a_deleted_message(void **state)
{
	struct host_inst *i = OPEN();

	(void)state;
	mail_put("new/1.x", "one");
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=one ");
	assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
	mail_put("new/1.x", "other");
	box_expect(i, "1.x,2=other ");
	assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
	assert_string_equal(mail_letters(), "");
	host_close(i);
}

/* Appends the lines of a session that died then. */
static void
append(struct ledger_out *o)
{
	FILE *f = fopen(mail_path("restante-ledger"), "a");

	assert_non_null(f);
	assert_int_equal(fwrite(o->text, 1, o->n, f), o->n);
	assert_int_equal(fclose(f), 0);
	ledger_out_free(o);
}

/* A session died after its commit point, and before anybody looks again there is another file of
 * the name. */
static void
an_interrupted_commit(void **state)
{
	struct host_inst *i = OPEN();
	struct ledger_out o = {0};

	(void)state;
	mail_put("new/1.x", "one");
	mail_put("cur/2.x", "two");
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=one 2.x=two ");
	ledger_put_delete(&o, OP, "1.x", 3);
	ledger_put_delete(&o, OP, "2.x", 3);
	ledger_put_commit(&o, OP, 2, 1);
	append(&o);
	mail_put("cur/1.x:2,S", "other");
	mail_remove("cur/2.x");
	mail_put("new/2.x", "another");
	box_expect(i, "1.x,2=other 2.x,2=another ");
	assert_string_equal(mail_letters(), "another other ");
	host_close(i);
}

/* The same of a message with a number: the first one of its name stays. */
static void
an_interrupted_commit_of_the_second(void **state)
{
	struct host_inst *i = OPEN();
	struct ledger_out o = {0};
	struct ledger *l;

	(void)state;
	mail_put("new/1.x", "two");
	mail_put("cur/1.x:2,S", "one");
	mail_put("cur/1.x:2,T", "two");
	box_expect(i, "1.x=one 1.x,2=two ");
	ledger_put_delete(&o, OP, "1.x,2", 5);
	ledger_put_commit(&o, OP, 1, 1);
	append(&o);
	assert_string_equal(box_letters(i, PM_OPEN_READONLY), "1.x=one ");
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=one ");
	assert_string_equal(mail_letters(), "one ");
	l = mail_ledger_read();
	assert_null(ledger_unfinished(l, NULL));
	ledger_free(l);
	host_close(i);
}

static void
marking_replaces_nothing(void **state)
{
	struct host_inst *i = MAIL_OPEN("mark_seen", "yes", NULL);

	(void)state;
	mail_put("new/1.x", "one");
	mail_put("cur/1.x:2,S", "two");
	assert_int_equal(box_quit(i, NULL, "0 1", 1), PM_OK);
	assert_string_equal(mail_letters(), "one two ");
	box_expect(i, "1.x=two 1.x,2=one ");
	host_close(i);
}

/* ---- undo ------------------------------------------------------------------------------------ */

static int32_t
hide(struct host_inst *i, uint8_t del, uint8_t restore, int64_t until)
{
	struct pm_commit c = {.size = sizeof(c), .now_ms = 1, .keep_until_ms = until};
	uint64_t n, done;
	void *mbox = box_enter(i, PM_OPEN_EXCLUSIVE | (restore ? PM_OPEN_HIDDEN : 0), &n);
	int32_t r;

	call->pm.op_id[0]++;
	c.n = n;
	c.del = del ? &del : NULL;
	c.restore = restore ? &restore : NULL;
	do
		r = host_mbox_commit(i, mbox, call, &c, &done);
	while (r == PM_AGAIN);
	host_mbox_close(i, mbox, call);
	return r;
}

static void
one_of_two_is_hidden(void **state)
{
	struct host_inst *i = OPEN();
	int64_t now = rig_host.wall_ms(rig_host.ctx);

	(void)state;
	mail_put("cur/1.x:2,S", "one");
	mail_put("new/1.x", "two");
	for (uint8_t k = 1; k <= 2; k++) {
		box_expect(i, "1.x=one 1.x,2=two ");
		assert_int_equal(hide(i, k, 0, now + DAY_MS), PM_OK);
		box_expect(i, k == 1 ? "1.x,2=two " : "1.x=one ");
		assert_int_equal(hide(i, 0, k, 0), PM_OK);
	}
	box_expect(i, "1.x=one 1.x,2=two ");
	assert_int_equal(hide(i, 2, 0, now - 1), PM_OK); /* over at once */
	box_expect(i, "1.x=one ");
	assert_string_equal(mail_letters(), "one ");
	host_close(i);
}

/* The file of a hidden message went, by its time or by another reader; the name is used again. */
static void
a_name_of_a_hidden_message(void **state)
{
	static const char *const texts[] = {"other", "two"};
	int64_t now = rig_host.wall_ms(rig_host.ctx);

	for (size_t k = 0; k < COUNT(texts); k++) {
		struct host_inst *i = OPEN();

		mail_put("new/1.x", "one");
		assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=one ");
		assert_int_equal(hide(i, 1, 0, now - 1), PM_OK);
		assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "");
		assert_string_equal(mail_letters(), "");
		mail_put("cur/1.x:2,S", texts[k]);
		(void)box_letters(i, PM_OPEN_EXCLUSIVE);
		(void)box_letters(i, PM_OPEN_EXCLUSIVE);
		assert_true(mail_there("cur/1.x:2,S"));
		if (k == 0)
			box_expect(i, "1.x,2=other ");
		host_close(i);
		assert_int_equal(mail_tidy(state), 0);
		assert_int_equal(mail_fresh(state), 0);
	}
}

static void
another_reader_removed_a_hidden_message(void **state)
{
	struct host_inst *i = OPEN();
	int64_t now = rig_host.wall_ms(rig_host.ctx);

	(void)state;
	mail_put("new/1.x", "one");
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=one ");
	assert_int_equal(hide(i, 1, 0, now - 1), PM_OK);
	mail_remove("new/1.x");
	mail_put("cur/1.x:2,S", "other");
	box_expect(i, "1.x,2=other ");
	host_close(i);
}

/* ---- imports --------------------------------------------------------------------------------- */

/* "It is here" lets a move delete the other copy: only the message itself says so, not another
 * file of its name. */
static void
an_import_is_not_its_namesake(void **state)
{
	static const uint32_t flags[] = {0, PM_DLVF_RESTORE};
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u, .uidl = {"1.x", 3}};
	struct pm_result res;

	for (size_t k = 0; k < COUNT(flags); k++) {
		struct host_inst *i = OPEN();

		mail_put("cur/1.x:2,S", "one");
		mail_put("new/1.x", "two");
		box_expect(i, "1.x=one 1.x,2=two ");
		r.uidl = (struct pm_str){"1.x,2", 5};
		assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT | flags[k], "two", &res),
				 PM_EXISTS);
		mail_move("new/1.x", "cur/1.x:2,T");
		assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT | flags[k], "two", &res),
				 PM_EXISTS);
		r.uidl = (struct pm_str){"1.x", 3};
		assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT | flags[k], "one", &res),
				 PM_EXISTS);
		/* the first one is gone: its namesake is here, it is not */
		mail_remove("cur/1.x:2,S");
		assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT | flags[k], "one", &res), PM_OK);
		assert_non_null(strstr(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=one "));
		assert_non_null(strstr(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x,2=two "));
		host_close(i);
		assert_int_equal(mail_tidy(state), 0);
		assert_int_equal(mail_fresh(state), 0);
	}
}

/* ---- files that are served ------------------------------------------------------------------- */

/* Another file has its name: that is the message now, it is served, and goes when the client
 * says so. */
static void
the_served_message_goes(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	char buf[20];
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("cur/1.x", "abcdef");
	mail_age();
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:8 ");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	mail_put("tmp/1", "another");
	mail_move("tmp/1", "cur/1.x");
	assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_OK);
	assert_string_equal(buf, "another");
	assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK);
	host_mbox_close(i, mbox, call);
	assert_string_equal(mail_letters(), "");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "");
	host_close(i);
}

/* The file that took its place, or came after it was opened, is another message of the list. */
static void
its_namesake_is_not_served(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	char buf[20];
	uint64_t n;
	size_t got;
	void *mbox, *msg;

	(void)state;
	for (int opened = 0; opened < 2; opened++) {
		mail_put("cur/1.x", "abcdef");
		mail_put("new/1.x", "another");
		mail_age();
		assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=abcdef 1.x,2=another ");
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		if (opened)
			assert_int_equal(host_msg_open(i, mbox, call, 0, &msg), PM_OK);
		mail_move("new/1.x", "cur/1.x");
		if (opened) {
			assert_int_equal(host_msg_read(i, msg, call, buf, sizeof(buf), &got),
					 PM_OK);
			assert_int_equal(host_msg_read(i, msg, call, buf, sizeof(buf), &got),
					 PM_END);
			host_msg_close(i, msg, call);
		}
		assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_GONE);
		assert_int_equal(box_read(i, mbox, 1, buf, sizeof(buf)), PM_OK);
		assert_string_equal(buf, "another");
		assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK);
		host_mbox_close(i, mbox, call);
		assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x,2=another ");
		mail_remove("cur/1.x");
		mail_remove("restante-ledger");
	}
	host_close(i);
}

/* One more descriptor than there are, and no other, from now on; the limit of before. */
static struct rlimit
one_descriptor(void)
{
	int next = dup(0);
	struct rlimit before, l;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	(void)close(next);
	l = before;
	l.rlim_cur = (rlim_t)next + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
	return before;
}

/* The listed file was renamed, and another one has its place. If nobody can look for it, since
 * there are no descriptors, it is not gone, and the other one is not served for it. */
static void
a_look_that_fails_proves_nothing(void **state)
{
	struct host_inst *i = OPEN();
	struct rlimit before;
	char buf[20];
	uint64_t n;
	void *mbox;
	int32_t r;

	(void)state;
	mail_put("cur/1.x", "ours");
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=ours ");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	mail_move("cur/1.x", "cur/1.x:2,S");
	mail_put("cur/1.x", "another");
	before = one_descriptor();
	r = box_read(i, mbox, 0, buf, sizeof(buf));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_string_equal(buf, "");
	assert_int_equal(r, PM_NOMEM);
	assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_OK);
	assert_string_equal(buf, "ours");
	host_mbox_close(i, mbox, call);
	host_close(i);
}

/* Nobody counted it; it keeps its unique-id all the same when another letter of its name comes. */
static void
a_namesake_of_what_a_name_says(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);

	(void)state;
	mail_put("new/1.x,S=6,W=8", "abcdef");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:8 ");
	mail_put("cur/1.x,S=7,W=9:2,S", "another");
	for (int k = 0; k < 2; k++)
		assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x=abcdef 1.x,2=another ");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:8 1.x,2:9 ");
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(a_file_that_comes_during_the_session_stays),
		MAIL(a_name_of_a_deleted_message),
		MAIL(an_interrupted_commit),
		MAIL(an_interrupted_commit_of_the_second),
		MAIL(marking_replaces_nothing),
		MAIL(one_of_two_is_hidden),
		MAIL(a_name_of_a_hidden_message),
		MAIL(another_reader_removed_a_hidden_message),
		MAIL(an_import_is_not_its_namesake),
		MAIL(the_served_message_goes),
		MAIL(its_namesake_is_not_served),
		MAIL(a_look_that_fails_proves_nothing),
		MAIL(a_namesake_of_what_a_name_says),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
