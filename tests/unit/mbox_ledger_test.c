/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger of an mbox that is mostly about messages that are gone is rewritten: the others keep
 * their unique-ids. */
#include "mbox_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger_file.h"

#define FROM "From clerk@example.org Sat Nov 11 11:11:11 2023\n"
#define TWIN FROM "Subject: twin\n\nequal to the last octet\n\n"
#define OTHER FROM "Subject: other\n\nx\n\n"
#define LAST FROM "Subject: last\n\nxyz\n\n"
#define INTERNAL \
	"From MAILER-DAEMON Sat Nov 11 11:11:11 2023\nDate: 11 Nov 2023 11:11:11 +0000\n" \
	"From: Mail System Internal Data <MAILER-DAEMON@x.test>\n" \
	"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n" \
	"Message-ID: <1@x.test>\nX-IMAP: 1399360089 0000000002\nStatus: RO\n\n" \
	"This text is part of the internal format of your mail folder.\n\n"
#define GONE 4100 /* records: more than are tolerated */
#define UIDLS 300

static int
remove_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	return type == FTW_F ? remove(path) : 0;
}

/* The index: a cache. */
static void
forget(void)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/mbox/index", rig_dir());
	(void)nftw(path, remove_file, 16, FTW_PHYS);
}

/* Another program appends. */
static void
append(const char *text)
{
	FILE *f = fopen(mail_path("ann"), "a");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* The one ledger there is. */
static int
ledger_dir(char name[300])
{
	char path[300];
	struct dirent *e;
	DIR *d;
	int fd;

	snprintf(path, sizeof(path), "%s/mbox/ledger", rig_dir());
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL && e->d_name[0] == '.')
		;
	assert_non_null(e);
	snprintf(name, 300, "%s", e->d_name);
	fd = dup(dirfd(d));
	closedir(d);
	return fd;
}

/* Messages nobody will see again, so many that the next session rewrites the ledger. */
static void
age_ledger(void)
{
	struct ledger_out o = {0};
	char name[300], id[60];
	int fd = ledger_dir(name);

	for (int k = 0; k < GONE; k++) {
		snprintf(id, sizeof(id), "%040d.1", k);
		ledger_put_message(&o, id, 42, id, 40, 3, 2, 0, 0);
	}
	assert_int_equal(ledger_append(fd, name, o.text, o.n, false), 0);
	ledger_out_free(&o);
	(void)close(fd);
}

static size_t
records(void)
{
	size_t good, bad, n;
	char name[300];
	int fd = ledger_dir(name);
	struct ledger *l = ledger_load(fd, name, &good, &bad);

	assert_non_null(l);
	assert_int_equal(bad, 0);
	n = ledger_count(l);
	ledger_free(l);
	(void)close(fd);
	return n;
}

/* "uidl uidl " of a session, which leaves nothing but the ledger. */
static const char *
uidls(struct host_inst *i, uint32_t flags)
{
	static char text[16][UIDLS];
	static unsigned turn;
	char *at = text[turn++ % 16];
	struct pm_msg m;
	size_t used = 0;
	uint64_t n;
	void *mbox = box_enter(i, flags, &n);

	at[0] = '\0';
	for (uint64_t k = 0; k < n; k++) {
		box_info(i, mbox, k, &m);
		used += (size_t)snprintf(at + used, UIDLS - used, "%.*s ", (int)m.uidl_len, m.uidl);
		assert_true(used < UIDLS);
	}
	host_mbox_close(i, mbox, call);
	forget();
	return at;
}

/* The k-th word. */
static const char *
word(const char *list, unsigned k)
{
	static char text[8][80];
	static unsigned turn;
	char *at = text[turn++ % 8];

	while (k-- > 0)
		list = strchr(list, ' ') + 1;
	snprintf(at, 80, "%.*s", (int)strcspn(list, " "), list);
	return at;
}

static void
remaining_messages_keep_their_unique_ids(void **state)
{
	struct host_inst *i = mbox_open();
	const char *before, *now;
	struct pm_msg m;
	uint64_t n;
	void *mbox;

	(void)state;
	mail_put("ann", OTHER TWIN LAST TWIN);
	before = uidls(i, PM_OPEN_EXCLUSIVE);
	assert_int_equal(box_quit(i, "2", "0", 7000), PM_OK);
	now = uidls(i, PM_OPEN_EXCLUSIVE);
	assert_string_equal(word(now, 0), word(before, 0));
	assert_string_equal(word(now, 1), word(before, 1));
	assert_string_equal(word(now, 2), word(before, 3));
	age_ledger();
	assert_true(records() > GONE);
	assert_string_equal(uidls(i, PM_OPEN_READONLY), now); /* writes nothing */
	assert_true(records() > GONE);
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), now);
	assert_int_equal(records(), 3);
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), now);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	box_info(i, mbox, 0, &m);
	assert_int_equal(m.first_retrieved_ms, 7000);
	box_info(i, mbox, 1, &m);
	assert_int_equal(m.first_retrieved_ms, 0);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

/* Of four twins the first two are deleted: a fifth gets none of the numbers that were given. */
static void
twins_after_deleted_twins(void **state)
{
	struct host_inst *i = mbox_open();
	const char *before, *now;

	(void)state;
	mail_put("ann", TWIN TWIN TWIN TWIN);
	before = uidls(i, PM_OPEN_EXCLUSIVE);
	for (unsigned k = 1; k < 4; k++)
		assert_string_not_equal(word(before, k), word(before, k - 1));
	assert_int_equal(box_quit(i, "0 1", NULL, 1), PM_OK);
	now = uidls(i, PM_OPEN_EXCLUSIVE);
	assert_string_equal(word(now, 0), word(before, 2));
	assert_string_equal(word(now, 1), word(before, 3));
	age_ledger();
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), now);
	assert_int_equal(records(), 4); /* the deleted ones stand before those that are there */
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), now);
	append(TWIN);
	now = uidls(i, PM_OPEN_EXCLUSIVE);
	assert_string_equal(word(now, 0), word(before, 2));
	assert_string_equal(word(now, 1), word(before, 3));
	for (unsigned k = 0; k < 4; k++)
		assert_string_not_equal(word(now, 2), word(before, k));
	age_ledger(); /* once more, with a rewritten ledger */
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), now);
	assert_int_equal(records(), 5);
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), now);
	host_close(i);
}

#define CROWD 400

/* Of many twins the first half is deleted: each of their numbers is kept once. */
static void
a_crowd_of_twins(void **state)
{
	struct host_inst *i = mbox_open();
	char *text = calloc(CROWD, sizeof(TWIN)), del[5 * CROWD] = "", name[300];
	size_t at = 0, good, bad, lines;
	struct ledger *l;
	uint64_t n;
	int fd;

	(void)state;
	for (int k = 0; k < CROWD; k++)
		strcat(text, TWIN);
	for (int k = 0; k < CROWD / 2; k++)
		at += (size_t)snprintf(del + at, sizeof(del) - at, "%s%d", k > 0 ? " " : "", k);
	mail_put("ann", text);
	assert_int_equal(box_quit(i, del, NULL, 1), PM_OK);
	age_ledger();
	age_ledger(); /* for so many messages more is let be */
	forget();
	host_mbox_close(i, box_enter(i, PM_OPEN_EXCLUSIVE, &n), call);
	assert_int_equal(n, CROWD / 2);
	fd = ledger_dir(name);
	l = ledger_load(fd, name, &good, &bad);
	assert_non_null(l);
	lines = ledger_lines(l);
	assert_int_equal(ledger_count(l), CROWD);
	if (lines > 4 * CROWD)
		fail_msg("%zu lines for %d messages", lines, CROWD);
	ledger_free(l);
	(void)close(fd);
	free(text);
	host_close(i);
}

/* Hidden ones are there. */
static void
hidden_ones_can_still_be_restored(void **state)
{
	struct host_inst *i = mbox_open();
	const uint8_t second[1] = {2};
	struct pm_commit hide = {.size = sizeof(hide),
				 .n = 3,
				 .del = second,
				 .now_ms = 1,
				 .keep_until_ms = rig_host.wall_ms(rig_host.ctx) + 86400000},
			 back = {.size = sizeof(back), .n = 3, .restore = second, .now_ms = 2};
	uint64_t n, done;
	const char *before;
	void *mbox;

	(void)state;
	mail_put("ann", TWIN TWIN TWIN);
	before = uidls(i, PM_OPEN_EXCLUSIVE);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	while (host_mbox_commit(i, mbox, call, &hide, &done) == PM_AGAIN)
		;
	host_mbox_close(i, mbox, call);
	age_ledger();
	for (int k = 0; k < 2; k++) {
		const char *now = uidls(i, PM_OPEN_EXCLUSIVE);

		assert_string_equal(word(now, 0), word(before, 0));
		assert_string_equal(word(now, 1), word(before, 2));
		assert_int_equal(records(), 3);
	}
	assert_string_equal(uidls(i, PM_OPEN_READONLY | PM_OPEN_HIDDEN), before);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN, &n);
	assert_int_equal(n, 3);
	while (host_mbox_commit(i, mbox, call, &back, &done) == PM_AGAIN)
		;
	host_mbox_close(i, mbox, call);
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), before);
	host_close(i);
}

/* The ledger's text; malloc'd. */
static char *
ledger_text(size_t *ret_n)
{
	char name[300], *text = calloc(1, 20000);
	int dir = ledger_dir(name), fd = openat(dir, name, O_RDONLY);
	ssize_t n = read(fd, text, 19999);

	assert_true(n > 0);
	(void)close(fd);
	(void)close(dir);
	*ret_n = (size_t)n;
	return text;
}

static void
box_holds(const char *text)
{
	size_t n;
	char *now = mail_text("ann", &n);

	assert_string_equal(now ? now : "", text);
	free(now);
}

/* A session that deletes all it sees: this many. */
static void
empty_box(struct host_inst *i, uint64_t want)
{
	static const char *const all[] = {NULL, "0", "0 1", "0 1 2"};
	uint64_t n;
	void *mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);

	assert_int_equal(n, want);
	call->pm.op_id[0]++;
	assert_int_equal(box_commit(i, mbox, n, all[n], NULL, 1), PM_OK);
	host_mbox_close(i, mbox, call);
}

/* Other programs' data about the mailbox: it is no mail, and stays first. */
static void
internal_data_is_kept_and_not_shown(void **state)
{
	struct host_inst *i = mbox_open();
	struct pm_stat s = {.size = sizeof(s)};
	const char *before;

	(void)state;
	mail_put("ann", OTHER LAST);
	before = uidls(i, PM_OPEN_EXCLUSIVE);
	mail_put("ann", INTERNAL OTHER LAST);
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), before);
	assert_string_equal(uidls(i, PM_OPEN_READONLY | PM_OPEN_HIDDEN), before);
	assert_int_equal(box_totals(i, &s), PM_OK);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.octets, strlen("Subject: other\r\n\r\nx\r\n"
					  "Subject: last\r\n\r\nxyz\r\n"));
	age_ledger();
	assert_string_equal(uidls(i, PM_OPEN_EXCLUSIVE), before);
	assert_int_equal(records(), 2);
	append(TWIN);
	empty_box(i, 3);
	box_holds(INTERNAL);
	empty_box(i, 0);
	append(OTHER);
	empty_box(i, 1);
	box_holds(INTERNAL);
	assert_int_equal(box_totals(i, &s), PM_OK);
	assert_int_equal(s.count, 0);
	host_close(i);
}

/* One that an earlier build listed and hid, whose time is over. */
static void
internal_data_outlives_its_marks(void **state)
{
	struct host_inst *i = mbox_open();
	struct ledger_out o = {0};
	char name[300], *text;
	size_t n;
	int fd;

	(void)state;
	mail_put("ann", OTHER INTERNAL); /* not the first: a message */
	(void)uidls(i, PM_OPEN_EXCLUSIVE);
	fd = ledger_dir(name);
	text = ledger_text(&n);
	ledger_put_mark(&o, 'H', strchr(strchr(strstr(text, " M "), '\n'), 'M') + 2, 42, 1);
	assert_int_equal(ledger_append(fd, name, o.text, o.n, false), 0);
	ledger_out_free(&o);
	(void)close(fd);
	free(text);
	mail_put("ann", INTERNAL OTHER);
	empty_box(i, 1);
	box_holds(INTERNAL);
	host_close(i);
}

/* A letter about it, or a header that others write, is mail. */
static void
only_the_first_with_both_marks(void **state)
{
	static const char subject[] = "DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA";
	struct host_inst *i = mbox_open();
	char text[2000];

	(void)state;
	mail_put("ann", OTHER INTERNAL LAST);
	empty_box(i, 3);
	box_holds("");
	snprintf(text, sizeof(text), "%sSubject: %s\n\nwhat is that?\n\n%sX-IMAP: 1 2\n\nx\n\n",
		 FROM, subject, FROM);
	mail_put("ann", text);
	empty_box(i, 2);
	snprintf(text, sizeof(text), "%sSubject: Re: %s\nX-IMAP: 1 2\n\nx\n\n", FROM, subject);
	mail_put("ann", text);
	empty_box(i, 1);
	snprintf(text, sizeof(text), "%sX-IMAP: 1 2\n\nSubject: %s\n\n", FROM, subject);
	mail_put("ann", text);
	empty_box(i, 1);
	box_holds("");
	host_close(i);
}

/* How many messages are listed when the ledger's file ends after n bytes of this text. */
static uint64_t
listed_after(struct host_inst *i, const char *text, size_t n)
{
	char name[300];
	int dir = ledger_dir(name), fd = openat(dir, name, O_WRONLY | O_TRUNC);
	uint64_t count;

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, n), n);
	(void)close(fd);
	(void)close(dir);
	forget();
	host_mbox_close(i, box_enter(i, PM_OPEN_READONLY, &count), call);
	return count;
}

/* A commit of which the disk kept a part only, wherever that ends. */
static void
torn_anywhere(struct host_inst *i, const struct pm_commit *c, uint64_t before, uint64_t after)
{
	size_t old_n, n;
	char *text = ledger_text(&old_n);
	uint64_t count, done, seen;
	void *mbox = box_enter(i, PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN, &count);

	free(text);
	call->pm.op_id[0]++;
	assert_int_equal(count, c->n);
	while (host_mbox_commit(i, mbox, call, c, &done) == PM_AGAIN)
		;
	host_mbox_close(i, mbox, call);
	text = ledger_text(&n);
	for (size_t k = old_n; k < n; k += 5) {
		seen = listed_after(i, text, k);
		if (seen != before && seen != after)
			fail_msg("%zu of %zu bytes: %lu messages, neither %lu nor %lu", k - old_n,
				 n - old_n, (unsigned long)seen, (unsigned long)before,
				 (unsigned long)after);
	}
	assert_int_equal(listed_after(i, text, n), after);
	free(text);
}

/* Hiding and restoring happen for all messages of a QUIT, or for none. */
static void
undo_is_all_or_nothing(void **state)
{
	struct host_inst *i = mbox_open();
	const uint8_t some[1] = {0x1d};
	struct pm_commit hide = {.size = sizeof(hide),
				 .n = 5,
				 .del = some,
				 .now_ms = 1,
				 .keep_until_ms = rig_host.wall_ms(rig_host.ctx) + 86400000},
			 back = {.size = sizeof(back), .n = 5, .restore = some, .now_ms = 2};

	(void)state;
	mail_put("ann", TWIN OTHER TWIN LAST TWIN);
	(void)uidls(i, PM_OPEN_EXCLUSIVE);
	torn_anywhere(i, &hide, 5, 1);
	torn_anywhere(i, &back, 1, 5);
	host_close(i);
}

/* One QUIT hides some and deletes others, whose time is over: two groups of one operation. */
static void
undo_beside_deletions(void **state)
{
	struct host_inst *i = mbox_open();
	const uint8_t first[1] = {1}, second[1] = {2};
	int64_t now = rig_host.wall_ms(rig_host.ctx);
	struct pm_commit c = {.size = sizeof(c),
			      .n = 3,
			      .del = first,
			      .now_ms = now - 10000,
			      .keep_until_ms = now - 5000};
	uint64_t n, done;
	void *mbox;

	(void)state;
	mail_put("ann", OTHER TWIN LAST);
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	while (host_mbox_commit(i, mbox, call, &c, &done) == PM_AGAIN)
		;
	host_mbox_close(i, mbox, call);
	forget();
	mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n); /* the first is over, and hidden */
	assert_int_equal(n, 2);
	c = (struct pm_commit){.size = sizeof(c),
			       .n = 2,
			       .del = second,
			       .now_ms = now,
			       .keep_until_ms = now + 86400000};
	call->pm.op_id[0]++;
	while (host_mbox_commit(i, mbox, call, &c, &done) == PM_AGAIN)
		;
	host_mbox_close(i, mbox, call);
	forget();
	host_mbox_close(i, box_enter(i, PM_OPEN_READONLY | PM_OPEN_HIDDEN, &n), call);
	assert_int_equal(n, 2);
	host_mbox_close(i, box_enter(i, PM_OPEN_READONLY, &n), call);
	assert_int_equal(n, 1);
	host_close(i);
}

#define BOX(f) cmocka_unit_test_setup_teardown(f, mail_fresh, mbox_clean)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX(remaining_messages_keep_their_unique_ids),
		BOX(twins_after_deleted_twins),
		BOX(a_crowd_of_twins),
		BOX(hidden_ones_can_still_be_restored),
		BOX(internal_data_is_kept_and_not_shown),
		BOX(internal_data_outlives_its_marks),
		BOX(only_the_first_with_both_marks),
		BOX(undo_is_all_or_nothing),
		BOX(undo_beside_deletions),
	};

	return cmocka_run_group_tests(tests, mbox_begin, mail_end);
}
