/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/mailboxes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/chain.h"
#include "answer/answers.h"
#include "answer/requests.h"
#include "base/clock_note.h"
#include "upkeep/sweep.h"
#include "upkeep/sweep_report.h"

#define TEXT_MAX 200

/* ---- jobs ------------------------------------------------------------------------------------ */

static void
add_domain_usage(json_t *o, const struct quota_usage *u)
{
	const struct answer_domain_usage a = {.domain_used_octets = u->octets,
					      .domain_used_messages = u->msgs,
					      .domain_doubtful = u->doubtful};

	ANSWER_PUT(o, domain_usage, &a);
}

/* Usage and limits of a user's mailbox, and of the domain. */
static void
add_usage(json_t *o, const struct sweep_report *r)
{
	const struct quota_limits *l = &r->limits;
	const struct answer_usage a = {
		.used_octets = r->stat.octets,
		.used_messages = r->stat.count,
		.quota_octets = l->octets,
		.quota_messages = l->msgs,
		.hidden_messages = r->stat.hidden,
		.hidden_octets = r->stat.hidden_octets,
		.storage = r->section,
	};
	const struct answer_domain d = {
		.user_domain = l->domain,
		.domain_quota_octets = l->domain_octets,
		.domain_quota_messages = l->domain_msgs,
		.counted_by = l->store_counts     ? "store"
			      : l->domain_counted ? "file"
						  : "nobody",
	};

	ANSWER_PUT(o, usage, &a);
	ANSWER_PUT(o, domain, &d);
	if (r->domain_rc == PM_OK)
		add_domain_usage(o, &r->domain_usage);
}

/* counted_by NULL: by the server's own file, which needs no mention. */
static void
add_domain(json_t *o, const struct conf *c, const char *domain, const struct quota_usage *u,
	   const char *counted_by)
{
	const struct conf_domain *d = conf_domain(c, domain, strlen(domain));
	const struct answer_domain a = {
		.user_domain = domain,
		.domain_quota_octets =
			(uint64_t)(d && d->limits.domain_octets >= 0 ? d->limits.domain_octets
								     : c->site.domain_octets),
		.domain_quota_messages =
			(uint64_t)(d && d->limits.domain_msgs >= 0 ? d->limits.domain_msgs
								   : c->site.domain_msgs),
		.counted_by = counted_by,
	};

	ANSWER_PUT(o, domain, &a);
	add_domain_usage(o, u);
}

static void
add_hidden(json_t *o, const struct sweep_report *r)
{
	struct answer_undelete a = {.hidden = json_array()};

	for (size_t i = 0; i < r->n_found; i++) {
		const struct answer_hidden h = {
			.received_ms = (uint64_t)r->found[i].received_ms,
			.first_retrieved_ms = (uint64_t)r->found[i].first_retrieved_ms,
			.octets = r->found[i].octets,
			.uidl = r->found[i].uidl,
		};
		json_t *row = json_object();

		ANSWER_PUT(row, hidden, &h);
		json_array_append_new(a.hidden, row);
	}
	ANSWER_PUT(o, undelete, &a);
}

static json_t *
job_json(const struct sweep_report *r)
{
	static const char *const kinds[] = {"expire", "recount", "undelete", "quota",
					    "undo",   "undo",    "undo"};
	const struct answer_job a = {
		.job = r->id,
		.kind = kinds[r->kind],
		.user = r->user,
		.domain = r->domain,
		.dry_run = r->dry_run,
		.done = r->done,
		.succeeded = r->done && r->rc == PM_OK && r->failed == 0,
		.started_ms = (uint64_t)r->started_ms,
		.ended_ms = (uint64_t)r->ended_ms,
		.mailboxes = r->boxes,
		.without_account = r->no_account,
		.busy = r->busy,
		.failed = r->failed,
		.messages = r->messages,
		.octets = r->octets,
		.detail = r->error,
	};
	json_t *o = answers_new();

	ANSWER_PUT(o, job, &a);
	return o;
}

/* The usage of a user's mailbox or of a domain, after a job that has ended well. */
static void
add_result(json_t *o, const struct sweep_report *r)
{
	if (r->kind == SWEEP_USAGE && r->user[0]) {
		add_usage(o, r);
	} else if (r->domain_rc == PM_OK) { /* of stores that count domains themselves */
		struct conf *c = conf_current();

		add_domain(o, c, r->domain, &r->domain_usage, "store");
		conf_put(c);
	}
}

json_t *
mailboxes_job(const json_t *request)
{
	struct sweep_report *r = malloc(sizeof(*r));
	json_t *o;

	if (!r || !sweep_report_get((uint64_t)json_integer_value(REQUEST_GET(request, job)), r)) {
		free(r);
		return answers_error("there is no such job (any more)");
	}
	o = job_json(r);
	if (r->kind == SWEEP_EXPIRE) {
		const struct answer_expire a = {.unmarked = r->unmarked};

		ANSWER_PUT(o, expire, &a);
	}
	if (r->done && r->rc == PM_OK)
		add_result(o, r);
	if (r->done && r->kind == SWEEP_UNDELETE)
		add_hidden(o, r);
	free(r);
	return o;
}

/* Each takes a part of the request; false: `text` says what is wrong with it. */
static bool
take_user(const struct conf *c, const json_t *request, struct sweep_order *o, char *text)
{
	const char *raw = REQUEST_TEXT(request, user);

	if (!raw || chain_name(c, raw, strlen(raw), o->user))
		return true;
	snprintf(text, TEXT_MAX, "'%.64s' is not a possible user name", raw);
	return false;
}

static bool
take_domain(const json_t *request, struct sweep_order *o, char *text)
{
	const char *raw = REQUEST_TEXT(request, domain);

	if (!raw)
		return true;
	if (strlen(raw) >= sizeof(o->domain)) {
		snprintf(text, TEXT_MAX, "domain '%.64s...' is longer than %zu octets", raw,
			 sizeof(o->domain) - 1);
		return false;
	}
	for (size_t i = 0; raw[i]; i++)
		o->domain[i] = raw[i] >= 'A' && raw[i] <= 'Z' ? (char)(raw[i] - 'A' + 'a') : raw[i];
	return true;
}

static bool
take_uidls(const json_t *request, struct sweep_order *o, char *text)
{
	const json_t *list = REQUEST_GET(request, uidls), *x;
	size_t i;

	if (json_array_size(list) > SWEEP_UIDLS) {
		snprintf(text, TEXT_MAX, "%zu unique-ids are named; %d at most in one order",
			 json_array_size(list), SWEEP_UIDLS);
		return false;
	}
	json_array_foreach(list, i, x)
	{
		const char *uidl = json_string_value(x);

		if (!uidl || strlen(uidl) > PM_UIDL_MAX) {
			snprintf(text, TEXT_MAX, "'%.80s' is not a possible unique-id",
				 uidl ? uidl : "");
			return false;
		}
		memcpy(o->uidls[o->n_uidls++], uidl, strlen(uidl) + 1);
	}
	return true;
}

static json_t *
started_json(uint64_t id)
{
	const struct answer_started a = {.job = id};
	json_t *o = answers_new();

	ANSWER_PUT(o, started, &a);
	return o;
}

static json_t *
mailboxes_start(const json_t *request, enum sweep_kind kind)
{
	struct sweep_order *o = calloc(1, sizeof(*o));
	struct conf *c = conf_current();
	char text[TEXT_MAX] = "no memory";
	uint64_t id = 0;

	if (o)
		o->kind = kind;
	if (o && take_user(c, request, o, text) && take_domain(request, o, text) &&
	    take_uidls(request, o, text)) {
		o->dry_run = REQUEST_YES(request, dry_run);
		o->unmarked = REQUEST_YES(request, unmarked);
		o->anew = REQUEST_YES(request, recount);
		id = sweep_start(c, o, text);
	}
	conf_put(c);
	free(o);
	return id ? started_json(id) : answers_error("%s", text);
}

json_t *
mailboxes_expire(const json_t *request)
{
	if (clock_expire_ms() == 0)
		return answers_error(
			"the wall clock is in doubt, and nothing is deleted because of "
			"its age: see restantectl clock");
	if (REQUEST_YES(request, unmarked) && !json_is_string(REQUEST_GET(request, user)))
		return answers_error(
			"--unmarked needs a user: of each it is looked whether the undo "
			"storage is another place");
	return mailboxes_start(request, SWEEP_EXPIRE);
}

json_t *
mailboxes_undelete(const json_t *request)
{
	if (!json_is_string(REQUEST_GET(request, user)))
		return answers_error("undelete needs a user");
	return mailboxes_start(request, SWEEP_UNDELETE);
}

/* Does a store count domains itself? */
static bool
any_counts(const struct conf *c)
{
	bool any = false;

	for (size_t i = 0; i < c->n_storage; i++) {
		const struct conf_section *x = &c->storage[i];

		any = any || (!x->only_wrapped && !x->for_undo && x->backend && x->backend->counts);
	}
	return any;
}

/* The core's count of a domain is a file; else the stores are asked. */
static json_t *
domain_usage(const char *domain, const json_t *request)
{
	struct conf *c = conf_current();
	struct quota_usage u;
	int32_t rc = quota_domain_get(c, domain, &u);
	json_t *o;

	if (rc == PM_NOENT && any_counts(c)) {
		o = mailboxes_start(request, SWEEP_USAGE);
	} else if (rc != PM_OK) {
		o = answers_error(rc == PM_NOENT ? "domain %.200s is not counted: it has no "
						   "domain_octets or domain_messages, or nothing "
						   "was delivered yet"
						 : "the count of domain %.200s cannot be read",
				  domain);
	} else {
		const struct answer_domain_file a = {.under_way = u.under_way};

		o = answers_new();
		add_domain(o, c, domain, &u, NULL);
		ANSWER_PUT(o, domain_file, &a);
	}
	conf_put(c);
	return o;
}

json_t *
mailboxes_quota(const json_t *request)
{
	const char *domain = REQUEST_TEXT(request, domain);

	if (!domain && !json_is_string(REQUEST_GET(request, user)))
		return answers_error("quota needs a user or a domain");
	if (domain && !REQUEST_YES(request, recount))
		return domain_usage(domain, request);
	return mailboxes_start(request, domain ? SWEEP_RECOUNT : SWEEP_USAGE);
}
