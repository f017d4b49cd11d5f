/* SPDX-License-Identifier: Apache-2.0 */
/* passwd_rig - files of accounts, and checks of the users in them. */
#ifndef TESTS_UNIT_PASSWD_RIG_H
#define TESTS_UNIT_PASSWD_RIG_H

#include "module_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* It was written two seconds ago, and nobody has looked since then. */
static inline const char *
file_of(const char *name, const void *bytes, size_t n)
{
	const char *path = dated_file(name, bytes, n);

	skew_ms -= 2000;
	clock_at(path);
	skew_ms += 2000;
	return path;
}

static inline const char *
file(const char *name, const char *text)
{
	return file_of(name, text, strlen(text));
}

/* As cp and editors do it, at this moment. */
static inline void
write_in_place(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	clock_at(path);
}

static int32_t
lookup(struct host_inst *i, const char *name, size_t n, struct pm_user *ret)
{
	struct pm_cred c;

	host_cred_init(&c);
	c.authcid = (struct pm_str){name, n};
	return host_lookup(i, call, &c, ret);
}

/* Is this user there, with this password in plain text? */
static void
expect_user(struct host_inst *i, const char *name, const char *password)
{
	struct pm_user u;
	int32_t rc = verify(i, name, password, &u);

	if (rc != PM_OK)
		fail_msg("%s: %s %s", name, host_code_name(rc), call->error);
	assert_string_equal(text_of(u.name), name);
	assert_int_equal(verify(i, name, "nonsense", &u), PM_DENIED);
	call_again();
}

static void
expect_none(struct host_inst *i, const char *name, int32_t rc)
{
	struct pm_user u;

	assert_int_equal(verify(i, name, "a", &u), rc);
	assert_int_equal(lookup(i, name, strlen(name), &u), PM_NOENT);
	assert_int_equal(u.name.n, 0); /* R5 */
}

/* Nobody can tell: neither "wrong password" nor "no such user". */
static inline void
expect_temp(struct host_inst *i, const char *name)
{
	struct pm_user u;

	assert_int_equal(verify(i, name, "x", &u), PM_TEMP);
	assert_int_equal(lookup(i, name, strlen(name), &u), PM_TEMP);
	call_again();
}

static int
begin(void **state)
{
	static const char *const modules[] = {"passwd", NULL};

	(void)state;
	(void)rig_begin(modules);
	clock_stop();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

#endif
