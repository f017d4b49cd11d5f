/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup - what an auth section's answer to lookup() means for the search along the chain. One
 * table for everybody who looks a name up: RCPT, retries, mail of our own, sweeps, restantectl; and
 * the same of an answer to verify(), for logins. Pure.
 *
 * A section that cannot look names up (a directory whose users bind as themselves, and in which the
 * server may read nothing) may have this user all the same. The search goes on, because users of
 * later sections get their mail and log in; but when none of those knows the name, the result is
 * not "no such user": it cannot be told. `blind` remembers such a section.
 */
#ifndef RST_ACCOUNT_LOOKUP_H
#define RST_ACCOUNT_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

/* Operator's words for a section that cannot. */
#define LOOKUP_BLIND "cannot look names up without a password"

enum lookup_verdict {
	LOOKUP_FOUND,
	LOOKUP_NEXT, /* the next section is asked; if there is none, lookup_end */
	/* not of lookup_judge: there is no such user; of a login: or the password is wrong */
	LOOKUP_UNKNOWN,
	/* the search ends: a later section's user of this name may be somebody else */
	LOOKUP_CANNOT_TELL,
};

/* The meaning of rc, the answer of section s. *blind: NULL before the search begins. */
enum lookup_verdict lookup_judge(int32_t rc, const struct conf_section *s,
				 const struct conf_section **blind);
/* The meaning of rc, the answer of a section whose turn it is to verify a login. Only PM_NEXT hands
 * it on: a refusal is final. */
enum lookup_verdict lookup_judge_login(int32_t rc);
/* Nobody is left to be asked: LOOKUP_UNKNOWN or LOOKUP_CANNOT_TELL. */
enum lookup_verdict lookup_end(const struct conf_section *blind);
/* The same for errands: PM_NOENT, or PM_TEMP and why: `text`, of `cap` bytes, is left alone with
 * PM_NOENT. */
int32_t lookup_end_code(const struct conf_section *blind, char *text, size_t cap);

#endif
