/* SPDX-License-Identifier: Apache-2.0 */
/* The log thread: all lines in order, a slow sink that makes nothing grow, and files that are
 * rotated. */
#include "log/logger.h"

#include "log_rig.h"

#include <pthread.h>
#include <sys/stat.h>

#define MOST (2 * (1u << 20) + (1u << 16)) /* a ring, the one being written, and a pipe */

/* ---- rig ------------------------------------------------------------------------------------- */

static void
start(const char *name, bool json)
{
	struct conf c = {.log_sink = CONF_LOG_FILE,
			 .log_file = path_of(name),
			 .log_json = json,
			 .log_level = LOG_LVL_DEBUG};

	assert_true(logger_start(&c));
}

static void
say(const char *what)
{
	log_msg(LOG_LVL_NOTICE, "said", "%s", what);
}

static unsigned
count(const char *part)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, part)) != NULL; p++)
		n++;
	return n;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
lines_in_order(void **state)
{
	char *rest;

	(void)state;
	start("log", false);
	for (unsigned i = 0; i < 2000; i++)
		log_msg(i % 2 ? LOG_LVL_DEBUG : LOG_LVL_ERROR, "n", "%u\n.", i);
	logger_stop();
	logger_stop(); /* fine when not started */
	rest = strchr(read_file("log"), '\0');
	assert_int_equal(count("\n"), 2000);
	rest = text;
	for (unsigned i = 0; i < 2000; i++) {
		char expected[40];

		snprintf(expected, sizeof(expected), "%s n %u\\x0a.\n", i % 2 ? " debug" : " error",
			 i);
		rest = strchr(rest, ' ');
		assert_non_null(rest);
		assert_int_equal(strncmp(rest, expected, strlen(expected)), 0);
		rest += strlen(expected);
	}
	assert_string_equal(rest, "");
}

static void
lines_as_json(void **state)
{
	struct log_line l;
	char *line, *lf;
	unsigned n = 0;

	(void)state;
	assert_int_equal(unlink(path_of("log")), 0);
	start("log", true);
	for (unsigned i = 0; i < 256; i++) {
		char value[3] = {(char)i, '"', '\xc3'};

		log_begin(&l, LOG_LVL_INFO, "e");
		log_str(&l, "v", value, sizeof(value));
		log_textf(&l, "%.3s", value);
		log_end(&l);
	}
	logger_stop();
	for (line = (char *)(uintptr_t)read_file("log"); (lf = strchr(line, '\n')) != NULL;
	     line = lf + 1, n++) {
		*lf = '\0';
		assert_true(is_json(line));
	}
	assert_int_equal(n, 256);
}

/* An existing log is continued; nobody else may read it. */
static void
files_are_continued(void **state)
{
	struct stat st;
	mode_t mask = umask(0);

	(void)state;
	assert_int_equal(unlink(path_of("log")), 0);
	for (int i = 0; i < 3; i++) {
		start("log", false);
		say("hello");
		logger_stop();
	}
	(void)umask(mask);
	(void)read_file("log");
	assert_int_equal(count(" said hello\n"), 3);
	assert_int_equal(stat(path_of("log"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void
files_are_rotated(void **state)
{
	char from[200];
	unsigned late;

	(void)state;
	assert_int_equal(unlink(path_of("log")), 0);
	start("log", false);
	say("one");
	snprintf(from, sizeof(from), "%s", path_of("log"));
	assert_int_equal(rename(from, path_of("log.1")), 0);
	logger_reopen();
	say("two");
	logger_stop();
	(void)read_file("log");
	assert_int_equal(count("said two\n"), 1);
	late = count("said one\n"); /* when the thread found both at once */
	(void)read_file("log.1");
	assert_int_equal(count("said one\n") + late, 1);
	assert_int_equal(count("said two\n"), 0);
}

/* The log is never written through a link, and a name that cannot be opened loses no line. */
static void
a_link_is_not_followed(void **state)
{
	char from[200];
	struct conf c = {.log_sink = CONF_LOG_FILE, .log_level = LOG_LVL_INFO};
	int was;

	(void)state;
	start("log", false);
	snprintf(from, sizeof(from), "%s", path_of("log"));
	assert_int_equal(rename(from, path_of("log.2")), 0);
	assert_int_equal(symlink("secret", from), 0);
	logger_reopen();
	say("kept");
	logger_stop();
	(void)read_file("log.2");
	assert_int_equal(count("said kept\n"), 1);
	assert_int_equal(access(path_of("secret"), F_OK), -1);
	c.log_file = from;
	was = stderr_to("stderr");
	assert_false(logger_start(&c));
	c.log_file = "/nonexistent/log";
	assert_false(logger_start(&c));
	say("here"); /* and logging works as before */
	stderr_back(was);
	(void)read_file("stderr");
	assert_int_equal(count("cannot write the log file '"), 2);
	assert_int_equal(count(" said here\n"), 1);
}

static void
standard_error(void **state)
{
	struct conf c = {.log_sink = CONF_LOG_STDERR, .log_level = LOG_LVL_NOTICE};
	int was = stderr_to("stderr");

	(void)state;
	assert_true(logger_start(&c));
	logger_reopen(); /* nothing to open */
	say("here");
	log_msg(LOG_LVL_INFO, "said", "not wanted");
	logger_stop();
	stderr_back(was);
	(void)read_file("stderr");
	assert_int_equal(count(" said here\n"), 1);
	assert_int_equal(count("\n"), 1);
}

/* ---- a sink that does not take anything ------------------------------------------------------ */

static size_t taken; /* bytes of lines that were not dropped */
static unsigned number;

/* One line of this kind; true: dropped. */
static bool
log_one(const char *kind, int level)
{
	unsigned long long before = logger_dropped();
	struct log_line l;
	char rendered[LOG_LINE_MAX];

	if (level == 0)
		log_audit(&l, kind);
	else
		log_begin(&l, level, kind);
	log_num(&l, "n", number);
	log_textf(&l, "%0120d", 0);
	log_end(&l);
	if (logger_dropped() != before)
		return true;
	taken += log_render_text(&l, 0, rendered, sizeof(rendered)) + 1;
	number++;
	return false;
}

static void
fill(const char *kind, int level)
{
	while (!log_one(kind, level))
		if (taken > MOST)
			fail_msg("%zu bytes are kept", taken);
}

static void *
drain(void *arg)
{
	read_all(*(int *)arg);
	return NULL;
}

/* Whole lines, from the first on, each once. Returns how many; *ret_counted: lines reported as
 * dropped. */
static unsigned
check_order(unsigned long long *ret_counted)
{
	unsigned next = 0;

	*ret_counted = 0;

	for (char *p = text, *lf; (lf = strchr(p, '\n')) != NULL; p = lf + 1) {
		const char *field, *lost;

		*lf = '\0';
		lost = strstr(p, " warning log dropped=");
		field = strstr(p, " n=");
		if (lost) {
			*ret_counted += strtoull(lost + strlen(" warning log dropped="), NULL, 10);
			continue;
		}
		assert_non_null(field);
		assert_int_equal(strtoul(field + 3, NULL, 10), next++);
	}
	return next;
}

/* Every line that was not dropped; and all that were, counted. */
static void
check_drained(unsigned long long dropped)
{
	unsigned long long counted;

	assert_int_equal(check_order(&counted), number);
	assert_true(counted == dropped);
}

static void
a_stuck_sink_delays_nobody(void **state)
{
	unsigned long long before = logger_dropped();
	pthread_t reader;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	/* or the logger would wait for a reader */
	fd = open(path_of("fifo"), O_RDONLY | O_NONBLOCK);
	assert_true(fd != -1);
	start("fifo", false);
	fill("info", LOG_LVL_INFO);
	assert_false(
		log_one("notice", LOG_LVL_NOTICE)); /* there is room for lines that matter more */
	assert_false(log_one("error", LOG_LVL_ERROR));
	fill("debug", LOG_LVL_DEBUG);
	fill("notice", LOG_LVL_NOTICE);
	for (int i = 0; i < 100; i++)
		assert_false(log_one("audit", 0)); /* and room of its own for the audit */
	fill("error", LOG_LVL_ERROR);
	assert_false(log_one("audit", 0));
	fill("audit", 0); /* but not without end */
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(pthread_create(&reader, NULL, drain, &fd), 0);
	logger_stop();
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_int_equal(close(fd), 0);
	check_drained(logger_dropped() - before);
}

/* Nobody ever reads: the end waits for a while, and then comes. */
static void
a_stuck_sink_does_not_keep_the_end(void **state)
{
	int was = dup(STDERR_FILENO), fd[2];
	unsigned long long counted;
	struct conf c = {.log_sink = CONF_LOG_STDERR, .log_level = LOG_LVL_INFO};

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(dup2(fd[1], STDERR_FILENO), STDERR_FILENO);
	assert_true(logger_start(&c));
	number = 0;
	taken = 0;
	fill("info", LOG_LVL_INFO);
	logger_stop();
	log_msg(LOG_LVL_ERROR, "late", "this has no room either");
	stderr_back(was);
	assert_int_equal(close(fd[1]), 0);
	read_all(fd[0]); /* whole lines, from the first on */
	assert_int_equal(close(fd[0]), 0);
	assert_true(text_n > 0 && text[text_n - 1] == '\n');
	assert_true(check_order(&counted) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_in_order),
		cmocka_unit_test(lines_as_json),
		cmocka_unit_test(files_are_continued),
		cmocka_unit_test(files_are_rotated),
		cmocka_unit_test(a_link_is_not_followed),
		cmocka_unit_test(standard_error),
		cmocka_unit_test(a_stuck_sink_delays_nobody),
		cmocka_unit_test(a_stuck_sink_does_not_keep_the_end),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
