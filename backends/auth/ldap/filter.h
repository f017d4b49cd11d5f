/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter - templates of search filters and DNs. What a client calls itself becomes one assertion
 * value (RFC 4515) or one attribute value of a DN (RFC 4514), whatever bytes it holds. Pure.
 *
 *   %u the whole name   %n the part before the last @   %d the part after it   %D the DN of the
 *                       user   %% a %
 */
#ifndef LDAP_FILTER_H
#define LDAP_FILTER_H

#include <stdbool.h>

#include <restante/module.h>

/* How a template's values are written. */
enum template_kind {
	TEMPLATE_FILTER, /* RFC 4515 */
	TEMPLATE_DN,     /* RFC 4514 */
	/* user@domain, DOMAIN\user: nothing to escape with, so special bytes make no name */
	TEMPLATE_PLAIN,
};

/* The values to fill in. */
struct template_names {
	struct pm_str user, local, domain, dn;
};

/* Cuts a name at its last @. */
void template_split(struct pm_str user, struct template_names *ret);

/* NULL: a good template; else what is wrong with it. `allowed`: the letters after % that it may
 * hold. */
const char *template_fault(const char *t, enum template_kind kind, const char *allowed);

/* Does it hold %letter? */
bool template_has(const char *t, char letter);

/* A DN, or a form that only a bind knows? Told by its '='. */
enum template_kind template_bind_kind(const char *t);

/* The attribute that the first of %u and %n is compared with; n = 0: none. *ret_letter is that
 * letter. */
struct pm_str template_name_attribute(const char *filter, char *ret_letter);

/*
 * The template filled in, to be freed. NULL with *ret_rc
 *   PM_NOENT  nobody can have this name: a part that the template needs is empty, or it cannot be
 *   written (PLAIN) PM_NOMEM
 */
char *template_fill(const char *t, enum template_kind kind, const struct template_names *names,
		    int32_t *ret_rc);

#endif
