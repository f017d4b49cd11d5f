/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/sysexit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* Final ones, by the beginning of their enhanced code; the longer first. EX_CANTCREAT is not among
 * them: some mail servers try again on that. */
static const struct {
	const char *enhanced;
	int exit_code;
} meanings[] = {
	{"5.1.7", EX_DATAERR}, {"5.1.8", EX_DATAERR}, /* of the sender */
	{"5.1.2", EX_NOHOST},  {"5.1.", EX_NOUSER},   {"5.2.", EX_UNAVAILABLE},
	{"5.6.", EX_DATAERR},  {"5.5.", EX_PROTOCOL}, {"5.7.", EX_NOPERM},
};

int
sysexit_of(const char *reply)
{
	if (!reply || strlen(reply) < 3 || reply[0] == '4')
		return EX_TEMPFAIL;
	if (reply[0] == '2' || reply[0] == '3')
		return EX_OK;
	if (reply[0] != '5')
		return EX_TEMPFAIL; /* no reply of a mail server */
	for (size_t i = 0; reply[3] && i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strncmp(reply + 4, meanings[i].enhanced, strlen(meanings[i].enhanced)) == 0)
			return meanings[i].exit_code;
	return EX_UNAVAILABLE;
}

void
sysexit_print_reply(const char *reply)
{
	if (!reply)
		sysexit_print("4.4.2", "the connection to the server was lost before it answered");
	else if (sysexit_of(reply) == EX_TEMPFAIL && reply[0] != '4')
		sysexit_print("4.5.0", "this is no answer of an LMTP server: %s", reply);
	else
		fprintf(stderr, "%s\n", reply[3] ? reply + 4 : reply);
}

void
sysexit_print(const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s restante-deliver: ", enhanced);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int
sysexit_worse(int a, int b)
{
	if (a == EX_TEMPFAIL || b == EX_TEMPFAIL)
		return EX_TEMPFAIL;
	return a != EX_OK ? a : b;
}
