/* SPDX-License-Identifier: Apache-2.0 */
/* Badmail on a disk that cannot be looked at: what is there is kept, and is an item again when the
 * disk can be read. A directory without rights stands for a broken disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "badmail/badmail.h"
#include "badmail/badmail_lost.h"
#include "badmail/badmail_place.h"
#include "badmail/badmail_store.h"

static char dir[64];
static struct conf *c;

/* ---- rig ------------------------------------------------------------------------------------- */

/* Rights of files hold for root, too. */
static void
without_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	assert_int_equal(syscall(SYS_capset, &head, data), 0);
}

static int
begin(void **state)
{
	struct conf_errors e = {0};
	char path[100];
	FILE *f;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/rst-badmail.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/conf", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
		"config_version = 1\nstate_dir = %s\n"
		"badmail {\n path = %s/bad\n max_items = 100\n}\n",
		dir, dir);
	assert_int_equal(fclose(f), 0);
	c = conf_load(path, &e);
	assert_non_null(c);
	return 0;
}

static int
end(void **state)
{
	char command[200];

	(void)state;
	conf_put(c);
	snprintf(command, sizeof(command), "chmod -R u+rwx %s && rm -rf %s", dir, dir);
	return system(command);
}

static uint64_t
insert(enum badmail_class cls)
{
	struct pm_str rcpt = {"a@b.example", 11};
	struct badmail_item item = {.cls = cls, .rcpts = &rcpt, .n_rcpts = 1, .reason = {"why", 3}};
	enum badmail_class was;
	struct badmail *b;
	uint64_t id;
	char text[17];

	assert_int_equal(badmail_begin(c, &b, NULL), PM_OK);
	assert_int_equal(badmail_write(b, "Subject: x\r\n\r\ny\r\n", 17), PM_OK);
	assert_int_equal(badmail_commit(b, &item, text, NULL), PM_OK);
	badmail_end(b);
	assert_true(badmail_id_parse(text, &was, &id) && was == cls);
	return id;
}

static void
bucket_of(enum badmail_class cls, uint64_t id, char path[BADMAIL_PATH_MAX])
{
	badmail_place_item(&c->badmail, cls, id, "", path, BADMAIL_PATH_MAX);
	*strrchr(path, '/') = '\0';
}

static void
rights(enum badmail_class cls, uint64_t id, mode_t mode)
{
	char path[BADMAIL_PATH_MAX];

	bucket_of(cls, id, path);
	assert_int_equal(chmod(path, mode), 0);
}

static bool
there(enum badmail_class cls, uint64_t id, const char *suffix)
{
	char path[BADMAIL_PATH_MAX];

	badmail_place_item(&c->badmail, cls, id, suffix, path, sizeof(path));
	return access(path, F_OK) == 0;
}

static void
drop(enum badmail_class cls, uint64_t id, const char *suffix)
{
	char path[BADMAIL_PATH_MAX];

	badmail_place_item(&c->badmail, cls, id, suffix, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
}

/* The state page as another boot, or a death in the middle of a step, left it. */
static void
leave_state(bool other_boot, enum badmail_pending pending, uint64_t id)
{
	struct badmail_store st;

	assert_int_equal(badmail_store_lock(c, &st, NULL), PM_OK);
	st.s.boot = other_boot ? 0 : st.s.boot;
	st.s.pending = pending;
	st.s.pending_class = BADMAIL_RETRY;
	st.s.pending_id = id;
	st.s.pending_octets = 17 + BADMAIL_OVERHEAD;
	assert_true(badmail_store_unlock(&st));
}

static uint64_t
items(enum badmail_class cls)
{
	struct badmail_store st;

	assert_int_equal(badmail_store_lock(c, &st, NULL), PM_OK);
	assert_true(badmail_store_unlock(&st));
	return st.s.cls[cls].items;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* The names can be read, the files not: each sidecar is an item. */
static void
items_that_cannot_be_looked_at_are_counted(void **state)
{
	uint64_t id = insert(BADMAIL_RETRY);

	(void)state;
	(void)insert(BADMAIL_RETRY);
	leave_state(true, PENDING_NONE, 0);
	rights(BADMAIL_RETRY, id, 0600);
	assert_int_equal(items(BADMAIL_RETRY), 2);
	rights(BADMAIL_RETRY, id, 0700);
	assert_true(there(BADMAIL_RETRY, id, ".eml") && there(BADMAIL_RETRY, id, ".json"));
}

/* Totals that leave out a directory are none: the store fails, in words, until it can be read. */
static void
a_directory_that_cannot_be_read_is_not_empty(void **state)
{
	uint64_t id = insert(BADMAIL_RETRY);
	struct badmail_store st;
	char text[200];

	(void)state;
	leave_state(true, PENDING_NONE, 0);
	rights(BADMAIL_RETRY, id, 0);
	assert_int_equal(badmail_store_lock(c, &st, text), PM_PERM);
	assert_non_null(strstr(text, "/retry/0000/00: Permission denied"));
	rights(BADMAIL_RETRY, id, 0700);
	assert_int_equal(items(BADMAIL_RETRY), 1);
}

static void
a_pending_step_waits_for_a_look(void **state)
{
	uint64_t id = insert(BADMAIL_RETRY);
	struct badmail_store st;

	(void)state;
	leave_state(false, PENDING_REMOVE, id);
	rights(BADMAIL_RETRY, id, 0);
	assert_int_equal(badmail_store_lock(c, &st, NULL), PM_PERM);
	rights(BADMAIL_RETRY, id, 0700);
	assert_int_equal(items(BADMAIL_RETRY), 1); /* it was not removed yet */
	assert_true(there(BADMAIL_RETRY, id, ".eml"));
}

/* The first item that can be seen is not the first one there is. */
static void
the_first_item_stays_the_first(void **state)
{
	uint64_t id = insert(BADMAIL_RETRY), next, first, seen;
	struct badmail_store st;
	bool unsure;

	(void)state;
	assert_int_equal(badmail_store_lock(c, &st, NULL), PM_OK);
	st.s.next_id = 300; /* another directory */
	assert_true(badmail_store_unlock(&st));
	assert_int_equal(next = insert(BADMAIL_RETRY), 300);
	rights(BADMAIL_RETRY, id, 0);
	assert_int_equal(badmail_store_lock(c, &st, NULL), PM_OK);
	assert_true(badmail_place_next(&c->badmail, BADMAIL_RETRY, id, 400, &seen, &unsure));
	assert_true(seen == next && unsure);
	assert_true(badmail_store_oldest_ms(&st, BADMAIL_RETRY) > 0);
	first = st.s.cls[BADMAIL_RETRY].first;
	assert_true(badmail_store_unlock(&st));
	rights(BADMAIL_RETRY, id, 0700);
	assert_true(badmail_place_next(&c->badmail, BADMAIL_RETRY, first, 400, &seen, &unsure));
	assert_true(seen == id && !unsure);
}

static void
halves_are_set_aside(void **state)
{
	uint64_t a = insert(BADMAIL_RETRY), b = insert(BADMAIL_RETRY),
		 whole = insert(BADMAIL_RETRY);
	char path[BADMAIL_PATH_MAX];
	struct stat st;

	(void)state;
	drop(BADMAIL_RETRY, a, ".json");
	drop(BADMAIL_RETRY, b, ".eml");
	leave_state(true, PENDING_NONE, 0);
	assert_int_equal(items(BADMAIL_RETRY), 1);
	assert_true(there(BADMAIL_RETRY, whole, ".eml"));
	assert_false(there(BADMAIL_RETRY, a, ".eml") || there(BADMAIL_RETRY, b, ".json"));
	snprintf(path, sizeof(path), "%s/lost/retry-%016x.eml", c->badmail.path, (unsigned)a);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 17);
	snprintf(path, sizeof(path), "%s/lost/retry-%016x.json", c->badmail.path, (unsigned)b);
	assert_int_equal(stat(path, &st), 0);
}

/* A full lost/ takes nothing more, and nothing goes for that. */
static void
what_has_no_room_in_lost_stays(void **state)
{
	uint64_t id = insert(BADMAIL_REFUSED);
	char path[BADMAIL_PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/lost", c->badmail.path);
	assert_int_equal(mkdir(path, 0700), 0);
	for (unsigned k = 0; k < BADMAIL_LOST_MAX; k++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/lost/%u", c->badmail.path, k);
		assert_non_null(f = fopen(path, "w"));
		assert_int_equal(fclose(f), 0);
	}
	drop(BADMAIL_REFUSED, id, ".json");
	leave_state(true, PENDING_NONE, 0);
	assert_int_equal(items(BADMAIL_REFUSED), 0);
	assert_true(there(BADMAIL_REFUSED, id, ".eml"));
}

/* One that cannot be read is not one that was purged. */
static void
a_sidecar_tells_why_it_is_not_read(void **state)
{
	uint64_t id = insert(BADMAIL_RETRY);
	char path[BADMAIL_PATH_MAX];

	(void)state;
	badmail_place_item(&c->badmail, BADMAIL_RETRY, id, ".json", path, sizeof(path));
	assert_int_equal(chmod(path, 0), 0);
	assert_null(badmail_item_load(&c->badmail, BADMAIL_RETRY, id));
	assert_int_equal(errno, EACCES);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 10), 0);
	assert_null(badmail_item_load(&c->badmail, BADMAIL_RETRY, id));
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(unlink(path), 0);
	assert_null(badmail_item_load(&c->badmail, BADMAIL_RETRY, id));
	assert_int_equal(errno, ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(items_that_cannot_be_looked_at_are_counted),
		TEST(a_directory_that_cannot_be_read_is_not_empty),
		TEST(a_pending_step_waits_for_a_look),
		TEST(the_first_item_stays_the_first),
		TEST(halves_are_set_aside),
		TEST(what_has_no_room_in_lost_stays),
		TEST(a_sidecar_tells_why_it_is_not_read),
	};

	without_capabilities();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
