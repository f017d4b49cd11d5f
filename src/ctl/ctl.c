/* SPDX-License-Identifier: Apache-2.0 */
/* restantectl - one verb, one answer: a table for people, JSON with --json. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "answer/answers.h"
#include "answer/requests.h"
#include "base/num.h"
#include "ctl/auth.h"
#include "ctl/badmail_verb.h"
#include "ctl/mailbox_verbs.h"
#include "ctl/offline.h"
#include "ctl/options.h"
#include "ctl/setup.h"
#include "ctl/show.h"
#include "ctl/talk.h"
#include "ctl/views.h"

struct ctl_verb {
	const char *name, *args, *doc;
	int min_args, max_args;
	int (*run)(const struct ctl *c); /* NULL: the server is asked, once */
	const struct request *asks;      /* for that */
	/* NULL: a usage error, printed */
	json_t *(*question)(const struct ctl *c, const struct request *asks);
	void (*view)(const json_t *answer); /* the answer, for people; NULL: "ok" */
};

/* ---- questions of one request ---------------------------------------------------------------- */

static json_t *
question_plain(const struct ctl *c, const struct request *asks)
{
	json_t *request = requests_new(asks);

	if (options_get(c, "user"))
		REQUEST_PUT(request, user, json_string(options_get(c, "user")));
	return request;
}

static json_t *
question_kick(const struct ctl *c, const struct request *asks)
{
	uint64_t id = 0;
	json_t *request;

	if (c->argc > 0 && !num_parse(c->argv[0], strlen(c->argv[0]), INT64_MAX, &id)) {
		fprintf(stderr,
			"restantectl: kick: '%s' is no session id; see restantectl sessions\n",
			c->argv[0]);
		return NULL;
	}
	if (c->argc == 0 && !options_get(c, "user")) {
		fprintf(stderr, "restantectl: kick needs a session id or --user NAME\n");
		return NULL;
	}
	request = question_plain(c, asks);
	if (c->argc > 0)
		REQUEST_PUT(request, id, json_integer((json_int_t)id));
	return request;
}

/* The name of a user, or none. */
static json_t *
question_name(const struct ctl *c, const struct request *asks)
{
	json_t *request = requests_new(asks);

	if (c->argc > 0)
		REQUEST_PUT(request, name, json_string(c->argv[0]));
	return request;
}

static json_t *
question_clock(const struct ctl *c, const struct request *asks)
{
	json_t *request;

	if (c->argc > 0 && strcmp(c->argv[0], "accept") != 0) {
		fprintf(stderr, "restantectl: clock takes nothing, or accept\n");
		return NULL;
	}
	request = requests_new(asks);
	if (c->argc > 0)
		REQUEST_PUT(request, accept, json_true());
	return request;
}

/* ---- verbs of their own ---------------------------------------------------------------------- */

static int ask(const struct ctl *c, json_t *request, void (*view)(const json_t *answer));

static int
run_modules(const struct ctl *c)
{
	if (c->argc == 0)
		return ask(c, question_plain(c, &request_modules), view_modules);
	if (strcmp(c->argv[0], "doc") != 0 || c->argc != 2) {
		fprintf(stderr, "restantectl: modules takes nothing, or doc MODULE\n");
		return EX_USAGE;
	}
	return offline_module_doc(c, c->argv[1]);
}

/* [SECTION] [WORD]: a word is none of a section's names, so one argument may be either. */
static int
run_mysql_schema(const struct ctl *c)
{
	static const char *const words[] = {"upgrade", "check", "recount"};
	const char *section = c->argc > 0 ? c->argv[0] : NULL,
		   *what = c->argc > 1 ? c->argv[1] : "";

	for (size_t i = 0; c->argc == 1 && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(section, words[i]) == 0) {
			section = NULL;
			what = words[i];
			break;
		}
	return setup_module(c, "mysql", section, what);
}

static int run_help(const struct ctl *c);

static const struct ctl_verb verbs[] = {
	{"status", "", "how the server is", 0, 0, NULL, &request_status, question_plain,
	 view_status},
	{"metrics", "", "the server's numbers, as text for Prometheus", 0, 0, NULL,
	 &request_metrics, question_plain, view_metrics},
	{"sessions", "[--user NAME]", "who is connected", 0, 0, NULL, &request_sessions,
	 question_plain, view_sessions},
	{"kick", "ID | --user NAME", "end sessions; nothing of theirs is deleted", 0, 1, NULL,
	 &request_kick, question_kick, NULL},
	{"modules", "[doc MODULE]", "sections, gates, breakers, calls; or a module's settings", 0,
	 2, run_modules, NULL, NULL, NULL},
	{"user", "NAME", "the account in each auth section, and its mailbox", 1, 1, NULL,
	 &request_user, question_name, view_user},
	{"auth", "test NAME [--password-stdin]",
	 "walk the auth chain as a login would, explain each step", 2, 2, NULL, &request_auth_test,
	 auth_question, view_auth},
	{"forget", "[NAME]",
	 "forget cached logins of a user, or of all; the sections are asked again", 0, 1, NULL,
	 &request_forget, question_name, NULL},
	{"reload", "", "read the configuration again: all of it or nothing", 0, 0, NULL,
	 &request_reload, question_plain, NULL},
	{"drain", "", "end the server; sessions may come to their QUIT", 0, 0, NULL, &request_drain,
	 question_plain, NULL},
	{"check-conf", "[FILE]", "check a configuration and its modules, print all errors", 0, 1,
	 offline_check_conf, NULL, NULL, NULL},
	{"mysql-schema", "[SECTION] [WORD]",
	 "upgrade (or make), check or recount the tables of a mysql store", 0, 2, run_mysql_schema,
	 NULL, NULL, NULL},
	{"volumes", "", "disks: mounted, room, reserve", 0, 0, NULL, &request_volumes,
	 question_plain, view_volumes},
	{"clock", "[accept]", "is the wall clock believed; accept: it is right", 0, 1, NULL,
	 &request_clock, question_clock, view_clock},
	{"quota", "USER | --domain D [--recount]",
	 "usage and limits; --recount: count what is there", 0, 1, mailbox_verbs_quota, NULL, NULL,
	 NULL},
	{"expire", "USER [--unmarked] | --domain D | --all [--dry-run]",
	 "delete mail whose days (expire = N) are over", 0, 1, mailbox_verbs_expire, NULL, NULL,
	 NULL},
	{"undelete", "USER --list | --all | UIDL...", "bring deleted mail back while undo lasts", 1,
	 201, mailbox_verbs_undelete, NULL, NULL, NULL},
	{"badmail", "list|show|retry|purge|stats [ID...] [FILTER...]",
	 "mail that could not be delivered", 1, 201, badmail_verb, NULL, NULL, NULL},
	{"log-reopen", "", "open the log file again after a rotation", 0, 0, NULL,
	 &request_log_reopen, question_plain, NULL},
	{"help", "", "this", 0, 1, run_help, NULL, NULL, NULL},
};

static void
print_verbs(FILE *to)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(to, "  %-12s %-18s %s\n", verbs[i].name, verbs[i].args, verbs[i].doc);
}

static int
run_help(const struct ctl *c)
{
	(void)c;
	options_usage(stdout, print_verbs);
	return EX_OK;
}

/* ---- one verb -------------------------------------------------------------------------------- */

static bool
is_accepted(const json_t *answer)
{
	struct answer_auth a;

	ANSWER_GET(answer, auth, &a);
	return a.accepted;
}

/* Asks and prints; the exit code tells whether the server agreed, and of auth test whether a login
 * would be let in. */
static int
ask(const struct ctl *c, json_t *request, void (*view)(const json_t *answer))
{
	struct answer_outcome a;
	json_t *answer;
	int rc = 1;

	answer = talk_ask(c, request, &rc);
	json_decref(request);
	if (!answer)
		return rc;
	ANSWER_GET(answer, outcome, &a);
	if (c->json)
		show_json(answer);
	else if (!a.ok)
		fprintf(stderr, "%srestantectl: %s\n", a.errors, a.error);
	else if (view)
		view(answer);
	else
		printf("ok\n");
	rc = !a.ok || (view == view_auth && !is_accepted(answer));
	json_decref(answer);
	return rc;
}

static int
run_verb(const struct ctl *c, const struct ctl_verb *v)
{
	json_t *request;

	if (c->argc < v->min_args || c->argc > v->max_args) {
		fprintf(stderr, "usage: restantectl %s %s\n", v->name, v->args);
		return EX_USAGE;
	}
	if (v->run)
		return v->run(c);
	request = v->question(c, v->asks);
	return request ? ask(c, request, v->view) : EX_USAGE;
}

int
main(int argc, char **argv)
{
	struct ctl c;
	int rc = options_read(&c, argc, argv, print_verbs);

	if (rc != -1)
		return rc;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, c.verb) == 0)
			return run_verb(&c, &verbs[i]);
	fprintf(stderr, "restantectl: unknown verb '%s'\n", c.verb);
	options_usage(stderr, print_verbs);
	return EX_USAGE;
}
