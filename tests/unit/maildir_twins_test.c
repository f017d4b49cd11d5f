/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with the same base name in a maildir. Each of these tests asks: is every letter listed,
 * once, under one unique-id that stays its own - and are only letters deleted that were listed and
 * marked?
 */
#include "maildir_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define OPEN() MAIL_OPEN("cache_messages", "0", NULL)

/* ---- two letters ----------------------------------------------------------------------------- */

/* Places of two files with one base name; earlier versions listed the first one. */
static const struct places {
	const char *first, *second;
} places[] = {
	{"cur/1.x:2,S", "new/1.x"},
	{"cur/1.x:2,", "new/1.x,S=3"},
	{"cur/1.x", "new/1.x"},
	{"cur/1.x", "cur/1.x:2,S"},
	{"cur/1.x:2,F", "cur/1.x:2,S"},
	{"cur/1.x,S=3,W=5", "new/1.x,S=5,W=7"},
	{"cur/1.x,S=3:2,S", "cur/1.x,W=7:2,S"},
	{"new/1.x", "new/1.x,another"},
	{"new/1.x,a,b", "new/1.x:odd"},
};

static void
two_letters_are_two_messages(void **state)
{
	/* of another size, and of the same */
	static const char *const seconds[] = {"other", "two"};

	(void)state;
	for (size_t k = 0; k < COUNT(places) * COUNT(seconds); k++) {
		const struct places *p = &places[k / 2];
		const char *second = seconds[k % 2];

		for (int gone = 0; gone < 2; gone++) {
			struct host_inst *i = OPEN();
			char both[60], left[60];

			mail_put(p->first, "one");
			mail_put(p->second, second);
			mail_put("cur/1.xx", "xx");
			snprintf(both, sizeof(both), "1.x=one 1.x,2=%s 1.xx=xx ", second);
			box_expect(i, both);
			assert_int_equal(box_quit(i, gone ? "1" : "0", "2", 1), PM_OK);
			assert_int_equal(mail_there(p->first), gone == 1);
			assert_int_equal(mail_there(p->second), gone == 0);
			snprintf(left, sizeof(left), "1.x%s=%s 1.xx=xx ", gone ? "" : ",2",
				 gone ? "one" : second);
			box_expect(i, left);
			assert_int_equal(box_quit(i, "0", NULL, 2), PM_OK);
			box_expect(i, "1.xx=xx ");
			assert_string_equal(mail_letters(), "xx ");
			host_close(i);
			assert_int_equal(mail_tidy(state), 0);
			assert_int_equal(mail_fresh(state), 0);
		}
	}
}

static void
three_of_a_name(void **state)
{
	struct host_inst *i = OPEN();

	(void)state;
	mail_put("cur/1.x:2,S", "one");
	mail_put("cur/1.x:2,T", "two");
	mail_put("new/1.x", "three");
	box_expect(i, "1.x=one 1.x,2=two 1.x,3=three ");
	assert_int_equal(box_quit(i, "1", NULL, 1), PM_OK);
	assert_string_equal(mail_letters(), "three one ");
	box_expect(i, "1.x=one 1.x,3=three ");
	mail_put("cur/1.x,again:2,", "four"); /* a number is given once */
	box_expect(i, "1.x=one 1.x,3=three 1.x,4=four ");
	assert_int_equal(box_quit(i, "0 1 2", NULL, 1), PM_OK);
	assert_string_equal(mail_letters(), "");
	host_close(i);
}

/* Places and flags change, and the two may swap them. */
static void
other_readers_rename_them(void **state)
{
	struct host_inst *i = OPEN();

	(void)state;
	mail_put("cur/1.x:2,S", "one");
	mail_put("new/1.x", "two");
	box_expect(i, "1.x=one 1.x,2=two ");
	mail_move("new/1.x", "cur/1.x:2,");
	box_expect(i, "1.x=one 1.x,2=two ");
	mail_move("cur/1.x:2,S", "new/1.x");
	box_expect(i, "1.x=one 1.x,2=two ");
	mail_move("cur/1.x:2,", "cur/1.x:2,S");
	box_expect(i, "1.x=one 1.x,2=two ");
	/* another reader deletes: the other one does not become the first */
	mail_remove("new/1.x");
	box_expect(i, "1.x,2=two ");
	host_close(i);
}

/* Other inodes, other dates: their text tells which is which. */
static void
copied_to_another_disk(void **state)
{
	struct host_inst *i = OPEN();

	(void)state;
	mail_put("new/1.x", "one");
	mail_put("cur/1.x:2,S", "two");
	box_expect(i, "1.x=two 1.x,2=one ");
	mail_put("new/copy", "two");
	mail_put("cur/copy", "one");
	mail_move("new/copy", "new/1.x");
	mail_move("cur/copy", "cur/1.x:2,S");
	box_expect(i, "1.x=two 1.x,2=one ");
	host_close(i);
}

/* A line about the name in an older ledger still belongs to the file it was written for. */
static void
a_ledger_that_knew_one(void **state)
{
	static const uint64_t stored[] = {3, 5, 7};
	static const char *const lists[] = {"uid=one 1.x,2=other ", "uid=other 1.x,2=one ",
					    "uid=one 1.x,2=other "};

	for (size_t k = 0; k < COUNT(stored); k++) {
		struct host_inst *i = OPEN();
		struct ledger_out o = {0};

		mail_put("cur/1.x:2,S", "one");
		mail_put("new/1.x", "other");
		ledger_put_header(&o);
		ledger_put_message(&o, "1.x", 3, "uid", 3,
				   stored[k] == 7 ? LEDGER_UNKNOWN : stored[k] + 2, stored[k], 0,
				   0);
		mail_ledger(&o);
		box_expect(i, lists[k]);
		host_close(i);
		assert_int_equal(mail_tidy(state), 0);
		assert_int_equal(mail_fresh(state), 0);
	}
}

/* Base names that are no unique-ids, and one that leaves no room for a number. */
static void
names_that_cannot_be_unique_ids(void **state)
{
	struct host_inst *i = OPEN();
	char name[100], list[200];
	const char *is;

	(void)state;
	snprintf(name, sizeof(name), "new/1.%068d", 0);
	mail_put(name, "one");
	name[0] = 'c', name[1] = 'u', name[2] = 'r';
	mail_put(name, "two");
	is = box_letters(i, PM_OPEN_EXCLUSIVE);
	assert_int_equal(strncmp(is, name + 4, 70), 0);
	assert_int_equal(strlen(is), 70 + 5 + 40 + 5);
	snprintf(list, sizeof(list), "%s", is);
	box_expect(i, list);
	host_close(i);
}

/* An import has brought the very unique-id that the second one would get. */
static void
a_unique_id_that_is_taken(void **state)
{
	struct host_inst *i = OPEN();
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {
		.size = sizeof(r), .user = &u, .uidl = {"1.x,2", 5}, .received_ms = 2000};
	struct pm_result res;
	const char *is;

	(void)state;
	assert_int_equal(box_deliver(i, &r, PM_DLVF_IMPORT, "three", &res), PM_OK);
	mail_put("cur/1.x:2,S", "one");
	mail_put("new/1.x", "two");
	is = strdup(box_letters(i, PM_OPEN_EXCLUSIVE));
	assert_non_null(strstr(is, "1.x=one "));
	assert_null(strstr(is, "1.x,2=two"));
	assert_non_null(strstr(is, "=two "));
	assert_non_null(strstr(is, "1.x,2=three"));
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), is);
	free((void *)(uintptr_t)is);
	host_close(i);
}

/* ---- one letter twice ------------------------------------------------------------------------ */

static void
one_letter_twice_is_one_message(void **state)
{
	for (size_t k = 0; k < COUNT(places); k++) {
		for (int linked = 0; linked < 2; linked++) {
			struct host_inst *i = OPEN();

			mail_put(places[k].first, "one");
			if (linked)
				assert_int_equal(link(mail_path(places[k].first),
						      mail_path(places[k].second)),
						 0);
			else
				mail_put(places[k].second, "one");
			mail_put("new/1.xx", "xx");
			box_expect(i, "1.x=one 1.xx=xx ");
			assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
			assert_string_equal(mail_letters(), "xx ");
			box_expect(i, "1.xx=xx ");
			host_close(i);
			assert_int_equal(mail_tidy(state), 0);
			assert_int_equal(mail_fresh(state), 0);
		}
	}
}

/* Two of one letter, and another letter. */
static void
twins_beside_another(void **state)
{
	struct host_inst *i = OPEN();

	(void)state;
	mail_put("cur/1.x:2,S", "one");
	mail_put("cur/1.x:2,T", "two");
	mail_put("new/1.x", "one");
	box_expect(i, "1.x=one 1.x,2=two ");
	assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
	assert_string_equal(mail_letters(), "two ");
	box_expect(i, "1.x,2=two ");
	host_close(i);
}

/* They were equal when they were listed, and are not when they go. */
static void
proven_again_when_it_goes(void **state)
{
	static const char *const texts[] = {"another", "two"};

	for (size_t k = 0; k < COUNT(texts); k++) {
		struct host_inst *i = OPEN();
		char list[40];
		uint64_t n;
		void *mbox;

		mail_put("cur/1.x:2,S", "one");
		mail_put("new/1.x", "one");
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		assert_int_equal(n, 1);
		mail_put("new/1.x", texts[k]);
		assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK);
		host_mbox_close(i, mbox, call);
		assert_false(mail_there("cur/1.x:2,S"));
		snprintf(list, sizeof(list), "1.x,2=%s ", texts[k]);
		box_expect(i, list);
		host_close(i);
		assert_int_equal(mail_tidy(state), 0);
		assert_int_equal(mail_fresh(state), 0);
	}
}

/* ---- the cost -------------------------------------------------------------------------------- */

static int watching;

/* How many files were opened in new and cur since the last time. */
static unsigned
opened(void)
{
	char buf[16384] __attribute__((aligned(8)));
	unsigned n = 0;
	ssize_t got;

	while ((got = read(watching, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + got;) {
			struct inotify_event e;

			memcpy(&e, p, sizeof(e));
			n += e.len > 0 && !(e.mask & IN_ISDIR);
			p += sizeof(e) + e.len;
		}
	return n;
}

static void
list_only(struct host_inst *i, uint32_t flags, uint64_t expected)
{
	uint64_t n;

	host_mbox_close(i, box_enter(i, flags, &n), call);
	assert_int_equal(n, expected);
}

/* Files are read where a name is shared, and once: an unshared name costs nothing. */
static void
read_once(void **state)
{
	struct host_inst *i = OPEN();

	(void)state;
	watching = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	assert_true(watching != -1);
	mail_put("cur/1.x:2,S", "one");
	mail_put("cur/2.x:2,S", "two");
	mail_put("new/3.x", "three");
	assert_true(inotify_add_watch(watching, mail_path("cur"), IN_OPEN) != -1);
	assert_true(inotify_add_watch(watching, mail_path("new"), IN_OPEN) != -1);
	list_only(i, PM_OPEN_EXCLUSIVE, 3);
	assert_int_equal(opened(), 0);
	mail_put("new/1.x", "other");
	mail_put("new/2.x", "two");
	(void)opened();
	list_only(i, PM_OPEN_EXCLUSIVE, 4);
	assert_int_equal(opened(), 4);
	for (int k = 0; k < 3; k++) {
		list_only(i, PM_OPEN_EXCLUSIVE, 4);
		list_only(i, PM_OPEN_READONLY, 4);
	}
	assert_int_equal(opened(), 0);
	mail_move("new/1.x", "cur/1.x:2,F"); /* a name is no reason to read */
	list_only(i, PM_OPEN_EXCLUSIVE, 4);
	assert_int_equal(opened(), 0);
	(void)close(watching);
	host_close(i);
}

/* A clock that ends each slice at once: every slice gets on by one file at least. */
static void
in_slices(void **state)
{
	enum { N = 30 };
	struct host_inst *i = OPEN();
	struct pm_user u = user_named("ann");
	unsigned slices = 0;
	void *mbox = NULL;
	uint64_t n = 0;
	int32_t r;

	(void)state;
	for (int k = 0; k < N; k++) {
		char name[40], text[20];

		snprintf(name, sizeof(name), "new/%d.x", 100 + k);
		snprintf(text, sizeof(text), "new %d", k);
		mail_put(name, text);
		snprintf(name, sizeof(name), "cur/%d.x:2,S", 100 + k);
		snprintf(text, sizeof(text), k % 2 ? "new %d" : "cur %d", k);
		mail_put(name, text);
	}
	step_ms = 200;
	while ((r = host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox)) == PM_AGAIN &&
	       slices < 10 * N)
		slices++;
	step_ms = 0;
	assert_int_equal(r, PM_OK);
	assert_true(slices > N);
	assert_int_equal(n, N + N / 2);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(two_letters_are_two_messages),
		MAIL(three_of_a_name),
		MAIL(other_readers_rename_them),
		MAIL(copied_to_another_disk),
		MAIL(a_ledger_that_knew_one),
		MAIL(names_that_cannot_be_unique_ids),
		MAIL(a_unique_id_that_is_taken),
		MAIL(one_letter_twice_is_one_message),
		MAIL(twins_beside_another),
		MAIL(proven_again_when_it_goes),
		MAIL(read_once),
		MAIL(in_slices),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
