/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "account/caches.h"
#include "account/chain.h"
#include "admin/authtest.h"
#include "admin/clock.h"
#include "admin/mailboxes.h"
#include "admin/metrics.h"
#include "admin/modules.h"
#include "admin/sessions.h"
#include "admin/status.h"
#include "admin/to_main.h"
#include "admin/user.h"
#include "admin/volumes.h"
#include "answer/answers.h"
#include "answer/requests.h"
#include "conf/conf.h"
#include "log/logger.h"

/* ---- verbs of a few lines -------------------------------------------------------------------- */

static json_t *
verb_metrics(const json_t *request)
{
	size_t n = 0;
	char *text = metrics_text(&n);
	struct answer_metrics a = {.text = text};
	json_t *o;

	(void)request;
	if (!text)
		return answers_error("no memory");
	o = answers_new();
	ANSWER_PUT(o, metrics, &a);
	free(text);
	return o;
}

static json_t *
verb_forget(const json_t *request)
{
	const char *raw = REQUEST_TEXT(request, name);
	struct conf *c = conf_current();
	char name[PM_NAME_MAX + 1] = "";
	bool known = c && (!raw || chain_name(c, raw, strlen(raw), name));

	conf_put(c);
	if (!known)
		return answers_error("'%.64s' is not a possible user name", raw ? raw : "");
	caches_forget(NULL, (struct pm_str){name, strlen(name)});
	return answers_new();
}

static json_t *
verb_reload(const json_t *request)
{
	char *errors = NULL;
	bool ok = to_main_reload(&errors);
	struct answer_outcome a = {.ok = ok,
				   .error = ok ? NULL : "the old configuration stays in force",
				   .errors = errors ? errors : ""};
	json_t *o = json_object();

	(void)request;
	ANSWER_PUT(o, outcome, &a);
	free(errors);
	return o;
}

static json_t *
verb_drain(const json_t *request)
{
	(void)request;
	to_main_drain();
	return answers_new();
}

static json_t *
verb_log_reopen(const json_t *request)
{
	(void)request;
	logger_reopen();
	return answers_new();
}

/* ---- the table ------------------------------------------------------------------------------- */

struct admin_verb {
	const struct request *request;
	json_t *(*run)(const json_t *request);
	bool slow; /* asks a module, the disk or main */
};

static const struct admin_verb verbs[] = {
	{&request_status, status_answer, false},       {&request_metrics, verb_metrics, false},
	{&request_sessions, sessions_answer, false},   {&request_kick, sessions_kick, false},
	{&request_modules, modules_answer, false},     {&request_user, user_answer, true},
	{&request_auth_test, authtest_answer, true},   {&request_reload, verb_reload, true},
	{&request_forget, verb_forget, false},         {&request_volumes, volumes_answer, false},
	{&request_quota, mailboxes_quota, true},       {&request_expire, mailboxes_expire, true},
	{&request_undelete, mailboxes_undelete, true}, {&request_job, mailboxes_job, false},
	{&request_clock, clock_answer, true},          {&request_drain, verb_drain, false},
	{&request_log_reopen, verb_log_reopen, false},
};

#define ADDED_MAX 8

static struct admin_verb added[ADDED_MAX];
static size_t n_added;

void
verbs_add(const struct request *r, json_t *(*run)(const json_t *request))
{
	if (n_added < ADDED_MAX)
		added[n_added++] = (struct admin_verb){r, run, true};
}

static const struct admin_verb *
find_verb(const json_t *request)
{
	const struct request *r = requests_find(request);

	for (size_t i = 0; r && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].request == r)
			return &verbs[i];
	for (size_t i = 0; r && i < n_added; i++)
		if (added[i].request == r)
			return &added[i];
	return NULL;
}

bool
verbs_is_slow(const json_t *request)
{
	const struct admin_verb *v = find_verb(request);

	return v && v->slow;
}

json_t *
verbs_answer(const json_t *request)
{
	const char *verb = REQUEST_TEXT(request, verb), *action = REQUEST_TEXT(request, action);
	const struct admin_verb *v = find_verb(request);
	char text[REQUESTS_TEXT_MAX];

	if (!v)
		return answers_error("unknown verb '%.40s%s%.40s'", verb ? verb : "",
				     action ? " " : "", action ? action : "");
	if (!requests_check(v->request, request, text))
		return answers_error("%s", text);
	return v->run(request);
}
