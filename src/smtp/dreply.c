/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/dreply.h"

#include <stdio.h>
#include <string.h>

#include <restante/module.h>

size_t
dreply_line(char out[DREPLY_MAX], const struct dreply *r, const char *whom, bool more)
{
	bool enhanced = r->enhanced && *r->enhanced;
	int n = snprintf(out, DREPLY_MAX - 2, "%u%c%s%s%s%.340s%s%s", (unsigned)r->code,
			 more ? '-' : ' ', enhanced ? r->enhanced : "", enhanced ? " " : "",
			 whom ? "<" : "", whom ? whom : "", whom ? "> " : "", r->text);
	size_t len = n < 0 ? 0 : (size_t)n < DREPLY_MAX - 2 ? (size_t)n : DREPLY_MAX - 3;

	memcpy(out + len, "\r\n", 2);
	return len + 2;
}

/* The operator can mend a store that cannot be written to, and the sender keeps its mail until
 * then: so hardly any failure is permanent. */
static const struct {
	int32_t rc;
	struct dreply reply;
} table[] = {
	{PM_OK, {250, "2.0.0", "delivered"}},
	{PM_EXISTS, {250, "2.0.0", "delivered"}},
	{PM_TEMP, {451, "4.3.0", "the mailbox cannot take mail now, try again later"}},
	{PM_BUSY, {450, "4.2.0", "the mailbox is busy, try again later"}},
	{PM_TIMEOUT, {451, "4.3.0", "storing it took too long, try again later"}},
	{PM_DOWN, {451, "4.3.0", "the mail store cannot be reached, try again later"}},
	{PM_NOMEM, {452, "4.3.0", "out of memory, try again later"}},
	{PM_NOSPACE, {452, "4.3.1", "no space left for mail, try again later"}},
	{PM_CANCELLED, {451, "4.3.2", "broken off by the operator, try again later"}},
	{PM_PERM,
	 {451, "4.3.5", "the mail store refuses to be written; the postmaster can see why"}},
	{PM_CORRUPT, {451, "4.3.5", "the mailbox is damaged; the postmaster can see why"}},
	{PM_INVALID,
	 {451, "4.3.5", "the mail store did not understand; the postmaster can see why"}},
	{PM_UNSUPPORTED,
	 {451, "4.3.5", "the mail store takes no mail; the postmaster can see why"}},
	{PM_UNKNOWN, {451, "4.3.0", "whether it was stored is not known; it may come twice"}},
	{PM_NOENT, {550, "5.1.1", "there is no such mailbox any more"}},
	{PM_TOOBIG, {552, "5.3.4", "the message is too large for this mailbox"}},
};

struct dreply
dreply_of(int32_t rc, bool over_quota_refuse)
{
	if (rc == PM_QUOTA)
		return over_quota_refuse ? (struct dreply){552, "5.2.2", "the mailbox is full"}
					 : (struct dreply){452, "4.2.2",
							   "the mailbox is full, try again later"};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].rc == rc)
			return table[i].reply;
	return dreply_of(PM_TEMP, false); /* ABI rule R10 */
}
