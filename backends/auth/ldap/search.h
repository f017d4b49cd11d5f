/* SPDX-License-Identifier: Apache-2.0 */
/* search - the entry of a user, and whether it is in a group. */
#ifndef LDAP_SEARCH_H
#define LDAP_SEARCH_H

#include "ask.h"
#include "conn.h"

/*
 * Looks for the one entry. PM_OK: *ret, to be given to ldap_msgfree. PM_NOENT: none. PM_PERM:
 * several. Failures as conn_wait, and PM_TEMP: the server would not search. base_of_user: a base
 * that is not there is PM_NOENT.
 */
int32_t search_one(struct conn *c, const struct ask *a, const char *base, int scope,
		   const char *filter, bool base_of_user, struct ldapmsg **ret);

/* How many entries does the filter find? PM_OK: one; PM_NOENT: none; PM_PERM: several; failures. */
int32_t search_count(struct conn *c, const struct ask *a, const char *base, int scope,
		     const char *filter);

/* Is the user in one of the required groups (or none required)? PM_OK, PM_NOENT, failures. */
int32_t search_groups(struct conn *c, const struct ask *a, const struct template_names *names);

/* Does it answer at all? */
int32_t search_alive(struct conn *c, const struct ask *a);

/* Is this a filter for libldap too? Without a server. */
bool search_filter_ok(const char *filter);

#endif
