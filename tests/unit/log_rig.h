/* SPDX-License-Identifier: Apache-2.0 */
/* log_rig - reads the lines that were written, for the two programs that test logging. */
#ifndef TESTS_UNIT_LOG_RIG_H
#define TESTS_UNIT_LOG_RIG_H

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT(s) s, sizeof(s) - 1

static char dir[] = "/tmp/rst-log.XXXXXX";
static char text[8u << 20]; /* the content of a file or a pipe */
static size_t text_n;

static const char *
path_of(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
read_all(int fd)
{
	ssize_t got;

	text_n = 0;
	while ((got = read(fd, text + text_n, sizeof(text) - 1 - text_n)) > 0)
		text_n += (size_t)got;
	text[text_n] = '\0';
}

static const char *
read_file(const char *name)
{
	int fd = open(path_of(name), O_RDONLY);

	assert_true(fd != -1);
	read_all(fd);
	assert_int_equal(close(fd), 0);
	return text;
}

/* Standard error goes to a file until stderr_back. */
static int
stderr_to(const char *name)
{
	int was = dup(STDERR_FILENO), fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(was != -1 && fd != -1 && dup2(fd, STDERR_FILENO) != -1);
	assert_int_equal(close(fd), 0);
	return was;
}

static void
stderr_back(int was)
{
	assert_true(dup2(was, STDERR_FILENO) != -1);
	assert_int_equal(close(was), 0);
}

static bool
is_json(const char *line)
{
	json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	bool ok = json_is_object(o);

	json_decref(o);
	return ok;
}

static int
begin(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
end(void **state)
{
	static const char *const names[] = {"stderr", "log", "log.1", "log.2", "fifo", "secret"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(dir);
}

#endif
