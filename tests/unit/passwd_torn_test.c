/* SPDX-License-Identifier: Apache-2.0 */
/* A passwd-file is written in place, or a copy of it broke off: nobody with an account is told
 * that there is none. */
#include "passwd_rig.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOUR "ann:{PLAIN}a\nben:{PLAIN}b\ncid:{PLAIN}c\ndora:{PLAIN}d\n"
#define OTHER_FOUR "ann:{PLAIN}n\nben:{PLAIN}b\ncid:{PLAIN}c\ndora:{PLAIN}d\n"

static char path[200];

/* The next time the file, an hour old, is read somebody writes it anew meanwhile, and shorter. */
static bool cut_next;

static void
cut(void)
{
	const time_t t = time(NULL) + 3600;
	const struct timespec at[2] = {{.tv_sec = t}, {.tv_sec = t}};
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs("ann:{PLAIN}n\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, at, 0), 0);
}

/* The module's, too. */
__attribute__((visibility("default"))) ssize_t
read(int fd, void *buf, size_t n)
{
	static ssize_t (*next)(int, void *, size_t);

	if (!next)
		next = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	if (cut_next) {
		cut_next = false;
		cut();
	}
	return next(fd, buf, n);
}

/* A second later, when the file is looked at again. */
static void
a_look_later(void)
{
	skew_ms += 1000;
}

static struct host_inst *
open_with(const char *text)
{
	struct host_inst *i;

	snprintf(path, sizeof(path), "%s", file("passwd", text));
	i = clocked_open("passwd", "file", path, "allow_plain", "yes", NULL);
	assert_non_null(i);
	return i;
}

static struct host_inst *
open_four(void)
{
	struct host_inst *i = open_with(FOUR);

	expect_user(i, "dora", "d");
	rig_log[0] = '\0';
	return i;
}

/* ---- with accounts from before --------------------------------------------------------------- */

static void
a_file_that_is_being_written_is_not_believed(void **state)
{
	static const char *const texts[] = {
		"", "ann:{PLAIN}n\n", "ann:{PLAIN}n\nben:{PL", "ann:{PLAIN}n\nnonsense\n",
		/* a quarter is missing, and nothing else is wrong with it */
		"ann:{PLAIN}n\nben:{PLAIN}b\ncid:{PLAIN}c\n"};

	(void)state;
	for (size_t k = 0; k < COUNT(texts); k++) {
		struct host_inst *i = open_four();

		write_in_place(path, texts[k]);
		a_look_later();
		expect_user(i, "ann", "a");
		expect_user(i, "dora", "d");
		assert_non_null(strstr(rig_log, "is being written: until that is over the accounts "
						"read before stay in force"));
		rig_log[0] = '\0';
		write_in_place(path, OTHER_FOUR); /* the rest of it */
		a_look_later();
		expect_user(i, "ann", "a");
		assert_string_equal(rig_log, ""); /* said once */
		a_look_later();
		expect_user(i, "ann", "a");
		a_look_later();
		expect_user(i, "ann", "n");
		expect_user(i, "dora", "d");
		host_close(i);
	}
}

/* The times of a file are its server's: while somebody looks they make no file older. */
static void
a_file_servers_clock_that_is_behind_changes_nothing(void **state)
{
	struct host_inst *i = open_four();

	(void)state;
	write_in_place(path, "ann:{PLAIN}n\nben:{PLAIN}b\n");
	skew_ms -= 3600000;
	clock_at(path);
	skew_ms += 3600000; /* an hour old, by its times */
	a_look_later();
	expect_user(i, "dora", "d");
	a_look_later();
	expect_user(i, "dora", "d");
	a_look_later();
	expect_none(i, "dora", PM_DENIED);
	host_close(i);
}

/* Nor younger than they were seen. */
static void
a_file_from_the_future_is_believed_in_time(void **state)
{
	const struct timespec t[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
	struct host_inst *i = open_four();

	(void)state;
	write_in_place(path, OTHER_FOUR);
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
	a_look_later();
	expect_user(i, "ann", "a");
	skew_ms += 2000;
	expect_user(i, "ann", "n");
	host_close(i);
}

/* The first look after a while does not wait, and does not let in with an hour-old password. */
static void
a_file_that_was_written_while_nobody_looked_is_believed(void **state)
{
	static const char *const texts[] = {OTHER_FOUR, "ann:{PLAIN}n\n"};

	(void)state;
	for (size_t k = 0; k < COUNT(texts); k++) {
		struct host_inst *i = open_four();

		write_in_place(path, texts[k]);
		skew_ms += 3600000;
		expect_user(i, "ann", "n");
		host_close(i);
	}
}

static void
a_line_that_was_cut_is_not_believed(void **state)
{
	struct host_inst *i = open_four();

	(void)state;
	(void)file("passwd", "ann:{PLAIN}n\nben:{PLAIN}b\ncid:{PLAIN}c\ndora:{PLAIN}");
	skew_ms += 3600000; /* however old it is */
	expect_user(i, "dora", "d");
	expect_user(i, "ann", "a");
	assert_non_null(strstr(rig_log, "line 4 has no end: the file may have been cut off there"));
	assert_non_null(strstr(rig_log, "the accounts read before stay in force"));
	host_close(i);
	assert_null(clocked_open("passwd", "file", path, "allow_plain", "yes", NULL));
	assert_non_null(strstr(rig_errors, "line 4 has no end"));
}

static void
an_empty_file_is_not_believed(void **state)
{
	struct host_inst *i = open_four();

	(void)state;
	(void)file("passwd", "");
	expect_user(i, "dora", "d");
	skew_ms += 3600000;
	expect_user(i, "dora", "d");
	assert_non_null(strstr(rig_log, "the file is empty: a line with # says that there are no "
					"accounts; the accounts read before stay in force"));
	(void)file("passwd", "#\n");
	skew_ms += 10000;
	expect_none(i, "dora", PM_DENIED);
	host_close(i);
}

static void
fewer_than_half_are_believed_at_the_second_look(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"#\n", "holds 0 accounts now, and 4 before"},
		{"ann:{PLAIN}a\n", "holds 1 accounts now, and 4 before"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		struct host_inst *i = open_four();

		(void)file("passwd", cases[k].text);
		expect_user(i, "dora", "d");
		assert_non_null(strstr(rig_log, cases[k].said));
		rig_log[0] = '\0';
		skew_ms += 7000;
		expect_user(i, "dora", "d");
		assert_string_equal(rig_log, ""); /* said once */
		skew_ms += 3000;
		expect_none(i, "dora", PM_DENIED); /* a revocation */
		assert_non_null(strstr(rig_log, "was read again"));
		host_close(i);
	}
}

static void
half_are_believed_and_so_is_the_rest_that_comes(void **state)
{
	struct host_inst *i = open_four();

	(void)state;
	(void)file("passwd", "ann:{PLAIN}a\n");
	expect_user(i, "dora", "d");
	(void)file("passwd", FOUR); /* it was a mishap */
	skew_ms += 10000;
	expect_user(i, "dora", "d");
	(void)file("passwd", "ann:{PLAIN}a\nben:{PLAIN}b\n");
	expect_none(i, "dora", PM_DENIED);
	host_close(i);
}

static void
a_file_put_there_whole_is_believed_at_once(void **state)
{
	struct host_inst *i = open_four();
	const char *other;

	(void)state;
	other = file("passwd.new", "ann:{PLAIN}n\n");
	skew_ms -= 2000; /* what file() waited */
	assert_int_equal(rename(other, path), 0);
	a_look_later();
	expect_user(i, "ann", "n");
	expect_none(i, "dora", PM_DENIED);
	/* a new file in its place that is still being written is none */
	assert_int_equal(unlink(path), 0);
	write_in_place(path, "ben:{PLAIN}b\n");
	a_look_later();
	expect_user(i, "ann", "n");
	/* nor is the one that was renamed, when it is written later */
	write_in_place(path, FOUR);
	a_look_later();
	expect_user(i, "ann", "n");
	skew_ms += 2000;
	expect_user(i, "dora", "d");
	host_close(i);
}

/* ---- without --------------------------------------------------------------------------------- */

/* The users in it are let in; about the others nobody can tell. */
static void
a_young_file_at_the_start(void **state)
{
	struct host_inst *i = open_with("ann:{PLAIN}a\n");
	struct pm_user u;

	(void)state;
	write_in_place(path, "ann:{PLAIN}a\nben:{PL");
	assert_int_equal(verify(i, "ann", "a", &u), PM_OK);
	assert_int_equal(lookup(i, "ann", 3, &u), PM_OK);
	assert_int_equal(verify(i, "ann", "b", &u), PM_TEMP); /* an old line, partly a new one */
	assert_string_equal(strstr(call->error, "is being written"),
			    "is being written: it is not known yet who is in it");
	expect_temp(i, "ben");
	expect_temp(i, "cid");
	write_in_place(path, "ann:{PLAIN}a\nben:{PLAIN}b\n");
	a_look_later();
	expect_temp(i, "cid");
	assert_int_equal(verify(i, "ben", "b", &u), PM_OK);
	skew_ms += 2000;
	expect_user(i, "ben", "b");
	expect_none(i, "cid", PM_DENIED);
	host_close(i);
}

static void
an_empty_or_broken_file_at_the_start(void **state)
{
	static const char *const texts[] = {"", "ann:{PLA", "nonsense\n"};

	(void)state;
	for (size_t k = 0; k < COUNT(texts); k++) {
		struct host_inst *i = open_with("ann:{PLAIN}a\n");

		write_in_place(path, texts[k]);
		expect_temp(i, "ann"); /* it may be to come */
		skew_ms += 2000;
		expect_temp(i, "ann"); /* it came to nothing */
		(void)file("passwd", "ann:{PLAIN}a\n");
		expect_user(i, "ann", "a");
		host_close(i);
	}
}

/* ann@example.org may be in what is not written yet, with a mailbox of her own. */
static void
nobody_is_taken_for_another_by_a_part(void **state)
{
	struct host_inst *i;

	(void)state;
	snprintf(path, sizeof(path), "%s", file("passwd", "ann:{PLAIN}a\n"));
	i = clocked_open("passwd", "file", path, "allow_plain", "yes", "strip_domain", "yes",
			 "unknown", "next", NULL);
	assert_non_null(i);
	write_in_place(path, "ann:{PLAIN}x\n");
	expect_temp(i, "ann@example.org");
	expect_temp(i, "eve"); /* nor is the next section asked */
	skew_ms += 2000;
	expect_user(i, "ann@example.org", "x");
	expect_none(i, "eve", PM_NEXT);
	host_close(i);
}

/* It is read again: neither the server nor a reload fails because of that moment. */
static void
a_file_that_is_cut_during_the_check(void **state)
{
	struct host_inst *i;

	(void)state;
	snprintf(path, sizeof(path), "%s", file("passwd", FOUR));
	clock_at(path);
	skew_ms += 3600000;
	cut_next = true;
	i = clocked_open("passwd", "file", path, "allow_plain", "yes", NULL);
	assert_false(cut_next);
	if (!i)
		fail_msg("%s", rig_errors);
	skew_ms += 2000;
	expect_user(i, "ann", "n");
	host_close(i);
}

/* ---- files that cannot be read now ----------------------------------------------------------- */

static void
expect_unread(struct host_inst *i, const char *name, const char *password, int32_t rc)
{
	struct rlimit was, none;
	struct pm_user u;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){0, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(verify(i, name, password, &u), rc);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_non_null(strstr(rig_log, "Too many open files"));
	call_again();
}

/* It is tried again, though the file does not change. */
static void
a_file_that_cannot_be_opened_is_opened_later(void **state)
{
	struct host_inst *i = open_with(FOUR);

	(void)state;
	expect_unread(i, "ann", "a", PM_TEMP);
	a_look_later();
	expect_user(i, "ann", "a");
	rig_log[0] = '\0';
	(void)file("passwd", OTHER_FOUR);
	expect_unread(i, "ann", "a", PM_OK);
	rig_log[0] = '\0';
	a_look_later();
	expect_user(i, "ann", "n");
	host_close(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_being_written_is_not_believed),
		TEST(a_file_servers_clock_that_is_behind_changes_nothing),
		TEST(a_file_from_the_future_is_believed_in_time),
		TEST(a_file_that_was_written_while_nobody_looked_is_believed),
		TEST(a_line_that_was_cut_is_not_believed),
		TEST(an_empty_file_is_not_believed),
		TEST(fewer_than_half_are_believed_at_the_second_look),
		TEST(half_are_believed_and_so_is_the_rest_that_comes),
		TEST(a_file_put_there_whole_is_believed_at_once),
		TEST(a_young_file_at_the_start),
		TEST(an_empty_or_broken_file_at_the_start),
		TEST(nobody_is_taken_for_another_by_a_part),
		TEST(a_file_that_is_cut_during_the_check),
		TEST(a_file_that_cannot_be_opened_is_opened_later),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
