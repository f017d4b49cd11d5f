/* SPDX-License-Identifier: Apache-2.0 */
/* restantectl - one verb, one answer: a table for people, JSON with --json. */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "config.h"

struct verb {
	const char *name, *args, *doc;
	int min_args, max_args;
	int (*run)(const struct ctl *c, const struct verb *v);
	void (*table)(const json_t *answer);
};

/* Asks, prints, and tells by the exit code whether the server agreed. */
static int
ask(const struct ctl *c, json_t *request, void (*table)(const json_t *answer))
{
	json_t *answer;
	bool refused;
	int rc = 1;

	answer = ctl_ask(c, request, &rc);
	json_decref(request);
	if (!answer)
		return rc;
	rc = json_is_true(json_object_get(answer, "ok")) ? 0 : 1;
	refused = json_is_false(json_object_get(answer, "accepted")); /* an answer all the same */
	if (c->json) {
		json_dumpf(answer, stdout, JSON_INDENT(1));
		printf("\n");
	} else if (rc != 0) {
		const char *errors = json_string_value(json_object_get(answer, "errors"));

		fprintf(stderr, "%srestantectl: %s\n", errors ? errors : "",
			json_string_value(json_object_get(answer, "error")));
	} else if (table) {
		table(answer);
	} else {
		printf("ok\n");
	}
	json_decref(answer);
	return refused ? 1 : rc;
}

static int
run_plain(const struct ctl *c, const struct verb *v)
{
	json_t *request = json_pack("{s:s}", "verb", v->name);

	if (c->user)
		json_object_set_new(request, "user", json_string(c->user));
	return ask(c, request, v->table);
}

static int
run_kick(const struct ctl *c, const struct verb *v)
{
	json_t *request = json_pack("{s:s}", "verb", v->name);
	uint64_t id;

	if (c->argc > 0 && !num_parse(c->argv[0], strlen(c->argv[0]), INT64_MAX, &id)) {
		fprintf(stderr,
			"restantectl: kick: '%s' is no session id; see restantectl sessions\n",
			c->argv[0]);
		json_decref(request);
		return EXIT_USAGE;
	}
	if (c->argc > 0)
		json_object_set_new(request, "id", json_integer((json_int_t)id));
	if (c->user)
		json_object_set_new(request, "user", json_string(c->user));
	if (c->argc == 0 && !c->user) {
		fprintf(stderr, "restantectl: kick needs a session id or --user NAME\n");
		json_decref(request);
		return EXIT_USAGE;
	}
	return ask(c, request, NULL);
}

static int
run_user(const struct ctl *c, const struct verb *v)
{
	return ask(c, json_pack("{s:s, s:s}", "verb", v->name, "name", c->argv[0]), v->table);
}

static int
run_forget(const struct ctl *c, const struct verb *v)
{
	json_t *request = json_pack("{s:s}", "verb", v->name);

	if (c->argc > 0)
		json_object_set_new(request, "name", json_string(c->argv[0]));
	return ask(c, request, NULL);
}

/* Told by the exit code, too: would a login come in? */
static int
run_auth(const struct ctl *c, const struct verb *v)
{
	json_t *request = ctl_auth_request(c);

	return request ? ask(c, request, v->table) : EXIT_USAGE;
}

static int
run_modules(const struct ctl *c, const struct verb *v)
{
	if (c->argc == 0)
		return run_plain(c, v);
	if (strcmp(c->argv[0], "doc") != 0 || c->argc != 2) {
		fprintf(stderr, "restantectl: modules takes nothing, or doc MODULE\n");
		return EXIT_USAGE;
	}
	return offline_module_doc(c, c->argv[1]);
}

static int
run_check_conf(const struct ctl *c, const struct verb *v)
{
	(void)v;
	return offline_check_conf(c);
}

/* [SECTION] [WORD]: a word is none of a section's names, so one argument may be either. */
static int
run_mysql_schema(const struct ctl *c, const struct verb *v)
{
	static const char *const words[] = {"upgrade", "check", "recount"};
	const char *section = c->argc > 0 ? c->argv[0] : NULL,
		   *what = c->argc > 1 ? c->argv[1] : "";

	(void)v;
	for (size_t i = 0; c->argc == 1 && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(section, words[i]) == 0) {
			section = NULL;
			what = words[i];
			break;
		}
	return offline_setup(c, "mysql", section, what);
}

static int run_help(const struct ctl *c, const struct verb *v);

static const struct verb verbs[] = {
	{"status", "", "how the server is", 0, 0, run_plain, table_status},
	{"metrics", "", "the server's numbers, as text for Prometheus", 0, 0, run_plain,
	 table_metrics},
	{"sessions", "[--user NAME]", "who is connected", 0, 0, run_plain, table_sessions},
	{"kick", "ID | --user NAME", "end sessions; nothing of theirs is deleted", 0, 1, run_kick,
	 NULL},
	{"modules", "[doc MODULE]", "sections, gates, breakers, calls; or a module's settings", 0,
	 2, run_modules, table_modules},
	{"user", "NAME", "what the auth sections and the mailbox say of a user", 1, 1, run_user,
	 table_user},
	{"auth", "test NAME [--password-stdin]",
	 "walk the auth chain as a login would, explain each step", 2, 2, run_auth, table_auth},
	{"forget", "[NAME]",
	 "forget cached logins of a user, or of all; the sections are asked again", 0, 1,
	 run_forget, NULL},
	{"reload", "", "read the configuration again: all of it or nothing", 0, 0, run_plain, NULL},
	{"drain", "", "end the server; sessions may come to their QUIT", 0, 0, run_plain, NULL},
	{"check-conf", "[FILE]", "check a configuration and its modules, print all errors", 0, 1,
	 run_check_conf, NULL},
	{"mysql-schema", "[SECTION] [WORD]",
	 "upgrade (or make), check or recount the tables of a mysql store", 0, 2, run_mysql_schema,
	 NULL},
	{"volumes", "", "disks: mounted, room, reserve", 0, 0, run_plain, table_volumes},
	{"quota", "USER | --domain D [--recount]",
	 "usage and limits; --recount: count what is there", 0, 1, run_quota, NULL},
	{"expire", "USER [--unmarked] | --domain D | --all [--dry-run]",
	 "delete what expire = N says is over", 0, 1, run_expire, NULL},
	{"undelete", "USER --list | --all | UIDL...", "bring deleted mail back while undo lasts", 1,
	 201, run_undelete, NULL},
	{"badmail", "list|show|retry|purge|stats [ID...] [FILTER...]",
	 "mail that could not be delivered", 1, 201, run_badmail, NULL},
	{"log-reopen", "", "open the log file again after a rotation", 0, 0, run_plain, NULL},
	{"help", "", "this", 0, 1, run_help, NULL},
};

static void
ctl_usage(FILE *to)
{
	fprintf(to,
		"usage: restantectl [-c FILE] [-s SOCKET] [--json] VERB\n"
		"  -c, --config FILE   configuration (default %s)\n"
		"  -s, --socket FILE   control socket (default: run_dir/control of the "
		"configuration)\n"
		"      --json          print JSON\n",
		DEFAULT_CONF);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(to, "  %-12s %-18s %s\n", verbs[i].name, verbs[i].args, verbs[i].doc);
}

static int
run_help(const struct ctl *c, const struct verb *v)
{
	(void)c;
	(void)v;
	ctl_usage(stdout);
	return 0;
}

static int
run_verb(struct ctl *c, const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->name, name) != 0)
			continue;
		if (c->argc < v->min_args || c->argc > v->max_args) {
			fprintf(stderr, "usage: restantectl %s %s\n", v->name, v->args);
			return EXIT_USAGE;
		}
		return v->run(c, v);
	}
	fprintf(stderr, "restantectl: unknown verb '%s'\n", name);
	ctl_usage(stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"user", required_argument, NULL, 'u'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{"password-stdin", no_argument, NULL, 'P'},
		{"peer", required_argument, NULL, 'A'},
		{"class", required_argument, NULL, 'O'},
		{"reason", required_argument, NULL, 'O'},
		{"code", required_argument, NULL, 'O'},
		{"sender", required_argument, NULL, 'O'},
		{"sender-domain", required_argument, NULL, 'O'},
		{"recipient", required_argument, NULL, 'O'},
		{"source", required_argument, NULL, 'O'},
		{"since", required_argument, NULL, 'O'},
		{"before", required_argument, NULL, 'O'},
		{"limit", required_argument, NULL, 'O'},
		{"after", required_argument, NULL, 'O'},
		{"domain", required_argument, NULL, 'O'},
		{"all", no_argument, NULL, 'O'},
		{"list", no_argument, NULL, 'O'},
		{"dry-run", no_argument, NULL, 'O'},
		{"recount", no_argument, NULL, 'O'},
		{"unmarked", no_argument, NULL, 'O'},
		{NULL, 0, NULL, 0},
	};
	struct ctl c = {.conf_file = DEFAULT_CONF};
	int opt, at = 0;

	while ((opt = getopt_long(argc, argv, "c:s:u:jVh", options, &at)) != -1) {
		switch (opt) {
		case 'c':
			c.conf_file = optarg;
			break;
		case 's':
			c.socket = optarg;
			break;
		case 'u':
			c.user = optarg;
			break;
		case 'O':
			if (c.n_opts == CTL_OPTS) {
				fprintf(stderr, "restantectl: too many options\n");
				return EXIT_USAGE;
			}
			c.opts[c.n_opts].name = options[at].name;
			c.opts[c.n_opts++].value = optarg;
			break;
		case 'j':
			c.json = true;
			break;
		case 'P':
			c.password_stdin = true;
			break;
		case 'A':
			c.peer = optarg;
			break;
		case 'V':
			printf("restantectl %s\n", PACKAGE_VERSION);
			return 0;
		case 'h':
			ctl_usage(stdout);
			return 0;
		default:
			ctl_usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind >= argc) {
		ctl_usage(stderr);
		return EXIT_USAGE;
	}
	c.argc = argc - optind - 1;
	c.argv = argv + optind + 1;
	return run_verb(&c, argv[optind]);
}
