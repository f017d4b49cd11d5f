/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a domain is not there: was it taken away, or can it not be seen? */
#include "passwd_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct pm_str domain = {"org.test", 8};

/* BASE/files/org.test/passwd, asked for as BASE/there/%d/passwd; `there` is a link to files. */
static char base[100], files[120], there[120], dir[140], path[160];

static struct host_inst *
open_domains(void)
{
	static int turn;
	char pattern[200];
	struct host_inst *i;

	snprintf(base, sizeof(base), "%s/domains%d", rig_dir(), turn++);
	snprintf(files, sizeof(files), "%s/files", base);
	snprintf(there, sizeof(there), "%s/there", base);
	snprintf(dir, sizeof(dir), "%s/org.test", files);
	snprintf(path, sizeof(path), "%s/passwd", dir);
	assert_int_equal(mkdir(base, 0700), 0);
	assert_int_equal(mkdir(files, 0700), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink(files, there), 0);
	write_in_place(path, "ann:{PLAIN}a\n");
	skew_ms += 2000;
	snprintf(pattern, sizeof(pattern), "%s/%%d/passwd", there);
	i = clocked_open("passwd", "file", pattern, "allow_plain", "yes", NULL);
	assert_non_null(i);
	return i;
}

static void
close_domains(struct host_inst *i)
{
	host_close(i);
	(void)unlink(path); /* the part that exists */
	(void)rmdir(dir);
	(void)unlink(dir);
	assert_int_equal(unlink(there), 0);
	assert_int_equal(rmdir(files), 0);
	assert_int_equal(rmdir(base), 0);
}

/* Hours go by, and it is looked at often. */
static void
expect_kept(struct host_inst *i)
{
	for (int k = 0; k < 5; k++) {
		skew_ms += 3600000;
		expect_user(i, "ann@org.test", "a");
		assert_int_equal(host_domain(i, call, domain), PM_OK);
	}
	assert_non_null(strstr(rig_log, "the accounts read before stay in force"));
}

static void
expect_gone(struct host_inst *i)
{
	expect_none(i, "ann@org.test", PM_DENIED);
	assert_int_equal(host_domain(i, call, domain), PM_NOENT);
	call_again();
}

static void
a_file_that_was_taken_away_takes_its_accounts_along(void **state)
{
	struct host_inst *i = open_domains();

	(void)state;
	expect_user(i, "ann@org.test", "a");
	assert_int_equal(unlink(path), 0);
	skew_ms += 1000;
	expect_user(i, "ann@org.test", "a"); /* an editor may be at it */
	assert_int_equal(host_domain(i, call, domain), PM_OK);
	skew_ms += 1000;
	expect_user(i, "ann@org.test", "a");
	assert_null(strstr(rig_log, "is gone"));
	skew_ms += 1000;
	expect_gone(i);
	assert_non_null(strstr(rig_log, "is gone, and with it 1 accounts"));
	rig_log[0] = '\0';
	skew_ms += 3600000;
	expect_gone(i);
	assert_string_equal(rig_log, "");
	write_in_place(path, "ann:{PLAIN}b\n");
	skew_ms += 3600000;
	expect_user(i, "ann@org.test", "b");
	close_domains(i);
}

static void
so_does_its_directory(void **state)
{
	struct host_inst *i = open_domains();

	(void)state;
	expect_user(i, "ann@org.test", "a");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	skew_ms += 1000;
	expect_user(i, "ann@org.test", "a");
	skew_ms += 2000;
	expect_gone(i);
	close_domains(i);
}

/* An editor that renames the old file and then writes a new one. */
static void
a_file_that_comes_back_was_not_taken_away(void **state)
{
	struct host_inst *i = open_domains();
	char away[200];

	(void)state;
	expect_user(i, "ann@org.test", "a");
	snprintf(away, sizeof(away), "%s~", path);
	assert_int_equal(rename(path, away), 0);
	skew_ms += 1000;
	expect_user(i, "ann@org.test", "a");
	write_in_place(path, "");
	skew_ms += 1000;
	expect_user(i, "ann@org.test", "a");
	write_in_place(path, "ann:{PLAIN}b\n");
	skew_ms += 1000;
	expect_user(i, "ann@org.test", "a");
	skew_ms += 2000;
	expect_user(i, "ann@org.test", "b");
	assert_int_equal(unlink(away), 0);
	close_domains(i);
}

/* ---- a file that cannot be seen -------------------------------------------------------------- */

static void
away_is_the_directory_of_all(void)
{
	assert_int_equal(unlink(there), 0);
}

static void
away_is_the_disk_it_is_on(void)
{
	assert_int_equal(unlink(there), 0);
	assert_int_equal(symlink("/proc", there),
			 0); /* another file system, as when the disk is not mounted */
}

static void
away_is_what_a_link_leads_to(void)
{
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nonexistent/passwd", path), 0);
}

static void
away_is_what_a_link_on_the_way_leads_to(void)
{
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(symlink("/nonexistent", dir), 0);
}

static void
away_is_the_way(void)
{
	FILE *f;

	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	f = fopen(dir, "w");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
}

static void
a_file_that_cannot_be_seen_keeps_its_accounts(void **state)
{
	static void (*const ways[])(void) = {
		away_is_the_directory_of_all, away_is_the_disk_it_is_on,
		away_is_what_a_link_leads_to, away_is_what_a_link_on_the_way_leads_to,
		away_is_the_way};

	(void)state;
	for (size_t k = 0; k < COUNT(ways); k++) {
		struct host_inst *i = open_domains();

		expect_user(i, "ann@org.test", "a");
		rig_log[0] = '\0';
		ways[k]();
		expect_kept(i);
		(void)unlink(there);
		assert_int_equal(symlink(files, there), 0);
		close_domains(i);
	}
}

/* ... and nobody is told at the first look that there is no such domain. */
static void
a_file_that_cannot_be_seen_at_the_start(void **state)
{
	static void (*const ways[])(void) = {
		away_is_the_directory_of_all, away_is_what_a_link_leads_to,
		away_is_what_a_link_on_the_way_leads_to, away_is_the_way};

	(void)state;
	for (size_t k = 0; k < COUNT(ways); k++) {
		struct host_inst *i = open_domains();

		ways[k]();
		expect_temp(i, "ann@org.test");
		assert_int_equal(host_domain(i, call, domain), PM_TEMP);
		skew_ms += 3600000;
		expect_temp(i, "ann@org.test");
		(void)unlink(there);
		assert_int_equal(symlink(files, there), 0);
		close_domains(i);
	}
}

/* A directory that was away and is back without the file: the two seconds begin then. */
static void
time_without_the_directory_does_not_count(void **state)
{
	struct host_inst *i = open_domains();

	(void)state;
	expect_user(i, "ann@org.test", "a");
	away_is_the_directory_of_all();
	expect_kept(i);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(files, there), 0);
	skew_ms += 1000;
	expect_user(i, "ann@org.test", "a");
	skew_ms += 2000;
	expect_gone(i);
	close_domains(i);
}

/* Another whole file, as rsync and tar leave it: its last change is older than itself. */
static void
put_there_whole(void)
{
	const struct timespec t[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	char other[200];

	snprintf(other, sizeof(other), "%s.new", path);
	write_in_place(other, "ann:{PLAIN}a\n");
	assert_int_equal(utimensat(AT_FDCWD, other, t, 0), 0);
	assert_int_equal(rename(other, path), 0);
}

/* There was none, and now there is one, which changes whenever it is looked at. */
static void
a_file_that_is_there_is_not_missing_because_it_was(void **state)
{
	struct host_inst *i = open_domains();

	(void)state;
	assert_int_equal(unlink(path), 0);
	expect_gone(i);
	skew_ms += 1000;
	clock_asked = put_there_whole;
	expect_temp(i, "ann@org.test");
	assert_int_equal(host_domain(i, call, domain), PM_TEMP);
	clock_asked = NULL;
	skew_ms += 1000;
	expect_user(i, "ann@org.test", "a");
	close_domains(i);
}

/* ---- files that cannot exist ----------------------------------------------------------------- */

static void
a_name_too_long_for_a_file_is_no_error(void **state)
{
	char name[4 + 250 + 1], pattern[200];
	struct host_inst *i;
	struct pm_user u;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/%%d.passwd", rig_dir());
	i = clocked_open("passwd", "file", pattern, "allow_plain", "yes", NULL);
	assert_non_null(i);
	memset(name, 'd', sizeof(name) - 1);
	memcpy(name, "ann@", 4);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(verify(i, name, "a", &u), PM_DENIED);
	assert_int_equal(lookup(i, name, sizeof(name) - 1, &u), PM_NOENT);
	assert_int_equal(host_domain(i, call, (struct pm_str){name + 4, 250}), PM_NOENT);
	assert_string_equal(rig_log, "");
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_was_taken_away_takes_its_accounts_along),
		TEST(so_does_its_directory),
		TEST(a_file_that_comes_back_was_not_taken_away),
		TEST(a_file_that_cannot_be_seen_keeps_its_accounts),
		TEST(a_file_that_cannot_be_seen_at_the_start),
		TEST(time_without_the_directory_does_not_count),
		TEST(a_file_that_is_there_is_not_missing_because_it_was),
		TEST(a_name_too_long_for_a_file_is_no_error),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
