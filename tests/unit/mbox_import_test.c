/* SPDX-License-Identifier: Apache-2.0 */
/* Imports into an mbox: once, whatever other programs and rewritten ledgers leave of them; and the
 * From_ line that a delivery gets. */
#include "mbox_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger_file.h"

#define DAY_MS INT64_C(86400000)

static int32_t
import(struct host_inst *i, const char *uidl, uint32_t flags, const char *text)
{
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {
		.size = sizeof(r), .user = &u, .uidl = {uidl, strlen(uidl)}, .received_ms = 5000};
	struct pm_result res;

	return box_deliver(i, &r, PM_DLVF_IMPORT | flags, text, &res);
}

static void
deliver(struct host_inst *i, const char *text)
{
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u, .received_ms = 5000};
	struct pm_result res;

	assert_int_equal(box_deliver(i, &r, 0, text, &res), PM_OK);
}

static void
empty_it(void)
{
	mail_put("ann", ""); /* as other programs do */
}

static int
ledger_dir(char name[300])
{
	char path[300];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/mbox/ledger", rig_dir());
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL && e->d_name[0] == '.')
		;
	assert_non_null(e); /* there is one mailbox */
	snprintf(name, 300, "%s", e->d_name);
	int fd = dup(dirfd(d));

	closedir(d);
	return fd;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
deleted_is_known_and_restored(void **state)
{
	struct host_inst *i = mbox_open();

	(void)state;
	assert_int_equal(import(i, "uid", 0, "a\r\n"), PM_OK);
	assert_int_equal(import(i, "uid", 0, "a\r\n"), PM_EXISTS);
	assert_int_equal(box_quit(i, "0", NULL, 1000), PM_OK);
	assert_int_equal(import(i, "uid", 0, "a\r\n"), PM_EXISTS);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "");
	for (int k = 0; k < 3; k++) {
		assert_int_equal(import(i, "uid", PM_DLVF_RESTORE, "a\r\n"), PM_OK);
		assert_int_equal(import(i, "uid", PM_DLVF_RESTORE, "a\r\n"), PM_EXISTS);
		deliver(i, "a\r\n"); /* equal bytes, another message */
		assert_string_equal(box_list_of(i, PM_OPEN_READONLY),
				    box_list_of(i, PM_OPEN_EXCLUSIVE));
		assert_int_equal(strncmp(box_list_of(i, PM_OPEN_EXCLUSIVE), "uid:3 ", 6), 0);
		assert_int_equal(box_quit(i, "0 1", NULL, 1000), PM_OK);
	}
	host_close(i);
}

/* The From_ line names the sender of the first line, if that is Return-Path: the host puts it
 * there for a single recipient. Later lines are the message's own. */
static void
from_line_has_the_sender(void **state)
{
	static const struct {
		const char *text, *sender;
	} rows[] = {
		{"Return-Path: <s@x.test>\r\nDelivered-To: ann\r\nSubject: a\r\n\r\n", "s@x.test"},
		{"Return-Path: <\"a b\"@x.test>\r\n\r\n", "\"a_b\"@x.test"},
		{"Return-Path: <>\r\nReturn-Path: <old@x.test>\r\n\r\n", "MAILER-DAEMON"},
		{"Subject: a\r\nReturn-Path: <s@x.test>\r\n\r\n", "MAILER-DAEMON"},
		{"Return-Path: <s@x.test>", "s@x.test"},
		{"\r\n", "MAILER-DAEMON"},
		{"", "MAILER-DAEMON"},
	};
	struct host_inst *i = mbox_open();

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		char wanted[100], got[100];
		FILE *f;

		empty_it();
		deliver(i, rows[k].text);
		f = fopen(mail_path("ann"), "r");
		assert_non_null(f);
		assert_non_null(fgets(got, sizeof(got), f));
		assert_int_equal(fclose(f), 0);
		snprintf(wanted, sizeof(wanted), "From %s Thu Jan  1 00:00:05 1970\n",
			 rows[k].sender);
		assert_string_equal(got, wanted);
	}
	host_close(i);
}

/* Another program deleted it: nobody can tell that from an append that was taken back. */
static void
gone_is_not_deleted(void **state)
{
	static const uint32_t flags[] = {0, PM_DLVF_RESTORE};
	struct host_inst *i = mbox_open();
	char name[300];
	size_t good, bad;
	struct ledger *l;
	int fd;

	(void)state;
	assert_int_equal(import(i, "uid", 0, "a\r\n"), PM_OK);
	for (size_t k = 0; k < 2 * COUNT(flags); k++) {
		empty_it();
		assert_int_equal(import(i, "uid", flags[k % 2], "a\r\n"), PM_OK);
		assert_int_equal(import(i, "uid", flags[k % 2], "a\r\n"), PM_EXISTS);
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "uid:3 ");
	}
	fd = ledger_dir(name);
	l = ledger_load(fd, name, &good, &bad);
	assert_non_null(l);
	/* the same record each time: equal bytes would wake another */
	assert_int_equal(ledger_count(l), 1);
	ledger_free(l);
	(void)close(fd);
	deliver(i, "a\r\n");
	assert_int_equal(strncmp(box_list_of(i, PM_OPEN_EXCLUSIVE), "uid:3 ", 6), 0);
	assert_null(strstr(box_list_of(i, PM_OPEN_EXCLUSIVE) + 1, "uid:"));
	host_close(i);
}

/* No session has seen it, and the ledger does not know it: its unique-id is its hash. */
static void
mail_that_nobody_has_seen(void **state)
{
	struct host_inst *i = mbox_open();
	char uidl[80], list[100];

	(void)state;
	deliver(i, "Subject: x\r\n\r\na\r\n");
	assert_int_equal(sscanf(box_list_of(i, PM_OPEN_READONLY), "%70[^:]", uidl), 1);
	assert_int_equal(strlen(uidl), 40);
	assert_int_equal(import(i, uidl, PM_DLVF_RESTORE, "Subject: x\r\n\r\na\r\n"), PM_EXISTS);
	assert_int_equal(import(i, uidl, 0, "Subject: x\r\n\r\na\r\n"), PM_EXISTS);
	uidl[39] ^= 1;
	assert_int_equal(import(i, uidl, 0, "b\r\n"), PM_OK);
	snprintf(list, sizeof(list), " %s:3 ", uidl);
	assert_non_null(strstr(box_list_of(i, PM_OPEN_EXCLUSIVE), list));
	host_close(i);
}

static void
a_ledger_written_anew_remembers_imports(void **state)
{
	struct host_inst *i = mbox_open();
	struct ledger_out o = {0};
	int64_t now = rig_host.wall_ms(rig_host.ctx);
	char name[300], id[60];
	size_t good, bad;
	struct ledger *l;
	int fd;

	(void)state;
	assert_int_equal(import(i, "uid", 0, "a\r\n"), PM_OK);
	assert_int_equal(box_quit(i, "0", NULL, now), PM_OK);
	fd = ledger_dir(name);
	for (int k = 0; k < 4100; k++) {
		snprintf(id, sizeof(id), "%040d.1", k);
		ledger_put_message(&o, id, 42, id, 40, 3, 2, 0, 0); /* gone, as other programs do */
	}
	ledger_put_message(&o, "old.1", 5, "uid-old", 7, 3, 2, 0, 0);
	ledger_put_delete(&o, LEDGER_NO_OP, "old.1", 5);
	ledger_put_commit(&o, LEDGER_NO_OP, 1, now - 31 * DAY_MS);
	ledger_put_done(&o, LEDGER_NO_OP);
	assert_int_equal(ledger_append(fd, name, o.text, o.n, false), 0);
	ledger_out_free(&o);
	deliver(i, "b\r\n");
	for (int k = 0; k < 2; k++) {
		assert_int_equal(import(i, "uid", 0, "a\r\n"), PM_EXISTS);
		assert_non_null(strstr(box_list_of(i, PM_OPEN_EXCLUSIVE), ":3 "));
		l = ledger_load(fd, name, &good, &bad);
		assert_non_null(l);
		assert_int_equal(ledger_count(l), 2); /* the one that was imported, and b */
		ledger_free(l);
	}
	assert_int_equal(import(i, "uid-old", 0, "c\r\n"), PM_OK);
	(void)close(fd);
	host_close(i);
}

#define BOX(f) cmocka_unit_test_setup_teardown(f, mail_fresh, mbox_clean)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX(deleted_is_known_and_restored),
		BOX(from_line_has_the_sender),
		BOX(gone_is_not_deleted),
		BOX(mail_that_nobody_has_seen),
		BOX(a_ledger_written_anew_remembers_imports),
	};

	return cmocka_run_group_tests(tests, mbox_begin, mail_end);
}
