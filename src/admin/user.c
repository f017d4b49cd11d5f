/* SPDX-License-Identifier: Apache-2.0 */
/* restantectl user NAME: what each auth section says of a name, and what its mailbox holds. */
#include <string.h>

#include "admin/account.h"
#include "admin/admin.h"
#include "conf/conf.h"
#include "core/chain.h"

/* True: this section has the user, and the chain ends here. */
static bool
ask_section(json_t *o, json_t *steps, struct conf *c, int i, const char *name)
{
	struct conf_section *s = &c->auth[i];
	struct question *q = question_new(name);
	bool found = false;

	if (!q)
		return false;
	if (!question_ask(q, QUESTION_LOOKUP, c, s->backend, ACCOUNT_ASK_MS)) {
		json_array_append_new(steps, json_pack("{s:s, s:s}", "section", s->name, "answer",
						       "did not answer within 5 s"));
	} else {
		json_array_append_new(steps,
				      json_pack("{s:s, s:s, s:s}", "section", s->name, "answer",
						account_words(q->rc), "detail", q->error));
		found = q->rc == PM_OK;
	}
	if (found)
		account_json(o, c, s, name, &q->user);
	question_put(q);
	return found;
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
	for (int i = chain_next(c, name, 0); i >= 0; i = chain_next(c, name, i + 1))
		if (ask_section(o, steps, c, i, name))
			break;
	conf_put(c);
	return o;
}
