/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/user.h"

#include <stdio.h>
#include <string.h>

#include "account/chain.h"
#include "admin/account.h"
#include "admin/walk.h"
#include "answer/answers.h"
#include "answer/requests.h"
#include "conf/conf.h"

static json_t *
step_json(const struct walk *w)
{
	struct answer_step a = {.section = w->at->name, .answer = "did not answer within 5 s"};
	json_t *o = json_object();

	if (w->q) {
		a.answer = account_words(w->q->rc);
		a.detail = w->q->error;
	}
	ANSWER_PUT(o, step, &a);
	return o;
}

/* The end of the search in words; NULL: the account was found, and is good. */
static const char *
user_result(const struct walk *w, json_t *o, char text[PM_ERROR_MAX])
{
	text[0] = '\0';
	if (w->verdict == LOOKUP_FOUND) {
		account_json(o, w->conf, w->at, w->name, &w->q->user);
		(void)account_own(w->conf, w->at, w->name, &w->q->user, text, PM_ERROR_MAX);
		return *text ? text : NULL;
	}
	if (w->at)
		return "the last section asked cannot answer now, so nobody can tell whose name "
		       "it is";
	snprintf(text, PM_ERROR_MAX, "no section knows this name");
	(void)lookup_end_code(w->blind, text, PM_ERROR_MAX);
	return text;
}

/* Section after section, as RCPT asks them. */
static const char *
user_walk(json_t *o, json_t *steps, struct conf *c, const char *name, char text[PM_ERROR_MAX])
{
	const char *result;
	struct walk w;

	walk_begin(&w, c, name);
	while (walk_next(&w))
		json_array_append_new(steps, step_json(&w));
	result = user_result(&w, o, text);
	walk_end(&w);
	return result;
}

json_t *
user_answer(const json_t *request)
{
	const char *raw = REQUEST_TEXT(request, name);
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
