/* SPDX-License-Identifier: Apache-2.0 */
/* ctl - what the files of restantectl share. */
#ifndef RST_CTL_CTL_H
#define RST_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>

struct conf_where;

#define EXIT_USAGE 64
#define EXIT_UNAVAILABLE 69
#define EXIT_CONFIG 78

#define CTL_OPTS 32

struct verb;

struct ctl {
	const char *conf_file;
	const char *socket; /* NULL: run_dir of the configuration */
	const char *user;   /* --user */
	const char *peer;   /* --peer */
	bool password_stdin;
	bool json;
	struct {
		const char *name, *value;
	} opts[CTL_OPTS]; /* options of single verbs, as given */
	size_t n_opts;
	int argc; /* arguments behind the verb */
	char **argv;
};

/* mailboxes.c: the value of an option ("" without one); NULL: not given. */
const char *ctl_opt(const struct ctl *c, const char *name);
/* Says why the server refused; 1. */
int ctl_refused(const json_t *answer);
void table_volumes(const json_t *answer);
int run_expire(const struct ctl *c, const struct verb *v);
int run_undelete(const struct ctl *c, const struct verb *v);
int run_quota(const struct ctl *c, const struct verb *v);
/* badmail.c */
int run_badmail(const struct ctl *c, const struct verb *v);

/* talk.c: the server's answer, a new reference; NULL: said on standard error, *ret_rc set. */
json_t *ctl_ask(const struct ctl *c, json_t *request, int *ret_rc);

/* auth.c: the request of auth test; NULL: what is wrong was said. */
json_t *ctl_auth_request(const struct ctl *c);

/* table.c: answers for people. */
void table_status(const json_t *answer);
void table_metrics(const json_t *answer);
void table_sessions(const json_t *answer);
void table_modules(const json_t *answer);
void table_user(const json_t *answer);
void table_auth(const json_t *answer);

/* offline.c: without a server. Exit codes. */
void offline_error(void *ctx, const struct conf_where *w, const char *text);
int offline_check_conf(const struct ctl *c);
int offline_module_doc(const struct ctl *c, const char *module);
/* setup.c: `what` of a storage section of this module; section NULL: the only one. */
int offline_setup(const struct ctl *c, const char *module, const char *section, const char *what);

#endif
