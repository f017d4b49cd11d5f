/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/account.h"

#include <stdio.h>
#include <string.h>

#include "account/chain.h"
#include "account/lookup.h"
#include "mailbox/registry.h"

const char *
account_words(int32_t rc)
{
	switch (rc) {
	case PM_OK:
		return "has this user";
	case PM_NOENT:
	case PM_NEXT:
	case PM_DENIED:
		return "does not have this user";
	case PM_UNSUPPORTED:
		return "this section " LOOKUP_BLIND;
	case PM_TIMEOUT:
		return "did not answer in time";
	case PM_DOWN:
		return "is down";
	default:
		return "could not answer now";
	}
}

static const char *
state_words(uint32_t state)
{
	static const char *const words[] = {"enabled", "disabled", "expired",
					    "must change the password"};

	return state < 4 ? words[state] : "?";
}

static void
set_str(json_t *o, const char *key, struct pm_str s)
{
	if (s.n > 0)
		json_object_set_new(o, key, json_stringn(s.p, s.n));
}

static void
account_set_num(json_t *o, const char *key, uint64_t v)
{
	if (v > 0)
		json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void
add_rights(json_t *o, uint32_t rights)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s%s%s", rights & PM_RIGHT_POP3 ? " pop3" : "",
		 rights & PM_RIGHT_DELETE ? " delete" : "",
		 rights & PM_RIGHT_DELIVER ? " deliver" : "",
		 rights & PM_RIGHT_MASTER ? " master" : "");
	json_object_set_new(o, "rights", json_string(*text ? text + 1 : "none"));
	json_object_set_new(o, "pop3", json_boolean(rights & PM_RIGHT_POP3));
	json_object_set_new(o, "delete", json_boolean(rights & PM_RIGHT_DELETE));
}

static void
add_user(json_t *o, const struct pm_user *u)
{
	set_str(o, "user", u->name);
	set_str(o, "key", u->key);
	json_object_set_new(o, "state", json_string(state_words(u->state)));
	add_rights(o, u->rights);
	account_set_num(o, "quota_octets", u->quota_octets);
	account_set_num(o, "quota_messages", u->quota_msgs);
	account_set_num(o, "valid_until",
			(uint64_t)(u->valid_until_ms > 0 ? u->valid_until_ms / 1000 : 0));
	set_str(o, "password_label", u->cred_label);
	for (uint32_t i = 0; i < u->n_attr; i++)
		if (u->attr[i].key.n == 4 && memcmp(u->attr[i].key.p, "home", 4) == 0)
			set_str(o, "home", u->attr[i].value);
}

static void
add_mailbox(json_t *o, struct conf *c, struct backend *b, const struct pm_user *u)
{
	struct question *q = question_new("");

	if (!q || !question_keep(q, u)) {
		question_put(q);
		return;
	}
	if (!question_ask(q, QUESTION_STAT, c, b, ACCOUNT_ASK_MS)) {
		json_object_set_new(o, "mailbox",
				    json_string("the storage module did not answer within 5 s"));
	} else if (q->rc == PM_OK) {
		json_object_set_new(o, "messages", json_integer((json_int_t)q->stat.count));
		json_object_set_new(o, "octets", json_integer((json_int_t)q->stat.octets));
		json_object_set_new(o, "last_delivery",
				    json_integer((json_int_t)q->stat.last_delivery_ms / 1000));
	} else {
		json_object_set_new(o, "mailbox",
				    json_string(q->rc == PM_NOENT
							? "none yet: nothing was delivered"
						: q->error[0]             ? q->error
						: q->rc == PM_UNSUPPORTED ? "its store cannot tell"
									  : account_words(q->rc)));
	}
	question_put(q);
}

void
account_json(json_t *o, struct conf *c, const struct conf_section *auth, const char *name,
	     const struct pm_user *found)
{
	struct conf_section *s = chain_storage(c, auth, found->section.p, found->section.n);
	struct pm_user u = *found;
	slot_token holder;

	if (u.name.n == 0)
		u.name = (struct pm_str){name, strlen(name)};
	if (u.key.n == 0)
		u.key = u.name;
	add_user(o, &u);
	json_object_set_new(o, "storage", json_string(s ? s->name : "(no such section)"));
	if (!s)
		return;
	json_object_set_new(o, "open",
			    json_boolean(registry_is_open(s->name, u.key.p, u.key.n, &holder)));
	add_mailbox(o, c, s->backend, &u);
}
