/* SPDX-License-Identifier: Apache-2.0 */
/* Journals that a crash left in the state directory, written here by hand as earlier builds wrote
 * them: what the next session makes of them. tests/crash/storm.c has those of this build. */
#include "mbox_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FROM "From clerk@example.org Sat Nov 11 11:11:11 2023\n"
#define ONE FROM "Subject: one\n\nfirst\n\n"
#define TWO FROM "Subject: two\n\nsecond\n\n"
#define THREE FROM "Subject: three\n\nthird\n\n"
#define GREEK FROM "Subject: four\n\n\xce\xb1\xce\xb2\xce\xb3 \xc3\xa9\n\n"
#define BIG 400000

struct head {
	char magic[8];
	uint64_t phase, sum, ino, old, start, payload;
	uint32_t nonce_n, path_n, list_n, pad;
	unsigned char nonce[16];
};

static int
clean(void **state)
{
	rig_log[0] = '\0'; /* its lines are about no maildir */
	return mbox_clean(state);
}

/* The path in mbox/journal of a journal of ann's: its name is that of her index. */
static const char *
journal_path(const char *end)
{
	static char paths[4][700];
	static unsigned turn;
	char dir[300], *path = paths[turn++ % COUNT(paths)];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/mbox/index", rig_dir());
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL && e->d_name[0] == '.')
		;
	assert_non_null(e);
	snprintf(path, sizeof(paths[0]), "%s/mbox/journal/%s%s", rig_dir(), e->d_name, end);
	closedir(d);
	return path;
}

static uint64_t
sum_of(const void *p, size_t n, uint64_t sum)
{
	for (const unsigned char *c = p; n > 0; c++, n--)
		sum = (sum ^ *c) * 0x100000001b3u;
	return sum;
}

/* A journal of the file as it is now: `payload` belongs to `start`, and the file was `old` long. */
static void
journal_put(uint64_t phase, uint64_t old, uint64_t start, const char *payload, uint32_t nonce_n)
{
	const char *path = mail_path("ann");
	struct head h = {.phase = phase,
			 .old = old,
			 .start = start,
			 .payload = strlen(payload),
			 .nonce_n = nonce_n,
			 .path_n = (uint32_t)strlen(path)};
	struct stat st;
	FILE *f;

	assert_int_equal(stat(path, &st), 0);
	h.ino = st.st_ino;
	memset(h.nonce, 0xc3, sizeof(h.nonce)); /* which UTF-8 has as well */
	memcpy(h.magic, "rstmjrn1", 8);
	h.sum = sum_of(path, strlen(path),
		       sum_of(&h.ino, sizeof(h) - offsetof(struct head, ino), 0xcbf29ce484222325u));
	f = fopen(journal_path(""), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(&h, sizeof(h), 1, f), 1);
	assert_true(fputs(path, f) >= 0 && fputs(payload, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static bool
there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
holds(const char *text)
{
	size_t n;
	char *now = mail_text("ann", &n);

	assert_string_equal(now ? now : "", text);
	free(now);
}

/* A session before, for the name of the journal. */
static struct host_inst *
begun(const char *text)
{
	struct host_inst *i = mbox_open();

	mail_put("ann", text);
	(void)box_list_of(i, PM_OPEN_EXCLUSIVE);
	return i;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* By a version that did not write down what stands around it. */
static void
an_older_journal_is_carried_out(void **state)
{
	struct host_inst *i = begun(ONE TWO THREE);

	(void)state;
	journal_put(1, strlen(ONE TWO THREE), strlen(ONE), THREE, 16);
	(void)box_list_of(i, PM_OPEN_EXCLUSIVE);
	holds(ONE THREE);
	assert_false(there(journal_path("")));
	host_close(i);
}

/* It had truncated; the one byte of its nonce is found in any text beyond ASCII. */
static void
a_short_nonce_makes_no_conflict(void **state)
{
	struct host_inst *i = begun(ONE THREE GREEK);

	(void)state;
	journal_put(2, strlen(ONE THREE) + 1, strlen(ONE), THREE, 1);
	(void)box_list_of(i, PM_OPEN_EXCLUSIVE);
	holds(ONE THREE GREEK);
	assert_false(there(journal_path(".conflict")));
	assert_false(there(journal_path("")));
	host_close(i);
}

/* The text of a large journal goes back in slices, under the locks. */
static void
a_large_journal_is_carried_out_in_slices(void **state)
{
	char *payload = malloc(BIG), *text = malloc(2 * BIG);
	struct pm_user u = user_named("ann");
	struct host_inst *i;
	unsigned slices = 0;
	uint64_t n;
	void *mbox = NULL;
	int32_t r;

	(void)state;
	assert_true(payload && text);
	memset(payload, 'x', BIG);
	memcpy(payload, THREE, strlen(THREE) - 1);
	memcpy(payload + BIG - 3, "\n\n", 3);
	snprintf(text, 2 * BIG, "%s%s%s", ONE, TWO, payload);
	i = begun(text);
	journal_put(1, strlen(text), strlen(ONE), payload, 16);
	step_ms = 200; /* each look at the clock ends a slice */
	while ((r = host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &n, &mbox)) == PM_AGAIN)
		slices += there(journal_path(""));
	step_ms = 0;
	assert_int_equal(r, PM_OK);
	assert_int_equal(n, 2);
	assert_true(slices > BIG / 65536);
	host_mbox_close(i, mbox, call);
	snprintf(text, 2 * BIG, "%s%s", ONE, payload);
	holds(text);
	free(payload);
	free(text);
	host_close(i);
}

#define BOX(f) cmocka_unit_test_setup_teardown(f, mail_fresh, clean)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOX(an_older_journal_is_carried_out),
		BOX(a_short_nonce_makes_no_conflict),
		BOX(a_large_journal_is_carried_out_in_slices),
	};

	return cmocka_run_group_tests(tests, mbox_begin, mail_end);
}
