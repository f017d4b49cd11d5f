/* SPDX-License-Identifier: Apache-2.0 */
#include "pop3/reply.h"

#include <stdio.h>
#include <string.h>

#include <restante/module.h>

static const char *const code_text[] = {
	[CODE_NONE] = "",
	[CODE_AUTH] = "[AUTH] ",         /* RFC 3206 */
	[CODE_IN_USE] = "[IN-USE] ",     /* RFC 2449 s8.1.2 */
	[CODE_SYS_TEMP] = "[SYS/TEMP] ", /* RFC 3206 */
	[CODE_SYS_PERM] = "[SYS/PERM] ",
	[CODE_LOGIN_DELAY] = "[LOGIN-DELAY] ",
};

/* One line from three parts, cut to 512 octets with CRLF, without control characters. */
static size_t
reply_line(char *out, const char *status, const char *code, const char *text)
{
	int n = snprintf(out, REPLY_MAX - 1, "%s%s%s%s", status, *code || *text ? " " : "", code,
			 text);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (len > REPLY_MAX - 2)
		len = REPLY_MAX - 2;
	if (len > strlen(out))
		len = strlen(out);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
			out[i] = '?';
	memcpy(out + len, "\r\n", 2);
	return len + 2;
}

size_t
reply_ok(char *out, const char *text)
{
	return reply_line(out, "+OK", "", text);
}

size_t
reply_err(char *out, enum reply_code code, const char *text)
{
	return reply_line(out, "-ERR", code_text[code], text);
}

/* The only place where a module's result becomes a reply. */
static const struct {
	int32_t rc;
	enum reply_code code;
	const char *text; /* %s: the deed */
} table[] = {
	{PM_DENIED, CODE_AUTH, "%s refused"},
	{PM_NEXT, CODE_AUTH, "%s refused"},
	{PM_NOENT, CODE_AUTH, "%s refused"},
	{PM_BUSY, CODE_IN_USE, "%s: another session has the mailbox"},
	{PM_TEMP, CODE_SYS_TEMP, "%s is not possible now, try again later"},
	{PM_TIMEOUT, CODE_SYS_TEMP, "%s took too long, try again later"},
	{PM_DOWN, CODE_SYS_TEMP, "%s is not possible now, try again later"},
	{PM_NOMEM, CODE_SYS_TEMP, "%s is not possible now, try again later"},
	{PM_NOSPACE, CODE_SYS_TEMP, "%s is not possible now, try again later"},
	{PM_CANCELLED, CODE_SYS_TEMP, "%s was broken off"},
	{PM_PERM, CODE_SYS_PERM, "%s is not possible; ask the postmaster"},
	{PM_CORRUPT, CODE_SYS_PERM, "%s is not possible; ask the postmaster"},
	{PM_INVALID, CODE_SYS_PERM, "%s is not possible; ask the postmaster"},
	{PM_UNSUPPORTED, CODE_SYS_PERM, "%s is not possible; ask the postmaster"},
	{PM_GONE, CODE_NONE, "%s is no longer there"},
	{PM_MOVED, CODE_SYS_TEMP, "%s is not possible now, try again later"},
	{PM_PARTIAL, CODE_SYS_TEMP, "some deleted messages not removed"},
	{PM_UNKNOWN, CODE_SYS_TEMP, "%s: the outcome is not known"},
};

#define DEFAULT_ROW 4 /* PM_TEMP: an unknown code counts as it (ABI rule R10) */

static size_t
row_of(int32_t rc)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].rc == rc)
			return i;
	return DEFAULT_ROW;
}

enum reply_code
reply_code_of(int32_t pm_rc)
{
	return table[row_of(pm_rc)].code;
}

size_t
reply_result(char *out, int32_t pm_rc, const char *what)
{
	const char *format = table[row_of(pm_rc)].text;
	const char *mark = strstr(format, "%s");
	char text[256];

	if (mark)
		snprintf(text, sizeof(text), "%s%s", what, mark + 2);
	else
		snprintf(text, sizeof(text), "%s", format);
	return reply_err(out, reply_code_of(pm_rc), text);
}
