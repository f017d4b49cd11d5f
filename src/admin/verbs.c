/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "account/caches.h"
#include "account/chain.h"
#include "admin/authtest.h"
#include "admin/logger.h"
#include "admin/mailboxes.h"
#include "admin/metrics.h"
#include "admin/modules.h"
#include "admin/sessions.h"
#include "admin/status.h"
#include "admin/to_main.h"
#include "admin/user.h"
#include "admin/volumes.h"
#include "answer/answers.h"
#include "conf/conf.h"

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
	const char *raw = json_string_value(json_object_get(request, "name"));
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
	const char *name;
	json_t *(*run)(const json_t *request);
	bool slow; /* asks a module, the disk or main */
};

static const struct admin_verb verbs[] = {
	{"status", status_answer, false},       {"metrics", verb_metrics, false},
	{"sessions", sessions_answer, false},   {"kick", sessions_kick, false},
	{"modules", modules_answer, false},     {"user", user_answer, true},
	{"auth-test", authtest_answer, true},   {"reload", verb_reload, true},
	{"forget", verb_forget, false},         {"volumes", volumes_answer, false},
	{"quota", mailboxes_quota, true},       {"expire", mailboxes_expire, true},
	{"undelete", mailboxes_undelete, true}, {"job", mailboxes_job, false},
	{"drain", verb_drain, false},           {"log-reopen", verb_log_reopen, false},
};

#define ADDED_MAX 8

static struct admin_verb added[ADDED_MAX];
static size_t n_added;

void
verbs_add(const char *name, json_t *(*run)(const json_t *request))
{
	if (n_added < ADDED_MAX)
		added[n_added++] = (struct admin_verb){name, run, true};
}

static const struct admin_verb *
find_verb(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "verb"));

	for (size_t i = 0; name && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	for (size_t i = 0; name && i < n_added; i++)
		if (strcmp(added[i].name, name) == 0)
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
	const struct admin_verb *v = find_verb(request);
	const char *name = json_string_value(json_object_get(request, "verb"));

	return v ? v->run(request) : answers_error("unknown verb '%.40s'", name ? name : "");
}
