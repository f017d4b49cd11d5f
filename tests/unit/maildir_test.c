/* SPDX-License-Identifier: Apache-2.0 */
/* The maildir module reads directories: the messages, their order, sizes and names; slices and
 * locks. */
#include "maildir_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the list -------------------------------------------------------------------------------- */

static void
in_order_of_arrival(void **state)
{
	static const char *const files[] = {"new/200.b",  "cur/100.c:2,S",  "new/100.a",
					    "cur/0.z:2,", "cur/no-number",  "new/1000.a",
					    "new/100.aa", "cur/100.B:2,FS", "cur/0100.a"};
	struct host_inst *i = MAIL_OPEN(NULL);

	(void)state;
	for (size_t k = 0; k < COUNT(files); k++)
		mail_put(files[k], "x\n");
	expect_list(
		i, "0.z:3 no-number:3 0100.a:3 100.B:3 100.a:3 100.aa:3 100.c:3 200.b:3 1000.a:3 ");
	host_close(i);
}

static void
sizes_are_counted_as_on_the_wire(void **state)
{
	static const struct {
		const char *text;
		uint64_t octets;
	} cases[] = {
		{"", 0},
		{"x", 3},
		{"x\n", 3},
		{"x\r\n", 3},
		{"a\nb\n", 6},
		{"a\r\nb\r\n", 6},
		{"a\r\nb\n", 6},
		{"a\rb\n", 5},
		{"a\r", 4},
		{"\n", 2},
		{"\r\n", 2},
		{"\n\n\n", 6},
		{".\n", 3},
		{"..\r\n.", 7},
		{"\r\r\n", 3},
		{"a\n\r", 6},
		{"Subject: \xc3\xa9\n\nb", 18},
	};
	struct host_inst *i = MAIL_OPEN(NULL);
	char buf[100];
	uint64_t n;
	void *mbox;

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		char name[40];

		snprintf(name, sizeof(name), "%s/%zu.x", k % 2 ? "new" : "cur", 100 + k);
		mail_put(name, cases[k].text);
	}
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, COUNT(cases));
	for (size_t k = 0; k < n; k++) {
		struct pm_msg m;

		box_info(i, mbox, k, &m);
		assert_int_equal(m.octets, cases[k].octets);
		assert_int_equal(m.stored_bytes, strlen(cases[k].text));
		assert_int_equal(m.received_ms, (100 + (int64_t)k) * 1000);
		assert_int_equal(m.first_retrieved_ms, 0);
		assert_int_equal(box_read(i, mbox, k, buf, sizeof(buf)), PM_OK);
		assert_string_equal(buf, cases[k].text); /* as stored */
	}
	host_mbox_close(i, mbox, call);
	host_close(i);
}

/* The file has 10 octets and 9 bytes: reading it corrects the size. */
static void
sizes_in_names(void **state)
{
	static const struct {
		const char *info;
		uint64_t octets;
	} cases[] = {
		{",S=9,W=10", 10}, {",S=9,W=11", 11},
		{",W=12,S=9", 12}, {",S=9,W=18:2,S", 18},
		{",S=9,W=9", 9},   {",S=9,W=19", 10},
		{",S=9,W=8", 10},  {",S=9", 10},
		{",W=11", 10},     {",S=x,W=11", 10},
		{",S=9,W=", 10},   {",S=-9,W=11", 10},
		{",S=9;W=11", 10}, {":2,S", 10},
		{"", 10},          {",S=99999999999999999999999999,W=1", 10},
		{",S=0,W=0", 0},
	};
	struct host_inst *i = MAIL_OPEN(NULL);

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		char name[80], list[80];

		snprintf(name, sizeof(name), "cur/1.x%s", cases[k].info);
		snprintf(list, sizeof(list), "1.x:%lu ", (unsigned long)cases[k].octets);
		mail_put(name, "12345678\n");
		assert_string_equal(box_list_of(i, PM_OPEN_READONLY), list);
		mail_remove(name);
	}
	host_close(i);
}

static void
names_that_cannot_be_unique_ids(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	char longest[100], fits[100], list[300];

	(void)state;
	snprintf(fits, sizeof(fits), "cur/1.%068d", 0);
	snprintf(longest, sizeof(longest), "new/2.%069d", 0);
	mail_put(fits, "x\n");
	mail_put(longest, "x\n");
	mail_put("cur/3.\xc3\xa9", "x\n");
	/* SHA-256 of the base name, 40 digits of it */
	snprintf(list, sizeof(list), "%s:3 %s:3 %s:3 ", fits + 4,
		 "f8a07d7c9359e8f28d4fdd5d43fa2875706bea86",
		 "5992ab7680623fd96504b28478dbd1768bea8bd0");
	expect_list(i, list);
	host_close(i);
}

static size_t
lines_with(const char *text)
{
	size_t n = 0;

	for (const char *p = rig_log; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

static void
files_that_are_no_messages(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);

	(void)state;
	mail_put("new/1.x", "x\n");
	mail_put("new/.hidden", "x\n");
	mail_put("tmp/2.x", "x\n");
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "1.x:3 ");
	assert_string_equal(rig_log, "");
	mail_put("new/2.x y", "x\n");
	mail_put("cur/3.x\n4 forged", "x\n");
	mail_dir("cur/4.x");
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "1.x:3 ");
	assert_non_null(strstr(rig_log, "new/2.x\\x20y is not a message (a regular file with a "
					"plain name); it is not listed"));
	assert_non_null(strstr(rig_log, "cur/3.x\\x0a4\\x20forged is not"));
	assert_non_null(strstr(rig_log, "cur/4.x is not"));
	assert_int_equal(symlink("1.x", mail_path("new/5.x")), 0);
	assert_int_equal(mkfifo(mail_path("new/6.x"), 0600), 0);
	mail_put("cur/:2,S", "x\n");
	mail_put("cur/,S=2", "x\n");
	mail_put("cur/7.\x7f", "x\n");
	rig_log[0] = '\0';
	expect_list(i, "1.x:3 ");
	/* three names each time: enough to find the rest */
	assert_int_equal(lines_with("is not a message"), 3 * 3);
	host_close(i);
}

/* Of one letter that is in two places cur's file counts, the newer place. Letters that differ:
 * maildir_twins_test.c. */
static void
twins_are_one_message(void **state)
{
	static const struct {
		const char *one, *other;
	} cases[] = {
		{"new/1.x", "cur/1.x:2,S"},
		{"cur/1.x", "new/1.x:2,"},
		{"new/1.x,S=4", "cur/1.x:2,"},
		{"cur/1.x:2,F", "new/1.x,S=4,W=5"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct host_inst *i = MAIL_OPEN(NULL);

		mail_put(cases[k].one, "one");
		mail_put(cases[k].other, "one");
		mail_put("cur/1.xx", "x");
		expect_list(i, "1.x:5 1.xx:3 ");
		host_close(i);
		mail_remove(cases[k].one);
		mail_remove(cases[k].other);
		mail_remove("restante-ledger");
	}
}

static void
totals_from_outside(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_stat st;

	(void)state;
	assert_int_equal(box_totals(i, &st), PM_OK);
	assert_int_equal(st.count, 0);
	mail_put("new/100.x", "x\n");
	mail_put("cur/200.x,S=9,W=10", "123456789");
	assert_int_equal(box_totals(i, &st), PM_OK);
	assert_int_equal(st.count, 2);
	assert_int_equal(st.octets, 13);
	assert_int_equal(st.hidden, 0);
	assert_int_equal(st.last_delivery_ms, 200000);
	assert_false(mail_there("restante-ledger")); /* it only looks */
	host_close(i);
}

static void
questions_that_make_no_sense(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	static struct pm_msg m[PM_SLICE_MAX + 1];
	uint64_t n;
	void *mbox, *msg;

	(void)state;
	mail_put("new/1.x", "x\n");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(host_mbox_info(i, mbox, call, 0, 2, WANT_ALL, m), PM_INVALID);
	assert_int_equal(host_mbox_info(i, mbox, call, 2, 0, WANT_ALL, m), PM_INVALID);
	assert_int_equal(host_mbox_info(i, mbox, call, UINT64_MAX, 1, WANT_ALL, m), PM_INVALID);
	assert_int_equal(host_mbox_info(i, mbox, call, 0, PM_SLICE_MAX + 1, WANT_ALL, m),
			 PM_INVALID);
	assert_int_equal(host_mbox_info(i, mbox, call, 1, 0, WANT_ALL, m), PM_OK);
	/* nothing asked, nothing told */
	assert_int_equal(host_mbox_info(i, mbox, call, 0, 1, 0, m), PM_OK);
	assert_int_equal(m[0].octets, 0);
	assert_int_equal(m[0].uidl_len, 0);
	assert_int_equal(host_msg_open(i, mbox, call, 1, &msg), PM_INVALID);
	assert_int_equal(host_msg_open(i, mbox, call, UINT64_MAX, &msg), PM_INVALID);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

/* ---- locks, snapshots, slices ---------------------------------------------------------------- */

static void
one_session_and_any_number_of_readers(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL), *other = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	void *mbox, *second = NULL, *reader;
	uint64_t n;
	int fd;

	(void)state;
	mail_put("new/1.x", "x\n");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &second), PM_BUSY);
	assert_int_equal(host_mbox_open(other, call, &u, PM_OPEN_EXCLUSIVE, &n, &second), PM_BUSY);
	assert_null(second);
	reader = box_enter(other, PM_OPEN_READONLY, &n);
	assert_int_equal(n, 1);
	assert_int_equal(box_commit(other, reader, 1, "0", NULL, 1), PM_INVALID);
	assert_int_equal(box_commit(other, reader, 1, NULL, "0", 1), PM_INVALID);
	host_mbox_close(i, mbox, call);
	mbox = box_enter(other, PM_OPEN_EXCLUSIVE, &n); /* the reader is in nobody's way */
	host_mbox_close(other, mbox, call);
	host_mbox_close(other, reader, call);
	fd = open(mail_path(""), O_RDONLY | O_DIRECTORY); /* another program's */
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &second), PM_BUSY);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "1.x:3 ");
	assert_int_equal(close(fd), 0);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	host_close(other);
	host_close(i);
}

/* Somebody who has this file's lock, as another host would. */
static int
lock_of(const char *file)
{
	int fd = open(mail_path(file), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

static void
expect_busy(struct host_inst *i, bool busy)
{
	struct pm_user u = user_named("ann");
	void *mbox = NULL;
	uint64_t n;
	int32_t r = host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox);

	assert_int_equal(r, busy ? PM_BUSY : PM_OK);
	if (!busy)
		host_mbox_close(i, mbox, call);
}

/* lock = file: the file is one more lock, beside that of the directory. */
static void
a_file_as_a_lock(void **state)
{
	struct host_inst *i = MAIL_OPEN("lock", "file", NULL), *plain = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	struct pm_rcpt r = {.size = sizeof(r), .user = &u, .uidl = {"uid", 3}};
	struct pm_result res = {.size = sizeof(res)};
	void *mbox, *dlv;
	uint64_t n;
	int fd;

	(void)state;
	mail_put("new/1.x", "x\n");
	assert_string_equal(box_list_of(plain, PM_OPEN_EXCLUSIVE), "1.x:3 ");
	assert_false(mail_there("restante-lock"));
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	expect_busy(i, true);
	expect_busy(plain, true);
	host_mbox_close(i, mbox, call);
	mbox = box_enter(plain, PM_OPEN_EXCLUSIVE, &n);
	expect_busy(i, true);
	host_mbox_close(plain, mbox, call);
	fd = lock_of("restante-lock");
	expect_busy(i, true);
	expect_busy(plain, false);
	assert_string_equal(box_list_of(i, PM_OPEN_READONLY), "1.x:3 ");
	assert_int_equal(host_box_delete(i, call, &u), PM_BUSY);
	(void)close(fd);
	expect_busy(i, false);
	fd = lock_of("restante-lock-import");
	expect_busy(i, false);
	assert_int_equal(host_dlv_begin(i, call, 0, PM_DLVF_IMPORT, &dlv), PM_OK);
	assert_int_equal(host_dlv_rcpt(i, dlv, call, &r), PM_OK);
	assert_int_equal(host_dlv_write(i, dlv, call, "y\r\n", 3), PM_OK);
	assert_int_equal(host_dlv_prepare(i, dlv, call, &res), PM_OK);
	assert_int_equal(host_dlv_commit(i, dlv, call, &res), PM_AGAIN);
	(void)close(fd);
	assert_int_equal(host_dlv_commit(i, dlv, call, &res), PM_OK);
	assert_int_equal(res.rc, PM_OK);
	assert_int_equal(host_box_delete(i, call, &u), PM_OK);
	assert_false(mail_there(""));
	host_close(plain);
	host_close(i);
}

static void
a_snapshot_stays_as_it_is(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("new/2.x", "x\n");
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	mail_put("new/1.x", "new\n");
	assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_OK); /* the one that was there */
	host_mbox_close(i, mbox, call);
	assert_string_equal(mail_names("new"), "1.x ");
	expect_list(i, "1.x:5 ");
	host_close(i);
}

#define MANY 1200

static void
put_many(void)
{
	for (int k = 0; k < MANY; k++) {
		char name[40];

		snprintf(name, sizeof(name), "new/%d.x", 1000 + k);
		mail_put(name, "x\n");
	}
}

/* The clock runs so fast that every slice is over at its second look. */
static void
slices(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	static struct pm_msg m[PM_SLICE_MAX];
	uint8_t del[MANY / 8];
	struct pm_commit c = {.size = sizeof(c), .n = MANY, .del = del, .now_ms = 1};
	unsigned opens = 0, infos = 0, commits = 0;
	uint64_t n = 0, done;
	void *mbox = NULL;
	int32_t r;

	(void)state;
	put_many();
	step_ms = 100;
	while ((r = host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox)) == PM_AGAIN)
		opens++;
	assert_int_equal(r, PM_OK);
	assert_int_equal(n, MANY);
	while ((r = host_mbox_info(i, mbox, call, 10, 100, WANT_ALL, m)) == PM_AGAIN) {
		assert_int_equal(m[0].uidl_len, 0); /* no record filled yet */
		infos++;
	}
	assert_int_equal(r, PM_OK);
	for (int k = 0; k < 100; k++) {
		char name[40];

		snprintf(name, sizeof(name), "%d.x", 1010 + k);
		assert_string_equal(text_of((struct pm_str){m[k].uidl, m[k].uidl_len}), name);
		assert_int_equal(m[k].octets, 3);
	}
	memset(del, 0x0f, sizeof(del));
	while ((r = host_mbox_commit(i, mbox, call, &c, &done)) == PM_AGAIN)
		commits++;
	assert_int_equal(r, PM_OK);
	assert_true(opens > 0 && infos > 0 && commits > 0);
	host_mbox_close(i, mbox, call);
	host_mbox_close(i, box_enter(i, PM_OPEN_READONLY, &n), call);
	assert_int_equal(n, MANY / 2);
	host_close(i);
}

/* A client that has waited long enough gives back an unfinished handle. */
static void
an_open_that_is_given_up(void **state)
{
	struct host_inst *i = MAIL_OPEN(NULL);
	struct pm_user u = user_named("ann");
	void *mbox = NULL, *second = NULL;
	uint64_t n = 77;

	(void)state;
	put_many();
	step_ms = 200;
	assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox), PM_AGAIN);
	assert_non_null(mbox);
	assert_int_equal(n, 77);
	/* it is locked */
	assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &second), PM_BUSY);
	host_mbox_close(i, mbox, call);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, MANY);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAIL(in_order_of_arrival),
		MAIL(sizes_are_counted_as_on_the_wire),
		MAIL(sizes_in_names),
		MAIL(names_that_cannot_be_unique_ids),
		MAIL(files_that_are_no_messages),
		MAIL(twins_are_one_message),
		MAIL(totals_from_outside),
		MAIL(questions_that_make_no_sense),
		MAIL(one_session_and_any_number_of_readers),
		MAIL(a_file_as_a_lock),
		MAIL(a_snapshot_stays_as_it_is),
		MAIL(slices),
		MAIL(an_open_that_is_given_up),
	};

	return cmocka_run_group_tests(tests, mail_begin, mail_end);
}
