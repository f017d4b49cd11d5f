/* SPDX-License-Identifier: Apache-2.0 */
/* restantectl volumes, quota, expire, undelete: jobs are started, watched, and their outcome
 * shown. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define LOOK_US 100000
#define SAY_EVERY 10 /* looks */

const char *
ctl_opt(const struct ctl *c, const char *name)
{
	for (size_t i = 0; i < c->n_opts; i++)
		if (strcmp(c->opts[i].name, name) == 0)
			return c->opts[i].value ? c->opts[i].value : "";
	return NULL;
}

static json_int_t
mailboxes_num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *
mailboxes_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

int
ctl_refused(const json_t *answer)
{
	fprintf(stderr, "restantectl: %s\n", mailboxes_text(answer, "error"));
	return 1;
}

/* ---- volumes --------------------------------------------------------------------------------- */

static const char *
size_text(json_int_t octets, char *buf, size_t cap)
{
	static const char units[] = " KMGTP";
	double v = (double)octets;
	size_t u = 0;

	while (v >= 1024 && u + 1 < sizeof(units) - 1) {
		v /= 1024;
		u++;
	}
	snprintf(buf, cap, u == 0 ? "%.0f" : "%.1f%c", v, units[u]);
	return buf;
}

void
table_volumes(const json_t *answer)
{
	const json_t *list = json_object_get(answer, "volumes"), *v;
	char a[24], b[24], r[24], f[24];
	size_t i;

	if (json_array_size(list) == 0) {
		printf("no volume blocks in the configuration\n");
		return;
	}
	printf("%-16s %-12s %9s %9s %9s %12s %8s  %s\n", "VOLUME", "STATE", "SIZE", "FREE",
	       "RESERVE", "RESERVE FILE", "REFUSED", "PATH");
	json_array_foreach(list, i, v)
	{
		printf("%-16s %-12s %9s %9s %9s %12s %8" JSON_INTEGER_FORMAT "  %s\n",
		       mailboxes_text(v, "volume"), mailboxes_text(v, "state"),
		       size_text(mailboxes_num(v, "octets"), a, sizeof(a)),
		       size_text(mailboxes_num(v, "available"), b, sizeof(b)),
		       size_text(mailboxes_num(v, "reserve"), r, sizeof(r)),
		       size_text(mailboxes_num(v, "reserve_file"), f, sizeof(f)),
		       mailboxes_num(v, "refused"), mailboxes_text(v, "path"));
		if (*mailboxes_text(v, "detail"))
			printf("    %s\n", mailboxes_text(v, "detail"));
	}
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void
say_progress(const json_t *a, bool last)
{
	fprintf(stderr,
		"%s%s: %" JSON_INTEGER_FORMAT " mailboxes, %" JSON_INTEGER_FORMAT
		" messages, %" JSON_INTEGER_FORMAT " octets; %" JSON_INTEGER_FORMAT
		" busy, %" JSON_INTEGER_FORMAT " without account, %" JSON_INTEGER_FORMAT
		" failed%s",
		isatty(2) ? "\r" : "", mailboxes_text(a, "kind"), mailboxes_num(a, "mailboxes"),
		mailboxes_num(a, "messages"), mailboxes_num(a, "octets"), mailboxes_num(a, "busy"),
		mailboxes_num(a, "without_account"), mailboxes_num(a, "failed"),
		isatty(2) && !last ? "" : "\n");
}

/* Until the job has ended: its last report; NULL: said. `talk`: progress on standard error. */
static json_t *
mailboxes_watch(const struct ctl *c, json_int_t job, bool talk, int *ret_rc)
{
	for (unsigned looks = 0;; looks++) {
		json_t *request = json_pack("{s:s, s:I}", "verb", "job", "job", job),
		       *a = ctl_ask(c, request, ret_rc);

		json_decref(request);
		if (!a)
			return NULL;
		if (!json_is_true(json_object_get(a, "ok"))) {
			*ret_rc = ctl_refused(a);
			json_decref(a);
			return NULL;
		}
		if (json_is_true(json_object_get(a, "done"))) {
			if (talk)
				say_progress(a, true);
			*ret_rc = json_is_true(json_object_get(a, "succeeded")) ? 0 : 1;
			return a;
		}
		if (talk && looks % SAY_EVERY == SAY_EVERY - 1)
			say_progress(a, false);
		json_decref(a);
		usleep(LOOK_US);
	}
}

/* Asks; when that started a job, its last report. */
static json_t *
run_job(const struct ctl *c, json_t *request, bool talk, int *ret_rc)
{
	json_t *a = ctl_ask(c, request, ret_rc), *job;

	json_decref(request);
	if (!a)
		return NULL;
	if (!json_is_true(json_object_get(a, "ok"))) {
		*ret_rc = ctl_refused(a);
		json_decref(a);
		return NULL;
	}
	*ret_rc = 0;
	job = json_object_get(a, "job");
	if (job) {
		json_t *last = mailboxes_watch(c, json_integer_value(job), talk, ret_rc);

		json_decref(a);
		return last;
	}
	return a;
}

static int
mailboxes_show(const struct ctl *c, json_t *a, int rc, void (*table)(const json_t *a))
{
	if (!a)
		return rc;
	if (c->json) {
		json_dumpf(a, stdout, JSON_INDENT(1));
		printf("\n");
	} else {
		table(a);
		if (rc != 0)
			fprintf(stderr, "restantectl: %s\n",
				*mailboxes_text(a, "detail") ? mailboxes_text(a, "detail")
							     : "not all of it could be done");
	}
	json_decref(a);
	return rc;
}

static json_t *
request_of(const struct ctl *c, const char *verb)
{
	json_t *r = json_pack("{s:s}", "verb", verb);

	if (c->argc > 0)
		json_object_set_new(r, "user", json_string(c->argv[0]));
	if (ctl_opt(c, "domain"))
		json_object_set_new(r, "domain", json_string(ctl_opt(c, "domain")));
	if (ctl_opt(c, "dry-run"))
		json_object_set_new(r, "dry_run", json_true());
	if (ctl_opt(c, "unmarked"))
		json_object_set_new(r, "unmarked", json_true());
	return r;
}

/* ---- expire ---------------------------------------------------------------------------------- */

static void
table_expire(const json_t *a)
{
	printf("%s%" JSON_INTEGER_FORMAT " messages of %" JSON_INTEGER_FORMAT
	       " octets in %" JSON_INTEGER_FORMAT " mailboxes\n",
	       json_is_true(json_object_get(a, "dry_run")) ? "would expire " : "expired ",
	       mailboxes_num(a, "messages"), mailboxes_num(a, "octets"),
	       mailboxes_num(a, "mailboxes"));
	if (mailboxes_num(a, "busy") > 0)
		printf("%" JSON_INTEGER_FORMAT
		       " mailboxes were passed over because somebody was logged in\n",
		       mailboxes_num(a, "busy"));
	if (mailboxes_num(a, "without_account") > 0)
		printf("%" JSON_INTEGER_FORMAT
		       " mailboxes belong to no account and were left alone\n",
		       mailboxes_num(a, "without_account"));
	if (mailboxes_num(a, "unmarked") > 0)
		printf("%" JSON_INTEGER_FORMAT " messages of the undo storage do not say that they "
		       "were moved there, and are kept\n",
		       mailboxes_num(a, "unmarked"));
}

int
run_expire(const struct ctl *c, const struct verb *v)
{
	int rc = 1;
	json_t *a;

	(void)v;
	if (c->argc == 0 && !ctl_opt(c, "domain") && !ctl_opt(c, "all")) {
		fprintf(stderr, "restantectl: expire needs a user, --domain NAME or --all\n");
		return EXIT_USAGE;
	}
	a = run_job(c, request_of(c, "expire"), true, &rc);
	return mailboxes_show(c, a, rc, table_expire);
}

/* ---- undelete -------------------------------------------------------------------------------- */

static void
mailboxes_put_time(json_int_t ms)
{
	time_t t = (time_t)(ms / 1000);
	char buf[40] = "-";
	struct tm tm;

	if (ms > 0 && gmtime_r(&t, &tm))
		(void)strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M", &tm);
	printf("%-17s", buf);
}

static void
table_undelete(const json_t *a)
{
	const json_t *list = json_object_get(a, "hidden"), *m;
	bool only_look = json_is_true(json_object_get(a, "dry_run"));
	size_t i;

	if (json_array_size(list) > 0)
		printf("%-17s %-17s %10s  %s\n", "RECEIVED (UTC)", "RETRIEVED (UTC)", "OCTETS",
		       "UNIQUE-ID");
	json_array_foreach(list, i, m)
	{
		mailboxes_put_time(mailboxes_num(m, "received_ms"));
		printf(" ");
		mailboxes_put_time(mailboxes_num(m, "first_retrieved_ms"));
		printf(" %10" JSON_INTEGER_FORMAT "  %s\n", mailboxes_num(m, "octets"),
		       mailboxes_text(m, "uidl"));
	}
	printf("%" JSON_INTEGER_FORMAT " deleted messages %s\n", mailboxes_num(a, "messages"),
	       only_look ? "can be brought back" : "are in the mailbox again");
}

int
run_undelete(const struct ctl *c, const struct verb *v)
{
	json_t *request = request_of(c, "undelete"), *uidls = json_array(), *a;
	int rc = 1;

	(void)v;
	for (int i = 1; i < c->argc; i++)
		json_array_append_new(uidls, json_string(c->argv[i]));
	json_object_set_new(request, "uidls", uidls);
	if (ctl_opt(c, "list"))
		json_object_set_new(request, "dry_run", json_true());
	else if (c->argc == 1 && !ctl_opt(c, "all")) {
		fprintf(stderr,
			"restantectl: undelete needs unique-ids, --all, or --list to see them\n");
		json_decref(request);
		return EXIT_USAGE;
	}
	a = run_job(c, request, false, &rc);
	return mailboxes_show(c, a, rc, table_undelete);
}

/* ---- quota ----------------------------------------------------------------------------------- */

static void
mailboxes_put_usage(const char *what, json_int_t used, json_int_t limit)
{
	if (limit > 0)
		printf("%-24s %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
		       " (%" JSON_INTEGER_FORMAT " %%)\n",
		       what, used, limit, (json_int_t)((double)used * 100 / (double)limit));
	else
		printf("%-24s %" JSON_INTEGER_FORMAT ", no limit\n", what, used);
}

static void
table_quota(const json_t *a)
{
	if (json_object_get(a, "used_octets")) {
		printf("%-24s %s, storage %s\n", "user", mailboxes_text(a, "user"),
		       mailboxes_text(a, "storage"));
		mailboxes_put_usage("octets", mailboxes_num(a, "used_octets"),
				    mailboxes_num(a, "quota_octets"));
		mailboxes_put_usage("messages", mailboxes_num(a, "used_messages"),
				    mailboxes_num(a, "quota_messages"));
		if (mailboxes_num(a, "hidden_messages") > 0)
			printf("%-24s %" JSON_INTEGER_FORMAT " messages, %" JSON_INTEGER_FORMAT
			       " octets\n",
			       "deleted, can be restored", mailboxes_num(a, "hidden_messages"),
			       mailboxes_num(a, "hidden_octets"));
	}
	if (strcmp(mailboxes_text(a, "kind"), "recount") == 0)
		printf("domain %s holds %" JSON_INTEGER_FORMAT " messages of %" JSON_INTEGER_FORMAT
		       " octets in %" JSON_INTEGER_FORMAT " mailboxes\n",
		       mailboxes_text(a, "domain"), mailboxes_num(a, "messages"),
		       mailboxes_num(a, "octets"), mailboxes_num(a, "mailboxes"));
	if (json_object_get(a, "domain_used_octets")) {
		printf("%-24s %s%s\n", "domain", mailboxes_text(a, "user_domain"),
		       json_is_true(json_object_get(a, "domain_doubtful"))
			       ? " (doubtful: it is to be counted anew)"
			       : "");
		mailboxes_put_usage("domain octets", mailboxes_num(a, "domain_used_octets"),
				    mailboxes_num(a, "domain_quota_octets"));
		mailboxes_put_usage("domain messages", mailboxes_num(a, "domain_used_messages"),
				    mailboxes_num(a, "domain_quota_messages"));
	} else if (strcmp(mailboxes_text(a, "counted_by"), "store") == 0) {
		printf("%-24s counted by its store\n", "domain");
	}
}

int
run_quota(const struct ctl *c, const struct verb *v)
{
	json_t *request = request_of(c, "quota"), *a;
	int rc = 1;

	(void)v;
	if ((c->argc == 0) == (ctl_opt(c, "domain") == NULL)) {
		fprintf(stderr, "restantectl: quota needs a user or --domain NAME\n");
		json_decref(request);
		return EXIT_USAGE;
	}
	if (ctl_opt(c, "recount"))
		json_object_set_new(request, "recount", json_true());
	a = run_job(c, request, ctl_opt(c, "recount") != NULL && c->argc == 0, &rc);
	return mailboxes_show(c, a, rc, table_quota);
}
