/* SPDX-License-Identifier: Apache-2.0 */
/* settings - the options of a section, read once, constant afterwards. */
#ifndef LDAP_SETTINGS_H
#define LDAP_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "connpool.h"
#include "filter.h"

#define SERVERS_MAX SDK_SERVERS_MAX
#define REQUIRED_GROUPS_MAX 64

/* One directory server. */
struct server {
	char *uri;  /* as configured, for people and for libldap */
	char *host; /* NULL: a unix socket */
	char *path; /* of the unix socket */
	char port[8];
	bool ldaps;
};

/* Attributes of an entry that we ask for; the index of settings.attr. */
enum mapped {
	MAP_NAME,
	MAP_KEY,
	MAP_SECTION,
	MAP_QUOTA,
	MAP_QUOTA_MESSAGES,
	MAP_EXPIRE,
	MAP_RIGHTS,
	MAP_GROUP,
	MAP_HOME,
	MAP_N,
};

struct settings {
	struct server servers[SERVERS_MAX];
	size_t n_servers;
	bool starttls;
	char *tls_ca, *tls_cert, *tls_key;
	bool tls13;
	char *bind_dn, *bind_password;
	bool bind_external;
	char *user_dn; /* NULL: search, then bind */
	enum template_kind user_dn_kind;
	char *base, *filter;
	int scope;         /* LDAP_SCOPE_... */
	char *attr[MAP_N]; /* NULL: not wanted */
	/* what the name attribute stands for: 'u', 'n', or 0: the whole name as it is */
	char name_letter;
	char *name_domain; /* what the host appends to a value without an @; NULL: nothing */
	char *groups[REQUIRED_GROUPS_MAX];
	size_t n_groups;
	char *group_filter;
	bool deny_unknown;
	int64_t connect_ms, answer_ms, idle_ms;
};

/* PM_OK; PM_INVALID after a report for each error; PM_NOMEM. What was read so far is to be freed
 * in any case. */
int32_t settings_read(struct settings *s, const struct pm_open *open);
void settings_free(struct settings *s);
/* Why a name cannot be looked up without its password, or only as far as anybody may read the
 * directory; NULL: it can. */
const char *settings_blind(const struct settings *s);

/* The schema. */
#define SETTINGS_N_OPTIONS 28u
extern const struct pm_option settings_options[SETTINGS_N_OPTIONS];

#endif
