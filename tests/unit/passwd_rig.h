/* SPDX-License-Identifier: Apache-2.0 */
/* passwd_rig - files of accounts, and who is in them. */
#ifndef TESTS_UNIT_PASSWD_RIG_H
#define TESTS_UNIT_PASSWD_RIG_H

#include "module_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static const char *
file(const char *name, const char *text)
{
	return dated_file(name, text, strlen(text));
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

static int
begin(void **state)
{
	static const char *const modules[] = {"passwd", NULL};

	(void)state;
	(void)rig_begin(modules);
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
