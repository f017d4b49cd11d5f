/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other programs rewrite an mbox in place: messages move, or are replaced by others, while the size
 * and the time of the last change stay the same, or mail is appended afterwards. Whatever the index
 * remembers: the announced message is sent, unique-ids stay with their messages, and only deleted
 * messages are cut out.
 */
#include "mbox_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FROM "From clerk@example.org Sat Nov 11 11:11:11 2023\n"
#define TWO FROM "Subject: two\nX-UID: 2   \n\nsecond\n\n"
#define FOUR FROM "Subject: four\n\nfourth\n\n"
#define LATE FROM "Subject: late\n\nlate\n\n"
/* Five bytes go from the third message to the first. */
#define BEFORE_1 FROM "Subject: one\nX-UID: 1\n\nfirst\n\n"
#define BEFORE_3 FROM "Subject: three\nX-UID: 3          \n\nthird\n\n"
#define AFTER_1 FROM "Subject: one\nX-UID: 1     \n\nfirst\n\n"
#define AFTER_3 FROM "Subject: three\nX-UID: 3     \n\nthird\n\n"
#define BEFORE BEFORE_1 TWO BEFORE_3 FOUR
#define AFTER AFTER_1 TWO AFTER_3 FOUR
#define MESSAGES 8
#define BIG 200000 /* octets, some pieces */

/* ---- other programs -------------------------------------------------------------------------- */

enum trace { TIME_MOVES, TIME_PUT_BACK }; /* of the last change, as mutt does */

/* The file becomes `text`, which may be longer: rewritten in place, the rest appended. */
static void
rewrite(const char *text, enum trace trace)
{
	int fd = open(mail_path("ann"), O_WRONLY);
	struct stat st;
	struct timespec t[2];
	size_t n = strlen(text);

	assert_true(fd != -1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true((uint64_t)st.st_size <= n);
	assert_int_equal(pwrite(fd, text, n, 0), n);
	t[0] = t[1] = st.st_mtim;
	if (trace == TIME_PUT_BACK)
		assert_int_equal(futimens(fd, t), 0);
	assert_int_equal(close(fd), 0);
}

static void
holds(const char *text)
{
	size_t n;
	char *now = mail_text("ann", &n);

	assert_string_equal(now ? now : "", text);
	free(now);
}

/* ---- sessions -------------------------------------------------------------------------------- */

struct seen {
	uint64_t n;
	char uidls[MESSAGES][PM_UIDL_MAX + 1];
};

/* The text of a message without its From_ line and empty line, as it stands between others. */
static const char *
inside(const char *message)
{
	static char text[2 * BIG];
	const char *body = strchr(message, '\n') + 1;

	snprintf(text, sizeof(text), "%.*s", (int)strlen(body) - 1, body);
	return text;
}

static void
reads(struct host_inst *i, void *mbox, uint64_t k, const char *message)
{
	static char buf[2 * BIG];
	int32_t rc = box_read(i, mbox, k, buf, sizeof(buf));

	if (rc != PM_OK)
		fail_msg("message %lu: %s %s", (unsigned long)k, host_code_name(rc), call->error);
	assert_string_equal(buf, inside(message));
}

static void
look(struct host_inst *i, void *mbox, uint64_t n, struct seen *ret)
{
	struct pm_msg m;

	assert_true(n <= MESSAGES);
	ret->n = n;
	for (uint64_t k = 0; k < n; k++) {
		box_info(i, mbox, k, &m);
		snprintf(ret->uidls[k], sizeof(ret->uidls[k]), "%.*s", (int)m.uidl_len, m.uidl);
	}
}

/* A session that reads all messages: they have to be these. */
static struct seen
session(struct host_inst *i, const char *const *messages)
{
	struct seen s;
	uint64_t n, want = 0;
	void *mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);

	while (messages[want])
		want++;
	assert_int_equal(n, want);
	look(i, mbox, n, &s);
	for (uint64_t k = 0; k < n; k++)
		reads(i, mbox, k, messages[k]);
	host_mbox_close(i, mbox, call);
	assert_null(strstr(rig_log, "odd")); /* it never was */
	return s;
}

static void
same_uidls(const struct seen *a, const struct seen *b)
{
	for (uint64_t k = 0; k < a->n && k < b->n; k++)
		assert_string_equal(a->uidls[k], b->uidls[k]);
}

static const char *const before[] = {BEFORE_1, TWO, BEFORE_3, FOUR, NULL},
			 *const after[] = {AFTER_1, TWO, AFTER_3, FOUR, NULL},
			 *const grown[] = {AFTER_1, TWO, AFTER_3, FOUR, LATE, NULL};

/* A change to the file, and the messages that are there afterwards. */
static const struct {
	const char *text;
	enum trace trace;
	const char *const *messages;
} changes[] = {
	{AFTER, TIME_MOVES, after},
	{AFTER, TIME_PUT_BACK, after},
	{AFTER LATE, TIME_MOVES, grown},
	{AFTER LATE, TIME_PUT_BACK, grown},
};

/* ---- messages that move ---------------------------------------------------------------------- */

static void
moved_between_two_sessions(void **state)
{
	struct host_inst *i = mbox_open();

	(void)state;
	for (size_t c = 0; c < COUNT(changes); c++) {
		struct seen was, now;

		mail_put("ann", BEFORE);
		was = session(i, before);
		rewrite(changes[c].text, changes[c].trace);
		now = session(i, changes[c].messages);
		same_uidls(&was, &now);
		mail_put("ann", BEFORE);
		was = session(i, before);
		rewrite(changes[c].text, changes[c].trace);
		assert_int_equal(box_quit(i, "1", NULL, 1), PM_OK);
		holds(changes[c].text[strlen(AFTER)] ? AFTER_1 AFTER_3 FOUR LATE
						     : AFTER_1 AFTER_3 FOUR);
	}
	host_close(i);
}

/* The first and the third are of another size now, and opened as they are. The others are where
 * they are. */
static void
moved_while_they_are_read(void **state)
{
	struct host_inst *i = mbox_open();
	uint64_t n;

	(void)state;
	for (size_t c = 0; c < COUNT(changes); c++) {
		void *mbox;

		mail_put("ann", BEFORE);
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		reads(i, mbox, 2, BEFORE_3);
		rewrite(changes[c].text, changes[c].trace);
		reads(i, mbox, 2, AFTER_3);
		reads(i, mbox, 1, TWO);
		reads(i, mbox, 0, AFTER_1);
		reads(i, mbox, 3, FOUR);
		host_mbox_close(i, mbox, call);
	}
	host_close(i);
}

static void
moved_before_they_are_deleted(void **state)
{
	struct host_inst *i = mbox_open();
	uint64_t n;

	(void)state;
	for (size_t c = 0; c < COUNT(changes); c++) {
		bool late = changes[c].text[strlen(AFTER)];
		void *mbox;

		mail_put("ann", BEFORE);
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		rewrite(changes[c].text, changes[c].trace);
		call->pm.op_id[0]++;
		assert_int_equal(box_commit(i, mbox, n, "0 2", NULL, 1), PM_OK);
		host_mbox_close(i, mbox, call);
		holds(late ? TWO FOUR LATE : TWO FOUR);
	}
	host_close(i);
}

/* However soon after: the clock that stamps files moves a few hundred times a second. */
static void
moved_within_a_tick(void **state)
{
	struct host_inst *i = mbox_open();

	(void)state;
	mail_put("ann", BEFORE);
	for (int k = 0; k < 100; k++) {
		uint64_t n;
		void *mbox;

		rewrite(BEFORE, TIME_PUT_BACK);
		(void)session(i, before);
		rewrite(AFTER, TIME_PUT_BACK);
		(void)session(i, after);
		rewrite(BEFORE, TIME_PUT_BACK);
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		rewrite(AFTER, TIME_PUT_BACK);
		reads(i, mbox, 1, TWO);
		host_mbox_close(i, mbox, call);
	}
	host_close(i);
}

/* Our own deletion is a change like any other: one by another program in the same tick shows. */
static void
moved_after_our_own_deletion(void **state)
{
	static const char *const left[] = {AFTER_1, AFTER_3, FOUR, NULL};
	struct host_inst *i = mbox_open();

	(void)state;
	for (int k = 0; k < 50; k++) {
		mail_put("ann", BEFORE);
		assert_int_equal(box_quit(i, "1", NULL, 1), PM_OK);
		holds(BEFORE_1 BEFORE_3 FOUR);
		rewrite(AFTER_1 AFTER_3 FOUR, TIME_PUT_BACK);
		(void)session(i, left);
	}
	host_close(i);
}

/* ---- messages that are replaced -------------------------------------------------------------- */

#define UNO FROM "Subject: uno\nX-UID: 1\n\nprime\n\n"
#define OWT FROM "Subject: owt\nX-UID: 2   \n\ndnoces\n\n"

/* Of equal length, at the same places: their unique-ids are none that were given. */
static void
replaced_by_others(void **state)
{
	static const struct {
		const char *text;
		enum trace trace;
		const char *const messages[6];
	} news[] = {
		{UNO OWT BEFORE_3 FOUR, TIME_MOVES, {UNO, OWT, BEFORE_3, FOUR, NULL}},
		{UNO OWT BEFORE_3 FOUR, TIME_PUT_BACK, {UNO, OWT, BEFORE_3, FOUR, NULL}},
		{UNO OWT BEFORE_3 FOUR LATE, TIME_MOVES, {UNO, OWT, BEFORE_3, FOUR, LATE, NULL}},
	};
	struct host_inst *i = mbox_open();

	(void)state;
	for (size_t c = 0; c < COUNT(news); c++) {
		struct seen was, now;

		mail_put("ann", BEFORE);
		was = session(i, before);
		rewrite(news[c].text, news[c].trace);
		now = session(i, news[c].messages);
		for (uint64_t k = 0; k < now.n; k++)
			for (uint64_t j = 0; j < was.n; j++)
				assert_int_equal(strcmp(now.uidls[k], was.uidls[j]) == 0,
						 k == j && k >= 2);
	}
	host_close(i);
}

/* A message of BIG octets of text, with `c` in the middle. */
static char *
big(char c)
{
	char *text = malloc(BIG + 200);
	size_t n;

	assert_non_null(text);
	n = (size_t)snprintf(text, 200, "%sSubject: big\n\n", FROM);
	for (size_t k = 0; k < BIG; k++)
		text[n++] = k % 70 == 69 ? '\n' : 'x';
	text[n - 1] = '\n';
	text[n] = '\0';
	text[n / 2] = c;
	strcpy(text + n, "\n");
	return text;
}

static char *
joined(const char *a, const char *b)
{
	size_t n = strlen(a) + strlen(b) + 1;
	char *text = malloc(n);

	assert_non_null(text);
	snprintf(text, n, "%s%s", a, b);
	return text;
}

/* One letter in the middle of a large text, and mail appended: no fingerprint shows it. */
enum { READ, AMIDST, DELETED, WAYS };

/* It is not sent to its end, whether it was changed before it was read or meanwhile, and is not
 * deleted. */
static void
is_found_out(struct host_inst *i, int way, const char *text)
{
	static char buf[2 * BIG];
	uint64_t n;
	size_t got;
	void *mbox, *msg;
	int32_t rc;

	if (way != AMIDST)
		rewrite(text, TIME_MOVES);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	call->pm.op_id[0]++;
	if (way == DELETED) {
		assert_int_equal(box_commit(i, mbox, n, "0", NULL, 1), PM_TEMP);
	} else if (way == READ) {
		assert_int_equal(box_read(i, mbox, 0, buf, sizeof(buf)), PM_TEMP);
	} else {
		assert_int_equal(host_msg_open(i, mbox, call, 0, &msg), PM_OK);
		assert_int_equal(host_msg_read(i, msg, call, buf, 100, &got), PM_OK);
		rewrite(text, TIME_MOVES);
		while ((rc = host_msg_read(i, msg, call, buf, sizeof(buf), &got)) == PM_OK)
			;
		assert_int_equal(rc, PM_TEMP);
		host_msg_close(i, msg, call);
	}
	host_mbox_close(i, mbox, call);
}

/* The next session knows it as another. */
static void
replaced_by_one_that_looks_alike(void **state)
{
	char *old = big('a'), *new = big('b'), *old_box = joined(old, FOUR),
	     *new_box = joined(new, FOUR LATE);
	const char *const old_messages[] = {old, FOUR, NULL}, *const new_messages[] = {new, FOUR,
										       LATE, NULL};
	struct host_inst *i = mbox_open();

	(void)state;
	for (int way = 0; way < WAYS; way++) {
		struct seen was, now;

		mail_put("ann", old_box);
		was = session(i, old_messages);
		is_found_out(i, way, new_box);
		holds(new_box);
		now = session(i, new_messages);
		assert_string_not_equal(now.uidls[0], was.uidls[0]);
		assert_string_equal(now.uidls[1], was.uidls[1]);
		assert_int_equal(box_quit(i, "0", NULL, 1), PM_OK);
		holds(FOUR LATE);
	}
	free(old);
	free(new);
	free(old_box);
	free(new_box);
	host_close(i);
}

/* ---- an index that lies ---------------------------------------------------------------------- */

/* The one index there is; its bytes, malloc'd. */
static char *
index_read(char path[600], size_t *ret_n)
{
	char dir[300];
	struct dirent *e;
	struct stat st;
	char *text;
	DIR *d;
	FILE *f;

	snprintf(dir, sizeof(dir), "%s/mbox/index", rig_dir());
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL && e->d_name[0] == '.')
		;
	assert_non_null(e);
	snprintf(path, 600, "%s/%s", dir, e->d_name);
	closedir(d);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	text = malloc((size_t)st.st_size);
	assert_non_null(text);
	*ret_n = (size_t)st.st_size;
	assert_int_equal(fread(text, 1, *ret_n, f), *ret_n);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* With the checksum it has to have. */
static void
index_write(const char *path, char *text, size_t n)
{
	uint64_t sum = 0xcbf29ce484222325u;
	FILE *f = fopen(path, "w");

	for (size_t k = 0; k < n - sizeof(sum); k++)
		sum = (sum ^ (unsigned char)text[k]) * 0x100000001b3u;
	memcpy(text + n - sizeof(sum), &sum, sizeof(sum));
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* Whatever is there now: the index says that it is of this file. */
static void
index_lies(void)
{
	char path[600], *text;
	uint64_t words[8]; /* after the magic: rd, device, inode, size, mtime, ctime */
	struct stat st;
	size_t n;

	text = index_read(path, &n);
	assert_int_equal(stat(mail_path("ann"), &st), 0);
	memcpy(words, text + 8, sizeof(words));
	assert_int_equal(words[2], st.st_ino);
	words[3] = (uint64_t)st.st_size;
	words[4] = (uint64_t)st.st_mtim.tv_sec;
	words[5] = (uint64_t)st.st_mtim.tv_nsec;
	words[6] = (uint64_t)st.st_ctim.tv_sec;
	words[7] = (uint64_t)st.st_ctim.tv_nsec;
	memcpy(text + 8, words, sizeof(words));
	index_write(path, text, n);
	free(text);
}

/* It does not decide which bytes are cut out, or sent for a message. */
static void
a_lying_index_cuts_nothing(void **state)
{
	static const char *const dels[] = {"0", "1", "2", "0 1 2 3", "1 2"};
	struct host_inst *i = mbox_open();
	uint64_t n;

	(void)state;
	for (size_t d = 0; d < COUNT(dels); d++) {
		struct seen was, now;
		void *mbox;

		mail_put("ann", BEFORE);
		was = session(i, before);
		rewrite(AFTER, TIME_MOVES);
		index_lies();
		assert_int_equal(box_quit(i, dels[d], NULL, 1), PM_TEMP);
		holds(AFTER);
		now = session(i, after);
		same_uidls(&was, &now);
		mail_put("ann", BEFORE);
		was = session(i, before);
		rewrite(AFTER, TIME_MOVES);
		index_lies();
		mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
		reads(i, mbox, 3, FOUR); /* where it was */
		reads(i, mbox, 1, TWO);  /* found anew */
		reads(i, mbox, 0, AFTER_1);
		host_mbox_close(i, mbox, call);
	}
	mail_put("ann", BEFORE);
	(void)session(i, before);
	rewrite(AFTER, TIME_MOVES);
	index_lies();
	assert_int_equal(box_quit(i, "3", NULL, 1), PM_OK); /* of the last one it tells the truth */
	holds(AFTER_1 TWO AFTER_3);
	host_close(i);
}

/* As earlier versions wrote it, for this file: one message, to the end. */
static void
old_index(void)
{
	struct {
		char magic[8];
		uint64_t rd, dev, ino, size, mtime_s, mtime_ns, n, junk, ledger[4];
		struct {
			uint64_t from, body, end, next, octets, stored;
			int64_t received_ms, first_ms, hidden_ms;
			unsigned char hash[20];
			uint32_t twin;
			char uidl[PM_UIDL_MAX];
			uint8_t uidl_n, dirty;
		} item;
		uint64_t sum;
	} x;
	char path[600];
	struct stat st;
	size_t n;

	free(index_read(path, &n));
	assert_int_equal(stat(mail_path("ann"), &st), 0);
	memset(&x, 0, sizeof(x));
	memcpy(x.magic, "rstmbox2", 8);
	x.rd = 1;
	x.dev = st.st_dev;
	x.ino = st.st_ino;
	x.size = (uint64_t)st.st_size;
	x.mtime_s = (uint64_t)st.st_mtim.tv_sec;
	x.mtime_ns = (uint64_t)st.st_mtim.tv_nsec;
	x.n = 1;
	x.item.body = strlen(FROM);
	x.item.next = x.size;
	x.item.end = x.size - 1;
	x.item.octets = x.item.stored = x.item.end - x.item.body;
	x.item.twin = 1;
	index_write(path, (char *)&x, sizeof(x));
}

static void
an_index_of_another_version_is_made_anew(void **state)
{
	struct host_inst *i = mbox_open();
	struct seen was, now;

	(void)state;
	mail_put("ann", BEFORE);
	was = session(i, before);
	old_index();
	now = session(i, before);
	same_uidls(&was, &now);
	old_index();
	assert_int_equal(box_quit(i, "1", NULL, 1), PM_OK);
	holds(BEFORE_1 BEFORE_3 FOUR);
	host_close(i);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void
age_lock(void)
{
	const struct timespec t[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	assert_int_equal(utimensat(AT_FDCWD, mail_path("ann.lock"), t, 0), 0);
}

/* A large message is hashed in slices; the locks stay, and nobody takes the dotlock for a dead
 * one's. */
static void
the_proof_keeps_the_locks(void **state)
{
	char *text = big('a'), *box = joined(text, FOUR);
	struct host_inst *i = mbox_open();
	const uint8_t first[1] = {1};
	struct pm_commit c = {.size = sizeof(c), .n = 2, .del = first, .now_ms = 1};
	unsigned slices = 0;
	uint64_t n, done;
	struct stat st;
	void *mbox;
	int32_t rc;

	(void)state;
	mail_put("ann", box);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	step_ms = 40000; /* each look at the clock ends a slice */
	call->pm.op_id[0]++;
	while ((rc = host_mbox_commit(i, mbox, call, &c, &done)) == PM_AGAIN) {
		assert_int_equal(stat(mail_path("ann.lock"), &st), 0);
		assert_true(slices == 0 || st.st_mtim.tv_sec != 1000);
		age_lock();
		slices++;
	}
	step_ms = 0;
	assert_int_equal(rc, PM_OK);
	assert_true(slices > BIG / 65536);
	host_mbox_close(i, mbox, call);
	holds(FOUR);
	assert_false(mail_there("ann.lock"));
	free(text);
	free(box);
	host_close(i);
}

/* Another program takes us for dead and makes a lock of its own, maybe in an inode of the same
 * number: it stays. */
static void
a_lock_of_another_is_not_removed(void **state)
{
	static const char theirs[] = "1:elsewhere\n";
	char *text = big('a'), *box = joined(text, FOUR), *now;
	struct host_inst *i = mbox_open();
	const uint8_t first[1] = {1};
	struct pm_commit c = {.size = sizeof(c), .n = 2, .del = first, .now_ms = 1};
	uint64_t n, done;
	size_t len;
	void *mbox;
	int32_t rc;

	(void)state;
	mail_put("ann", box);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	step_ms = 200; /* each look at the clock ends a slice */
	call->pm.op_id[0]++;
	assert_int_equal(host_mbox_commit(i, mbox, call, &c, &done), PM_AGAIN);
	assert_int_equal(unlink(mail_path("ann.lock")), 0);
	mail_put("ann.lock", theirs);
	while ((rc = host_mbox_commit(i, mbox, call, &c, &done)) == PM_AGAIN)
		;
	step_ms = 0;
	assert_int_equal(rc, PM_OK);
	host_mbox_close(i, mbox, call);
	now = mail_text("ann.lock", &len);
	assert_string_equal(now, theirs);
	free(now);
	free(text);
	free(box);
	host_close(i);
}

#define BOX(f) cmocka_unit_test_setup_teardown(f, mail_fresh, mbox_clean)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX(moved_between_two_sessions),
		BOX(moved_while_they_are_read),
		BOX(moved_before_they_are_deleted),
		BOX(moved_within_a_tick),
		BOX(moved_after_our_own_deletion),
		BOX(replaced_by_others),
		BOX(replaced_by_one_that_looks_alike),
		BOX(a_lying_index_cuts_nothing),
		BOX(an_index_of_another_version_is_made_anew),
		BOX(the_proof_keeps_the_locks),
		BOX(a_lock_of_another_is_not_removed),
	};

	return cmocka_run_group_tests(tests, mbox_begin, mail_end);
}
