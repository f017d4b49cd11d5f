/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger is rewritten whatever sessions do, and forgets nothing that somebody still
 * needs. */
#include "maildir_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAY_MS INT64_C(86400000)
#define DEAD 4200 /* enough of them, whatever the module lets stand */
/* for a mailbox with a handful of messages the ledger never stays longer than this */
#define BOUND 1100

#define OPEN() MAIL_OPEN("cache_messages", "0", NULL)

/* ---- how much there is ----------------------------------------------------------------------- */

static size_t
lines(void)
{
	size_t size, n = 0;
	char *text = mail_text("restante-ledger", &size);

	for (size_t k = 0; k < size; k++)
		n += text[k] == '\n';
	free(text);
	return n;
}

/* Deletes, hides or marks all that is there. */
static void
session(struct host_inst *i, uint32_t flags, bool del, int64_t until)
{
	static uint32_t op;
	uint8_t all = 0xff;
	struct pm_commit c = {.size = sizeof(c),
			      .now_ms = 1,
			      .keep_until_ms = until,
			      .del = del ? &all : NULL,
			      .retrieved = &all};
	uint64_t done;
	void *mbox = box_enter(i, PM_OPEN_EXCLUSIVE | flags, &c.n);
	struct pm_msg m;
	int32_t r;

	assert_true(c.n <= 8);
	for (uint64_t k = 0; k < c.n; k++)
		box_info(i, mbox, k, &m);
	op++;
	memcpy(call->pm.op_id, &op, sizeof(op));
	do
		r = host_mbox_commit(i, mbox, call, &c, &done);
	while (r == PM_AGAIN);
	assert_int_equal(r, PM_OK);
	host_mbox_close(i, mbox, call);
	call_again();
}

/* A mailbox that is fetched and emptied, day after day: at QUIT, by `expire`, and by the end of
 * the undo time. */
static void
a_ledger_does_not_grow_for_ever(void **state)
{
	static const struct {
		int sessions;
		uint32_t flags;
		bool undo;
	} ways[] = {{2500, 0, false}, {600, PM_OPEN_HIDDEN, false}, {600, 0, true}};

	for (size_t w = 0; w < COUNT(ways); w++) {
		struct host_inst *i = MAIL_OPEN("fsync", "no", NULL);
		struct pm_user u = user_named("ann");
		struct pm_rcpt r = {.size = sizeof(r), .user = &u};
		struct pm_result res;
		size_t most = 0;

		for (int k = 0; k < ways[w].sessions; k++) {
			size_t n;

			assert_int_equal(box_deliver(i, &r, 0, "a\r\n", &res), PM_OK);
			session(i, ways[w].flags, true,
				ways[w].undo ? rig_host.wall_ms(rig_host.ctx) - 1 : 0);
			n = lines();
			most = n > most ? n : most;
		}
		if (most > BOUND)
			fail_msg("way %zu: up to %zu lines", w, most);
		if (ways[w].undo)
			session(i, 0, true, 0);
		assert_string_equal(mail_letters(), "");
		host_close(i);
		assert_int_equal(mail_tidy(state), 0);
		assert_int_equal(mail_fresh(state), 0);
	}
}

static void
quit(struct host_inst *i, const char *del)
{
	call->pm.op_id[0]++;
	assert_int_equal(box_quit(i, del, NULL, 1), PM_OK);
}

/* The ledger has to remember more about such names, as long as the files are there. */
static void
nor_by_names_that_are_shared(void **state)
{
	struct host_inst *i = OPEN();
	char path[2][40];
	size_t most = 0;

	(void)state;
	for (int k = 0; k < 400; k++) {
		snprintf(path[0], sizeof(path[0]), "cur/%d.x:2,", k);
		snprintf(path[1], sizeof(path[1]), "new/%d.x", k);
		mail_put(path[0], "one");
		mail_put(path[1], "two");
		quit(i, "0 1");
		most = lines() > most ? lines() : most;
	}
	assert_string_equal(mail_letters(), "");
	assert_true(most > 500 && most < BOUND);
	host_close(i);
}

/* A file that another program copies again and again is another inode each time. */
static void
nor_by_files_with_new_looks(void **state)
{
	struct host_inst *i = OPEN();
	size_t most = 0;

	(void)state;
	mail_put("new/1.x", "two");
	mail_put("cur/1.x:2,S", "one");
	box_expect(i, "1.x=one 1.x,2=two ");
	for (int k = 0; k < 1200; k++) {
		mail_put("tmp/copy", "one");
		mail_move("tmp/copy", "cur/1.x:2,S");
		session(i, 0, false, 0);
		most = lines() > most ? lines() : most;
	}
	box_expect(i, "1.x=one 1.x,2=two ");
	assert_true(most > 500 && most < BOUND);
	host_close(i);
}

/* Lines in use are not dead: a ledger full of them is not rewritten again and again. */
static void
a_ledger_of_living_messages_stays(void **state)
{
	struct host_inst *i = OPEN();
	int64_t until = rig_host.wall_ms(rig_host.ctx) + DAY_MS;
	struct ledger_out o = {0};
	struct stat before, after;

	(void)state;
	ledger_put_header(&o);
	for (int k = 0; k < DEAD; k++) {
		char path[40];

		snprintf(path, sizeof(path), "cur/%d.x", k);
		mail_put(path, "x\n");
		ledger_put_message(&o, path + 4, strlen(path + 4), path + 4, strlen(path + 4), 3, 2,
				   0, until);
	}
	mail_ledger(&o);
	mail_put("new/9999.x", "y\n");
	session(i, 0, false, 0);
	assert_int_equal(stat(mail_path("restante-ledger"), &before), 0);
	session(i, 0, false, 0);
	session(i, 0, true, 0);
	assert_int_equal(stat(mail_path("restante-ledger"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	host_close(i);
}

/* ---- lines that stay ------------------------------------------------------------------------- */

static void
append(struct ledger_out *o)
{
	FILE *f = fopen(mail_path("restante-ledger"), "a");

	assert_non_null(f);
	assert_int_equal(fwrite(o->text, 1, o->n, f), o->n);
	assert_int_equal(fclose(f), 0);
	ledger_out_free(o);
}

/* Appends lines of messages that are gone. */
static void
add_dead(void)
{
	struct ledger_out o = {0};

	for (int k = 0; k < DEAD; k++) {
		char name[20];

		snprintf(name, sizeof(name), "0.dead%d", k);
		ledger_put_message(&o, name, strlen(name), name, strlen(name), 10, 10, 0, 0);
	}
	append(&o);
}

/* A session that deletes the last message, after which the ledger is rewritten. */
static void
compact(struct host_inst *i)
{
	char last[20];
	uint64_t n;
	void *mbox;

	mail_put("new/99.last", "last\n");
	add_dead();
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	snprintf(last, sizeof(last), "%u", (unsigned)n - 1);
	call->pm.op_id[0]++;
	assert_int_equal(box_commit(i, mbox, n, last, NULL, 1), PM_OK);
	host_mbox_close(i, mbox, call);
	assert_false(mail_there("new/99.last"));
	assert_true(lines() < 100);
}

static void
marks_sizes_and_unique_ids_stay(void **state)
{
	struct host_inst *i = OPEN();
	struct ledger_out o = {0};
	struct pm_msg m;
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("cur/1.x:2,S", "x\n");
	mail_put("new/2.x", "y\n");
	ledger_put_header(&o);
	ledger_put_message(&o, "1.x", 3, "uid-one", 7, 3, 2, 0, 0);
	ledger_put_mark(&o, 'F', "1.x", 3, 4711);
	mail_ledger(&o);
	for (int k = 0; k < 2; k++) {
		compact(i);
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		assert_int_equal(n, 2);
		box_info(i, mbox, 0, &m);
		assert_string_equal(text_of((struct pm_str){m.uidl, m.uidl_len}), "uid-one");
		assert_int_equal(m.first_retrieved_ms, 4711);
		host_mbox_close(i, mbox, call);
		assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "uid-one:3 2.x:3 ");
	}
	host_close(i);
}

/* Files that share a name keep their numbers, also those whose first one was deleted. */
static void
numbers_of_shared_names_stay(void **state)
{
	struct host_inst *i = OPEN();

	(void)state;
	mail_put("cur/1.x:2,S", "one");
	mail_put("new/1.x", "two");
	mail_put("new/1.x,S=5", "three");
	mail_put("new/2.x", "gone");
	box_expect(i, "1.x=one 1.x,2=two 1.x,3=three 2.x=gone ");
	assert_int_equal(box_quit(i, "1 3", NULL, 1), PM_OK);
	mail_put("new/2.x", "other");
	box_expect(i, "1.x=one 1.x,3=three 2.x,2=other ");
	for (int k = 0; k < 2; k++) {
		compact(i);
		box_expect(i, "1.x=one 1.x,3=three 2.x,2=other ");
	}
	assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
	compact(i);
	box_expect(i, "1.x,3=three 2.x,2=other ");
	mail_move("new/2.x", "cur/2.x:2,S");
	box_expect(i, "1.x,3=three 2.x,2=other ");
	host_close(i);
}

/* All lines of a name or none: a number that is remembered alone would be given to another letter,
 * which nobody had seen then. */
static void
numbers_of_a_name_stay_together(void **state)
{
	static const char *const names[] = {"1.x", "1.x,2", "1.x,3"}, *const uidls[] = {"1.x",
											"1.x,2",
											"1.x,3,"};
	struct ledger_file is = {.content = "0123456789abcdef0123456789abcdef01234567", .size = 3};
	struct host_inst *i = OPEN();
	struct ledger_out o = {0};

	(void)state;
	ledger_put_header(&o);
	for (size_t k = 0; k < COUNT(names); k++) {
		ledger_put_message(&o, names[k], strlen(names[k]), uidls[k], strlen(uidls[k]), 3, 3,
				   0, 0);
		is.content[0]++;
		ledger_put_file(&o, names[k], strlen(names[k]), &is);
		ledger_put_delete(&o, LEDGER_NO_OP, names[k], strlen(names[k]));
	}
	ledger_put_commit(&o, LEDGER_NO_OP, 3, rig_host.wall_ms(rig_host.ctx) - DAY_MS);
	ledger_put_done(&o, LEDGER_NO_OP);
	mail_ledger(&o);
	compact(i);
	mail_put("cur/1.x:2,S", "one");
	mail_put("new/1.x", "two");
	mail_put("cur/1.x:2,", "three");
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "1.x,4=three 1.x,5=one 1.x,6=two ");
	host_close(i);
}

/* Deleted, and can come back with `undelete`. */
static void
hidden_stays_hidden(void **state)
{
	struct host_inst *i = OPEN();
	int64_t now = rig_host.wall_ms(rig_host.ctx);

	(void)state;
	mail_put("new/1.x", "one");
	mail_put("cur/2.x", "two");
	session(i, 0, true, now + DAY_MS);
	mail_put("new/3.x", "three");
	for (int k = 0; k < 2; k++) {
		compact(i);
		assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "3.x=three ");
		assert_string_equal(box_letters(i, PM_OPEN_READONLY | PM_OPEN_HIDDEN),
				    "1.x=one 2.x=two 3.x=three ");
	}
	host_close(i);
}

/* ---- imports --------------------------------------------------------------------------------- */

static int32_t
import(struct host_inst *i, const char *uidl)
{
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {
		.size = sizeof(r), .user = &u, .uidl = {uidl, strlen(uidl)}, .received_ms = 5000};
	struct pm_result res;

	return box_deliver(i, &r, PM_DLVF_IMPORT, "y\r\n", &res);
}

static void
imports_that_were_deleted_are_remembered(void **state)
{
	struct host_inst *i = OPEN();
	int64_t now = rig_host.wall_ms(rig_host.ctx);

	(void)state;
	assert_int_equal(import(i, "uid-new"), PM_OK);
	assert_int_equal(box_quit(i, "0", NULL, now - 29 * DAY_MS), PM_OK);
	assert_int_equal(import(i, "uid-old"), PM_OK);
	assert_int_equal(box_quit(i, "0", NULL, now - 31 * DAY_MS), PM_OK);
	for (int k = 0; k < 2; k++)
		compact(i);
	assert_int_equal(import(i, "uid-new"), PM_EXISTS);
	assert_int_equal(import(i, "uid-old"), PM_OK);
	host_close(i);
}

/* Where the file of an import is while the ledger is written anew, beside a session that does
 * not know it. */
static void
import_beside_a_session(struct host_inst *i, const char *place, bool commits)
{
	static const char *const dirs[] = {"new", "cur"};
	struct timespec times[COUNT(dirs)][2];
	struct ledger_out o = {0};
	struct pm_msg m;
	struct stat st;
	uint64_t n;
	void *mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);

	for (size_t d = 0; d < COUNT(dirs); d++) {
		assert_int_equal(stat(mail_path(dirs[d]), &st), 0);
		times[d][0] = times[d][1] = st.st_mtim;
	}
	mail_put(place, "x\n");
	ledger_put_message(&o, "5.imp", 5, "uid-imp", 7, 3, 2, 0, 0);
	append(&o);
	/* in the tick of the clock in which the session looked */
	for (size_t d = 0; d < COUNT(dirs); d++)
		assert_int_equal(utimensat(AT_FDCWD, mail_path(dirs[d]), times[d], 0), 0);
	box_info(i, mbox, 0, &m);
	if (commits)
		assert_int_equal(box_commit(i, mbox, n, NULL, "0", 1), PM_OK);
	host_mbox_close(i, mbox, call);
}

static void
imports_beside_the_session_stay(void **state)
{
	static const char *const places[] = {"tmp/5.imp", "new/5.imp,S=2,W=3",
					     "cur/5.imp,S=2,W=3:2,S"};

	for (size_t k = 0; k < 2 * COUNT(places); k++) {
		const char *place = places[k / 2];
		struct host_inst *i = OPEN();
		struct ledger_out o = {0};

		mail_put("new/1.x", "x\n");
		ledger_put_header(&o);
		mail_ledger(&o);
		add_dead();
		mail_age();
		import_beside_a_session(i, place, k % 2 == 1);
		assert_true(lines() < 100);
		if (k / 2 == 0)
			mail_move(place, "new/5.imp");
		assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 uid-imp:3 ");
		host_close(i);
		assert_int_equal(mail_tidy(state), 0);
		assert_int_equal(mail_fresh(state), 0);
	}
}

/* A group that is not finished stays as it is; the next session finishes it. */
static void
an_unfinished_group_stays(void **state)
{
	struct host_inst *i = OPEN();
	struct ledger_out o = {0};
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("new/1.x", "one");
	mail_put("new/2.x", "two");
	ledger_put_header(&o);
	mail_ledger(&o);
	add_dead();
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	call->pm.op_id[0]++;
	mail_move("new/1.x", "tmp/away"); /* not found: another reader may be renaming it */
	assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK);
	mail_move("tmp/away", "cur/1.x:2,S");
	host_mbox_close(i, mbox, call);
	assert_true(lines() > DEAD);
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), "2.x=two ");
	assert_string_equal(mail_letters(), "two ");
	assert_true(lines() < 100);
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(a_ledger_does_not_grow_for_ever),
		MAIL(nor_by_names_that_are_shared),
		MAIL(nor_by_files_with_new_looks),
		MAIL(a_ledger_of_living_messages_stays),
		MAIL(marks_sizes_and_unique_ids_stay),
		MAIL(numbers_of_shared_names_stay),
		MAIL(numbers_of_a_name_stay_together),
		MAIL(hidden_stays_hidden),
		MAIL(imports_that_were_deleted_are_remembered),
		MAIL(imports_beside_the_session_stay),
		MAIL(an_unfinished_group_stays),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
