/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include <stdio.h>
#include <string.h>

void
answer_error(const struct pm_call *pm, struct pm_str text)
{
	/* pm is the first member of a host_call, which its owner lent the module as const */
	struct host_call *c = (struct host_call *)(uintptr_t)pm;
	size_t n = text.n < PM_ERROR_MAX ? text.n : PM_ERROR_MAX;

	if (n > 0)
		memcpy(c->error, text.p, n);
	c->error[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)c->error[i] < 0x20 || c->error[i] == 0x7f)
			c->error[i] = '?';
}

int32_t
answer_complain(struct host_call *c, int32_t rc, const char *text)
{
	answer_error(&c->pm, (struct pm_str){text, strlen(text)});
	return rc;
}

static const struct {
	int32_t rc;
	const char *name;
} codes[] = {
	{PM_OK, "OK"},
	{PM_END, "END"},
	{PM_AGAIN, "AGAIN"},
	{PM_DENIED, "DENIED"},
	{PM_NEXT, "NEXT"},
	{PM_NOENT, "NOENT"},
	{PM_BUSY, "BUSY"},
	{PM_TEMP, "TEMP"},
	{PM_TIMEOUT, "TIMEOUT"},
	{PM_DOWN, "DOWN"},
	{PM_NOMEM, "NOMEM"},
	{PM_NOSPACE, "NOSPACE"},
	{PM_CANCELLED, "CANCELLED"},
	{PM_PERM, "PERM"},
	{PM_CORRUPT, "CORRUPT"},
	{PM_INVALID, "INVALID"},
	{PM_UNSUPPORTED, "UNSUPPORTED"},
	{PM_GONE, "GONE"},
	{PM_MOVED, "MOVED"},
	{PM_PARTIAL, "PARTIAL"},
	{PM_UNKNOWN, "UNKNOWN"},
	{PM_QUOTA, "QUOTA"},
	{PM_TOOBIG, "TOOBIG"},
	{PM_EXISTS, "EXISTS"},
};

const char *
host_code_name(int32_t rc)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].rc == rc)
			return codes[i].name;
	return "?";
}

int
host_backend_failed(int32_t rc)
{
	return rc == PM_DOWN || rc == PM_TIMEOUT;
}

int32_t
answer_known(struct host_call *c, int32_t rc)
{
	if (rc >= PM_EXISTS && rc <= PM_AGAIN)
		return rc;
	char text[80];

	snprintf(text, sizeof(text), "the module answered with the unknown code %d", rc);
	return answer_complain(c, PM_TEMP, text);
}

int32_t
answer_final(struct host_call *c, int32_t rc)
{
	rc = answer_known(c, rc);
	return rc == PM_AGAIN || rc == PM_END
		       ? answer_complain(c, PM_TEMP, "the module answered out of turn")
		       : rc;
}
