/* SPDX-License-Identifier: Apache-2.0 */
/* Imports into a maildir: with their unique-id, once, however the last one was cut off. */
#include "maildir_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define OP "0123456789abcdef0123456789abcdef"
#define DAY_MS INT64_C(86400000)

static void
imports_keep_their_unique_id_and_come_once(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r),
			    .user = &u,
			    .uidl = {"from-elsewhere", 14},
			    .received_ms = 5000,
			    .first_retrieved_ms = 6000};
	struct pm_result res;
	struct pm_msg m;
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("cur/9.x", "x\n");
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "a\r\nb\r\n", &res), PM_OK);
	assert_int_equal(res.uidl_len, 14);
	assert_memory_equal(res.uidl, "from-elsewhere", 14);
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "a\r\nb\r\n", &res), PM_EXISTS);
	assert_string_equal(mail_names("tmp"), "");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, 2);
	box_info(i, mbox, 0, &m);
	assert_string_equal(text_of((struct pm_str){m.uidl, m.uidl_len}), "from-elsewhere");
	assert_int_equal(m.octets, 6);
	assert_int_equal(m.received_ms, 5000);
	assert_int_equal(m.first_retrieved_ms, 6000);
	assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK);
	host_mbox_close(i, mbox, call);
	/* never reused */
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "a\r\nb\r\n", &res), PM_EXISTS);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "9.x:3 ");
	host_close(i);
}

/* Mail that an MTA put there and no session has seen has its unique-id already, from its name. */
static void
imports_know_mail_the_ledger_has_not_seen(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u, .received_ms = 5000};
	struct pm_result res;
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("new/8.new", "x\n");
	mail_put("cur/9.cur,S=2:2,S", "x\n");
	r.uidl = (struct pm_str){"8.new", 5};
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "a\r\n", &res), PM_EXISTS);
	r.uidl = (struct pm_str){"9.cur", 5};
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "a\r\n", &res), PM_EXISTS);
	r.uidl = (struct pm_str){"9.cu", 4};
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "a\r\n", &res), PM_OK);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, 3);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

static void
unique_ids_nobody_may_import(void **state)
{
	static const char *const uidls[] = {
		"with space",
		"tab\t",
		"\x7f",
		"caf\xc3\xa9",
		"line\n",
		"01234567890123456789012345678901234567890123456789012345678901234567890"};
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ben");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u};
	struct pm_result res;

	(void)state;
	for (size_t k = 0; k < COUNT(uidls); k++) {
		r.uidl = (struct pm_str){uidls[k], strlen(uidls[k])};
		assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "x\r\n", &res), PM_INVALID);
	}
	assert_false(mail_there("../ben"));
	r.uidl.n = PM_UIDL_MAX;
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "x\r\n", &res), PM_OK);
	assert_int_equal(res.uidl_len, PM_UIDL_MAX);
	host_close(i);
}

/* ---- after one that was cut off -------------------------------------------------------------- */

static int32_t
import(struct host_inst *i, const char *uidl, uint32_t flags)
{
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {
		.size = sizeof(r), .user = &u, .uidl = {uidl, strlen(uidl)}, .received_ms = 5000};
	struct pm_result res;

	return box_deliver(i, &r, PM_DLVF_IMPORT | flags, "y\r\n", &res);
}

static void
put_import(struct ledger_out *o, const char *identity, const char *uidl, int64_t hidden_ms)
{
	ledger_put_message(o, identity, strlen(identity), uidl, strlen(uidl), 3, 2, 0, hidden_ms);
}

/* Killed between the ledger and the rename. */
static void
a_record_without_its_file_proves_nothing(void **state)
{
	static const uint32_t flags[] = {0, PM_DLVF_RESTORE};

	(void)state;
	for (size_t k = 0; k < COUNT(flags); k++) {
		struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
		struct ledger_out o = {0};
		struct ledger *l;

		mail_put("tmp/5.cut,S=2,W=3", "x\n");
		ledger_put_header(&o);
		put_import(&o, "5.cut", "uid", 0);
		mail_ledger(&o);
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "");
		assert_int_equal(import(i, "uid", flags[k]), PM_OK);
		assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "uid:3 ");
		assert_int_equal(import(i, "uid", flags[k]), PM_EXISTS);
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "uid:3 ");
		l = mail_ledger_read();
		assert_int_equal(ledger_count(l), 2); /* of one unique-id */
		ledger_free(l);
		assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
		assert_int_equal(import(i, "uid", 0), PM_EXISTS);
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "");
		host_close(i);
	}
}

/* Another reader renamed it, or has not moved it yet: it is found by its base name. */
static void
renamed_is_still_here(void **state)
{
	static const char *const names[] = {"new/5.x", "new/5.x,S=2,W=3", "cur/5.x:2,S",
					    "cur/5.x,S=2,W=3:2,FS"};
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger_out o = {0};

	(void)state;
	ledger_put_header(&o);
	put_import(&o, "5.x", "uid", 0);
	mail_ledger(&o);
	for (size_t k = 0; k < COUNT(names); k++) {
		mail_put(names[k], "x\n");
		assert_int_equal(import(i, "uid", 0), PM_EXISTS);
		assert_int_equal(import(i, "uid", PM_DLVF_RESTORE), PM_EXISTS);
		mail_remove(names[k]);
	}
	mail_put("cur/5.xy:2,S", "x\n");
	assert_int_equal(import(i, "uid", 0), PM_OK);
	host_close(i);
}

/* A commit that was killed after its group: the file is still there, and the message deleted. */
static void
a_group_that_is_not_finished(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	struct ledger_out o = {0};

	(void)state;
	mail_put("cur/5.x:2,S", "x\n");
	ledger_put_header(&o);
	put_import(&o, "5.x", "uid", 0);
	ledger_put_delete(&o, OP, "5.x", 3);
	ledger_put_commit(&o, OP, 1, 1);
	mail_ledger(&o);
	assert_int_equal(import(i, "uid", 0), PM_EXISTS);
	assert_int_equal(import(i, "uid", PM_DLVF_RESTORE), PM_OK);
	assert_int_equal(import(i, "uid", PM_DLVF_RESTORE), PM_EXISTS);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "uid:3 ");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "uid:3 ");
	assert_string_equal(mail_names("cur"), ""); /* the old one went, the new one stays */
	host_close(i);
}

static void
hidden_until(struct host_inst *i, int64_t ms)
{
	struct ledger_out o = {0};

	mail_put("cur/5.x:2,S", "x\n");
	ledger_put_header(&o);
	put_import(&o, "5.x", "uid", ms);
	mail_ledger(&o);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "");
}

static void
hidden_is_here_until_its_time_is_over(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	int64_t now = rig_host.wall_ms(rig_host.ctx);

	(void)state;
	hidden_until(i, now + DAY_MS);
	assert_int_equal(import(i, "uid", 0), PM_EXISTS);
	assert_int_equal(import(i, "uid", PM_DLVF_RESTORE), PM_EXISTS);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY | PM_OPEN_HIDDEN), "uid:3 ");
	hidden_until(i, now - 1);
	/* nobody sees it */
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY | PM_OPEN_HIDDEN), "");
	assert_int_equal(import(i, "uid", 0), PM_EXISTS);
	assert_int_equal(import(i, "uid", PM_DLVF_RESTORE), PM_OK);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY | PM_OPEN_HIDDEN), "uid:3 "); /* one */
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "uid:3 ");
	assert_string_equal(mail_names("cur"), "");
	host_close(i);
}

/* A rewritten ledger forgets the dead, but not messages that must not be imported again. */
static void
compaction_remembers_imports_for_thirty_days(void **state)
{
	struct host_inst *i = MAIL_OPEN("cache_messages", "0", NULL);
	int64_t now = rig_host.wall_ms(rig_host.ctx);
	struct ledger_out o = {0};
	struct ledger *l;

	(void)state;
	mail_put("cur/4.x", "not known yet\n");
	ledger_put_header(&o);
	for (int k = 0; k < 4200; k++) {
		char name[20];

		snprintf(name, sizeof(name), "0.dead%d", k);
		/* delivered here, so that its unique-id is its name */
		put_import(&o, name, name, 0);
		ledger_put_delete(&o, OP, name, strlen(name));
	}
	ledger_put_commit(&o, OP, 4200, now);
	ledger_put_done(&o, OP);
	put_import(&o, "1.old", "uid-old", 0);
	put_import(&o, "2.new", "uid-new", 0);
	put_import(&o, "3.hid", "uid-hid", now - 29 * DAY_MS);
	ledger_put_delete(&o, LEDGER_NO_OP, "1.old", 5);
	ledger_put_commit(&o, LEDGER_NO_OP, 1, now - 31 * DAY_MS);
	ledger_put_delete(&o, LEDGER_NO_OP, "2.new", 5);
	ledger_put_commit(&o, LEDGER_NO_OP, 1, now - 29 * DAY_MS);
	ledger_put_done(&o, LEDGER_NO_OP);
	mail_ledger(&o);
	for (int k = 0; k < 2; k++) { /* the next rewriting keeps them, too */
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "4.x:15 ");
		l = mail_ledger_read();
		assert_int_equal(ledger_count(l), 3);
		assert_true(ledger_find(l, "2.new", 5)->deleted);
		assert_int_equal(ledger_find(l, "2.new", 5)->deleted_ms, now - 29 * DAY_MS);
		assert_null(ledger_unfinished(l, NULL));
		ledger_free(l);
	}
	assert_int_equal(import(i, "uid-new", 0), PM_EXISTS);
	assert_int_equal(import(i, "uid-hid", 0), PM_EXISTS);
	assert_int_equal(import(i, "uid-old", 0), PM_OK);
	host_close(i);
}

/* Two imports of the same message take turns: the second one is told. */
static void
one_at_a_time(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u, .uidl = {"uid", 3}};
	struct pm_result res = {.size = sizeof(res)};
	void *dlv[2];
	int tmp;

	(void)state;
	mail_put("new/1.x", "x\n");
	for (int k = 0; k < 2; k++) {
		assert_int_equal(host_dlv_begin(i, call, 0, PM_DLVF_IMPORT, &dlv[k]), PM_OK);
		assert_int_equal(host_dlv_rcpt(i, dlv[k], call, &r), PM_OK);
		assert_int_equal(host_dlv_write(i, dlv[k], call, "y\r\n", 3), PM_OK);
		assert_int_equal(host_dlv_prepare(i, dlv[k], call, &res), PM_OK);
	}
	tmp = open(mail_path("tmp"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(tmp, LOCK_EX), 0); /* another process imports */
	assert_int_equal(host_dlv_commit(i, dlv[0], call, &res), PM_AGAIN);
	(void)close(tmp);
	assert_int_equal(host_dlv_commit(i, dlv[0], call, &res), PM_OK);
	assert_int_equal(res.rc, PM_OK);
	assert_int_equal(host_dlv_commit(i, dlv[1], call, &res), PM_OK);
	assert_int_equal(res.rc, PM_EXISTS);
	assert_string_equal(mail_names("tmp"), "");
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 uid:3 ");
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(imports_keep_their_unique_id_and_come_once),
		MAIL(imports_know_mail_the_ledger_has_not_seen),
		MAIL(unique_ids_nobody_may_import),
		MAIL(a_record_without_its_file_proves_nothing),
		MAIL(renamed_is_still_here),
		MAIL(a_group_that_is_not_finished),
		MAIL(hidden_is_here_until_its_time_is_over),
		MAIL(compaction_remembers_imports_for_thirty_days),
		MAIL(one_at_a_time),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
