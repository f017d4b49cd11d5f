/* SPDX-License-Identifier: Apache-2.0 */
/* The maildir module and its ledger: the records in it, and how the module does without it, with
 * half of it, or with another's. */
#include "maildir_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OP "0123456789abcdef0123456789abcdef"

/* ---- kept ------------------------------------------------------------------------------------ */

static void
the_ledgers_records_count(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger_out o = {0};

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("cur/2.x,S=2,W=3:2,S", "y\n");
	mail_put("cur/3.x:2,", "z\n");
	ledger_put_header(&o);
	mail_known(&o, "1.x", "uid-one", 1234, 2);
	mail_known(&o, "2.x", "uid-two", 77, 2);
	mail_known(&o, "2.x", "uid-two", 78, 2); /* the later one */
	mail_known(&o, "3.x", "uid-three", LEDGER_UNKNOWN, 0);
	mail_known(&o, "4.x", "uid-four", 5, 5); /* gone */
	mail_ledger(&o);
	expect_list(i, "uid-one:1234 uid-two:78 uid-three:3 ");
	host_close(i);
}

static void
learnt_sizes_are_kept(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger *l;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("new/2.x,S=2,W=3", "y\n");
	expect_list(i, "1.x:3 2.x:3 ");
	l = mail_ledger_read();
	assert_int_equal(ledger_count(l), 2);
	assert_int_equal(ledger_lines(l), 2); /* each once, however many sessions */
	assert_int_equal(ledger_find(l, "1.x", 3)->octets, 3);
	assert_int_equal(ledger_find(l, "1.x", 3)->stored, 2);
	assert_int_equal(ledger_find(l, "2.x", 3)->octets, 3);
	/* its name says so: nobody counted */
	assert_int_equal(ledger_find(l, "2.x", 3)->stored, LEDGER_UNKNOWN);
	ledger_free(l);
	host_close(i);
}

static void
a_lost_ledger_is_made_anew(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("cur/2.x:2,S", "y\n");
	expect_list(i, "1.x:3 2.x:3 ");
	mail_move("new/1.x", "cur/1.x:2,F");
	mail_remove("restante-ledger");
	expect_list(i, "1.x:3 2.x:3 ");
	assert_true(mail_there("restante-ledger"));
	host_close(i);
}

/* Deleted is deleted: the ledger remembers that even if the file comes back. */
static void
deleted_messages_do_not_return(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("new/2.x", "y\n");
	assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
	mail_put("cur/1.x:2,S", "x\n");
	expect_list(i, "2.x:3 ");
	host_close(i);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Cut at every byte of its last record: the records before hold, and the next session mends it. */
static void
a_torn_tail(void **state)
{
	struct ledger_out o = {0};
	size_t from;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("new/2.x", "y\n");
	ledger_put_header(&o);
	mail_known(&o, "1.x", "uid-one", 3, 2);
	from = o.n;
	mail_known(&o, "2.x", "uid-two", 3, 2);
	for (size_t cut = from; cut <= o.n; cut += cut + 1 == o.n ? 1 : 3) {
		struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
		struct ledger_out part = {0};
		struct ledger *l;

		ledger_put_header(&part);
		part.n = 0;
		memcpy(part.text, o.text, part.n = cut);
		mail_ledger(&part);
		expect_list(i, cut < o.n ? "uid-one:3 2.x:3 " : "uid-one:3 uid-two:3 ");
		l = mail_ledger_read(); /* sound to its end */
		assert_int_equal(ledger_count(l), 2);
		ledger_free(l);
		host_close(i);
	}
	ledger_out_free(&o);
}

static void
tails_of_all_kinds(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} tails[] = {
#define T(s) {s, sizeof(s) - 1}
		T("\0"),
		T("\0\0\0\0\0\0\0\0\0\0\0\0"),
		T("deadbeef M 2.x forged 3 2 0 0"),
		T("\xff\xff"),
		T(" "),
		T("garbage\nand more of it"),
		T("00000000 M 1.x forged 3 2 0 0\ngarbage"),
#undef T
	};

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("new/2.x", "y\n");
	for (size_t k = 0; k < COUNT(tails); k++) {
		struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
		struct ledger_out o = {0};
		struct ledger *l;

		ledger_put_header(&o);
		mail_known(&o, "1.x", "uid-one", 3, 2);
		memcpy(o.text + o.n, tails[k].p, tails[k].n); /* there is room for 4,096 */
		o.n += tails[k].n;
		mail_ledger(&o);
		expect_list(i, "uid-one:3 2.x:3 ");
		l = mail_ledger_read();
		assert_int_equal(ledger_count(l), 2);
		ledger_free(l);
		host_close(i);
	}
}

/* A damaged record is skipped, and named in the log; the records after it still count. */
static void
a_wrong_checksum_in_the_middle(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u, .uidl = {"uid-three", 9}};
	struct ledger_out o = {0};
	struct pm_result res;
	size_t at;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("new/2.x", "y\n");
	mail_put("new/3.x", "z\n");
	mail_put("new/4.x", "z\n");
	ledger_put_header(&o);
	mail_known(&o, "1.x", "uid-one", 3, 2);
	at = o.n;
	mail_known(&o, "2.x", "uid-two", 3, 2);
	mail_known(&o, "3.x", "uid-three", 3, 2);
	mail_known(&o, "4.x", "uid-four", 3, 2);
	ledger_put_delete(&o, OP, "4.x", 3);
	ledger_put_commit(&o, OP, 1, 1);
	o.text[at + 15] ^= 1;
	mail_ledger(&o);
	expect_list(i, "uid-one:3 2.x:3 uid-three:3 ");
	assert_non_null(strstr(
		rig_log, "1 damaged lines of restante-ledger were passed over; check the disk"));
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "x\r\n", &res), PM_EXISTS);
	assert_int_equal(box_quit(i, "1", "2", 5),
			 PM_OK); /* and records that are written now are read */
	assert_string_equal(mail_names("cur"), "3.x:2,S ");
	expect_list(i, "uid-one:3 uid-three:3 ");
	host_close(i);
}

static int32_t
open_code(struct host_inst *i, uint32_t flags)
{
	struct pm_user u = user_named("ann");
	void *mbox = NULL;
	uint64_t n;
	int32_t rc = host_mbox_open(i, call, &u, flags, &n, &mbox);

	if (rc == PM_OK)
		host_mbox_close(i, mbox, call);
	return rc;
}

/* Of a later version, of another program, or no file at all: other unique-ids would be worse
 * than none. */
static void
ledgers_that_are_none_of_ours(void **state)
{
	static const char *const texts[] = {"restante-ledger 2\n00000000 M 1.x uid-one 3 2 0 0\n",
					    "restante-ledger 10\n", "restante-ledger 2\ntorn", "\n",
					    "3 V1 N2 G00\n:1.x\n"};
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u, .uidl = {"uid", 3}};
	struct pm_result res;
	struct pm_stat st;

	(void)state;
	mail_put("new/1.x", "x\n");
	for (size_t k = 0; k < COUNT(texts); k++) {
		char *text;
		size_t n;

		mail_put("restante-ledger", texts[k]);
		assert_int_equal(open_code(i, PM_OPEN_READONLY), PM_CORRUPT);
		assert_int_equal(open_code(i, PM_OPEN_EXCLUSIVE), PM_CORRUPT);
		assert_string_equal(
			call->error,
			"restante-ledger is not ours or of another version; restore it "
			"from a backup. Without it deleted mail may return and clients may "
			"fetch mail again");
		assert_int_equal(box_totals(i, &st), PM_CORRUPT);
		assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "x\r\n", &res), PM_CORRUPT);
		text = mail_text("restante-ledger", &n);
		assert_string_equal(text, texts[k]); /* untouched */
		free(text);
	}
	assert_string_equal(mail_names("new"), "1.x ");
	mail_remove("restante-ledger");
	expect_list(i, "1.x:3 ");
	host_close(i);
}

static void
ledgers_that_are_no_files(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_dir("restante-ledger");
	assert_int_equal(open_code(i, PM_OPEN_EXCLUSIVE), PM_CORRUPT);
	mail_remove("restante-ledger");
	assert_int_equal(mkfifo(mail_path("restante-ledger"), 0600), 0);
	assert_int_equal(open_code(i, PM_OPEN_EXCLUSIVE), PM_CORRUPT);
	mail_remove("restante-ledger");
	assert_int_equal(symlink("elsewhere", mail_path("restante-ledger")), 0);
	assert_int_equal(open_code(i, PM_OPEN_EXCLUSIVE), PM_PERM);
	assert_string_equal(call->error,
			    "cannot read restante-ledger: Too many levels of symbolic links");
	assert_false(mail_there("elsewhere"));
	host_close(i);
}

/* Cut within its first line: it was being made. */
static void
half_a_header(void **state)
{
	static const char *const texts[] = {"",
					    "r",
					    "restante-ledger",
					    "restante-ledger 1",
					    "restante-ledger 1\n",
					    "restante-ledger 1\ngarbage\n"};

	(void)state;
	mail_put("new/1.x", "x\n");
	for (size_t k = 0; k < COUNT(texts); k++) {
		struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);

		mail_put("restante-ledger", texts[k]);
		expect_list(i, "1.x:3 ");
		host_close(i);
	}
}

/* ---- written anew ---------------------------------------------------------------------------- */

/* Messages that are gone, more than the module lets stand before it writes the ledger anew. */
static void
put_dead(struct ledger_out *o)
{
	for (int k = 0; k < 4200; k++) {
		char name[20];

		snprintf(name, sizeof(name), "0.dead%d", k);
		mail_known(o, name, name, 10, 10);
	}
}

static void
compaction_keeps_living_messages(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger_out o = {0};
	struct ledger *l;
	struct pm_msg m;
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("cur/2.x:2,S", "y\n");
	mail_put("cur/3.x", "z\n");
	mail_put("cur/4.x", "not known yet\n");
	ledger_put_header(&o);
	mail_known(&o, "1.x", "uid-one", 3, 2);
	mail_known(&o, "2.x", "uid-two", LEDGER_UNKNOWN, 0);
	mail_known(&o, "3.x", "uid-three", 3, 2);
	ledger_put_mark(&o, 'F', "2.x", 3, 4711);
	put_dead(&o);
	mail_ledger(&o);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE),
			    "uid-one:3 uid-two:3 uid-three:3 4.x:15 ");
	l = mail_ledger_read();
	assert_true(ledger_lines(l) < 10);
	assert_int_equal(ledger_count(l), 4);
	assert_int_equal(ledger_find(l, "2.x", 3)->first_retrieved_ms, 4711);
	ledger_free(l);
	/* nothing else is left */
	assert_string_equal(mail_names("."), "cur new restante-ledger tmp ");
	expect_list(i, "uid-one:3 uid-two:3 uid-three:3 4.x:15 ");
	assert_int_equal(box_quit(i, "0", "0 1 2", 5000), PM_OK);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, 3);
	box_info(i, mbox, 0, &m);
	assert_int_equal(m.first_retrieved_ms, 4711);
	box_info(i, mbox, 1, &m);
	assert_int_equal(m.first_retrieved_ms, 5000);
	box_info(i, mbox, 2, &m);
	assert_int_equal(m.first_retrieved_ms, 0);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

/* An import beside a session that writes the ledger anew keeps its unique-id. */
static void
compaction_beside_an_import(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r),
			    .user = &u,
			    .uidl = {"imported", 8},
			    .received_ms = 5000,
			    .first_retrieved_ms = 77};
	struct ledger_out o = {0};
	struct pm_result res;
	struct ledger *l;
	struct pm_msg m;
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("new/9.x", "x\n");
	ledger_put_header(&o);
	put_dead(&o);
	mail_ledger(&o);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	box_info(i, mbox, 0, &m);
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "y\r\n", &res), PM_OK);
	host_mbox_close(i, mbox, call);
	l = mail_ledger_read();
	assert_true(ledger_count(l) == 2 && ledger_has_uidl(l, "imported", 8));
	ledger_free(l);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	box_info(i, mbox, 0, &m);
	assert_string_equal(text_of((struct pm_str){m.uidl, m.uidl_len}), "imported");
	assert_int_equal(m.first_retrieved_ms, 77);
	host_mbox_close(i, mbox, call);
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "y\r\n", &res), PM_EXISTS);
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(the_ledgers_records_count),
		MAIL(learnt_sizes_are_kept),
		MAIL(a_lost_ledger_is_made_anew),
		MAIL(deleted_messages_do_not_return),
		MAIL(a_torn_tail),
		MAIL(tails_of_all_kinds),
		MAIL(a_wrong_checksum_in_the_middle),
		MAIL(ledgers_that_are_none_of_ours),
		MAIL(ledgers_that_are_no_files),
		MAIL(half_a_header),
		MAIL(compaction_keeps_living_messages),
		MAIL(compaction_beside_an_import),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
