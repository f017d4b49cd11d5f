/* SPDX-License-Identifier: Apache-2.0 */
/* Message files that differ from the list, or from the file that was opened; files that cannot be
 * read; sizes in names. */
#include "maildir_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- while it is read ------------------------------------------------------------------------ */

static void
removed(void)
{
	mail_remove("cur/1.x");
}

static void
renamed(void)
{
	mail_move("cur/1.x", "cur/1.x:2,S");
}

static void
renamed_and_linked(void)
{
	assert_int_equal(link(mail_path("cur/1.x"), mail_path("tmp/copy")), 0);
	mail_move("cur/1.x", "cur/1.x:2,S");
}

static void
cut(void)
{
	assert_int_equal(truncate(mail_path("cur/1.x"), 4), 0);
}

static void
emptied(void)
{
	assert_int_equal(truncate(mail_path("cur/1.x"), 0), 0);
}

static void
grown(void)
{
	mail_put("cur/1.x", "abcdef\nand more\n");
}

/* The same size, and another date: no clock is as coarse as that. */
static void
written_over(void)
{
	struct timespec t[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

	mail_put("cur/1.x", "ghi\nkl\n");
	assert_int_equal(utimensat(AT_FDCWD, mail_path("cur/1.x"), t, 0), 0);
}

static void
replaced(void)
{
	mail_put("tmp/1", "another\n");
	mail_move("tmp/1", "cur/1.x");
}

static void
replaced_and_renamed(void)
{
	replaced();
	renamed();
}

/* A backup still has the old one. */
static void
replaced_and_linked(void)
{
	assert_int_equal(link(mail_path("cur/1.x"), mail_path("tmp/copy")), 0);
	replaced();
}

static const struct {
	void (*happens)(void);
	int32_t rc;       /* at the end */
	const char *list; /* in the next session */
} meanwhile[] = {
	{removed, PM_END, ""},
	{renamed, PM_END, "1.x:8 "},
	{renamed_and_linked, PM_END, "1.x:8 "},
	{cut, PM_TEMP, "1.x:6 "},
	{emptied, PM_TEMP, "1.x:0 "},
	{grown, PM_TEMP, "1.x:18 "},
	{written_over, PM_TEMP, "1.x:9 "},
	{replaced, PM_TEMP, "1.x:9 "},
	{replaced_and_renamed, PM_TEMP, "1.x:9 "},
	{replaced_and_linked, PM_TEMP, "1.x:9 "},
};

/* PM_END confirms that this was the message; anything remembered of another one is forgotten. */
static void
changed_while_it_is_read(void **state)
{
	for (size_t k = 0; k < 2 * COUNT(meanwhile); k++) {
		struct host_inst *i = MAIL_OPEN("cache_messages", k % 2 ? "0" : "1000000", NULL);
		char buf[20];
		uint64_t n;
		size_t got;
		void *mbox, *msg;
		int32_t r;

		(void)state;
		mail_put("cur/1.x", "abcdef\n");
		mail_age();
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:8 ");
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		assert_int_equal(host_msg_open(i, mbox, call, 0, &msg), PM_OK);
		assert_int_equal(host_msg_read(i, msg, call, buf, 3, &got), PM_OK);
		meanwhile[k / 2].happens();
		while ((r = host_msg_read(i, msg, call, buf, sizeof(buf), &got)) == PM_OK)
			;
		assert_int_equal(r, meanwhile[k / 2].rc);
		assert_int_equal(host_msg_read(i, msg, call, buf, sizeof(buf), &got), r);
		host_msg_close(i, msg, call);
		host_mbox_close(i, mbox, call);
		for (int sessions = 0; sessions < 2; sessions++)
			assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE),
					    meanwhile[k / 2].list);
		host_close(i);
		assert_int_equal(mail_fresh(state), 0);
	}
}

/* ---- before it is read ----------------------------------------------------------------------- */

/* It has another size when opened than in the list: that size is reported, served, and kept. */
static void
changed_in_size_since_the_ledger(void **state)
{
	static const char *const limits[] = {"0", "1000000"};
	char buf[20];

	(void)state;
	for (size_t k = 0; k < COUNT(limits); k++) {
		struct host_inst *i = MAIL_OPEN("cache_messages", limits[k], NULL);
		struct pm_msg m;
		uint64_t n;
		void *mbox, *msg;

		mail_put("cur/1.x", "x\n");
		mail_put("cur/2.x", "y\n");
		mail_age();
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:3 ");
		mail_put("cur/1.x", "longer\n");
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		box_info(i, mbox, 0, &m);
		assert_int_equal(m.octets, 3);
		assert_int_equal(host_msg_open(i, mbox, call, 0, &msg), PM_OK);
		box_info(i, mbox, 0, &m);
		assert_int_equal(m.octets, 8);
		assert_int_equal(m.stored_bytes, 7);
		host_msg_close(i, msg, call);
		assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_OK);
		assert_string_equal(buf, "longer\n");
		host_mbox_close(i, mbox, call);
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:8 2.x:3 ");
		host_close(i);
		mail_remove("restante-ledger");
	}
}

/* The same size, other lines: nobody sees it before it was read; then it is known. */
static void
other_octets_of_the_same_size(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	char buf[20];
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("cur/1.x", "abcdef\n");
	mail_age();
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:8 ");
	mail_put("cur/1.x", "a\nb\nc\n\n");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_OK);
	host_mbox_close(i, mbox, call);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:11 ");
	host_close(i);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Lists believe a name, the next session's, too; a reader of the message gets the true size. */
static void
sizes_in_names_are_proved(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger *l;
	struct pm_msg m;
	char buf[40];
	uint64_t n;
	void *mbox, *msg;

	(void)state;
	mail_put("new/1.x,S=7,W=9", "abcdef\n");
	mail_put("new/2.x,S=70,W=71", "abcdef\n");
	mail_put("new/3.x,S=9,W=9", "abcdef\n");
	for (int k = 0; k < 2; k++) {
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:9 2.x:71 3.x:9 ");
		l = mail_ledger_read();
		assert_int_equal(ledger_lines(l), 3);
		assert_int_equal(ledger_find(l, "1.x", 3)->octets, 9);
		assert_int_equal(ledger_find(l, "1.x", 3)->stored, LEDGER_UNKNOWN);
		ledger_free(l);
	}
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	for (uint64_t k = 0; k < 2; k++) {
		assert_int_equal(host_msg_open(i, mbox, call, k, &msg), PM_OK);
		box_info(i, mbox, k, &m);
		assert_int_equal(m.octets, 8);
		assert_int_equal(m.stored_bytes, 7);
		host_msg_close(i, msg, call);
	}
	assert_int_equal(box_read(i, mbox, 2, buf, sizeof(buf)), PM_OK); /* as TOP does */
	host_mbox_close(i, mbox, call);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:8 2.x:8 3.x:8 ");
	l = mail_ledger_read();
	for (int k = 0; k < 3; k++) {
		snprintf(buf, sizeof(buf), "%d.x", k + 1);
		assert_int_equal(ledger_find(l, buf, 3)->stored, 7);
	}
	ledger_free(l);
	host_close(i);
}

/* maildirsize gets the true size of a deleted file, not the one in its name. */
static void
a_lying_name_and_maildirsize(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	char *text;
	size_t n;

	(void)state;
	mail_put("maildirsize", "1000S\n100 2\n");
	mail_put("new/1.x,S=70,W=71", "abcdef\n");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:71 ");
	assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
	text = mail_text("maildirsize", &n);
	assert_string_equal(text, "1000S\n100 2\n-7 -1\n");
	free(text);
	host_close(i);
}

/* ---- files that cannot be read --------------------------------------------------------------- */

/* It fails for root, too: something else is in its place since it was listed. */
static void
block(const char *name)
{
	mail_move(name, "tmp/kept");
	mail_dir(name);
}

static void
unblock(const char *name)
{
	mail_remove(name);
	mail_move("tmp/kept", name);
}

static int
count_of(const char *text, const char *what)
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void
one_among_others(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_msg m[3];
	struct ledger *l;
	uint64_t n;
	void *mbox, *msg;
	int32_t r;

	(void)state;
	mail_put("cur/1.x", "a\n");
	mail_put("cur/2.x", "bb\n");
	mail_put("cur/3.x", "ccc\n");
	mail_age();
	for (int k = 0; k < 2; k++) {
		rig_log[0] = '\0';
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		block("cur/2.x");
		for (int look = 0; look < 2; look++) {
			do
				r = host_mbox_info(i, mbox, call, 0, 3,
						   PM_WANT_OCTETS | PM_WANT_UIDL, m);
			while (r == PM_AGAIN);
			assert_int_equal(r, PM_OK);
			assert_int_equal(m[0].octets, 3);
			assert_int_equal(m[2].octets, 5);
			assert_int_equal(m[0].flags | m[2].flags, 0);
			assert_int_equal(m[1].flags, PM_MSG_UNREADABLE);
			assert_int_equal(m[1].uidl_len, 3);
		}
		assert_int_equal(host_msg_open(i, mbox, call, 1, &msg), PM_TEMP);
		assert_non_null(strstr(call->error, "cur/2.x is not a regular file"));
		assert_int_equal(count_of(rig_log, "cur/2.x"), 1);
		unblock("cur/2.x");
		host_mbox_close(i, mbox, call);
		l = mail_ledger_read(); /* a guess is nobody's knowledge */
		assert_int_equal(ledger_find(l, "2.x", 3)->octets, LEDGER_UNKNOWN);
		assert_int_equal(ledger_lines(l), 3);
		ledger_free(l);
		mail_age();
	}
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 2.x:4 3.x:5 ");
	host_close(i);
}

/* Within one session: a file that comes back is counted, one that goes is reported. */
static void
it_comes_and_goes(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_msg m;
	uint64_t n;
	void *mbox, *msg;

	(void)state;
	mail_put("cur/1.x", "a\nb\n");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	block("cur/1.x");
	box_info(i, mbox, 0, &m);
	assert_int_equal(m.flags, PM_MSG_UNREADABLE);
	unblock("cur/1.x");
	assert_int_equal(host_msg_open(i, mbox, call, 0, &msg), PM_OK);
	box_info(i, mbox, 0, &m);
	assert_int_equal(m.flags, 0);
	assert_int_equal(m.octets, 6);
	host_msg_close(i, msg, call);
	block("cur/1.x");
	assert_int_equal(host_msg_open(i, mbox, call, 0, &msg), PM_TEMP);
	box_info(i, mbox, 0, &m);
	assert_int_equal(m.flags, PM_MSG_UNREADABLE);
	assert_int_equal(m.octets, 6); /* the last that is known */
	/* the listed file is gone; this one is not ours */
	assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK);
	assert_true(mail_there("cur/1.x"));
	host_mbox_close(i, mbox, call);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "");
	host_close(i);
}

/* Away for a moment, say on a tape: no size of it is written down. */
static void
vanished_and_back(void **state)
{
	static const char *const limits[] = {"0", "1000000"};

	(void)state;
	for (size_t k = 0; k < COUNT(limits); k++) {
		struct host_inst *i = MAIL_OPEN("cache_messages", limits[k], NULL);
		struct pm_msg m;
		uint64_t n;
		void *mbox;

		mail_put("cur/1.x", "abc\n");
		mail_age();
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		mail_move("cur/1.x", "tmp/kept");
		box_info(i, mbox, 0, &m);
		assert_int_equal(m.octets, 0);
		assert_int_equal(m.flags, 0);
		mail_move("tmp/kept", "cur/1.x");
		host_mbox_close(i, mbox, call);
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:5 ");
		host_close(i);
		mail_remove("restante-ledger");
	}
}

/* It does not keep a count of the mailbox from working, and the count logs nothing. */
static void
totals_with_one(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_stat st;

	(void)state;
	mail_put("cur/1.x", "a\n");
	mail_put("cur/2.x", "bb\n");
	assert_int_equal(chmod(mail_path("cur/2.x"), 0), 0);
	rig_log[0] = '\0';
	assert_int_equal(box_totals(i, &st), PM_OK);
	assert_int_equal(st.count, 2);
	assert_string_equal(rig_log, "");
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(changed_while_it_is_read),
		MAIL(changed_in_size_since_the_ledger),
		MAIL(other_octets_of_the_same_size),
		MAIL(sizes_in_names_are_proved),
		MAIL(a_lying_name_and_maildirsize),
		MAIL(one_among_others),
		MAIL(it_comes_and_goes),
		MAIL(vanished_and_back),
		MAIL(totals_with_one),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
