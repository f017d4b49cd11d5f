/* SPDX-License-Identifier: Apache-2.0 */
/* conf_rig - texts as files, files as snapshots, and the messages about them. */
#ifndef TESTS_UNIT_CONF_RIG_H
#define TESTS_UNIT_CONF_RIG_H

#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/rst-conf.XXXXXX";
static char said[32768];
static struct conf_errors errors;

/* "name:line:column text" with the last part of the file's name. */
static void
keep_error(void *ctx, const struct conf_where *w, const char *text)
{
	size_t n = strlen(said);
	const char *slash = strrchr(w->file, '/');

	(void)ctx;
	snprintf(said + n, sizeof(said) - n, "%s:%u:%u %s\n", slash ? slash + 1 : w->file, w->line,
		 w->column, text);
}

static const char *
path_of(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static struct conf *
load(const char *text)
{
	write_file("c", text);
	said[0] = '\0';
	errors = (struct conf_errors){.report = keep_error};
	return conf_load(path_of("c"), &errors);
}

static struct conf *
load_good(const char *text)
{
	struct conf *c = load(text);

	if (!c || errors.count > 0)
		fail_msg("%s\n%s", text, said);
	return c;
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
	(void)state;
	(void)unlink(path_of("c"));
	(void)unlink(path_of("more"));
	return rmdir(dir);
}

#endif
