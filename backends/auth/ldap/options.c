/* SPDX-License-Identifier: Apache-2.0 */
#include "conf.h"
#include "settings.h"

#define STRING(k, d, text) SDK_OPT(k, PM_OPT_STRING, 0, "", d, text)

const struct pm_option settings_options[] = {
	SDK_OPT("server", PM_OPT_STRING, PM_OPTF_REQUIRED | PM_OPTF_LIST, "", "",
		"ldap://host:port, ldaps://host:port or ldapi://%2Fpath; several are tried in "
		"their order"),
	SDK_OPT("starttls", PM_OPT_BOOL, 0, "", "yes",
		"StartTLS on ldap:// connections; without it they are in clear text"),
	SDK_OPT("tls_ca", PM_OPT_PATH, 0, "", "",
		"PEM file of the authorities that servers' certificates come from; empty: the "
		"system's"),
	SDK_OPT("tls_cert", PM_OPT_PATH, 0, "", "",
		"PEM file: our certificate, if servers ask for one"),
	SDK_OPT("tls_key", PM_OPT_PATH, 0, "", "", "PEM file: its private key"),
	SDK_OPT("tls_min", PM_OPT_CHOICE, 0, "1.2|1.3", "1.2",
		"the oldest version of TLS that will do"),
	STRING("bind_dn", "", "who searches; empty: nobody (anonymous)"),
	SDK_OPT("bind_password", PM_OPT_STRING, PM_OPTF_SECRET, "", "", "the password of bind_dn"),
	SDK_OPT("bind_external", PM_OPT_BOOL, 0, "", "no",
		"search as who the socket (ldapi) or our certificate says we are: SASL EXTERNAL"),
	STRING("user_dn", "",
	       "bind directly as this, e.g. uid=%n,ou=people,dc=example,dc=org or "
	       "%n@ad.example.org; empty: search first"),
	STRING("base", "", "where users are searched for; may hold %u %n %d"),
	SDK_OPT("scope", PM_OPT_CHOICE, 0, "sub|one|base", "sub", "how deep below base"),
	STRING("filter", "(uid=%n)",
	       "which entry is the user: %u the whole name, %n without domain, %d the domain"),
	STRING("name_attribute", "",
	       "the user's name in the directory's spelling; empty: what filter compares first"),
	STRING("key_attribute", "", "the mailbox key; empty or not there: the name"),
	STRING("section_attribute", "",
	       "the storage section; empty or not there: that of the auth section"),
	STRING("quota_attribute", "", "quota in bytes, or with k m g t after the number"),
	STRING("quota_messages_attribute", "", "quota in messages"),
	STRING("expire_attribute", "", "days after which mail may be removed"),
	STRING("rights_attribute", "",
	       "values pop3 delete deliver master, or nopop3 nodelete nodeliver"),
	STRING("group_attribute", "", "handed on as `group`, e.g. memberOf"),
	STRING("home_attribute", "", "handed on as `home`, e.g. homeDirectory"),
	SDK_OPT("require_group", PM_OPT_STRING, PM_OPTF_LIST, "", "",
		"DN of a group that users must be in; several: in one of them"),
	STRING("group_filter", "(|(member=%D)(uniqueMember=%D)(memberUid=%n))",
	       "what makes a member, asked of the group: %D the user's DN, and %u %n %d"),
	SDK_OPT("unknown", PM_OPT_CHOICE, 0, "deny|next", "deny",
		"a user who is not in the directory: refused, or the next section's"),
	SDK_OPT("connect_timeout", PM_OPT_NUMBER, 0, "ms", "2000",
		"for connecting, TLS and the service bind together"),
	SDK_OPT("timeout", PM_OPT_NUMBER, 0, "ms", "3000",
		"for each search and each bind of a user"),
	SDK_OPT("idle_timeout", PM_OPT_NUMBER, 0, "s", "60",
		"connections that are not used are closed after this"),
};
_Static_assert(sizeof(settings_options) / sizeof(settings_options[0]) == SETTINGS_N_OPTIONS,
	       "as many as settings.h says");
