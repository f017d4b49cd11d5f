/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/account.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "account/chain.h"
#include "account/lookup.h"
#include "account/own.h"
#include "admin/walk.h"
#include "answer/answers.h"
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

/* A text of a module, which need not be terminated; NULL: it is empty. Cut at PM_PATH_MAX. */
struct account_text {
	char text[PM_PATH_MAX + 1];
};

static const char *
str_text(struct account_text *t, struct pm_str s)
{
	snprintf(t->text, sizeof(t->text), "%.*s",
		 (int)(s.n < sizeof(t->text) ? s.n : sizeof(t->text) - 1), s.p ? s.p : "");
	return s.n > 0 ? t->text : NULL;
}

static const char *
rights_text(struct account_text *t, uint32_t rights)
{
	snprintf(t->text, sizeof(t->text), "%s%s%s%s", rights & PM_RIGHT_POP3 ? " pop3" : "",
		 rights & PM_RIGHT_DELETE ? " delete" : "",
		 rights & PM_RIGHT_DELIVER ? " deliver" : "",
		 rights & PM_RIGHT_MASTER ? " master" : "");
	return t->text[0] ? t->text + 1 : "none";
}

static struct pm_str
home_of(const struct pm_user *u)
{
	for (uint32_t i = 0; i < u->n_attr; i++)
		if (u->attr[i].key.n == 4 && memcmp(u->attr[i].key.p, "home", 4) == 0)
			return u->attr[i].value;
	return (struct pm_str){NULL, 0};
}

static void
add_account(json_t *o, const struct pm_user *u, const char *storage)
{
	struct account_text user, rights, label, key, home;
	const struct answer_account a = {
		.user = str_text(&user, u->name),
		.state = state_words(u->state),
		.rights = rights_text(&rights, u->rights),
		.pop3 = u->rights & PM_RIGHT_POP3,
		.delete = u->rights & PM_RIGHT_DELETE,
		.quota_octets = u->quota_octets,
		.quota_messages = u->quota_msgs,
		.valid_until = u->valid_until_ms > 0 ? (uint64_t)u->valid_until_ms / 1000 : 0,
		.password_label = str_text(&label, u->cred_label),
		.key = str_text(&key, u->key),
		.home = str_text(&home, home_of(u)),
		.storage = storage,
	};

	ANSWER_PUT(o, account, &a);
}

static void
add_content(json_t *o, const struct pm_stat *s)
{
	const struct answer_content a = {
		.messages = s->count,
		.octets = s->octets,
		.last_delivery = (uint64_t)s->last_delivery_ms / 1000,
	};

	ANSWER_PUT(o, content, &a);
}

/* Why a mailbox cannot be looked at. */
static const char *
mailbox_words(const struct question *q)
{
	if (q->rc == PM_NOENT)
		return "none yet: nothing was delivered";
	if (q->error[0])
		return q->error;
	return q->rc == PM_UNSUPPORTED ? "its store cannot tell" : account_words(q->rc);
}

static void
add_mailbox(json_t *o, struct conf *c, const struct conf_section *s, const struct pm_user *u)
{
	struct question *q = question_new("");
	struct answer_mailbox a = {.mailbox = "no memory"};
	slot_token holder;

	a.open = registry_is_open(s->name, u->key.p, u->key.n, &holder);
	if (q && question_keep(q, u)) {
		if (!question_ask(q, QUESTION_STAT, c, s->backend, QUESTION_MS))
			a.mailbox = "the storage module did not answer within 5 s";
		else
			a.mailbox = q->rc == PM_OK ? NULL : mailbox_words(q);
	}
	ANSWER_PUT(o, mailbox, &a);
	if (!a.mailbox)
		add_content(o, &q->stat);
	question_put(q);
}

/* ---- whose name it is ------------------------------------------------------------------------ */

#define NAME_ROOM 1024 /* a name, its key, and what an arena needs */

/* As find.c does. */
static int32_t
account_judge_name(const struct walk *w, const struct conf_section *auth, const char *asked,
		   char *text, size_t cap)
{
	bool found = w->verdict == LOOKUP_FOUND,
	     its_own = found ? w->at == auth
			     : !w->at && w->blind == auth && strcasecmp(asked, w->name) == 0;

	if (its_own)
		return PM_OK;
	if (w->verdict == LOOKUP_CANNOT_TELL) {
		snprintf(text, cap,
			 "whether its name, '%.80s', is another account's cannot be told", w->name);
		return PM_TEMP;
	}
	snprintf(text, cap, OWN_LEADS_ELSEWHERE, w->name, found ? OWN_OF_SECTION : OWN_NONE,
		 found ? w->at->name : "");
	return PM_PERM;
}

static int32_t
account_ask_name(struct conf *c, const struct conf_section *auth, const char *asked,
		 const struct pm_user *u, char *text, size_t cap)
{
	char name[PM_NAME_MAX + 1];
	struct walk w;
	int32_t rc;

	snprintf(name, sizeof(name), "%.*s", (int)u->name.n, u->name.p);
	walk_begin(&w, c, name);
	while (walk_next(&w))
		;
	rc = account_judge_name(&w, auth, asked, text, cap);
	walk_end(&w);
	return rc;
}

int32_t
account_own(struct conf *c, const struct conf_section *auth, const char *name,
	    const struct pm_user *found, char *text, size_t cap)
{
	struct conf_section *storage = chain_storage(c, auth, found->section.p, found->section.n);
	struct pm_user u = *found;
	struct arena a;
	int32_t rc;

	arena_init(&a, NAME_ROOM);
	rc = own_complete(auth, name, &a, &u);
	if (rc != PM_OK)
		snprintf(text, cap, "its name is too long");
	else
		switch (own_judge(c, auth, storage, name, &u, text, cap)) {
		case OWN_YES:
			break;
		case OWN_NO:
			rc = PM_PERM;
			break;
		default:
			rc = account_ask_name(c, auth, name, &u, text, cap);
		}
	arena_reset(&a);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

void
account_json(json_t *o, struct conf *c, const struct conf_section *auth, const char *name,
	     const struct pm_user *found)
{
	struct conf_section *s = chain_storage(c, auth, found->section.p, found->section.n);
	struct pm_user u = *found;
	struct arena a;

	arena_init(&a, NAME_ROOM);
	(void)own_complete(auth, name, &a, &u); /* account_own tells why not */
	add_account(o, &u, s ? s->name : "(no such section)");
	if (s)
		add_mailbox(o, c, s, &u);
	arena_reset(&a);
}
