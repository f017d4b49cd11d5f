/* SPDX-License-Identifier: Apache-2.0 */
/* account - what an entry tells of a user, taken out of libldap's hands. */
#ifndef LDAP_ACCOUNT_H
#define LDAP_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include <restante/module.h>

#include "ask.h"
#include "state.h"

struct ldap;
struct ldapmsg;

#define ACCOUNT_ATTRS_MAX 24   /* names asked for, with the NULL after them */
#define ACCOUNT_PASSED_MAX 128 /* attributes handed on */

struct account {
	char *dn; /* of the entry */
	char *name, *key, *section;
	size_t value_n;   /* of the name: so much is the attribute's value; 0: there was no entry */
	bool by_domain;   /* it has such a name in each domain that is asked for */
	enum state state; /* by its attributes */
	uint32_t rights;
	int32_t expire_days;
	int64_t valid_until_ms;
	uint64_t quota_octets, quota_msgs;
	size_t n_passed;
	const char *passed_key[ACCOUNT_PASSED_MAX]; /* literals */
	char *passed[ACCOUNT_PASSED_MAX];
};

/* The names to ask for, NULL after the last. */
void account_attributes(const struct settings *s, char *ret[ACCOUNT_ATTRS_MAX]);

/* From an entry. PM_OK; PM_PERM: it cannot be used, call->error says why; PM_NOMEM. */
int32_t account_read(const struct ask *a, struct ldap *ld, struct ldapmsg *entry,
		     const struct template_names *names, struct account **ret);

/* Without an entry (direct bind, nothing readable). PM_NOENT: not a name that is the same
 * whoever compares it. */
int32_t account_bare(const struct template_names *names, const char *dn, struct account **ret);

void account_free(struct account *acc); /* NULL is fine */

/* Fills in the host's user, R5: only when it returns PM_OK. */
int32_t account_user(const struct account *acc, const struct pm_call *call, struct pm_user *ret);

#endif
