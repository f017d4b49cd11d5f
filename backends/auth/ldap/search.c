/* SPDX-License-Identifier: Apache-2.0 */
#include "search.h"

#include <ldap.h>
#include <openldap.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "account.h"

#define ENTRIES_MAX 2     /* the second one only to see that it is not the only one */
#define REFERENCES_MAX 64 /* at the root of an Active Directory there are a few, always */

static int
send_search(struct conn *c, const struct ask *a, const char *base, int scope, const char *filter,
	    char **attrs, int *ret_id)
{
	/* the server need not go on after that */
	struct timeval limit = {.tv_sec = ask_left(a) / 1000 + 1};

	return ldap_search_ext(c->ld, base, scope, filter, attrs, 0, NULL, NULL, &limit,
			       ENTRIES_MAX, ret_id);
}

/* The result of a search: the number of entries (up to ENTRIES_MAX), the first of them, the
 * result. */
struct found {
	unsigned n, references;
	LDAPMessage *entry;
	int code;
	char *text;
};

/* One message into the books. PM_END: it was the last one. */
static int32_t
search_take(struct conn *c, const struct ask *a, LDAPMessage *msg, struct found *f)
{
	int err;

	switch (ldap_msgtype(msg)) {
	case LDAP_RES_SEARCH_ENTRY:
		if (f->n++ == 0) {
			f->entry = msg;
			return PM_OK;
		}
		break;
	case LDAP_RES_SEARCH_RESULT:
		err = ldap_parse_result(c->ld, msg, &f->code, NULL, &f->text, NULL, NULL, 1);
		return err == LDAP_SUCCESS ? PM_END : conn_broken(c, a, "search", err);
	default: /* a reference to another server: never followed */
		f->references++;
	}
	ldap_msgfree(msg);
	if (f->n <= ENTRIES_MAX && f->references <= REFERENCES_MAX)
		return PM_OK;
	return conn_broken(c, a, "it sends more than it was asked for", LDAP_SIZELIMIT_EXCEEDED);
}

static int32_t
search_verdict(struct conn *c, const struct ask *a, const char *base, const char *filter,
	       bool base_of_user, const struct found *f)
{
	if (f->n > 1 || f->code == LDAP_SIZELIMIT_EXCEEDED) {
		ask_error(a, "%s: more than one entry matches %s below '%s'", c->server->uri,
			  filter, base);
		return PM_PERM;
	}
	if (f->code == LDAP_NO_SUCH_OBJECT && base_of_user)
		return PM_NOENT;
	if (f->code != LDAP_SUCCESS)
		return conn_refused(c, a, "search", f->code, f->text);
	return f->n == 1 ? PM_OK : PM_NOENT;
}

static int32_t
search(struct conn *c, const struct ask *a, const char *base, int scope, const char *filter,
       char **attrs, bool base_of_user, LDAPMessage **ret)
{
	struct ask mine = ask_within(a, a->inst->set.answer_ms);
	struct found f = {0};
	int32_t rc = PM_OK;
	int id = 0, err = send_search(c, &mine, base, scope, filter, attrs, &id);

	if (err == LDAP_FILTER_ERROR) {
		ask_error(a, "'%s' is no search filter", filter);
		return PM_TEMP;
	}
	if (err != LDAP_SUCCESS)
		return conn_broken(c, a, "search", err);
	while (rc == PM_OK) {
		LDAPMessage *msg = NULL;

		rc = conn_wait(c, &mine, id, &msg);
		if (rc == PM_OK)
			rc = search_take(c, &mine, msg, &f);
	}
	if (rc == PM_END)
		rc = search_verdict(c, a, base, filter, base_of_user, &f);
	if (rc == PM_OK)
		*ret = f.entry;
	else
		ldap_msgfree(f.entry);
	ldap_memfree(f.text);
	c->used_ms = a->inst->host->now_ms(a->inst->host->ctx);
	return rc;
}

int32_t
search_one(struct conn *c, const struct ask *a, const char *base, int scope, const char *filter,
	   bool base_of_user, struct ldapmsg **ret)
{
	char *attrs[ACCOUNT_ATTRS_MAX];

	account_attributes(&a->inst->set, attrs);
	return search(c, a, base, scope, filter, attrs, base_of_user, ret);
}

int32_t
search_count(struct conn *c, const struct ask *a, const char *base, int scope, const char *filter)
{
	char none[] = LDAP_NO_ATTRS, *attrs[] = {none, NULL};
	LDAPMessage *entry = NULL;
	int32_t rc = search(c, a, base, scope, filter, attrs, true, &entry);

	ldap_msgfree(entry);
	return rc;
}

int32_t
search_groups(struct conn *c, const struct ask *a, const struct template_names *names)
{
	const struct settings *s = &a->inst->set;
	char none[] = LDAP_NO_ATTRS, *attrs[] = {none, NULL}, *filter;
	int32_t rc;

	if (s->n_groups == 0)
		return PM_OK;
	filter = template_fill(s->group_filter, TEMPLATE_FILTER, names, &rc);
	if (!filter)
		return rc;
	rc = PM_NOENT;
	for (size_t i = 0; i < s->n_groups && rc == PM_NOENT; i++) {
		LDAPMessage *entry = NULL;

		rc = search(c, a, s->groups[i], LDAP_SCOPE_BASE, filter, attrs, false, &entry);
		ldap_msgfree(entry);
	}
	free(filter);
	return rc;
}

int32_t
search_alive(struct conn *c, const struct ask *a)
{
	int32_t rc = search_count(c, a, "", LDAP_SCOPE_BASE, "(objectClass=*)");

	return rc == PM_NOENT || rc == PM_TEMP ? PM_OK : rc; /* an answer is an answer */
}

/* libldap compiles filters only when it sends them: to a socket whose other end is ours. */
bool
search_filter_ok(const char *filter)
{
	LDAP *ld = NULL;
	int fd[2], id, err = LDAP_FILTER_ERROR;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) != 0)
		return true;
	if (ldap_init_fd(fd[0], LDAP_PROTO_IPC, "ldapi:///", &ld) == LDAP_SUCCESS) {
		err = ldap_search_ext(ld, "", LDAP_SCOPE_BASE, filter, NULL, 0, NULL, NULL, NULL, 0,
				      &id);
		(void)ldap_unbind_ext(ld, NULL, NULL);
	} else {
		(void)close(fd[0]);
	}
	(void)close(fd[1]);
	return err != LDAP_FILTER_ERROR;
}
