/* SPDX-License-Identifier: Apache-2.0 */
/* restantectl user NAME: what each auth section says of a name, and what its mailbox holds. */
#include <stdio.h>
#include <string.h>

#include "account/chain.h"
#include "account/lookup.h"
#include "admin/account.h"
#include "admin/admin.h"
#include "conf/conf.h"

static enum lookup_verdict
user_ask_section(json_t *o, json_t *steps, struct conf *c, int i, const char *name,
		 const struct conf_section **blind)
{
	struct conf_section *s = &c->auth[i];
	struct question *q = question_new(name);
	enum lookup_verdict v = LOOKUP_CANNOT_TELL;

	if (!q)
		return v;
	if (!question_ask(q, QUESTION_LOOKUP, c, s->backend, ACCOUNT_ASK_MS)) {
		json_array_append_new(steps, json_pack("{s:s, s:s}", "section", s->name, "answer",
						       "did not answer within 5 s"));
	} else {
		json_array_append_new(steps,
				      json_pack("{s:s, s:s, s:s}", "section", s->name, "answer",
						account_words(q->rc), "detail", q->error));
		v = lookup_judge(q->rc, s, blind);
	}
	if (v == LOOKUP_FOUND)
		account_json(o, c, s, name, &q->user);
	question_put(q);
	return v;
}

/* Section after section, as RCPT asks them. */
static void
user_walk(json_t *o, json_t *steps, struct conf *c, const char *name)
{
	const struct conf_section *blind = NULL;
	enum lookup_verdict v = LOOKUP_NEXT;
	char text[PM_ERROR_MAX] = "no section knows this name";

	for (int i = chain_next(c, name, 0); i >= 0 && v == LOOKUP_NEXT;
	     i = chain_next(c, name, i + 1))
		v = user_ask_section(o, steps, c, i, name, &blind);
	if (v == LOOKUP_FOUND)
		return;
	if (v == LOOKUP_NEXT)
		(void)lookup_end_code(blind, text, sizeof(text));
	else
		snprintf(text, sizeof(text),
			 "the last section asked cannot answer now: whose name it is cannot be "
			 "told");
	json_object_set_new(o, "result", json_string(text));
}

json_t *
admin_user(const json_t *request)
{
	const char *raw = json_string_value(json_object_get(request, "name"));
	struct conf *c = conf_current();
	char name[PM_NAME_MAX + 1];
	json_t *o, *steps;

	if (!raw || !c || !chain_name(c, raw, strlen(raw), name)) {
		conf_put(c);
		return admin_error("'%.64s' is not a possible user name", raw ? raw : "");
	}
	o = json_object();
	steps = json_array();
	json_object_set_new(o, "ok", json_true());
	json_object_set_new(o, "name", json_string(name));
	json_object_set_new(o, "chain", steps);
	user_walk(o, steps, c, name);
	conf_put(c);
	return o;
}
