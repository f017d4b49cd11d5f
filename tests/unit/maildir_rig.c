/* SPDX-License-Identifier: Apache-2.0 */
#include "maildir_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ----------------------------------------------------------------------------------- */

const char *
mail_path(const char *rel)
{
	static char paths[8][5000];
	static unsigned turn;
	char *path = paths[turn++ % COUNT(paths)];

	/* without the dots, which no maildir's path may hold */
	if (strncmp(rel, "..", 2) == 0)
		snprintf(path, sizeof(paths[0]), "%s/mail%s", rig_dir(), rel + 2);
	else
		snprintf(path, sizeof(paths[0]), "%s/mail/ann/%s", rig_dir(), rel);
	return path;
}

void
mail_put(const char *rel, const char *text)
{
	FILE *f = fopen(mail_path(rel), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

void
mail_dir(const char *rel)
{
	assert_int_equal(mkdir(mail_path(rel), 0700), 0);
}

void
mail_move(const char *from, const char *to)
{
	assert_int_equal(rename(mail_path(from), mail_path(to)), 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void
mail_remove(const char *rel)
{
	if (mail_there(rel))
		assert_int_equal(nftw(mail_path(rel), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

bool
mail_there(const char *rel)
{
	struct stat st;

	return lstat(mail_path(rel), &st) == 0;
}

void
mail_age(void)
{
	static time_t date = 1000000000;
	struct timespec t[2] = {{.tv_sec = date}, {.tv_sec = date}};

	date++;
	assert_int_equal(utimensat(AT_FDCWD, mail_path("new"), t, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, mail_path("cur"), t, 0), 0);
}

char *
mail_text(const char *rel, size_t *ret_n)
{
	FILE *f = fopen(mail_path(rel), "r");
	char *text = NULL;
	size_t cap = 0;
	ssize_t n;

	assert_non_null(f);
	n = getdelim(&text, &cap, EOF, f);
	assert_int_equal(fclose(f), 0);
	*ret_n = n > 0 ? (size_t)n : 0;
	if (n <= 0 && text)
		text[0] = '\0';
	return text;
}

const char *
mail_names(const char *dir)
{
	static char names[4][4000];
	static unsigned turn;
	char *text = names[turn++ % COUNT(names)];
	struct dirent **list;
	size_t at = 0;
	int n = scandir(mail_path(dir), &list, NULL, alphasort);

	assert_true(n >= 0);
	text[0] = '\0';
	for (int k = 0; k < n; k++) {
		if (strcmp(list[k]->d_name, ".") != 0 && strcmp(list[k]->d_name, "..") != 0 &&
		    at < sizeof(names[0]))
			at += (size_t)snprintf(text + at, sizeof(names[0]) - at, "%s ",
					       list[k]->d_name);
		free(list[k]);
	}
	free(list);
	return text;
}

const char *
mail_letters(void)
{
	static char text[2000];
	static const char *const dirs[] = {"new", "cur"};
	size_t at = 0, n;

	text[0] = '\0';
	for (size_t d = 0; d < COUNT(dirs); d++) {
		char *names = strdup(mail_names(dirs[d])), *save;

		for (char *name = strtok_r(names, " ", &save); name;
		     name = strtok_r(NULL, " ", &save)) {
			char path[300], *letter;

			snprintf(path, sizeof(path), "%s/%s", dirs[d], name);
			letter = mail_text(path, &n);
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s ", letter);
			free(letter);
		}
		free(names);
	}
	return text;
}

void
mail_ledger(struct ledger_out *o)
{
	FILE *f = fopen(mail_path("restante-ledger"), "w");

	assert_false(o->failed);
	assert_non_null(f);
	assert_int_equal(fwrite(o->text, 1, o->n, f), o->n);
	assert_int_equal(fclose(f), 0);
	ledger_out_free(o);
}

void
mail_known(struct ledger_out *o, const char *identity, const char *uidl, uint64_t octets,
	   uint64_t stored)
{
	ledger_put_message(o, identity, strlen(identity), uidl, strlen(uidl), octets, stored, 0, 0);
}

struct ledger *
mail_ledger_read(void)
{
	struct ledger *l = ledger_new();
	size_t n, good;
	char *text = mail_text("restante-ledger", &n);

	assert_non_null(l);
	assert_true(ledger_read(l, text, n, &good));
	assert_int_equal(good, n);
	free(text);
	return l;
}

/* ---- life ------------------------------------------------------------------------------------ */

int
mail_begin(void **state)
{
	static const char *const modules[] = {"maildir", NULL};

	(void)state;
	(void)rig_begin(modules);
	return 0;
}

int
mail_end(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

int
mail_fresh(void **state)
{
	static const char *const dirs[] = {"..", "", "tmp", "new", "cur"};

	if (fresh(state) != 0)
		return -1;
	mail_remove("..");
	for (size_t k = 0; k < COUNT(dirs); k++)
		mail_dir(dirs[k]);
	return 0;
}

/* Of thousands of maildirs the log is to tell which one each line is about. */
static int
log_names_maildirs(void)
{
	char begin[300];
	int unnamed = 0;

	snprintf(begin, sizeof(begin), "maildir %s/mail/", rig_dir());
	for (const char *line = rig_log; *line; line = strchr(line, '\n') + 1) {
		if (!strchr(line, '\n'))
			break; /* cut: the log of a test is full */
		if (strncmp(line + strcspn(line, " ") + 1, begin, strlen(begin)) == 0)
			continue;
		print_error("a line that does not name its maildir: %.*s\n",
			    (int)strcspn(line, "\n"), line);
		unnamed = -1;
	}
	return unnamed;
}

int
mail_tidy(void **state)
{
	int unnamed = log_names_maildirs();

	mail_remove("..");
	return tidy(state) != 0 ? -1 : unnamed;
}

/* ---- sessions -------------------------------------------------------------------------------- */

void *
box_enter(struct host_inst *i, uint32_t flags, uint64_t *ret_n)
{
	struct pm_user u = user_named("ann");
	void *mbox = NULL;
	int32_t r;

	assert_non_null(i);
	do
		r = host_mbox_open(i, call, &u, flags, ret_n, &mbox);
	while (r == PM_AGAIN);
	if (r != PM_OK)
		fail_msg("open: %s %s", host_code_name(r), call->error);
	return mbox;
}

void
box_info(struct host_inst *i, void *mbox, uint64_t k, struct pm_msg *ret)
{
	int32_t r;

	do
		r = host_mbox_info(i, mbox, call, k, 1, WANT_ALL, ret);
	while (r == PM_AGAIN);
	if (r != PM_OK)
		fail_msg("info %lu: %s %s", (unsigned long)k, host_code_name(r), call->error);
}

int32_t
box_read(struct host_inst *i, void *mbox, uint64_t k, char *buf, size_t cap)
{
	size_t n = 0, got;
	void *msg;
	int32_t r = host_msg_open(i, mbox, call, k, &msg);

	buf[0] = '\0';
	if (r != PM_OK)
		return r;
	while (n + 1 < cap &&
	       (r = host_msg_read(i, msg, call, buf + n, cap - n - 1, &got)) == PM_OK)
		n += got;
	buf[n] = '\0';
	host_msg_close(i, msg, call);
	return r == PM_END ? PM_OK : r;
}

const char *
box_list_of(struct host_inst *i, uint32_t flags)
{
	static char lists[4][8000];
	static unsigned turn;
	char *text = lists[turn++ % COUNT(lists)];
	size_t at = 0;
	uint64_t n;
	void *mbox = box_enter(i, flags, &n);

	text[0] = '\0';
	for (uint64_t k = 0; k < n && at < sizeof(lists[0]); k++) {
		struct pm_msg m;

		box_info(i, mbox, k, &m);
		at += (size_t)snprintf(text + at, sizeof(lists[0]) - at, "%.*s:%lu ",
				       (int)m.uidl_len, m.uidl, (unsigned long)m.octets);
	}
	host_mbox_close(i, mbox, call);
	return text;
}

const char *
box_letters(struct host_inst *i, uint32_t flags)
{
	static char texts[4][8000];
	static unsigned turn;
	char *text = texts[turn++ % COUNT(texts)];
	size_t at = 0;
	uint64_t n;
	void *mbox = box_enter(i, flags, &n);

	text[0] = '\0';
	for (uint64_t k = 0; k < n; k++) {
		char buf[40];
		struct pm_msg m;

		box_info(i, mbox, k, &m);
		assert_int_equal(box_read(i, mbox, k, buf, sizeof(buf)), PM_OK);
		assert_int_equal(m.octets, strlen(buf) + 2); /* no line ends in these letters */
		at += (size_t)snprintf(text + at, sizeof(texts[0]) - at, "%.*s=%s ",
				       (int)m.uidl_len, m.uidl, buf);
	}
	host_mbox_close(i, mbox, call);
	return text;
}

void
box_expect(struct host_inst *i, const char *list)
{
	const char *is = box_letters(i, PM_OPEN_READONLY);

	if (strcmp(is, list) != 0)
		fail_msg("'%s' instead of '%s'", is, list);
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), list);
	assert_string_equal(box_letters(i, PM_OPEN_READONLY), list); /* from the ledger */
	assert_string_equal(box_letters(i, PM_OPEN_EXCLUSIVE), list);
}

/* "0 2" as bits. */
static void
bits_of(const char *text, uint8_t *map, size_t cap)
{
	char *end;

	memset(map, 0, cap);
	for (const char *p = text; *p; p = end + (*end == ' ')) {
		unsigned long k = strtoul(p, &end, 10);

		assert_true(end > p && k / 8 < cap);
		map[k / 8] = (uint8_t)(map[k / 8] | 1u << k % 8);
	}
}

int32_t
box_commit(struct host_inst *i, void *mbox, uint64_t n, const char *del, const char *retrieved,
	   int64_t now_ms)
{
	uint8_t dels[64], seens[64];
	struct pm_commit c = {.size = sizeof(c), .n = n, .now_ms = now_ms};
	uint64_t done;
	int32_t r;

	if (del) {
		bits_of(del, dels, sizeof(dels));
		c.del = dels;
	}
	if (retrieved) {
		bits_of(retrieved, seens, sizeof(seens));
		c.retrieved = seens;
	}
	do
		r = host_mbox_commit(i, mbox, call, &c, &done);
	while (r == PM_AGAIN);
	return r;
}

int32_t
box_quit(struct host_inst *i, const char *del, const char *retrieved, int64_t now_ms)
{
	uint64_t n;
	void *mbox = box_enter(i, PM_OPEN_EXCLUSIVE, &n);
	int32_t r;

	call->pm.op_id[0]++; /* another commit */
	r = box_commit(i, mbox, n, del, retrieved, now_ms);
	host_mbox_close(i, mbox, call);
	return r;
}

int32_t
box_totals(struct host_inst *i, struct pm_stat *ret)
{
	struct pm_user u = user_named("ann");
	int32_t r;

	do
		r = host_box_stat(i, call, &u, ret);
	while (r == PM_AGAIN);
	return r;
}

int32_t
box_deliver(struct host_inst *i, const struct pm_rcpt *r, uint32_t flags, const char *text,
	    struct pm_result *ret)
{
	int32_t code;
	void *dlv;

	*ret = (struct pm_result){.size = sizeof(*ret)};
	assert_int_equal(host_dlv_begin(i, call, 0, flags, &dlv), PM_OK);
	code = host_dlv_rcpt(i, dlv, call, r);
	if (code != PM_OK) {
		host_dlv_abort(i, dlv, call);
		return code;
	}
	assert_int_equal(host_dlv_write(i, dlv, call, text, strlen(text)), PM_OK);
	assert_int_equal(host_dlv_prepare(i, dlv, call, ret), PM_OK);
	assert_int_equal(host_dlv_commit(i, dlv, call, ret), PM_OK);
	return ret->rc;
}

void
expect_list(struct host_inst *i, const char *list)
{
	const char *is = box_list_of(i, PM_OPEN_READONLY);

	if (strcmp(is, list) != 0)
		fail_msg("'%s' instead of '%s'", is, list);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), list);
	assert_string_equal(box_list_of(i, PM_OPEN_EXCLUSIVE), list); /* from the ledger */
}
