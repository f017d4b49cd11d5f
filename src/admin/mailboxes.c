/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restantectl volumes, quota, expire, undelete. The last three start a sweep (upkeep/sweep.h) and
 * answer with its number at once; `job` tells how far it is. Nothing here waits.
 */
#include <stdlib.h>
#include <string.h>

#include "account/chain.h"
#include "admin/admin.h"
#include "admin/mailboxes.h"
#include "mailbox/volume.h"
#include "upkeep/sweep.h"
#include "upkeep/sweep_report.h"

/* ---- volumes --------------------------------------------------------------------------------- */

static void
add_volume(const struct volume_status *s, void *ctx)
{
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "volume", s->name, "path", s->path, "mount",
			  s->mount, "state", volume_state_name(s->state), "detail", s->text);

	json_object_set_new(o, "octets", json_integer((json_int_t)s->total));
	json_object_set_new(o, "available", json_integer((json_int_t)s->available));
	json_object_set_new(o, "reserve", json_integer((json_int_t)s->reserve));
	json_object_set_new(o, "reserve_file", json_integer((json_int_t)s->reserve_file));
	json_object_set_new(o, "inodes", json_integer((json_int_t)s->inodes));
	json_object_set_new(o, "inodes_free", json_integer((json_int_t)s->inodes_free));
	json_object_set_new(o, "refused", json_integer((json_int_t)s->refused));
	json_object_set_new(o, "released", json_integer((json_int_t)s->released));
	json_array_append_new(ctx, o);
}

json_t *
mailboxes_volumes(const json_t *request)
{
	json_t *list = json_array();
	struct conf *c = conf_current();

	(void)request;
	volume_each(c, add_volume, list);
	conf_put(c);
	return json_pack("{s:b, s:o}", "ok", 1, "volumes", list);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void
keep_set_num(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void
add_usage(json_t *o, const struct sweep_report *r)
{
	const struct quota_limits *l = &r->limits;

	json_object_set_new(o, "storage", json_string(r->section));
	keep_set_num(o, "used_octets", r->stat.octets);
	keep_set_num(o, "used_messages", r->stat.count);
	keep_set_num(o, "quota_octets", l->octets);
	keep_set_num(o, "quota_messages", l->msgs);
	keep_set_num(o, "hidden_messages", r->stat.hidden);
	keep_set_num(o, "hidden_octets", r->stat.hidden_octets);
	json_object_set_new(o, "user_domain", json_string(l->domain));
	keep_set_num(o, "domain_quota_octets", l->domain_octets);
	keep_set_num(o, "domain_quota_messages", l->domain_msgs);
	json_object_set_new(o, "counted_by",
			    json_string(l->store_counts     ? "store"
					: l->domain_counted ? "file"
							    : "nobody"));
	if (r->domain_rc == PM_OK) {
		keep_set_num(o, "domain_used_octets", r->domain_usage.octets);
		keep_set_num(o, "domain_used_messages", r->domain_usage.msgs);
		json_object_set_new(o, "domain_doubtful", json_boolean(r->domain_usage.doubtful));
	}
}

static void
add_domain(json_t *o, const struct conf *c, const char *domain, const struct quota_usage *u)
{
	const struct conf_domain *d = conf_domain(c, domain, strlen(domain));

	json_object_set_new(o, "user_domain", json_string(domain));
	json_object_set_new(o, "domain_doubtful", json_boolean(u->doubtful));
	keep_set_num(o, "domain_used_octets", u->octets);
	keep_set_num(o, "domain_used_messages", u->msgs);
	keep_set_num(o, "domain_quota_octets",
		     (uint64_t)(d && d->limits.domain_octets >= 0 ? d->limits.domain_octets
								  : c->site.domain_octets));
	keep_set_num(o, "domain_quota_messages",
		     (uint64_t)(d && d->limits.domain_msgs >= 0 ? d->limits.domain_msgs
								: c->site.domain_msgs));
}

/* Of stores that count domains themselves. */
static void
add_stores_count(json_t *o, const struct sweep_report *r)
{
	struct conf *c = conf_current();

	add_domain(o, c, r->domain, &r->domain_usage);
	json_object_set_new(o, "counted_by", json_string("store"));
	conf_put(c);
}

static void
add_found(json_t *o, const struct sweep_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_found; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:I, s:I, s:I}", "uidl", r->found[i].uidl, "octets",
					(json_int_t)r->found[i].octets, "received_ms",
					(json_int_t)r->found[i].received_ms, "first_retrieved_ms",
					(json_int_t)r->found[i].first_retrieved_ms));
	json_object_set_new(o, "hidden", list);
}

json_t *
mailboxes_job(const json_t *request)
{
	static const char *const kinds[] = {"expire", "recount", "undelete", "quota",
					    "undo",   "undo",    "undo"};
	struct sweep_report *r = malloc(sizeof(*r));
	json_t *o;

	if (!r ||
	    !sweep_report_get((uint64_t)json_integer_value(json_object_get(request, "job")), r)) {
		free(r);
		return admin_error("there is no such job (any more)");
	}
	o = json_pack("{s:b, s:I, s:s, s:s, s:s, s:b, s:b, s:b}", "ok", 1, "job", (json_int_t)r->id,
		      "kind", kinds[r->kind], "user", r->user, "domain", r->domain, "dry_run",
		      r->dry_run, "done", r->done, "succeeded",
		      r->done && r->rc == PM_OK && r->failed == 0);
	keep_set_num(o, "started_ms", (uint64_t)r->started_ms);
	keep_set_num(o, "ended_ms", (uint64_t)r->ended_ms);
	keep_set_num(o, "mailboxes", r->boxes);
	keep_set_num(o, "without_account", r->no_account);
	keep_set_num(o, "busy", r->busy);
	keep_set_num(o, "failed", r->failed);
	keep_set_num(o, "messages", r->messages);
	keep_set_num(o, "octets", r->octets);
	if (r->kind == SWEEP_EXPIRE)
		keep_set_num(o, "unmarked", r->unmarked);
	json_object_set_new(o, "detail", json_string(r->error));
	if (r->done && r->rc == PM_OK && r->kind == SWEEP_USAGE && r->user[0])
		add_usage(o, r);
	else if (r->done && r->rc == PM_OK && r->domain_rc == PM_OK)
		add_stores_count(o, r);
	if (r->done && r->kind == SWEEP_UNDELETE)
		add_found(o, r);
	free(r);
	return o;
}

static bool
take_user(const struct conf *c, const json_t *request, struct sweep_order *o)
{
	const char *raw = json_string_value(json_object_get(request, "user"));

	return !raw || chain_name(c, raw, strlen(raw), o->user);
}

static bool
take_domain(const json_t *request, struct sweep_order *o)
{
	const char *raw = json_string_value(json_object_get(request, "domain"));

	if (!raw)
		return true;
	if (strlen(raw) >= sizeof(o->domain))
		return false;
	for (size_t i = 0; raw[i]; i++)
		o->domain[i] = raw[i] >= 'A' && raw[i] <= 'Z' ? (char)(raw[i] - 'A' + 'a') : raw[i];
	return true;
}

static bool
take_uidls(const json_t *request, struct sweep_order *o)
{
	const json_t *list = json_object_get(request, "uidls"), *x;
	size_t i;

	if (json_array_size(list) > SWEEP_UIDLS)
		return false;
	json_array_foreach(list, i, x)
	{
		const char *text = json_string_value(x);

		if (!text || strlen(text) > PM_UIDL_MAX)
			return false;
		memcpy(o->uidls[o->n_uidls++], text, strlen(text) + 1);
	}
	return true;
}

static json_t *
keep_start(const json_t *request, enum sweep_kind kind)
{
	struct sweep_order *o = calloc(1, sizeof(*o));
	struct conf *c = conf_current();
	char text[200] = "no memory";
	uint64_t id = 0;

	if (o)
		o->kind = kind;
	if (o &&
	    (!take_user(c, request, o) || !take_domain(request, o) || !take_uidls(request, o))) {
		memcpy(text, "not a possible user, domain or unique-id", 41);
	} else if (o) {
		o->dry_run = json_is_true(json_object_get(request, "dry_run"));
		o->unmarked = json_is_true(json_object_get(request, "unmarked"));
		o->anew = json_is_true(json_object_get(request, "recount"));
		id = sweep_start(c, o, text);
	}
	conf_put(c);
	free(o);
	return id ? json_pack("{s:b, s:I}", "ok", 1, "job", (json_int_t)id)
		  : admin_error("%s", text);
}

json_t *
mailboxes_expire(const json_t *request)
{
	if (json_is_true(json_object_get(request, "unmarked")) &&
	    !json_is_string(json_object_get(request, "user")))
		return admin_error("--unmarked needs a user: of each it is looked whether the undo "
				   "storage is another place");
	return keep_start(request, SWEEP_EXPIRE);
}

json_t *
mailboxes_undelete(const json_t *request)
{
	if (!json_is_string(json_object_get(request, "user")))
		return admin_error("undelete needs a user");
	return keep_start(request, SWEEP_UNDELETE);
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
		o = keep_start(request, SWEEP_USAGE);
	} else if (rc != PM_OK) {
		o = admin_error(rc == PM_NOENT ? "domain %.200s is not counted: it has no "
						 "domain_octets or domain_messages, or nothing "
						 "was delivered yet"
					       : "the count of domain %.200s cannot be read",
				domain);
	} else {
		o = json_pack("{s:b}", "ok", 1);
		add_domain(o, c, domain, &u);
		keep_set_num(o, "under_way", u.under_way);
	}
	conf_put(c);
	return o;
}

json_t *
mailboxes_quota(const json_t *request)
{
	const char *domain = json_string_value(json_object_get(request, "domain"));

	if (!domain && !json_is_string(json_object_get(request, "user")))
		return admin_error("quota needs a user or a domain");
	if (domain && !json_is_true(json_object_get(request, "recount")))
		return domain_usage(domain, request);
	return keep_start(request, domain ? SWEEP_RECOUNT : SWEEP_USAGE);
}
