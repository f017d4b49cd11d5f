/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/user.h"

#include <stdio.h>
#include <string.h>

#include "account/chain.h"
#include "account/lookup.h"
#include "admin/account.h"
#include "answer/answers.h"
#include "conf/conf.h"

static enum lookup_verdict
user_ask_section(json_t *o, json_t *steps, struct conf *c, int i, const char *name,
		 const struct conf_section **blind, char text[PM_ERROR_MAX])
{
	struct conf_section *s = &c->auth[i];
	struct answer_step a = {.section = s->name, .answer = "did not answer within 5 s"};
	struct question *q = question_new(name);
	enum lookup_verdict v = LOOKUP_CANNOT_TELL;
	json_t *step = json_object();

	if (q && question_ask(q, QUESTION_LOOKUP, c, s->backend, ACCOUNT_ASK_MS)) {
		a.answer = account_words(q->rc);
		a.detail = q->error;
		v = lookup_judge(q->rc, s, blind);
	}
	ANSWER_PUT(step, step, &a);
	json_array_append_new(steps, step);
	if (v == LOOKUP_FOUND) {
		account_json(o, c, s, name, &q->user);
		(void)account_own(c, s, name, &q->user, text, PM_ERROR_MAX);
	}
	question_put(q);
	return v;
}

/* Section after section, as RCPT asks them. The result; NULL: the account was found, and is
 * good. */
static const char *
user_walk(json_t *o, json_t *steps, struct conf *c, const char *name, char text[PM_ERROR_MAX])
{
	const struct conf_section *blind = NULL;
	enum lookup_verdict v = LOOKUP_NEXT;

	text[0] = '\0';
	for (int i = chain_next(c, name, 0); i >= 0 && v == LOOKUP_NEXT;
	     i = chain_next(c, name, i + 1))
		v = user_ask_section(o, steps, c, i, name, &blind, text);
	if (v == LOOKUP_FOUND)
		return *text ? text : NULL;
	if (v != LOOKUP_NEXT)
		return "the last section asked cannot answer now, so nobody can tell whose name "
		       "it is";
	snprintf(text, PM_ERROR_MAX, "no section knows this name");
	(void)lookup_end_code(blind, text, PM_ERROR_MAX);
	return text;
}

json_t *
user_answer(const json_t *request)
{
	const char *raw = json_string_value(json_object_get(request, "name"));
	struct conf *c = conf_current();
	char name[PM_NAME_MAX + 1], text[PM_ERROR_MAX];
	struct answer_user a = {.name = name};
	json_t *o;

	if (!raw || !c || !chain_name(c, raw, strlen(raw), name)) {
		conf_put(c);
		return answers_error("'%.64s' is not a possible user name", raw ? raw : "");
	}
	o = answers_new();
	a.chain = json_array();
	a.result = user_walk(o, a.chain, c, name, text);
	ANSWER_PUT(o, user, &a);
	conf_put(c);
	return o;
}
