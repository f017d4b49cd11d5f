/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/mailbox_verbs.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "answer/answers.h"
#include "answer/requests.h"
#include "ctl/job.h"
#include "ctl/show.h"

#define TITLE 24 /* columns */

static json_t *
question_of(const struct ctl *c, const struct request *asks)
{
	json_t *r = requests_new(asks);

	if (c->argc > 0)
		REQUEST_PUT(r, user, json_string(c->argv[0]));
	if (options_get(c, "domain"))
		REQUEST_PUT(r, domain, json_string(options_get(c, "domain")));
	if (options_get(c, "dry-run"))
		REQUEST_PUT(r, dry_run, json_true());
	if (options_get(c, "unmarked"))
		REQUEST_PUT(r, unmarked, json_true());
	return r;
}

/* ---- expire ---------------------------------------------------------------------------------- */

static void
view_expire(const json_t *answer)
{
	struct answer_expire e;
	struct answer_job j;

	ANSWER_GET(answer, job, &j);
	ANSWER_GET(answer, expire, &e);
	printf("%s%" PRIu64 " messages of %" PRIu64 " octets in %" PRIu64 " mailboxes\n",
	       j.dry_run ? "would expire " : "expired ", j.messages, j.octets, j.mailboxes);
	if (j.busy > 0)
		printf("%" PRIu64 " mailboxes were passed over because somebody was logged in\n",
		       j.busy);
	if (j.without_account > 0)
		printf("%" PRIu64 " mailboxes belong to no account and were left alone\n",
		       j.without_account);
	if (e.unmarked > 0)
		printf("%" PRIu64 " messages of the undo storage have no mark of having been moved "
		       "there, and are kept\n",
		       e.unmarked);
}

int
mailbox_verbs_expire(const struct ctl *c)
{
	if (c->argc == 0 && !options_get(c, "domain") && !options_get(c, "all")) {
		fprintf(stderr, "restantectl: expire needs a user, --domain NAME or --all\n");
		return EX_USAGE;
	}
	return job_run(c, question_of(c, &request_expire), true, view_expire);
}

/* ---- undelete -------------------------------------------------------------------------------- */

static void
view_undelete(const json_t *answer)
{
	static const struct fields *const parts[] = {&answers_hidden, NULL};
	struct answer_undelete u;
	struct answer_job j;

	ANSWER_GET(answer, job, &j);
	ANSWER_GET(answer, undelete, &u);
	if (json_array_size(u.hidden) > 0)
		show_rows(u.hidden, parts, NULL);
	printf("%" PRIu64 " deleted messages %s\n", j.messages,
	       j.dry_run ? "can be brought back" : "are in the mailbox again");
}

int
mailbox_verbs_undelete(const struct ctl *c)
{
	json_t *request, *uidls;

	if (c->argc == 1 && !options_get(c, "all") && !options_get(c, "list")) {
		fprintf(stderr,
			"restantectl: undelete needs unique-ids, --all, or --list to see them\n");
		return EX_USAGE;
	}
	request = question_of(c, &request_undelete);
	uidls = json_array();
	for (int i = 1; i < c->argc; i++)
		json_array_append_new(uidls, json_string(c->argv[i]));
	REQUEST_PUT(request, uidls, uidls);
	if (options_get(c, "list"))
		REQUEST_PUT(request, dry_run, json_true());
	return job_run(c, request, false, view_undelete);
}

/* ---- quota ----------------------------------------------------------------------------------- */

static void
print_usage(const char *title, uint64_t used, uint64_t limit)
{
	if (limit > 0)
		printf("%-*s %" PRIu64 " of %" PRIu64 " (%" PRIu64 " %%)\n", TITLE, title, used,
		       limit, (uint64_t)((double)used * 100 / (double)limit));
	else
		printf("%-*s %" PRIu64 ", no limit\n", TITLE, title, used);
}

static void
view_user_usage(const struct answer_usage *u, const char *user)
{
	printf("%-*s %s, storage %s\n", TITLE, "user", user, u->storage);
	print_usage("octets", u->used_octets, u->quota_octets);
	print_usage("messages", u->used_messages, u->quota_messages);
	if (u->hidden_messages > 0)
		printf("%-*s %" PRIu64 " messages, %" PRIu64 " octets\n", TITLE,
		       "deleted, can be restored", u->hidden_messages, u->hidden_octets);
}

static void
view_domain_usage(const struct answer_domain_usage *u, const struct answer_domain *d)
{
	printf("%-*s %s%s\n", TITLE, "domain", d->user_domain,
	       u->domain_doubtful ? " (doubtful: it will be counted again)" : "");
	print_usage("domain octets", u->domain_used_octets, d->domain_quota_octets);
	print_usage("domain messages", u->domain_used_messages, d->domain_quota_messages);
}

static void
view_quota(const json_t *answer)
{
	struct answer_domain_usage du;
	struct answer_domain d;
	struct answer_usage u;
	struct answer_job j;

	ANSWER_GET(answer, job, &j);
	ANSWER_GET(answer, domain, &d);
	if (ANSWER_GET(answer, usage, &u))
		view_user_usage(&u, j.user);
	if (strcmp(j.kind, "recount") == 0)
		printf("domain %s holds %" PRIu64 " messages of %" PRIu64 " octets in %" PRIu64
		       " mailboxes\n",
		       j.domain, j.messages, j.octets, j.mailboxes);
	if (ANSWER_GET(answer, domain_usage, &du))
		view_domain_usage(&du, &d);
	else if (strcmp(d.counted_by, "store") == 0)
		printf("%-*s counted by its store\n", TITLE, "domain");
}

int
mailbox_verbs_quota(const struct ctl *c)
{
	bool recount = options_get(c, "recount") != NULL;
	json_t *request;

	if ((c->argc == 0) == (options_get(c, "domain") == NULL)) {
		fprintf(stderr, "restantectl: quota needs a user or --domain NAME\n");
		return EX_USAGE;
	}
	request = question_of(c, &request_quota);
	if (recount)
		REQUEST_PUT(request, recount, json_true());
	return job_run(c, request, recount && c->argc == 0, view_quota);
}
