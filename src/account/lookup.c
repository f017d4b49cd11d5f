/* SPDX-License-Identifier: Apache-2.0 */
#include "account/lookup.h"

#include <stdio.h>

#include <restante/module.h>

enum lookup_verdict
lookup_judge(int32_t rc, const struct conf_section *s, const struct conf_section **blind)
{
	switch (rc) {
	case PM_OK:
		return LOOKUP_FOUND;
	case PM_UNSUPPORTED:
		*blind = s;
		return LOOKUP_NEXT;
	case PM_NOENT:
	case PM_NEXT:
	case PM_DENIED: /* a module's word for "not in here", which lookup() does not have */
		return LOOKUP_NEXT;
	default:
		return LOOKUP_CANNOT_TELL;
	}
}

enum lookup_verdict
lookup_judge_login(int32_t rc)
{
	switch (rc) {
	case PM_OK:
		return LOOKUP_FOUND;
	case PM_NEXT:
		return LOOKUP_NEXT;
	case PM_DENIED:
	case PM_NOENT:
	case PM_UNSUPPORTED: /* this mechanism */
		return LOOKUP_UNKNOWN;
	default:
		return LOOKUP_CANNOT_TELL;
	}
}

enum lookup_verdict
lookup_end(const struct conf_section *blind)
{
	return blind ? LOOKUP_CANNOT_TELL : LOOKUP_UNKNOWN;
}

int32_t
lookup_end_code(const struct conf_section *blind, char *text, size_t cap)
{
	if (lookup_end(blind) == LOOKUP_UNKNOWN)
		return PM_NOENT;
	snprintf(text, cap,
		 "auth section %s " LOOKUP_BLIND
		 ", and no other section knows this name: it may be one of its users",
		 blind->name);
	return PM_TEMP;
}
